"""Run the stages on a cluster, where Snakemake submits them according to a Snakemake profile (``params/slurm``).

Submitted jobs keep running when the command that submitted them is killed or its machine restarts. The next command
therefore waits until they have ended, as it does for processes on its own machine
(:mod:`asdlib.execution.process_lifetime`). Otherwise two jobs might train the same model at the same time.
"""

import getpass
import shutil
import subprocess
import time
from pathlib import Path

import yaml

from asdlib.errors import AsdError

PREFIX = "asdlib"
"""prefix of our jobs' names in Slurm: ``slurm-jobname-prefix`` of the profile"""
LOGS = Path(".snakemake", "slurm_logs")
"""folder in which the Slurm plugin keeps the jobs' output, relative to the project's folder"""
PATIENCE = 10.0  # seconds between queries of Slurm's queue


def profile(folder: Path, dry_run: bool = False) -> list[str]:
    """Check a Snakemake profile and return the command-line options that select it.

    Raises:
        AsdError: The folder is not a valid profile; or it submits to Slurm, which is not installed on this machine, and
            ``dry_run`` is false.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise AsdError(f"{path}: no such file; expected the folder of a Snakemake profile, such as params/slurm")
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
                f"{path}: submits to Slurm, but sbatch is not installed here; run the command on a machine from which "
                "jobs are submitted"
            )
    return ["--profile", str(folder.resolve())]


def wait(root: Path) -> None:
    """Wait until Slurm has no more jobs that were submitted from ``root``."""
    told: list[str] = []
    while left := jobs(root):
        if left != told:
            print(
                f"waiting for {len(left)} job(s) of an earlier command: {', '.join(left)}; their results are kept "
                f"(to end them: scancel {' '.join(left)})",
                flush=True,
            )
        told = left
        time.sleep(PATIENCE)


def jobs(root: Path) -> list[str]:
    """Return the IDs of the pending and running Slurm jobs that were submitted from ``root``.

    Raises:
        AsdError: Slurm does not answer.
    """
    if not (root / LOGS).is_dir():  # nothing was ever submitted from here
        return []
    # The plugin gives all jobs of one command the same name: our prefix and a random string.
    query = ["squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%A|%j|%Z"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = " ".join((getattr(error, "stderr", "") or str(error)).split())
        raise AsdError(
            f"{root / LOGS}: jobs submitted from here may still be running, but Slurm cannot be asked ({reason}), so "
            "nothing was started; run the command on a machine where squeue works, or remove that folder if no job is "
            "left"
        ) from None
    found = [line.split("|", 2) for line in done.stdout.splitlines()]
    return sorted({job for job, name, folder in found if name.startswith(f"{PREFIX}_") and Path(folder) == root})
