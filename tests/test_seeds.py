"""Test Table 1 over seeds: mean and deviation by hand, and runs that must not be combined."""

import json

import numpy as np
import pandas as pd
import pytest
import synthetic_scores

from asdlib import ensemble, scores
from asdlib.__main__ import main
from asdlib.atomic import write_json
from asdlib.errors import ScoreError
from asdlib.evaluation import seeds, table1
from asdlib.evaluation.bootstrap import Resampled
from asdlib.paths import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the folders of three finished runs on random scores that differ only in the seed."""
    folders = []
    for seed in (0, 1, 2):
        root = tmp_path_factory.mktemp(f"seed{seed}")
        settings = synthetic_scores.settings(root, ["fan"], seed=seed, test=10, evaluation={"bootstrap": 0})
        synthetic_scores.write_run(settings, seed=seed, shift=1.0)
        ensemble.run(settings, "fan")
        table1.run(settings)
        write_json(settings.resolved(), Run.of(settings).settings)
        folders.append(Run.of(settings).folder)
    return folders


def test_mean_and_deviation_are_those_of_the_tables(runs, capsys):
    assert main(["seeds", *map(str, runs), "--json"]) == 0
    found = pd.DataFrame(json.loads(capsys.readouterr().out)["figures"]).set_index(table1.KEYS)
    tables = [pd.read_csv(run / "table1.csv").fillna({"selection": ""}).set_index(table1.KEYS)["value"] for run in runs]
    assert set(found.index) == set(tables[0].dropna().index)
    for key, row in found.iterrows():
        values = [table[key] for table in tables]
        assert row["mean"] == pytest.approx(np.mean(values))
        assert row["deviation"] == pytest.approx(np.std(values, ddof=1))
    assert (found["seeds"] == 3).all() and (found["deviation"] > 0).any()
    stored = pd.read_csv(runs[0] / "table1_seeds.csv").fillna({"selection": ""}).set_index(table1.KEYS)
    pd.testing.assert_frame_equal(stored, found)
    assert main(["seeds", *map(str, runs)]) == 0
    total = found.loc[("AE", "all", "all", "fixed")]
    assert f"{100 * total['mean']:.2f} ± {100 * total['deviation']:.2f}" in capsys.readouterr().out


def test_seeds_are_a_level_of_the_intervals():
    """Check that the variance of the mean over seeds adds the variance over clips and that over seeds."""
    generator, count = np.random.default_rng(0), 4000
    clips = synthetic_scores.clips("fan", ["00"], domains=["source"])
    labels = (clips["label"] == "anomaly").to_numpy()
    lifts = (0.5, 1.0, 1.8)
    parts = []
    for lift in lifts:
        values = generator.normal(size=len(clips)) + lift * labels
        table = scores.table(clips, "x", values).assign(row="x", selection="", fold="")
        parts.append(Resampled(table, 1.0, count, 0))
    both = seeds.SeedResampled(parts, count, 0)
    samples, single = both.values(("x", "")), np.stack([part.values(("x", "")) for part in parts])
    assert both.seeds == 3 and samples[0] == pytest.approx(single[:, 0].mean())
    over_seeds = single[:, 1:].var(axis=0, ddof=1).mean() / 3
    over_clips = single[:, 1:].mean(axis=0).var()
    assert samples[1:].var() == pytest.approx(over_seeds + over_clips, rel=0.05)
    assert samples[1:].var() > 2 * over_clips
    assert (both.difference(("x", ""), ("x", "")) == 0).all()


def test_claims_and_differences_over_seeds_are_of_the_mean(runs):
    seeds.over_seeds(runs)
    first = Run(runs[0])
    tables = [first.over_seeds(path) for path in (first.claims, first.claims_extensions, first.differences)]
    judged, extensions, differences = (pd.read_csv(path, keep_default_na=False, na_values=[""]) for path in tables)
    assert set(judged["seeds"].dropna()) == {3} and (extensions["verdict"] == "not run").all()
    pick = "row == 'AE ensemble' and selection == 'fixed' and than == 'Baseline (AE)' and machine == domain == 'all'"
    each = [pd.read_csv(Run(run).differences, keep_default_na=False).query(pick)["difference"].item() for run in runs]
    assert differences.query(pick)["difference"].item() == pytest.approx(np.mean(each))


def test_a_new_table_1_removes_tables_computed_from_the_old_one(runs):
    seeds.over_seeds(runs)
    settings = synthetic_scores.settings(runs[0].parent, ["fan"], test=10, evaluation={"bootstrap": 0})
    table1.run(settings)
    run = Run(runs[0])
    assert not any(run.over_seeds(path).exists() for path in (run.table1, run.claims))


def test_only_runs_that_differ_in_the_seed_are_combined(runs, tmp_path, capsys):
    for folders, words in [(runs[:1], "two or more"), ([runs[0], tmp_path], "not a finished run"),
                         ([runs[0], runs[1], runs[1]], "another run already has seed 1")]:  # fmt: skip
        with pytest.raises(ScoreError, match=words):
            seeds.over_seeds(folders)
    path = Run(runs[2]).settings
    before = path.read_text()
    write_json(json.loads(before) | {"precision": "bfloat16"}, path)
    assert main(["seeds", *map(str, runs)]) == 2
    assert "precision differs from" in capsys.readouterr().err and not (runs[0] / "table1_seeds.csv").exists()
    path.write_text(before)
