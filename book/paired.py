"""Look up the paired difference between two rows of Table 1, and say what an interval shows."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from asdlib.evaluation.bootstrap import side

FIGURES = ["difference", "low", "high"]


def verdict(low: float, high: float, words: tuple[str, str, str]) -> str:
    """The first word if the interval lies above zero, the second if it lies below, the third if it holds zero.

    A bound that prints as 0.00 counts as zero (:func:`asdlib.evaluation.bootstrap.side`).

    >>> verdict(0.1, 0.2, ("better", "worse", "neither")), verdict(-0.1, 0.2, ("better", "worse", "neither"))
    ('better', 'neither')
    """
    return words[(2, 0, 1)[side(low, high)]]


def widened(low, high, confidence: float, tests: int):
    """An interval, or a column of them, whose error is shared among so many tests (Bonferroni).

    Intervals are normal about their middle (:func:`asdlib.evaluation.bootstrap.interval`), so another confidence scales
    their width.

    >>> [round(float(end), 3) for end in widened(-0.08, -0.002, 0.95, 2)]
    [-0.086, 0.004]
    """
    inner, outer = (norm.ppf(1 - (1 - confidence) / 2 / count) for count in (1, tests))
    middle, reach = (low + high) / 2, (high - low) / 2 * outer / inner
    return middle - reach, middle + reach


def paired(differences: pd.DataFrame, one: tuple, other: tuple, machine: str, domain: str) -> tuple[float, ...]:
    """The difference of two rows (row, selection) on the same clips with its interval; NaN if it was not computed.

    Args:
        differences: ``table1_differences.csv``, which has each pair in one order only.
        one: The row to subtract from.
        other: The row to subtract.
        machine: A machine type, or ``all``.
        domain: A domain, or ``all``.
    """
    cell = differences[(differences["machine"] == machine) & (differences["domain"] == domain)]
    keys = ["row", "selection", "than", "than_selection"]
    cell = cell.set_index(keys)[FIGURES]
    if (*one, *other) in cell.index:
        return tuple(cell.loc[(*one, *other)])
    if (*other, *one) in cell.index:
        difference, low, high = cell.loc[(*other, *one)]
        return -difference, -high, -low
    return (np.nan,) * 3
