"""``make reproduce``: check everything at the door, then let Snakemake run what is missing."""

import contextlib
import os
import subprocess
import sys
import time

from asdlib import notebooks, params, paths, warm
from asdlib.artefacts import only_one, sweep, write_json
from asdlib.data import catalogue
from asdlib.leader import PIPE, leading


def reproduce(profile: str, overrides: dict, jobs: int, dry_run: bool = False, targets: list[str] | None = None) -> int:
    """Run the graph of ``Snakefile`` for one profile, going on where an earlier run stopped.

    Args:
        profile: Name of a file in ``params/`` or a path to one.
        overrides: Settings to change.
        jobs: Processor cores to use.
        dry_run: Only say what would run.
        targets: Rules or files to make; all by default.

    Returns:
        Snakemake's exit code.

    Raises:
        asdlib.AsdError: The settings or the data cannot be used, or another run is going on in this folder.
    """
    home = paths.home()
    settings = params.load(profile, overrides)
    plan = catalogue.plan(settings)
    for machine, sections in plan.machines.items():
        print(f"{machine}: sections {', '.join(sections)}", flush=True)
    if plan.outliers:
        print(f"outliers only: {', '.join(plan.outliers)}", flush=True)
    snakemake = [sys.executable, "-m", "snakemake", "--directory", str(home), "--snakefile", str(home / "Snakefile")]
    config = home / ".snakemake" / "config.json"
    # Whoever holds our lock is the only one here; Snakemake's own would outlive a killed run.
    options = ["--cores", str(jobs), "--nolock", "--rerun-incomplete", "--keep-going"]
    options += ["--quiet", "rules", "host", "progress"]
    busy = f"{home / '.snakemake'}: another `make reproduce` runs in this folder; wait for it"
    with only_one(home / ".snakemake" / "reproduce.lock", busy), leading(home / ".snakemake") as pipe:
        if not dry_run:
            _sweep(settings)
            write_json(settings.resolved(), paths.Run.of(settings).settings)
        write_json({"profile": profile, "overrides": overrides}, config)
        extra, began = ["--dry-run"] if dry_run else [], time.time()
        environment = os.environ | notebooks.environment(settings) | {PIPE: str(pipe)}
        with contextlib.nullcontext(environment) if dry_run else warm.kernels(environment) as environment:
            command = [*snakemake, *(targets or []), *options, *extra, "--configfile", str(config)]
            code = subprocess.run(command, check=False, env=environment).returncode
        _sweep(settings)  # of jobs that were killed alone
    for sentence in notebooks.failures(paths.Run.of(settings).folder / "notebooks", began):
        print(f"error: {sentence}", file=sys.stderr, flush=True)  # again, below what Snakemake says of it
    return code


def _sweep(settings) -> None:
    """Remove the half-written files of killed jobs in the run folder, and of killed syntheses beside the data."""
    sweep(paths.Run.of(settings).folder)
    if settings.data.synthetic:
        root = paths.home() / settings.data.root
        sweep(root.parent, deep=False, name=root.name)
