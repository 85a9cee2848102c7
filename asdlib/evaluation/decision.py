"""Turn scores into 0/1 decisions with a known rate of false alarms, with thresholds from normal training clips only.

The rows of the split ``train`` are *reference clips*: normal clips that no system was trained on. Those of the source
domain are exchangeable with new normal clips of the source domain, so that the number of false alarms has a known
distribution, whatever the distribution of the scores. Three target clips cannot set a threshold, so the reference clips
of the target domain are source clips, scored like target clips; nothing can be promised for that domain.

For autoencoders this holds approximately: a reference clip is scored by Gaussians that were fitted on the clips of
other folds, a new clip by Gaussians of all folds (:func:`.section_domain_gaussians.cross_fit`), which fit it slightly
better. Therefore false alarms are somewhat rarer than stated: on noise with 25 distinct reference clips, 5 or 6 %
instead of 8 %. Ensembles normalise scores by the reference clips, in which a new clip takes no part, which acts the
other way: in a simulation of independent systems with 25 clips, 8 or 9 % instead of 8 %.
"""

import warnings
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from asdlib.errors import ScoreError
from asdlib.evaluation.empirical import empirical_threshold, threshold_rank
from asdlib.metrics import UNIT

EXCHANGEABLE = "source"
"""the domain whose reference clips are exchangeable with its normal test clips"""
CONFIDENCE = 0.95
"""confidence of the interval stated for the measured rate of false alarms"""
FENCE = 5.0
"""interquartile ranges beyond the quartiles at which scores are cut off before a gamma distribution is fitted"""
NEAR = 3.0
"""divided by the square root of the number of scores: how far, in standard deviations, a gamma threshold may lie from
the quantile of the scores themselves"""
LIKELIHOOD, MOMENTS, QUANTILE = "maximum likelihood", "moments", "quantile"


def fit_gamma(scores: np.ndarray, quantile: float = 0.9) -> tuple[float, str]:
    """Fit a gamma distribution to normal clips' scores and return its quantile and the method that found it.

    Shape, location and scale are fitted by maximum likelihood, as in the official baselines, but starting from the
    moments. The fit is used only if it is at least as likely as the distribution with those moments, if about the
    intended share of the scores lies above the threshold (within half of that share, or three standard errors), and if
    the threshold is :data:`NEAR` the quantile of the scores themselves. Otherwise the quantile of the moments'
    distribution is used, or, if that fails the same checks, the quantile of the scores. Scores beyond :data:`FENCE`
    interquartile ranges are clipped first. On real scores the likelihood often has several maxima, between which one
    clip decides; because all thresholds are near the quantile, which one clip hardly moves, one loud clip in 1,000
    moves the threshold by at most 0.2 standard deviations of the others: twice what :data:`NEAR` allows, and a little
    for the quantile itself.

    Returns:
        The threshold, and ``maximum likelihood``, ``moments`` or ``quantile``.

    Raises:
        ScoreError: There are fewer than two scores, all are equal, or one is not finite.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(scores).all():
        raise ScoreError(
            "training scores contain NaN or infinity; expected finite numbers; check how they were computed"
        )
    if len(scores) < 2 or scores.min() == scores.max():
        raise ScoreError(
            f"{len(scores)} training score(s) found, all equal; a gamma distribution needs distinct scores"
        )
    low, high = np.percentile(scores, [25, 75])
    reach = FENCE * (high - low) if high > low else np.inf
    kept = np.clip(scores, low - reach, high + reach)
    unit = 2.0 ** np.clip(np.frexp(np.abs(kept).max())[1], -1000, 1000)
    kept = kept / unit  # squares of very large or small scores would be infinite or 0
    centre, spread = kept.mean(), kept.std()
    kept = (kept - centre) / spread  # so that the search starts at the scale of one
    start = _moments(kept, stats.skew(kept))
    with np.errstate(all="ignore"):
        try:
            fitted = stats.gamma.fit(kept, start[0], loc=start[1], scale=start[2])
        except (stats.FitError, ValueError):
            fitted = start
        likelihoods = [stats.gamma.logpdf(kept, *found).sum() for found in (fitted, start)]
        better = np.isfinite(likelihoods[0]) and likelihoods[0] >= likelihoods[1]
        for found, method in [(fitted, LIKELIHOOD)] * bool(better) + [(start, MOMENTS)]:
            threshold = float(stats.gamma.ppf(quantile, *found))
            near = abs(threshold - np.quantile(kept, quantile)) <= NEAR / np.sqrt(len(kept))  # False for NaN
            if near and _holds(np.mean(kept > threshold), quantile, len(kept)):
                return float(unit * (centre + spread * threshold)), method
    return float(np.quantile(scores, quantile)), QUANTILE


def _moments(scores: np.ndarray, skewness: float) -> tuple[float, float, float]:
    """Return shape, location and scale of the gamma distribution with the moments of scores of mean 0 and variance 1.

    A gamma distribution has no negative skewness, and no score may lie below its location.
    """
    skewness = max(skewness, 0.02)
    location = min(-2 / skewness, scores.min() - 0.01)
    return location**2, location, -1 / location


def _holds(share: float, quantile: float, count: int) -> bool:
    """Return whether the share of scores above a threshold is close to the intended one."""
    return abs(share - (1 - quantile)) <= max((1 - quantile) / 2, 3 * np.sqrt(quantile * (1 - quantile) / count))


def false_alarm_interval(reference: int, tested: int, quantile: float) -> tuple[float, float]:
    """Compute the interval of the rate of false alarms measured with :func:`.empirical_threshold`.

    With exchangeable clips the number of ``tested`` normal clips above the k-th smallest of ``reference`` scores has a
    beta-binomial distribution: the probability of exceeding it has a beta distribution with parameters n - k + 1 and k.

    Returns:
        Smallest and largest rate of a central interval that contains the rate with at least :data:`CONFIDENCE`.
    """
    k = threshold_rank(reference, quantile)
    counts = stats.betabinom(tested, reference - k + 1, k)
    low, high = counts.ppf([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low / tested), float(high / tested)


def thresholds(
    frame: pd.DataFrame,
    quantile: float = 0.9,
    method: Literal["gamma", "empirical"] = "gamma",
    by: Literal["machine", "section"] = "machine",
) -> pd.DataFrame:
    """Set the decision thresholds of one system from its reference clips (rows of the split ``train``).

    A gamma distribution that cannot be fitted is replaced (:func:`fit_gamma`), with a warning that names the system.

    Args:
        frame: Score rows of one system (:mod:`asdlib.scores`).
        quantile: One minus the intended rate of false alarms.
        method: The official gamma distribution, or :func:`.empirical_threshold`.
        by: One threshold per machine (official), or one per section and domain, from its own reference clips only.

    Returns:
        One row per machine, section and domain with test clips: ``machine, section, domain, threshold``, ``method``
        (how it was found), ``clips`` (number of reference clips) and ``bound`` on the rate of false alarms, which is
        NaN for gamma, for a machine's threshold and in the target domain, since nothing is promised there.

    Raises:
        ScoreError: There are no reference clips with which to set a threshold.
    """
    train, test = frame[frame["split"] == "train"], frame[frame["split"] == "test"]
    rows, known = [], {}
    for machine, section, domain in sorted(set(zip(test["machine"], test["section"], test["domain"], strict=True))):
        used = train[train["machine"] == machine]
        if by == "section":
            used = used[(used["section"] == section) & (used["domain"] == domain)]
        key = tuple(used.index)
        if key not in known:
            try:
                scores = used["score"].to_numpy()
                if method == "gamma":
                    threshold, found = fit_gamma(scores, quantile)
                    known[key] = threshold, found, np.nan
                    if found != LIKELIHOOD:
                        where = machine if by == "machine" else f"{machine} section {section} {domain}"
                        warnings.warn(
                            f"{frame['system'].iloc[0]}, {where}: no gamma distribution of maximum likelihood fits the "
                            f"{len(scores)} training scores; the threshold comes from the {found} instead",
                            stacklevel=2,
                        )
                else:
                    threshold, bound = empirical_threshold(scores, quantile)
                    known[key] = threshold, "order statistic", bound
            except ScoreError as error:
                raise ScoreError(f"{frame['system'].iloc[0]}, {machine} section {section} {domain}: {error}") from None
        threshold, found, bound = known[key]
        promised = by == "section" and domain == EXCHANGEABLE
        rows.append((machine, section, domain, threshold, found, len(used), bound if promised else np.nan))
    return pd.DataFrame(rows, columns=["machine", "section", "domain", "threshold", "method", "clips", "bound"])


def decide(frame: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    """Return the test clips of ``frame`` with the columns ``threshold`` and ``decision`` (1 above it, else 0)."""
    test = frame[frame["split"] == "test"]
    test = test.merge(limits[["machine", "section", "domain", "threshold"]], on=["machine", "section", "domain"])
    return test.assign(decision=(test["score"] > test["threshold"]).astype(int))


def rates(frame: pd.DataFrame, quantile: float = 0.9) -> pd.DataFrame:
    """Count false alarms and hits among one system's labelled test clips with three kinds of threshold.

    Args:
        frame: Score rows of one system (:mod:`asdlib.scores`).
        quantile: One minus the intended rate of false alarms.

    Returns:
        Columns ``section, domain, threshold_of`` (``gamma, machine`` is the official one; ``gamma, section``;
        ``empirical, section``), ``method, clips`` as in :func:`thresholds`, ``false_alarms`` (share of normal clips
        above the threshold), ``low, high`` (the interval stated for it, if any: :func:`measure_rates`) and ``recall``
        (share of anomalous clips above the threshold).
    """
    parts = []
    for method, by in (("gamma", "machine"), ("gamma", "section"), ("empirical", "section")):
        parts.append(measure_rates(frame, quantile, method, by).assign(threshold_of=f"{method}, {by}"))
    columns = ["section", "domain", "threshold_of", "method", "clips", "false_alarms", "low", "high", "recall"]
    return pd.concat(parts).sort_values(["section", "domain"], kind="stable", ignore_index=True)[columns]


def measure_rates(
    frame: pd.DataFrame,
    quantile: float = 0.9,
    method: Literal["gamma", "empirical"] = "empirical",
    by: Literal["machine", "section"] = "section",
) -> pd.DataFrame:
    """Compare the stated rate of false alarms with the rate measured on normal test clips.

    Arguments as in :func:`thresholds`.

    Returns:
        The table of :func:`thresholds` with the columns ``normal`` (number of normal test clips), ``false_alarms``,
        ``recall``, ``low`` and ``high``: the interval of :func:`false_alarm_interval` for the measured rate, NaN where
        nothing is promised.
    """
    limits = thresholds(frame, quantile, method, by)
    labelled = decide(frame, limits)
    alarms = labelled.groupby([*UNIT, "label"])["decision"].agg(["mean", "size"]).unstack("label")
    result = limits.set_index(UNIT)
    for name, statistic, label in (("normal", "size", "normal"), ("false_alarms", "mean", "normal"),
                                   ("recall", "mean", "anomaly")):  # fmt: skip
        result[name] = alarms[statistic, label] if (statistic, label) in alarms else np.nan
    result[["low", "high"]] = np.nan
    for place, item in result.iterrows():
        if np.isfinite(item["bound"]) and item["normal"] > 0:
            stated = false_alarm_interval(int(item["clips"]), int(item["normal"]), quantile)
            result.loc[place, ["low", "high"]] = stated
    return result.reset_index()
