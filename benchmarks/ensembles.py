"""Benchmark the search of all ensembles of 30 systems in a thousand resamples against scikit-learn in a loop.

The size is that of the experiment on real systems: 4 combinations, all N, 7 machine types, 3 sections of 200 clips, 2
domains; the systems are ranked again in each resample.
"""

import itertools
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from measure import compare
from sklearn.metrics import roc_auc_score

from asdlib.ensemble.combine import COMBINATIONS

sys.path[:0] = [str(Path(__file__).resolve().parent / "real_systems")]

from ensemble_search import Unit, search  # noqa: E402

SYSTEMS, MACHINES, SECTIONS, DOMAINS, CLIPS, RESAMPLES = 30, 7, 3, 2, 200, 1000
CORES = 2


def cell(seed: int) -> float:
    """Search one machine type and domain, and return the mean value, so that the work cannot be skipped."""
    generator = np.random.default_rng(seed)
    anomaly = np.arange(CLIPS) % 2 == 1
    first = np.arange(CLIPS) < CLIPS // 2
    units, weights = [], []
    for _ in range(SECTIONS):
        units.append(Unit.of(generator.normal(size=(SYSTEMS, CLIPS)) + anomaly, anomaly, first))
        drawn = np.empty((RESAMPLES, CLIPS), dtype=np.int64)
        for label, half in itertools.product((False, True), repeat=2):
            inside = np.flatnonzero((anomaly == label) & (first == half))
            share = np.full(len(inside), 1 / len(inside))
            drawn[:, inside] = generator.multinomial(len(inside), share, size=RESAMPLES)
        weights.append(drawn)
    sizes = list(range(1, SYSTEMS + 1))
    return float(search(units, weights, weights, sizes, sizes).value.mean())


def ours() -> None:
    """Search all machine types and domains in two processes."""
    with ProcessPoolExecutor(CORES) as pool:
        assert all(np.isfinite(list(pool.map(cell, range(MACHINES * DOMAINS)))))


def run(folder: Path) -> list[dict]:
    """Compare; the time of scikit-learn is extrapolated from AUC and pAUC of some vectors to all, on as many cores."""
    generator = np.random.default_rng(0)
    labels = np.arange(CLIPS) % 2
    scores = generator.normal(size=(SYSTEMS, CLIPS)) + labels
    weights = generator.multinomial(CLIPS, np.full(CLIPS, 1 / CLIPS))

    def reference() -> None:
        for vector in scores:
            roc_auc_score(labels, vector, sample_weight=weights)
            roc_auc_score(labels, vector, max_fpr=0.1, sample_weight=weights)

    vectors = RESAMPLES * MACHINES * DOMAINS * SECTIONS * (SYSTEMS * len(COMBINATIONS) + SYSTEMS)
    return [
        compare(
            f"All ensembles of {SYSTEMS} systems, {RESAMPLES:,} resamples, chosen again in each ({CORES} cores)",
            ours,
            reference,
            by=f"scikit-learn in a loop on {CORES} cores, without combining",
            goal=30,
            repeats=1,
            times=vectors / SYSTEMS / CORES,
        )
    ]
