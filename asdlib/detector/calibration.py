"""Turn scores into percentiles and decisions, with the scores of normal clips that no network learnt from.

A new normal window and the held-out ones are exchangeable, so its rank among them is uniform whatever the distribution
of scores, which bounds the rate of false alarms (:func:`asdlib.evaluation.empirical.empirical_threshold`). Scores of
several systems must be normalised before they are combined. If the held-out clips alone gave mean and deviation, each
of them would have a part in these, a new one would have none, and false alarms would be more frequent than the bound.
So the new window is normalised together with the held-out ones (:func:`combine_branches`), as in full conformal
prediction (Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random World*, 2005): all of them are treated alike,
the bound holds, and it is met. Hence the threshold varies a little from window to window. The score of
a recording of several windows is the highest of theirs, and the rate is that of whole recordings. No held-out set is
large enough for that, so the tail above the third quartile of the held-out scores is modelled as exponential.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from asdlib.ensemble.combine import combine
from asdlib.ensemble.normalisation import normalise
from asdlib.evaluation.empirical import empirical_threshold

ENSEMBLE, STATISTICS = "ensemble", "statistics"
"""names of the combination of all branches, and of the branch without a network"""
WHOLE = "whole"
"""name of the statistic of a whole window"""
CONFIDENCE = 0.95
"""confidence of the intervals of false-alarm rates"""
_LEAST = 1e-6  # smallest share of normal recordings; the tail is not extrapolated further
_BODY = 0.75  # quantile above which the tail is exponential


def combine_branches(
    scores: Mapping[str, float], reference: Mapping[str, np.ndarray], by: str
) -> dict[str, tuple[float, np.ndarray]]:
    """Return the score of a new window, and those of the held-out clips, of each branch and of their combination.

    New window and held-out clips are normalised and combined together (:func:`combine_together`). Last, the mean and
    deviation of the held-out clips become 0 and 1, which changes no rank.

    Args:
        scores: Score of the window by system, ``<branch>/<candidate>/...``.
        reference: Scores of the held-out clips by system, ``(clips,)``.
        by: How the autoencoders are combined; classifiers are averaged (Sec. 3.1).

    Returns:
        By branch, and for :data:`ENSEMBLE`: the score of the window, and those of the held-out clips, ``(clips,)``.
    """
    together = combine_together({name: np.append(values, scores[name]) for name, values in reference.items()}, by)
    scaled = {name: normalise(values, values[:-1]) for name, values in together.items()}
    return {name: (float(values[-1]), values[:-1]) for name, values in scaled.items()}


def combine_together(scores: Mapping[str, np.ndarray], by: str) -> dict[str, np.ndarray]:
    """Normalise the scores of clips by these clips themselves, and combine them.

    Each system's scores are normalised, the systems of a branch combined, and the result normalised again. The branches
    with networks are averaged, like ``AE+BC ensemble (mix)`` of Table 1 without labels. If there are statistics, that
    average, normalised again, and the statistics have equal weights; without networks, the statistics are all. The
    score of the statistics is the score of the whole window plus the maximum of all: each is good at detecting
    different faults. Some are so short that they would hardly change an average, but lasting ones are seen best in the
    whole.

    Args:
        scores: Scores by system, ``(clips,)``.
        by: As in :func:`combine_branches`.

    Returns:
        Scores by branch, and those of :data:`ENSEMBLE`, ``(clips,)``.
    """
    result = {}
    for branch in dict.fromkeys(system.partition("/")[0] for system in scores):
        systems = [system for system in scores if system.startswith(f"{branch}/")]
        values = normalise(np.stack([scores[system] for system in systems]))
        if branch == STATISTICS:
            combined = values[systems.index(f"{STATISTICS}/{WHOLE}")] + values.max(0)
        else:
            combined = combine(values, by if branch == "autoencoder" else "average")
        result[branch] = normalise(combined)
    networks = [values for branch, values in result.items() if branch != STATISTICS]
    if STATISTICS not in result:
        total = np.mean(networks, axis=0)
    elif networks:
        total = (normalise(np.mean(networks, axis=0)) + result[STATISTICS]) / 2
    else:
        total = result[STATISTICS]
    return result | {ENSEMBLE: normalise(total)}


@dataclass(frozen=True)
class Calibration:
    """Threshold and percentiles of a branch or of the ensemble, from its scores of the held-out clips."""

    scores: np.ndarray
    """(clips,)"""
    rate: float
    """intended rate of false alarms"""

    def threshold(self, windows: float = 1) -> float:
        """Return the score above which a recording as long as ``windows`` windows is an anomaly."""
        single, bound = empirical_threshold(self.scores, 1 - self.rate)
        if windows <= 1:
            return single
        start, share, excess = self._tail()
        each = 1 - (1 - min(self.rate, bound)) ** (1 / windows)
        return max(single, start + excess * np.log(share / each))

    def percentile(self, score: float, windows: float = 1) -> float:
        """Return the percentage of normal recordings as long as ``windows`` windows that score lower.

        For one window this is its rank among the held-out clips and itself. Above all of them the exponential tail
        continues it, so that a score far above has a higher percentile than one just above.
        """
        count = np.count_nonzero(self.scores >= score)
        reached = (1 + count) / (1 + len(self.scores))
        start, share, excess = self._tail()
        if windows <= 1:
            if not count:
                reached *= np.exp(-(score - self.scores.max()) / excess)
            return 100 * (1 - max(float(reached), _LEAST))
        reached = share * np.exp(-(score - start) / excess) if score > start else reached
        return 100 * float((1 - max(reached, _LEAST)) ** windows)

    def count_below(self, score: float) -> int:
        """Return the number of held-out clips that score lower."""
        return int(np.count_nonzero(self.scores < score))

    def expected(self) -> dict[str, float]:
        """Return the rate of false alarms on new normal windows.

        Returns:
            ``rate``, a bound on the rate, averaged over draws of the held-out clips; ``low`` and ``high``, an interval
            of the rate of this threshold (k of n clips lie at or below it: Beta(n + 1 - k, k)); and ``clips``, n.
        """
        threshold, bound = empirical_threshold(self.scores, 1 - self.rate)
        count, below = len(self.scores), int(np.count_nonzero(self.scores <= threshold))
        low, high = betaincinv(count + 1 - below, below, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return {"rate": float(bound), "low": float(low), "high": float(high), "clips": count}

    def _tail(self) -> tuple[float, float, float]:
        """Return where the exponential tail starts, the share of clips beyond, and their mean excess."""
        start = float(np.quantile(self.scores, _BODY))
        beyond = self.scores[self.scores > start] - start
        spread = float(np.ptp(self.scores)) or 1.0
        return start, 1 - _BODY, float(beyond.mean()) if len(beyond) else spread


@dataclass(frozen=True)
class Standing:
    """Where the score of a window stands among those of the held-out clips, normalised together with it."""

    score: float
    normal: Calibration

    def excess(self, windows: float) -> float:
        """Return how far the score lies above the threshold of a recording as long as ``windows`` windows."""
        return self.score - self.normal.threshold(windows)


def calibrate(
    reference: Mapping[tuple, Mapping[str, np.ndarray]], rate: float, by: str
) -> dict[tuple, dict[str, Calibration]]:
    """Return how the held-out clips compare with one another, by section, domain and length: per branch and together.

    Args:
        reference: Scores of the held-out clips by section, domain and length, then system.
        rate: Intended rate of false alarms.
        by: As in :func:`combine_branches`.
    """
    return {
        key: {name: Calibration(values, rate) for name, values in combine_together(own, by).items()}
        for key, own in reference.items()
    }
