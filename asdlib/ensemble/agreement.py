"""Measure how alike two systems rank clips, to test "each approach focused on different features" (Sec. 3.2)."""

import itertools

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit  # scipy.stats takes half a second to load

from asdlib.ensemble.blocks import PAPER
from asdlib.ensemble.combine import rank
from asdlib.ensemble.systems import Pool
from asdlib.metrics import labelled

COLUMNS = ["machine", "section", "domain", "label", "first", "second", "correlation"]
RESAMPLES = 2000


def agreement(autoencoder: Pool, classifier: Pool, settings) -> pd.DataFrame:
    """Compute Spearman's rank correlation of every two of the paper's candidates, within each label.

    It is computed within each label because any two systems that work agree on what is anomalous. What remains is which
    normal clips both find unusual, and which anomalies both miss. Each candidate is represented by its first paper
    variant.

    Returns:
        Columns ``machine, section, domain, label, first, second, correlation``; NaN where a system's scores of the
        clips are all equal.
    """
    members = [(pool, PAPER.defaults(settings, pool.branch, pool.systems)) for pool in (autoencoder, classifier)]
    names = [pool.systems[k] for pool, chosen in members for k in chosen]
    scores = np.concatenate([pool.scores[chosen] for pool, chosen in members])
    clips = autoencoder.clips
    test = labelled(clips)
    rows = []
    for (machine, section, domain, label), part in test.groupby(["machine", "section", "domain", "label"]):
        ranks = rank(scores[:, part.index])
        ranks -= ranks.mean(axis=1, keepdims=True)
        length = np.sqrt((ranks**2).sum(axis=1))
        for i, j in itertools.combinations(range(len(names)), 2):
            product = length[i] * length[j]
            value = ranks[i] @ ranks[j] / product if product > 0 else np.nan
            rows.append((machine, section, domain, label, names[i], names[j], value))
    return pd.DataFrame(rows, columns=COLUMNS)


def draw_contrast(table: pd.DataFrame, confidence: float) -> np.ndarray | None:
    """Compute how much more alike candidates of one approach rank clips than candidates of both approaches.

    A section is one observation, the mean over its domains and labels, since the same networks rank all of its clips.

    Args:
        table: Result of :func:`agreement` for all machines.
        confidence: Confidence of the interval.

    Returns:
        Mean difference of the correlations, then draws around it whose interval is that of Student's t distribution
        over sections, since resamples of few sections vary too little; None if there are fewer than two sections, or no
        two candidates of one approach.
    """
    means = table.assign(same=_same_approach(table)).groupby(["machine", "section", "domain", "label", "same"])
    means = means["correlation"].mean().unstack("same")
    if not {True, False} <= set(means.columns):
        return None
    effects = (means[True] - means[False]).dropna().groupby(["machine", "section"]).mean()
    if len(effects) < 2:
        return None
    wider = stdtrit(len(effects) - 1, (1 + confidence) / 2) / ndtri((1 + confidence) / 2)
    draws = np.random.default_rng(0).standard_normal(RESAMPLES)
    return effects.mean() + wider * effects.sem() * np.append(0.0, draws)


def correlation_between(table: pd.DataFrame) -> pd.Series:
    """Average the correlations of candidates of different approaches, by machine and domain."""
    return table[~_same_approach(table)].groupby(["machine", "domain"])["correlation"].mean().dropna()


def resample_correlation(pairs: np.ndarray) -> np.ndarray | None:
    """Compute the rank correlation of pairs, shape (n, 2), and the same in resamples of the pairs.

    Returns:
        The correlation, then one per resample, without resamples of one pair only; None if one side is constant.
    """
    drawn = rank(pairs.T)[:, _draw(len(pairs))]
    first, second = drawn - drawn.mean(axis=-1, keepdims=True)
    scale = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    return (first * second).sum(axis=-1)[scale > 0] / scale[scale > 0] if scale[0] > 0 else None


def _same_approach(table: pd.DataFrame) -> pd.Series:
    return table["first"].str.partition("/")[0] == table["second"].str.partition("/")[0]


def _draw(count: int) -> np.ndarray:
    """Draw resamples of ``count`` places, shape (2001, count); the first contains each place once."""
    draws = np.random.default_rng(0).integers(0, count, (RESAMPLES, count))
    return np.concatenate([np.arange(count)[None], draws])
