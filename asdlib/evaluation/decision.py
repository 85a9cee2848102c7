"""From scores to 0/1 decisions with a known rate of false alarms: thresholds from normal training clips only."""

from typing import Literal

import numpy as np
import pandas as pd

from asdlib.evaluation.metrics import UNIT, MetricError

ENOUGH = 10
"""training clips below which a section's domain borrows those of the section's other domain (the target has three)"""


def gamma_threshold(scores: np.ndarray, quantile: float = 0.9) -> float:
    """The official decision threshold: this quantile of a gamma distribution fitted to normal clips' scores.

    Shape, location and scale are fitted by maximum likelihood, as the official baselines do.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if len(scores) < 2 or np.ptp(scores) == 0:
        raise MetricError(f"{len(scores)} training score(s), all equal; a gamma distribution needs scores that differ")
    with np.errstate(all="ignore"):
        from scipy import stats  # half a second, for this alone

        fitted = stats.gamma.fit(scores)
        return float(stats.gamma.ppf(quantile, *fitted))


def empirical_threshold(scores: np.ndarray, quantile: float = 0.9) -> tuple[float, float]:
    """A threshold without a distribution: the k-th smallest of n normal clips' scores, and what that guarantees.

    If a new normal clip and the n are exchangeable (of one section and domain, and the system was not trained on the
    n), it exceeds the threshold with probability at most 1 - k / (n + 1), over the draw of all n + 1. k is the smallest
    that makes this 1 - ``quantile``, or n if none does.

    Returns:
        The threshold, and that bound on the rate of false alarms.

    >>> threshold, bound = empirical_threshold(np.arange(1.0, 20.0), 0.9)
    >>> threshold, round(bound, 3)
    (18.0, 0.1)
    """
    scores = np.sort(np.asarray(scores, dtype=np.float64))
    if not len(scores):
        raise MetricError("no training scores; a threshold needs some")
    count = len(scores)
    k = min(int(np.ceil(np.round(quantile * (count + 1), 9))), count)
    return float(scores[k - 1]), 1 - k / (count + 1)


def thresholds(
    frame: pd.DataFrame,
    quantile: float = 0.9,
    method: Literal["gamma", "empirical"] = "gamma",
    by: Literal["machine", "section"] = "machine",
) -> pd.DataFrame:
    """Decision thresholds of one system's score table, from its training clips.

    Args:
        frame: Score rows of one system (:mod:`asdlib.scores`).
        quantile: One less the rate of false alarms that is aimed at.
        method: The official gamma distribution, or :func:`empirical_threshold`.
        by: One threshold a machine (official), or one a section and domain; a domain of a section with fewer than
            :data:`ENOUGH` training clips takes those of both domains.

    Returns:
        One row for each machine, section and domain that has test clips: ``machine, section, domain, threshold,
        clips`` (training clips behind it) and ``bound`` on the rate of false alarms; NaN for gamma, and where the
        clips are not of the section and domain alone, since nothing is then promised.

    Raises:
        MetricError: A machine or section has no training clips with which to set a threshold.
    """
    train, test = frame[frame["split"] == "train"], frame[frame["split"] == "test"]
    rows, known = [], {}
    for machine, section, domain in sorted(set(zip(test["machine"], test["section"], test["domain"], strict=True))):
        used = train[train["machine"] == machine]
        own = False
        if by == "section":
            used = used[used["section"] == section]
            inside = used[used["domain"] == domain]
            own = len(inside) >= ENOUGH or len(inside) == len(used)
            used = inside if own else used
        key = tuple(used.index)
        if key not in known:
            try:
                scores = used["score"].to_numpy()
                if method == "gamma":
                    known[key] = gamma_threshold(scores, quantile), np.nan
                else:
                    known[key] = empirical_threshold(scores, quantile)
            except MetricError as error:
                raise MetricError(f"{machine} section {section} {domain}: {error}") from None
        threshold, bound = known[key]
        rows.append((machine, section, domain, threshold, len(used), bound if own else np.nan))
    return pd.DataFrame(rows, columns=["machine", "section", "domain", "threshold", "clips", "bound"])


def decide(frame: pd.DataFrame, limits: pd.DataFrame) -> pd.DataFrame:
    """The test clips of ``frame`` with two more columns: ``threshold``, and ``decision``, 1 if the score exceeds it."""
    test = frame[frame["split"] == "test"]
    test = test.merge(limits[["machine", "section", "domain", "threshold"]], on=["machine", "section", "domain"])
    return test.assign(decision=(test["score"] > test["threshold"]).astype(int))


def rates(frame: pd.DataFrame, quantile: float = 0.9) -> pd.DataFrame:
    """What decisions are worth: false alarms and hits of one system's labelled test clips by three kinds of threshold.

    Args:
        frame: Score rows of one system (:mod:`asdlib.scores`).
        quantile: One less the rate of false alarms that is aimed at.

    Returns:
        Columns ``section, domain, threshold_of`` (``gamma, machine`` is the official one; ``gamma, section``;
        ``empirical, section``), ``clips, bound`` as in :func:`thresholds`, ``false_alarms`` (share of normal clips that
        are called anomalous) and ``recall`` (share of anomalous clips that are).
    """
    parts = []
    for method, by in (("gamma", "machine"), ("gamma", "section"), ("empirical", "section")):
        limits = thresholds(frame, quantile, method, by)
        alarms = decide(frame, limits).groupby([*UNIT, "label"])["decision"].mean().unstack("label")
        alarms = alarms.reindex(columns=["normal", "anomaly"]).set_axis(["false_alarms", "recall"], axis=1)
        parts.append(limits.merge(alarms.reset_index(), on=UNIT).assign(threshold_of=f"{method}, {by}"))
    columns = ["section", "domain", "threshold_of", "clips", "bound", "false_alarms", "recall"]
    return pd.concat(parts).sort_values(["section", "domain"], kind="stable", ignore_index=True)[columns]
