"""Kernels that need not import PyTorch and its company, which takes longer than what most demo notebooks compute.

During ``make reproduce`` one process imports the libraries (:func:`_serve`) and does nothing else. For each notebook
Jupyter starts this file as its kernel (:func:`_start`), found by a kernel specification in ``JUPYTER_PATH``. It asks
for a fork of that process and lends it working folder, environment and output; the fork becomes the kernel. So each
notebook still has a process of its own, in the same state at every start. Where the process is missing, as on another
machine, the kernel starts as any other.

As a kernel's first file this one imports little; it is for Linux, where forking is safe after these imports.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
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
"""what notebooks import from elsewhere; not our own modules, so that each notebook runs the code as it is then"""


@contextlib.contextmanager
def kernels(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Keep warm kernels at hand.

    Args:
        environment: Of the notebooks; what libraries read at import must be in it.

    Yields:
        The environment in which notebooks find these kernels; the given one where the system is not Linux.
    """
    if not sys.platform.startswith("linux"):
        yield environment
        return
    from asdlib.artefacts import socket_folder

    with socket_folder() as folder:
        address = f"{folder}/socket"
        write_specification(folder, [sys.executable, "-P", "-S", __file__, address, "-f", "{connection_file}"])
        # In a session of its own an interrupt from the keyboard does not reach it; it ends when its input does.
        process = subprocess.Popen(
            [sys.executable, "-m", "asdlib.warm", address],
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


def write_specification(folder: Path, argv: list[str]) -> None:
    """Write the specification of a kernel called ``python3``, which Jupyter finds with ``folder`` in JUPYTER_PATH."""
    path = Path(folder, "kernels", "python3", "kernel.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}), encoding="utf-8")


def is_ours(folder: str) -> bool:
    """Whether an entry of JUPYTER_PATH is that of :func:`kernels`."""
    try:
        path = Path(folder, "kernels", "python3", "kernel.json")
        return __file__ in json.loads(path.read_text(encoding="utf-8"))["argv"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _serve(address: str) -> None:
    """Import the libraries, then fork for whoever asks at ``address``, until standard input ends."""
    import gc
    import importlib

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)  # who comes early waits
        for name in LIBRARIES:
            importlib.import_module(name)
        gc.freeze()  # what all forks share is not copied by their garbage collection
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
    """Be the kernel that the process at the other end of ``connection`` was started as, until one of both ends."""
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
    sys.argv = [*request["argv"], f"--IPKernelApp.parent_handle={os.getppid()}"]  # without one it talks to a terminal

    def wait() -> None:
        connection.recv(1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="starter", daemon=True).start()
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)


def _start(address: str, argv: list[str]) -> None:
    """Have a fork become the kernel and live as long as it does, or as the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever sends it ends the notebook anyway
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
