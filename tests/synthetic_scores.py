"""Draw random score tables for tests of ensembles and evaluation; they are never results."""

import numpy as np
import pandas as pd

from asdlib import params, scores
from asdlib.challenge import results, sources
from asdlib.paths import SINGLES, Run


def settings(folder, machines=("fan", "valve"), sections=("00", "01"), candidates=2, test=30, train=20, **changes):
    """Create the settings of a run in ``folder`` on synthetic data."""
    synthetic = {"machines": list(machines), "sections": list(sections), "train_source": train}
    synthetic |= {"test_normal": test, "test_anomaly": test}
    names = {f"c{k}": {} for k in range(candidates)}
    values = {
        "profile": "test",
        "title": "Random scores",
        "runs": str(folder),
        "data": {"synthetic": synthetic},
        "autoencoder_candidates": names,
        "classifier_candidates": names,
        "evaluation": {"bootstrap": 50},
    }
    return params.Settings.model_validate(params.merge(values, changes))


def clips(machine, sections=("00", "01"), test=30, train=20, domains=("source", "target"), target=3):
    """Create catalogue rows of one machine with ``target`` reference clips in the target domain."""
    counts = [("train", "normal", train), ("test", "normal", test), ("test", "anomaly", test)]
    rows = [
        (machine, s, d, split, label, f"section_{s}_{d}_{split}_{label}_{k:04d}.wav")
        for s in sections
        for d in domains
        for split, label, count in counts
        for k in range(target if (d, split) == ("target", "train") else count)
    ]
    return pd.DataFrame(rows, columns=["machine", "section", "domain", "split", "label", "clip"])


def table(rows, system, generator, shift=0.0):
    """Draw scores of a system that lifts anomalies by ``shift`` standard deviations."""
    values = generator.normal(size=len(rows)) + shift * (rows["label"] == "anomaly")
    return scores.table(rows, system, values.to_numpy())


def write_run(run_settings, seed=0, shift=0.0, variants=("first", "second", "third")):
    """Write score tables of all candidates and baselines of the run, like the stages."""
    generator, run, data = np.random.default_rng(seed), Run.of(run_settings), run_settings.data.synthetic
    for machine in data.machines:
        rows = clips(machine, data.sections, data.test_normal, data.train_source)
        for branch in ("autoencoder", "classifier"):
            for candidate in getattr(run_settings, f"{branch}_candidates"):
                names = [f"{branch}/{candidate}/{variant}" for variant in variants]
                tables = [table(rows, name, generator, shift) for name in names]
                scores.write(pd.concat(tables, ignore_index=True), run.scores(branch, machine, candidate))
        for system in SINGLES:
            scores.write(table(rows, system, generator), run.scores(system, machine))


def read_result(path):
    """Read an official ``result.csv``."""
    return results.read(sources.find([path])[0].files[0])[0]
