"""Test scores against the formulas, computed again from the stored outputs; windows, fallbacks and errors."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from classifier_clips import project
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import ledoit_wolf

from asdlib import params, paths, scores
from asdlib.classifier import (
    FILES,
    STAGES,
    clip_outputs,
    inspection,
    pca_and_tsne,
    posterior_and_distance,
    scorer,
    train,
    window_outputs,
    windows,
)
from asdlib.classifier.model import TrainedClassifier
from asdlib.compute import resolve_compute
from asdlib.data.audio import Waveforms
from asdlib.errors import ArtefactError, ModelError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Return settings, scores, outputs and embeddings of fan, of which section 00 is fine-tuned and 01 is not."""
    settings = project(tmp_path_factory.mktemp("clips"))
    for section in ("00", "01"):
        train.fit(settings, "fan", section, "base")
    return settings, scorer.score(settings, "fan", "base"), *clip_outputs.read(settings, "fan", "base")


def system(scored, variant: str) -> pd.DataFrame:
    table = scored[1]
    return table[table["system"] == f"classifier/base/{variant}"].reset_index(drop=True)


def outputs_of(scored, row: pd.Series, variant: str) -> pd.Series:
    """Return the output for a row of the score table, of the fine-tuned model for target clips, if there is one."""
    table, source_only = scored[2], variant in ("source_model", "source_mahalanobis")
    tuned = row["domain"] == "target" and row["section"] == "00" and not source_only
    same = (table["kind"] == "section") & (table["stage"] == ("fine-tuning" if tuned else "source training"))
    same &= (table["clip"] == row["clip"]) & (table["model"] == row["section"])
    return table[same].squeeze(axis=0)


def reference(scored, output: pd.Series, role: str) -> pd.DataFrame:
    """Return outputs of the same model for the section's training clips, those learnt from or those held out."""
    table = scored[2]
    same = (table["model"] == output["model"]) & (table["stage"] == output["stage"]) & (table["kind"] == "section")
    return table[same & (table["split"] == "train") & (table["role"] == role)]


def test_every_clip_gets_every_variant(scored):
    settings, table, found, _ = scored
    clips = Waveforms.open(paths.Run.of(settings).data("fan")).clips
    assert list(table["system"].unique()) == [f"classifier/base/{name}" for name in settings.classifier.scorer.variants]
    assert len(settings.classifier.scorer.variants) == 17
    tests = sorted(clips["clip"][clips["split"] == "test"])
    held_out = found[found["role"] == "held out"].groupby("section")["clip"].apply(set).to_dict()
    assert {section: len(names) for section, names in held_out.items()} == {"00": 2, "01": 2}  # 0.34 of 6
    for _, part in table.groupby("system"):
        assert sorted(part["clip"][part["split"] == "test"]) == tests
        normal = part[part["split"] == "train"].groupby(["section", "domain"])["clip"].apply(set).to_dict()
        target = held_out["00"]  # scored as source and as target clips; section 01 has no target domain
        assert normal == {("00", "source"): held_out["00"], ("00", "target"): target, ("01", "source"): held_out["01"]}
    pd.testing.assert_frame_equal(scores.read(paths.Run.of(settings).scores("classifier", "fan", "base")), table)


@pytest.mark.parametrize(
    ("variant", "weight", "pooling"),
    [
        ("w50_mean", 0.5, "mean"),
        ("w25_median", 0.25, "median"),
        ("w75_max", 0.75, "max"),
        ("w50_upper_mean", 0.5, "upper_mean"),
        ("posterior", 1.0, "mean"),
        ("distance", 0.0, "mean"),
        ("source_model", 0.5, "mean"),
    ],
)
def test_the_papers_formula(scored, variant, weight, pooling):
    """Compute w times the logit plus 1 - w times the distance, each normalised over held-out clips."""
    table = system(scored, variant)
    expected = []
    for _, row in table.iterrows():
        output, parts = outputs_of(scored, row, variant), []
        for measure in ("minus_logit", "distance"):
            normal = reference(scored, output, "held out")[f"{measure}_{pooling}"].to_numpy()
            parts.append((output[f"{measure}_{pooling}"] - normal.mean()) / normal.std())
        expected.append(weight * parts[0] + (1 - weight) * parts[1])
    np.testing.assert_allclose(table["score"], expected, rtol=1e-6, atol=1e-9)


def test_the_curve_runs_from_the_distance_to_the_posterior(scored):
    curve = posterior_and_distance.score_weights(scored[2], np.array([0.0, 0.5, 1.0]))
    assert list(curve["system"].unique()) == ["0.00", "0.50", "1.00"]
    for name, variant in (("0.00", "distance"), ("0.50", "w50_mean"), ("1.00", "posterior")):
        part = curve.loc[curve["system"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(part.assign(system=""), system(scored, variant).assign(system=""))


@pytest.mark.parametrize("variant", ["mahalanobis", "source_mahalanobis"])
def test_mahalanobis(scored, variant):
    """Measure distances from the training clips that are not held out, and are no test clips."""
    embedding = scored[3].astype(np.float64)
    for _, row in system(scored, variant).iloc[::3].iterrows():
        output = outputs_of(scored, row, variant)
        normal = embedding[reference(scored, output, "learn").index]
        assert len(normal) == (6 if row["section"] == "00" else 4) and output["role"] != "learn"
        covariance, _ = ledoit_wolf(normal)
        expected = mahalanobis(embedding[output.name], normal.mean(0), np.linalg.inv(covariance))
        assert row["score"] == pytest.approx(expected, rel=1e-6)


def test_the_table_holds_clips_outliers_and_centroids_of_both_stages(scored):
    table = scored[2]
    assert set(table["kind"]) == {"section", "outlier", "centroid"}
    assert set(table.loc[table["model"] == "01", "stage"]) == {"source training"}  # it has no target clips
    assert set(table.loc[table["model"] == "00", "stage"]) == set(STAGES)
    centroids = table[table["kind"] == "centroid"]
    own = np.where(centroids["label"] == "normal", centroids["distance_normal"], centroids["distance_outlier"])
    np.testing.assert_allclose(own, 0, atol=1e-12)
    assert (table.loc[table["kind"] == "outlier", "machine"] == "valve").any()
    numbers = [*window_outputs.MEASURES, *window_outputs.POOLED]
    assert not table.loc[table["kind"] != "centroid", numbers].isna().any().any()
    train_rows = (table["kind"] == "section") & (table["split"] == "train")
    assert set(table.loc[train_rows, "role"]) == {"learn", "held out"}
    assert set(table.loc[~train_rows, "role"]) == {""}


def test_outputs_are_means_over_windows_of_the_model(scored):
    """Cut one clip by hand, run the model, and average."""
    settings, _, table, embedding = scored
    branch, run = settings.candidate("classifier", "base"), paths.Run.of(settings)
    path = run.system("classifier", "fan", "base", "00") / "source.safetensors"
    network = TrainedClassifier.load(path, branch, settings.data.sample_rate, resolve_compute(settings)).network
    own = Waveforms.open(run.data("fan"))
    row = int(np.flatnonzero((own.clips["section"] == "00") & (own.clips["samples"] > 5000))[0])
    clip, length = own.read(row) / 32768, 31 * 128
    with torch.no_grad():
        cut = [clip[start : start + length] for start in (0, round((len(clip) - length) / 2), len(clip) - length)]
        output = network(torch.tensor(np.stack(cut), dtype=torch.float32))
    index = table.index[(table["clip"] == own.clips["clip"][row]) & (table["stage"] == "source training")][0]
    np.testing.assert_allclose(embedding[index], output.embedding.mean(0), rtol=1e-3, atol=1e-5)
    learnt = reference(scored, table.loc[index], "learn")
    centroid = torch.from_numpy(embedding[learnt.index].mean(0))
    distances = (output.embedding - centroid).square().mean(1).numpy()
    distance, logits = distances.mean(), output.logit.numpy()
    for how, value in (("mean", np.mean), ("median", np.median), ("max", np.max)):
        assert table[f"distance_{how}"][index] == pytest.approx(value(distances), rel=1e-3)
        assert table[f"minus_logit_{how}"][index] == pytest.approx(value(-logits), rel=1e-3)
    assert table["minus_logit_upper_mean"][index] == pytest.approx(np.max(-logits), rel=1e-3)  # of three windows
    assert table["logit"][index] == pytest.approx(output.logit.mean().item(), rel=1e-3)
    assert table["distance_normal"][index] == pytest.approx(distance, rel=1e-3)
    assert table["anomaly"][index] == pytest.approx((1 - torch.sigmoid(output.logit)).mean().item(), rel=1e-3)


def test_the_score_of_a_clip_needs_that_clip_only(scored):
    settings = scored[0]
    branch, run, compute = settings.candidate("classifier", "base"), paths.Run.of(settings), resolve_compute(settings)
    path = run.system("classifier", "fan", "base", "00") / "target.safetensors"
    trained = TrainedClassifier.load(path, branch, settings.data.sample_rate, compute)
    waveforms = Waveforms.open(run.data("fan"))
    together = trained.outputs(waveforms.read_each(range(8)))
    for row in (0, 5):
        (alone,) = trained.outputs([waveforms.read(row)])
        for one, other in zip(alone, together[row], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(1, 12))
def test_windows_are_equally_spaced_and_cover_the_clip(samples, length, count):
    starts = windows.starts(samples, length, count)
    assert 1 <= len(starts) <= count and (np.diff(starts) > 0).all()
    assert starts[0] >= 0 and starts[-1] <= max(samples - length, 0)
    if count > 1 and samples - length >= count:
        assert starts[0] == 0 and starts[-1] == samples - length and len(starts) == count
        assert np.ptp(np.diff(starts)) <= 1


def test_centroids_of_the_loss(scored):
    settings, run = scored[0], paths.Run.of(scored[0])
    own = params.merge(settings.classifier.model_dump(mode="json"), {"scorer": {"centroids": "training"}})
    settings = settings.model_copy(update={"classifier": params.Classifier.model_validate(own)})
    table, embedding = clip_outputs.table(settings, "fan", "00", "base", resolve_compute(settings))
    for stage, file in FILES.items():
        part = table[(table["stage"] == stage) & (table["kind"] == "centroid")]
        path = run.system("classifier", "fan", "base", "00") / file
        compute = resolve_compute(settings)
        expected = TrainedClassifier.load(path, settings.classifier, settings.data.sample_rate, compute).centroids
        np.testing.assert_array_equal(embedding[part.index], expected)


def test_saturated_posteriors_do_not_tie():
    """The posteriors of logits 40, 50 and 60 are 1 in float64; the logits still count as much as the distance."""
    said = [(np.array([logit, logit]), np.zeros((2, 3))) for logit in (60.0, 50.0, 40.0)]
    measured = window_outputs.measure(said, np.ones((2, 3)))
    assert (measured["anomaly"] < 1e-17).all()
    spreads = {("00", "source training", "source"): np.tile([0.0, 5.0], (len(window_outputs.POOLED), 1))}
    rows = measured.assign(model="00", stage="source training", domain="source")
    score = posterior_and_distance.combine(posterior_and_distance.normalise(rows, spreads), 0.5, "mean")
    np.testing.assert_allclose(np.diff(score), 0.5 * 10 / 5)


def test_clear_errors(scored):
    settings = scored[0]
    other = settings.model_copy(update={"classifier_candidates": {"base": {"images": {"frames": 16}}}})
    with pytest.raises(ArtefactError, match=r"fan.00.base.record.json: made with "):
        scorer.score(other, "fan", "base")
    with pytest.raises(ModelError, match="valve has no section with labelled test clips"):
        scorer.score(settings, "valve", "base")
    missing = settings.model_copy(update={"classifier_candidates": {"other": {}}})
    with pytest.raises(ModelError, match=r"no model; train it with notebook 05_train_classifier"):
        scorer.score(missing, "fan", "other")
    with pytest.raises(ModelError, match="no embeddings; run notebook 06_embeddings"):
        clip_outputs.read(missing, "fan", "other")


def test_the_scorer_may_change_without_a_new_training(scored):
    settings = scored[0].model_copy(update={"runs": scored[0].runs + "again"})
    paths.Run.of(settings).folder.parent.mkdir()
    paths.Run.of(settings).folder.symlink_to(paths.Run.of(scored[0]).folder)
    changes = {"origin": "extension", "scorer": {"variants": ["distance", "w25_max"], "target_from": "shifted"}}
    changed = params.merge(settings.classifier.model_dump(mode="json"), changes)
    settings = settings.model_copy(update={"classifier": params.Classifier.model_validate(changed)})
    result = scorer.score(settings, "fan", "base")
    source = result[(result["system"] == "classifier/base/distance") & (result["domain"] == "source")]
    before = system(scored, "distance")
    np.testing.assert_allclose(source["score"], before.loc[before["domain"] == "source", "score"])
    scorer.score(scored[0], "fan", "base")  # as the other tests expect it


def test_maps(scored):
    table, embedding = scored[2:]
    points = pca_and_tsne.project(table, embedding, seed=0, perplexity=5)
    assert set(points["method"]) == {"PCA", "t-SNE"} and len(points) == 2 * len(table)
    assert np.isfinite(points[["x", "y"]]).all().all()
    part = table[(table["model"] == "00") & (table["stage"] == "fine-tuning")]
    clips = (part["kind"] != "centroid").to_numpy()
    centred = embedding[part.index] - embedding[part.index][clips].mean(0)
    _, _, axes = np.linalg.svd(centred[clips].astype(np.float64), full_matrices=False)
    mine = points[(points["model"] == "00") & (points["stage"] == "fine-tuning") & (points["method"] == "PCA")]
    np.testing.assert_allclose(np.abs(mine[["x", "y"]]), np.abs(centred @ axes[:2].T), rtol=1e-2, atol=1e-4)


def test_confused_clips(scored, monkeypatch):
    table = system(scored, "w50_mean").iloc[::-1].reset_index(drop=True)
    table["score"] = np.where(table["label"] == "anomaly", 1.0, 0.0) + 0.001 * np.arange(len(table))
    odd = table.index[(table["label"] == "normal") & (table["split"] == "test")][0]
    table.loc[odd, "score"] = 9.0
    monkeypatch.setattr(inspection, "SHOWN", 2)
    worst = inspection.find_confused(table)
    assert list(worst["label"]) == ["normal", "normal", "anomaly", "anomaly"]
    assert worst["clip"][0] == table["clip"][odd] and worst["rank"][0] == 1.0
    assert set(worst["split"]) == {"test"}


def test_images_for_the_notebooks(scored):
    settings = scored[0]
    batch, images = inspection.batch(settings, "fan", "00", "base")
    assert images.shape == (8, 32, 32) and "target" in set(batch.kind) and np.isfinite(images).all()
    heard = {
        item.title.partition(",")[0]: item for item in inspection.cut_examples(settings, "fan", "00", "base", [0.5])
    }
    names = ["source clip", "target clip", "pseudo-target: half source", "shifted clip: source", "Mixup"]
    assert list(heard) == [*names, heard_outlier(heard)]
    waves = {name: item.waveform for name, item in heard.items()}
    half = (waves["source clip"] + waves[heard_outlier(heard)]) / 2
    np.testing.assert_allclose(waves["Mixup"], half)
    assert all(item.decibel.shape == (32, 32) and np.isfinite(item.decibel).all() for item in heard.values())


def heard_outlier(heard: dict) -> str:
    """Return the title of the outlier, which contains its machine type."""
    return next(name for name in heard if name.startswith("outlier ("))


def test_target_clips_are_compared_with_shifted_clips(scored):
    """Compute the outputs again, with shifted clips in addition to the section's own."""
    changed = {"classifier.scorer": {"target_from": "shifted", "variants": ["mahalanobis", "w50_mean"]}}
    changed |= {"classifier.origin": "extension"}
    settings = params.Settings.model_validate(params.merge(scored[0].resolved(), changed))
    table = scorer.score(settings, "fan", "base")
    assert list(table["system"].unique()) == ["classifier/base/mahalanobis", "classifier/base/w50_mean"]
    known, embedding = clip_outputs.read(settings, "fan", "base")
    made = known[(known["kind"] == "shifted")]
    assert set(made["model"]) == {"00"} and set(made["stage"]) == {"source training", "fine-tuning"}
    tuned = made[made["stage"] == "fine-tuning"]
    assert tuned["role"].value_counts().to_dict() == {"learn": 4, "held out": 2}
    values = embedding.astype(np.float64)
    learnt = values[tuned.index[tuned["role"] == "learn"]]
    mean, covariance = learnt.mean(0), ledoit_wolf(learnt)[0]
    few = (known["kind"] == "section") & (known["stage"] == "fine-tuning") & (known["split"] == "train")
    few = values[few & (known["domain"] == "target") & (known["model"] == "00")] - mean
    scatter = few.T @ few / len(few)
    covariance += 0.1 * (scatter + np.diag(np.diag(scatter)))
    held_out = tuned.loc[tuned["role"] == "held out", ["minus_logit_mean", "distance_mean"]].to_numpy()
    target = table[(table["section"] == "00") & (table["domain"] == "target")]
    assert len(target) == 2 * (4 + 2)
    for _, row in target.iterrows():
        same = (known["clip"] == row["clip"]) & (known["stage"] == "fine-tuning") & (known["kind"] == "section")
        (index,) = np.flatnonzero(same)
        parts = (known.loc[index, ["minus_logit_mean", "distance_mean"]] - held_out.mean(0)) / held_out.std(0)
        expected = parts.mean()
        if row["system"].endswith("mahalanobis"):
            expected = mahalanobis(values[index], mean, np.linalg.inv(covariance))
        assert row["score"] == pytest.approx(expected, rel=1e-6)
    source = table[table["domain"] == "source"].merge(scored[1], on=["system", "section", "domain", "split", "clip"])
    np.testing.assert_array_equal(source["score_x"], source["score_y"])
    scorer.score(scored[0], "fan", "base")  # as the other tests expect it


def test_accuracy_at_inference_is_in_the_record(scored):
    settings, table = scored[0], scored[2]
    folder = paths.Run.of(settings).system("classifier", "fan", "base")
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    found = {(row["model"], row["stage"], row["clips"]): row["accuracy"] for row in record["accuracy"]}
    assert len(found) == 3 * 3  # section 00 before and after fine-tuning, section 01 before
    for (section, stage, kind), accuracy in found.items():
        part = table[(table["model"] == section) & (table["stage"] == stage) & (table["split"] == "train")]
        if kind == "outlier":
            part = part[part["kind"] == "outlier"]
        else:
            part = part[(part["kind"] == "section") & (part["role"] == {"learnt": "learn"}.get(kind, kind))]
        assert len(part) and accuracy == np.mean((part["logit"] > 0) == (kind != "outlier"))
    assert record["health"] == [
        f"section {section}, {stage}: the classifier calls {1 - accuracy:.0%} of its own normal training clips outliers"
        for (section, stage, kind), accuracy in found.items()
        if kind == "learnt" and accuracy < 0.5
    ]


@pytest.mark.parametrize(("shift", "sentences"), [(0.0, 0), (1e3, 0), (-1e3, 3)])
def test_a_classifier_that_rejects_its_training_clips_is_reported(scored, shift, sentences):
    certain = np.where(scored[2]["kind"] == "section", 5.0, -5.0)  # a network that is always right
    found = scorer.health(scorer.accuracies(scored[2].assign(logit=certain + shift)))
    assert len(found) == sentences
    assert all("calls 100% of its own normal training clips outliers" in sentence for sentence in found)
    assert sum("section 00, fine-tuning" in sentence for sentence in found) == (sentences > 0)
