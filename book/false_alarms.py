"""How often a detector raises false alarms: by the number of its recordings, and by rules over several of them."""

import numpy as np
import pandas as pd
from scipy.stats import binom
from tables import table

from asdlib.detector import Detector, calibration, cutting

RECORDINGS = (20, 40, 60, 80, 100, 200, 400)
"""numbers of recordings in the table of rates"""
RATE = Detector().false_alarm_rate
"""unless another is asked for"""
EVERY = 10
"""minutes between the recordings of the table's last column"""
RULES = ((1, 1), (3, 5), (6, 10), (8, 12), (12, 20), (15, 20))
"""rules for an alarm: at least how many of how many of the latest recordings are anomalies"""
RULE = (12, 20)
"""the rule of the recipe for a service"""
SHARES = (0.5, 0.8)
"""of the recordings of a fault that are anomalies"""
MONTH = 30 * 24 * 60
"""recordings, one per minute"""


def rates() -> str:
    """Return how many recordings allow which rate of false alarms, by the detector's own formulas."""
    rows = []
    for count in RECORDINGS:
        held_out = round(cutting.HELD_OUT * count)
        found = calibration.Calibration(np.arange(held_out, dtype=float), RATE).expected()
        lowest, day_long = 1 / (held_out + 1), 24 * 60 / EVERY
        rows.append(
            (
                f"{count:,}",
                str(held_out),
                f"{100 * found['rate']:.1f} % ({100 * found['low']:.1f} to {100 * found['high']:.1f})",
                f"{found['rate'] * day_long:.0f} ({found['low'] * day_long:.0f} to {found['high'] * day_long:.0f})",
                f"{100 * lowest:.1f} %",
                f"{lowest * day_long:.0f}",
                f"{100 / (count + 1):.1f} %",
            )
        )
    asked = f"at {100 * RATE:g} %"
    columns = ["Recordings", "Held out", f"Rate {asked}", f"A day {asked}", "Lowest rate", "A day at the lowest"]
    columns.append("Lowest, statistics only")
    caption = (
        f"False alarms by the number of normal recordings, each about as long as the others: if {100 * RATE:g} % is "
        "asked for, and at the lowest rate that so many recordings allow; as a rate, and as a number per day with one "
        f"recording every {EVERY} minutes. Over many detectors fitted in this way the mean is at most the first "
        "figure; that of a single one lies in the brackets with 95 % confidence. All recordings set the thresholds of "
        "a detector of statistics only, so its lowest rate is lower."
    )
    return table(pd.DataFrame(rows, columns=columns), caption, "rates-table", "rrrrrrr")


def beginnings(least: int, last: int, rate: float) -> float:
    """Return the probability that an alarm by a rule begins with a given recording, if recordings are independent.

    It begins if this recording is an anomaly, the one that is no longer among the last ones was none, and of those
    between, one less than the rule asks for are.

    >>> beginnings(1, 1, 0.1), round(beginnings(2, 2, 0.1), 6)  # an anomaly after a normal one, and two after one
    (0.09000000000000001, 0.009)
    """
    return float(rate * (1 - rate) * binom.pmf(least - 1, last - 1, rate))


def rules() -> str:
    """Return how often rules for an alarm raise a false one, and how surely they see a fault."""
    rows = []
    for least, last in RULES:
        false = [_rounded(MONTH * beginnings(least, last, rate)) for rate in (RATE, 2 * RATE)]
        seen = [f"{100 * binom.sf(least - 1, last, share):.0f} %" for share in SHARES]
        rows.append((f"{least} of {last}", *false, *seen))
    rates = [f"False a month, {100 * rate:g} %" for rate in (RATE, 2 * RATE)]
    seen = [f"In alarm, {100 * share:.0f} %" for share in SHARES]
    caption = (
        f"Rules for an alarm, with one recording per minute: how many false alarms begin in {MONTH // 24 // 60} days "
        f"if {100 * RATE:g} % or {200 * RATE:g} % of the normal recordings are judged anomalies, and the "
        f"probability of being in alarm at any moment of a fault of which {100 * SHARES[0]:.0f} % or "
        f"{100 * SHARES[1]:.0f} % of the recordings are. Binomial: for recordings that are independent of each other."
    )
    return table(pd.DataFrame(rows, columns=["Anomalies", *rates, *seen]), caption, "rules-table", "lrrrr")


def _rounded(value: float) -> str:
    return f"{value:,.1f}" if value >= 0.05 else "under 0.1"
