"""Test the reference with several hypotheses of the shift against independent formulas."""

import json

import autoencoder_run
import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis as scipy_mahalanobis
from sklearn.covariance import ledoit_wolf

from asdlib import paths
from asdlib.baselines import mahalanobis_target
from asdlib.data.held_out_split import LEARN
from asdlib.data.machine_clips import open_machine
from asdlib.features import LogMel
from asdlib.gaussian import Gaussian
from asdlib.params.baselines import Mahalanobis
from asdlib.units import FULL_SCALE


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = autoencoder_run.make(tmp_path_factory.mktemp("target"))
    return made, mahalanobis_target.run(made, "fan")


def draw(count, dims=4, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dims)) * np.arange(1, dims + 1)


def test_the_offset_is_the_posterior_of_a_normal_prior():
    source, target = Gaussian.fit(draw(50)), draw(3, seed=1) + 5
    offset = target - source.mean
    scatter = sum(np.outer(row, row) for row in offset) / 3
    prior = 0.2 * (scatter + np.diag(np.diag(scatter)))
    precision = np.linalg.inv(prior) + 3 * np.linalg.inv(source.covariance)  # of the offset, after three clips
    mean = np.linalg.inv(precision) @ np.linalg.inv(source.covariance) @ offset.sum(0)
    found = mahalanobis_target.move(source, target, 0.2)
    np.testing.assert_allclose(found.mean, source.mean + mean, rtol=1e-8)
    np.testing.assert_allclose(found.covariance, source.covariance + np.linalg.inv(precision), rtol=1e-8)


def test_differences_of_every_section_are_tolerated():
    learn, target, elsewhere = draw(40), draw(2, seed=1) + 3, np.array([[0.0, 50.0, 0.0, 0.0]])
    found = mahalanobis_target.hypotheses(learn, learn[:5], target, elsewhere, None, Mahalanobis(tolerance=0.3))
    differences = [*(target - learn.mean(0)), elsewhere[0]]
    scatter = sum(np.outer(row, row) for row in differences) / 3
    covariance = ledoit_wolf(learn)[0] + scatter + 0.3 * np.diag(np.diag(scatter))
    np.testing.assert_allclose(found["tolerant"].gaussian.covariance, covariance, rtol=1e-8)
    one, other = (learn.mean(0) + np.array(step) for step in ([0, 30, 0, 0], [0, 0, 0, 30]))
    near, far = found["tolerant"].gaussian.distance(np.stack([one, other]))
    assert near < 0.6 * far  # a shift that another section showed counts for little
    assert "shift" not in found


def test_only_a_unanimous_hypothesis_scores_alone():
    assert mahalanobis_target.agree_on_hypothesis({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 2.9]}) == "a"
    assert mahalanobis_target.agree_on_hypothesis({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 3.1]}) is None
    assert mahalanobis_target.agree_on_hypothesis({"a": [], "b": []}) is None  # a single target clip cannot be left out


def vectors(settings, clips):
    log_mel = LogMel(settings.mahalanobis.features, settings.data.sample_rate)
    waves = [torch.from_numpy(clips.waveforms.read(row).astype(np.float32) / FULL_SCALE) for row in clips.rows]
    return np.stack([log_mel(wave[None])[0].double().mean(0).numpy() for wave in waves])


def test_source_scores_are_scipys_distances(run):
    settings, table = run
    clips = open_machine(settings, "fan")
    known = vectors(settings, clips)
    for section in ("00", "01"):
        own = (clips.table["section"] == section).to_numpy()
        source = (clips.table["domain"] == "source").to_numpy()
        learn = known[own & source & (clips.role == LEARN)]
        inverse = np.linalg.inv(ledoit_wolf(learn)[0])
        rows = table[(table["section"] == section) & (table["domain"] == "source")]
        for row in rows.itertuples():
            place = clips.table.index[clips.table["clip"] == row.clip][0]
            assert row.score == pytest.approx(scipy_mahalanobis(known[place], learn.mean(0), inverse), rel=1e-5)


def test_target_scores_are_the_smallest_or_those_of_the_chosen_hypothesis(run):
    settings, table = run
    clips, baseline = open_machine(settings, "fan"), settings.mahalanobis
    known = vectors(settings, clips)
    folder = paths.Run.of(settings).system(mahalanobis_target.SYSTEM, "fan")
    chosen = json.loads((folder / paths.RECORD).read_text(encoding="utf-8"))["hypothesis"]
    assert set(chosen) == {"00", "01"}
    places = {s: mahalanobis_target.Places.of(clips.table, clips.role, s) for s in chosen}
    for section, place in places.items():
        other = places["01" if section == "00" else "00"]
        elsewhere = known[other.target] - known[other.learn].mean(0)
        found = mahalanobis_target.hypotheses(
            known[place.learn], known[place.held_out], known[place.target], elsewhere, None, baseline
        )
        rows = table[(table["section"] == section) & (table["domain"] == "target") & (table["split"] == "test")]
        index = [clips.table.index[clips.table["clip"] == name][0] for name in rows["clip"]]
        z = {name: one.score(known[index]) for name, one in found.items()}
        if chosen[section] in z:
            np.testing.assert_allclose(rows["score"], z[chosen[section]], rtol=1e-4, atol=1e-4)
        else:  # the estimated shift may make a clip more normal still, or scores alone
            assert chosen[section] in ("smallest", "shift")
            if chosen[section] == "smallest":
                assert (rows["score"].to_numpy() <= np.min(list(z.values()), axis=0) + 1e-4).all()


def test_every_reference_clip_is_scored_in_both_domains(run):
    _, table = run
    train = table[table["split"] == "train"]
    assert set(train["domain"]) == {"source", "target"} and np.isfinite(table["score"]).all()
