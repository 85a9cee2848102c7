"""How fast the ensembles choose: every N of 100 systems by every combination, against scikit-learn one by one.

Run by ``python benchmarks/selection.py``; prints one line. The size is the paper's: 7 machine types, 3 sections,
2 domains, 100 + 100 test clips.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from asdlib import params
from asdlib.ensemble.combine import COMBINATIONS
from asdlib.ensemble.pool import Pool
from asdlib.ensemble.select import choose

SYSTEMS, MACHINES, SECTIONS, CLIPS = 100, 7, 3, 100


def pool(branch: str, generator: np.random.Generator) -> Pool:
    """A pool of systems that each lift anomalies by one standard deviation."""
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
        clips.assign(system=f"{branch}/{k}/x", score=generator.normal(size=len(clips)) + lift) for k in range(SYSTEMS)
    ]
    return Pool.of(pd.concat(tables, ignore_index=True), "test")


def main() -> None:
    """Time both and print the ratio."""
    generator = np.random.default_rng(0)
    ensemble = {"sizes": list(range(1, SYSTEMS + 1)), "combinations": list(COMBINATIONS)}
    settings = params.Settings(profile="benchmark", title="Random scores", ensemble=ensemble)
    pools = pool("autoencoder", generator), pool("classifier", generator)
    looked = np.ones(len(pools[0].clips), dtype=bool)
    started = time.perf_counter()
    for _ in range(MACHINES):
        choose(*pools, settings, looked)
    ours = time.perf_counter() - started
    group = pools[0].groups["00", "source"]
    labels = (pools[0].clips["label"] == "anomaly").to_numpy()[group.columns]
    started = time.perf_counter()
    for scores in pools[0].scores[:, group.columns]:
        roc_auc_score(labels, scores)
        roc_auc_score(labels, scores, max_fpr=0.1)
    each = (time.perf_counter() - started) / SYSTEMS
    vectors = MACHINES * SECTIONS * 2 * SYSTEMS * (len(COMBINATIONS) + 1)  # all N by all combinations, and the singles
    theirs = each * vectors
    print(
        f"{vectors:,} ensembles and systems, AUC and pAUC: {ours:.1f} s; scikit-learn alone, without combining: "
        f"{theirs:.0f} s ({each * 1e3:.2f} ms each); {theirs / ours:.0f} times faster"
    )


if __name__ == "__main__":
    main()
