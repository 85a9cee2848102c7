"""Make child processes exit when the command that started them dies.

A killed command would leave Snakemake running, and a killed Snakemake its jobs. If the command were then run again, two
processes would train the same model at the same time. The command therefore holds a named pipe open for writing as long
as it lives. Snakemake and each job block on reading from the pipe. The read returns when the command has ended, however
it ended, and they then exit. The next command first waits until they have.
"""

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from asdlib.errors import AsdError
from asdlib.records import fingerprint

PATIENCE = 60.0  # seconds that processes of an earlier run may take to end; they need about one


@contextlib.contextmanager
def leading(folder: Path) -> Iterator[Path]:
    """Open the pipe of a new run, after all processes of an earlier run have ended.

    Args:
        folder: Folder in which to create the pipe; only one process at a time may lead here.

    Yields:
        Path of the pipe, to be passed to the processes that call :func:`follow`. Each leader has its own pipe, so that
        a process that starts late does not follow the next leader.

    Raises:
        AsdError: Processes of an earlier run do not end.
    """
    began = time.monotonic()
    # Some shared file systems have no named pipes.
    elsewhere = Path(tempfile.gettempdir(), f"asdlib-{os.getuid()}-{fingerprint(str(folder.resolve()))}")
    for earlier in sorted([*folder.glob("leader.*"), *elsewhere.glob("leader.*")]):
        while _has_reader(earlier):
            if time.monotonic() - began > PATIENCE:
                raise AsdError(
                    f"{earlier}: processes of an earlier run have not ended; kill them (asdlib execute, snakemake)"
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
    descriptor = os.open(pipe, os.O_RDWR)  # opening it only for writing would block until there is a reader
    try:
        yield pipe
    finally:
        os.close(descriptor)
        pipe.unlink(missing_ok=True)


def follow(pipe: Path | str) -> None:
    """End this process when the leader of its run, which yielded ``pipe`` in :func:`leading`, has ended."""
    try:
        descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:  # the leader ended before this process started
        os._exit(1)
    os.set_blocking(descriptor, True)

    def wait() -> None:
        os.read(descriptor, 1)
        os._exit(1)  # no clean-up needed: finished files are in place, and a kernel ends when its parent is gone

    threading.Thread(target=wait, name="leader", daemon=True).start()


def follow_in_pool(pipe: str) -> None:
    """Initialise a worker process of a pool: it ends with the leader, and prints no traceback on Ctrl-C.

    This function is defined here so that a worker follows the leader before it imports anything heavy.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    follow(pipe)


def _has_reader(pipe: Path) -> bool:
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:  # ENXIO: nobody has it open for reading
        return False
    return True
