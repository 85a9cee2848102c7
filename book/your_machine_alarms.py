"""How often a detector raises false alarms: by the number of its recordings, and by rules over several of them."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binom
from stored_results import read
from tables import table

from asdlib import Detector
from asdlib.detector import calibration, cutting

CALIBRATED = (20, 40, 60, 100, 200)
"""new recordings for ``calibrate``"""
RECORDINGS = (20, 40, 60, 80, 100, 200, 400)
"""numbers of recordings in the table of rates"""
RATE = Detector().false_alarm_rate
"""unless another is asked for"""
EVERY = 10
"""minutes between the recordings of both tables"""
RULES = ((1, 1), (3, 5), (6, 10), (12, 20), (12, 30), (20, 60))
"""rules for an alarm: at least how many of how many of the latest recordings are anomalies"""
RULE = (20, 60)
"""the rule of the recipe for a service"""
SHARES = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
"""of the recordings of a fault that are anomalies"""
DAY = 24 * 60 // EVERY
"""recordings"""
PIECES = (1, 6, 60)
"""into how many pieces of ten seconds a recording is cut: one minute, and ten minutes without a gap"""


def rates() -> str:
    """Return how many recordings allow which rate of false alarms, by the detector's own formulas."""
    rows = []
    for count in RECORDINGS:
        held_out = round(cutting.HELD_OUT * count)
        found = calibration.Calibration(np.arange(held_out, dtype=float), RATE).expected()
        alone = calibration.Calibration(np.arange(count, dtype=float), RATE).expected()["rate"]
        rates = [found[name] for name in ("rate", "low", "high")]
        rate, low, high = (f"{100 * value:.1f}" for value in rates)
        week, least, most = (f"{7 * DAY * value:.0f}" for value in rates)
        rows.append(
            (
                f"{count:,}",
                f"{100 * alone:.1f} %",
                f"{7 * DAY * alone:.0f}",
                f"{100 / (count + 1):.1f} %",
                str(held_out),
                f"{rate} % ({low} to {high})",
                f"{week} ({least} to {most})",
                f"{100 / (held_out + 1):.1f} %",
            )
        )
    names = ["Rate, {}", "A week, {}", "Lowest rate, {}"]
    alone, networks = ([name.format(kind) for name in names] for kind in ("statistics only", "networks"))
    columns = ["Recordings", *alone, "Held out, networks", *networks]
    caption = (
        "False alarms (normal recordings that are called anomalies) by the number of normal recordings, if "
        f"{100 * RATE:g} % is asked for: as a rate, and per week with one recording every {EVERY} minutes. *Lowest "
        "rate* is the lowest that can be asked for. Statistics only have about the stated rate on average, detectors "
        "with networks at most that, or at most their lowest rate if it is higher. A single detector with networks has "
        "a rate within the brackets, with 95 % confidence. For statistics only no interval is known, since their clips "
        "are scored by several fits."
    )
    return table(pd.DataFrame(rows, columns=columns), caption, "rates-table", "r" * len(columns)) + _calibrated()


def _calibrated() -> str:
    """Return which rate a detector has whose thresholds ``calibrate`` has set on new recordings."""
    rows = []
    for count in CALIBRATED:
        found = calibration.Calibration(np.arange(count, dtype=float), RATE).expected()
        rate, low, high = (f"{100 * found[name]:.1f}" for name in ("rate", "low", "high"))
        rows.append((f"{count}", f"{rate} % ({low} to {high})", f"{100 / (count + 1):.1f} %"))
    columns = ["New recordings", "Rate", "Lowest rate"]
    caption = (
        f"The same after `calibrate`, with or without networks, if {100 * RATE:g} % is asked for. On average it is at "
        "most the stated rate; that of a single detector lies within the brackets, with 95 % confidence."
    )
    return "\n" + table(pd.DataFrame(rows, columns=columns), caption, "calibrated-table", "rrr")


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
        false = [_rounded(30 * DAY * beginnings(least, last, rate)) for rate in (RATE, 2 * RATE)]
        seen = [f"{100 * binom.sf(least - 1, last, share):.0f} %" for share in SHARES]
        rows.append((f"{least} of {last}", *false, *seen, f"{least * EVERY / 60:.1f} h"))
    rates = [f"False a month, {100 * rate:g} %" for rate in (RATE, 2 * RATE)]
    seen = [f"In alarm, {100 * share:.0f} %" for share in SHARES]
    caption = (
        f"Rules for an alarm, with one recording every {EVERY} minutes. *False a month*: false alarms that begin in 30 "
        f"days, if {100 * RATE:g} % or {200 * RATE:g} % of the normal recordings are judged anomalies. *In alarm*: "
        "the probability of an alarm once the fault has lasted for all recordings that the rule looks at, by the share "
        "of them that are judged anomalies. *Earliest alarm*: how long a fault lasts at least before it, if each "
        "recording is judged one. Binomial: for recordings that are independent of each other."
    )
    columns = ["Anomalies", *rates, *seen, "Earliest alarm"]
    return table(pd.DataFrame(rows, columns=columns), caption, "rules-table", "l" + "r" * (len(columns) - 1))


def pieces() -> str:
    """Return what cutting each recording into pieces does to alarms, and the rate that keeps them as they were."""
    rows = []
    for count in PIECES:
        rate = RATE / count
        odd = [f"{100 * any_of(count, each):.0f} %" for each in (RATE, rate)]
        needed = math.ceil(1 / rate - 1 - 1e-9)
        anomalies = f"{DAY * count * RATE:,.0f}"
        asked = f"{100 * rate:.2f} %"
        rows.append((f"{count}", f"{DAY * count:,}", anomalies, odd[0], asked, f"{needed:,}", odd[1]))
    caption = (
        f"One recording every {EVERY} minutes, cut into pieces. *Odd* are normal recordings that have an anomaly among "
        "their pieces, if pieces are independent of each other. If those of a recording always agree, the share is "
        f"the rate of a piece. *Rate to ask for*: {100 * RATE:g} % divided by the number of pieces; then no more than "
        f"{100 * RATE:g} % are odd, whatever the dependence. *Pieces for thresholds*: how many must set the thresholds "
        "for this rate (with statistics only all of them do, with networks a quarter)."
    )
    columns = [
        *("Pieces", "Pieces a day", f"Anomalies a day, {100 * RATE:g} %", f"Odd recordings, {100 * RATE:g} %"),
        *("Rate to ask for", "Pieces for thresholds", "Odd recordings then"),
    ]
    return table(pd.DataFrame(rows, columns=columns), caption, "pieces-table", "r" * len(columns))


def any_of(count: int, rate: float) -> float:
    """Return the probability that at least one of so many independent pieces is an anomaly.

    >>> any_of(1, 0.1), round(any_of(2, 0.1), 6)
    (0.1, 0.19)
    """
    return float(binom.sf(0, count, rate))


def _rounded(value: float) -> str:
    return f"{value:,.1f}" if value >= 0.05 else "under 0.1"


def by_rule(folder: Path) -> dict[str, str]:
    """Count kinds and levels of mixed faults by how many of their recordings alarm a detector of statistics only.

    Args:
        folder: Of the stored results on detectors.
    """
    alarms = read(folder / "plain_alarms.csv").query("group == 'fault'")
    share, least = alarms["statistics only"] / alarms["recordings"], math.ceil(20 * RULE[0] / RULE[1])
    return {
        "faults_levels": str(len(alarms)),
        "faults_never": str((share == 0).sum()),
        "faults_always": str((share >= 0.9).sum()),
        "faults_mailed": str((share >= least / 20).sum()),
        "mailed_of_twenty": str(least),
    }
