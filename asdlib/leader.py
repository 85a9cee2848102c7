"""Whatever a run started ends with it.

A killed command would leave Snakemake at work, and a killed Snakemake its jobs; were the command given again, two
processes would train the same model side by side. So the command holds a named pipe open for writing as long as it
lives. Snakemake and each job read from it, which returns when the command is gone, however it went, and then end
themselves. The next command first waits until they have.
"""

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from asdlib import AsdError
from asdlib.artefacts import fingerprint

PIPE = "ASDLIB_LEADER"
"""environment variable with the path of the pipe"""

PATIENCE = 60.0  # seconds that processes of an earlier run get to end; they need about one


@contextlib.contextmanager
def leading(folder: Path) -> Iterator[Path]:
    """Lead a run, after all processes of an earlier one have ended.

    Args:
        folder: Where the pipe is made; only one process at a time may lead here.

    Yields:
        Path of the pipe, for the environment of those who shall :func:`follow` (:data:`PIPE`). Each leader has a pipe
        of its own: who starts late must not take the next leader for the one that started it.

    Raises:
        AsdError: Processes of an earlier run do not end.
    """
    began = time.monotonic()
    # For file systems without named pipes, as some shared ones are.
    elsewhere = Path(tempfile.gettempdir(), f"asdlib-{os.getuid()}-{fingerprint(str(folder.resolve()))}")
    for earlier in sorted([*folder.glob("leader.*"), *elsewhere.glob("leader.*")]):
        while _followed(earlier):
            if time.monotonic() - began > PATIENCE:
                raise AsdError(
                    f"{earlier}: processes of an earlier run do not end; end them (asdlib execute, snakemake)"
                )
            time.sleep(0.1)
        earlier.unlink()
    pipe = folder / f"leader.{os.getpid()}"
    try:
        os.mkfifo(pipe)
    except OSError:
        elsewhere.mkdir(mode=0o700, exist_ok=True)
        pipe = elsewhere / pipe.name
        os.mkfifo(pipe)
    descriptor = os.open(pipe, os.O_RDWR)  # for writing alone, it would wait for a reader
    try:
        yield pipe
    finally:
        os.close(descriptor)
        pipe.unlink(missing_ok=True)


def follow() -> None:
    """End this process when the leader of its run is gone; without a leader, do nothing."""
    if not os.environ.get(PIPE):
        return
    try:
        descriptor = os.open(os.environ[PIPE], os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:  # it was gone before we came
        os._exit(1)
    os.set_blocking(descriptor, True)

    def wait() -> None:
        os.read(descriptor, 1)
        os._exit(1)  # no tidying: what is whole is in place, and a kernel ends when it misses its parent

    threading.Thread(target=wait, name="leader", daemon=True).start()


def follow_in_pool(pipe: str) -> None:
    """Initialise a process of a pool: it ends with the leader, and prints no traceback of its own on Ctrl-C.

    It is here so that a new process follows before it imports anything heavy.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ[PIPE] = pipe
    follow()


def _followed(pipe: Path) -> bool:
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:  # ENXIO: nobody has it open for reading
        return False
    return True
