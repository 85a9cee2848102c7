"""Compute AUC and pAUC of many score vectors under many resamples of the clips, for :mod:`ensemble_search`.

Hits, false alarms and those false alarms that count in an AUC are packed into one integer, so that one cumulative sum
counts all three; and one sort serves several weightings of the clips.
"""

from collections.abc import Sequence

import numpy as np

from asdlib.errors import ScoreError

_BITS = 10
_MASK = (1 << _BITS) - 1
"""three counts of up to 1023 clips share an integer of 32 bits"""


def areas(
    scores: np.ndarray, weightings: Sequence[np.ndarray], anomaly: np.ndarray, counted: np.ndarray, p: float
) -> list[np.ndarray]:
    """Compute AUC and pAUC (:mod:`asdlib.metrics`) of many score vectors under many resamples.

    Args:
        scores: Shape (resamples, vectors, clips), or (1, vectors, clips) if they are the same in all resamples.
        weightings: Arrays of how often each resample contains each clip, shape (resamples, clips) each.
        anomaly: Whether each clip is anomalous, (clips,).
        counted: Whether each clip is a normal clip that the AUC counts, (clips,).
        p: Largest false positive rate of pAUC.

    Returns:
        AUC and pAUC for each weighting, shape (resamples, vectors, 2).
    """
    order, tied, last = _sort(scores)
    if len(scores) == 1:  # the same scores in all resamples are sorted once
        count = max(map(len, weightings))
        order, tied, last = (np.broadcast_to(part, (count, *part.shape[1:])) for part in (order, tied, last[None]))
        last = last.reshape(-1, last.shape[-1])
    order = order + (scores.shape[-1] * np.arange(len(order)))[:, None, None]
    return [_weighted_areas(order, tied, last, weights, anomaly, counted, p) for weights in weightings]


def _sort(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort clips by descending score, and find the vectors with ties and, in those, the last clip of each tie.

    One sort of integers yields all three: the bits of a floating-point number have the same order as the number, and
    the lowest bits are replaced by the index of the clip. Scores that agree to about 13 digits are therefore ties.
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
    """Compute AUC and pAUC from sorted clips and how often each resample contains them: (resamples, vectors, 2)."""
    if weights.shape[-1] > _MASK:
        raise ScoreError(f"{weights.shape[-1]} clips of one section found; the search supports {_MASK} at most")
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
    width = np.minimum((p * normal)[..., None] - (counts >> _BITS & _MASK) + step, step)  # of each step below p
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
