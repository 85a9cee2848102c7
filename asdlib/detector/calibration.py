"""From scores to percentiles and decisions, by normal clips that no training saw.

A new normal window and the held-out ones are exchangeable, so its rank among them is uniform whatever the scores'
distribution: that bounds the rate of false alarms (:func:`asdlib.evaluation.empirical.empirical_threshold`). Of a
recording of several windows the highest score counts, and the rate is that of the whole recording. No held-out set is
large enough for that, so beyond the upper quarter of the held-out scores their tail is taken to be exponential.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asdlib.ensemble import combine, normalise
from asdlib.evaluation.empirical import empirical_threshold

ENSEMBLE, STATISTICS = "ensemble", "statistics"
"""names of what all branches say together, and of the branch without a network"""
CONFIDENCE = 0.95
"""of the intervals of false-alarm rates"""
_LEAST = 1e-6  # share of normal recordings; no tail is known farther than that
_BODY = 0.75  # quantile from which on the tail is exponential


def ensemble(scores: Mapping[str, float], reference: Mapping[str, np.ndarray], by: str) -> dict[str, np.ndarray]:
    """Return the scores of the branches and of all together.

    Each system's scores are normalised by the held-out clips, the systems of a branch combined, and the result
    normalised again. The networks' branches are averaged, as ``AE+BC ensemble (mix)`` of Table 1 without labels. Where
    there are statistics, the networks together, normalised again, and the statistics count half each. Of the statistics
    the highest counts: each is made for other faults, some of them so short that an average would drown them.

    Args:
        scores: Of one window or several (arrays), by system, ``<branch>/<candidate>/...``.
        reference: Of the held-out clips, by system, ``(clips,)``.
        by: How the autoencoders are combined; classifiers are averaged (Sec. 3.1).

    Returns:
        By branch, and :data:`ENSEMBLE`.
    """
    result, held_out_results = {}, {}
    combinations = {"autoencoder": by, STATISTICS: "maximum"}
    for branch in dict.fromkeys(system.partition("/")[0] for system in reference):
        systems = [system for system in reference if system.startswith(f"{branch}/")]
        held_out = np.stack([reference[system] for system in systems])
        new = normalise(np.stack([np.atleast_1d(scores[system]) for system in systems]), held_out)
        how, held_out = combinations.get(branch, "average"), normalise(held_out)
        combined = combine(held_out, how)
        result[branch], held_out_results[branch] = normalise(combine(new, how, held_out), combined), normalise(combined)
    networks = [branch for branch in result if branch != STATISTICS]
    total = np.mean([result[branch] for branch in networks], axis=0)
    if STATISTICS in result:
        total = normalise(total, np.mean([held_out_results[branch] for branch in networks], axis=0))
        total = (total + result[STATISTICS]) / 2
    return result | {ENSEMBLE: total}


@dataclass(frozen=True)
class Calibration:
    """The held-out clips' scores under one name (a branch or the ensemble), and what follows from them."""

    scores: np.ndarray
    """(clips,)"""
    rate: float
    """the rate of false alarms that is aimed at"""

    def threshold(self, windows: float = 1) -> float:
        """Above this the highest score of a recording as long as so many windows is an anomaly."""
        single, bound = empirical_threshold(self.scores, 1 - self.rate)
        if windows <= 1:
            return single
        start, share, excess = self._tail()
        each = 1 - (1 - min(self.rate, bound)) ** (1 / windows)
        return max(single, start + excess * np.log(share / each))

    def percentile(self, score: float, windows: float = 1) -> float:
        """Per cent of normal recordings as long as so many windows whose highest score is lower.

        For one window it is the rank among the held-out clips, the new one counted with them; above all of them their
        exponential tail continues it, so that a score far above says more than one just above.
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

    def above(self, score: float) -> int:
        """How many of the held-out clips score lower."""
        return int(np.count_nonzero(self.scores < score))

    def expected(self) -> dict[str, float]:
        """The rate of false alarms on new normal windows.

        Returns:
            ``rate``, which over all draws of held-out clips is not exceeded; ``low`` and ``high``, the interval of the
            rate of this very threshold (k of n clips lie at or below it: Beta(n + 1 - k, k)); and ``clips``, n.
        """
        from scipy import stats  # half a second, and of no use in judging

        threshold, bound = empirical_threshold(self.scores, 1 - self.rate)
        count, below = len(self.scores), int(np.count_nonzero(self.scores <= threshold))
        low, high = stats.beta.interval(CONFIDENCE, count + 1 - below, below)
        return {"rate": float(bound), "low": float(low), "high": float(high), "clips": count}

    def _tail(self) -> tuple[float, float, float]:
        """Where the exponential tail starts, the share of clips beyond, and its mean excess."""
        start = float(np.quantile(self.scores, _BODY))
        beyond = self.scores[self.scores > start] - start
        spread = float(np.ptp(self.scores)) or 1.0
        return start, 1 - _BODY, float(beyond.mean()) if len(beyond) else spread


def limits(
    reference: Mapping[tuple, Mapping[str, np.ndarray]], rate: float, by: str
) -> dict[tuple, dict[str, Calibration]]:
    """Make the calibrations of each section, domain and length of window: one per branch, and the ensemble's.

    Args:
        reference: Scores of the held-out clips by section, domain and length, then system.
        rate: Rate of false alarms that is aimed at.
        by: As in :func:`ensemble`.
    """
    return {
        key: {name: Calibration(values, rate) for name, values in ensemble(own, own, by).items()}
        for key, own in reference.items()
    }
