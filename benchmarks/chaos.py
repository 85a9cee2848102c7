"""Kill a smoke run with SIGKILL at random moments until it has survived enough, and compare it with a run in peace.

Run by ``python benchmarks/chaos.py --kills 100``; prints a line a kill and one at the end. A kill hits a kernel, a
papermill, Snakemake, the command itself, or all of them at once, as a power cut would. ``tests/test_chaos.py`` runs 20.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil  # comes with Snakemake

ROOT = Path(__file__).resolve().parent.parent
MARK = "ASDLIB_CHAOS"  # environment variable by which all processes of a run are found, orphans too
KINDS = {  # what a process is called: words of its command line
    "kernel": "ipykernel_launcher",
    "papermill": "asdlib execute",
    "Snakemake": "-m snakemake",
    "command": "asdlib reproduce",
}
PATTERNS = ("**/scores.csv", "**/*.safetensors", "**/waveforms.npy", "**/history.csv", "**/choices.csv", "*.csv")
"""What must be equal byte by byte: scores, models, clips, losses, what ensembles chose, Table 1 and the claims."""


@dataclass
class Survived:
    """What a run went through."""

    kills: dict[str, int] = field(default_factory=dict)
    """kind of victim to how many"""
    starts: int = 0
    """times that the command was given"""
    resumed: int = 0
    """trainings that went on from a checkpoint"""
    seconds: float = 0.0


def project(home: Path) -> Path:
    """Make ``home`` a project folder of its own, with links to this one."""
    home.mkdir(parents=True, exist_ok=True)
    for name in ("notebooks", "params", "Snakefile", "book"):
        (home / name).symlink_to(ROOT / name)
    return home


def chaos(home: Path, kills: int, seed: int, longest: float, jobs: int = 2) -> Survived:
    """Run the smoke profile up to Table 1 in ``home``, killing ``kills`` times, then to its end.

    Args:
        home: Made by :func:`project`; what an earlier run left there is gone on from.
        kills: How many.
        seed: Of moments and victims.
        longest: Seconds from one kill to the next are uniform from 0 to this; a run that starts takes about three to
            come to its first job.
        jobs: Processor cores.

    Raises:
        AssertionError: The run failed by itself, left processes or half-written files, or never came to its end.
    """
    rng, result, began = np.random.default_rng(seed), Survived(), time.monotonic()
    log = home / "chaos.log"
    while True:
        result.starts += 1
        with open(log, "a", encoding="utf-8") as output:
            done, hit = _once(home, kills, rng, longest, jobs, output, result)
        if done == 0:
            break
        assert hit, f"the command failed by itself with {done}; its output ends\n{_end(log)}"
    left = sum(result.kills.values())
    if left < kills:  # it came to its end too early: begin once more
        shutil.rmtree(home / "runs")
        rest = chaos(home, kills - left, seed + 1, longest, jobs)
        result.starts += rest.starts
        for kind, count in rest.kills.items():
            result.kills[kind] = result.kills.get(kind, 0) + count
    time.sleep(1.5)  # kernels look once a second whether their parent is there
    assert not _processes(home), f"processes are left: {_processes(home)}"
    halves = [path for path in (home / "runs").rglob(".*")]
    assert not halves, f"half-written files are left: {halves}"
    assert not list((home / "runs").glob("*/checkpoints/*")), "checkpoints are left"
    result.resumed = log.read_text(encoding="utf-8").count("going on from step")
    result.seconds = time.monotonic() - began
    return result


def differing(run: Path, other: Path) -> list[str]:
    """Files (:data:`PATTERNS`) of two run folders that are missing in one or differ in any byte."""
    names = {str(path.relative_to(folder)) for folder in (run, other) for at in PATTERNS for path in folder.glob(at)}
    assert names, f"{run} holds no results"
    return [name for name in sorted(names) if not _equal(run / name, other / name)]


def _once(home: Path, kills: int, rng, longest: float, jobs: int, output, result: Survived) -> tuple[int, bool]:
    """Give the command once; its exit code, and whether something of it was killed."""
    environment = os.environ | {MARK: str(home), "ASDLIB_CHECKPOINT_SECONDS": "0"}
    command = [sys.executable, "-m", "asdlib", "reproduce", "--profile", "smoke", "--jobs", str(jobs), "table1"]
    hit = False
    run = subprocess.Popen(command, cwd=home, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        while sum(result.kills.values()) < kills:
            try:
                return run.wait(timeout=rng.uniform(0, longest)), hit
            except subprocess.TimeoutExpired:
                pass
            there = _processes(home)
            kind = str(rng.choice([*sorted(there), "all at once"]))
            everyone = [process for group in there.values() for process in group]
            for victim in everyone if kind == "all at once" else [rng.choice(there[kind])]:
                victim.kill()
            hit = True
            result.kills[kind] = result.kills.get(kind, 0) + 1
            print(f"{sum(result.kills.values())}: killed {kind}", flush=True)
        return run.wait(timeout=1200), hit
    finally:
        if run.poll() is None:
            run.kill()


def _processes(home: Path) -> dict[str, list[psutil.Process]]:
    """The processes of a run by their kind."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) != str(home) or process.status() == psutil.STATUS_ZOMBIE:
                continue
            line = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        for kind, words in KINDS.items():
            if words in line and "bash" not in line.split(" ")[0]:
                found.setdefault(kind, []).append(process)
                break
    return found


def _equal(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and one.read_bytes() == other.read_bytes()


def _end(log: Path) -> str:
    return log.read_text(encoding="utf-8")[-4000:]


def main() -> None:
    """Run in peace, run with kills, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=20.0, help="seconds from one kill to the next, at most")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        peace, war = project(Path(folder) / "peace"), project(Path(folder) / "war")
        chaos(peace, 0, given.seed, given.longest, given.jobs)
        result = chaos(war, given.kills, given.seed, given.longest, given.jobs)
        odd = differing(peace / "runs" / "smoke", war / "runs" / "smoke")
    print(f"{result}; {'all bytes equal' if not odd else f'DIFFERENT: {odd}'}")
    sys.exit(1 if odd else 0)


if __name__ == "__main__":
    main()
