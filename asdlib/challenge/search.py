"""Search exhaustively for the best ensemble of many systems, again in each resample of the clips (Sec. 2.3).

Thousands of ensembles times a thousand resamples are millions of AUCs. Three things make that a matter of a minute: all
ensembles of the first N systems come from one pass over the ordered scores; the hits, the false alarms and those false
alarms that count in an AUC are packed into one integer, so that one cumulative sum counts all three; and one sort
serves the clips that choose and those that report.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asdlib.ensemble.combine import COMBINATIONS, normalise, rank
from asdlib.errors import ScoreError
from asdlib.metrics import harmonic_mean

CHUNK = 8
"""resamples at a time: what they need stays in the processor's cache"""
_BITS = 10
_MASK = (1 << _BITS) - 1
"""three counts of up to 1023 clips share an integer of 32 bits"""


@dataclass(frozen=True)
class Unit:
    """Clips that are normalised and evaluated together: a section, in 2021 a section and domain."""

    scores: np.ndarray
    """(systems, clips), each system's normalised"""
    ranks: np.ndarray
    """(systems, clips), each system's share of clips that score lower"""
    anomaly: np.ndarray
    """(clips,), booleans"""
    counted: np.ndarray
    """(clips,), the normal clips that the AUC counts; the pAUC counts all"""

    @classmethod
    def of(cls, scores: np.ndarray, anomaly: np.ndarray, counted: np.ndarray, raw: bool = False) -> "Unit":
        """A unit from the systems' own scores, (systems, clips); ``raw`` leaves them as they are."""
        return cls(scores if raw else normalise(scores), rank(scores), anomaly, counted & ~anomaly)


@dataclass(frozen=True)
class Found:
    """What a search found in each resample; the last axis of areas is AUC and pAUC."""

    order: np.ndarray
    """(resamples, offered): the systems on offer, best first"""
    value: np.ndarray
    """(resamples, combinations, sizes): each ensemble on the clips that chose"""
    chosen: np.ndarray
    """(resamples,): which combination and size is best, as an index into both"""
    looked: np.ndarray
    """(resamples, combinations, sizes, units that chose, 2)"""
    reported: np.ndarray
    """(resamples, combinations, sizes, units that report, 2)"""
    singles: np.ndarray
    """(resamples, offered, units that report, 2), best first"""
    singles_looked: np.ndarray
    """(resamples, offered, units that chose, 2), best first"""
    scores: list[np.ndarray]
    """the chosen ensemble's scores on each unit that reports, (resamples, clips)"""

    def best(self, areas: np.ndarray) -> np.ndarray:
        """Of areas (resamples, combinations, sizes, ...), those of the chosen ensemble."""
        flat = areas.reshape(len(areas), -1, *areas.shape[3:])
        return flat[np.arange(len(flat)), self.chosen]


def areas(
    scores: np.ndarray, weightings: Sequence[np.ndarray], anomaly: np.ndarray, counted: np.ndarray, p: float
) -> list[np.ndarray]:
    """AUC and pAUC (:mod:`asdlib.metrics`) of many score vectors under many resamples.

    Args:
        scores: (resamples, vectors, clips), or (1, vectors, clips) if they are the same in all resamples.
        weightings: How often each resample holds each clip, (resamples, clips); several, for one sort of the scores.
        anomaly: (clips,).
        counted: The normal clips that the AUC counts, (clips,).
        p: Largest false positive rate of pAUC.

    Returns:
        For each weighting (resamples, vectors, 2).
    """
    order, tied, last = _ranked(scores)
    if len(scores) == 1:  # the same scores in all resamples: sorted once
        count = max(map(len, weightings))
        order, tied, last = (np.broadcast_to(part, (count, *part.shape[1:])) for part in (order, tied, last[None]))
        last = last.reshape(-1, last.shape[-1])
    order = order + (scores.shape[-1] * np.arange(len(order)))[:, None, None]
    return [_weighted_areas(order, tied, last, weights, anomaly, counted, p) for weights in weightings]


def _ranked(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clips by descending score; the vectors with ties; and in those whether each clip is the last of its tie.

    One sort of integers gives all three: the bits of a number order as the number does, and the lowest of them give way
    to the index of the clip. Scores that agree to about 13 digits are therefore ties.
    """
    bits = int(scores.shape[-1] - 1).bit_length()
    keys = np.ascontiguousarray(0.0 - scores).view(np.int64)  # no negative zeros
    keys = keys ^ ((keys >> 63) & np.int64(2**63 - 1))
    keys = (keys & ~np.int64(2**bits - 1)) | np.arange(scores.shape[-1])
    keys.sort(axis=-1)
    order = keys & np.int64(2**bits - 1)
    keys >>= bits
    last = keys[..., 1:] != keys[..., :-1]
    tied = ~last.all(axis=-1)
    return order, tied, np.concatenate([last[tied], np.ones((tied.sum(), 1), dtype=bool)], axis=-1)


def _weighted_areas(order, tied, last, weights, anomaly, counted, p: float) -> np.ndarray:
    """AUC and pAUC from ordered clips and how often each resample holds them: (resamples, vectors, 2)."""
    if weights.shape[-1] > _MASK:
        raise ScoreError(f"{weights.shape[-1]} clips of one section; the search takes {_MASK} at most")
    pack = np.where(anomaly, 1, (1 << _BITS) + (counted.astype(np.int32) << 2 * _BITS)).astype(np.int32)
    steps = (weights.astype(np.int32) * pack).ravel()[order]
    counts = np.cumsum(steps, axis=-1, dtype=np.int32)
    anomalies, normal, mine = (counts[..., -1] >> _BITS * k & _MASK for k in range(3))
    if last.size:  # a tie is one oblique step at its end
        ends = np.maximum.accumulate(np.where(last, counts[tied], 0), axis=-1)
        counts[tied] = ends
        steps[tied] = np.diff(ends, axis=-1, prepend=0)
    hits = (counts & _MASK).astype(np.float64)
    step = (steps >> _BITS & _MASK).astype(np.float64)
    width = np.minimum((p * normal)[..., None] - (counts >> _BITS & _MASK) + step, step)  # what of each step is below p
    np.maximum(width, 0.0, out=width)
    own = (steps >> 2 * _BITS).astype(np.float64)
    auc, pauc = (np.einsum("...i,...i->...", part, hits) for part in (own, width))
    if last.size:
        rise = (steps[tied] & _MASK).astype(np.float64)
        share = np.divide(width[tied], step[tied], out=np.zeros_like(rise), where=step[tied] > 0)
        auc[tied] -= 0.5 * np.einsum("...i,...i->...", own[tied], rise)
        pauc[tied] -= np.einsum("...i,...i->...", width[tied] * (1 - 0.5 * share), rise)
    chance = 0.5 * p**2
    pauc = 0.5 * (1 + (pauc / (anomalies * normal) - chance) / (p - chance))
    return np.stack([auc / (anomalies * mine), np.minimum(pauc, 1.0)], axis=-1)


def ensembles(unit: Unit, order: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Scores of the first N systems of each order, for every N of ``sizes`` and all combinations.

    Args:
        unit: Clips and scores.
        order: (resamples, offered).
        sizes: Increasing.

    Returns:
        (resamples, combinations, sizes, clips), the combinations in the order of
        :data:`asdlib.ensemble.combine.COMBINATIONS`.
    """
    order = order[:, : max(sizes)]
    rows, counts = np.asarray(sizes) - 1, np.asarray(sizes)[:, None]
    scores = unit.scores[order]  # (resamples, offered, clips)
    result = np.empty((len(order), len(COMBINATIONS), len(sizes), scores.shape[-1]))
    result[:, 0] = np.cumsum(scores, axis=1)[:, rows] / counts
    result[:, 1] = _medians(scores, sizes)
    result[:, 2] = np.maximum.accumulate(scores, axis=1)[:, rows]
    result[:, 3] = np.cumsum(unit.ranks[order], axis=1)[:, rows] / counts
    return result


def _medians(scores: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Medians of the first N systems for every N: each system in turn is inserted into the sorted ones before it."""
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
    """AUC and pAUC of every system by itself, (resamples, systems, 2); ``weights`` as for :func:`search`."""
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
        units: Of one machine type and domain.
        select: For each unit how often each resample holds each clip among those that choose, (resamples, clips); None
            where a unit has no say.
        report: The same for the clips that are reported.
        sizes: Every N to try, increasing.
        choices: Those among them that may be chosen.
        p: Largest false positive rate of pAUC.
        offered: The systems on offer in each resample, (resamples, offered); None for all in all.
        order: An order of the systems to use in place of that by their values, (systems,).
        alone: The areas of the single systems on the units that choose and on those that report, (resamples, systems,
            units, 2), if they are known (:func:`singles`).
    """
    count = next(len(weights) for weights in [*select, *report] if weights is not None)
    parts = []
    for start in range(0, count, CHUNK):
        cut = slice(start, min(start + CHUNK, count))
        weights = [[None if w is None else w[cut] for w in given] for given in (select, report)]
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
        given = {id(w): w for w in (select[number], report[number]) if w is not None}
        found = dict(zip(given, areas(scores, list(given.values()), unit.anomaly, unit.counted, p), strict=True))
        return found.get(id(select[number])), found.get(id(report[number]))

    if alone is None:
        pairs = [evaluate(unit, number, unit.scores[None]) for number, unit in enumerate(units)]
        alone = tuple(np.stack([pair[k] for pair in pairs if pair[k] is not None], axis=2) for k in (0, 1))
    looked, reported = alone
    if order is None:
        values = harmonic_mean(looked, axis=(2, 3))  # (resamples, systems)
        there = np.broadcast_to(np.arange(values.shape[1]), values.shape) if offered is None else offered
        best = np.argsort(-np.take_along_axis(values, there, axis=1), axis=1, kind="stable")
        ranked = np.take_along_axis(there, best, axis=1)
    else:
        ranked = np.broadcast_to(order, (resamples, len(order)))
    singles, singles_looked = (np.take_along_axis(part, ranked[..., None, None], axis=1) for part in (reported, looked))
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
    return Found(ranked, value, chosen, chose, told, singles, singles_looked, scores)
