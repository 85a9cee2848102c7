"""Combine the scores of several systems by average, median, maximum or ranking (Sec. 2.3)."""

from collections.abc import Sequence

import numpy as np

from asdlib.errors import ScoreError

COMBINATIONS = ("average", "median", "maximum", "ranking")


def rank(scores: np.ndarray, reference: np.ndarray | None = None) -> np.ndarray:
    """Return the share of reference clips that score lower (ties count half), in 0 to 1.

    Arguments as in :func:`.normalisation.normalise`. An increasing transformation of scores and reference does not
    change the result.

    >>> rank(np.array([5.0, 7.0, 7.0, 9.0])).tolist()
    [0.125, 0.5, 0.5, 0.875]
    """
    reference = scores if reference is None else reference
    ordered = np.sort(reference, axis=-1).reshape(-1, reference.shape[-1])
    rows = scores.reshape(-1, scores.shape[-1])
    below = [np.searchsorted(o, r, "left") + np.searchsorted(o, r, "right") for o, r in zip(ordered, rows, strict=True)]
    return np.reshape(below, scores.shape) / (2 * ordered.shape[-1])


def combine(scores: np.ndarray, by: str, reference: np.ndarray | None = None) -> np.ndarray:
    """Combine several systems' normalised scores into one score per clip.

    Args:
        scores: Normalised scores, shape (systems, clips).
        by: ``average``, ``median``, ``maximum``, or ``ranking``: the mean over systems of the clip's :func:`rank`.
        reference: Normalised scores of the reference clips, for ``ranking`` only; None for ``scores`` itself.

    Returns:
        Shape (clips,).
    """
    return combine_best(scores, by, [len(scores)], reference)[0]


def combine_best(scores: np.ndarray, by: str, sizes: Sequence[int], reference: np.ndarray | None = None) -> np.ndarray:
    """Combine the first N systems for every N of ``sizes`` at once.

    Args:
        scores: Normalised scores, shape (..., systems, clips).
        by: As in :func:`combine`.
        sizes: The numbers of systems.
        reference: Normalised scores of the reference clips, for ``ranking`` only; None for ``scores`` itself.

    Returns:
        Shape (..., len(sizes), clips).
    """
    if by not in COMBINATIONS:
        raise ScoreError(f"combination {by!r} found; expected one of {', '.join(COMBINATIONS)}")
    if by == "median":
        return np.stack([np.median(scores[..., :size, :], axis=-2) for size in sizes], axis=-2)
    rows = np.asarray(sizes) - 1
    if by == "maximum":
        return np.maximum.accumulate(scores, axis=-2)[..., rows, :]
    if by == "ranking":
        scores = rank(scores, reference)
    return np.cumsum(scores, axis=-2)[..., rows, :] / (rows[:, None] + 1)
