"""Table 1 over seeds: mean and deviation by hand, and runs that may not be put together."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import synthetic_scores

from asdlib import ensemble
from asdlib.__main__ import main
from asdlib.artefacts import write_json
from asdlib.evaluation import seeds, table1
from asdlib.evaluation.bootstrap import EvaluationError
from asdlib.paths import Run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of three finished runs on random scores that differ in the seed only."""
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
    stored = pd.read_csv(Run(runs[0]).seeds).fillna({"selection": ""}).set_index(table1.KEYS)
    pd.testing.assert_frame_equal(stored, found)
    assert main(["seeds", *map(str, runs)]) == 0
    total = found.loc[("AE", "all", "all", "fixed")]
    assert f"{100 * total['mean']:.2f} ± {100 * total['deviation']:.2f}" in capsys.readouterr().out


def test_a_new_table_1_drops_what_was_made_of_the_old(runs):
    seeds.over_seeds(runs)
    settings = synthetic_scores.settings(runs[0].parent, ["fan"], test=10, evaluation={"bootstrap": 0})
    table1.run(settings)
    assert not Run(runs[0]).seeds.exists()


def test_only_runs_that_differ_in_the_seed_go_together(runs, tmp_path, capsys):
    for given, words in [(runs[:1], "two or more"), ([runs[0], tmp_path], "no finished run"),
                         ([runs[0], runs[1], runs[1]], "seed 1 is among the runs already")]:  # fmt: skip
        with pytest.raises(EvaluationError, match=words):
            seeds.over_seeds(given)
    path = Run(runs[2]).settings
    before = path.read_text()
    write_json(json.loads(before) | {"precision": "bfloat16"}, path)
    assert main(["seeds", *map(str, runs)]) == 2
    assert "precision is not as in" in capsys.readouterr().err and not Run(runs[0]).seeds.exists()
    path.write_text(before)


def test_runs_from_before_a_setting_go_with_later_ones(runs, tmp_path):
    old = shutil.copytree(runs[1], tmp_path / "old")
    settings = json.loads(Run(old).settings.read_text(encoding="utf-8"))
    assert settings.pop("compile") is False
    write_json(settings, Run(old).settings)
    for order in ([runs[0], old, runs[2]], [old, runs[0], runs[2]]):
        assert (seeds.over_seeds(order)["seeds"] == 3).all()
