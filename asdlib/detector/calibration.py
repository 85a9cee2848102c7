"""Turn scores into percentiles and decisions, with the scores of normal clips that no network learnt from.

A new normal window and the held-out ones are exchangeable, so its rank among them is uniform whatever the distribution
of scores, which bounds the rate of false alarms (:func:`asdlib.evaluation.empirical.empirical_threshold`). The scores
are normalised by the held-out clips, though, and a clip that takes part in its own mean and deviation scores lower than
a new one would. Therefore each held-out clip is scored as if it were new, by the others (:func:`score_as_new`). Fewer
clips give a less certain mean and deviation, so false alarms are somewhat rarer than the bound: 5 to 6 % instead of 9 %
with 10 clips, in a simulation of normal scores. The score of
a recording of several windows is the highest of theirs, and the rate is that of whole recordings. No held-out set is
large enough for that, so the tail above the third quartile of the held-out scores is modelled as exponential.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from asdlib.ensemble import combine, normalise
from asdlib.evaluation.empirical import empirical_threshold

ENSEMBLE, STATISTICS = "ensemble", "statistics"
"""names of the combination of all branches, and of the branch without a network"""
WHOLE = "whole"
"""name of the statistic of a whole window"""
CONFIDENCE = 0.95
"""confidence of the intervals of false-alarm rates"""
_LEAST = 1e-6  # smallest share of normal recordings; the tail is not extrapolated further
_FOLDS = 50  # groups of held-out clips that are scored by the others; one clip each if there are no more
_BODY = 0.75  # quantile above which the tail is exponential


def combine_branches(
    scores: Mapping[str, float], reference: Mapping[str, np.ndarray], by: str
) -> dict[str, np.ndarray]:
    """Return the scores of each branch and of their combination.

    Each system's scores are normalised by the held-out clips, the systems of a branch combined, and the result
    normalised again. The branches with networks are averaged, like ``AE+BC ensemble (mix)`` of Table 1 without labels.
    If there are statistics, that average, normalised again, and the statistics have equal weights. The score of the
    statistics is the score of the whole window plus the maximum of all: each is good at detecting different faults.
    Some are so short that they would hardly change an average, but lasting ones are seen best in the whole. If there
    are no networks, the statistics alone are the ensemble.

    Args:
        scores: Score of one window, or scores of several (arrays), by system, ``<branch>/<candidate>/...``.
        reference: Scores of the held-out clips by system, ``(clips,)``.
        by: How the autoencoders are combined; classifiers are averaged (Sec. 3.1).

    Returns:
        Scores by branch, and those of :data:`ENSEMBLE`.
    """
    result, held_out_results = {}, {}
    for branch in dict.fromkeys(system.partition("/")[0] for system in reference):
        systems = [system for system in reference if system.startswith(f"{branch}/")]
        held_out = np.stack([reference[system] for system in systems])
        new = normalise(np.stack([np.atleast_1d(scores[system]) for system in systems]), held_out)
        held_out = normalise(held_out)
        if branch == STATISTICS:
            whole = systems.index(f"{STATISTICS}/{WHOLE}")
            new, combined = new[whole] + new.max(0), held_out[whole] + held_out.max(0)
        else:
            how = by if branch == "autoencoder" else "average"
            new, combined = combine(new, how, held_out), combine(held_out, how)
        result[branch], held_out_results[branch] = normalise(new, combined), normalise(combined)
    networks = [branch for branch in result if branch != STATISTICS]
    if not networks:
        return result | {ENSEMBLE: result[STATISTICS]}
    total = np.mean([result[branch] for branch in networks], axis=0)
    if STATISTICS in result:
        total = normalise(total, np.mean([held_out_results[branch] for branch in networks], axis=0))
        total = (total + result[STATISTICS]) / 2
    return result | {ENSEMBLE: total}


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


def calibrate(
    reference: Mapping[tuple, Mapping[str, np.ndarray]], rate: float, by: str
) -> dict[tuple, dict[str, Calibration]]:
    """Return the calibrations of each section, domain and length of window: one per branch, and that of the ensemble.

    Args:
        reference: Scores of the held-out clips by section, domain and length, then system.
        rate: Intended rate of false alarms.
        by: As in :func:`combine_branches`.
    """
    return {
        key: {name: Calibration(values, rate) for name, values in score_as_new(own, by).items()}
        for key, own in reference.items()
    }


def score_as_new(reference: Mapping[str, np.ndarray], by: str) -> dict[str, np.ndarray]:
    """Return the scores of held-out clips as :func:`combine_branches` would score new ones, each by the other clips.

    Args:
        reference: Scores of the held-out clips by system, ``(clips,)``.
        by: As in :func:`combine_branches`.

    Returns:
        Scores by branch, and those of :data:`ENSEMBLE`, ``(clips,)`` each, in the order of the clips.
    """
    count = len(next(iter(reference.values())))
    if count < 2:
        return combine_branches(reference, reference, by)
    fold = np.arange(count) % min(count, _FOLDS)
    found = []
    for one in range(fold.max() + 1):
        own, others = (
            {system: values[rows] for system, values in reference.items()} for rows in (fold == one, fold != one)
        )
        found.append(combine_branches(own, others, by))
    order = np.argsort(np.argsort(fold, kind="stable"))
    return {name: np.concatenate([part[name] for part in found])[order] for name in found[0]}
