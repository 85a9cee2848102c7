"""Test the smoke profile on a real Slurm with the shipped Snakemake profile; `make slurm` starts Slurm on this machine.

Jobs are killed, preempted and left alone by the command that submitted them; the bytes are those of a local run. It
took six to nine minutes on two cores (2026-11-24, on a busy machine).
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil  # comes with Snakemake
import pytest
import yaml

from asdlib import paths
from asdlib.execution import slurm

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "benchmarks")]

import chaos  # noqa: E402


def answers() -> bool:
    return (
        shutil.which("sinfo") is not None and not subprocess.run(["sinfo"], capture_output=True, check=False).returncode
    )


pytestmark = pytest.mark.skipif(
    not answers(),
    reason="no Slurm answers here; as root, with the packages slurm-wlm and munge, `make slurm` starts one",
)

LONGEST = 300.0  # seconds that anything here may take before the test gives up


class Submitted:
    """Run the smoke profile on the cluster, and return its project folder and what happened to its jobs."""

    def __init__(self, home: Path):
        self.home, self.run = home, home / "runs" / "smoke"
        self.log = home / "log.txt"
        # As shipped, but for looks at the queue: jobs of seconds are not worth waiting for minutes, and sacct knows
        # nothing of them where Slurm keeps no accounts.
        options = yaml.safe_load((home / "params" / "slurm" / "config.yaml").read_text(encoding="utf-8"))
        options |= {
            "slurm-init-seconds-before-status-checks": 2,
            "seconds-between-status-checks": 2,
            "slurm-status-command": "squeue",
        }
        (home / "quick").mkdir()
        (home / "quick" / "config.yaml").write_text(yaml.safe_dump(options), encoding="utf-8")

    def start(self) -> subprocess.Popen:
        """Give the command; its output is added to the log."""
        command = [sys.executable, "-m", "asdlib", "reproduce", "--profile", "smoke", "--cluster", "quick"]
        command += ["--set", "checkpoint_seconds=0"]
        environment = {name: value for name, value in os.environ.items() if name != "ASDLIB_HOME"}
        with open(self.log, "a", encoding="utf-8") as output:
            return subprocess.Popen(command, cwd=self.home, env=environment, stdout=output, stderr=subprocess.STDOUT)

    def frozen(self, command: subprocess.Popen, but: str = "") -> tuple[psutil.Process, str, Path]:
        """Stop the kernel of a training in the midst of its steps; this kernel, its job's ID and its executed notebook.

        ``but`` is a job that will not do.
        """
        end = time.monotonic() + LONGEST
        while command.poll() is None and time.monotonic() < end:
            there = (self.run / "checkpoints").glob("*.pt")
            for checkpoint in (path for path in there if not path.name.endswith(paths.FINISHED)):
                for kernel, job, notebook in self.kernels(checkpoint.name):
                    kernel.send_signal(signal.SIGSTOP)
                    time.sleep(0.1)  # a write to the disk may be under way
                    if checkpoint.is_file() and job != but:
                        return kernel, job, notebook
                    kernel.send_signal(signal.SIGCONT)  # it had ended meanwhile
            time.sleep(0.01)
        raise AssertionError(f"no training was seen in the midst of its steps; the output ends\n{self.end()}")

    def kernels(self, checkpoint: str):
        """The kernel of the training that writes a checkpoint (its name), with its job and its notebook."""
        system, *parts = checkpoint.split(".")
        for process in psutil.process_iter(["cmdline"]):
            try:
                line = process.info["cmdline"] or []
                if "execute" not in line or str(self.run) not in " ".join(line) or "-c" in line:
                    continue
                notebook = Path(line[line.index("execute") + 2])
                stage, *about = notebook.stem.split(".")
                if stage.endswith(f"train_{system}") and set(about) <= set(parts):
                    for kernel in process.children(recursive=True):
                        if "ipykernel_launcher" in kernel.cmdline():
                            yield kernel, kernel.environ()["SLURM_JOB_ID"], notebook
            except psutil.NoSuchProcess:
                continue

    def end(self) -> str:
        return self.log.read_text(encoding="utf-8")[-6000:]


def kill(job: str) -> int:
    """Kill every process of a job, like a power failure of its node, and return their number."""
    count = 0
    for process in psutil.process_iter():
        try:
            if process.environ().get("SLURM_JOB_ID") == job:
                process.kill()
                count += 1
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return count


def preempt(job: str) -> None:
    """Let a job of higher priority take the node from ``job``, and return it."""
    urgent = ["sbatch", "--wait", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=true"]
    subprocess.run(urgent, check=True, capture_output=True, timeout=LONGEST)
    told = subprocess.run(["scontrol", "show", "job", job], check=True, capture_output=True, text=True).stdout
    assert "Restarts=1" in told, told
    # Slurm lets a job wait two minutes before it starts again.
    subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=False, capture_output=True)


def snakemakes(home: Path) -> list[psutil.Process]:
    """Return the Snakemake process that submits the jobs of a project folder."""
    found = psutil.process_iter(["cmdline", "environ"])
    return [
        process
        for process in found
        if "snakemake" in (line := process.info["cmdline"] or [])
        and str(home) in line
        and "SLURM_JOB_ID" not in (process.info["environ"] or {})
    ]


def wait_for(what, why: str) -> None:
    end = time.monotonic() + LONGEST
    while not what():
        assert time.monotonic() < end, f"in vain: {why}"
        time.sleep(0.2)


def made(run: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in sorted(run.rglob("*.safetensors"))}


@pytest.fixture(scope="module")
def submitted(project):
    """Run with a job killed, a job preempted and the command killed, each during a training."""
    began, here = time.monotonic(), Submitted(project("cluster"))
    command = here.start()
    _, job, here.killed = here.frozen(command)
    assert kill(job) >= 3  # kernel, papermill, Snakemake
    _, job, here.preempted = here.frozen(command, but=job)
    preempt(job)
    kernel, _, here.left = here.frozen(command, but=job)
    command.kill()
    command.wait()
    wait_for(lambda: not snakemakes(here.home), "the command's Snakemake ends")
    here.alive = slurm.jobs(here.home)
    kernel.send_signal(signal.SIGCONT)
    command = here.start()
    wait_for(lambda: not slurm.jobs(here.home), "the jobs that were left come to their end")
    here.before = made(here.run)
    here.code = command.wait(timeout=LONGEST)
    print(f"\non Slurm: {time.monotonic() - began:.0f} s, killed, preempted and left alone")
    return here


def test_the_bytes_are_those_of_a_local_run(submitted, smoke):
    assert submitted.code == 0, submitted.end()
    assert chaos.differing(submitted.run, smoke / "runs" / "smoke") == []
    assert (submitted.run / "settings.json").read_bytes() == (smoke / "runs" / "smoke" / "settings.json").read_bytes()
    assert (submitted.home / "book" / "_build" / "smoke" / "_build" / "html" / "index.html").is_file()
    assert [path for path in submitted.run.rglob(".partial-*")] == []


def test_killed_and_preempted_trainings_went_on(submitted):
    for notebook in (submitted.killed, submitted.preempted):
        assert "resuming from step" in notebook.read_text(encoding="utf-8"), notebook


def test_jobs_outlive_the_command_and_are_waited_for(submitted):
    assert submitted.alive
    assert "job(s) of an earlier command: " in submitted.log.read_text(encoding="utf-8")
    assert "resuming from step" not in submitted.left.read_text(encoding="utf-8")  # the job that was left made it
    assert submitted.before and submitted.before.items() <= made(submitted.run).items()  # nothing was trained again


def test_names_of_folders_are_not_executed(submitted, project):
    """The plugin puts a job's command in double quotes, in which a shell still expands commands."""
    machine, home = "fan $(touch hacked) `touch hacked`", project("names")
    for name, given in (("fan", machine), ("valve", "valve")):
        shutil.copytree(submitted.home / "data" / "smoke" / name, home / "in" / given)
    made = home / "runs" / "smoke" / "mahalanobis" / machine / "scores.csv"
    command = [sys.executable, "-m", "asdlib", "reproduce", "--profile", "smoke", "--data", "in", str(made)]
    command += ["--cluster", str(submitted.home / "quick")]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, timeout=LONGEST)
    assert done.returncode == 0 and made.is_file(), done.stderr[-4000:]
    assert list(home.rglob("hacked")) == []


def test_snakemake_by_hand(submitted):
    (submitted.run / "settings.json").unlink()
    submitted.run.joinpath("table1.csv").unlink()
    command = [sys.executable, "-m", "snakemake", "--profile", "quick", "--config", "profile=smoke"]
    target = str(submitted.run / "table1.csv")
    done = subprocess.run([*command, "--", target], cwd=submitted.home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "submitted with SLURM jobid" in done.stderr and (submitted.run / "settings.json").is_file()
