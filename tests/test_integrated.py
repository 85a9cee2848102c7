"""Test the one network in place of the ensemble: its losses, its batches and its scores."""

import importlib.util
import json
import math
import shutil

import autoencoder_run
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from asdlib import params, paths, training
from asdlib.autoencoder import masked_copies
from asdlib.compute import resolve_compute
from asdlib.data.machine_clips import open_machine
from asdlib.errors import ModelError
from asdlib.features import LogMel, interior
from asdlib.integrated import onnx, scorer, train
from asdlib.integrated import run as stage_run
from asdlib.integrated.losses import EPSILON, ETA, MARGIN, NAMES, SCALE, Balance, SectionArcFace, SectionDdcsad
from asdlib.integrated.model import Integrated
from asdlib.onnx_session import open_session
from asdlib.params.integrated import IntegratedModel
from asdlib.plots import integrated as figures
from asdlib.prepare import prepare_clips
from asdlib.stage import Stage
from asdlib.tables import read_table, write_table
from asdlib.units import FULL_SCALE

MODEL = IntegratedModel(channels=8, heads=2, blocks=1, kernel=3, expansion=2, latent=4, embedding=5, dropout=0.0)
CHANGES = {
    "integrated": {
        "features": {"n_fft": 256, "hop_length": 128, "n_mels": 12},
        "model": MODEL.model_dump(),
        "specaugment": {"time_masks": 2, "frequency_masks": 1, "frequency_width": [0, 3]},
        "training": {
            "steps": 6,
            "warmup": 2,
            "batch_size": 8,
            "crop_frames": [8, 20],
            "outlier_clips": 5,
            "balance_steps": 2,
        },
        "scorer": {"copies": 2, "batch_size": 4},
    }
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("integrated")
    autoencoder_run.make(folder)
    shutil.copytree(folder / "data" / "fan" / "train", folder / "data" / "pump" / "train")  # outliers
    made = autoencoder_run.settings(folder)
    made = params.Settings.model_validate(params.merge(made.resolved(), CHANGES))
    prepare_clips(made)
    return made


@pytest.fixture(scope="module")
def table(settings):
    return stage_run.run(settings, "fan")


def test_section_arcface_is_its_definition_in_float64():
    torch.manual_seed(0)
    loss, embedding, section = SectionArcFace(5, 3), torch.randn(7, 5), torch.tensor([0, 1, 2, 0, 1, 2, 2])
    expected = []
    for vector, own in zip(embedding.double().numpy(), section.tolist(), strict=True):
        directions = loss.directions.detach().double().numpy()
        cosine = directions @ vector / np.linalg.norm(directions, axis=1) / np.linalg.norm(vector)
        angle = math.acos(cosine[own])
        assert angle < math.pi - MARGIN
        cosine[own] = math.cos(angle + MARGIN)
        expected.append(-SCALE * cosine[own] + math.log(np.exp(SCALE * cosine).sum()))
    assert loss(embedding, section).item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_section_ddcsad_is_its_definition_and_its_centroids_are_class_means():
    torch.manual_seed(0)
    loss, embedding = SectionDdcsad(5, 2), torch.randn(6, 5)
    section, label = torch.tensor([0, 1, 0, 1, 0, 1]), torch.tensor([1.0, 1.0, 0.0, 0.0, 0.3, 0.6])
    loss.observe(embedding, section, label)
    weights = [(label * (section == 0)), (label * (section == 1)), 1 - label]
    for centroid, weight in zip(loss.centroids, weights, strict=True):
        np.testing.assert_allclose(centroid, (weight[:, None] * embedding).sum(0) / weight.sum(), rtol=1e-5)
    expected = []
    for z, s, y in zip(embedding.double(), section, label.tolist(), strict=True):
        own, outlier = (((z - c) ** 2).mean().item() for c in (loss.centroids[s].double(), loss.centroids[2].double()))
        expected.append(y * (own + ETA / (outlier + EPSILON)) + (1 - y) * (outlier + ETA / (own + EPSILON)))
    assert loss(embedding, section, label).item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_weighted_losses_have_their_shares_of_the_gradient():
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    losses = {"a": (3 * weight).square().sum(), "b": weight.sum(), "c": weight.abs().sum() * 7}
    balance = Balance({"a": 1.0, "b": 0.5, "c": 0.0})
    balance.observe(losses, [weight])
    norms = [torch.autograd.grad(w * losses[n], weight, retain_graph=True)[0].norm().item() for n, w in
             zip(balance.names, balance.weights, strict=True)]  # fmt: skip
    assert norms[1] / norms[0] == pytest.approx(0.5) and norms[2] == 0
    assert balance.weights[0] == 1
    assert balance(losses).item() == pytest.approx((losses["a"] + balance.weights[1] * losses["b"]).item())


def test_padding_changes_nothing_and_the_embedding_does_not_depend_on_the_section():
    torch.manual_seed(0)
    network, clip = Integrated(MODEL, 12, 2).eval(), torch.randn(1, 15, 12)
    padded = torch.cat([clip, torch.full((1, 6, 12), 9.0)], 1)
    valid = torch.arange(21)[None] < 15
    alone, batch = network(clip, torch.tensor([0])), network(padded, torch.tensor([0]), valid)
    torch.testing.assert_close(batch.reconstruction[:, :15], alone.reconstruction, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(batch.embedding, alone.embedding, atol=1e-5, rtol=1e-4)
    other = network(clip, torch.tensor([1]))
    assert torch.equal(other.embedding, alone.embedding)
    assert not torch.equal(other.reconstruction, alone.reconstruction)


def test_a_batch_is_normal_clips_then_outliers_mixed_with_them(settings):
    stage = Stage(settings, paths.INTEGRATED, "fan", compute=resolve_compute(settings))
    log_mel = LogMel(settings.integrated.features, settings.data.sample_rate)
    outliers, heard = train.other_machines(settings, "fan", log_mel)
    assert set(heard) == {"pump"} and len(outliers.lengths) == 5
    clips = stage.clips
    normal = train.Batches.load(clips.waveforms, clips.rows[clips.role == "learn"], clips.sections, log_mel)
    one, again = (
        train.Batch(normal, outliers, settings.integrated.training, training.generator(3, "batch", 7)) for _ in "ab"
    )
    assert torch.equal(one.decibel, again.decibel) and torch.equal(one.label, again.label)
    assert len(one.decibel) == 8 and (one.label[:4] == 1).all() and (one.label[4:] < 1).all()
    assert torch.equal(one.sections[4:], one.section)
    power = 10 ** (one.decibel / 10)
    remaining = power[4:] - one.label[4:, None, None] * power[:4]  # is the outlier's share of the power
    assert (remaining > -1e-3 * power[4:]).all()


def test_scores_are_the_mean_of_both_heads_and_held_out_clips_are_standard(settings, table):
    folder = paths.Run.of(settings).system(paths.INTEGRATED, "fan")
    parts = read_table(folder / stage_run.PARTS)
    fused = (parts[["frame_error", "clip_error"]].mean(axis=1) + parts[["embedding", "posterior"]].mean(axis=1)) / 2
    np.testing.assert_allclose(table["score"], fused, rtol=1e-9)
    for _, unit in parts[parts["split"] == "train"].groupby(["section", "domain"]):
        np.testing.assert_allclose(unit[list(scorer.PARTS)].mean(), 0, atol=1e-6)
    weights = json.loads((folder / paths.RECORD).read_text(encoding="utf-8"))["weights"]
    assert weights["reconstruction"] == 1 and min(weights.values()) > 0


def test_a_clip_scored_alone_gets_the_same(settings, table):
    stage = Stage(settings, paths.INTEGRATED, "fan", compute=resolve_compute(settings))
    learner = train.fit(stage)[0]
    clips, seed = open_machine(settings, "fan"), train.seed_of(settings, "fan")
    log_mel = LogMel(settings.integrated.features, settings.data.sample_rate)
    every = scorer.listen(learner, clips, np.arange(len(clips.rows)), log_mel, stage.compute, seed)
    one = scorer.listen(learner, clips, np.array([9]), log_mel, stage.compute, seed)
    np.testing.assert_allclose(one.embedding[0], every.embedding[9], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(one.errors.signed[0], every.errors.signed[9], rtol=1e-3, atol=1e-5)
    assert one.posterior[0] == pytest.approx(every.posterior[9], rel=1e-3)


def test_a_head_without_losses_does_not_score(settings):
    shares = {"outlier": 0.0, "section": 0.0, "ddcsad": 0.0}
    alone = params.merge(settings.resolved(), {"profile": "alone", "integrated": {"training": {"shares": shares}}})
    alone = params.Settings.model_validate(alone)
    prepare_clips(alone)
    stage_run.run(alone, "fan")
    parts = read_table(paths.Run.of(alone).system(paths.INTEGRATED, "fan") / stage_run.PARTS)
    assert {"frame_error", "clip_error"} <= set(parts) and not {"embedding", "posterior"} & set(parts)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs pip install 'asdlib[onnx]'")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the exporter
def test_onnx_files_agree_with_the_network(settings, table):
    """One section's file on a clip, against the training's own network and the masks of that section."""
    clips, samples = open_machine(settings, "fan"), 4000
    files = onnx.export(paths.Run.of(settings).system(paths.INTEGRATED, "fan"), samples)
    assert [file.name for file in files] == [f"section_{name}.onnx" for name in clips.sections]
    learner = train.fit(Stage(settings, paths.INTEGRATED, "fan", compute=resolve_compute(settings)))[0]
    waveform = torch.from_numpy(np.float32(clips.waveforms.read(clips.rows[0])[:samples] / FULL_SCALE))
    session = open_session(files[1].read_bytes(), 1)
    found = dict(zip(onnx.OUTPUTS, session.run(None, {"waveform": waveform.numpy()}), strict=True))
    log_mel = LogMel(settings.integrated.features, settings.data.sample_rate)
    branch = settings.integrated
    with torch.no_grad():
        features = learner.network.standardise(interior(log_mel(waveform[None])[0], log_mel).clone())
        seed = train.seed_of(settings, "fan")
        count = branch.scorer.copies
        masks = masked_copies.draw_gains(branch.specaugment, clips.sections[1], count, *features.shape, seed)
        own = torch.ones(branch.scorer.copies, dtype=torch.long)
        output = learner.network(features * masks, own)
        error = output.reconstruction - learner.network.target(features[None], own[:1])
        expected = [error.mean(0), error.abs().mean(0), output.embedding.mean(0), learner.posterior(output, own).mean()]
    for name, value in zip(onnx.OUTPUTS, expected, strict=True):
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-3 * float(value.abs().mean()), err_msg=name)


def test_a_folder_without_the_network_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"record.json of an integrated model; run notebook 11_integrated"):
        onnx.export(tmp_path, 4000)


def test_losses_are_drawn_as_numbers(tmp_path):
    """In other tables a column ``section`` holds names, so a history is read with that loss as text."""
    written = pd.DataFrame({"step": [1, 2, 3]} | {name: [4.5, 0.25, 1.0] for name in NAMES})
    write_table(written, tmp_path / "history.csv")
    figure = figures.losses(read_table(tmp_path / "history.csv"))
    for axis in figure.axes:
        (line,) = axis.lines
        assert list(line.get_ydata(orig=True)) == [4.5, 0.25, 1.0], axis.get_title()
    plt.close(figure)
