"""Judge the paper's sentences about ensembles (Sec. 2.3, 3.2 and 4) on real systems."""

import numpy as np
import pandas as pd

from asdlib.challenge.methods import ALL, CHOSEN, CLASSIFIER, INLIER, MAX, MIX, NONE, SECTIONS, SELECTIONS, SINGLE
from asdlib.challenge.summary import Summary, correlations
from asdlib.challenge.systems import Systems

POINT = 0.01
"""what "much better" means"""
HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"


def verdict(found: dict[str, float], sign: int = 1) -> str:
    """Whether an effect is above (or with ``sign`` -1 below) zero by every interval that it has."""
    bounds = [(found["low"], found["high"]), (found["block_low"], found["block_high"])]
    bounds = [pair for pair in bounds if np.isfinite(pair[0])]
    if all(min(sign * low, sign * high) > 0 for low, high in bounds):
        return HOLDS
    return FAILS if all(max(sign * low, sign * high) < 0 for low, high in bounds) else OPEN


def claims(summary: Summary, systems: Systems) -> pd.DataFrame:
    """The paper's sentences about ensembles, as effects on these systems by every selection, with the verdicts.

    Returns:
        Columns ``claim, source, test, part, selection, effect, low, high, block_low, block_high, unit, verdict``; a
        claim of two parts has a row for each and holds if both do.
    """
    rows = []

    def add(
        claim: str, source: str, test: str, part: str, selection: str, found: dict, sign=1, unit="points", said=""
    ) -> None:
        rows.append((claim, source, test, part, selection, *found.values(), unit, said or verdict(found, sign)))

    within = "“we were able to further improve the performance by ensembling the models within the same method”"
    spread = "“by ensembling the models, we were able to reduce the variability of the score”"
    higher = "“The ensemble allowed us to obtain a higher score by complementing both”"
    several = "“there are several machine types for which the score of […] (mix) is much better than that of […] (max)”"
    turns = "each approach outperforms the other in some machine types"
    optimised = "“The number of N is optimized”, “We select the best method”"
    normal = "“Before ensembling the scores for each model, we normalize them”"
    for selection in SELECTIONS:
        for family in systems.families:
            chosen, single = (selection, family, CHOSEN), (selection, family, SINGLE)
            add(
                within,
                "Sec. 3.2",
                "chosen ensemble less best single",
                family,
                selection,
                summary.difference(chosen, single),
            )
            found = summary.difference(chosen, single, "deviation")
            add(spread, "Sec. 3.2", "deviation over sections, ensemble less single", family, selection, found, -1)
            found = summary.difference((selection, ALL, MIX), chosen)
            add(higher, "Sec. 3.2, 4", "mix less the ensemble", family, selection, found)
        per = summary.by_machine((selection, ALL, MIX), (selection, ALL, MAX))
        much = int(((per["effect"] > POINT) & (per["low"] > 0)).sum())
        found = summary.difference((selection, ALL, MIX), (selection, ALL, MAX))
        said = HOLDS if much >= 2 else FAILS
        add(
            several,
            "Sec. 4",
            f"mix less max; in {much} of {len(per)} machine types above a point",
            "",
            selection,
            found,
            said=said,
        )
        one, other = ((selection, family, CHOSEN) for family in systems.families)
        per = summary.by_machine(one, other)
        ahead, behind = int((per["low"] > 0).sum()), int((per["high"] < 0).sum())
        words = f"{INLIER} less {CLASSIFIER}; ahead in {ahead}, behind in {behind} of {len(per)} machine types"
        said = HOLDS if ahead and behind else FAILS if ahead + behind == len(per) else OPEN
        add(turns, "Sec. 3.2", words, "", selection, summary.difference(one, other), said=said)
        five = f"average {min(5, len(systems.names))}"
        found = summary.difference((selection, ALL, CHOSEN), (selection, ALL, five))
        add(optimised, "Sec. 2.3", "chosen less the average of the 5 best", "", selection, found)
        if selection != SECTIONS:
            found = summary.difference((selection, ALL, "average 5"), (selection, ALL, "average 5 of raw scores"))
            add(normal, "Sec. 2.3", "average of the 5 best, normalised less raw", "", selection, found)
        if "official_ae_rerun" in systems.names:
            found = summary.difference((selection, ALL, MIX), (NONE, ALL, "official_ae_rerun"))
            add("“outperform the baseline significantly”", "Sec. 3.2", "mix less the official AE", "", selection, found)
    about = correlations(summary, systems)
    differ = "“each method focused on different features”"
    found = about["correlation across families less within"]
    add(differ, "Sec. 4", "rank correlation across families less within", "", NONE, found, -1, "correlation")
    important = "“it is important to ensemble models that focus on different features”"
    for part, name in (("", "correlation and gain"), ("same gap", "correlation and gain, same gap")):
        add(
            important,
            "Sec. 4",
            "correlation of two systems and gain of their average",
            part,
            NONE,
            about[name],
            -1,
            "correlation",
        )
    bounds = ["effect", "low", "high", "block_low", "block_high"]
    return pd.DataFrame(rows, columns=["claim", "source", "test", "part", "selection", *bounds, "unit", "verdict"])
