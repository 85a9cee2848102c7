"""Benchmark the choice of ensembles, every N of 100 systems by every combination, against scikit-learn one by one.

The size is the paper's: 3 sections, 2 domains, 100 + 100 test clips.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from measure import compare
from sklearn.metrics import roc_auc_score

from asdlib import params
from asdlib.ensemble.choices import choose
from asdlib.ensemble.combine import COMBINATIONS
from asdlib.ensemble.systems import Pool

SYSTEMS, SECTIONS, CLIPS = 100, 3, 100


def pool(branch: str, generator: np.random.Generator, systems: int = SYSTEMS) -> Pool:
    """Create a pool of ``systems`` that each lift anomalies by one standard deviation."""
    keys = [
        ("fan", f"{section:02d}", domain, "test", f"{label}_{k}.wav", label)
        for section in range(SECTIONS)
        for domain in ("source", "target")
        for label in ("normal", "anomaly")
        for k in range(CLIPS)
    ]
    clips = pd.DataFrame(keys, columns=["machine", "section", "domain", "split", "clip", "label"])
    lift = (clips["label"] == "anomaly").to_numpy()
    tables = [
        clips.assign(system=f"{branch}/c{k}/x", score=generator.normal(size=len(clips)) + lift) for k in range(systems)
    ]
    return Pool.of(pd.concat(tables, ignore_index=True), "test")


def settings(systems: int, ensemble: dict) -> params.Settings:
    """Create settings with as many candidates as the pools have systems."""
    names = {f"c{k}": {} for k in range(systems)}
    values = {"autoencoder_candidates": names, "classifier_candidates": names, "ensemble": ensemble}
    return params.Settings(profile="benchmark", title="Random scores", **values)


def run(folder: Path) -> list[dict]:
    """Compare; the time of scikit-learn is that of one system times their number."""
    generator = np.random.default_rng(0)
    ensemble = {"sizes": list(range(1, SYSTEMS + 1)), "combinations": list(COMBINATIONS)}
    options = settings(SYSTEMS, ensemble)
    pools = pool("autoencoder", generator), pool("classifier", generator)
    visible = np.ones(len(pools[0].clips), dtype=bool)
    group = pools[0].groups["00", "source"]
    labels = (pools[0].clips["label"] == "anomaly").to_numpy()[group.columns]
    vectors = SECTIONS * 2 * SYSTEMS * (len(COMBINATIONS) + 1)  # all N by all combinations, and the singles
    each = pools[0].scores[:, group.columns]

    def reference():
        for scores in each:
            roc_auc_score(labels, scores)
            roc_auc_score(labels, scores, max_fpr=0.1)

    return [
        compare(
            f"AUC and pAUC of {vectors:,} ensembles and systems of a machine type",
            lambda: choose(*pools, options, visible),
            reference,
            by="scikit-learn in a loop, without combining",
            goal=30,
            times=vectors / SYSTEMS,
        )
    ]
