"""Table 1 in the paper's shape, one tab per selection; what selection adds; several seeds."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import stored_results
from captions import title_and_notes
from tables import BLANK, percent, table

from asdlib.atomic import read_json
from asdlib.ensemble.blocks import BLOCKS, MAX
from asdlib.evaluation import paper, render, render_html
from asdlib.tables import read_table

SELECTIONS = {
    "development": "selected by the labels of the test clips that are reported, as the paper does",
    "cross-fitted": "selected by the labels of one half of each section's test clips and reported on the other, both "
    "ways; rows that select nothing are means over the same halves",
    "fixed": "selected by the settings, without a label or score of a test clip at that time; {ref}`what the settings "
    "were tuned on <tuned>` is another matter",
}
"""the selections, and what each looks at in the words of the captions"""


def table1(
    frame: pd.DataFrame,
    machines: Sequence[str],
    which: str = "This run",
    name: str = "table1",
    compare: bool = True,
    synthetic: bool = False,
) -> str:
    """Lay out a run's Table 1, one tab per selection.

    Args:
        frame: The tidy table.
        machines: Machine types of the run.
        which: What the captions call the run.
        name: What ``{numref}`` calls the tables begins with it.
        compare: Whether each cell also holds the paper's figure and the difference.
        synthetic: Whether the recordings are synthetic.
    """
    cells = (
        "The large figure of a cell is **that of this run**; small below it are *the paper's* and the difference, this "
        "run minus the paper. "
        if compare
        else ""
    )
    if compare and set(machines) != set(paper.MACHINES):
        cells += "In the column *all*, it is the paper's figure of the machine types of this run. "
    parts = []
    for number, (selection, words) in enumerate(SELECTIONS.items()):
        caption = (
            f"{which}, *{selection}*: {words}. Harmonic mean of AUC and pAUC, per cent. {cells}The column *all* "
            f"also holds the interval. The best of each column and block is framed.{_explained(frame, selection)} A "
            "click on a domain sorts by that column."
        )
        if compare and (synthetic or selection != "development"):
            caption += " The paper's figures and the differences are for orientation only: they are not comparable."
        title, notes = title_and_notes(caption)
        rows = render_html.rows_as_html(frame, selection, machines, compare)
        selected = ":selected:\n" if number == 0 else ""
        parts.append(
            f"::::{{tab-item}} {selection.capitalize()}\n{selected}:sync: {selection}\n\n"
            f"```{{html-table}} {title}\n:name: {name}-{selection}\n:class: table1 numbers\n\n{rows}\n```\n{notes}::::"
        )
    return ":::::{tab-set}\n:sync-group: selection\n\n" + "\n\n".join(parts) + "\n:::::\n"


def _explained(frame: pd.DataFrame, selection: str) -> str:
    """Why *max* has no figures by *fixed*, and why a branch and its ensemble may have the same."""
    total = frame[(frame["machine"] == "all") & (frame["domain"] == "all") & (frame["selection"] == selection)]
    by = total.dropna(subset=["value"]).set_index("row")["value"]
    known = set(frame.loc[frame["value"].notna(), "row"])
    undefined = selection == "fixed" and MAX in known and MAX not in by.index
    words = f" *{MAX}* needs labels, so it is undefined here." if undefined else ""
    for block in BLOCKS:
        for one, several in zip(block.single.values(), block.ensemble.values(), strict=True):
            if {one, several} <= set(by.index) and by[one] == by[several]:
                words += f" *{one}* and *{several}* are the same here, since one candidate qualifies."
    return words


def stored(folder: Path) -> str:
    """Table 1 of a run whose recordings are not part of the project, kept in ``book/results`` by :mod:`store`."""
    record = read_json(folder / "record.json")
    frame = stored_results.read(folder / "table1.csv")
    several = seeds(folder / "table1_seeds.csv", record["settings"]["seed"], f"{folder.name}-seeds")
    shown = table1(frame, record["machines"], record["title"], folder.name, compare=False)
    return "\n\n".join([shown, several])


def printed() -> str:
    """The paper's table, "all" as printed and as its cells give it."""
    wide = render.format_printed()
    wide.columns = [" ".join(key) for key in wide.columns]
    caption = "The paper's Table 1, per cent; the last column is the harmonic mean of the row's cells."
    return table(wide.reset_index(names="Method"), caption, "table1-paper", "l" + "r" * wide.shape[1])


def seeds(path: Path, seed: int, name: str = "seeds-table") -> str:
    """Mean and deviation over runs that differ in the seed only; or that there is one seed.

    Args:
        path: What ``python -m asdlib seeds`` has written for this run, if it has.
        seed: Of this run.
        name: What ``{numref}`` calls the table.
    """
    if not path.is_file():
        return f"**One seed** ({seed}): no number of this run says what another seed would change."
    frame = read_table(path)
    total = frame[(frame["machine"] == "all") & (frame["domain"] == "all")]
    rows = []
    for row, group in total.groupby("row", sort=False):
        by = group.set_index("selection")
        texts = {"Method": row}
        for name_ in ("development", "cross-fitted", "fixed", ""):
            if name_ in by.index:
                mean, deviation = by.loc[name_, ["mean", "deviation"]]
                texts[name_ or "selects nothing"] = f"{percent(mean)} ± {percent(deviation)}"
        rows.append(texts)
    shown = pd.DataFrame(rows).fillna(BLANK)
    caption = f"Mean and standard deviation over {total['seeds'].max()} seeds, all machine types, per cent."
    return table(shown, caption, name, "l" + "r" * (shown.shape[1] - 1))
