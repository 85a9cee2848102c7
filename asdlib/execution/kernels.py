"""Start kernels in a defined environment, and quickly: forked from a process with the libraries imported."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from asdlib.errors import AsdError
from asdlib.execution import kernel_fork


def environment(settings) -> dict[str, str]:
    """Return the environment variables set for every kernel of a run."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    threads = dict.fromkeys(names, str(settings.threads))  # so that parallel jobs do not compete for cores
    # The last variable silences a warning of ipykernel's debugger at every start.
    return threads | {"PYTHONHASHSEED": "0", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def isolation(folder: Path) -> dict[str, str]:
    """Return environment variables that hide the user's Jupyter, IPython and matplotlib configuration from a kernel.

    Otherwise a ``python3`` kernel elsewhere on ``JUPYTER_PATH`` might run another Python, IPython's start-up files
    might run other code, and a ``matplotlibrc`` might change the figures.

    Args:
        folder: Temporary folder for the kernel's own files.
    """
    paths_before = os.environ.get("JUPYTER_PATH", "")
    if not is_ours(paths_before.partition(os.pathsep)[0]):
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        write_specification(folder, argv)
        paths_before = os.pathsep.join(filter(None, [str(folder), paths_before]))
    return {
        "JUPYTER_PATH": paths_before,
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "MATPLOTLIBRC": str(Path(find_spec("matplotlib").origin).parent / "mpl-data" / "matplotlibrc"),
    }


@contextlib.contextmanager
def kernels(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Run the server process for the duration of the context.

    Args:
        environment: Environment variables of the notebooks; must include those that libraries read on import.

    Yields:
        The environment in which notebooks find these kernels; on systems other than Linux, the given environment.
    """
    if not sys.platform.startswith("linux"):
        yield environment
        return
    with socket_folder() as folder:
        address = f"{folder}/socket"
        write_specification(
            folder, [sys.executable, "-P", "-S", kernel_fork.__file__, address, "-f", "{connection_file}"]
        )
        # In its own session, keyboard interrupts do not reach it; it ends when its standard input is closed.
        process = subprocess.Popen(
            [sys.executable, "-m", "asdlib.execution.kernel_fork", address],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env=environment | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        )
        path = os.pathsep.join(filter(None, [str(folder), environment.get("JUPYTER_PATH")]))
        try:
            yield environment | {"JUPYTER_PATH": path}
        finally:
            process.stdin.close()
            process.wait()


@contextlib.contextmanager
def socket_folder() -> Iterator[Path]:
    """Create a temporary folder whose path is short enough for sockets (about 100 characters at most)."""
    usual = tempfile.gettempdir()
    for place in (usual, os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp", "/dev/shm"):
        if place and len(os.fsencode(place)) <= 60 and os.access(place, os.W_OK | os.X_OK):
            with tempfile.TemporaryDirectory(prefix="asdlib", dir=place, ignore_cleanup_errors=True) as folder:
                yield Path(folder)
            return

    raise AsdError(f"{usual}: the path is too long for sockets (over 60 characters); set TMPDIR to a shorter one")


def write_specification(folder: Path, argv: list[str]) -> None:
    """Write the specification of a kernel named ``python3``, which Jupyter finds with ``folder`` in JUPYTER_PATH."""
    path = Path(folder, "kernels", "python3", "kernel.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}), encoding="utf-8")


def is_ours(folder: str) -> bool:
    """Return whether an entry of JUPYTER_PATH was added by :func:`kernels`."""
    try:
        path = Path(folder, "kernels", "python3", "kernel.json")
        return kernel_fork.__file__ in json.loads(path.read_text(encoding="utf-8"))["argv"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
