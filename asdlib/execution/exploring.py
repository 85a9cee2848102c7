"""Load the settings of a notebook, so that exploring never changes the run behind Table 1.

``make reproduce`` writes the settings of a run next to its results. A notebook with other ``overrides`` works on a
scratch copy of the run instead: its files are hard links, so the copy costs no space, and what the notebook writes
replaces a link in the copy only.
"""

import os
import shutil
import sys

from asdlib import params
from asdlib.atomic import read_json
from asdlib.errors import NotebookError
from asdlib.messages import suggest
from asdlib.params.validation import flatten
from asdlib.paths import Run

SCRATCH = "scratch"
"""folder next to the runs with the copies"""
FIRST_CELLS = 4
"""count of executions while the third cell runs: parameters, those that papermill injects, settings"""


def load(profile: str, overrides: dict | None = None) -> params.Settings:
    """Return the settings of a profile with overrides, for the first cells of a notebook.

    If the run of this profile was made with other settings, they point to its scratch copy, which is made if it is not
    there, and a line says so.

    Raises:
        NotebookError: Papermill passed a parameter that the notebook does not have.
    """
    check_parameters()
    settings = params.load(profile, overrides)
    run = Run.of(settings)
    if not run.settings.is_file():
        return settings
    made, wanted = read_json(run.settings), settings.resolved()
    before = flatten(made)
    differing = [key for key, value in flatten(wanted).items() if before.get(key) != value]
    if not differing:
        return settings
    scratch = params.load(profile, {**(overrides or {}), "runs": f"{settings.runs}/{SCRATCH}"})
    folder = Run.of(scratch).folder
    if not folder.is_dir():
        shutil.copytree(run.folder, folder, copy_function=os.link)
    print(
        f"{', '.join(differing[:3])}{' and more' if len(differing) > 3 else ''} differ from the run in {run.folder}, "
        f"so results go to {folder}; delete that folder to begin again."
    )
    return scratch


def check_parameters() -> None:
    """Raise :class:`NotebookError` for a parameter that the notebook does not declare, or one of another type.

    Declared parameters have a type. ``papermill -p machine 001`` passes the number 1; only for ``section`` is it clear
    which text that was (``asdlib.params.section``). Only the first cells of a fresh kernel are looked at, where
    nothing else is set.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not 1 < shell.execution_count <= FIRST_CELLS:
        return
    known = shell.user_ns.get("__annotations__", {})
    hidden = {*shell.user_ns_hidden, "asdlib", "In", "Out"}
    for name, expected in known.items():
        value = shell.user_ns.get(name)
        if name != "section" and not isinstance(value, (float, int) if expected is float else expected):
            advice = f"pass it as YAML: papermill -y '{name}: {'{seed: 1}' if expected is dict else 1}'"
            if expected is str:
                advice = (
                    "papermill -p turns text such as 001 or None into a number or nothing; pass it unchanged: "
                    f"papermill -r {name} 001"
                )
            raise NotebookError(f"parameter {name!r} is {value!r}; expected a {expected.__name__}; {advice}")
    for name, value in list(shell.user_ns.items()):
        if name in known or name in hidden or name.startswith("_") or isinstance(value, type(sys)):
            continue
        if isinstance(value, (str, int, float, dict, list, type(None))):
            raise NotebookError(f"this notebook has no parameter {name!r}{suggest(name, known)}")
