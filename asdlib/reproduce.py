"""``make reproduce``: check everything at the door, then let Snakemake run what is missing."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from asdlib import cluster, notebooks, params, paths, warm
from asdlib.artefacts import only_one, sweep, write_json
from asdlib.data import catalogue
from asdlib.leader import PIPE, leading

CANCELLING = 60.0  # seconds that it may take to cancel the jobs on a cluster


def reproduce(
    profile: str,
    overrides: dict,
    jobs: int,
    dry_run: bool = False,
    targets: list[str] | None = None,
    submit: Path | None = None,
) -> int:
    """Run the graph of ``Snakefile`` for one profile, going on where an earlier run stopped.

    Args:
        profile: Name of a file in ``params/`` or a path to one.
        overrides: Settings to change.
        jobs: Processor cores to use.
        dry_run: Only say what would run.
        targets: Rules or files to make; all by default.
        submit: A profile of Snakemake that submits the stages to a cluster (:mod:`asdlib.cluster`), which then says how
            many jobs run at a time.

    Returns:
        Snakemake's exit code.

    Raises:
        asdlib.AsdError: The settings or the data cannot be used, or another run is going on in this folder.
    """
    home = paths.home().resolve()
    where = cluster.profile(submit, dry_run) if submit else ["--cores", str(jobs)]
    settings = params.load(profile, overrides)
    plan = catalogue.plan(settings)
    for machine, sections in plan.machines.items():
        print(f"{machine}: sections {', '.join(sections)}", flush=True)
    if plan.outliers:
        print(f"outliers only: {', '.join(plan.outliers)}", flush=True)
    snakemake = [sys.executable, "-m", "snakemake", "--directory", str(home), "--snakefile", str(home / "Snakefile")]
    # Jobs that wait on a cluster have yet to read theirs.
    config = home / ".snakemake" / ("dry.json" if dry_run else "config.json")
    # Whoever holds our lock is the only one here; Snakemake's own would outlive a killed run.
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
            cluster.wait(home)
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
            with warm.kernels(environment) if warmed else contextlib.nullcontext(environment) as environment:
                code = _run([*command, *extra], environment, home, CANCELLING if submit else 0.0)
        if not cluster.jobs(home):
            _sweep(settings)  # of jobs that were killed alone
            if code == 0 and not (dry_run or targets):  # Snakemake's hook does not run where nothing was left to do
                forget_finished(paths.Run.of(settings))
    for sentence in notebooks.failures(paths.Run.of(settings).folder / "notebooks", began):
        print(f"error: {sentence}", file=sys.stderr, flush=True)  # again, below what Snakemake says of it
    return code


def _without_profiles(submit: Path | None) -> dict[str, str]:
    """Return our environment without the user's own profile of Snakemake, and on one machine without its plugins'."""
    ours = "SNAKEMAKE_PROFILE" if submit else "SNAKEMAKE_"
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def forget_finished(run: paths.Run) -> None:
    """Remove what trainings reached at their end, once the graph that noted it has succeeded."""
    for done in run.checkpoints.glob(f"*{paths.FINISHED}"):
        done.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """Be the only run in the project's folder ``home``, of this command or of a Snakemake started by hand.

    Raises:
        asdlib.AsdError: Another one is at work.
    """
    busy = f"{home / '.snakemake'}: another `make reproduce` or Snakemake runs in this folder; wait for it"
    with only_one(home / ".snakemake" / "reproduce.lock", busy):
        yield


def _run(command: list[str], environment: dict[str, str], home: Path, patience: float) -> int:
    """Run Snakemake; its exit code. Interrupted as we are, it has ``patience`` seconds to cancel its jobs."""
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
    """Print what a run asks of a cluster; Snakemake's exit code."""
    done = subprocess.run(
        [*command, "--dry-run"], check=False, env=environment, cwd=home, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout if done.returncode else cluster.describe(cluster.stages(done.stdout)), flush=True)
    return done.returncode


def _sweep(settings) -> None:
    """Remove the half-written files of killed jobs in the run folder, and of killed syntheses beside the data."""
    sweep(paths.Run.of(settings).folder)
    if settings.data.synthetic:
        root = paths.home() / settings.data.root
        sweep(root.parent, deep=False, name=root.name)
