"""Say which change of the stored ablations gains most, which loses most, and whether that survives correction."""

import pandas as pd
from ablation_words import change_in_words
from scipy.stats import norm
from tables import effect


def widened(frame: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Keep the changes over all domains, and add intervals that share the error among all of them (Bonferroni).

    The stored intervals are normal about their middle, so another confidence scales their width.

    Args:
        frame: The table of ablations.
        confidence: Of its intervals.

    Returns:
        The rows whose interval has a width, with ``wide_low``, ``wide_high`` and their ratio of widths, ``times``.
    """
    frame = frame[(frame["domain"] == "all") & (frame["change"] != "") & (frame["low"] < frame["high"])]
    once, shared = (norm.ppf(1 - (1 - confidence) / 2 / count) for count in (1, len(frame)))
    middle, half = (frame["low"] + frame["high"]) / 2, (frame["high"] - frame["low"]) / 2 * shared / once
    return frame.assign(wide_low=middle - half, wide_high=middle + half, times=shared / once)


def largest(frame: pd.DataFrame, confidence: float) -> str:
    """Say for each branch which change gains most and which loses most by any of its scores.

    Args:
        frame: The table of ablations.
        confidence: Of its intervals.
    """
    frame = widened(frame, confidence)
    parts = []
    for branch, part in frame.groupby("branch", sort=False):
        best, worst = (part.loc[number] for number in (part["difference"].idxmax(), part["difference"].idxmin()))
        if best["difference"] > 0:
            parts.append(f"* The largest gain of the {branch} is by {_described(best)}")
        if worst["difference"] < 0:
            parts.append(f"* The largest loss of the {branch} is by {_described(worst)}")
    return "\n".join(parts) + (
        "\n\nDifferences are in percentage points from `base`. A difference *survives correction* if its interval "
        f"excludes zero even if all {len(frame)} intervals share the error."
    )


def _described(item: pd.Series) -> str:
    survives = "survives" if item["wide_low"] > 0 or item["wide_high"] < 0 else "does not survive"
    difference = effect(*item[["difference", "low", "high"]])
    words = change_in_words(item["candidate"], item["change"])
    return f"*{words}*, by the score `{item['variant']}` {difference}; it {survives} correction."
