"""Kill a smoke run with SIGKILL at random moments, and compare the result with an undisturbed run.

Run ``python benchmarks/chaos.py --kills 100 --seed 0``; it prints one line per kill and a summary. A kill hits a
kernel, the process that forks kernels, a papermill process, Snakemake, the command itself, or all of them at once,
like a power failure. Each kill waits for its place (a stage, a training, the first seconds of the command) and strikes
at a random moment after the run has reached it, so that one pass through the graph takes all kills on machines of any
speed. ``tests/test_chaos.py`` runs fewer.
"""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil  # comes with Snakemake
import torch

from asdlib.execution.workflow import BY_NAME
from asdlib.paths import FINISHED, Run

ROOT = Path(__file__).resolve().parent.parent
MARK = "ASDLIB_CHAOS"  # environment variable that identifies all processes of a run, including orphans
KINDS = {  # part of the command line of each kind of process
    "papermill": "asdlib execute",
    "Snakemake": "-m snakemake",
    "command": "asdlib reproduce",
    "process that forks kernels": "-m asdlib.execution.kernel_fork",
    "kernel": "ipykernel_launcher",
}
VICTIMS = ("kernel", "papermill", "process that forks kernels", "Snakemake", "command", "all at once")
STAGES = tuple(BY_NAME)
"""a kill in a stage waits for the beginning of its executed notebook"""
TRAININGS = ("frame_autoencoder", "mobilenet", "autoencoder", "classifier")  # and one inside, for a checkpoint
START = "the start"
AFTER = {START: 8.0, **dict.fromkeys(STAGES, 3.0), **dict.fromkeys(TRAININGS, 0.3)}
"""seconds within which a kill strikes after the run has reached its place"""
LAST = "08_table1"
PATTERNS = ("**/scores.csv", "**/*.safetensors", "**/waveforms.npy", "**/history.csv", "**/choices.csv", "*.csv")
"""files that must be equal byte by byte: scores, models, clips, losses, choices, Table 1 and claims"""


@dataclass
class Kill:
    """A planned kill."""

    victim: str
    """one of :data:`VICTIMS`"""
    place: str
    """a key of :data:`AFTER`"""
    delay: float
    """seconds after the run has reached the place"""


@dataclass
class Survived:
    """Record of a run that was killed."""

    kills: Counter = field(default_factory=Counter)
    """number of kills of each victim"""
    places: Counter = field(default_factory=Counter)
    """number of kills at the start, in each stage and in each training"""
    starts: int = 0
    """number of times that the command was started"""
    begun: set[str] = field(default_factory=set, repr=False)
    """temporary names of executed notebooks"""
    resumed: int = 0
    """number of trainings that resumed from a checkpoint"""
    kept: int = 0
    """number of trainings that were not repeated although their job was killed after they had ended"""
    seconds: float = 0.0

    @property
    def again(self) -> int:
        """Number of times that a notebook was started again."""
        return len(self.begun) - len({tuple(name.split(".")[2:-2]) for name in self.begun})


def project(home: Path) -> Path:
    """Create the project folder ``home``, with links to this one."""
    home.mkdir(parents=True, exist_ok=True)
    for name in ("notebooks", "params", "Snakefile", "book"):
        (home / name).symlink_to(ROOT / name)
    return home


def plan_kills(kills: int, seed: int) -> list[Kill]:
    """Plan random kills: of ten, one at the start, four in a training, five in a stage, evenly over all places."""
    rng, plan = np.random.default_rng(seed), []
    kinds = [((START,), 1), (TRAININGS, 4), (STAGES, 5)]
    turns = {places: list(rng.permutation(places)) for places, _ in kinds}
    order = rng.permutation([number for number, (_, share) in enumerate(kinds) for _ in range(share)])
    for number in range(kills):
        places = kinds[order[number % len(order)]][0]
        place = str(turns[places][0])
        turns[places] = turns[places][1:] + turns[places][:1]
        plan.append(Kill(str(rng.choice(VICTIMS)), place, rng.uniform(0, AFTER[place])))
    return plan


def chaos(home: Path, kills: int, seed: int, jobs: int = 2) -> Survived:
    """Run the smoke profile up to Table 1 in ``home``, killing ``kills`` times, then to its end.

    Args:
        home: Folder created by :func:`project`.
        kills: Number of kills.
        seed: Seed of victims, places and moments.
        jobs: Number of CPU cores.

    Raises:
        AssertionError: The run failed by itself, repeated training steps before its last checkpoint, left processes or
            incomplete files behind, or did not end. A note contains the seed.
    """
    plan, result, began = plan_kills(kills, seed), Survived(), time.monotonic()
    try:
        _survive(home, plan, jobs, result)
    except AssertionError as error:
        error.add_note(
            f"To repeat: python benchmarks/chaos.py --kills {kills} --seed {seed} --jobs {jobs}; so far {result}"
        )
        raise
    result.seconds = time.monotonic() - began
    return result


def compare_folders(run: Path, other: Path) -> list[str]:
    """List the files (:data:`PATTERNS`) of two run folders that are missing in one or differ in any byte."""
    names = {str(path.relative_to(folder)) for folder in (run, other) for at in PATTERNS for path in folder.glob(at)}
    names = {name for name in names if not name.startswith(Run(run).detector.name)}  # only the whole book needs it
    assert names, f"{run} holds no results"
    return [name for name in sorted(names) if not _equal(run / name, other / name)]


def _survive(home: Path, plan: list[Kill], jobs: int, result: Survived) -> None:
    log, run, most = home / "chaos.log", home / "runs" / "smoke", 2 * len(plan) + 2
    while True:
        result.starts += 1
        assert result.starts <= most, f"{len(plan)} kills are left after {most} starts: {plan}"
        left, saved, ended = len(plan), _steps(run), _ended(run)
        with open(log, "ab") as output:
            begins = output.tell()
            code = _once(home, plan, jobs, output, result)
        _quiet(home)
        text = log.read_bytes()[begins:].decode()
        assert code == 0 or len(plan) < left, f"the command failed by itself with {code}:\n{text[-4000:]}"
        now = _steps(run)
        for name, step in saved.items():
            used = f"resuming from step {step} of" in text or now.get(name) == step  # its training was not reached
            assert used, f"{name} (step {step}) was not used:\n{text[-4000:]}"
        kept = len(re.findall(r"resuming from step (\d+) of \1 ", text))
        result.kept += kept
        result.resumed += text.count("resuming from step") - kept
        again = [path.name for path, was in ended.items() if path.exists() and path.stat().st_mtime_ns != was]
        assert not again, f"finished trainings were repeated: {again}"
        if code == 0 and not plan:
            break
        if code == 0:  # faster than planned: the remaining kills strike the last stage, which is repeated
            (run / "table1.csv").unlink()
            for kill in plan:
                kill.place, kill.delay = LAST, kill.delay % 1
    assert not (halves := list((home / "runs").rglob(".*"))), f"incomplete files are left: {halves}"
    assert not list(run.glob("checkpoints/*")), "checkpoints are left"


def _quiet(home: Path) -> None:
    """Wait until all processes of the command have ended; kernels check once per second whether their parent lives."""
    began = time.monotonic()
    while there := _processes(home):
        assert time.monotonic() - began < 30, f"processes are left: {there}"
        time.sleep(0.1)


def _once(home: Path, plan: list[Kill], jobs: int, output, result: Survived) -> int:
    """Run the command once, kill as planned, remove these kills from ``plan``, and return the exit code."""
    environment = os.environ | {MARK: str(home)}
    command = [sys.executable, "-m", "asdlib", "reproduce", "--profile", "smoke", "--jobs", str(jobs), "table1"]
    command += ["--set", "checkpoint_seconds=0"]
    began, since = time.time(), {START: time.monotonic()}
    run = subprocess.Popen(command, cwd=home, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        while run.poll() is None:
            _look(home / "runs" / "smoke", began, since, result)
            for kill in plan:
                due = kill.place in since and time.monotonic() >= since[kill.place] + kill.delay
                if due and _strike(home, kill):
                    plan.remove(kill)
                    result.kills[kill.victim] += 1
                    result.places[kill.place] += 1
                    print(f"{result.kills.total()}: killed {kill.victim} in {kill.place}", flush=True)
                    del since[kill.place]  # the next kill waits until such a place is reached again
                    break
            assert time.time() - began < 1800, f"the command does not end:\n{_processes(home)}"
            time.sleep(0.02)
        return run.returncode
    finally:
        if run.poll() is None:
            run.kill()


def _look(run: Path, began: float, since: dict[str, float], result: Survived) -> None:
    """Store in ``since`` when the command that started at ``began`` reached each place."""
    now = time.monotonic()
    for path in run.glob("notebooks/.partial-*"):
        if path.name not in result.begun:
            result.begun.add(path.name)
            since.setdefault(path.name.split(".")[2], now)
    for path in run.glob("checkpoints/[!.]*.pt"):  # including those of finished trainings
        with contextlib.suppress(FileNotFoundError):  # its training has just ended
            if path.stat().st_mtime > began:
                since.setdefault(path.name.split(".")[0], now)


def _strike(home: Path, kill: Kill) -> bool:
    """Kill a process; return False if there is none of this kind yet."""
    there = _processes(home)
    if kill.victim == "all at once":
        victims = [process for group in there.values() for process in group]
    else:
        victims = there.get(kill.victim, [])[:1]
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    return bool(victims)


def _processes(home: Path) -> dict[str, list[psutil.Process]]:
    """Return the living processes of a run by kind; a kernel may be a fork of the server process."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get(MARK) != str(home) or process.status() == psutil.STATUS_ZOMBIE:
                continue
            line = process.cmdline()
            if not line:  # it is ending
                continue
            names = [kind for kind, words in KINDS.items() if words in " ".join(line)] if "bash" not in line[0] else []
            kind = names[0] if names else "others"
            parent = process.parent() if kind == "process that forks kernels" else None
            if parent and parent.cmdline() == line:
                kind = "kernel"
            found.setdefault(kind, []).append(process)
    return found


def _steps(run: Path) -> dict[str, int]:
    """Return the steps in the checkpoints of unfinished trainings, by name."""
    there = [path for path in run.glob("checkpoints/[!.]*.pt") if not path.name.endswith(FINISHED)]
    return {path.name: torch.load(path, weights_only=True)["step"] for path in there}


def _ended(run: Path) -> dict[Path, int]:
    """Return the files of finished trainings, and when they were written."""
    return {path: path.stat().st_mtime_ns for path in run.glob(f"checkpoints/[!.]*{FINISHED}")}


def _equal(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def main() -> None:
    """Run undisturbed, run with kills, and compare both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, killed = (project(Path(folder) / name) for name in ("undisturbed", "killed"))
        chaos(undisturbed, 0, arguments.seed, arguments.jobs)
        result = chaos(killed, arguments.kills, arguments.seed, arguments.jobs)
        odd = compare_folders(undisturbed / "runs" / "smoke", killed / "runs" / "smoke")
    print(f"{result}; {'all bytes equal' if not odd else f'DIFFERENT: {odd}'}")
    sys.exit(1 if odd else 0)


if __name__ == "__main__":
    main()
