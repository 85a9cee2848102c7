"""Measure what the warm kernels and the blocked import of papermill's dependency gain.

Run by ``python benchmarks/kernels.py``. A notebook that imports what the notebooks import is executed several times,
with a kernel that starts in the usual way and with one that is forked from a process with the libraries imported
(:mod:`asdlib.execution.kernel_fork`), in turns; and papermill is imported with and without the package that
:mod:`asdlib.execution.notebooks` blocks. Prints seconds of CPU time, which other work on the machine hardly changes,
and of wall time.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np

from asdlib import params
from asdlib.execution import kernels
from asdlib.execution.kernel_fork import LIBRARIES

CELL = "\n".join(["import time", *(f"import {name}" for name in LIBRARIES), "print(time.process_time())"])
IMPORT = "import sys, time\n{block}import papermill\nprint(time.process_time())"
BLOCK = 'sys.modules["rfc3987_syntax"] = None\n'


def executed(folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Execute the notebook; return the kernel's CPU time and the wall time of papermill, in seconds."""
    path, began = folder / "imports.ipynb", time.monotonic()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    command = [sys.executable, "-m", "papermill", path, path, "--no-progress-bar"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    outputs = nbformat.read(path, as_version=4).cells[0].outputs
    cpu = float(next(output.text for output in outputs if output.output_type == "stream"))
    return cpu, time.monotonic() - began


def imported(block: str) -> tuple[float, float]:
    """Import papermill in a process of its own; return CPU time and wall time in seconds."""
    began = time.monotonic()
    command = [sys.executable, "-c", IMPORT.format(block=block)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout), time.monotonic() - began


def report(name: str, usual: list[tuple[float, float]], ours: list[tuple[float, float]]) -> None:
    """Print mean and standard deviation of both ways, and the ratio of their means."""
    for kind, one, other in zip(("CPU", "wall"), np.transpose(usual), np.transpose(ours), strict=True):
        texts = [f"{values.mean():.2f} ± {values.std(ddof=1):.2f} s" for values in (one, other)]
        print(f"{name}, {kind} time: {texts[0]} as usual, {texts[1]} here, ratio {one.mean() / other.mean():.1f}")


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=4)
    repeats = parser.parse_args().repeats
    cold = os.environ | kernels.environment(params.load("smoke"))
    with tempfile.TemporaryDirectory() as folder, kernels.kernels(cold) as warm:
        executed(Path(folder), warm)  # waits for the imports
        pairs = [(executed(Path(folder), cold), executed(Path(folder), warm)) for _ in range(repeats)]
    report("a kernel with its imports", *zip(*pairs, strict=True))
    report("import of papermill", *zip(*((imported(""), imported(BLOCK)) for _ in range(repeats)), strict=True))


if __name__ == "__main__":
    main()
