"""Test that warm kernels are separate processes, differ from others only in speed, and end with their parent."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from asdlib import params
from asdlib.execution import kernels

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forked kernels are for Linux"),
]

PROBE = """
import json, os, sys
import matplotlib.pyplot as plt
seen = "torch" in sys.modules, "left" in os.environ
os.environ["left"] = sys.left = "behind"
plt.plot([0, 1])
print(json.dumps([os.getpid(), os.getppid(), *seen, os.environ["MARK"], os.getcwd(), "" in sys.path, __name__]))
"""


@pytest.fixture(scope="module")
def environment():
    given = os.environ | kernels.environment(params.load("smoke")) | {"MARK": "given"}
    with kernels.kernels(given) as environment:
        yield environment


def executed(folder: Path, environment: dict, source: str = PROBE) -> list:
    """Return the outputs of a notebook with one cell."""
    path = folder / "probe.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    command = [sys.executable, "-m", "papermill", path, path, "--no-progress-bar", "--cwd", folder]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    return nbformat.read(path, as_version=4).cells[0].outputs


def test_two_notebooks_share_the_imports_and_nothing_else(tmp_path, environment):
    """Each runs in a fork of one process, with its own environment and folder; figures are shown."""
    seen = []
    for _ in range(2):
        outputs = executed(tmp_path, environment)
        text = next(output.text for output in outputs if output.output_type == "stream")
        seen.append(json.loads(text))
        assert any("image/png" in output.get("data", {}) for output in outputs)
    (one, server, *rest), (other, same_server, *same) = seen
    assert one != other and server == same_server
    assert rest == same == [True, False, "given", str(tmp_path), True, "__main__"]


def test_without_the_warm_process_a_kernel_starts_as_any_other(tmp_path):
    with kernels.kernels(os.environ | {"MARK": "given"}) as environment:
        folder = environment["JUPYTER_PATH"].partition(os.pathsep)[0]
        specification = Path(folder, "kernels", "python3", "kernel.json")
        kernel = json.loads(specification.read_text(encoding="utf-8"))
        kernel["argv"] = [argument.replace(f"{folder}/socket", f"{folder}/none") for argument in kernel["argv"]]
        specification.write_text(json.dumps(kernel), encoding="utf-8")
        outputs = executed(tmp_path, environment)
    text = next(output.text for output in outputs if output.output_type == "stream")
    assert json.loads(text)[2:5] == [False, False, "given"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_kernel_ends_with_its_proxy_process(tmp_path, environment, end):
    folder = environment["JUPYTER_PATH"].partition(os.pathsep)[0]
    argv = json.loads(Path(folder, "kernels", "python3", "kernel.json").read_text(encoding="utf-8"))["argv"]
    text = next(output.text for output in executed(tmp_path, environment) if output.output_type == "stream")
    forks = Path(f"/proc/{json.loads(text)[1]}/task/{json.loads(text)[1]}/children")
    waited(lambda: not forks.read_text())
    connection = tmp_path / "connection.json"
    command = [argument.format(connection_file=connection) for argument in argv]
    stands = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waited(lambda: connection.exists() and forks.read_text())
    stands.send_signal(end)
    stands.wait(10)
    waited(lambda: not forks.read_text())


def waited(condition, seconds: float = 30.0) -> None:
    """Wait until ``condition()``."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come about"
        time.sleep(0.05)
