"""How many sentences got which verdict, and what is left of the verdicts with more seeds or more caution."""

import re

import pandas as pd
from paired import widened
from schematics import counted

from asdlib.evaluation.bootstrap import side
from asdlib.evaluation.claims import ARITHMETIC, CONTRADICTED, HOLDS, NOT_RUN

SEVERAL_LEADS = re.compile(r"widened .* of \d+ of (\d+) effects")
"""the reason of a verdict for which any of several leads could have counted, and their number"""


def counts(frame: pd.DataFrame) -> str:
    """How many sentences got which verdict in a run, in words: "2 hold, 1 is contradicted, ...".

    A sentence that arithmetic judges needs no run and is not counted.
    """
    found = measured(frame)["verdict"].value_counts()
    verbs = {
        "holds": ("holds", "hold"),
        "contradicted": ("is contradicted", "are contradicted"),
        "undecided": ("is undecided", "are undecided"),
        "not run": ("was not run", "were not run"),
    }
    parts = [f"{found.get(word, 0)} {one if found.get(word, 0) == 1 else many}" for word, (one, many) in verbs.items()]
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """The sentences that are about a run, not about the arithmetic of the printed table."""
    return frame[frame["unit"] != ARITHMETIC]


def decided(frame: pd.DataFrame) -> pd.DataFrame:
    """The sentences that a run bears out or contradicts."""
    frame = measured(frame)
    return frame[frame["verdict"].isin([HOLDS, CONTRADICTED])]


def changed(first: pd.DataFrame, several: pd.DataFrame | None) -> str:
    """How many of the verdicts that one seed decided are others over several seeds: "2 of 2".

    Args:
        first: Claims of the first seed.
        several: The same claims over several seeds; None if there are none.
    """
    if several is None:
        return "an unknown number (there is one seed)"
    before = decided(first).set_index("claim")["verdict"]
    after = several.set_index("claim")["verdict"].reindex(before.index)
    return f"{(before != after).sum()} of {len(before)}"


def surviving(frame: pd.DataFrame, confidence: float) -> str:
    """How many sentences hold also if the error is shared among all tests of the table, as a sentence.

    The interval that decides is widened (:func:`paired.widened`, which takes it to be normal), for the number of
    sentences that were tested and, where any of several leads could have counted, for these leads, too.

    Args:
        frame: Claims of one table.
        confidence: Confidence of one interval.
    """
    tests = int((measured(frame)["verdict"] != NOT_RUN).sum())
    holding = measured(frame).query("verdict == @HOLDS")
    if holding.empty:
        return f"Of {counted(tests, 'tested sentence')} none holds, so a correction for their number changes nothing"
    left = 0
    for item in holding.itertuples():
        leads = SEVERAL_LEADS.search(str(item.reason))
        low, high = widened(item.low, item.high, confidence, tests * (int(leads[1]) if leads else 1))
        left += int(side(low, high) > 0)
    shared = f"With the error shared among all {counted(tests, 'tested sentence')}"
    if len(holding) == 1:
        return f"{shared}, the one that holds would {'still' if left else 'no longer'} hold"
    return f"{shared}, {left} of the {len(holding)} that hold would still hold"
