"""A run on a cluster: Snakemake submits the stages, as a profile of its own says (``params/slurm``).

The jobs are not ours once they are submitted: they go on when the command that submitted them is killed or its machine
restarts. So the next command first waits until they have ended, as it does with processes on its own machine
(:mod:`asdlib.leader`); two jobs would train the same model side by side otherwise.
"""

import getpass
import re
import shutil
import subprocess
import time
from pathlib import Path

import pandas as pd
import yaml

from asdlib import AsdError

PREFIX = "asdlib"
"""begins the names of our jobs in Slurm: ``slurm-jobname-prefix`` of the profile"""
LOGS = Path(".snakemake", "slurm_logs")
"""where the plugin keeps what jobs print, in the project's folder"""
PATIENCE = 10.0  # seconds between looks at Slurm's queue


def profile(folder: Path, dry_run: bool = False) -> list[str]:
    """Snakemake's options for a profile of its own.

    Raises:
        AsdError: The folder is no such profile; or it submits to Slurm, which this machine does not know, and
            ``dry_run`` is false.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise AsdError(f"{path}: no such file; expected a folder with a profile of Snakemake, such as params/slurm")
    try:
        options = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise AsdError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(options, dict) or "executor" not in options:
        raise AsdError(f"{path}: names no executor; expected one, for example executor: slurm")
    if options["executor"] == "slurm":
        if options.get("slurm-jobname-prefix") != PREFIX:
            raise AsdError(f"{path}: slurm-jobname-prefix must be {PREFIX}, by which later commands find their jobs")
        if options.get("slurm-pass-command-as-script") is not True:
            raise AsdError(f"{path}: slurm-pass-command-as-script must be true, or names of folders could be executed")
        if not dry_run and shutil.which("sbatch") is None:
            raise AsdError(
                f"{path}: submits to Slurm, but there is no sbatch here; give the command where jobs are submitted"
            )
    return ["--profile", str(folder.resolve())]


def wait(home: Path) -> None:
    """Wait until no job that was submitted from ``home`` is left in Slurm."""
    told: list[str] = []
    while left := jobs(home):
        if left != told:
            print(
                f"waiting for {len(left)} job(s) of an earlier command: {', '.join(left)}; what they make stays "
                f"(to end them: scancel {' '.join(left)})",
                flush=True,
            )
        told = left
        time.sleep(PATIENCE)


def jobs(home: Path) -> list[str]:
    """IDs of the jobs that wait or run in Slurm and were submitted from ``home``.

    Raises:
        AsdError: Slurm does not answer.
    """
    if not (home / LOGS).is_dir():  # nothing was ever submitted from here
        return []
    # The plugin calls all jobs of a command by its prefix and one random name.
    query = ["squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%A|%j|%Z"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = " ".join((getattr(error, "stderr", "") or str(error)).split())
        raise AsdError(
            f"{home / LOGS}: jobs submitted from here may still be at work, but Slurm does not say ({reason}), so "
            "nothing is begun; give the command where squeue answers, or remove that folder if none is left"
        ) from None
    found = [line.split("|", 2) for line in done.stdout.splitlines()]
    return sorted({job for job, name, folder in found if name.startswith(f"{PREFIX}_") and Path(folder) == home})


def stages(listing: str) -> pd.DataFrame:
    """What a run asks of a cluster, by stage.

    Args:
        listing: What ``snakemake --dry-run`` prints.

    Returns:
        A row a stage: ``stage``, ``jobs``, ``hours`` (the sum of the time limits) and ``gpu_hours``.
    """
    rows = []
    for block in re.split(r"^(?=(?:local)?rule \w+:$)", listing, flags=re.MULTILINE)[1:]:
        stage = block.partition(":")[0].split()[1]
        given = re.search(r"^ +resources: (.*)$", block, flags=re.MULTILINE)
        asked = dict(re.findall(r"(\w+)=(\d+)\b", given[1] if given else ""))
        hours = int(asked.get("runtime", 0)) / 60
        rows.append((stage, 1, hours, hours * int(asked.get("gpu", 0))))
    table = pd.DataFrame(rows, columns=["stage", "jobs", "hours", "gpu_hours"])
    return table[table["stage"] != "all"].groupby("stage", sort=False, as_index=False).sum()


def describe(table: pd.DataFrame) -> str:
    """:func:`stages` as text, with the sum."""
    total = pd.DataFrame([{"stage": "sum", **table.drop(columns="stage").sum()}])
    rows = pd.concat([table, total]).astype({"jobs": int})
    text = rows.rename(columns={"gpu_hours": "GPU hours"}).to_string(
        index=False, float_format=lambda value: f"{value:.0f}"
    )
    return f"{text}\nhours are the time limits of the jobs, summed: the most that they may take"
