"""Decide whether a claim holds, from the interval of its effect.

It comes from the cross-fitted selection, since a gain on the clips that were selected on proves nothing; the paper's
way and the paper's own cells stand next to it. A claim *holds* if the interval of its effect lies above zero, *does not
hold* if it lies below, and *cannot be tested here* if it holds zero or the run lacks what the claim is about.

A claim of several effects ("better than both", "for several machine types") is a test of each: it holds if enough of
their intervals lie above zero (an intersection-union test). Bootstrapping the smallest effect instead would correct its
bias upwards and find leads that are none. Where not all need to lie above zero, which ones do is seen in the data, so
that their intervals are widened for it (Benjamini and Heller, 2008, https://doi.org/10.1111/j.1541-0420.2007.00984.x).
"""

from collections.abc import Callable, Sequence

import numpy as np

from asdlib.evaluation.bootstrap import interval

HOLDS, FAILS, UNTESTED = "holds", "does not hold", "cannot be tested here"
POINTS, CORRELATION, ARITHMETIC = "difference of harmonic means", "rank correlation", "arithmetic"
"""units of effects, all fractions; an arithmetic one, of the printed table, should be zero and not above"""
BASIS = ["clips", "sections", "seeds"]
"""what a verdict rests on: labelled test clips, sections of machine types, and runs that differ in the seed"""
COLUMNS = [
    *("claim", "source", "test", "unit", "effect", "low", "high", "verdict", "reason", "development", "paper"),
    *BASIS,
]


def judged(
    quote,
    source,
    what,
    effect: Callable,
    confidence: float,
    printed: float,
    lacking: str,
    unit: str = POINTS,
    basis: Sequence[float] = (np.nan,) * 3,
    needed: int | None = None,
) -> dict:
    """Build a row of the table of claims, with the verdict that follows from its interval.

    Args:
        quote: The paper's sentence.
        source: Section of the paper.
        what: Description of the measured quantity.
        effect: Gives, for a selection, the effect in every resample, several of them in a list, or None.
        confidence: Confidence of the interval.
        printed: The effect in the printed cells; NaN if they do not show it.
        lacking: Why the run cannot measure the effect, if it is missing.
        unit: Unit of the effect.
        basis: Clips, sections and seeds that it rests on (:data:`BASIS`).
        needed: How many of several effects have to be above zero; None for all.
    """
    effects, several = _effects(effect("cross-fitted"))
    count = len(effects)
    needed = needed or count
    value, low, high = _decisive(effects, needed, confidence, count - needed + 1)
    against = _decisive(effects, needed, confidence, needed, by=2)[2]
    others, _ = _effects(effect("development"))
    development = _decisive(others, min(needed, len(others)), confidence, 1)[0] if others else np.nan
    which = (
        f"{confidence:.0%} interval" if not several else f"{confidence:.0%} intervals of {needed} of {count} effects"
    )
    if np.isnan(value):
        verdict, reason = UNTESTED, lacking
    elif np.isnan(low):
        verdict, reason = UNTESTED, "no resamples were drawn (evaluation.bootstrap is 0)"
    elif low > 0:
        verdict, reason = HOLDS, f"the {which} {'lie' if several else 'lies'} above zero"
    elif against < 0:
        few = f"the {confidence:.0%} intervals of {count - needed + 1} of {count} effects lie below zero"
        verdict, reason = FAILS, few if several else f"the {which} lies below zero"
    else:
        held = f"the {confidence:.0%} interval holds zero"
        held = f"fewer than {needed} of {count} {confidence:.0%} intervals lie above zero" if several else held
        verdict, reason = UNTESTED, f"undecided: {held}"
    values = (quote, source, what, unit, value, low, high, verdict, reason, development, printed, *basis)
    return dict(zip(COLUMNS, values, strict=True))


def _effects(found) -> tuple[list[np.ndarray], bool]:
    """The effects as a list, none if one is lacking, and whether the claim is about several."""
    if not isinstance(found, list):
        return ([] if found is None else [found]), False
    return ([] if any(effect is None for effect in found) else found), True


def _decisive(effects: list, needed: int, confidence: float, tests: int, by: int = 1) -> tuple[float, float, float]:
    """Figure and interval of the effect on which ``needed`` effects above zero depend.

    Args:
        effects: Each in every resample.
        needed: The effect is that with the ``needed``-th largest bound.
        confidence: Confidence of one interval.
        tests: Number of tests that the interval is widened for.
        by: The bound: 1 for the lower, 2 for the upper one.
    """
    if len(effects) < max(needed, 1):
        return np.nan, np.nan, np.nan
    found = [interval(effect, 1 - (1 - confidence) / tests, (-1.0, 1.0)) for effect in effects]
    known = np.isfinite(found[0][1])
    return sorted(found, key=lambda item: item[by] if known else item[0], reverse=True)[needed - 1]
