"""Whatever a run started ends with it.

A killed command would leave Snakemake at work, and a killed Snakemake its jobs; were the command given again, two
processes would train the same model side by side. So the command holds a named pipe open for writing as long as it
lives. Snakemake and each job read from it, which returns when the command is gone, however it went, and then end
themselves. The next command first waits until they have.
"""

import contextlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from asdlib import AsdError

PIPE = "ASDLIB_LEADER"
"""environment variable with the path of the pipe"""

PATIENCE = 60.0  # seconds that processes of an earlier run get to end; they need about one


@contextlib.contextmanager
def leading(pipe: Path) -> Iterator[None]:
    """Lead a run, after all processes of an earlier one have ended.

    Args:
        pipe: Path of the pipe, made if missing; those who shall :func:`follow` find it in the environment as
            :data:`PIPE`.

    Raises:
        AsdError: Processes of an earlier run do not end.
    """
    if not (pipe.exists() and stat.S_ISFIFO(pipe.stat().st_mode)):
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
    began = time.monotonic()
    while _followed(pipe):
        if time.monotonic() - began > PATIENCE:
            raise AsdError(f"{pipe}: processes of an earlier run do not end; end them (asdlib execute, snakemake)")
        time.sleep(0.1)
    descriptor = os.open(pipe, os.O_RDWR)  # for writing alone, it would wait for a reader
    try:
        yield
    finally:
        os.close(descriptor)


def follow() -> None:
    """End this process when the leader of its run is gone; without a leader, do nothing."""
    if not os.environ.get(PIPE):
        return
    descriptor = os.open(os.environ[PIPE], os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)

    def wait() -> None:
        os.read(descriptor, 1)
        os._exit(1)  # no tidying: what is whole is in place, and a kernel ends when it misses its parent

    threading.Thread(target=wait, name="leader", daemon=True).start()


def _followed(pipe: Path) -> bool:
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:  # ENXIO: nobody has it open for reading
        return False
    return True
