"""Test the claims that the two approaches "focused on different features", by how alike candidates rank the clips."""

import numpy as np
import pandas as pd

from asdlib.ensemble import rank
from asdlib.ensemble.blocks import MAX, MIX
from asdlib.evaluation.bootstrap import Resampled
from asdlib.evaluation.verdict import CORRELATION, judged

CELLS = 5
"""machine types and domains, at least, for a correlation over them"""


def different_features(resampled: Resampled, agreement: pd.DataFrame, confidence: float) -> dict:
    """Whether candidates of one approach rank the clips more alike than candidates of both."""
    keys = ["machine", "section", "domain", "label"]
    means = agreement.assign(same=_same(agreement)).groupby([*keys, "same"])["correlation"].mean().unstack("same")
    effects = (means[True] - means[False]).dropna().to_numpy() if {True, False} <= set(means.columns) else np.array([])
    samples = effects[_draws(len(effects))].mean(axis=1) if len(effects) > 1 else None
    return judged(
        "The result showed that each approach focused on different features",
        "Sec. 3.2",
        "rank correlation of candidates of one approach minus that of candidates of both, within a label; interval "
        "over sections, domains and labels",
        lambda selection: samples,
        confidence,
        np.nan,
        "each approach has one candidate only, so nothing says how alike two of the same approach are",
        CORRELATION,
        (*resampled.basis(), resampled.seeds),
    )


def _same(agreement: pd.DataFrame) -> pd.Series:
    """Whether the two candidates are of one approach."""
    return agreement["first"].str.partition("/")[0] == agreement["second"].str.partition("/")[0]


def _draws(count: int) -> np.ndarray:
    """Resamples of ``count`` places, shape (2001, count); the first holds each place once."""
    draws = np.random.default_rng(0).integers(0, count, (2000, count))
    return np.concatenate([np.arange(count)[None], draws])


def because_different(resampled: Resampled, agreement: pd.DataFrame, confidence: float) -> dict:
    """Whether *mix* leads *max* where the approaches rank the clips differently; correlation over cells."""
    between = agreement[~_same(agreement)].groupby(["machine", "domain"])["correlation"].mean().dropna()

    def effect(selection):
        leads = {key: resampled.difference((MIX, selection), (MAX, selection), *key) for key in between.index}
        pairs = np.array([(-between[key], lead[0]) for key, lead in leads.items() if lead is not None])
        if len(pairs) < CELLS:
            return None
        drawn = rank(pairs.T)[:, _draws(len(pairs))]
        first, second = drawn - drawn.mean(axis=-1, keepdims=True)
        scale = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
        if scale[0] == 0:
            return None
        return (first * second).sum(axis=-1)[scale > 0] / scale[scale > 0]  # without draws of one place only

    return judged(
        "this is because each method focused on different features to detect anomalous sounds",
        "Sec. 4",
        f"over machine types and domains: rank correlation of the lead of {MIX} over {MAX} with how differently the "
        "approaches rank the clips (minus their rank correlation within a label); interval over machines and domains",
        effect,
        confidence,
        np.nan,
        f"there are fewer than {CELLS} machine types and domains to compare",
        CORRELATION,
        (*resampled.basis(), resampled.seeds),
    )
