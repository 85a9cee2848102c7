"""The table of contents: chapters, the notebooks that follow them, all other notebooks, the API reference."""

import pkgutil
from collections.abc import Mapping
from pathlib import Path

import nbformat
import pandas as pd
from executed import Executed, seconds, title
from tables import table

import asdlib
from asdlib.execution.workflow import BY_NAME, BY_RULE, EXPLORING

PARTS = {  # part: chapter: rules of the stages whose first notebook follows it
    "The paper": {"basics": [], "paper": []},
    "Step by step": {
        "data": ["data"],
        "baselines": ["baselines"],
        "autoencoder": ["train_autoencoder", "score_autoencoder"],
        "classifier": ["train_classifier", "score_classifier"],
        "ensembles": ["ensemble"],
        "one_model": ["integrated"],
    },
    "Results": {"table1": ["table1"], "audit": [], "claims": [], "ablations": [], "deviations": []},
    "Real recordings": {
        "real": [],
        "real_autoencoder": [],
        "real_classifier": [],
        "real_ensembles": [],
        "real_systems": [],
        "shifts": [],
    },
    "Trust": {"computed": [], "reliability": [], "cost": [], "not_run": [], "did_not_work": []},
    "Use": {
        "how_to_run": ["playground"],
        "your_machine": ["your_machine"],
        "detector_tested": [],
        "service": [],
        "api": [],
        "references": [],
    },
}


def contents(notebooks: list[Executed], machines: list[str]) -> dict:
    """Jupyter Book's table of contents.

    The first notebook of a stage (first machine type, candidate and section) follows its chapter; all others come last,
    by machine type.

    Args:
        notebooks: All of the run, in order, at least one per stage.
        machines: Machine types, in order.
    """
    first = firsts(notebooks)
    parts = []
    for caption, chapters in PARTS.items():
        entries = []
        for chapter, rules in chapters.items():
            shown = [first[BY_RULE[rule].name].page for rule in rules if BY_RULE[rule].name in first]
            below = list(api()) if chapter == "api" else shown
            entries.append(_entry(chapter, below))
        parts.append({"caption": caption, "numbered": True, "chapters": entries})
    others = []
    for machine in machines:
        below = [item.page for item in notebooks if item.machine == machine and item not in first.values()]
        others.append(_entry(f"machines/{machine}", below))
    return {
        "format": "jb-book",
        "root": "index",
        "parts": [*parts, {"caption": "All runs", "numbered": True, "chapters": others}],
    }


def firsts(notebooks: list[Executed]) -> dict[str, Executed]:
    """The first notebook of each stage, which follows its chapter, and those that explore, if the run has them."""
    found = {stage: next(item for item in notebooks if item.stage == stage) for stage in BY_NAME}
    names = [stage.name for stage in EXPLORING]
    return found | {item.stage: item for item in notebooks if item.stage in names}


def _entry(page: str, below: list[str]) -> dict:
    return {"file": page} | ({"sections": [{"file": other} for other in below]} if below else {})


def api() -> dict[str, tuple[str, list[str]]]:
    """Pages of the API reference, one for the package itself and one per subpackage: page to title and modules."""
    result = {"api/asdlib": ("asdlib", ["asdlib"])}
    for module in pkgutil.iter_modules(asdlib.__path__, "asdlib."):
        if module.ispkg:
            folder = Path(asdlib.__path__[0]) / module.name.removeprefix("asdlib.")
            inner = [part.name for part in pkgutil.iter_modules([str(folder)], f"{module.name}.")]
            result[f"api/{module.name.removeprefix('asdlib.')}"] = (module.name, [module.name, *inner])
        elif not module.name.endswith("__"):
            result["api/asdlib"][1].append(module.name)
    return result


def machine_page(name: str, notebooks: Mapping[Executed, nbformat.NotebookNode]) -> str:
    """The page that lists every executed notebook of a machine type."""
    rows = [
        (f"{{doc}}`{title(notebook)} </{item.page}>`", item.section, item.candidate, f"{seconds(notebook):.0f}")
        for item, notebook in notebooks.items()
    ]
    frame = pd.DataFrame(rows, columns=["Stage", "Section", "Candidate", "Seconds"])
    asks = f"What did each notebook of this run compute for {name}? The chapters link to the first one of each stage."
    return f"# {name}\n\n{asks}\n\n" + table(frame, f"All executed notebooks of {name}.", align="lllr")


def reference_page(name: str, modules: list[str]) -> str:
    """A page of the API reference, made by autodoc from the docstrings of ``modules``."""
    parts = [f"# `{name}`"]
    for module in modules:
        heading = [f"## `{module}`"] if module != name else []
        parts += [*heading, f"```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n   :ignore-module-all:\n```"]
    return "\n\n".join(parts) + "\n"
