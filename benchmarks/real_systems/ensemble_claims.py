"""Judge the paper's sentences about ensembles (Sec. 2.3, 3.2 and 4) on real systems.

Every effect has the sign that the sentence claims, so that a positive one bears it out. A sentence holds if both
intervals of its effect lie above zero, over clips and over clips and machine types, is contradicted if both lie below,
and is undecided otherwise. Two sentences are about single machine types, whose leads have an interval over clips each:

* "much better for several machine types" holds if at least two leads exceed :data:`POINT` with an interval above zero.
  Otherwise it is undecided, since a lead that is not shown may still be there.
* "each approach outperforms the other in some machine types" holds if each is shown to lead somewhere, and is
  contradicted if one of them leads everywhere.
"""

import numpy as np
import pandas as pd
from ensemble_methods import ALL, CHOSEN, CLASSIFIER, INLIER, MAX, MIX, NONE, SECTIONS, SELECTIONS, SINGLE
from ensemble_summary import Summary, correlations
from ensemble_systems import Systems

from asdlib.evaluation.bootstrap import side
from asdlib.evaluation.claims import CONTRADICTED, HOLDS, UNDECIDED

POINT = 0.01
"""smallest difference that counts as "much better\""""
IMPORTANT = "“it is important to ensemble models that focus on different features”"
BOUNDS = ["effect", "low", "high", "block_low", "block_high"]
COLUMNS = ["claim", "source", "test", "part", "selection", *BOUNDS, "counted", "unit", "verdict"]
"""columns of the table of claims; ``counted`` says in how many machine types, where the verdict depends on it"""


def decide(effect: dict[str, float]) -> str:
    """Decide whether an effect is above zero by each of its intervals."""
    bounds = [(effect["low"], effect["high"]), (effect["block_low"], effect["block_high"])]
    bounds = [pair for pair in bounds if np.isfinite(pair[0])]
    sides = {side(*pair) for pair in bounds}
    return HOLDS if sides == {1} else CONTRADICTED if sides == {-1} else UNDECIDED


def negate(effect: dict[str, float]) -> dict[str, float]:
    """Turn the sign of an effect with its intervals."""
    pairs = (("effect", "effect"), ("low", "high"), ("high", "low"))
    pairs += (("block_low", "block_high"), ("block_high", "block_low"))
    return {name: -effect[other] for name, other in pairs}


def claims(summary: Summary, systems: Systems) -> pd.DataFrame:
    """Judge the paper's sentences about ensembles by their effects on these systems, by every selection.

    Returns:
        Columns :data:`COLUMNS`; a claim of two parts has one row per part and holds if both do. Effects are fractions,
        correlations as they are.
    """
    rows = []
    for selection in SELECTIONS:
        rows += _judge_families(summary, systems, selection)
        rows += _judge_machines(summary, systems, selection)
        rows += _judge_choices(summary, systems, selection)
    return pd.DataFrame(rows + _judge_correlations(summary, systems), columns=COLUMNS)


def _row(claim, source, test, part, selection, effect: dict, counted="", unit="points", verdict="") -> tuple:
    return claim, source, test, part, selection, *effect.values(), counted, unit, verdict or decide(effect)


def _judge_families(summary: Summary, systems: Systems, selection: str) -> list[tuple]:
    within = "“we were able to further improve the performance by ensembling the models within the same method”"
    spread = "“by ensembling the models, we were able to reduce the variability of the score”"
    steadier = "deviation over sections, best single minus chosen ensemble"
    higher = "“The ensemble allowed us to obtain a higher score by complementing both”"
    rows = []
    for family in systems.families:
        chosen, single = (selection, family, CHOSEN), (selection, family, SINGLE)
        gain, deviation = summary.difference(chosen, single), summary.difference(single, chosen, "deviation")
        lead = summary.difference((selection, ALL, MIX), chosen)
        rows += [
            _row(within, "Sec. 3.2", "chosen ensemble minus best single", family, selection, gain),
            _row(spread, "Sec. 3.2", steadier, family, selection, deviation),
            _row(higher, "Sec. 3.2, 4", "mix minus the ensemble", family, selection, lead),
        ]
    return rows


def _judge_machines(summary: Summary, systems: Systems, selection: str) -> list[tuple]:
    several = "“there are several machine types for which the score of […] (mix) is much better than that of […] (max)”"
    mix, best = (selection, ALL, MIX), (selection, ALL, MAX)
    lead, leads = summary.difference(mix, best), summary.by_machine(mix, best)
    much = int(((leads["effect"] > POINT) & (side(leads["low"], leads["high"]) > 0)).sum())
    counted, verdict = f"ahead by more than a point in {much} of {len(leads)}", HOLDS if much >= 2 else UNDECIDED
    rows = [
        _row(IMPORTANT, "Sec. 4", "mix minus max", "", selection, lead),
        _row(several, "Sec. 4", "mix minus max by machine type", "", selection, lead, counted, verdict=verdict),
    ]
    one, other = ((selection, family, CHOSEN) for family in systems.families)
    leads = summary.by_machine(one, other)
    where = side(leads["low"], leads["high"])
    ahead, behind = int((where > 0).sum()), int((where < 0).sum())
    test, counted = (
        f"{INLIER} minus {CLASSIFIER} by machine type",
        f"ahead in {ahead}, behind in {behind} of {len(leads)}",
    )
    verdict = HOLDS if ahead and behind else CONTRADICTED if ahead + behind == len(leads) else UNDECIDED
    turns = "each approach outperforms the other in some machine types"
    return [
        *rows,
        _row(turns, "Sec. 3.2", test, "", selection, summary.difference(one, other), counted, verdict=verdict),
    ]


def _judge_choices(summary: Summary, systems: Systems, selection: str) -> list[tuple]:
    five, chosen = f"average {min(5, len(systems.names))}", (selection, ALL, CHOSEN)
    effect = summary.difference(chosen, (selection, ALL, five))
    optimised = "“The number of N is optimized”, “We select the best method”"
    rows = [_row(optimised, "Sec. 2.3", "chosen minus the average of the 5 best", "", selection, effect)]
    if selection != SECTIONS:
        effect = summary.difference((selection, ALL, "average 5"), (selection, ALL, "average 5 of raw scores"))
        normal = "“Before ensembling the scores for each model, we normalize them”"
        rows.append(_row(normal, "Sec. 2.3", "average of the 5 best, normalised minus raw", "", selection, effect))
    if "official_ae_rerun" in systems.names:
        effect = summary.difference((selection, ALL, MIX), (NONE, ALL, "official_ae_rerun"))
        baseline = "“outperform the baseline significantly”"
        rows.append(_row(baseline, "Sec. 3.2", "mix minus the official AE", "", selection, effect))
    return rows


def _judge_correlations(summary: Summary, systems: Systems) -> list[tuple]:
    differ = "“The result showed that each approach focused on different features”"
    effects, test = correlations(summary, systems), "gain of averaging two systems with how differently they rank"
    across = negate(effects["correlation across families minus within"])
    gain, same_gap = (negate(effects[name]) for name in ("correlation and gain", "correlation and gain, same gap"))
    unit = "correlation"
    return [
        _row(differ, "Sec. 3.2", "rank correlation within families minus across", "", NONE, across, unit=unit),
        _row(IMPORTANT, "Sec. 4", test, "", NONE, gain, unit=unit),
        _row(IMPORTANT, "Sec. 4", test, "same gap", NONE, same_gap, unit=unit),
    ]
