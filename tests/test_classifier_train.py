"""Test the two stages of training: their files, and that a killed training resumes to the same bits."""

import copy
import itertools
import json

import numpy as np
import pandas as pd
import pytest
import torch
from classifier_clips import project
from safetensors.torch import load_file

from asdlib import batch_norm, checkpoints, params, paths, training
from asdlib.classifier import train
from asdlib.classifier.batches import Batches
from asdlib.classifier.model import Classifier, TrainedClassifier
from asdlib.compute import resolve_compute
from asdlib.errors import ModelError, ParamsError
from asdlib.seeds import derive

pytestmark = pytest.mark.slow

REFRESHED = 30
"""number of batches by which batch norm is refreshed"""
FILES = ["source.safetensors", "target.safetensors", "history.csv"]


def folder(settings, section="00"):
    return paths.Run.of(settings).system("classifier", "fan", "base", section)


def elsewhere(settings, name: str):
    """Return the same settings with another run folder that holds the same decoded clips."""
    other = settings.model_copy(update={"runs": settings.runs + name})
    (paths.Run.of(other).folder).mkdir(parents=True)
    (paths.Run.of(other).folder / "data").symlink_to(paths.Run.of(settings).folder / "data")
    return other


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    settings = project(tmp_path_factory.mktemp("clips"), batches={"noise": 0.5}, ddcsad={"centroids": "epoch"})
    return settings, train.fit(settings, "fan", "00", "base")


def test_the_run_folder(trained):
    settings, history = trained
    assert sorted(path.name for path in folder(settings).iterdir()) == sorted([*FILES, "record.json"])
    record = json.loads((folder(settings) / "record.json").read_text())
    assert record["pretrained"] is False and record["precision"] == "float32" and record["parameters"] > 100_000
    assert record["settings"]["classifier"]["training"]["steps"] == 6
    pd.testing.assert_frame_equal(pd.read_csv(folder(settings) / "history.csv"), history)
    assert not list((paths.Run.of(settings).folder / "checkpoints").iterdir())


def test_history_has_both_stages_and_one_cycle_of_the_learning_rate_each(trained):
    history = trained[1]
    assert list(history.columns) == ["stage", "step", "loss", "bce", "ddcsad", "learning_rate"]
    for stage, steps in (("source training", 6), ("fine-tuning", 4)):
        rates = history.loc[history["stage"] == stage, "learning_rate"]
        assert len(rates) == steps and 4e-4 < rates.max() <= 5e-4
        assert rates.iloc[0] == pytest.approx(5e-4 / 25) and rates.iloc[-1] < 1e-5


def test_fine_tuning_starts_from_source_training(trained):
    before, after = (load_file(folder(trained[0]) / name) for name in FILES[:2])
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert "fully_connected.weight" in changed and "ddcsad.centroids" in changed
    drift = sum((before[name] - after[name]).square().sum() for name in before if name.startswith("backbone.conv1"))
    assert drift < 0.5 * sum(before[name].square().sum() for name in before if name.startswith("backbone.conv1"))


@pytest.mark.parametrize(("stage", "call"), [("source", 5), ("finetuning", 3)])
def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(trained, monkeypatch, stage, call):
    settings = elsewhere(trained[0], stage)
    plain, calls, killed = getattr(Batches, stage), [], []

    def dies(self, generator):
        calls.append(stage)
        if len(calls) == call + (stage == "source") and not killed:  # one batch makes the first centroids
            killed.append(True)
            raise KeyboardInterrupt
        return plain(self, generator)

    monkeypatch.setattr(Batches, stage, dies)
    with pytest.raises(KeyboardInterrupt):
        train.fit(settings.model_copy(update={"checkpoint_seconds": 0.0}), "fan", "00", "base")
    assert not folder(settings).exists()
    torch.manual_seed(123)
    source = Batches.source
    if stage == "finetuning":  # source training is not done again: its batches only refresh the batch norm
        monkeypatch.setattr(Batches, "source", lambda self, generator: counted.append(1) or source(self, generator))
    before, counted = len(calls), []
    train.fit(settings, "fan", "00", "base")
    monkeypatch.setattr(Batches, "source", source)
    assert len(calls) - before == 2 + REFRESHED  # not from the start; and the batches that refresh the batch norm
    assert len(counted) == (REFRESHED if stage == "finetuning" else 0)
    for name in FILES:
        assert (folder(settings) / name).read_bytes() == (folder(trained[0]) / name).read_bytes(), name
    assert not list((paths.Run.of(settings).folder / "checkpoints").iterdir())


@pytest.mark.parametrize("refresh", [0, 1])
def test_killed_while_the_batch_norm_is_refreshed(trained, monkeypatch, refresh):
    """Killed after source training (0) or fine-tuning (1), the weights are kept, and the result has the same bits."""
    settings, calls, plain = elsewhere(trained[0], f"refresh{refresh}"), [], batch_norm.refresh_batch_norm

    def dies(*arguments):
        calls.append(1)
        if len(calls) == refresh + 1:
            raise KeyboardInterrupt
        plain(*arguments)

    monkeypatch.setattr(batch_norm, "refresh_batch_norm", dies)
    with pytest.raises(KeyboardInterrupt):
        train.fit(settings, "fan", "00", "base")
    assert not folder(settings).exists()
    train.fit(settings, "fan", "00", "base")
    for name in FILES:
        assert (folder(settings) / name).read_bytes() == (folder(trained[0]) / name).read_bytes(), name


@pytest.mark.parametrize(("stage", "draw"), [("source", "source"), ("target", "finetuning")])
def test_batch_norm_statistics_are_those_of_the_training_batches(trained, stage, draw):
    """Compare each layer with the average mean and variance of 30 batches, with the stored weights."""
    settings = trained[0]
    branch, place = settings.candidate("classifier", "base"), folder(settings)
    file = place / f"{stage}.safetensors"
    stored, net = load_file(file), TrainedClassifier.load(file, branch, 16_000, resolve_compute(settings)).network
    batches, seen = Batches.open(settings, "base", "fan", "00"), {}

    def keep(name):
        def hook(_, arguments):
            values = arguments[0].double()
            seen.setdefault(name, []).append((values.mean((0, 2, 3)), values.var((0, 2, 3), correction=1)))

        return hook

    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, torch.nn.BatchNorm2d)}
    assert len(layers) > 5 and "image_norm" in layers
    for name, layer in layers.items():
        layer.register_forward_pre_hook(keep(name))
    names = {"source": "source training", "target": "fine-tuning"}
    seed = derive(derive(settings.seed, "classifier", "fan", "00", branch.seed), names[stage])
    net.train()
    with torch.no_grad():
        for index in range(REFRESHED):
            net(getattr(batches, draw)(training.generator(seed, "batch norm", index)).waveform)
    for name in layers:
        means, variances = (torch.stack(parts).mean(0) for parts in zip(*seen[name], strict=True))
        torch.testing.assert_close(stored[f"{name}.running_mean"].double(), means, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(stored[f"{name}.running_var"].double(), variances, rtol=1e-3, atol=1e-5)


def drawn_by(trained, monkeypatch, run_seed: int, seed: int) -> dict[str, torch.Tensor]:
    """Return the first weights and the batches of both stages of a training."""
    settings = elsewhere(trained[0], f"seeds{run_seed}{seed}")
    changes = {"seed": run_seed, "classifier.seed": seed, "classifier.training": {"steps": 2, "finetune_steps": 2}}
    settings = params.Settings.model_validate(params.merge(settings.resolved(), changes))
    found, plain = {}, training.train

    def watched(module, *arguments, **keywords):
        found.setdefault("weights", next(module.backbone.parameters()).detach().clone())
        return plain(module, *arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(training, "train", watched)
        for name in ("source", "finetuning"):
            draw = getattr(Batches, name)

            def keep(self, generator, draw=draw, name=name):
                batch = draw(self, generator)
                found[f"{name} {sum(key.startswith(name) for key in found)}"] = batch.waveform[batch.kind != "target"]
                return batch

            patch.setattr(Batches, name, keep)
        train.fit(settings, "fan", "00", "base")
    return found


def test_no_two_networks_of_other_seeds_share_weights_or_batches(trained, monkeypatch):
    """The cases include candidate seed 1 of run seed 0 and candidate seed 0 of run seed 1, which have the same sum."""
    seeds = [(0, 0), (0, 1), (1, 0), (1, 1)]
    found = [drawn_by(trained, monkeypatch, *pair) for pair in seeds]
    names = set.intersection(*(set(each) for each in found))
    assert "weights" in names and len(names) == 1 + 1 + 2 + 2 + 2 * REFRESHED  # first centroids, steps, refreshed
    for one, other in itertools.combinations(found, 2):
        drawn = [{value.numpy().tobytes() for value in each.values()} for each in (one, other)]
        assert drawn[0].isdisjoint(drawn[1])
        assert len(drawn[0]) == len(one)  # nor does a network see one batch twice


def test_another_seed_gives_another_model(trained):
    settings = elsewhere(trained[0], "seed").model_copy(update={"seed": 1})
    train.fit(settings, "fan", "00", "base")
    assert (folder(settings) / FILES[0]).read_bytes() != (folder(trained[0]) / FILES[0]).read_bytes()


def test_a_section_without_target_clips_is_not_fine_tuned(trained):
    history = train.fit(trained[0], "fan", "01", "base")
    assert set(history["stage"]) == {"source training"}
    assert not (folder(trained[0], "01") / FILES[1]).exists()


def test_it_learns(tmp_path):
    short = {"steps": 40, "finetune_steps": 0}
    settings = project(tmp_path, training=short, batches={"mixup": 0.0}, origin="extension")
    history = train.fit(settings, "fan", "00", "base")
    assert len(history) == 40 and not (folder(settings) / FILES[1]).exists()
    assert history["bce"].iloc[-5:].mean() < 0.4 * history["bce"].iloc[:3].mean()
    assert history["ddcsad"].iloc[-5:].mean() < history["ddcsad"].iloc[:3].mean()


def test_other_negatives_and_missing_sections_fail_before_anything_is_written(trained):
    settings = elsewhere(trained[0], "errors")
    with pytest.raises(ModelError, match="section 05 of fan"):
        train.fit(settings, "fan", "05", "base")
    with pytest.raises(ParamsError, match="'bas'"):
        train.fit(settings, "fan", "00", "bas")
    assert [path.name for path in paths.Run.of(settings).folder.iterdir()] == ["data"]


def test_the_recipe_does_not_depend_on_the_scorer(trained):
    settings = trained[0]
    other = settings.model_copy(
        update={"classifier_candidates": {"base": {"scorer": {"variants": ["w75_max"]}, "images": {"windows": 1}}}}
    )
    shorter = settings.model_copy(update={"classifier_candidates": {"base": {"images": {"frames": 16}}}})
    recipes = [train.recipe(each, "fan", "00", "base") for each in (settings, other, shorter)]
    assert recipes[0] == recipes[1] != recipes[2]


def test_fine_tuning_does_not_resume_after_a_source_training_of_other_code(trained, monkeypatch, capsys):
    settings, calls = elsewhere(trained[0], "other"), []
    finetuning = Batches.finetuning

    def dies(self, generator):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return finetuning(self, generator)

    with monkeypatch.context() as patch:
        patch.setattr(Batches, "finetuning", dies)
        patch.setattr(checkpoints, "code", lambda: "older")
        with pytest.raises(KeyboardInterrupt):
            train.fit(settings.model_copy(update={"checkpoint_seconds": 0.0}), "fan", "00", "base")
    there = paths.Run.of(settings).checkpoints
    assert sorted(path.name.split(".")[4] for path in there.iterdir()) == ["source", "target"]
    capsys.readouterr()
    train.fit(settings, "fan", "00", "base")
    assert "resuming from" not in capsys.readouterr().out
    for name in FILES:
        assert (folder(settings) / name).read_bytes() == (folder(trained[0]) / name).read_bytes(), name
    assert not list(there.iterdir())


def test_the_balanced_weight_makes_ddcsad_as_large_as_the_cross_entropy(trained):
    """Compare with the formulas, on the network's outputs for one epoch of batches before the first step."""
    settings, compute = trained[0], resolve_compute(trained[0])
    branch = settings.candidate("classifier", "base")
    assert branch.ddcsad.weight == "balanced"
    batches = Batches.open(settings, "base", "fan", "00")
    torch.manual_seed(0)
    net = Classifier(branch, 16_000, (0.0, 0.2), batches.epoch_steps)
    plain = copy.deepcopy(net).train()
    train.initialise(net, batches, compute, 7, balanced=True)
    outputs = []
    for index in range(batches.epoch_steps):
        batch = batches.source(training.generator(7, "centroids", index))
        torch.manual_seed(derive(7, "centroids dropout", index))
        with torch.no_grad():
            embedding, logit = plain(batch.waveform)
        outputs.append((embedding.double().numpy(), logit.double().numpy(), batch.label.double().numpy()))
    z, logit, y = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
    centroids = np.stack([np.average(z, axis=0, weights=1 - y), np.average(z, axis=0, weights=y)])
    np.testing.assert_allclose(net.ddcsad.centroids, centroids, rtol=1e-4, atol=1e-6)
    outlier, normal = np.square(z[:, None] - centroids).mean(2).T
    eta, epsilon = branch.ddcsad.eta, branch.ddcsad.epsilon
    ddcsad = (y * (normal + eta / (epsilon + outlier)) + (1 - y) * (outlier + eta / (epsilon + normal))).mean()
    entropy = (np.logaddexp(0, logit) - y * logit).mean()
    assert net.ddcsad.weight.item() == pytest.approx(entropy / ddcsad, rel=1e-4)
    stored = load_file(folder(settings) / FILES[0])["ddcsad.weight"]
    assert stored.ndim == 0 and stored > 0 and stored != 1  # in the file, and in checkpoints
    train.initialise(plain, batches, compute, 7, balanced=False)
    assert plain.ddcsad.weight == 1
