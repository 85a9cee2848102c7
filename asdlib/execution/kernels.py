"""Start kernels quickly by forking a process that has already imported PyTorch and the other heavy libraries.

These imports take longer than the computations of most demo notebooks. During ``make reproduce`` one server process
imports the libraries and forks on request (:func:`_serve`). For each notebook Jupyter starts this file as its kernel
(:func:`_start`), which it finds through a kernel specification in ``JUPYTER_PATH``. It requests a fork of the server
process and passes on working folder, environment and output; the fork becomes the kernel. Each notebook thus still has
its own process, in the same state at every start. Without a server process, as on another machine, the kernel starts in
the usual way.

This file imports little because it is the first file that a kernel runs. It works on Linux only, where forking is safe
after these imports.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

LIBRARIES = (
    "ipykernel.kernelapp",
    "IPython.display",
    "librosa.filters",
    "matplotlib.pyplot",
    "pandas",
    "pydantic",
    "safetensors.torch",
    "scipy.stats",
    "seaborn",
    "sklearn.covariance",
    "sklearn.manifold",
    "sklearn.metrics",
    "soundfile",
    "timm",
    "torch",
    "torch._dynamo",  # every optimiser imports it
    "torchvision.models",
)
"""libraries that notebooks import; without our own modules, so that each notebook runs their current code"""


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
        write_specification(folder, [sys.executable, "-P", "-S", __file__, address, "-f", "{connection_file}"])
        # In its own session, keyboard interrupts do not reach it; it ends when its standard input is closed.
        process = subprocess.Popen(
            [sys.executable, "-m", "asdlib.execution.kernels", address],
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

    from asdlib.errors import AsdError  # not at the top: kernels start this file without our packages

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
        return __file__ in json.loads(path.read_text(encoding="utf-8"))["argv"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _serve(address: str) -> None:
    """Import the libraries, then fork for each request at ``address`` until standard input is closed."""
    import gc
    import importlib

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)  # requests queue up during the imports
        for name in LIBRARIES:
            importlib.import_module(name)
        gc.freeze()  # keeps the forks' garbage collection from copying shared memory
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                break
            connection.close()
    _become(connection)


def _become(connection: socket.socket) -> None:
    """Become the kernel of the process at the other end of ``connection``, until either of them ends."""
    import runpy
    import threading

    message, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while not message.endswith(b"\n"):
        message += connection.recv(1 << 16)
    request = json.loads(message)
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.setsid()
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [*request["argv"], f"--IPKernelApp.parent_handle={os.getppid()}"]  # otherwise it prints to a terminal

    def wait() -> None:
        connection.recv(1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="starter", daemon=True).start()
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)


def _start(address: str, argv: list[str]) -> None:
    """Let a fork become the kernel, and exit when that kernel or the process that started this one ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the sender of an interrupt ends the notebook anyway
    request = {"argv": argv, "folder": os.getcwd(), "environment": dict(os.environ)}
    parent = os.getppid()
    try:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address)
        message = json.dumps(request).encode() + b"\n"
        connection.sendall(message[socket.send_fds(connection, [message], [0, 1, 2]) :])
    except OSError:
        os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", *argv[1:]])
    while os.getppid() == parent:
        ready, _, _ = select.select([connection], [], [], 1.0)
        if ready:
            return


if __name__ == "__main__":
    if len(sys.argv) == 2:
        _serve(sys.argv[1])
    else:
        _start(sys.argv[1], [__file__, *sys.argv[2:]])
