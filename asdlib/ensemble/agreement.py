"""Measure how alike two systems rank clips, to test "each approach focused on different features" (Sec. 3.2)."""

import itertools

import numpy as np
import pandas as pd

from asdlib.ensemble.blocks import PAPER
from asdlib.ensemble.combine import rank
from asdlib.ensemble.pool import Pool

COLUMNS = ["machine", "section", "domain", "label", "first", "second", "correlation"]


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
    test = clips[(clips["split"] == "test") & (clips["label"] != "unknown")]
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
