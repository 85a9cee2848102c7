"""When a claim holds: the verdict on an effect, from its interval.

It comes from the cross-fitted selection, since a gain on the clips that were selected on proves nothing; the paper's
way and the paper's own cells stand beside it. A claim *holds* if the interval of its effect lies above zero, *does not
hold* if it lies below, and *cannot be tested here* if it holds zero or the run lacks what the claim is about.
"""

from collections.abc import Callable

import numpy as np

from asdlib.evaluation.bootstrap import interval

HOLDS, FAILS, UNTESTED = "holds", "does not hold", "cannot be tested here"
POINTS, CORRELATION, ARITHMETIC = "difference of harmonic means", "rank correlation", "arithmetic"
"""units of effects, all fractions; an arithmetic one, of the printed table, should be zero and not above"""
COLUMNS = ["claim", "source", "test", "unit", "effect", "low", "high", "verdict", "reason", "development", "paper"]


def judged(
    quote, source, what, effect: Callable, confidence: float, printed: float, lacking: str, unit: str = POINTS
) -> dict:
    """A row of the table of claims, with the verdict that its interval gives.

    Args:
        quote: The paper's sentence.
        source: Where it stands.
        what: What is measured.
        effect: Gives, for a selection, the effect in every resample, or None.
        confidence: Of the interval.
        printed: The effect in the printed cells; NaN if they do not tell.
        lacking: Why the run cannot tell, if there is no effect.
        unit: Of the effect.
    """
    value, low, high = interval(effect("cross-fitted"), confidence, (-1.0, 1.0))
    development = interval(effect("development"), confidence)[0]
    if np.isnan(value):
        verdict, reason = UNTESTED, lacking
    elif np.isnan(low):
        verdict, reason = UNTESTED, "no resamples were drawn (evaluation.bootstrap is 0)"
    elif low > 0:
        verdict, reason = HOLDS, f"the {confidence:.0%} interval lies above zero"
    elif high < 0:
        verdict, reason = FAILS, f"the {confidence:.0%} interval lies below zero"
    else:
        verdict, reason = UNTESTED, f"undecided: the {confidence:.0%} interval holds zero"
    values = (quote, source, what, unit, value, low, high, verdict, reason, development, printed)
    return dict(zip(COLUMNS, values, strict=True))
