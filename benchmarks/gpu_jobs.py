"""Set up the trainings of the paper's networks on made-up clips, and the plain recipes they are compared with."""

import contextlib
import io
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
from conformer import plain_network
from measure import operations, synchronize
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from asdlib import params, training
from asdlib.autoencoder import train as autoencoder_train
from asdlib.autoencoder.batches import Batches as AutoencoderBatches
from asdlib.autoencoder.model import Autoencoder
from asdlib.classifier.batches import Batches
from asdlib.classifier.model import Classifier
from asdlib.classifier.positives_and_negatives import group_clips
from asdlib.classifier.windows import samples_of
from asdlib.compute import Compute
from asdlib.data.audio import Waveforms
from asdlib.features import LogMel, mel_filters
from asdlib.units import FULL_SCALE

SECTIONS = ("00", "01", "02")
BACKWARD = 2
"""operations of a backward pass, in forward passes; PyTorch's counter is wrong for that of grouped convolutions"""


@dataclass
class Job:
    """A training as :func:`asdlib.training.train` runs it."""

    module: nn.Module
    loss: training.Loss
    forward: Callable[[], object]
    """a forward pass of a batch of mean size, to count its operations"""
    any_length: bool = False
    """whether batches differ in length"""
    learning_rate: float = 1e-4

    def train(self, steps: int, compute: Compute, checkpoint: Path, seconds: float = 1e9) -> None:
        """Train quietly for ``steps`` steps, with a checkpoint every ``seconds``."""
        optimizer = torch.optim.Adam(self.module.parameters(), lr=self.learning_rate, fused=True)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        lengths = compute.any_length() if self.any_length else contextlib.nullcontext()
        with lengths, contextlib.redirect_stdout(io.StringIO()):
            training.train(
                self.module,
                self.loss,
                optimizer,
                scheduler,
                steps=steps,
                seed=0,
                compute=replace(compute, checkpoint_seconds=seconds),
                checkpoint=checkpoint,
                settings={"steps": steps},
            )
        checkpoint.with_suffix(".done.pt").unlink()

    def rate(self, steps: int, compute: Compute, folder: Path) -> float:
        """Return the steps per second in the last half of ``steps`` steps.

        Batches repeat after a third of the steps, as their lengths do in a long training, so that what has to be done
        once for each length is not counted.
        """
        marks, original = [], self.loss

        def marked(step: int, generator: torch.Generator) -> tuple[Tensor | None, ...]:
            if step in (steps // 2, steps - 1):
                synchronize()
                marks.append(time.perf_counter())
            return original.draw(step, training.generator(0, step % (steps // 3)))

        self.loss = replace(original, draw=marked)
        try:
            self.train(steps, compute, folder / "rate.pt")
        finally:
            self.loss = original
        return (steps - 1 - steps // 2) / (marks[1] - marks[0])

    def operations(self) -> float:
        """Return the floating-point operations of a training step."""
        with torch.no_grad():
            return (1 + BACKWARD) * operations(self.forward)


def noise_clips(count: int, samples: int, rate: int, seed: int = 0) -> Waveforms:
    """Return decoded normal training clips of one machine type: ``count`` source clips per section, 3 target clips."""
    rng, rows, parts = np.random.default_rng(seed), [], []
    for section, (domain, clips) in itertools.product(SECTIONS, (("source", count), ("target", 3))):
        for number in range(clips):
            parts.append(rng.normal(0, 1000, samples).astype(np.int16))
            name = f"section_{section}_{domain}_train_normal_{number:04d}.wav"
            rows.append(["fan", section, domain, "train", "normal", name, samples])
    clips = pd.DataFrame(rows, columns=["machine", "section", "domain", "split", "label", "clip", "samples"])
    clips["start"] = np.cumsum([0, *clips["samples"][:-1]])
    return Waveforms(clips, np.concatenate(parts), f"noise, {rate} Hz")


def autoencoder_job(settings: params.Settings, clips: Waveforms, compute: Compute) -> Job:
    """Set up the training of the paper's base autoencoder."""
    branch = settings.candidate("autoencoder", "base")
    torch.manual_seed(1)
    log_mel = LogMel(branch.features, settings.data.sample_rate).to(compute.device)
    batches = AutoencoderBatches.load(clips, np.arange(len(clips)), list(SECTIONS), log_mel)
    model = Autoencoder(branch.model, branch.features.n_mels, len(SECTIONS)).to(compute.device)
    model.deviation, model.mean = torch.std_mean(batches.frames, dim=0)
    options = branch.training
    frames = sum(options.crop_frames) // 2
    middle = torch.zeros(options.batch_size, frames, branch.features.n_mels, device=compute.device)
    section = torch.zeros(options.batch_size, dtype=torch.long, device=compute.device)

    whole = autoencoder_train.loss(model, batches, branch)
    return Job(model, whole, lambda: model(middle, section), any_length=True)


def classifier_job(settings: params.Settings, candidate: str, clips: Waveforms, compute: Compute) -> Job:
    """Set up the source training of one of the paper's classifiers."""
    branch = settings.candidate("classifier", candidate)
    torch.manual_seed(1)
    batches = Batches(branch, group_clips(clips), "fan", "00", compute.device)
    model = Classifier(branch, settings.data.sample_rate, (0.0, 0.03), batches.epoch_steps).to(compute.device)
    waveform = torch.randn(branch.batches.batch_size, samples_of(branch), device=compute.device)

    whole = training.Loss(lambda step, generator: batches.source(generator)[:2], model.losses)
    return Job(model, whole, lambda: model(waveform))


@contextlib.contextmanager
def pytorch_defaults() -> Iterator[None]:
    """Run with PyTorch's own settings, as a plain recipe would: TF32 convolutions, no deterministic algorithms."""
    cudnn = torch.backends.cudnn
    deterministic, tf32 = torch.are_deterministic_algorithms_enabled(), cudnn.allow_tf32
    torch.use_deterministic_algorithms(False)
    cudnn.deterministic, cudnn.allow_tf32 = False, True
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.allow_tf32 = deterministic, tf32
        torch.use_deterministic_algorithms(deterministic)


def plain_rate(module: nn.Module, loss: Callable, data: TensorDataset, batch: int, steps: int, device) -> float:
    """Return the steps per second of the plain recipe: eager, float32, a data loader from memory, Adam."""
    module.to(device).train()
    adam = torch.optim.Adam(module.parameters(), lr=1e-4)
    loader = DataLoader(data, batch_size=batch, shuffle=True, drop_last=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    with pytorch_defaults():
        for step in range(steps):
            if step == steps // 4:
                synchronize()
                began = time.perf_counter()
            value = loss(*(part.to(device) for part in next(batches)))
            adam.zero_grad()
            value.backward()
            adam.step()
            value.item()  # as plain recipes do, to print it
        synchronize()
        return (steps - steps // 4) / (time.perf_counter() - began)


def plain_autoencoder_rate(branch: params.Autoencoder, steps: int, device) -> float:
    """Return the steps per second of the plain autoencoder on crops of mean length."""
    frames, mels, batch = sum(branch.training.crop_frames) // 2, branch.features.n_mels, branch.training.batch_size
    model = plain_network(branch.model, mels)
    data = TensorDataset(torch.randn(4 * batch, frames, mels))

    def loss(crops: Tensor) -> Tensor:
        masked = crops * (torch.rand_like(crops) > branch.specaugment.dropout)
        return (model(masked) - crops).abs().mean()

    return plain_rate(model, loss, data, batch, steps, device)


def plain_classifier_rate(branch: params.Classifier, sample_rate: int, steps: int, device) -> float:
    """Return the steps per second of the plain classifier: NCHW, ``torch.stft`` and a product with mel filters."""
    features, batch = branch.features, branch.batches.batch_size
    network = timm.create_model(branch.model.backbone, in_chans=1, num_classes=1)
    window = torch.hann_window(features.n_fft, device=device)
    mel = torch.from_numpy(mel_filters(sample_rate, features.n_fft, features.n_mels)).to(device)
    clips = torch.randint(-3000, 3000, (4 * batch, samples_of(branch)), dtype=torch.int16)
    data = TensorDataset(clips, (torch.arange(len(clips)) % 2).float())

    def loss(waveform: Tensor, label: Tensor) -> Tensor:
        wave = waveform / FULL_SCALE
        spectrum = torch.stft(
            wave, features.n_fft, features.hop_length, window=window, pad_mode="constant", return_complex=True
        )
        image = 10 * torch.log10((mel @ spectrum.abs().square()).clamp(min=1e-10))[:, None]
        logit = network((image - image.mean()) / image.std())[:, 0]
        return nn.functional.binary_cross_entropy_with_logits(logit, label)

    return plain_rate(network, loss, data, batch, steps, device)
