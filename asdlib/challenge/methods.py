"""Evaluate every way to combine many systems on one machine type and domain, in every resample of its clips (Sec. 2.3).

Ensembles of the N best of many systems, of two families of systems, and of all, are chosen in several ways and reported
on the clips that each way leaves for it.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from asdlib.challenge.search import Found, Unit, areas, search, singles
from asdlib.challenge.systems import Cell, Systems, only
from asdlib.ensemble.combine import COMBINATIONS, normalise
from asdlib.metrics import harmonic_mean

P = 0.1
"""largest false positive rate of pAUC"""
CHOICES = (3, 5, 10, 20)
"""the paper's N"""
SIZES = (1, 2, 3, 5, 6, 10, 15, 20, 30)
"""N of the curves"""
ON_OFFER = (2, 3, 5, 10, 20, 30)
SUBSETS = 24
INLIER, CLASSIFIER = "inlier models", "classifiers"
FAMILIES = {"GMM": INLIER, "MD": INLIER, "TransAE": INLIER}
"""folders of the systems of 2022; the others are classifiers"""
INLIER_2021 = ("official_ae_rerun", "mobilenet_knn", "mobilenet_lof", "mobilenet_svm")
DEVELOPMENT, CROSS_FITTED, SECTIONS, NONE = "development", "cross-fitted", "other sections", "none"
SELECTIONS = (DEVELOPMENT, CROSS_FITTED, SECTIONS)
SAME_HALF = "same half"
"""chosen and reported on a half: what cross-fitting is compared with"""
SINGLE, CHOSEN, MIX, MAX, ALL = "best single", "chosen", "mix", "max", "all"

Key = tuple[str, str, str]
"""selection, family and method; the method of the N best is ``<combination> <N>``"""


@dataclass
class Result:
    """What one cell gives: AUC and pAUC of every method in every resample, and what needs no resample."""

    areas: dict[Key, np.ndarray] = field(default_factory=dict)
    """(1 + resamples, sections, 2)"""
    picks: dict[str, np.ndarray] = field(default_factory=dict)
    """by selection and fold, the index of the chosen combination and size in every resample"""
    subsets: dict[tuple[str, int, str], np.ndarray] = field(default_factory=dict)
    """by selection, number on offer and method: AUC and pAUC, (subsets, sections, 2)"""
    pairs: pd.DataFrame | None = None
    """two systems: correlation, gain of their average over the better, gap between them"""


# One cell -------------------------------------------------------------------------------------------------------------
def folds(selection: str, weights: list[np.ndarray], first: list[np.ndarray]):
    """How often each clip counts in choosing and in reporting, for each unit; a pair per choice that is made."""
    if selection == DEVELOPMENT:
        return [(weights, weights)]
    if selection in (CROSS_FITTED, SAME_HALF):
        one = [w * half for w, half in zip(weights, first, strict=True)]
        other = [w * ~half for w, half in zip(weights, first, strict=True)]
        return [(one, other), (other, one)] if selection == CROSS_FITTED else [(one, one), (other, other)]
    count = len(weights)
    return [
        (
            [None if k == left else weights[k] for k in range(count)],
            [weights[k] if k == left else None for k in range(count)],
        )
        for left in range(count)
    ]


def joined(selection: str, parts: list[np.ndarray]) -> np.ndarray:
    """The areas of all folds as one: halves are averaged, sections stand side by side on the axis before the last."""
    return np.mean(parts, axis=0) if selection in (CROSS_FITTED, SAME_HALF) else np.concatenate(parts, axis=-2)


def evaluate_cell(systems: Systems, cell: Cell) -> Result:
    """Every method by every selection in one machine type and domain."""
    units, weights, first = systems.cells[cell], systems.weights[cell], systems.first[cell]
    total, result = len(systems.names), Result()
    sizes = [size for size in SIZES if size <= total]
    choices = allowed(total)
    known: dict[int, np.ndarray] = {}

    def alone(units: list[Unit], given: list[np.ndarray | None]) -> np.ndarray:
        """The areas of the single systems on those units that have weights."""
        for unit, weighting in zip(units, given, strict=True):
            if weighting is not None and id(weighting) not in known:
                known[id(weighting)] = singles(unit, weighting, P)
        return np.stack([known[id(weighting)] for weighting in given if weighting is not None], axis=2)

    made = {selection: folds(selection, weights, first) for selection in SELECTIONS}
    for selection in SELECTIONS:
        found: dict[tuple[str, str], list[np.ndarray]] = {}

        def keep(family: str, method: str, values: np.ndarray, of: str = selection, found=found) -> None:
            found.setdefault((of, family, method), []).append(values)

        for number, (select, report) in enumerate(made[selection]):
            singly = alone(units, select), alone(units, report)
            every = search(units, select, report, sizes, choices, P, alone=singly)
            result.picks[f"{selection} {number}"] = every.chosen
            keep(ALL, SINGLE, every.singles[:, 0])
            keep(ALL, CHOSEN, every.best(every.reported))
            for (i, by), (j, size) in itertools.product(enumerate(COMBINATIONS), enumerate(sizes)):
                keep(ALL, f"{by} {size}", every.reported[:, i, j])
            if selection == CROSS_FITTED:  # the clips that chose, for the optimism
                keep(ALL, SINGLE, every.singles_looked[:, 0], SAME_HALF)
                keep(ALL, CHOSEN, every.best(every.looked), SAME_HALF)
                for (i, by), (j, size) in itertools.product(enumerate(COMBINATIONS), enumerate(sizes)):
                    keep(ALL, f"{by} {size}", every.looked[:, i, j], SAME_HALF)
            if selection == DEVELOPMENT:
                unsorted = np.argsort(every.order, axis=1)[..., None, None]
                each = np.take_along_axis(every.singles, unsorted, axis=1)
                for k, name in enumerate(systems.names):
                    result.areas[NONE, ALL, name] = each[:, k]
            _families(systems, units, select, report, singly, keep)
        for (of, family, method), parts in found.items():
            result.areas[of, family, method] = joined(of, parts)
    whole = alone(units, weights)
    _without_labels(systems, units, weights, whole, result)
    for selection in (DEVELOPMENT, CROSS_FITTED):
        parts = []
        for select, report in made[selection]:
            singly = alone(units, select), alone(units, report)  # no scale changes an AUC
            found = search(systems.raw[cell], select, report, [5], [5], P, alone=singly)
            parts.append(found.reported[:, 0, 0])
        result.areas[selection, ALL, "average 5 of raw scores"] = joined(selection, parts)
    _subsets(systems, cell, result)
    result.pairs = _pairs(systems, units)
    return result


def allowed(total: int) -> list[int]:
    """The paper's N that a number of systems allows; 2 where it allows none."""
    return [size for size in CHOICES if size <= total] or [min(2, total)]


def _families(systems: Systems, units: list[Unit], select, report, singly, keep) -> None:
    """The chosen ensembles of both families, their mix and the better of them."""
    made: dict[str, Found] = {}
    parts = {family: only(units, members) for family, members in systems.families.items()}
    for family, mine in parts.items():
        choices = allowed(len(systems.families[family]))
        known = tuple(part[:, systems.families[family]] for part in singly)
        made[family] = search(mine, select, report, choices, choices, P, alone=known)
        keep(family, SINGLE, made[family].singles[:, 0])
        keep(family, CHOSEN, made[family].best(made[family].reported))
    one, other = made.values()
    better = one.best(one.value) >= other.best(other.value)
    keep(ALL, MAX, np.where(better[:, None, None], one.best(one.reported), other.best(other.reported)))
    there = [(unit, weights) for unit, weights in zip(units, report, strict=True) if weights is not None]
    mixed = []
    for number, (unit, weights) in enumerate(there):
        scores = 0.5 * (normalise(one.scores[number]) + normalise(other.scores[number]))
        mixed.append(areas(scores[:, None], [weights], unit.anomaly, unit.counted, P)[0][:, 0])
    keep(ALL, MIX, np.stack(mixed, axis=1))


def _without_labels(systems: Systems, units: list[Unit], weights: list[np.ndarray], whole, result: Result) -> None:
    """All systems by each combination, and the N that agree most with the average of all."""
    total = len(systems.names)
    agreement = []
    for unit in units:
        mean = rankdata(unit.scores.mean(axis=0))
        agreement.append([np.corrcoef(mean, ranks)[0, 1] for ranks in unit.ranks])
    order = np.argsort(-np.mean(agreement, axis=0), kind="stable")
    sizes = [*allowed(total), total] if total not in allowed(total) else allowed(total)
    found = search(units, weights, weights, sizes, sizes, P, order=order, alone=(whole, whole))
    for i, by in enumerate(COMBINATIONS):
        result.areas[NONE, ALL, f"{by} of all"] = found.reported[:, i, -1]
    for j, size in enumerate(sizes[:-1]):
        result.areas[NONE, ALL, f"average of the {size} that agree most"] = found.reported[:, 0, j]


def _subsets(systems: Systems, cell: Cell, result: Result) -> None:
    """Gain and optimism where fewer systems are on offer: random subsets, the same in all cells."""
    units, first = systems.cells[cell], systems.first[cell]
    ones = [np.ones((SUBSETS, len(half)), dtype=np.int64) for half in first]
    for offer in (number for number in ON_OFFER if number <= len(systems.names)):
        generator = np.random.default_rng([offer, len(systems.names)])
        subsets = np.stack([generator.permutation(len(systems.names))[:offer] for _ in range(SUBSETS)])
        choices = allowed(offer)
        for selection in (DEVELOPMENT, CROSS_FITTED):
            parts = {}
            for select, report in folds(selection, ones, first):
                found = search(units, select, report, choices, choices, P, offered=subsets)
                parts.setdefault((selection, SINGLE), []).append(found.singles[:, 0])
                parts.setdefault((selection, CHOSEN), []).append(found.best(found.reported))
                if selection == CROSS_FITTED:
                    parts.setdefault((SAME_HALF, SINGLE), []).append(found.singles_looked[:, 0])
                    parts.setdefault((SAME_HALF, CHOSEN), []).append(found.best(found.looked))
            for (of, method), values in parts.items():
                result.subsets[of, offer, method] = joined(of, values)


def _pairs(systems: Systems, units: list[Unit]) -> pd.DataFrame:
    """All pairs of systems: rank correlation within a label, their average's gain over the better, and their gap."""
    first, second = np.array(list(itertools.combinations(range(len(systems.names)), 2))).T
    alone, both, correlations = [], [], []
    for unit in units:
        ones = np.ones((1, len(unit.anomaly)), dtype=np.int64)
        average = 0.5 * (unit.scores[first] + unit.scores[second])
        for scores, target in ((unit.scores, alone), (average, both)):
            target.append(areas(scores[None], [ones], unit.anomaly, unit.counted, P)[0][0])
        for label in (unit.anomaly, unit.counted):
            correlations.append(np.corrcoef(rankdata(unit.scores[:, label], axis=1))[first, second])
    alone, both = (harmonic_mean(np.stack(part, axis=1), axis=(1, 2)) for part in (alone, both))
    return pd.DataFrame(
        {
            "first": first,
            "second": second,
            "correlation": np.mean(correlations, axis=0),
            "gain": both - np.maximum(alone[first], alone[second]),
            "gap": np.abs(alone[first] - alone[second]),
        }
    )
