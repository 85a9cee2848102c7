"""Evaluate all ways to combine many systems on one machine type and domain, in every resample of its clips (Sec. 2.3).

Ensembles of the N best of many systems, of two families of systems, and of all systems are chosen in several ways and
reported on the clips that each way leaves for it.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from ensemble_areas import areas
from ensemble_search import Found, Unit, search, singles
from ensemble_systems import Cell, Systems, restrict
from scipy.stats import rankdata

from asdlib.ensemble.combine import COMBINATIONS
from asdlib.ensemble.normalisation import normalise
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
"""family of each folder of systems of 2022; the others are classifiers"""
INLIER_2021 = ("official_ae_rerun", "mobilenet_knn", "mobilenet_lof", "mobilenet_svm")
DEVELOPMENT, CROSS_FITTED, SECTIONS, NONE = "development", "cross-fitted", "other sections", "none"
SELECTIONS = (DEVELOPMENT, CROSS_FITTED, SECTIONS)
SAME_HALF = "same half"
"""chosen and reported on the same half, for comparison with cross-fitting"""
SINGLE, CHOSEN, MIX, MAX, ALL = "best single", "chosen", "mix", "max", "all"

Key = tuple[str, str, str]
"""selection, family and method; the method of the N best is ``<combination> <N>``"""


@dataclass
class Result:
    """Results of one cell: AUC and pAUC of every method in every resample, and results without resamples."""

    areas: dict[Key, np.ndarray] = field(default_factory=dict)
    """(1 + resamples, sections, 2)"""
    picks: dict[str, np.ndarray] = field(default_factory=dict)
    """index of the chosen combination and size in every resample, by selection and fold"""
    subsets: dict[tuple[str, int, str], np.ndarray] = field(default_factory=dict)
    """AUC and pAUC by selection, number on offer and method, (subsets, sections, 2)"""
    pairs: pd.DataFrame | None = None
    """for two systems each: correlation, gain of their average over the better, gap between them"""


# One cell -------------------------------------------------------------------------------------------------------------
def split_folds(selection: str, weights: list[np.ndarray], first: list[np.ndarray]):
    """Return, for each choice to make, how often each clip of each unit counts in choosing and in reporting."""
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


def join_folds(selection: str, parts: list[np.ndarray]) -> np.ndarray:
    """Join the areas of all folds: average halves, and concatenate sections on the axis before the last."""
    return np.mean(parts, axis=0) if selection in (CROSS_FITTED, SAME_HALF) else np.concatenate(parts, axis=-2)


def evaluate_cell(systems: Systems, cell: Cell) -> Result:
    """Evaluate every method by every selection in one machine type and domain."""
    units, weights, first = systems.cells[cell], systems.weights[cell], systems.first[cell]
    total, result = len(systems.names), Result()
    sizes = [size for size in SIZES if size <= total]
    choices = allowed_sizes(total)
    known: dict[int, np.ndarray] = {}

    def alone(units: list[Unit], weightings: list[np.ndarray | None]) -> np.ndarray:
        """Compute the areas of the single systems on those units that have weights."""
        for unit, weighting in zip(units, weightings, strict=True):
            if weighting is not None and id(weighting) not in known:
                known[id(weighting)] = singles(unit, weighting, P)
        return np.stack([known[id(weighting)] for weighting in weightings if weighting is not None], axis=2)

    splits = {selection: split_folds(selection, weights, first) for selection in SELECTIONS}
    for selection in SELECTIONS:
        found: dict[tuple[str, str], list[np.ndarray]] = {}

        def keep(family: str, method: str, values: np.ndarray, of: str = selection, found=found) -> None:
            found.setdefault((of, family, method), []).append(values)

        for number, (select, report) in enumerate(splits[selection]):
            singly = alone(units, select), alone(units, report)
            every = search(units, select, report, sizes, choices, P, alone=singly)
            result.picks[f"{selection} {number}"] = every.chosen
            keep(ALL, SINGLE, every.singles[:, 0])
            keep(ALL, CHOSEN, every.best(every.reported))
            for (i, by), (j, size) in itertools.product(enumerate(COMBINATIONS), enumerate(sizes)):
                keep(ALL, f"{by} {size}", every.reported[:, i, j])
            if selection == CROSS_FITTED:  # the clips used for choosing, for the optimism
                keep(ALL, SINGLE, every.singles_selecting[:, 0], SAME_HALF)
                keep(ALL, CHOSEN, every.best(every.selecting), SAME_HALF)
                for (i, by), (j, size) in itertools.product(enumerate(COMBINATIONS), enumerate(sizes)):
                    keep(ALL, f"{by} {size}", every.selecting[:, i, j], SAME_HALF)
            if selection == DEVELOPMENT:
                unsorted = np.argsort(every.order, axis=1)[..., None, None]
                each = np.take_along_axis(every.singles, unsorted, axis=1)
                for k, name in enumerate(systems.names):
                    result.areas[NONE, ALL, name] = each[:, k]
            _families(systems, units, select, report, singly, keep)
        for (of, family, method), parts in found.items():
            result.areas[of, family, method] = join_folds(of, parts)
    whole = alone(units, weights)
    _without_labels(systems, units, weights, whole, result)
    for selection in (DEVELOPMENT, CROSS_FITTED):
        parts = []
        for select, report in splits[selection]:
            singly = alone(units, select), alone(units, report)  # no scale changes an AUC
            found = search(systems.raw[cell], select, report, [5], [5], P, alone=singly)
            parts.append(found.reported[:, 0, 0])
        result.areas[selection, ALL, "average 5 of raw scores"] = join_folds(selection, parts)
    _subsets(systems, cell, result)
    result.pairs = _pairs(systems, units)
    return result


def allowed_sizes(total: int) -> list[int]:
    """List the paper's N that a number of systems allows; 2 if it allows none."""
    return [size for size in CHOICES if size <= total] or [min(2, total)]


def _families(systems: Systems, units: list[Unit], select, report, singly, keep) -> None:
    """Evaluate the chosen ensembles of both families, their mix and the better of them."""
    ensembles: dict[str, Found] = {}
    parts = {family: restrict(units, members) for family, members in systems.families.items()}
    for family, mine in parts.items():
        choices = allowed_sizes(len(systems.families[family]))
        known = tuple(part[:, systems.families[family]] for part in singly)
        ensembles[family] = search(mine, select, report, choices, choices, P, alone=known)
        keep(family, SINGLE, ensembles[family].singles[:, 0])
        keep(family, CHOSEN, ensembles[family].best(ensembles[family].reported))
    one, other = ensembles.values()
    better = one.best(one.value) >= other.best(other.value)
    keep(ALL, MAX, np.where(better[:, None, None], one.best(one.reported), other.best(other.reported)))
    there = [(unit, weights) for unit, weights in zip(units, report, strict=True) if weights is not None]
    mixed = []
    for number, (unit, weights) in enumerate(there):
        scores = 0.5 * (normalise(one.scores[number]) + normalise(other.scores[number]))
        mixed.append(areas(scores[:, None], [weights], unit.anomaly, unit.counted, P)[0][:, 0])
    keep(ALL, MIX, np.stack(mixed, axis=1))


def _without_labels(systems: Systems, units: list[Unit], weights: list[np.ndarray], whole, result: Result) -> None:
    """Evaluate all systems by each combination, and the N that agree most with the average of all."""
    total = len(systems.names)
    agreement = []
    for unit in units:
        mean = rankdata(unit.scores.mean(axis=0))
        agreement.append([np.corrcoef(mean, ranks)[0, 1] for ranks in unit.ranks])
    order = np.argsort(-np.mean(agreement, axis=0), kind="stable")
    sizes = [*allowed_sizes(total), total] if total not in allowed_sizes(total) else allowed_sizes(total)
    found = search(units, weights, weights, sizes, sizes, P, order=order, alone=(whole, whole))
    for i, by in enumerate(COMBINATIONS):
        result.areas[NONE, ALL, f"{by} of all"] = found.reported[:, i, -1]
    for j, size in enumerate(sizes[:-1]):
        result.areas[NONE, ALL, f"average of the {size} that agree most"] = found.reported[:, 0, j]


def _subsets(systems: Systems, cell: Cell, result: Result) -> None:
    """Evaluate random subsets of the systems, the same in all cells, for gain and optimism with fewer on offer."""
    units, first = systems.cells[cell], systems.first[cell]
    ones = [np.ones((SUBSETS, len(half)), dtype=np.int64) for half in first]
    for offer in (number for number in ON_OFFER if number <= len(systems.names)):
        generator = np.random.default_rng([offer, len(systems.names)])
        subsets = np.stack([generator.permutation(len(systems.names))[:offer] for _ in range(SUBSETS)])
        choices = allowed_sizes(offer)
        for selection in (DEVELOPMENT, CROSS_FITTED):
            parts = {}
            for select, report in split_folds(selection, ones, first):
                found = search(units, select, report, choices, choices, P, offered=subsets)
                parts.setdefault((selection, SINGLE), []).append(found.singles[:, 0])
                parts.setdefault((selection, CHOSEN), []).append(found.best(found.reported))
                if selection == CROSS_FITTED:
                    parts.setdefault((SAME_HALF, SINGLE), []).append(found.singles_selecting[:, 0])
                    parts.setdefault((SAME_HALF, CHOSEN), []).append(found.best(found.selecting))
            for (of, method), values in parts.items():
                result.subsets[of, offer, method] = join_folds(of, values)


def _pairs(systems: Systems, units: list[Unit]) -> pd.DataFrame:
    """Compute rank correlation within a label, gain of the average, and gap of all pairs of systems."""
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
