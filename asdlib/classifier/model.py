"""Define the binary classifier of Sec. 2.2, from waveform to embedding and logit, with its losses and centroids."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from asdlib import params
from asdlib.classifier.arcface import ArcFace
from asdlib.classifier.ddcsad import Ddcsad
from asdlib.classifier.feature_extraction import backbone
from asdlib.classifier.waveform_normalisation import normalise_waveform
from asdlib.classifier.window_outputs import Outputs, compute_outputs
from asdlib.compute import Compute
from asdlib.errors import ModelError
from asdlib.features import LogMel
from asdlib.units import FULL_SCALE


class Output(NamedTuple):
    """Output of the network for each window of a batch."""

    embedding: Tensor
    """time-frequency average of the backbone's output, float32, shape (batch, D)"""
    logit: Tensor
    """log-odds of normal, float32, shape (batch,); its sigmoid is the posterior"""


class Classifier(nn.Module):
    """Waveform, log-mel image, timm backbone, embedding; then dropout, ReLU and one fully connected layer.

    The waveform is normalised by the mean and standard deviation of the positive machine type. The image as a whole is
    centred and scaled by batch statistics, since both bfloat16 and pretrained weights work best with inputs near 0.

    Args:
        settings: :class:`asdlib.params.classifier.Classifier`.
        sample_rate: Sampling rate in Hz.
        normalisation: Mean and standard deviation of the positive machine type's waveforms, in -1 to 1.
        epoch_steps: Steps per epoch, for centroids that change once per epoch.

    Shape:
        input ``(batch, samples)`` in -1 to 1; output :class:`Output`.

    Raises:
        ModelError: The backbone is unknown, or its weights are unavailable.
    """

    def __init__(self, settings, sample_rate: int, normalisation: tuple[float, float] = (0.0, 1.0), epoch_steps=1):
        super().__init__()
        self.register_buffer("mean", torch.tensor(float(normalisation[0])))
        self.register_buffer("deviation", torch.tensor(float(normalisation[1])))
        self.log_mel = LogMel(settings.features, sample_rate)
        self.image_norm = nn.BatchNorm2d(1, affine=False)
        self.backbone = backbone(settings.model.backbone, settings.model.pretrained)
        self.dropout = nn.Dropout(settings.model.dropout)
        self.fully_connected = nn.Linear(self.backbone.num_features, 1)
        self.ddcsad = Ddcsad(self.backbone.num_features, settings.ddcsad, epoch_steps)
        self.uses_ddcsad = settings.ddcsad.weight != 0
        self.arcface = ArcFace(self.backbone.num_features, settings.arcface) if settings.arcface.weight else None
        self.arcface_weight = settings.arcface.weight
        self.to(memory_format=torch.channels_last)

    def image(self, waveform: Tensor) -> Tensor:
        """Compute log-mel in dB of the normalised waveform, shape (batch, 1, mels, frames)."""
        log_mel = self.log_mel(normalise_waveform(waveform, self.mean, self.deviation))  # (batch, frames, mels)
        return log_mel.transpose(1, 2).unsqueeze(1)

    def forward(self, waveform: Tensor) -> Output:
        image = self.image_norm(self.image(waveform)).contiguous(memory_format=torch.channels_last)
        features = self.backbone.forward_features(image)
        if features.ndim != 4 or features.shape[1] != self.backbone.num_features:
            raise ModelError(
                f"classifier.model.backbone: its output has shape {tuple(features.shape)}; expected a convolutional "
                f"network's (batch, {self.backbone.num_features}, height, width); choose another timm model"
            )
        embedding = features.to(self.fully_connected.weight.dtype).mean((2, 3))
        hidden = F.relu(self.dropout(embedding))
        with torch.autocast(hidden.device.type, enabled=False):  # logits need more resolution than bfloat16 has
            logit = self.fully_connected(hidden).squeeze(1)
        return Output(embedding, logit)

    def losses(self, waveform: Tensor, label: Tensor) -> dict[str, Tensor]:
        """Compute the loss of a training batch and its parts, and update the centroids.

        Args:
            waveform: Shape (batch, samples).
            label: 1 normal, 0 outlier, in between with Mixup; shape (batch,).
        """
        embedding, logit = self(waveform)
        parts = {"bce": F.binary_cross_entropy_with_logits(logit, label)}
        loss = parts["bce"]
        if self.uses_ddcsad:
            parts["ddcsad"] = self.ddcsad(embedding, label)
            loss = loss + self.ddcsad.weight * parts["ddcsad"]
        if self.arcface is not None:
            parts["arcface"] = self.arcface(embedding, label)
            loss = loss + self.arcface_weight * parts["arcface"]
        self.ddcsad.observe(embedding.detach(), label)
        return {"loss": loss, **parts}

    def groups(self, backbone_rate: float, head_rate: float) -> list[dict]:
        """Return the optimiser's parameter groups: convolutions, then the fully connected layer (and ArcFace)."""
        head = [*self.fully_connected.parameters(), *(self.arcface.parameters() if self.arcface is not None else [])]
        return [{"params": list(self.backbone.parameters()), "lr": backbone_rate}, {"params": head, "lr": head_rate}]


@dataclass(frozen=True)
class TrainedClassifier:
    """A trained classifier of one section and stage, which maps waveforms to logits and embeddings."""

    settings: params.Classifier
    network: Classifier
    compute: Compute

    @classmethod
    def load(cls, file: Path, settings: params.Classifier, sample_rate: int, compute: Compute):
        """Load a classifier from a safetensors file that :func:`asdlib.classifier.train.fit` wrote.

        Args:
            file: The file.
            settings: Settings with which it was trained.
            sample_rate: Sampling rate in Hz.
            compute: Device and precision to compute with.
        """
        without_weights = settings.model.model_copy(update={"pretrained": False})  # they come from the file
        network = Classifier(settings.model_copy(update={"model": without_weights}), sample_rate)
        network.load_state_dict(load_file(file))
        return cls(settings, network.eval().to(compute.device), compute)

    @property
    def centroids(self) -> np.ndarray:
        """Centroids of the loss, float64, (2, D), in the order of :mod:`asdlib.classifier.ddcsad`."""
        return self.network.ddcsad.centroids.double().cpu().numpy()

    def outputs(self, clips: Iterable[np.ndarray]) -> list[Outputs]:
        """Return logits and embeddings of each clip's windows (:func:`.compute_outputs`)."""
        return compute_outputs(self, clips, self.settings)

    @torch.inference_mode()
    def __call__(self, windows: np.ndarray) -> Outputs:
        """Map windows in units of 1/32768, shape (windows, samples), to logits and embeddings in float64."""
        waveform = torch.from_numpy(windows).to(self.compute.device).float() / FULL_SCALE
        with self.compute.autocast():
            output = self.network(waveform)
        return output.logit.double().cpu().numpy(), output.embedding.double().cpu().numpy()
