"""Test training the autoencoder: roles of clips, schedule, batches, pseudo-target crops, files."""

import copy
import itertools
import json

import numpy as np
import pandas as pd
import pytest
import torch
from autoencoder_run import make, settings
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_model

from asdlib import batch_norm, params, paths, training
from asdlib.autoencoder import train
from asdlib.autoencoder.batches import Batches
from asdlib.autoencoder.model import Autoencoder
from asdlib.data.machine_clips import open_machine
from asdlib.errors import DataError
from asdlib.features import LogMel
from asdlib.seeds import derive

pytestmark = pytest.mark.slow

SMALL = {"channels": 8, "heads": 2, "blocks": 1, "kernel": 3, "latent": 4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("train")
    make(place)
    return place


@given(st.integers(8, 512), st.integers(1, 500), st.integers(0, 10_000))
def test_noam_is_the_published_schedule(channels, warmup, step):
    factor = train.noam(channels, warmup, steps=10_001, cooldown=0.0)(step)
    assert factor == pytest.approx(channels**-0.5 * min((step + 1) ** -0.5, (step + 1) * warmup**-1.5), rel=1e-12)


def test_noam_peaks_at_the_end_of_the_warmup_and_cools_down_to_nothing():
    plain = [train.noam(144, 80, 1000, 0.0)(step) for step in range(1000)]
    cooled = [train.noam(144, 80, 1000, 0.25)(step) for step in range(1000)]
    assert np.argmax(plain) == 79
    assert plain[79] == pytest.approx((144 * 80) ** -0.5)
    assert cooled[:750] == plain[:750]
    ratio = np.array(cooled[750:]) / plain[750:]
    np.testing.assert_allclose(ratio, (1000 - np.arange(750, 1000)) / 250, rtol=1e-12)


def batches() -> Batches:
    """Create clips of 9, 5 and 7 frames, in which each frame is (clip, position) in dB."""
    lengths = torch.tensor([9, 5, 7, 6])
    frames = [torch.tensor([[clip, frame] for frame in range(length)]) for clip, length in enumerate(lengths)]
    return Batches(
        torch.cat(frames).float(), lengths, torch.tensor([0, 0, 1, 1]), torch.tensor([False, True, False, False])
    )


@given(st.integers(1, 12), st.integers(0, 8), st.integers(0, 2**31))
def test_crops_are_pieces_of_their_clips(low, more, seed):
    data = batches()
    decibel, section, valid = data.draw(16, (low, low + more), 0.0, torch.Generator().manual_seed(seed))
    longest = int(data.lengths.max())
    assert min(low, longest) <= decibel.shape[1] <= min(low + more, longest)
    lengths = [decibel.shape[1]] * 16 if valid is None else valid.sum(1).tolist()
    for crop, index, length in zip(decibel, section, lengths, strict=True):
        clip, first = int(crop[0, 0]), int(crop[0, 1])
        assert (crop[:, 0] == clip).all() and index == data.section[clip]
        assert length == min(len(crop), data.lengths[clip])  # a short clip shortens itself and no other
        assert crop[:length, 1].tolist() == list(range(first, first + length))
        assert first + length <= data.lengths[clip]
    if valid is not None:
        assert (valid == (torch.arange(decibel.shape[1]) < torch.tensor(lengths)[:, None])).all()


def test_a_short_clip_leaves_the_other_crops_as_they_are():
    """A clip of 2 frames among clips of 9 or more does not shorten crops of 8 frames."""
    lengths = torch.tensor([9, 12, 2, 10])
    frames = torch.cat([torch.full((int(length), 3), float(clip)) for clip, length in enumerate(lengths)])
    data = Batches(frames, lengths, torch.zeros(4, dtype=torch.long), torch.zeros(4).bool())
    for seed in range(20):
        decibel, _, valid = data.draw(16, (8, 8), 0.0, torch.Generator().manual_seed(seed))
        assert decibel.shape == (16, 8, 3)
        short = decibel[:, 0, 0] == 2
        assert (valid is None) == (not short.any())
        if short.any():
            assert (valid[short].sum(1) == 2).all() and valid[~short].all()


@pytest.mark.parametrize("kind", ["l1", "l2"])
def test_padding_does_not_change_the_loss(kind):
    """Contents and number of padded frames do not change loss, gradient or batch statistics."""
    torch.manual_seed(0)
    module = Autoencoder(params.AutoencoderModel(**SMALL, dropout=0.0), 3, 2).train()
    features, section, lengths = torch.randn(4, 11, 3), torch.tensor([0, 1, 0, 1]), torch.tensor([11, 4, 7, 11])
    found = []
    for length, rubbish in ((11, 0.0), (11, 1e3), (15, -50.0)):
        padded = torch.nn.functional.pad(features, (0, 0, 0, length - 11))
        valid = torch.arange(length) < lengths[:, None]
        padded = torch.where(valid[..., None], padded, rubbish)
        net = copy.deepcopy(module)
        error = net(padded, section, valid) - net.target(padded, section)
        value = train.masked_mean(error.abs() if kind == "l1" else error.square(), valid)
        value.backward()
        means = torch.cat([layer.running_mean for layer in net.modules() if isinstance(layer, torch.nn.BatchNorm1d)])
        found.append((value.item(), torch.cat([p.grad.flatten() for p in net.parameters()]), means))
        with torch.no_grad():  # the definition: the mean over all elements of all frames that are no padding
            error = copy.deepcopy(module)(padded, section, valid) - module.target(padded, section)
        every = torch.cat([row[:count].flatten() for row, count in zip(error, lengths, strict=True)]).double()
        expected = (every.abs() if kind == "l1" else every.square()).mean().item()
        assert value.item() == pytest.approx(expected, rel=1e-5)
    for value, gradient, means in found[1:]:
        assert value == pytest.approx(found[0][0], rel=1e-5)
        torch.testing.assert_close(gradient, found[0][1], rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(means, found[0][2], rtol=1e-4, atol=1e-6)


def test_clips_and_places_are_drawn_uniformly():
    decibel, _, _ = batches().draw(20_000, (3, 3), 0.0, torch.Generator().manual_seed(0))
    clip, first = decibel[:, 0, 0].int(), decibel[:, 0, 1].int()
    assert (torch.bincount(clip) / 20_000 - 0.25).abs().max() < 0.015  # 5 standard errors
    assert (torch.bincount(first[clip == 0]) / (clip == 0).sum() - 1 / 7).abs().max() < 0.025
    again, _, _ = batches().draw(20_000, (3, 3), 0.0, torch.Generator().manual_seed(0))
    assert torch.equal(decibel, again)


def test_pseudo_target_averages_powers_of_the_same_section():
    generator = torch.Generator().manual_seed(0)
    source, target = torch.rand(3, 4, 6) * 20 - 60, torch.rand(1, 4, 6) * 20 - 40
    frames = torch.cat([*source, target[0]])
    data = Batches(frames, torch.tensor([4] * 4), torch.tensor([0, 0, 1, 0]), torch.tensor([False, False, False, True]))
    mixed = data.mix(source, torch.tensor([0, 0, 1]), generator)
    torch.testing.assert_close(mixed[2], source[2], rtol=1e-5, atol=0)  # section 1 has no target clip
    power, ends = 10 ** (mixed.double() / 10), [10 ** (part.double() / 10) for part in (source, target)]
    weight = (power - ends[0]) / (ends[1] - ends[0])
    for crop in range(2):
        assert 0 < weight[crop].mean() < 1
        np.testing.assert_allclose(weight[crop], weight[crop].mean(), rtol=1e-3)  # float32 dB: one weight a crop


def test_share_of_pseudo_target():
    data = batches()
    plain, _, _ = data.draw(10, (4, 4), 0.0, torch.Generator().manual_seed(0))
    mixed, _, _ = data.draw(10, (4, 4), 0.4, torch.Generator().manual_seed(0))
    assert torch.equal(plain[4:], mixed[4:])
    assert not torch.equal(plain[:4], mixed[:4])


def test_files_of_a_training(folder):
    run = settings(folder)
    history = train.fit(run, "fan", "base")
    place = paths.Run.of(run).system("autoencoder", "fan", "base")
    assert sorted(path.name for path in place.iterdir()) == [
        "clips.csv",
        "history.csv",
        "model.safetensors",
        "record.json",
    ]
    assert history["step"].tolist() == [1, 2, 3, 4]
    assert np.isfinite(history).all(axis=None)
    pd.testing.assert_frame_equal(pd.read_csv(place / "history.csv"), history)
    roles = pd.read_csv(place / "clips.csv", dtype=str).groupby(["section", "domain", "role"]).size().to_dict()
    for section in ("00", "01"):
        assert roles[section, "source", "held out"] == 2  # 0.34 of 6
        assert roles[section, "source", "learn"] == 4 and roles[section, "target", "learn"] == 2
    record = json.loads((place / "record.json").read_text(encoding="utf-8"))
    assert record["settings"]["model"]["channels"] == 8
    assert "scorer" not in record["settings"]  # other scorers need no other model
    assert not list(paths.Run.of(run).checkpoints.iterdir())

    first = (place / "model.safetensors").read_bytes()
    train.fit(run, "fan", "base")
    assert (place / "model.safetensors").read_bytes() == first
    train.fit(settings(folder, autoencoder__seed=1), "fan", "base")
    assert (place / "model.safetensors").read_bytes() != first


def test_a_training_learns_and_can_be_interrupted(folder, monkeypatch):
    options = {
        "autoencoder__training": {"steps": 60, "warmup": 20, "learning_rate": 0.3, "pseudo_target": 0.25},
        "autoencoder__origin": "extension",
        "autoencoder__model": {"dropout": 0.1},
    }
    run = settings(folder, **options)
    whole = train.fit(run, "fan", "base")
    assert whole["loss"].tail(10).mean() < 0.9 * whole["loss"].head(10).mean()
    place = paths.Run.of(run).system("autoencoder", "fan", "base") / "model.safetensors"
    expected = place.read_bytes()

    plain = training.train

    def killed(module, loss, *arguments, **keywords):
        def dying(step, generator):
            if step == 25:
                raise KeyboardInterrupt
            return loss(step, generator)

        return plain(module, dying, *arguments, **keywords)

    monkeypatch.setattr(training, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        train.fit(run.model_copy(update={"checkpoint_seconds": 0.0}), "fan", "base")
    monkeypatch.setattr(training, "train", plain)
    pd.testing.assert_frame_equal(train.fit(run, "fan", "base"), whole)
    assert place.read_bytes() == expected


def test_a_machine_without_systems(folder):
    with pytest.raises(DataError, match="machine 'fann' has no systems in the profile tiny"):
        train.fit(settings(folder), "fann", "base")


def test_pseudo_target_clips_are_drawn_in_their_share():
    frames = torch.arange(5).repeat_interleave(4).float()[:, None].expand(-1, 3)  # clip k holds k; 3 and 4 are made
    data = Batches(frames, torch.full((5,), 4), torch.tensor([0, 0, 1, 0, 1]), torch.zeros(5).bool(), shifted=2)
    decibel, section, _ = data.draw(1000, (4, 4), 0.4, torch.Generator().manual_seed(0))
    clip = decibel[:, 0, 0].int()
    assert set(clip[:400].tolist()) == {3, 4} and set(clip[400:].tolist()) == {0, 1, 2}
    assert torch.equal(section, torch.tensor([0, 0, 1, 0, 1])[clip.long()])


def test_killed_while_the_batch_norm_is_refreshed(folder, monkeypatch):
    """The trained weights are kept, and the result has the same bits."""
    run = settings(folder)
    train.fit(run, "fan", "base")
    place = paths.Run.of(run).system("autoencoder", "fan", "base") / "model.safetensors"
    expected = place.read_bytes()

    def dies(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(batch_norm, "refresh_batch_norm", dies)
        with pytest.raises(KeyboardInterrupt):
            train.fit(run, "fan", "base")
    steps = []
    draw = Batches.draw
    monkeypatch.setattr(Batches, "draw", lambda *arguments: steps.append(1) or draw(*arguments))
    train.fit(run, "fan", "base")
    checked = train._CHECKED_BATCHES
    assert len(steps) == 30 + checked  # batches of the refresh and the check; the training itself is done
    assert place.read_bytes() == expected


def test_batch_norm_statistics_are_those_of_the_training_batches(folder):
    """Compare with the average mean and variance of 30 batches without padded frames, with the stored weights."""
    run = settings(folder)
    train.fit(run, "fan", "base")
    branch = run.candidate("autoencoder", "base")
    assert branch.model.dropout > 0
    place = paths.Run.of(run).system("autoencoder", "fan", "base") / "model.safetensors"
    net, opened = Autoencoder(branch.model, 12, 2), open_machine(run, "fan")
    load_model(net, str(place))
    stored = {name: value.clone() for name, value in net.state_dict().items()}
    log_mel = LogMel(branch.features, 16_000)
    batches = Batches.load(opened.waveforms, opened.rows[opened.role == "learn"], opened.sections, log_mel)
    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, torch.nn.BatchNorm1d)}
    assert len(layers) == 2
    seen = {name: [] for name in layers}
    for name, layer in layers.items():  # what reaches the layer is (frames that are no padding, channels)
        layer.register_forward_pre_hook(lambda _, arguments, name=name: seen[name].append(arguments[0].double()))
    net.train()
    seed = derive(run.seed, "autoencoder", "fan", branch.seed)
    for index in range(30):
        torch.manual_seed(derive(seed, "batch norm dropout", index))
        with torch.no_grad():
            train.loss(net, batches, branch)(0, training.generator(seed, "batch norm", index))
    for name, parts in seen.items():
        mean = torch.stack([values.mean(0) for values in parts]).mean(0)
        variance = torch.stack([values.var(0) for values in parts]).mean(0)
        torch.testing.assert_close(stored[f"{name}.running_mean"].double(), mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(stored[f"{name}.running_var"].double(), variance, rtol=1e-4, atol=1e-5)


def test_the_record_has_the_explained_share(folder):
    """Compare with numpy on the network's outputs for crops of whole clips; the reported problems follow from it."""
    run = settings(folder, autoencoder__training={"steps": 60, "warmup": 20, "learning_rate": 0.3})
    train.fit(run, "fan", "base")
    place = paths.Run.of(run).system("autoencoder", "fan", "base")
    record = json.loads((place / "record.json").read_text(encoding="utf-8"))
    branch, opened = run.candidate("autoencoder", "base"), open_machine(run, "fan")
    net, log_mel = Autoencoder(branch.model, 12, 2), LogMel(branch.features, 16_000)
    load_model(net, str(place / "model.safetensors"))
    net.eval()
    found, trivial = [], []
    for row in opened.rows[opened.role == "learn"]:
        clip = torch.from_numpy(opened.waveforms.read(int(row))[None] / np.float32(32768))
        features = net.standardise(log_mel(clip)[:, 1:-1])
        section = torch.tensor([opened.sections.index(opened.waveforms.clips["section"].iat[row])])
        with torch.no_grad():
            found.append((net(features, section)[..., :12] - features).abs().mean().item())
        trivial.append(features.abs().mean().item())
    # The record's figure is that of 16 random crops: within 0.1 of that of all clips.
    assert record["explained_share"] == pytest.approx(1 - np.mean(found) / np.mean(trivial), abs=0.1)
    assert record["explained_share"] > 0 and record["health"] == []


def test_an_autoencoder_that_learnt_nothing_is_reported(folder):
    """After huge steps, the output is nothing like the input."""
    run = settings(folder, autoencoder__training__learning_rate=1e4)
    train.fit(run, "fan", "base")
    place = paths.Run.of(run).system("autoencoder", "fan", "base")
    record = json.loads((place / "record.json").read_text(encoding="utf-8"))
    assert record["explained_share"] < 0
    (sentence,) = record["health"]
    assert sentence.startswith("the network reconstructs its own training clips no better than their mean spectrum")


def drawn_by(folder, monkeypatch, run_seed: int, seed: int) -> dict[str, torch.Tensor]:
    """Return the first weights and the batches of a training."""
    found, plain, draw = {}, training.train, Batches.draw

    def watched(module, *arguments, **keywords):
        found["weights"] = next(module.parameters()).detach().clone()
        return plain(module, *arguments, **keywords)

    def keep(self, *arguments):
        batch = draw(self, *arguments)
        found[f"batch {len(found)}"] = batch[0]
        return batch

    with monkeypatch.context() as patch:
        patch.setattr(training, "train", watched)
        patch.setattr(Batches, "draw", keep)
        train.fit(settings(folder, seed=run_seed, autoencoder__seed=seed), "fan", "base")
    return found


def test_no_two_networks_of_other_seeds_share_weights_or_batches(folder, monkeypatch):
    """The cases include candidate seed 1 of run seed 0 and candidate seed 0 of run seed 1, which have the same sum."""
    found = [drawn_by(folder, monkeypatch, *pair) for pair in ((0, 0), (0, 1), (1, 0), (1, 1))]
    names = set(found[0])
    assert all(set(each) == names for each in found) and len(names) == 1 + 4 + 30 + 4  # steps, refreshed, checked
    for one, other in itertools.combinations(found, 2):
        drawn = [{value.contiguous().numpy().tobytes() for value in each.values()} for each in (one, other)]
        assert drawn[0].isdisjoint(drawn[1])
        assert len(drawn[0]) == len(one)  # nor does a network see one batch twice
