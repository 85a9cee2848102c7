"""What a GPU would do, without one: the same windows from samples on a device, and no step that waits for the device.

The device ``meta`` knows shapes but holds no values, so whatever asks for one (``item``, a comparison, a mask that
becomes an index, a copy to the processor) fails there: on a GPU it would wait until all that is queued is computed.
Copies to the device are not seen here; they are asked not to wait (``non_blocking``).
"""

import contextlib
import dataclasses

import numpy as np
import pytest
import torch
from classifier_clips import RATE, waveforms
from hypothesis import given
from hypothesis import strategies as st

from asdlib import params, training
from asdlib.autoencoder import train as autoencoder_train
from asdlib.autoencoder.batches import Batches as AutoencoderBatches
from asdlib.autoencoder.model import Autoencoder
from asdlib.classifier.batches import Batches
from asdlib.classifier.clips import group_clips
from asdlib.classifier.model import Classifier
from asdlib.classifier.resident import Windows

pytestmark = pytest.mark.slow

CPU, META = torch.device("cpu"), torch.device("meta")


@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(1, 200), st.data())
def test_windows_are_the_same_wherever_the_samples_are(lengths, length, data):
    clips = [
        waveforms({(machine, "00", "source"): len(lengths)}, samples=lambda number: lengths[number])
        for machine in ("fan", "valve")
    ]
    rows = data.draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, len(lengths) - 1)), min_size=1, max_size=5))
    places = [(clips[which], row, data.draw(st.integers(0, lengths[row] - 1))) for which, row in rows]
    mapped, kept = Windows(clips, length, CPU), Windows(clips, length, CPU, room=10**6)
    assert mapped.samples is None and kept.samples is not None
    assert torch.equal(mapped.cut(places), kept.cut(places))


def test_samples_that_do_not_fit_stay_in_the_files():
    clips = waveforms({("fan", "00", "source"): 3}, samples=100)
    assert Windows([clips, clips], 10, CPU, room=599).samples is None
    assert Windows([clips, clips], 10, CPU, room=600).samples.dtype == torch.int16  # counted and kept once


def test_samples_of_more_than_16_bits_keep_them_on_a_device():
    coarse, fine = (waveforms({(machine, "00", "source"): 3}, samples=100) for machine in ("fan", "valve"))
    fine = dataclasses.replace(fine, samples=fine.samples.astype(np.float32) + np.float32(0.25))
    places = [(coarse, 0, 5), (fine, 2, 7), (fine, 1, 95)]
    mapped, kept = Windows([coarse, fine], 10, CPU), Windows([coarse, fine], 10, CPU, room=2400)
    assert Windows([coarse, fine], 10, CPU, room=2399).samples is None
    assert kept.samples.dtype == torch.float32 and torch.equal(mapped.cut(places), kept.cut(places))
    assert torch.equal(kept.cut(places)[1], torch.from_numpy(fine.read(2, 7, 10)))


def steps(monkeypatch, tmp_path, module, loss) -> list[int]:
    """Train for three steps on ``meta``; the numbers of steps whose losses were asked for at a time."""
    asked = []

    def collect(progress):
        asked.append(progress.waiting)
        rows = progress._rows
        rows += [[len(rows) + 1, *[0.0] * (len(progress._names) - 1)] for _ in progress._pending]
        progress._pending.clear()

    monkeypatch.setattr(torch, "autocast", lambda *which, **how: contextlib.nullcontext())  # meta knows none
    monkeypatch.setattr(training._Progress, "collect", collect)
    monkeypatch.setattr(training, "_check_weights", lambda module, step: None)
    optimizer = torch.optim.Adam(module.parameters(), foreach=True)
    constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    compute = training.Compute(META, "float32", 1)
    history, _ = training.train(
        module,
        loss,
        optimizer,
        constant,
        steps=3,
        seed=0,
        compute=compute,
        checkpoint=tmp_path / "none.pt",
        settings={},
    )
    assert len(history) == 3
    return asked


@pytest.mark.parametrize("change", [{}, {"section_regression": False, "section_embedding": "add"}])
def test_no_step_of_the_autoencoder_waits_for_the_device(monkeypatch, tmp_path, change):
    values = {
        "model": {"channels": 8, "heads": 2, "blocks": 1, "kernel": 3, "latent": 4, "dropout": 0.1, **change},
        "training": {"batch_size": 4, "crop_frames": [5, 9], "pseudo_target": 0.5, "loss": "l1"},
        "origin": "extension",
    }
    branch = params.Autoencoder.model_validate(values)
    lengths, section = torch.tensor([12, 15, 10]), torch.tensor([0, 1, 0])
    batches = AutoencoderBatches(torch.empty(37, 6, device=META), lengths, section, torch.tensor([False, False, True]))
    model = Autoencoder(branch.model, 6, 2).to(META)
    generator = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda device="cpu": generator())  # meta has none
    asked = steps(
        monkeypatch,
        tmp_path,
        model,
        lambda step, generator: {"loss": autoencoder_train.loss(model, batches, branch, generator)},
    )
    assert [count for count in asked if count] == [3]  # once, for the last line of progress


@pytest.mark.parametrize("stage", ["source", "finetuning"])
@pytest.mark.parametrize("change", [{}, {"batches": {"noise": 0.0}, "arcface": {"weight": 0.5}}])
def test_no_step_of_the_classifier_waits_for_the_device(monkeypatch, tmp_path, stage, change):
    values = {
        "features": {"n_fft": 256, "hop_length": 128, "n_mels": 16},
        "images": {"frames": 32},
        "model": {"backbone": "test_resnet", "dropout": 0.2},
        "batches": {"batch_size": 8, "target_clips": 4, "noise": 0.5, "volume": 0.5},
        "ddcsad": {"weight": 0.1},
    }
    settings = params.Classifier.model_validate(params.merged(values, change))
    counts = {("fan", "00", "source"): 5, ("fan", "00", "target"): 3, ("fan", "01", "source"): 4}
    monkeypatch.setattr("asdlib.classifier.resident._room", lambda device: 10**9)
    # meta has no generators of random numbers: the noise is drawn by a CPU's, which changes no shape.
    generator = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda device="cpu": generator())
    clips = group_clips(waveforms(counts, samples=lambda number: 3000 + 900 * number))
    batches = Batches(settings, clips, "fan", "00", META)
    assert batches.windows.samples.device.type == "meta"
    model = Classifier(settings, RATE, epoch_steps=batches.epoch_steps).to(META)

    def loss(step, generator):
        batch = getattr(batches, stage)(generator)
        assert batch.waveform.device.type == "meta"
        return model.losses(batch.waveform, batch.label)

    assert [count for count in steps(monkeypatch, tmp_path, model, loss) if count] == [3]


def test_waiting_would_be_seen():
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.empty(3, device=META).sum().item()
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.empty(3, device=META)[torch.empty(3, dtype=torch.bool, device=META)]
    with pytest.raises((RuntimeError, NotImplementedError)):
        np.asarray(torch.empty(3, device=META).cpu())
