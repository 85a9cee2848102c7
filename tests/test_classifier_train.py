"""Two stages of training: what they write, and that a killed one goes on to the same bits."""

import functools
import json

import pandas as pd
import pytest
import torch
from classifier_clips import project
from safetensors.torch import load_file

from asdlib import checkpoints, params, paths, training
from asdlib.classifier import ClassifierError, train
from asdlib.classifier.batches import Batches

FILES = ["source.safetensors", "target.safetensors", "history.csv"]


def folder(settings, section="00"):
    return paths.Run.of(settings).system("classifier", "fan", "base", section)


def elsewhere(settings, name: str):
    """The same settings with another run folder that holds the same decoded clips."""
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


def test_fine_tuning_goes_on_from_source_training(trained):
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
        if len(calls) == call + 2 * (stage == "source") and not killed:  # two batches make the first centroids
            killed.append(True)
            raise KeyboardInterrupt
        return plain(self, generator)

    monkeypatch.setattr(Batches, stage, dies)
    monkeypatch.setattr(training, "train", functools.partial(training.train, checkpoint_seconds=0))
    with pytest.raises(KeyboardInterrupt):
        train.fit(settings, "fan", "00", "base")
    assert not folder(settings).exists()
    torch.manual_seed(123)
    source = Batches.source
    if stage == "finetuning":  # source training is not done again
        monkeypatch.setattr(Batches, "source", None)
    before = len(calls)
    train.fit(settings, "fan", "00", "base")
    monkeypatch.setattr(Batches, "source", source)
    assert len(calls) - before == {"source": 2, "finetuning": 2}[stage]  # not from the start
    for name in FILES:
        assert (folder(settings) / name).read_bytes() == (folder(trained[0]) / name).read_bytes(), name
    assert not list((paths.Run.of(settings).folder / "checkpoints").iterdir())


def test_another_seed_gives_another_model(trained):
    settings = elsewhere(trained[0], "seed").model_copy(update={"seed": 1})
    train.fit(settings, "fan", "00", "base")
    assert (folder(settings) / FILES[0]).read_bytes() != (folder(trained[0]) / FILES[0]).read_bytes()


def test_a_section_without_target_clips_is_not_fine_tuned(trained):
    history = train.fit(trained[0], "fan", "01", "base")
    assert set(history["stage"]) == {"source training"}
    assert not (folder(trained[0], "01") / FILES[1]).exists()


def test_it_learns(tmp_path):
    settings = project(tmp_path, training={"steps": 40, "finetune_steps": 0}, batches={"mixup": 0.0})
    history = train.fit(settings, "fan", "00", "base")
    assert len(history) == 40 and not (folder(settings) / FILES[1]).exists()
    assert history["bce"].iloc[-5:].mean() < 0.3 * history["bce"].iloc[:3].mean()
    assert history["ddcsad"].iloc[-5:].mean() < history["ddcsad"].iloc[:3].mean()


def test_other_negatives_and_missing_sections_fail_before_anything_is_written(trained):
    settings = elsewhere(trained[0], "errors")
    with pytest.raises(ClassifierError, match="section 05 of fan"):
        train.fit(settings, "fan", "05", "base")
    with pytest.raises(params.ParamsError, match="'bas'"):
        train.fit(settings, "fan", "00", "bas")
    assert [path.name for path in paths.Run.of(settings).folder.iterdir()] == ["data"]


def test_the_recipe_does_not_depend_on_the_scorer(trained):
    settings = trained[0]
    other = settings.model_copy(
        update={"classifier_candidates": {"base": {"scorer": {"weight": 0.9}, "images": {"windows": 1}}}}
    )
    shorter = settings.model_copy(update={"classifier_candidates": {"base": {"images": {"frames": 16}}}})
    recipes = [train.recipe(each, "fan", "00", "base") for each in (settings, other, shorter)]
    assert recipes[0] == recipes[1] != recipes[2]


def test_fine_tuning_does_not_go_on_after_a_source_training_of_other_code(trained, monkeypatch, capsys):
    settings, calls = elsewhere(trained[0], "other"), []
    finetuning = Batches.finetuning

    def dies(self, generator):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return finetuning(self, generator)

    with monkeypatch.context() as patch:
        patch.setattr(Batches, "finetuning", dies)
        patch.setattr(training, "train", functools.partial(training.train, checkpoint_seconds=0))
        patch.setattr(checkpoints, "code", lambda: "older")
        with pytest.raises(KeyboardInterrupt):
            train.fit(settings, "fan", "00", "base")
    there = paths.Run.of(settings).checkpoints
    assert sorted(path.name.split(".")[4] for path in there.iterdir()) == ["source", "target"]
    capsys.readouterr()
    train.fit(settings, "fan", "00", "base")
    assert "going on from" not in capsys.readouterr().out
    for name in FILES:
        assert (folder(settings) / name).read_bytes() == (folder(trained[0]) / name).read_bytes(), name
    assert not list(there.iterdir())
