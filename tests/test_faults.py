"""Test full and read-only disks, lack of memory and killed workers: one clear error, and artefacts stay unchanged."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest

from asdlib import atomic
from asdlib.errors import ArtefactError, AsdError, NotebookError
from asdlib.execution import kernels, notebooks, process_lifetime, reproduce

pytestmark = pytest.mark.slow

# Every library that writes our files, each with its own error for a full disk.
WRITERS = """
import json, sys, resource, traceback
from pathlib import Path
import numpy as np, pandas as pd, soundfile, torch
from safetensors.torch import save_file
from asdlib import atomic
from asdlib.atomic import writing

weights = {"weight": torch.zeros(300_000)}
WRITERS = {
    "model.safetensors": lambda path: save_file(weights, path),
    "checkpoint.pt": lambda path: torch.save(weights, path),
    "scores.csv": lambda path: pd.DataFrame(np.zeros((30_000, 8))).to_csv(path, index=False),
    "waveforms.npy": lambda path: np.save(path, np.zeros(300_000)),
    "clip.wav": lambda path: soundfile.write(path, np.zeros(600_000), 16_000),
    "record.json": lambda path: path.write_text(json.dumps([0] * 300_000)),
}
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
for name, write in WRITERS.items():
    for whole in (False, True):
        path = folder / (f"{name}.folder" if whole else name)
        try:
            with writing(path, folder=whole) as temporary:
                write(temporary / name if whole else temporary)
            print(json.dumps([path.name, None, ""]))
        except Exception as error:
            print(json.dumps([path.name, type(error).__name__, str(error)]))
"""
FILES = ["model.safetensors", "checkpoint.pt", "scores.csv", "waveforms.npy", "clip.wav", "record.json"]


def older(folder: Path) -> dict[str, str]:
    """Put an older version of every artefact in place."""
    for name in FILES:
        (folder / name).write_text(f"old {name}")
        (folder / f"{name}.folder").mkdir()
        (folder / f"{name}.folder" / name).write_text(f"old {name} in a folder")
    return state(folder)


def state(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def written(command: list, **more) -> list[tuple[str, str, str]]:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_a_file_that_cannot_grow_leaves_the_older_one(tmp_path, note):
    before = older(tmp_path)
    results = written([sys.executable, "-c", WRITERS, tmp_path, 100_000])
    assert len(results) == 2 * len(FILES)
    for name, kind, message in results:
        assert kind == "ArtefactError" and message.startswith(f"could not write {tmp_path / name} (File too large)")
        assert "the previous version is unchanged" in message and "run the same command again to resume" in message
    assert state(tmp_path) == before
    note("writes to a file that cannot grow, the older version intact", len(results))


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_disk_that_takes_nothing_leaves_the_older_version(tmp_path, kind, note):
    """Mount a small file system in a separate name space."""
    script = tmp_path / "script.py"
    script.write_text(WRITERS)
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    (tmp_path / "before").mkdir()
    before = older(tmp_path / "before")
    readonly = f"mount -o remount,ro {disk}" if kind == "read-only" else "true"
    steps = f"""
        mount -t tmpfs -o size=400k none {disk} || exit 99
        cp -r {tmp_path}/before/. {disk} && {readonly} || exit 98
        {sys.executable} {script} {disk} 0
        cp -r {disk} {copy}
    """
    command = ["unshare", "--map-root-user", "--mount", "bash", "-c", textwrap.dedent(steps)]
    if subprocess.run([*command[:-1], f"mount -t tmpfs none {disk}"], capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not permitted here")
    results = written(command)
    reason = {"full": "No space left on device", "read-only": "Read-only file system"}[kind]
    for name, error, message in results:
        assert error == "ArtefactError" and f"{name} ({reason})" in message, message
        assert {"full": "free some space", "read-only": "make its folder writable"}[kind] in message
    assert len(results) == 2 * len(FILES) and state(copy) == before
    note(f"writes to a {kind} disk, the older version intact", len(results))


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "runs").touch()
    words = r"could not write .*runs/smoke/a.csv \((Not a directory|File exists)\).*file that is in the way"
    with pytest.raises(ArtefactError, match=words):
        atomic.write_json({}, tmp_path / "runs" / "smoke" / "a.csv")


def test_other_errors_are_unchanged(tmp_path):
    for error in (ValueError("x"), PermissionError(13, "Permission denied", "/elsewhere/in.wav"), RuntimeError("y")):
        with pytest.raises(type(error)) as info, atomic.writing(tmp_path / "a"):
            raise error
        assert info.value is error


def test_remains_of_killed_processes_are_removed(tmp_path):
    code = (
        "import os, sys, pathlib; from asdlib.atomic import writing\n"
        "with writing(pathlib.Path(sys.argv[1]), folder=sys.argv[2] == 'folder') as temporary:\n"
        "    (temporary / 'half' if temporary.is_dir() else temporary).write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    for place, kind in (("deep/model.safetensors", "file"), ("deep/model", "folder"), ("top.csv", "file")):
        done = subprocess.run([sys.executable, "-c", code, tmp_path / place, kind], check=False)
        assert done.returncode == -signal.SIGKILL
    with atomic.writing(tmp_path / "alive.csv") as alive:
        assert atomic.sweep(tmp_path, deep=False, name="other.csv") == []
        assert len(atomic.sweep(tmp_path, deep=False, name="top")) == 1
        assert len(atomic.sweep(tmp_path)) == 2
        assert alive.is_file()  # its process lives
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["alive.csv", "deep"]


# Processes ------------------------------------------------------------------------------------------------------------
def executed(tmp_path, code: str) -> str:
    """Return the error message of a notebook with this cell."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)], metadata=kernel), tmp_path / "a.ipynb"
    )
    with pytest.raises(NotebookError) as info:
        notebooks.execute(tmp_path / "a.ipynb", tmp_path / "b.ipynb", {"params": "smoke"})
    assert "\n" not in str(info.value) and str(info.value).startswith(str(tmp_path / "b.ipynb"))
    return str(info.value)


def test_a_kernel_that_dies_or_wants_too_much_memory(tmp_path, monkeypatch, note):
    monkeypatch.setattr(notebooks, "check", lambda notebook, values: None)
    assert "the kernel died" in executed(tmp_path, "import os; os.kill(os.getpid(), 9)")
    remedy = "free some memory, run fewer jobs (JOBS=1) or lower the batch size"
    assert remedy in (sentence := executed(tmp_path, "x = [0] * (1 << 60)")) and "MemoryError" in sentence
    raised = 'raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory: you tried to allocate 4 bytes")'
    assert remedy in executed(tmp_path, raised)  # torch's sentence
    note("kernels killed or out of memory, each reported in one sentence", 3)


def test_a_kernel_that_dies_before_it_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "check", lambda notebook, values: None)
    kernel = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["false", "{connection_file}"], "display_name": "x", "language": "python"}))
    monkeypatch.setattr(kernels, "isolation", lambda folder: {"JUPYTER_PATH": str(tmp_path / "jupyter")})
    assert "the kernel died" in executed(tmp_path, "1")
    (tmp_path / "empty.ipynb").touch()  # as such a kernel may leave it
    assert reproduce.failures(tmp_path, 0) == []


_JOB = """
import os, sys, time
from asdlib.execution import process_lifetime
process_lifetime.follow(sys.argv[1])
print("at work", flush=True)
time.sleep(60)
"""


_COMMAND = """
import os, sys, subprocess
from pathlib import Path
from asdlib.execution import process_lifetime
with process_lifetime.leading(Path(sys.argv[1])) as pipe:
    job = subprocess.Popen([sys.executable, "-c", sys.argv[2], pipe])
    print(job.pid, pipe, flush=True)
    job.wait()
"""


def test_a_job_ends_with_its_command(tmp_path, monkeypatch):
    """After the command is killed, its job ends by itself, and only then does the next command begin."""
    command = [sys.executable, "-c", _COMMAND, str(tmp_path), _JOB]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        job, pipe = running.stdout.readline().split()
        assert running.stdout.readline() == "at work\n"
        monkeypatch.setattr(process_lifetime, "PATIENCE", 0.2)
        with (
            pytest.raises(AsdError, match="processes of an earlier run have not ended"),
            process_lifetime.leading(tmp_path),
        ):
            pass
        monkeypatch.undo()
        running.kill()
    with process_lifetime.leading(tmp_path) as ours:
        state = Path(f"/proc/{job}/stat")
        assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"
        assert list(tmp_path.iterdir()) == [ours]
        late = [sys.executable, "-c", _JOB, pipe]  # a job that the killed command had only just started
        done = subprocess.run(late, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_stage_that_runs_out_of_memory_is_reported(tmp_path):
    """Limit the address space, as a container or a batch system does."""
    code = (
        "import sys, resource, torch\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({6 * 2**30}, {6 * 2**30}))\n"
        "try:\n    torch.empty(1 << 40)\n"
        'except RuntimeError as error:\n    print("can\'t allocate memory" in str(error))'
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"  # the words by which notebooks.execute knows it


def test_a_folder_without_named_pipes(tmp_path, monkeypatch):
    """On some shared file systems the pipe is in another folder; the next command still waits for it."""
    mkfifo, home, temporary = os.mkfifo, tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()

    def refuses(path, *more):
        if Path(path).parent == home:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        mkfifo(path, *more)

    monkeypatch.setattr(process_lifetime.os, "mkfifo", refuses)
    monkeypatch.setattr(process_lifetime.tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(process_lifetime, "PATIENCE", 0.2)
    with process_lifetime.leading(home) as pipe:
        assert pipe.is_fifo() and pipe.is_relative_to(temporary)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # a follower that does not end
        left = pipe.with_name("leader.1")
        os.link(pipe, left)  # that of a leader that was killed
        with (
            pytest.raises(AsdError, match="processes of an earlier run have not ended"),
            process_lifetime.leading(home),
        ):
            pass
        os.close(reader)
        left.unlink()
    with process_lifetime.leading(home) as pipe:
        assert pipe.is_fifo()
