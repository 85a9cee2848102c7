"""Test ablations over seeds: differences by hand, the comparisons, and runs that must not be combined."""

import shutil

import numpy as np
import pandas as pd
import pytest
import synthetic_scores

from asdlib import metrics, params, scores
from asdlib.__main__ import main
from asdlib.atomic import write_json
from asdlib.errors import ScoreError
from asdlib.evaluation import ablations
from asdlib.origin import BRANCHES
from asdlib.paths import Run

CANDIDATES = {"c0": {}, "c1": {"model": {"latent": 8}}}
VARIANTS = {"autoencoder": ("clip_signed", "median"), "classifier": ("mahalanobis", "w50_mean")}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the folders of two runs on random scores that differ only in the seed, with two candidates per branch."""
    folders = []
    for seed in (0, 1):
        settings = synthetic_scores.settings(
            tmp_path_factory.mktemp(f"seed{seed}"), ["fan"], seed=seed, test=30, evaluation={"bootstrap": 50},
            autoencoder_candidates=CANDIDATES,
            **{branch: {"scorer": {"variants": list(names)}} for branch, names in VARIANTS.items()},
        )  # fmt: skip
        every = [name for names in VARIANTS.values() for name in names]
        synthetic_scores.write_run(settings, seed=seed, shift=1.0, variants=every)
        write_json(settings.resolved(), Run.of(settings).settings)
        folders.append(Run.of(settings).folder)
    return folders


def test_differences_are_means_over_seeds(runs, capsys):
    assert main(["ablations", *map(str, runs)]) == 0
    assert "autoencoder c1/" in capsys.readouterr().out.replace("  ", "")
    found = pd.read_csv(runs[0] / "ablations.csv", keep_default_na=False)
    item = found[
        (found["branch"] == "autoencoder") & (found["candidate"] == "c1") & (found["domain"] == "target")
    ].iloc[0]
    assert item["change"].startswith("model.latent: 8 (else ") and item["seeds"] == 2
    values = []
    for run in runs:
        table = scores.read([run / "autoencoder" / "fan" / name / "scores.csv" for name in CANDIDATES])
        sections = metrics.sections(metrics.evaluable(table), 0.1)
        part = sections[sections["domain"] == "target"].groupby("system")
        by = part.apply(lambda group: metrics.harmonic_mean(group[["auc", "pauc"]].to_numpy().ravel()))
        values.append([by[f"autoencoder/c1/{item['variant']}"], by[f"autoencoder/{item['than']}"]])
    one, other = np.array(values).T
    assert item["value"] == pytest.approx(one.mean())
    assert item["difference"] == pytest.approx((one - other).mean())
    assert item["difference_deviation"] == pytest.approx((one - other).std(ddof=1))
    assert (found["low"] <= found["difference"]).all() and (found["difference"] <= found["high"]).all()


def test_every_candidate_is_compared_with_the_first():
    settings = params.load("ablations")
    pairs = list(ablations.comparisons(settings))
    for branch in BRANCHES:
        base, *others = getattr(settings, f"{branch}_candidates")
        assert {pair[1] for pair in pairs if pair[0] == branch} == {base, *others}
        assert sum(f"{pair[1]}/{pair[2]}" == pair[3] for pair in pairs if pair[0] == branch) == 1, "the reference"
    assert ("classifier", "base", "source_mahalanobis", "base/mahalanobis") in pairs
    assert ("autoencoder", "no_masking", "median", "base/median") in pairs
    assert ablations.change(settings, "autoencoder", "loss_l2") == "training.loss: l2 (else l1)"
    assert ablations.change(settings, "autoencoder", "no_masking") == "scorer.masking: false (else true)"


def test_only_scored_runs_of_other_seeds_are_combined(runs, tmp_path):
    for folders, words in [
        ([runs[0], tmp_path], "not a run folder"),
        ([runs[0], runs[0]], "another run already has seed 0"),
    ]:
        with pytest.raises(ScoreError, match=words):
            ablations.over_seeds(folders)
    unscored = shutil.copytree(runs[1], tmp_path / "unscored")
    (unscored / "classifier" / "fan" / "c0" / "scores.csv").unlink()
    with pytest.raises(ScoreError, match=r"c0/scores\.csv does not exist"):
        ablations.over_seeds([runs[0], unscored])
