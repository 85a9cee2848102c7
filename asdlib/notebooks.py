"""Executing a stage's notebook with papermill, after its parameters are checked.

Papermill itself only warns of a misspelt parameter and checks no types; here both are errors before a kernel starts.
"""

import contextlib
import difflib
import io
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from asdlib import AsdError, artefacts, leader, params, paths, warm
from asdlib.artefacts import writing


class NotebookError(AsdError):
    """A notebook that cannot be executed as asked, or a cell of it that failed."""


def parameters(notebook: Path) -> dict:
    """The notebook's parameters: name to ``{"inferred_type_name", "default", "help"}``, as papermill reads them."""
    if not notebook.is_file():
        known = ", ".join(sorted(path.name for path in notebook.parent.glob("*.ipynb"))) or "none"
        raise NotebookError(f"{notebook}: no such notebook; there: {known}")
    try:
        whole = isinstance(json.loads(notebook.read_text(encoding="utf-8"))["cells"], list)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise NotebookError(
            f"{notebook}: is no Jupyter notebook; expected one of notebooks/, for example 01_data.ipynb"
        )
    try:
        return _papermill().inspect_notebook(str(notebook))
    except ValueError as error:  # its metadata name no kernel or language
        raise NotebookError(f"{notebook}: {error}; save it once in JupyterLab with a Python kernel") from None


def check(notebook: Path, values: dict) -> None:
    """Raise :class:`NotebookError` unless the notebook has these parameters, of these types, and they make sense."""
    if not isinstance(values, dict):
        raise NotebookError(
            f"{notebook.name}: parameters are {json.dumps(values)}; expected an object such as {{}} or "
            '{"params": "demo"}'
        )
    known = parameters(notebook)
    for name, value in values.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
            raise NotebookError(f"{notebook.name}: unknown parameter {name!r}; {hint}")
        expected = known[name]["inferred_type_name"]
        if type(value).__name__ != expected and not (expected == "float" and isinstance(value, int)):
            raise NotebookError(f"{notebook.name}: parameter {name!r} is {value!r}; expected a {expected}")
    settings = params.load(values.get("params", "demo"), values.get("overrides"))
    branch = {"03": "autoencoder", "04": "autoencoder", "05": "classifier", "06": "classifier"}.get(notebook.name[:2])
    if branch and "candidate" in values:
        settings.candidate(branch, values["candidate"])


COMMON = "ASDLIB_PARAMETERS"
"""environment variable with parameters (JSON) for all notebooks of a run: its profile and overrides"""


def environment(settings) -> dict[str, str]:
    """Environment variables that every kernel of a run has."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    threads = dict.fromkeys(names, str(settings.threads))  # two jobs side by side do not fight for cores
    # ipykernel's debugger would warn at every start.
    return threads | {"PYTHONHASHSEED": "0", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


PATIENCE = 900
"""seconds that a kernel may take to start: imports from a busy or network file system take minutes"""


def surroundings(folder: Path) -> dict[str, str]:
    """Environment variables that keep a user's own set-up of Jupyter, IPython and matplotlib out of a kernel.

    A ``python3`` kernel elsewhere on ``JUPYTER_PATH`` would run another Python, start-up files of IPython other code,
    and a ``matplotlibrc`` would change the figures.

    Args:
        folder: A folder for the kernel's own files, gone after it.
    """
    paths_before = os.environ.get("JUPYTER_PATH", "")
    if not warm.is_ours(paths_before.partition(os.pathsep)[0]):
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        warm.write_specification(folder, argv)
        paths_before = os.pathsep.join(filter(None, [str(folder), paths_before]))
    return {
        "JUPYTER_PATH": paths_before,
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        "MATPLOTLIBRC": str(Path(find_spec("matplotlib").origin).parent / "mpl-data" / "matplotlibrc"),
    }


@contextlib.contextmanager
def _changed_environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    os.environ.pop("PYTHONSTARTUP", None)  # IPython would run it
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def execute(notebook: Path, output: Path, values: dict) -> float:
    """Execute ``notebook`` with papermill and keep the executed notebook at ``output``; return the seconds it took.

    Lines that the cells print are passed on to standard output, each after the name of the executed notebook. The
    executed notebook is kept also when a cell fails, with its traceback.

    Raises:
        NotebookError: A parameter does not fit, or a cell failed; then the message is the cell's own error.
    """
    if isinstance(values, dict):
        values = json.loads(os.environ.get(COMMON, "{}")) | values
    check(notebook, values)
    settings = params.load(values.get("params", "demo"), values.get("overrides"))
    papermill = _papermill()
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    logging.getLogger("papermill").setLevel(logging.ERROR)
    leader.follow()
    began = time.monotonic()
    lines = Prefixed(output.stem)
    with writing(output) as temporary, contextlib.ExitStack() as stack:
        folder = stack.enter_context(artefacts.socket_folder())
        stack.enter_context(_changed_environment(environment(settings) | surroundings(folder)))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # of the libraries that start the kernel; the kernel has its own filters
        try:
            papermill.execute_notebook(
                str(notebook),
                str(temporary),
                parameters=values,
                cwd=str(paths.home()),
                kernel_name="python3",  # ours (surroundings), whatever the notebook was saved with
                start_timeout=PATIENCE,
                progress_bar=False,
                stdout_file=lines,
                stderr_file=lines,
                # Sockets in a folder of their own: no port is opened, and jobs side by side cannot take each other's.
                config=Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}}),
            )
            failure = None
        except PapermillExecutionError as error:
            failure = f"{error.ename}: {error.evalue}"
            if error.ename in ("MemoryError", "OutOfMemoryError") or "can't allocate memory" in error.evalue:
                failure += "; free some memory, run fewer jobs (JOBS=1) or lower the batch size"
        except RuntimeError as error:  # nbclient's DeadKernelError is one, and that of a kernel that never answered
            if "ernel died" in str(error):
                failure = "the kernel died, most likely for want of memory; free some, or run fewer jobs (JOBS=1)"
            elif "respond" in str(error):
                failure = f"no kernel started in {PATIENCE} s; run fewer jobs (JOBS=1), or wait for a less busy machine"
            else:
                raise
        lines.close()
    if failure is not None:
        raise NotebookError(f"{output}: {failure}")
    return time.monotonic() - began


def failures(folder: Path, since: float) -> list[str]:
    """What went wrong in the executed notebooks of ``folder`` that are newer than ``since`` (seconds of the epoch)."""
    sentences = []
    for path in sorted(folder.glob("*.ipynb")):
        if path.name.startswith(".") or path.stat().st_mtime < since:  # hidden: what a killed job left half-written
            continue
        if not path.stat().st_size:  # its kernel died before the first cell
            continue
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        errors = [output for output in outputs if output["output_type"] == "error"]
        sentences += [f"{path}: {error['ename']}: {error['evalue']}" for error in errors]
    return sentences


def _papermill():
    """Papermill, imported in 0.4 s instead of 1.7: jsonschema, below it, would build a grammar of web addresses."""
    sys.modules.setdefault("rfc3987_syntax", None)  # not importable; only JSON formats that no notebook has need it
    import papermill

    return papermill


class Prefixed(io.TextIOBase):
    """Passes whole lines on to standard output, each with a prefix, so that jobs side by side can be told apart."""

    def __init__(self, prefix: str):
        self.prefix, self.rest = prefix, ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            if line.strip():
                print(f"{self.prefix} | {line}", file=sys.__stdout__, flush=True)
        return len(text)

    def close(self) -> None:
        if not self.closed and self.rest:
            self.write("\n")
        super().close()
