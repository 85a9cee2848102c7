"""Scores against the formulas, computed anew from the stored outputs; windows; fall-backs and errors."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from classifier_clips import project
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import ledoit_wolf

from asdlib import params, paths, scores, training
from asdlib.classifier import ClassifierError, embeddings, inspection, maps, model, scorer, train, windows
from asdlib.data.audio import Waveforms


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Settings, score table, outputs and embeddings of fan: section 00 fine-tuned, section 01 not."""
    settings = project(tmp_path_factory.mktemp("clips"))
    for section in ("00", "01"):
        train.fit(settings, "fan", section, "base")
    return settings, scorer.score(settings, "fan", "base"), *embeddings.read(settings, "fan", "base")


def system(scored, variant: str) -> pd.DataFrame:
    table = scored[1]
    return table[table["system"] == f"classifier/base/{variant}"].reset_index(drop=True)


def rows(scored, stage_of_target: str) -> pd.DataFrame:
    """The outputs of each clip by the model that scores it, in the order of the score table."""
    table = scored[2]
    stage = np.where((table["domain"] == "target") & (table["model"] == "00"), stage_of_target, "source training")
    return table[(table["kind"] == "section") & (table["stage"] == stage)]


def reference(scored, row: pd.Series) -> pd.DataFrame:
    table = scored[2]
    same = (table["model"] == row["model"]) & (table["stage"] == row["stage"]) & (table["kind"] == "section")
    return table[same & (table["split"] == "train")]


def test_every_clip_gets_every_variant(scored):
    settings, table, _, _ = scored
    clips = Waveforms.open(paths.Run.of(settings).data("fan")).clips
    names = ["adapted", "source_model", "mahalanobis", "source_mahalanobis", "posterior", "distance"]
    assert list(table["system"].unique()) == [f"classifier/base/{name}" for name in names]
    for _, part in table.groupby("system"):
        assert sorted(part["clip"]) == sorted(clips["clip"])
    pd.testing.assert_frame_equal(scores.read(paths.Run.of(settings).scores("classifier", "fan", "base")), table)


@pytest.mark.parametrize(("variant", "stage"), [("adapted", "fine-tuning"), ("source_model", "source training")])
def test_the_papers_formula(scored, variant, stage):
    expected = []
    for _, row in rows(scored, stage).iterrows():
        normal = reference(scored, row)["distance_normal"].to_numpy()
        distance = (row["distance_normal"] - normal.mean()) / normal.std()
        expected.append(0.5 * row["anomaly"] + 0.5 * distance)
    np.testing.assert_allclose(system(scored, variant)["score"], expected, rtol=1e-9, atol=1e-12)


def test_posterior_and_distance_are_the_ends_of_the_weight(scored):
    outputs = rows(scored, "fine-tuning").reset_index(drop=True)
    np.testing.assert_allclose(system(scored, "posterior")["score"], -outputs["logit"], rtol=1e-12)
    curve = scorer.curve(scored[2], np.array([0.0, 1.0]))
    assert list(curve["system"].unique()) == ["0.00", "1.00"]
    distance, posterior = (curve.loc[curve["system"] == name, "score"].to_numpy() for name in ("0.00", "1.00"))
    np.testing.assert_allclose(distance, system(scored, "distance")["score"], rtol=1e-12)
    np.testing.assert_allclose(posterior, outputs["anomaly"], rtol=1e-12)


def test_mahalanobis(scored):
    table, embedding, outputs = scored[2], scored[3].astype(np.float64), rows(scored, "fine-tuning")
    for score, (index, row) in list(zip(system(scored, "mahalanobis")["score"], outputs.iterrows(), strict=True))[::5]:
        normal = embedding[reference(scored, row).index]
        covariance, _ = ledoit_wolf(normal)
        assert score == pytest.approx(
            mahalanobis(embedding[index], normal.mean(0), np.linalg.inv(covariance)), rel=1e-6
        )
    assert len(table) == len(embedding)


def test_the_table_holds_clips_outliers_and_centroids_of_both_stages(scored):
    table = scored[2]
    assert set(table["kind"]) == {"section", "outlier", "centroid"}
    assert set(table.loc[table["model"] == "01", "stage"]) == {"source training"}  # it has no target clips
    assert set(table.loc[table["model"] == "00", "stage"]) == set(train.STAGES)
    centroids = table[table["kind"] == "centroid"]
    own = np.where(centroids["label"] == "normal", centroids["distance_normal"], centroids["distance_outlier"])
    np.testing.assert_allclose(own, 0, atol=1e-12)
    assert (table.loc[table["kind"] == "outlier", "machine"] == "valve").any()
    assert not table.loc[table["kind"] != "centroid", embeddings.MEASURES].isna().any().any()


def test_outputs_are_means_over_windows_of_the_model(scored):
    """One clip by hand: cut it, run the model, average."""
    settings, _, table, embedding = scored
    branch, run = settings.candidate("classifier", "base"), paths.Run.of(settings)
    path = run.system("classifier", "fan", "base", "00") / "source.safetensors"
    network = model.load(path, branch, settings.data.sample_rate)
    own = Waveforms.open(run.data("fan"))
    row = int(np.flatnonzero((own.clips["section"] == "00") & (own.clips["samples"] > 5000))[0])
    clip, length = own.read(row) / 32768, 31 * 128
    with torch.no_grad():
        cut = [clip[start : start + length] for start in (0, round((len(clip) - length) / 2), len(clip) - length)]
        output = network(torch.tensor(np.stack(cut), dtype=torch.float32))
    index = table.index[(table["clip"] == own.clips["clip"][row]) & (table["stage"] == "source training")][0]
    np.testing.assert_allclose(embedding[index], output.embedding.mean(0), rtol=1e-3, atol=1e-5)
    training_clips = reference(scored, table.loc[index])
    centroid = torch.from_numpy(embedding[training_clips.index].mean(0))
    distance = (output.embedding - centroid).square().mean(1).mean().item()
    assert table["logit"][index] == pytest.approx(output.logit.mean().item(), rel=1e-3)
    assert table["distance_normal"][index] == pytest.approx(distance, rel=1e-3)
    assert table["anomaly"][index] == pytest.approx((1 - torch.sigmoid(output.logit)).mean().item(), rel=1e-3)


def test_the_score_of_a_clip_needs_that_clip_only(scored):
    settings = scored[0]
    branch, run, compute = settings.candidate("classifier", "base"), paths.Run.of(settings), training.compute(settings)
    path = run.system("classifier", "fan", "base", "00") / "target.safetensors"
    network = model.load(path, branch, settings.data.sample_rate)
    waveforms = Waveforms.open(run.data("fan"))
    embed = functools.partial(embeddings.embed, model.Runner(network, compute), waveforms, branch=branch)
    together, _ = embed(rows=np.arange(8))
    for row in (0, 5):
        alone, _ = embed(rows=np.array([row]))
        np.testing.assert_allclose(alone.iloc[0], together.iloc[row], rtol=1e-3, atol=1e-5)


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
    own = params.merged(settings.classifier.model_dump(mode="json"), {"scorer": {"centroids": "training"}})
    settings = settings.model_copy(update={"classifier": params.Classifier.model_validate(own)})
    table, embedding = embeddings.table(settings, "fan", "00", "base", training.compute(settings))
    for stage, file in train.FILES.items():
        part = table[(table["stage"] == stage) & (table["kind"] == "centroid")]
        path = run.system("classifier", "fan", "base", "00") / file
        expected = model.load(path, settings.classifier, settings.data.sample_rate).ddcsad.centroids
        np.testing.assert_array_equal(embedding[part.index], expected)


def test_saturated_posteriors_do_not_tie():
    logits = np.array([60.0, 50.0, 40.0])
    clips = {"domain": "source", "split": "test", "label": "normal", "machine": "fan", "section": "00"}
    table = pd.DataFrame({"model": "00", "stage": "source training", "kind": "section", "logit": logits, **clips})
    table["clip"], table["anomaly"] = ["a", "b", "c"], 1 / (1 + np.exp(logits))
    assert (np.diff(scorer.combined(table, pd.Series(0.0, table.index), 1.0)) > 0).all()


def test_clear_errors(scored):
    settings = scored[0]
    other = settings.model_copy(update={"classifier_candidates": {"base": {"images": {"frames": 16}}}})
    with pytest.raises(ClassifierError, match=r"fan.00.base: the model there was trained with other settings"):
        scorer.score(other, "fan", "base")
    with pytest.raises(ClassifierError, match="valve has no section with labelled test clips"):
        scorer.score(settings, "valve", "base")
    missing = settings.model_copy(update={"classifier_candidates": {"other": {}}})
    with pytest.raises(ClassifierError, match=r"no model; train it with notebook 05_train_classifier"):
        scorer.score(missing, "fan", "other")
    with pytest.raises(ClassifierError, match="no embeddings; run notebook 06_embeddings"):
        embeddings.read(missing, "fan", "other")


def test_the_scorer_may_change_without_a_new_training(scored):
    settings = scored[0].model_copy(update={"runs": scored[0].runs + "again"})
    paths.Run.of(settings).folder.parent.mkdir()
    paths.Run.of(settings).folder.symlink_to(paths.Run.of(scored[0]).folder)
    weighted = params.merged(settings.classifier.model_dump(mode="json"), {"scorer": {"weight": 0.0}})
    settings = settings.model_copy(update={"classifier": params.Classifier.model_validate(weighted)})
    result = scorer.score(settings, "fan", "base")
    adapted = result.loc[result["system"] == "classifier/base/adapted", "score"]
    np.testing.assert_allclose(adapted, system(scored, "distance")["score"])


def test_maps(scored):
    table, embedding = scored[2:]
    points = maps.maps(table, embedding, seed=0, perplexity=5)
    assert set(points["method"]) == {"PCA", "t-SNE"} and len(points) == 2 * len(table)
    assert np.isfinite(points[["x", "y"]]).all().all()
    part = table[(table["model"] == "00") & (table["stage"] == "fine-tuning")]
    clips = (part["kind"] != "centroid").to_numpy()
    centred = embedding[part.index] - embedding[part.index][clips].mean(0)
    _, _, axes = np.linalg.svd(centred[clips].astype(np.float64), full_matrices=False)
    mine = points[(points["model"] == "00") & (points["stage"] == "fine-tuning") & (points["method"] == "PCA")]
    np.testing.assert_allclose(np.abs(mine[["x", "y"]]), np.abs(centred @ axes[:2].T), rtol=1e-2, atol=1e-4)


def test_confused_clips(scored):
    table = system(scored, "adapted").iloc[::-1].reset_index(drop=True)
    table["score"] = np.where(table["label"] == "anomaly", 1.0, 0.0) + 0.001 * np.arange(len(table))
    odd = table.index[(table["label"] == "normal") & (table["split"] == "test")][0]
    table.loc[odd, "score"] = 9.0
    worst = inspection.confused(table, count=2)
    assert list(worst["label"]) == ["normal", "normal", "anomaly", "anomaly"]
    assert worst["clip"][0] == table["clip"][odd] and worst["rank"][0] == 1.0
    assert set(worst["split"]) == {"test"}


def test_images_for_the_notebooks(scored):
    settings = scored[0]
    batch, images = inspection.batch(settings, "fan", "00", "base")
    assert images.shape == (8, 32, 32) and "target" in set(batch.kind) and np.isfinite(images).all()
    mixed = inspection.mixture(settings, "fan", "00", "base", [1.0, 0.5, 0.0])
    assert mixed.shape == (3, 32, 32) and (np.abs(mixed[0] - mixed[2]) > 1).any()


def test_target_clips_are_compared_with_pseudo_target_clips(scored):
    """Stored outputs again, with pseudo-target clips beside the section's own."""
    changed = {"classifier.scorer": {"target_from": "pseudo_target", "variants": ["mahalanobis", "adapted"]}}
    settings = params.Settings.model_validate(params.merged(scored[0].resolved(), changed))
    table = scorer.score(settings, "fan", "base")
    assert list(table["system"].unique()) == ["classifier/base/mahalanobis", "classifier/base/adapted"]
    outputs, embedding = embeddings.read(settings, "fan", "base")
    made = outputs[(outputs["kind"] == "pseudo-target")]
    assert set(made["model"]) == {"00"} and set(made["stage"]) == {"source training", "fine-tuning"}
    tuned = made.index[made["stage"] == "fine-tuning"]
    values = embedding.astype(np.float64)
    mean, covariance = values[tuned].mean(0), ledoit_wolf(values[tuned])[0]
    few = (outputs["kind"] == "section") & (outputs["stage"] == "fine-tuning") & (outputs["split"] == "train")
    few = values[few & (outputs["domain"] == "target") & (outputs["model"] == "00")] - mean
    scatter = few.T @ few / len(few)
    covariance += 0.1 * (scatter + np.diag(np.diag(scatter)))
    chosen = table[table["system"].str.endswith("mahalanobis") & (table["section"] == "00")]
    for _, row in chosen[chosen["domain"] == "target"].iterrows():
        same = (outputs["clip"] == row["clip"]) & (outputs["stage"] == "fine-tuning") & (outputs["kind"] == "section")
        expected = mahalanobis(values[np.flatnonzero(same)[0]], mean, np.linalg.inv(covariance))
        assert row["score"] == pytest.approx(expected, rel=1e-6)
    before = scored[1][scored[1]["system"] == "classifier/base/mahalanobis"]
    source = chosen[chosen["domain"] == "source"].merge(before, on=["section", "domain", "split", "clip"])
    np.testing.assert_array_equal(source["score_x"], source["score_y"])
    scorer.score(scored[0], "fan", "base")  # as the other tests expect it
