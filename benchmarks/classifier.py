"""Benchmark a training step of the classifier, from waveform to loss, against plain PyTorch with librosa."""

from pathlib import Path

import librosa
import numpy as np
import timm
import torch
from measure import compare, matrix_rate, operations, precision, step

from asdlib import params
from asdlib.classifier.model import Classifier
from asdlib.compute import resolve_compute

BATCH, RATE = 64, 16_000


def run(folder: Path) -> list[dict]:
    """Compare at the paper's size; the limit is the rate of matrix products in the precision of training."""
    settings = params.Classifier(model={"backbone": "resnet34"}, ddcsad={"weight": 0.0}, origin="extension")
    features, frames = settings.features, settings.images.frames
    compute = resolve_compute(params.Settings(profile="benchmark", title="Noise"))
    waveform = torch.randn(BATCH, (frames - 1) * features.hop_length, generator=torch.Generator().manual_seed(0)) / 10
    label = (torch.arange(BATCH) % 2).float()
    model = Classifier(settings, RATE)
    adam = torch.optim.Adam(model.groups(1e-3, 1e-3), fused=True)
    plain = timm.create_model("resnet34", in_chans=1, num_classes=1)
    plain_adam = torch.optim.Adam(plain.parameters(), lr=1e-3)

    def forward() -> torch.Tensor:
        with compute.autocast():
            return model.losses(waveform, label)["loss"]

    def reference() -> torch.Tensor:
        sizes = {"sr": RATE, "n_fft": features.n_fft, "hop_length": features.hop_length, "n_mels": features.n_mels}
        powers = [librosa.feature.melspectrogram(y=clip, **sizes) for clip in waveform.numpy()]
        image = torch.from_numpy(np.stack([librosa.power_to_db(power) for power in powers]))[:, None]
        logit = plain((image - image.mean()) / image.std())[:, 0]
        return torch.nn.functional.binary_cross_entropy_with_logits(logit, label)

    return [
        compare(
            f"classifier step, ResNet34, {features.n_mels} x {frames}, batch {BATCH} ({compute.precision})",
            step(forward, adam),
            step(reference, plain_adam),
            by="plain PyTorch, float32, NCHW, librosa",
            goal=4,
            limit=lambda: matrix_rate(precision(compute)),
            amount=operations(lambda: forward().backward()),
        )
    ]
