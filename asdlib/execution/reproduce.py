"""Implement ``make reproduce``: validate settings and data up front, then let Snakemake run the missing stages."""

import contextlib
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from asdlib import params, paths
from asdlib.atomic import only_one, sweep, write_json
from asdlib.data import plan
from asdlib.errors import ParamsError
from asdlib.execution import kernels, slurm
from asdlib.execution.process_lifetime import leading

OPTIONS = (
    *("--workflow-profile", "none"),
    "--nolock",  # Snakemake's lock would outlive a killed run; ours does not (alone)
    *("--rerun-incomplete", "--keep-going"),
    *("--quiet", "rules", "host", "progress"),
)
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
    root = paths.project_root().resolve()
    _check_installation(root)
    where = slurm.profile(submit, dry_run) if submit else ["--cores", str(jobs)]
    settings = params.load(profile, overrides)
    for key, place in (("runs", settings.runs), ("data.root", settings.data.root)):
        if set("{}") & set(place):
            raise ParamsError(f"{key}: {place} contains a brace, a wildcard of Snakemake; choose another folder")
    planned = plan.derive(settings)
    for machine, sections in planned.machines.items():
        print(f"{machine}: sections {', '.join(sections)}", flush=True)
    if planned.outliers:
        print(f"outliers only: {', '.join(planned.outliers)}", flush=True)
    # A dry run has its own file because jobs pending on a cluster have yet to read theirs.
    config = root / ".snakemake" / ("dry.json" if dry_run else "config.json")
    options = [*(targets or []), "--directory", str(root), "--snakefile", str(root / "Snakefile")]
    options += [*where, *OPTIONS, "--configfile", str(config), *(["--dry-run"] if dry_run else [])]
    # Without the user's Snakemake profile and, on one machine, without settings of its plugins.
    prefix = "SNAKEMAKE_PROFILE" if submit else "SNAKEMAKE_"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(prefix)}
    environment |= kernels.environment(settings) | _cache(environment, root)
    with alone(root), leading(root / ".snakemake") as leader:
        if not dry_run:
            slurm.wait(root)
            _sweep(settings)
        handed_on = {
            "profile": profile,
            "overrides": overrides,
            "plan": dataclasses.asdict(planned),
            "leader": str(leader),
        }
        write_json(handed_on, config)
        began = time.time()
        here = not (submit or dry_run)  # whether notebooks run on this machine
        with kernels.kernels(environment) if here else contextlib.nullcontext(environment) as environment:
            module = "asdlib.execution.requested" if submit and dry_run else "snakemake"
            command = [sys.executable, "-m", module, *options]
            code = _run(command, environment, root, CANCELLING if submit else 0.0)
        if not slurm.jobs(root):
            _sweep(settings)  # after jobs that were killed while the run continued
            if code == 0 and not (dry_run or targets):  # Snakemake's hook does not run if nothing was left to do
                forget_finished(paths.Run.of(settings))
    for sentence in failures(paths.Run.of(settings).folder / "notebooks", began):
        print(f"error: {sentence}", file=sys.stderr, flush=True)  # again, below Snakemake's own output
    return code


def _check_installation(root: Path) -> None:
    """Raise an error if packages that run the stages are missing, or the project's folder is not a checkout."""
    for package in ("snakemake", "papermill", "ipykernel"):
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(name=package)
    if not (root / "Snakefile").is_file():
        raise ParamsError(
            f"{root}: no Snakefile; expected a checkout of the project, with its notebooks; change to its folder, or "
            f"set {paths.HOME} to it"
        )


def forget_finished(run: paths.Run) -> None:
    """Remove the kept finished trainings, once the workflow has succeeded."""
    for done in run.checkpoints.glob(f"*{paths.FINISHED}"):
        done.unlink(missing_ok=True)


def failures(folder: Path, since: float) -> list[str]:
    """Return the errors in the executed notebooks of ``folder`` newer than ``since`` (Unix time in seconds)."""
    sentences = []
    for path in sorted(folder.glob("*.ipynb")):
        if path.name.startswith(".") or path.stat().st_mtime < since:  # hidden: unfinished file of a killed job
            continue
        if not path.stat().st_size:  # its kernel died before the first cell
            continue
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        errors = [output for output in outputs if output["output_type"] == "error"]
        sentences += [f"{path}: {error['ename']}: {error['evalue']}" for error in errors]
    return sentences


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold a lock so that no other ``make reproduce`` or manually started Snakemake runs in the project's folder.

    Raises:
        asdlib.errors.AsdError: Another one is running.
    """
    busy = f"{root / '.snakemake'}: another `make reproduce` or Snakemake is running in this folder; wait until it ends"
    with only_one(root / ".snakemake" / "reproduce.lock", busy):
        yield


def _cache(environment: dict[str, str], root: Path) -> dict[str, str]:
    """Return where Snakemake and libraries may keep their caches, if nothing can be written to the usual folder."""
    usual = Path(environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if usual.is_absolute():  # else the user has no home
        with contextlib.suppress(OSError):
            usual.mkdir(parents=True, exist_ok=True)
            if os.access(usual, os.W_OK):
                return {}
    return {"XDG_CACHE_HOME": str(root / ".snakemake" / "cache")}


def _run(command: list[str], environment: dict[str, str], root: Path, patience: float) -> int:
    """Run Snakemake and return its exit code; on an interrupt, give it ``patience`` seconds to cancel its jobs."""
    with subprocess.Popen(command, env=environment, cwd=root) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)
            raise
        finally:
            process.kill()


def _sweep(settings) -> None:
    """Remove the unfinished files of killed jobs in the run folder, and of a killed synthesis next to the data."""
    sweep(paths.Run.of(settings).folder)
    if settings.data.synthetic:
        root = paths.project_root() / settings.data.root
        sweep(root.parent, deep=False, name=root.name)
