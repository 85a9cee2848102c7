"""Say which change of the stored ablations gains most, which loses most, and whether that survives correction."""

import numpy as np
import pandas as pd
from ablation_words import change_in_words
from paired import widened
from scipy.stats import t as student
from tables import effect

from asdlib.evaluation.bootstrap import side


def corrected(frame: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Keep the changes over all domains, and add intervals that share the error among all that are shown (Bonferroni).

    Intervals are over clips, so a difference *survives* only if it also exceeds its deviation over seeds.

    Args:
        frame: The table of ablations.
        confidence: Of its intervals.

    Returns:
        The rows whose interval has a width, with ``wide_low``, ``wide_high``, the number of ``intervals``, and
        ``survives``.
    """
    frame = frame[(frame["domain"] == "all") & (frame["low"] < frame["high"])]
    low, high = widened(frame["low"], frame["high"], confidence, len(frame))
    larger = frame["difference"].abs() > frame["difference_deviation"].fillna(np.inf)
    wide = frame.assign(wide_low=low, wide_high=high, intervals=len(frame))
    return wide.assign(survives=(side(low, high) != 0) & larger)[frame["change"] != ""]


def over_seeds(frame: pd.DataFrame, confidence: float) -> pd.Series:
    """Whether Student's t over seeds alone shows each difference, without a correction; one seed shows none.

    >>> item = {"difference": 0.05, "difference_deviation": 0.001, "seeds": 2}
    >>> over_seeds(pd.DataFrame([item, item | {"difference_deviation": 0.01}]), 0.95).tolist()
    [True, False]
    """
    reach = student.ppf((1 + confidence) / 2, frame["seeds"] - 1) * frame["difference_deviation"]
    return frame["difference"].abs() > (reach / np.sqrt(frame["seeds"])).fillna(np.inf)


def largest(frame: pd.DataFrame, confidence: float) -> str:
    """Say for each branch which change gains most and which loses most by any of its scores.

    Args:
        frame: The table of ablations.
        confidence: Of its intervals.
    """
    frame = corrected(frame, confidence)
    parts = []
    for branch, part in frame.groupby("branch", sort=False):
        best, worst = (part.loc[number] for number in (part["difference"].idxmax(), part["difference"].idxmin()))
        if best["difference"] > 0:
            parts.append(f"* The largest gain of the {branch} is by {_described(best)}")
        if worst["difference"] < 0:
            parts.append(f"* The largest loss of the {branch} is by {_described(worst)}")
    return "\n".join(parts) + (
        "\n\nDifferences are in percentage points from `base`. A difference *survives correction* if its interval over "
        f"clips excludes zero even when all {frame['intervals'].iat[0]} intervals share the error, and if it is larger "
        "than its deviation over seeds. It is then a difference of these networks on other clips; of other trainings "
        f"it says little. Of the {frame['survives'].sum()} differences that survive, "
        f"{(frame['survives'] & over_seeds(frame, confidence)).sum()} would also be shown by the seeds alone "
        "(Student's t)."
    )


def _described(item: pd.Series) -> str:
    survives = "survives" if item["survives"] else "does not survive"
    difference = effect(*item[["difference", "low", "high"]])
    words = change_in_words(item["candidate"], item["change"])
    return f"*{words}*, by the score `{item['variant']}` {difference}; it {survives} correction."
