"""What the paper's sentences on its Table 1 look like in the printed cells: which rows lie below which, and where."""

import pandas as pd
from tables import signed, table

from asdlib.ensemble.blocks import AE, AE_ENSEMBLE, BC, BC_ENSEMBLE, MAX, MIX
from asdlib.evaluation import paper
from asdlib.scores import DOMAINS

OFFICIAL = (paper.BASELINE_AE, paper.BASELINE_MOBILENET)
PAIRS = {
    "*mix* minus *max*": (MIX, (MAX,)),
    "*AE ensemble* minus *AE*": (AE_ENSEMBLE, (AE,)),
    "*BC ensemble* minus *BC*": (BC_ENSEMBLE, (BC,)),
    "*AE* minus the better baseline": (AE, OFFICIAL),
    "*BC* minus the better baseline": (BC, OFFICIAL),
}
"""what is compared with what: a row, and the rows of which it should exceed the largest"""
LEAD = "*mix* minus *max*, both domains"
POINT = 0.01
"""a lead that is worth mentioning, as a fraction"""


def leads() -> pd.DataFrame:
    """Return the differences of :data:`PAIRS` in every printed cell: a row per machine type and domain."""
    cells = [(machine, domain) for machine in paper.MACHINES for domain in DOMAINS]
    columns = {
        words: [round(paper.cell(row, *cell) - max(paper.cell(other, *cell) for other in others), 6) for cell in cells]
        for words, (row, others) in PAIRS.items()
    }
    return pd.DataFrame(columns, index=pd.MultiIndex.from_tuples(cells, names=["machine", "domain"]))


def by_machine() -> pd.Series:
    """Return how far *mix* lies above *max* on each machine type, over both domains, largest first."""
    found = {machine: paper.value(MIX, machine) - paper.value(MAX, machine) for machine in paper.MACHINES}
    return pd.Series(found, name=LEAD).sort_values(ascending=False)


def below(differences: pd.Series) -> str:
    """Say in how many cells a difference lies below zero, and in which: "1 of 14 cells (fan source)"."""
    found = differences[differences < 0]
    where = ", ".join(" ".join(cell) for cell in found.index)
    return f"{len(found)} of {len(differences)} cells" + f" ({where})" * bool(where)


def sentences() -> str:
    """The section: the table, and what it says of the paper's sentences."""
    cells, machines = leads(), by_machine()
    shown = {"Machine type": list(paper.MACHINES), LEAD: [_marked(machines[name]) for name in paper.MACHINES]}
    for words, column in cells.items():
        shown[words] = [" / ".join(_marked(column[name, domain]) for domain in DOMAINS) for name in paper.MACHINES]
    caption = (
        "Differences between printed cells in percentage points, source / target; **bold** where the first row lies "
        "below. No interval is known."
    )
    listed = table(pd.DataFrame(shown), caption, "printed-leads-table", "l" + "r" * (len(shown) - 1))
    ahead, behind = (
        ", ".join(f"{name} {signed(value)}" for name, value in machines[chosen].items()) or "none"
        for chosen in (machines > 0, machines < 0)
    )
    under = {words: below(column) for words, column in cells.items()}
    mix, autoencoders, classifiers, *single = under.values()
    return (
        f"{listed}\n"
        f"*Mix* lies below *max* in {mix}. "
        f"Over both domains of a machine type it leads *max* on {(machines > 0).sum()} of {len(machines)}, by more "
        f"than a point on {(machines > POINT).sum()}: {ahead}; it lies below on {behind}. "
        f"An ensemble lies below its single system in {autoencoders} for the autoencoders and in {classifiers} for the "
        "classifiers. "
        f"*AE* lies below the better baseline in {single[0]}, *BC* in {single[1]}.\n"
    )


def _marked(value: float) -> str:
    return f"**{signed(value)}**" if value < 0 else signed(value)
