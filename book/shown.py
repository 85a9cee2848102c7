"""Figures, players and tables of executed notebooks, shown in the chapters next to the sentences that read them.

A cell of a notebook has a name: that of its figure (``mystnb.figure.name``), or ``book.name`` with a ``book.caption``
where it shows players or a table. A chapter includes ``generated/shown/<name>.md``. The caption says which cell of
which notebook made it, at which commit, and offers its data.
"""

import base64
from collections.abc import Mapping
from pathlib import Path

import nbformat
import pandas as pd
from executed import Executed, typeset

from asdlib.errors import AsdError
from asdlib.evaluation import table1
from asdlib.paths import Run
from asdlib.tables import read_table

DATA = {
    "autoencoder-training": "autoencoder/{machine}/{candidate}/history.csv",
    "band-errors": "autoencoder/{machine}/{candidate}/bands.csv",
    "scorer-before-after": "autoencoder/{machine}/{candidate}/scores.csv",
    "baseline-scores": "mahalanobis/{machine}/scores.csv",
    "classifier-training": "classifier/{machine}/{section}/{candidate}/history.csv",
    "embeddings-pca": "classifier/{machine}/{candidate}/scores.csv",
    "pool": "ensemble/{machine}/choices.csv",
    "agreement": "ensemble/{machine}/agreement.csv",
    "branches": "ensemble/{machine}/scores.csv",
    "ensemble-roc": "ensemble/{machine}/scores.csv",
    "optimism": "table1_differences.csv",
    "false-alarms-by-section": "false_alarms.csv",
    "claims-figure": "claims.csv",
}
"""figure: the table of the run, below its folder, that it is drawn from"""


def drawn_optimism(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``table1_differences.csv`` that the figure of the optimism shows."""
    found = table1.optimism(frame)
    return found[(found["machine"] == "all") & (found["domain"] == "all")]


PARTS = {"optimism": drawn_optimism}
"""figure: the part of its table that it shows, where it is not the whole"""


def shown(notebooks: Mapping[Executed, nbformat.NotebookNode], run: Run, source: Path) -> None:
    """Write every named output of the first notebook of each stage to ``source/generated/shown``.

    Args:
        notebooks: The first notebook of each stage, as executed.
        run: The run, whose tables are offered as data.
        source: Folder of the assembled pages.
    """
    folder = source / "generated" / "shown"
    folder.mkdir(parents=True)
    for item, notebook in notebooks.items():
        commit = item.record(run).get("commit", "")
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for number, cell in enumerate(code, 1):
            figure = cell.metadata.get("mystnb", {}).get("figure")
            about = figure or cell.metadata.get("book")
            if about is None:
                continue
            whose = f" of {item.whose}" * bool(item.whose)
            made = f"{{doc}}`Notebook </{item.page}>`{whose}, cell {number}" + f", commit `{commit}`" * bool(commit)
            data = _data(about["name"], item, run, source)
            caption = f"{about['caption']} <small>{made}{data}.</small>"
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            if figure:
                text = _figure(about["name"], cell, alt, caption, folder)
            else:
                # A label before raw HTML is lost in the page, so the anchor is a part of the HTML, too.
                anchor = f'```{{raw}} html\n<span id="{about["name"]}"></span>\n```\n\n'
                text = f"({about['name']})=\n\n{anchor}{_html(about['name'], cell, caption)}"
                first = _html(about["name"], cell, caption, most=1)
                (folder / f"{about['name']}-first.md").write_text(first, encoding="utf-8")
            (folder / f"{about['name']}.md").write_text(text, encoding="utf-8")


def names(notebooks: Mapping[Executed, nbformat.NotebookNode]) -> set[str]:
    """The names of all figures that chapters can show."""
    cells = [cell.metadata for notebook in notebooks.values() for cell in notebook.cells]
    return {meta["mystnb"]["figure"]["name"] for meta in cells if meta.get("mystnb", {}).get("figure")}


def _data(name: str, item: Executed, run: Run, source: Path) -> str:
    """A link to the table that a figure is drawn from, copied to the downloads; nothing if none is known."""
    if name not in DATA:
        return ""
    parts = {"machine": item.machine, "candidate": item.candidate, "section": item.section}
    path = run.folder / DATA[name].format(**parts)
    if not path.is_file():
        raise AsdError(f"{path}: no such file, but the figure {name!r} is drawn from it; run make reproduce")
    target = source / "downloads" / f"{name}.csv"
    frame = read_table(path, as_text=True)
    PARTS.get(name, lambda whole: whole)(frame).to_csv(target, index=False, lineterminator="\n")
    return f", {{download}}`data <downloads/{target.name}>`"


def _figure(name: str, cell: nbformat.NotebookNode, alt: str, caption: str, folder: Path) -> str:
    """The picture of a cell as a file, and the directive that shows it."""
    for output in cell.outputs:
        if "image/png" in output.get("data", {}):
            (folder / f"{name}.png").write_bytes(base64.b64decode(output["data"]["image/png"]))
            options = f":name: {name}\n:figclass: narrow\n:alt: {alt}"
            return f"```{{figure}} generated/shown/{name}.png\n{options}\n\n{caption}\n```\n"
    return f"*The figure {name} is empty on these data.*\n"


def _html(name: str, cell: nbformat.NotebookNode, caption: str, most: int | None = None) -> str:
    """The HTML that a cell shows, or the first ``most`` of its outputs, with its caption."""
    parts = [output["data"]["text/html"] for output in cell.outputs if "text/html" in output.get("data", {})]
    if not parts:
        raise AsdError(f"the cell {name!r} shows nothing; run make reproduce with this version of the notebooks")
    text = "\n".join(f'<div class="scrolls">{typeset("".join(part))}</div>' for part in parts[:most])
    return f"```{{raw}} html\n{text}\n```\n\n{caption}\n"
