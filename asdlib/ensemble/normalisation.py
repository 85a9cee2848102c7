"""Normalise scores to mean zero and variance one, so that those of different systems are comparable (Sec. 2.3)."""

import numpy as np

from asdlib.errors import ScoreError


def normalise(scores: np.ndarray, reference: np.ndarray | None = None) -> np.ndarray:
    """Subtract the mean of a reference set from scores, and divide by its standard deviation.

    Args:
        scores: Shape (..., clips).
        reference: Scores of the reference clips, shape (..., reference clips), with the same leading shape; None for
            ``scores`` itself. We read the paper as meaning the test clips; training clips let one clip be scored alone.

    Returns:
        Shape (..., clips). If the reference is constant, only the mean is subtracted.

    Raises:
        ScoreError: Scores are too large to square.

    >>> normalise(np.array([1.0, 3.0])).tolist()
    [-1.0, 1.0]
    """
    reference = scores if reference is None else reference
    with np.errstate(over="ignore", invalid="ignore"):
        constant = np.ptp(reference, axis=-1, keepdims=True) == 0  # their deviation may be a rounding error, not zero
        deviation = np.where(constant, 1.0, reference.std(axis=-1, keepdims=True))
    if not np.isfinite(deviation).all():
        raise ScoreError(
            "scores beyond 1e150, whose variance is no number; divide all scores of the system by a constant"
        )
    return (scores - reference.mean(axis=-1, keepdims=True)) / deviation
