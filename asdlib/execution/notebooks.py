"""Check a stage's parameters and execute its notebook with papermill.

Papermill only warns about a misspelt parameter and does not check types; here both are errors before a kernel starts.
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

from asdlib import params, paths
from asdlib.atomic import writing
from asdlib.errors import NotebookError
from asdlib.execution import kernels, process_lifetime


def parameters(notebook: Path) -> dict:
    """Return the notebook's parameters as papermill reads them: ``{"inferred_type_name", "default", "help"}`` each."""
    if not notebook.is_file():
        known = ", ".join(sorted(path.name for path in notebook.parent.glob("*.ipynb"))) or "none"
        raise NotebookError(f"{notebook}: no such notebook; notebooks in that folder: {known}")
    try:
        whole = isinstance(json.loads(notebook.read_text(encoding="utf-8"))["cells"], list)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise NotebookError(
            f"{notebook}: not a Jupyter notebook; expected one from notebooks/, for example 01_data.ipynb"
        )
    try:
        return _papermill().inspect_notebook(str(notebook))
    except ValueError as error:  # its metadata name no kernel or language
        raise NotebookError(f"{notebook}: {error}; save the notebook in JupyterLab with a Python kernel") from None


def check(notebook: Path, values: dict) -> None:
    """Raise :class:`NotebookError` unless the notebook has parameters of these names and types with valid values."""
    if not isinstance(values, dict):
        raise NotebookError(
            f"{notebook.name}: parameters are {json.dumps(values)}; expected an object such as {{}} or "
            '{"params": "demo"}'
        )
    known = parameters(notebook)
    for name, value in values.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"its parameters are {', '.join(known)}"
            raise NotebookError(f"{notebook.name}: unknown parameter {name!r}; {hint}")
        expected = known[name]["inferred_type_name"]
        if type(value).__name__ != expected and not (expected == "float" and isinstance(value, int)):
            raise NotebookError(f"{notebook.name}: parameter {name!r} is {value!r}; expected a {expected}")
    settings = params.load(values.get("params", "demo"), values.get("overrides"))
    branch = {"03": "autoencoder", "04": "autoencoder", "05": "classifier", "06": "classifier"}.get(notebook.name[:2])
    if branch and "candidate" in values:
        settings.candidate(branch, values["candidate"])


COMMON = "ASDLIB_PARAMETERS"
"""environment variable with the parameters (JSON) of all notebooks of a run: its profile and overrides"""


def environment(settings) -> dict[str, str]:
    """Return the environment variables set for every kernel of a run."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    threads = dict.fromkeys(names, str(settings.threads))  # so that parallel jobs do not compete for cores
    # The last variable silences a warning of ipykernel's debugger at every start.
    return threads | {"PYTHONHASHSEED": "0", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


PATIENCE = 900
"""seconds that a kernel may take to start: imports from a busy or network file system take minutes"""


def surroundings(folder: Path) -> dict[str, str]:
    """Return environment variables that hide the user's Jupyter, IPython and matplotlib configuration from a kernel.

    Otherwise a ``python3`` kernel elsewhere on ``JUPYTER_PATH`` might run another Python, IPython's start-up files
    might run other code, and a ``matplotlibrc`` might change the figures.

    Args:
        folder: Temporary folder for the kernel's own files.
    """
    paths_before = os.environ.get("JUPYTER_PATH", "")
    if not kernels.is_ours(paths_before.partition(os.pathsep)[0]):
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        kernels.write_specification(folder, argv)
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
    """Execute ``notebook`` with papermill, write the executed notebook to ``output``, and return the time in seconds.

    Lines that the cells print are forwarded to standard output, prefixed with the name of the executed notebook. The
    executed notebook, with its traceback, is kept even if a cell fails.

    Raises:
        NotebookError: A parameter is invalid, or a cell failed; in that case the message is the cell's own error.
    """
    if isinstance(values, dict):
        values = json.loads(os.environ.get(COMMON, "{}")) | values
    check(notebook, values)
    settings = params.load(values.get("params", "demo"), values.get("overrides"))
    papermill = _papermill()
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    logging.getLogger("papermill").setLevel(logging.ERROR)
    process_lifetime.follow()
    began = time.monotonic()
    lines = Prefixed(output.stem)
    with writing(output) as temporary, contextlib.ExitStack() as stack:
        folder = stack.enter_context(kernels.socket_folder())
        stack.enter_context(_changed_environment(environment(settings) | surroundings(folder)))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # from libraries that start the kernel; the kernel has its own filters
        try:
            papermill.execute_notebook(
                str(notebook),
                str(temporary),
                parameters=values,
                cwd=str(paths.home()),
                kernel_name="python3",  # our own (see surroundings), whichever kernel the notebook was saved with
                start_timeout=PATIENCE,
                progress_bar=False,
                stdout_file=lines,
                stderr_file=lines,
                # Sockets in a private folder: no port is opened, and parallel jobs cannot take each other's.
                config=Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}}),
            )
            failure = None
        except PapermillExecutionError as error:
            failure = f"{error.ename}: {error.evalue}"
            if error.ename in ("MemoryError", "OutOfMemoryError") or "can't allocate memory" in error.evalue:
                failure += "; free some memory, run fewer jobs (JOBS=1) or lower the batch size"
        except RuntimeError as error:  # includes nbclient's DeadKernelError and the error for a kernel without reply
            if "ernel died" in str(error):
                failure = "the kernel died, most likely for lack of memory; free some, or run fewer jobs (JOBS=1)"
            elif "respond" in str(error):
                failure = f"no kernel started in {PATIENCE} s; run fewer jobs (JOBS=1), or try again later"
            else:
                raise
        lines.close()
    if failure is not None:
        raise NotebookError(f"{output}: {failure}")
    return time.monotonic() - began


def failures(folder: Path, since: float) -> list[str]:
    """Return the errors in the executed notebooks of ``folder`` newer than ``since`` (Unix time in seconds)."""
    sentences = []
    for path in sorted(folder.glob("*.ipynb")):
        if path.name.startswith(".") or path.stat().st_mtime < since:  # hidden: unfinished file of a killed job
            continue
        if not path.stat().st_size:  # its kernel died before the first cell
            continue
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        errors = [output for output in outputs if output["output_type"] == "error"]
        sentences += [f"{path}: {error['ename']}: {error['evalue']}" for error in errors]
    return sentences


def _papermill():
    """Import papermill in 0.4 s instead of 1.7, by keeping its dependency jsonschema from building a URL grammar."""
    sys.modules.setdefault("rfc3987_syntax", None)  # blocks the import; only JSON formats that no notebook uses need it
    import papermill

    return papermill


class Prefixed(io.TextIOBase):
    """Text stream that forwards whole lines to standard output with a prefix, to tell parallel jobs apart."""

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
