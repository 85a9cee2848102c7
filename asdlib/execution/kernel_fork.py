"""Fork kernels from a process that has already imported PyTorch and the other heavy libraries.

These imports take longer than the computations of most notebooks of the demonstration (``benchmarks/kernels.py``
measures both). During ``make reproduce`` one server process imports the libraries and forks on request
(:func:`_serve`). For each notebook Jupyter starts this file as its kernel (:func:`_start`), which requests a fork and
passes on working folder, environment and output; the fork becomes the kernel. Each notebook thus still has its own
process, in the same state at every start. Without a server process, as on another machine, the kernel starts in the
usual way.

The standard hooks do not replace this file: a kernel provisioner of Jupyter and an engine of papermill live in the
process of one notebook, and the fork server of :mod:`multiprocessing` serves only the process that started it, while
each notebook is a separate command that Snakemake starts.

This file uses only the standard library because it is the first file that a kernel runs.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading

LIBRARIES = (
    "ipykernel.kernelapp",
    "IPython.display",
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


def _serve(address: str) -> None:
    """Import the libraries, then fork for each request at ``address`` until standard input is closed."""
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
