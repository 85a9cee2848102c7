"""Implement ``make reproduce``: validate settings and data up front, then let Snakemake run the missing stages."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from asdlib import params, paths
from asdlib.atomic import only_one, sweep, write_json
from asdlib.data import catalogue
from asdlib.execution import kernels, notebooks, slurm
from asdlib.execution.process_lifetime import PIPE, leading

CANCELLING = 60.0  # seconds allowed for cancelling the jobs on a cluster


def reproduce(
    profile: str,
    overrides: dict,
    jobs: int,
    dry_run: bool = False,
    targets: list[str] | None = None,
    submit: Path | None = None,
) -> int:
    """Run the workflow in ``Snakefile`` for one profile, resuming where an earlier run stopped.

    Args:
        profile: Name of a file in ``params/`` or a path to one.
        overrides: Settings to change.
        jobs: Number of CPU cores to use.
        dry_run: Only print what would run.
        targets: Rules or files to build; all by default.
        submit: Folder of a Snakemake profile that submits the stages to a cluster (:mod:`asdlib.execution.slurm`); the
            profile then determines how many jobs run at a time.

    Returns:
        Snakemake's exit code.

    Raises:
        asdlib.errors.AsdError: The settings or the data cannot be used, or another run is active in this folder.
    """
    home = paths.home().resolve()
    where = slurm.profile(submit, dry_run) if submit else ["--cores", str(jobs)]
    settings = params.load(profile, overrides)
    plan = catalogue.plan(settings)
    for machine, sections in plan.machines.items():
        print(f"{machine}: sections {', '.join(sections)}", flush=True)
    if plan.outliers:
        print(f"outliers only: {', '.join(plan.outliers)}", flush=True)
    snakemake = [sys.executable, "-m", "snakemake", "--directory", str(home), "--snakefile", str(home / "Snakefile")]
    # A dry run has its own file because jobs pending on a cluster have yet to read theirs.
    config = home / ".snakemake" / ("dry.json" if dry_run else "config.json")
    # Our own lock ensures that there is only one run. Snakemake's lock would outlive a killed run.
    options = [
        *where,
        "--workflow-profile",
        "none",
        "--nolock",
        "--rerun-incomplete",
        "--keep-going",
        "--configfile",
        str(config),
    ]
    quiet = ["--quiet", "rules", "host", "progress"]
    with alone(home), leading(home / ".snakemake") as pipe:
        if not dry_run:
            slurm.wait(home)
            _sweep(settings)
        write_json({"profile": profile, "overrides": overrides}, config)
        began = time.time()
        environment = _without_profiles(submit) | notebooks.environment(settings) | {PIPE: str(pipe)}
        command = [*snakemake, *(targets or []), *options]
        if submit and dry_run:
            code = _ask(command, environment, home)
        else:
            extra = [*quiet, "--dry-run"] if dry_run else quiet
            warmed = not (dry_run or submit)  # for jobs on this machine
            with kernels.kernels(environment) if warmed else contextlib.nullcontext(environment) as environment:
                code = _run([*command, *extra], environment, home, CANCELLING if submit else 0.0)
        if not slurm.jobs(home):
            _sweep(settings)  # after jobs that were killed while the run continued
            if code == 0 and not (dry_run or targets):  # Snakemake's hook does not run if nothing was left to do
                forget_finished(paths.Run.of(settings))
    for sentence in notebooks.failures(paths.Run.of(settings).folder / "notebooks", began):
        print(f"error: {sentence}", file=sys.stderr, flush=True)  # again, below Snakemake's own output
    return code


def _without_profiles(submit: Path | None) -> dict[str, str]:
    """Return our environment without the user's Snakemake profile and, on one machine, without settings of plugins."""
    ours = "SNAKEMAKE_PROFILE" if submit else "SNAKEMAKE_"
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def forget_finished(run: paths.Run) -> None:
    """Remove the kept finished trainings, once the workflow has succeeded."""
    for done in run.checkpoints.glob(f"*{paths.FINISHED}"):
        done.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold a lock so that no other ``make reproduce`` or manually started Snakemake runs in the project ``home``.

    Raises:
        asdlib.errors.AsdError: Another one is running.
    """
    busy = f"{home / '.snakemake'}: another `make reproduce` or Snakemake is running in this folder; wait until it ends"
    with only_one(home / ".snakemake" / "reproduce.lock", busy):
        yield


def _run(command: list[str], environment: dict[str, str], home: Path, patience: float) -> int:
    """Run Snakemake and return its exit code; on an interrupt, give it ``patience`` seconds to cancel its jobs."""
    with subprocess.Popen(command, env=environment, cwd=home) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
            raise
        finally:
            process.kill()


def _ask(command: list[str], environment: dict[str, str], home: Path) -> int:
    """Print the resources that a run requests from a cluster, and return Snakemake's exit code."""
    done = subprocess.run(
        [*command, "--dry-run"], check=False, env=environment, cwd=home, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout if done.returncode else slurm.describe(slurm.stages(done.stdout)), flush=True)
    return done.returncode


def _sweep(settings) -> None:
    """Remove the unfinished files of killed jobs in the run folder, and of a killed synthesis next to the data."""
    sweep(paths.Run.of(settings).folder)
    if settings.data.synthetic:
        root = paths.home() / settings.data.root
        sweep(root.parent, deep=False, name=root.name)
