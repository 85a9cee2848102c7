"""Compute AUC, partial AUC and their harmonic means (Sec. 3.1), the only figures of merit in this project.

All functions accept many score vectors at once: ``labels`` has shape (clips,), ``scores`` (..., clips), and the result
has the leading shape. Higher scores are more anomalous. AUC and pAUC equal scikit-learn's ``roc_auc_score`` (ties count
one half; pAUC is standardised after McClish, 1989, so that chance is 0.5).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from asdlib.errors import ScoreError

UNIT = ["machine", "section", "domain"]
"""keys of the clips that one AUC is computed on"""


def auc(labels: ArrayLike, scores: ArrayLike) -> np.ndarray | float:
    """Compute the area under the receiver operating characteristic (ROC) curve, in 0 to 1.

    Args:
        labels: Shape (clips,): booleans or 0 and 1 (1 = anomaly), or ``normal`` and ``anomaly``.
        scores: Shape (..., clips), finite.

    Raises:
        ScoreError: There is only one class, a score is not finite, or the shapes do not match.

    >>> float(auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    return areas(labels, scores, (1.0,))[0]


def pauc(labels: ArrayLike, scores: ArrayLike, p: float = 0.1) -> np.ndarray | float:
    """Compute the partial AUC for false positive rates up to ``p``, scaled so that chance is 0.5 and perfection 1.

    Arguments and errors as in :func:`auc`. The floor is 0.4737 for p = 0.1.
    """
    return areas(labels, scores, (p,))[0]


def areas(
    labels: ArrayLike, scores: ArrayLike, ps: Sequence[float], weights: np.ndarray | None = None
) -> list[np.ndarray | float]:
    """Compute the standardised area up to each false positive rate of ``ps`` (1 for AUC), from one sort of the scores.

    Args:
        labels: Shape (clips,).
        scores: Shape (..., clips).
        ps: False positive rates.
        weights: How often each clip counts, integers that broadcast to the shape of ``scores``; None for once each.
    """
    positive, scores = check_scores(labels, scores)
    order = np.argsort(-scores, axis=-1, kind="stable")
    descending = np.take_along_axis(scores, order, axis=-1)
    positive = positive[order]
    if weights is None:
        hits, alarms = np.cumsum(positive, axis=-1), np.cumsum(~positive, axis=-1)
    else:
        counts = np.take_along_axis(np.broadcast_to(weights, scores.shape), order, axis=-1)
        hits = np.cumsum(counts * positive, axis=-1)
        alarms = np.cumsum(counts, axis=-1) - hits
    if (descending[..., 1:] == descending[..., :-1]).any():  # a tie is one oblique step: connect the ends of ties
        last = np.ones(scores.shape, dtype=bool)
        last[..., :-1] = descending[..., 1:] != descending[..., :-1]
        end = np.maximum.accumulate(np.where(last, np.arange(scores.shape[-1]), -1), axis=-1)
        hits, alarms = (np.where(end < 0, 0, np.take_along_axis(count, end, axis=-1)) for count in (hits, alarms))
    return _areas(hits, alarms, ps)


def resampled_areas(labels: ArrayLike, scores: ArrayLike, weights: np.ndarray, ps: Sequence[float]) -> np.ndarray:
    """Compute :func:`areas` of one score vector under many resamples of the clips, from a single sort.

    Args:
        labels: Shape (clips,).
        scores: Shape (clips,).
        weights: How often each resample contains each clip, shape (resamples, clips); each contains both classes.
        ps: False positive rates.

    Returns:
        Shape (resamples, len(ps)).
    """
    positive, scores = check_scores(labels, scores)
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    ends = np.flatnonzero(np.append(descending[1:] != descending[:-1], True))
    counts, positive = np.take(weights, order, axis=1), positive[order]
    every = np.cumsum(counts, axis=-1)[:, ends]
    hits = np.cumsum(counts * positive, axis=-1)[:, ends]
    return np.stack(_areas(hits, every - hits, ps), axis=-1)


def _areas(hits: np.ndarray, alarms: np.ndarray, ps: Sequence[float]) -> list[np.ndarray]:
    """Compute standardised areas up to false positive rates ``ps`` under the ROC of cumulative counts (..., points)."""
    x, y = alarms / alarms[..., -1:], hits / hits[..., -1:]
    step, rise = np.diff(x, axis=-1, prepend=0), np.diff(y, axis=-1, prepend=0)
    result = []
    for p in ps:
        if not 0 < p <= 1:
            raise ScoreError(f"p is {p}; expected a false positive rate above 0 and at most 1")
        if p == 1:
            result.append(np.sum(step * (y - 0.5 * rise), axis=-1))
            continue
        width = np.clip(p - x + step, 0, step)  # the part of each step that lies below p
        slope = np.divide(rise, step, out=np.zeros_like(step), where=step > 0)
        area = np.sum(width * (y - rise + 0.5 * width * slope), axis=-1)
        chance = 0.5 * p**2
        result.append(np.minimum(0.5 * (1 + (area - chance) / (p - chance)), 1.0))  # not 1 + 2e-16
    return result


def check_scores(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Convert labels to booleans (True = anomaly) and scores to float64, or raise a :class:`ScoreError`."""
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if labels.dtype.kind in "OUST":
        odd = sorted({str(label) for label in labels} - {"normal", "anomaly"})
        positive = labels == "anomaly"
    else:
        odd = [str(label) for label in np.setdiff1d(labels, [0, 1])]
        positive = labels.astype(bool)
    if odd:
        raise ScoreError(f"label {odd[0]!r} found; expected normal or anomaly (0 or 1)")
    if labels.ndim != 1 or scores.ndim < 1 or scores.shape[-1] != len(labels):
        raise ScoreError(f"labels have shape {labels.shape} and scores {scores.shape}; expected (n,) and (..., n)")
    if positive.all() or not positive.any():
        only = "anomalous" if len(labels) and positive.all() else "normal" if len(labels) else "no"
        raise ScoreError(f"{only} clips only ({len(labels)}); an AUC needs both classes")
    if not np.isfinite(scores).all():
        raise ScoreError(f"{(~np.isfinite(scores)).sum()} score(s) are NaN or infinite; expected finite numbers")
    return np.asarray(positive, dtype=bool), scores


def harmonic_mean(values: ArrayLike, axis: int | tuple[int, ...] | None = None) -> np.ndarray | float:
    """Compute the harmonic mean over ``axis`` (all axes by default) of non-negative values; 0 if one of them is 0.

    >>> float(harmonic_mean([0.5, 1.0]))
    0.6666666666666666
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0 or (values < 0).any():
        raise ScoreError("a harmonic mean needs at least one value, and no value below zero")
    with np.errstate(divide="ignore"):
        return 1 / np.mean(1 / values, axis=axis)


def labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """Select the test clips whose label is known."""
    return frame[(frame["split"] == "test") & frame["label"].isin(["normal", "anomaly"])]


def evaluable(frame: pd.DataFrame) -> pd.DataFrame:
    """Select the labelled test clips of each machine, section and domain in which both classes occur."""
    test = labelled(frame)
    classes = test.groupby(UNIT, observed=True)["label"].transform("nunique")
    return test[classes == 2]


def sections(frame: pd.DataFrame, p: float = 0.1) -> pd.DataFrame:
    """Compute AUC and pAUC of every system, machine, section and domain of a score table.

    Only labelled test clips count. Where the table has a column ``fold`` (:mod:`asdlib.ensemble`), each half is
    evaluated separately and the mean of the halves is reported.

    Returns:
        Columns ``system, machine, section, domain, auc, pauc``, in the order of the keys.

    Raises:
        ScoreError: A group has only one class, or a score is not finite; the message names the group.
    """
    test = labelled(frame)
    keys = ["system", *UNIT]
    rows = []
    for key, group in test.groupby([*keys, "fold"] if "fold" in test else keys, dropna=False, observed=True):
        try:
            values = areas(group["label"].to_numpy(), group["score"].to_numpy(), (1.0, p))
        except ScoreError as error:
            system = f"{key[0]}, " if key[0] else ""
            raise ScoreError(f"{system}{key[1]} section {key[2]} {key[3]}: {error}") from None
        rows.append((*key[:4], *map(float, values)))
    result = pd.DataFrame(rows, columns=[*keys, "auc", "pauc"])
    return result.groupby(keys, as_index=False, sort=True)[["auc", "pauc"]].mean()


def cells(table: pd.DataFrame, by: Sequence[str] = ("system", "machine", "domain")) -> pd.DataFrame:
    """Compute the harmonic mean of all AUC and pAUC in each group: the cells of Table 1, or any other grouping.

    Args:
        table: AUC and pAUC, as returned by :func:`sections`.
        by: Columns that make a group; ``("system",)`` gives every system's official score.

    Returns:
        Columns ``by`` and ``value``.
    """
    rows = [
        (*key, float(harmonic_mean(group[["auc", "pauc"]]))) for key, group in table.groupby(list(by), observed=True)
    ]
    return pd.DataFrame(rows, columns=[*by, "value"])


def official_score(table: pd.DataFrame) -> float:
    """Compute the harmonic mean over all AUC and pAUC, the challenge's ranking score."""
    return float(harmonic_mean(table[["auc", "pauc"]]))


def decisions(labels: ArrayLike, decided: ArrayLike) -> dict[str, float]:
    """Compute precision, recall and F1 score of 0/1 decisions (or ``scores > threshold``); 0 if nothing is detected.

    >>> decisions([0, 0, 1, 1], [0, 1, 1, 1])["recall"]
    1.0
    """
    positive, decided = check_scores(labels, decided)
    hits, alarms = (positive & (decided > 0)).sum(), (decided > 0).sum()
    precision = hits / alarms if alarms else 0.0
    recall = hits / positive.sum()
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1)}
