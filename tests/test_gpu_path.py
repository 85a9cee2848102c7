"""Test the code for GPUs without one: the same windows from samples on a device, and no step that waits for it.

The device ``meta`` knows shapes but holds no values, so whatever asks for one (``item``, a comparison, a mask that
becomes an index, a copy to the CPU) fails there: on a GPU it would wait until all that is queued is computed.
Copies to the device are seen on their way: each must be asked not to wait (``non_blocking``).
"""

import contextlib
import dataclasses
import os
import re

import numpy as np
import pytest
import torch
from classifier_clips import RATE, waveforms
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from asdlib import params, training
from asdlib.autoencoder import train as autoencoder_train
from asdlib.autoencoder.batches import Batches as AutoencoderBatches
from asdlib.autoencoder.masked_copies import pool_copies
from asdlib.autoencoder.model import Autoencoder
from asdlib.baselines import frame_autoencoder, mobilenet
from asdlib.classifier.batches import Batches
from asdlib.classifier.device_windows import Windows
from asdlib.classifier.model import Classifier
from asdlib.classifier.positives_and_negatives import group_clips
from asdlib.compute import Compute, resolve_compute

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


def test_batches_of_any_length_are_computed_without_cudnn_on_a_gpu_only():
    """cuDNN would compile a depthwise convolution for each new length."""
    for device, inside in (("cuda", False), ("cpu", True)):
        with pytest.raises(KeyError), Compute(torch.device(device), "float32", 1).any_length():
            assert torch.backends.cudnn.enabled == inside
            raise KeyError
        assert torch.backends.cudnn.enabled


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


class NoBlockingCopies(TorchDispatchMode):
    """Refuse copies from the CPU to ``meta`` that would wait for a GPU."""

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        options = options or {}
        to_meta = torch.device(options.get("device") or CPU).type == "meta"
        if operation is torch.ops.aten._to_copy.default and to_meta and arguments[0].device.type == "cpu":
            assert options.get("non_blocking"), "a copy to the device that waits; use training.to_device"
        return operation(*arguments, **options)


def steps(monkeypatch, tmp_path, module, loss) -> list[int]:
    """Train for three steps on ``meta``; return the numbers of steps whose losses were read at a time."""
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
    compute = Compute(META, "float32", 1)
    with NoBlockingCopies():
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


@pytest.mark.parametrize("crop", [[5, 9], [13, 20]])  # the latter with padding
@pytest.mark.parametrize("change", [{}, {"section_regression": False, "section_embedding": "add"}])
def test_no_step_of_the_autoencoder_waits_for_the_device(monkeypatch, tmp_path, change, crop):
    values = {
        "model": {"channels": 8, "heads": 2, "blocks": 1, "kernel": 3, "latent": 4, "dropout": 0.1, **change},
        "training": {"batch_size": 4, "crop_frames": crop, "pseudo_target": 0.5, "loss": "l1"},
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
        autoencoder_train.loss(model, batches, branch),
    )
    assert [count for count in asked if count] == [3]  # once, for the last line of progress


@pytest.mark.parametrize("stage", ["source", "finetuning"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"batches": {"noise": 0.0}, "arcface": {"weight": 0.5}},
        {"ddcsad": {"centroids": "epoch"}},
        {"ddcsad": {"centroids": "fixed"}},
    ],
)
def test_no_step_of_the_classifier_waits_for_the_device(monkeypatch, tmp_path, stage, change):
    values = {
        "features": {"n_fft": 256, "hop_length": 128, "n_mels": 16},
        "images": {"frames": 32},
        "model": {"backbone": "test_resnet", "dropout": 0.2},
        "batches": {"batch_size": 8, "noise": 0.5, "volume": 0.5},
        "ddcsad": {"weight": 0.1},
    }
    settings = params.Classifier.model_validate(params.merge(values, change))
    counts = {("fan", "00", "source"): 5, ("fan", "00", "target"): 3, ("fan", "01", "source"): 4}
    monkeypatch.setattr("asdlib.classifier.device_windows._room", lambda device: 10**9)
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


# From the documentation of torch.use_deterministic_algorithms (PyTorch 2.14), and float sums, which 2.11 refuses.
REFUSED = re.compile(
    r"avg_pool3d_backward|_?adaptive_avg_pool[23]d_backward|adaptive_max_pool2d_backward|fractional_max_pool[23]d_backward"
    r"|max_unpool\dd|max_pool3d.*_backward|upsample_(linear|bilinear|bicubic|trilinear).*_backward|cumsum|cumprod"
    r"|(reflection|replication)_pad\dd_backward|nll_loss2d_forward|_ctc_loss_backward|_embedding_bag.*|put_?|histc"
    r"|bincount|median|nanmedian|kthvalue|grid_sampler_.*_backward|scatter_reduce_?"
)


class Deterministic(TorchDispatchMode):
    """Refuse operations without a deterministic implementation for CUDA, on whatever device."""

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        name = operation.overloadpacket.__name__
        whole = not any(isinstance(part, torch.Tensor) and part.is_floating_point() for part in arguments)
        assert whole or not REFUSED.fullmatch(name), f"{name} is not deterministic on a GPU"
        return operation(*arguments, **(options or {}))


@pytest.mark.parametrize("backbone", ["resnet34", "resnext50_32x4d", "tf_efficientnet_b3.ns_jft_in1k", "resnet10t"])
def test_classifiers_are_deterministic_on_a_gpu(backbone):
    settings = params.Classifier.model_validate(
        {"features": {"n_mels": 64}, "model": {"backbone": backbone}, "arcface": {"weight": 0.1}}
    )
    model = Classifier(settings, RATE)
    with Deterministic():
        model.losses(torch.randn(2, 64 * 256) / 10, torch.tensor([0.0, 1.0]))["loss"].backward()


def test_autoencoders_and_baselines_are_deterministic_on_a_gpu():
    branch = params.Autoencoder.model_validate({"model": {"channels": 8, "blocks": 1, "section_embedding": "add"}})
    batches = autoencoder_train.Batches(
        torch.randn(90, 128), torch.tensor([40, 20, 30]), torch.tensor([0, 1, 0]), torch.tensor([False, False, True])
    )
    model = Autoencoder(branch.model, 128, 2)
    images = mobilenet.images(torch.randn(2, 64, 128))
    with Deterministic():
        for length in ((10, 20), (35, 40)):  # the latter with padding
            options = branch.training.model_copy(update={"crop_frames": length, "batch_size": 4})
            changed = branch.model_copy(update={"training": options})
            autoencoder_train.loss(model, batches, changed)(0, training.generator(0))["loss"].backward()
        for kind in ("signed", "absolute.max", "absolute.median"):
            pool_copies(torch.randn(2, 4, 3, 5), kind)
        torch.nn.functional.cross_entropy(mobilenet.network(3)(images), torch.tensor([0, 2])).backward()
        frame_autoencoder.network(640)(torch.randn(4, 640)).square().mean().backward()
    with pytest.raises(AssertionError, match="median is not deterministic"), Deterministic():
        torch.randn(3, 4).median(1)


@pytest.mark.parametrize("copies", [1, 2, 4, 5])
def test_the_median_of_copies_is_pytorchs(copies):
    errors = torch.randn(3, copies, 7, 5, generator=torch.Generator().manual_seed(copies))
    assert torch.equal(pool_copies(errors, "signed.median"), errors.median(1).values)


def test_a_gpu_computes_in_full_precision_and_the_same_bits_again(monkeypatch):
    """All switches apply to the whole process; they are reset at the end."""
    cuda, cudnn, deterministic = torch.backends.cuda, torch.backends.cudnn, torch.utils.deterministic
    for place, name in ((cudnn, "allow_tf32"), (cudnn, "deterministic"), (cudnn, "benchmark")):
        monkeypatch.setattr(place, name, getattr(place, name))
    monkeypatch.setattr(deterministic, "fill_uninitialized_memory", True)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    cuda.matmul.allow_tf32 = cudnn.allow_tf32 = True
    try:
        compute = resolve_compute(params.Settings(profile="gpu", title="none", device="cuda"))
        assert (compute.device.type, compute.precision) == ("cuda", "bfloat16")
        # With warn_only, attention's backward pass would be another at each run.
        assert (
            torch.are_deterministic_algorithms_enabled() and not torch.is_deterministic_algorithms_warn_only_enabled()
        )
        assert not deterministic.fill_uninitialized_memory and cudnn.deterministic and not cudnn.benchmark
        assert not cuda.matmul.allow_tf32 and not cudnn.allow_tf32
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
        cuda.matmul.allow_tf32 = False


def test_copies_to_a_gpu_start_from_page_locked_memory():
    calls = []

    class Recorder:
        def pin_memory(self):
            calls.append("pinned")
            return self

        def to(self, device, non_blocking):
            calls.append((device.type, non_blocking))
            return self

    training.to_device(Recorder(), torch.device("cuda"))
    assert calls == ["pinned", ("cuda", True)]
    tensor = torch.ones(3)
    assert training.to_device(tensor, CPU) is tensor


def test_waiting_would_be_seen():
    with pytest.raises(AssertionError, match="a copy to the device that waits"), NoBlockingCopies():
        torch.ones(3).to(META)
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.empty(3, device=META).sum().item()
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.empty(3, device=META)[torch.empty(3, dtype=torch.bool, device=META)]
    with pytest.raises((RuntimeError, NotImplementedError)):
        np.asarray(torch.empty(3, device=META).cpu())
