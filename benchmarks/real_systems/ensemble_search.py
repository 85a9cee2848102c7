"""Search exhaustively for the best ensemble of many systems, again in each resample of the clips (Sec. 2.3).

Thousands of ensembles times a thousand resamples are millions of AUCs. They take about a minute because all ensembles
of the first N systems come from one pass over the ordered scores, and because :mod:`ensemble_areas` sorts once for the
clips that choose and those that report.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ensemble_areas import areas

from asdlib.ensemble.combine import COMBINATIONS, combine_best, rank
from asdlib.ensemble.normalisation import normalise
from asdlib.metrics import harmonic_mean

CHUNK = 8
"""number of resamples processed at once, so that the arrays stay in the cache of the CPU"""


@dataclass(frozen=True)
class Unit:
    """Clips that are normalised and evaluated together: a section, in 2021 a section and domain."""

    scores: np.ndarray
    """(systems, clips), normalised for each system"""
    ranks: np.ndarray
    """(systems, clips), each system's share of clips that score lower"""
    anomaly: np.ndarray
    """(clips,), booleans"""
    counted: np.ndarray
    """(clips,), whether the AUC counts a normal clip; the pAUC counts all of them"""

    @classmethod
    def of(cls, scores: np.ndarray, anomaly: np.ndarray, counted: np.ndarray, raw: bool = False) -> "Unit":
        """Build a unit from the systems' scores, (systems, clips), without normalising them if ``raw``."""
        return cls(scores if raw else normalise(scores), rank(scores), anomaly, counted & ~anomaly)


@dataclass(frozen=True)
class Found:
    """Result of a search in each resample; the last axis of areas is AUC and pAUC."""

    order: np.ndarray
    """(resamples, offered): the systems on offer, best first"""
    value: np.ndarray
    """(resamples, combinations, sizes): value of each ensemble on the clips that choose"""
    chosen: np.ndarray
    """(resamples,): index of the best combination and size"""
    selecting: np.ndarray
    """(resamples, combinations, sizes, units that choose, 2)"""
    reported: np.ndarray
    """(resamples, combinations, sizes, units that report, 2)"""
    singles: np.ndarray
    """(resamples, offered, units that report, 2), best first"""
    singles_selecting: np.ndarray
    """(resamples, offered, units that choose, 2), best first"""
    scores: list[np.ndarray]
    """the chosen ensemble's scores on each unit that reports, (resamples, clips)"""

    def best(self, areas: np.ndarray) -> np.ndarray:
        """Select the areas of the chosen ensemble from areas of shape (resamples, combinations, sizes, ...)."""
        flat = areas.reshape(len(areas), -1, *areas.shape[3:])
        return flat[np.arange(len(flat)), self.chosen]


def ensembles(unit: Unit, order: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Combine the first N systems of each order, for every N of ``sizes`` and all combinations.

    Args:
        unit: Clips and scores.
        order: Systems in order, (resamples, offered).
        sizes: Increasing numbers of systems.

    Returns:
        (resamples, combinations, sizes, clips), the combinations in the order of
        :data:`asdlib.ensemble.combine.COMBINATIONS`.
    """
    order = order[:, : max(sizes)]
    scores = unit.scores[order]  # (resamples, offered, clips)
    result = np.empty((len(order), len(COMBINATIONS), len(sizes), scores.shape[-1]))
    result[:, 0] = combine_best(scores, "average", sizes)
    result[:, 1] = _medians(scores, sizes)
    result[:, 2] = combine_best(scores, "maximum", sizes)
    result[:, 3] = combine_best(unit.ranks[order], "average", sizes)
    return result


def _medians(scores: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Compute medians of the first N systems for every N by inserting each system into the sorted ones before it."""
    systems = np.moveaxis(scores, 1, 0)  # (offered, resamples, clips)
    ranked, other = np.empty_like(systems), np.empty_like(systems)
    ranked[0] = systems[0]
    result, wanted = [], set(sizes)
    for count in range(1, len(systems) + 1):
        if count > 1:
            new = systems[count - 1]
            np.minimum(ranked[: count - 1], new, out=other[: count - 1])
            other[count - 1] = new
            np.maximum(other[1:count], ranked[: count - 1], out=other[1:count])
            ranked, other = other, ranked
        if count in wanted:
            middle = ranked[count // 2]
            result.append(middle.copy() if count % 2 else 0.5 * (ranked[count // 2 - 1] + middle))
    return np.stack(result, axis=1)


def singles(unit: Unit, weights: np.ndarray, p: float = 0.1) -> np.ndarray:
    """Compute AUC and pAUC of every single system, (resamples, systems, 2); ``weights`` as in :func:`search`."""
    cuts = range(0, len(weights), CHUNK)
    parts = [areas(unit.scores[None], [weights[k : k + CHUNK]], unit.anomaly, unit.counted, p)[0] for k in cuts]
    return np.concatenate(parts)


def search(
    units: Sequence[Unit],
    select: Sequence[np.ndarray | None],
    report: Sequence[np.ndarray | None],
    sizes: Sequence[int],
    choices: Sequence[int],
    p: float = 0.1,
    offered: np.ndarray | None = None,
    order: np.ndarray | None = None,
    alone: tuple[np.ndarray, np.ndarray] | None = None,
) -> Found:
    """Rank the systems, try every ensemble of the N best, and choose one, in each resample.

    Args:
        units: Units of one machine type and domain.
        select: For each unit, how often each resample contains each clip for choosing, (resamples, clips); None if the
            unit is not used.
        report: The same for the clips to report on.
        sizes: Numbers of systems to try, increasing.
        choices: Sizes that may be chosen.
        p: Largest false positive rate of pAUC.
        offered: Systems on offer in each resample, (resamples, offered); None for all systems.
        order: Order of the systems to use instead of the order by their values, (systems,).
        alone: Areas of the single systems on the units that choose and on those that report, (resamples, systems,
            units, 2), if known (:func:`singles`).
    """
    count = next(len(weights) for weights in [*select, *report] if weights is not None)
    parts = []
    for start in range(0, count, CHUNK):
        cut = slice(start, min(start + CHUNK, count))
        weights = [[None if w is None else w[cut] for w in weighting] for weighting in (select, report)]
        there, known = None if offered is None else offered[cut], alone and tuple(part[cut] for part in alone)
        parts.append(_search(units, *weights, sizes, choices, p, there, order, known))
    joined = {}
    for name in Found.__dataclass_fields__:
        values = [getattr(part, name) for part in parts]
        several = name == "scores"
        joined[name] = [np.concatenate(v) for v in zip(*values, strict=True)] if several else np.concatenate(values)
    return Found(**joined)


def _search(units, select, report, sizes, choices, p, offered, order, alone) -> Found:
    resamples = next(len(weights) for weights in [*select, *report] if weights is not None)

    def evaluate(unit: Unit, number: int, scores: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        weights = {id(w): w for w in (select[number], report[number]) if w is not None}
        values = areas(scores, list(weights.values()), unit.anomaly, unit.counted, p)
        by_weights = dict(zip(weights, values, strict=True))
        return by_weights.get(id(select[number])), by_weights.get(id(report[number]))

    if alone is None:
        pairs = [evaluate(unit, number, unit.scores[None]) for number, unit in enumerate(units)]
        alone = tuple(np.stack([pair[k] for pair in pairs if pair[k] is not None], axis=2) for k in (0, 1))
    selecting, reported = alone
    if order is None:
        values = harmonic_mean(selecting, axis=(2, 3))  # (resamples, systems)
        there = np.broadcast_to(np.arange(values.shape[1]), values.shape) if offered is None else offered
        best = np.argsort(-np.take_along_axis(values, there, axis=1), axis=1, kind="stable")
        ranked = np.take_along_axis(there, best, axis=1)
    else:
        ranked = np.broadcast_to(order, (resamples, len(order)))
    pairs = (reported, selecting)
    singles, singles_selecting = (np.take_along_axis(part, ranked[..., None, None], axis=1) for part in pairs)
    tried, both = [], []
    for number, unit in enumerate(units):
        scores = ensembles(unit, ranked, sizes)
        tried.append(scores if report[number] is not None else None)
        shape = (resamples, len(COMBINATIONS), len(sizes), 2)
        pair = evaluate(unit, number, scores.reshape(resamples, -1, scores.shape[-1]))
        both.append([None if part is None else part.reshape(shape) for part in pair])
    chose, told = (np.stack([pair[k] for pair in both if pair[k] is not None], axis=3) for k in (0, 1))
    value = harmonic_mean(chose, axis=(3, 4))
    allowed = np.isin(sizes, choices)
    chosen = np.where(allowed, value, -1.0).reshape(resamples, -1).argmax(axis=1)
    index = np.arange(resamples)
    scores = [part.reshape(resamples, -1, part.shape[-1])[index, chosen] for part in tried if part is not None]
    return Found(ranked, value, chosen, chose, told, singles, singles_selecting, scores)
