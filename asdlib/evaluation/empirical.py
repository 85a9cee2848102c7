"""Set a decision threshold with a known rate of false alarms, without assuming a distribution of the scores."""

import numpy as np

from asdlib.errors import ScoreError


def empirical_threshold(scores: np.ndarray, quantile: float = 0.9) -> tuple[float, float]:
    """Set the threshold to the k-th smallest of n normal clips' scores, which bounds the rate of false alarms.

    If a new normal clip is exchangeable with the n clips (same section and domain, and the system was not trained on
    them), it exceeds the threshold with a probability of at most 1 - k / (n + 1), over the draw of all n + 1 clips. k
    is the smallest number for which this is at most 1 - ``quantile``, or n if there is none.

    Returns:
        The threshold, and the bound on the rate of false alarms.

    >>> threshold, bound = empirical_threshold(np.arange(1.0, 20.0), 0.9)
    >>> threshold, round(bound, 3)
    (18.0, 0.1)
    """
    scores = np.sort(np.asarray(scores, dtype=np.float64))
    if not len(scores):
        raise ScoreError("no training scores found; a threshold needs at least one")
    k = threshold_rank(len(scores), quantile)
    return float(scores[k - 1]), 1 - k / (len(scores) + 1)


def threshold_rank(count: int, quantile: float) -> int:
    """Return which of ``count`` scores, counted from the smallest, is the threshold."""
    return min(int(np.ceil(np.round(quantile * (count + 1), 9))), count)
