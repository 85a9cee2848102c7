"""Check a stage's parameters and execute its notebook with papermill.

Papermill only warns about a misspelt parameter and does not check types; here both are errors before a kernel starts.
"""

import contextlib
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from traitlets.config import Config

from asdlib import params, paths
from asdlib.atomic import writing
from asdlib.errors import NotebookError
from asdlib.execution import kernels
from asdlib.execution.prefixed import Prefixed
from asdlib.execution.workflow import BY_NAME
from asdlib.messages import suggest

# Without this package, papermill starts in a quarter of the time (benchmarks/kernels.py): its dependency jsonschema
# would build a grammar of web addresses, for JSON formats that no notebook uses.
sys.modules.setdefault("rfc3987_syntax", None)
import papermill  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402


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
        return papermill.inspect_notebook(str(notebook))
    except ValueError as error:  # its metadata name no kernel or language
        raise NotebookError(f"{notebook}: {error}; save the notebook in JupyterLab with a Python kernel") from None


def check(notebook: Path, values: dict) -> None:
    """Raise :class:`NotebookError` unless the notebook has parameters of these names and types with valid values."""
    known = parameters(notebook)
    for name, value in values.items():
        if name not in known:
            raise NotebookError(f"{notebook.name}: unknown parameter {name!r}{suggest(name, known)}")
        expected = known[name]["inferred_type_name"]
        if type(value).__name__ != expected and not (expected == "float" and isinstance(value, int)):
            raise NotebookError(f"{notebook.name}: parameter {name!r} is {value!r}; expected a {expected}")
    settings = params.load(values.get("params", "demo"), values.get("overrides"))
    stage = BY_NAME.get(notebook.stem)
    if stage and stage.branch and "candidate" in values:
        settings.candidate(stage.branch, values["candidate"])


PATIENCE = 900
"""seconds that a kernel may take to start: imports from a busy or network file system take minutes"""


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
    check(notebook, values)
    settings = params.load(values.get("params", "demo"), values.get("overrides"))
    logging.getLogger("papermill").setLevel(logging.ERROR)
    began, failure = time.monotonic(), None
    lines = Prefixed(output.stem)
    with writing(output) as temporary, contextlib.ExitStack() as stack:
        folder = stack.enter_context(kernels.socket_folder())
        variables = kernels.environment(settings) | kernels.isolation(folder)
        stack.enter_context(_changed_environment(variables))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # from libraries that start the kernel; the kernel has its own filters
        try:
            papermill.execute_notebook(
                str(notebook),
                str(temporary),
                parameters=values,
                cwd=str(paths.project_root()),
                kernel_name="python3",  # our own (see kernels.isolation), whichever kernel the notebook was saved with
                start_timeout=PATIENCE,
                progress_bar=False,
                stdout_file=lines,
                stderr_file=lines,
                # Sockets in a private folder: no port is opened, and parallel jobs cannot take each other's.
                config=Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}}),
            )
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
