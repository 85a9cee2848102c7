"""Judge claims about the rows of Table 1, each by the interval of its effect.

The interval comes from the cross-fitted selection, since a gain on the clips that were used for the selection proves
nothing; the effects by the paper's selection and in the printed cells are reported next to it. A claim *holds* if its
interval lies above zero, is *contradicted* if it lies below, and is *undecided* if it contains zero; a bound that
prints as 0.00 counts as zero (:func:`asdlib.evaluation.bootstrap.side`). If the run lacks what the claim is about, the
verdict is *not run*.

A claim of several effects ("better than both", "for several machine types") is a test of each: it holds if enough of
their intervals lie above zero (an intersection-union test). Bootstrapping the smallest effect instead would correct its
bias upwards and find gains that do not exist. Where not all need to lie above zero, the data decide which ones do, so
their intervals are widened (Benjamini and Heller, 2008, https://doi.org/10.1111/j.1541-0420.2007.00984.x).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from asdlib.evaluation import paper
from asdlib.evaluation.bootstrap import Resampled, interval, side
from asdlib.evaluation.rows import key

HOLDS, CONTRADICTED, UNDECIDED, NOT_RUN = "holds", "contradicted", "undecided", "not run"
VERDICTS = (HOLDS, CONTRADICTED, UNDECIDED, NOT_RUN)
MULTIPLICITY = (
    "Each claim is tested on its own and nothing is corrected for their number: of 20 claims without any effect, about "
    "one would be decided by chance at 95 %."
)
POINTS, CORRELATION, ARITHMETIC = "difference of harmonic means", "rank correlation", "arithmetic"
"""units of effects, all fractions; an arithmetic one, of the printed table, should be zero and not above"""
BASIS = ["clips", "sections", "seeds"]
"""what a verdict is based on: labelled test clips, sections of machine types, and runs that differ in the seed; empty
if there is no verdict"""
COLUMNS = [
    *("claim", "source", "test", "unit", "effect", "low", "high", "verdict", "reason", "development", "paper"),
    *BASIS,
]


@dataclass(frozen=True)
class Claim:
    """A sentence and the effect that tests it."""

    sentence: str
    source: str
    """section of the paper"""
    test: str
    """description of the measured quantity"""
    effect: Callable[[str], np.ndarray | list[np.ndarray | None] | None]
    """function from a selection to the effect in every resample, a list of several effects, or None"""
    missing: str = ""
    """why the run cannot measure the effect, if it returns None"""
    printed: float = np.nan
    """the effect in the printed cells; NaN if they do not show it"""
    unit: str = POINTS
    needed: int | None = None
    """how many of several effects must be above zero; None for all"""
    machine: str = "all"
    """machine type whose clips it is based on, or ``all``"""
    draws_seeds: bool = True
    """whether its interval covers runs that differ in the seed; otherwise the number of seeds is not stated"""

    def judge(self, confidence: float) -> dict:
        """Return the claim's row in the table of claims, without its basis."""
        effects, several = _effects(self.effect("cross-fitted"))
        count = len(effects)
        needed = self.needed or count
        value, low, high = _decisive(effects, needed, confidence, count - needed + 1)
        against = _decisive(effects, needed, confidence, needed, by=2)[2]
        others, _ = _effects(self.effect("development"))
        development = _decisive(others, min(needed, len(others)), confidence, 1)[0] if others else np.nan
        of, wide = f"{confidence:.0%} interval", f"widened {confidence:.0%} interval"
        if np.isnan(value):
            verdict, reason = NOT_RUN, self.missing
        elif np.isnan(low):
            verdict, reason = UNDECIDED, "no resamples were drawn (evaluation.bootstrap is 0)"
        elif side(low, high) > 0:
            verdict = HOLDS
            above = f"the {wide if needed < count else of}s of {needed} of {count} effects lie above zero"
            reason = above if several else f"the {of} lies above zero"
        elif side(against, against) < 0:
            verdict = CONTRADICTED
            below = f"the {wide if needed > 1 else of}s of {count - needed + 1} of {count} effects lie below zero"
            reason = below if several else f"the {of} lies below zero"
        else:
            verdict = UNDECIDED
            reason = f"fewer than {needed} of {count} {of}s lie above zero" if several else f"the {of} contains zero"
        values = (self.sentence, self.source, self.test, self.unit, value, low, high, verdict, reason)
        return dict(zip(COLUMNS, (*values, development, self.printed), strict=False))


def tabulate(claims: list[Claim], resampled: Resampled, confidence: float) -> pd.DataFrame:
    """Judge claims and return one row per claim, with the columns :data:`COLUMNS`.

    Effects are fractions in the ``unit``; ``development`` is the effect by the paper's selection, ``paper`` the effect
    in the printed cells.
    """
    rows = []
    for claim in claims:
        row = claim.judge(confidence)
        basis = (*resampled.basis(claim.machine), resampled.seeds if claim.draws_seeds else pd.NA)
        rows.append(row | dict(zip(BASIS, basis, strict=True)) if row["verdict"] != NOT_RUN else row)
    return set_types(pd.DataFrame(rows, columns=COLUMNS))


def claim_difference(resampled: Resampled, sentence, source, first, second, machine="all") -> Claim:
    """Make a claim that a row exceeds another one, on one machine type or on all."""
    where = "all machine types" if machine == "all" else machine
    return Claim(
        sentence,
        source,
        f"{first} minus {second}, {where}",
        lambda selection: resampled.difference(key(first, selection), key(second, selection), machine),
        missing(resampled, first, second) if machine in ("all", *resampled.machines) else f"{where} was not run",
        paper.value(first, machine) - paper.value(second, machine),
        machine=machine,
    )


def claim_all(resampled: Resampled, sentence, source, row, others) -> Claim:
    """Make a claim that a row exceeds each of several others; that with the lowest bound is reported."""
    return Claim(
        sentence,
        source,
        f"{row} minus {' and minus '.join(others)}, each of them, all machine types",
        lambda selection: [resampled.difference(key(row, selection), key(other, selection)) for other in others],
        missing(resampled, row, *others),
        paper.value(row) - max(paper.value(other) for other in others),
    )


def set_types(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of claims with effects as floats and counts as integers that may be missing."""
    numbers = ("effect", "low", "high", "development", "paper")
    return table.astype(dict.fromkeys(numbers, np.float64) | dict.fromkeys(BASIS, "Int64"))


def missing(resampled: Resampled, *rows: str) -> str:
    """Explain why there is no effect between rows over all machine types."""
    absent = [row for row in rows if not any(row == known for known, _ in resampled.keys)]
    if not absent:
        return "the two halves of some section are too small to select on"
    return f"{' and '.join(absent)} {'was' if len(absent) == 1 else 'were'} not run"


def _effects(samples) -> tuple[list[np.ndarray], bool]:
    """Return the effects as a list, empty if one is missing, and whether the claim is about several."""
    if not isinstance(samples, list):
        return ([] if samples is None else [samples]), False
    return ([] if any(effect is None for effect in samples) else samples), True


def _decisive(effects: list, needed: int, confidence: float, tests: int, by: int = 1) -> tuple[float, float, float]:
    """Return value and interval of the effect that decides whether ``needed`` effects lie above zero.

    Args:
        effects: Each effect in every resample.
        needed: Rank of the effect that decides, by its bound from above.
        confidence: Confidence of one interval.
        tests: Number of tests that the interval is widened for.
        by: 1 for the lower bound, 2 for the upper one.
    """
    if len(effects) < max(needed, 1):
        return np.nan, np.nan, np.nan
    intervals = [interval(effect, 1 - (1 - confidence) / tests, (-1.0, 1.0)) for effect in effects]
    known = np.isfinite(intervals[0][1])
    return sorted(intervals, key=lambda item: item[by] if known else item[0], reverse=True)[needed - 1]
