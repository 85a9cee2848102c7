"""Say in words, by the sign of stored differences, how a classifier does that was trained without a part."""

import pandas as pd
from paired import verdict
from tables import effect, percent, signed

from asdlib.evaluation.values import slug


def trained_without(frame: pd.DataFrame) -> dict[str, str]:
    """How each candidate compares with the first by the branch's first score, as the end of a sentence.

    Args:
        frame: The table of ablations (:mod:`asdlib.evaluation.ablations`).

    Returns:
        Texts by branch and candidate, such as "is 1.20 points worse (−2.00 to −0.40, ± 0.30 over seeds)".
    """
    frame = frame[(frame["domain"] == "all") & (frame["change"] != "")]
    first = frame.groupby("branch", sort=False)["variant"].transform("first")
    return {slug(item.branch, item.candidate): words(item) for item in frame[frame["variant"] == first].itertuples()}


def words(item) -> str:
    """One comparison in words: ``difference, low, high, difference_deviation`` as fractions."""
    seeds = f"± {percent(item.difference_deviation)} over seeds"
    figures = f"{signed(item.low)} to {signed(item.high)}, {seeds}"
    size = signed(abs(item.difference)).removeprefix("+")
    return verdict(
        item.low,
        item.high,
        (
            f"is {size} points better ({figures})",
            f"is {size} points worse ({figures})",
            f"is not shown to differ ({effect(item.difference, item.low, item.high)} points, {seeds})",
        ),
    )
