"""The binary classifier of Sec. 2.2, from waveform to embedding and logit, with its losses and centroids."""

import difflib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from asdlib import paths, training
from asdlib.classifier import ClassifierError
from asdlib.classifier.arcface import ArcFace
from asdlib.classifier.ddcsad import Ddcsad
from asdlib.data.wav import FULL_SCALE
from asdlib.features import LogMel

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="IProgress not found")  # timm's progress bars, which nobody will see
    import timm


class Output(NamedTuple):
    """What the network says of each window of a batch."""

    embedding: Tensor
    """time-frequency average of the backbone's output, float32, shape (batch, D)"""
    logit: Tensor
    """log-odds of normal, float32, shape (batch,); its sigmoid is the posterior"""


class Classifier(nn.Module):
    """Waveform, log-mel image, timm backbone, embedding; then dropout, ReLU and one fully connected layer.

    The waveform is normalised by one mean and deviation, those of the positive machine type; the image as a whole is
    centred and scaled by batch statistics, since bfloat16 and pretrained weights both want inputs near 0.

    Args:
        settings: :class:`asdlib.params.Classifier`.
        sample_rate: In Hz.
        normalisation: Mean and standard deviation of the positive machine type's waveforms, in -1 to 1.
        epoch_steps: Steps of an epoch, for centroids that change once an epoch.

    Shape:
        input ``(batch, samples)`` in -1 to 1; output :class:`Output`.

    Raises:
        ClassifierError: Unknown backbone, or weights that cannot be had.
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
        """Log-mel in dB of the normalised waveform, shape (batch, 1, mels, frames)."""
        log_mel = self.log_mel((waveform - self.mean) / self.deviation)  # (batch, frames, mels)
        return log_mel.transpose(1, 2).unsqueeze(1)

    def forward(self, waveform: Tensor) -> Output:
        image = self.image_norm(self.image(waveform)).contiguous(memory_format=torch.channels_last)
        features = self.backbone.forward_features(image)
        if features.ndim != 4 or features.shape[1] != self.backbone.num_features:
            raise ClassifierError(
                f"classifier.model.backbone: its output has shape {tuple(features.shape)}; expected a convolutional "
                f"network's (batch, {self.backbone.num_features}, height, width); take another timm model"
            )
        embedding = features.float().mean((2, 3))
        hidden = F.relu(self.dropout(embedding))
        with torch.autocast(hidden.device.type, enabled=False):  # logits tell clips apart far beyond bfloat16's steps
            logit = self.fully_connected(hidden).squeeze(1)
        return Output(embedding, logit)

    def losses(self, waveform: Tensor, label: Tensor) -> dict[str, Tensor]:
        """The loss of a training batch and its parts; the centroids follow the batch.

        Args:
            waveform: Shape (batch, samples).
            label: 1 normal, 0 outlier, between them under Mixup; shape (batch,).
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
        """Parameter groups for the optimiser: the convolutions, then the fully connected layer (and ArcFace)."""
        head = [*self.fully_connected.parameters(), *(self.arcface.parameters() if self.arcface is not None else [])]
        return [{"params": list(self.backbone.parameters()), "lr": backbone_rate}, {"params": head, "lr": head_rate}]


def backbone(name: str, pretrained: bool | str) -> nn.Module:
    """A timm network with one input channel and no classifier, in channels-last layout.

    Args:
        name: Of a timm model.
        pretrained: False for random weights, true for those that timm downloads, or a local safetensors file.

    Raises:
        ClassifierError: No such model; weights that are not there, cannot be reached or do not fit.
    """
    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "timm.list_models() lists all"
        raise ClassifierError(f"classifier.model.backbone: timm has no model {name!r}; {hint}")
    options: dict = {"pretrained": bool(pretrained)}
    if isinstance(pretrained, str):
        file = paths.home() / pretrained
        if file.suffix != ".safetensors" or not file.is_file():
            found = "which is no safetensors file" if file.is_file() else "but there is no such file"
            raise ClassifierError(
                f"classifier.model.pretrained: {file} was asked for, {found}; give false, true or a safetensors file"
            )
        options["pretrained_cfg_overlay"] = {"file": str(file)}
    try:
        return timm.create_model(name, in_chans=1, num_classes=0, **options)
    except Exception as error:
        if not pretrained:
            raise
        reason = " ".join(str(error).split())[:300]
        remedy = "put them into a local safetensors file and name it here" if pretrained is True else "check the file"
        raise ClassifierError(
            f"classifier.model.pretrained: the weights of {name} cannot be had ({type(error).__name__}: {reason}); "
            f"{remedy}, or set false"
        ) from None


@dataclass(frozen=True)
class Runner:
    """A network as a function of int16 windows, shape (windows, samples), to logits and embeddings in float64."""

    network: Classifier
    compute: training.Compute

    @torch.inference_mode()
    def __call__(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        waveform = torch.from_numpy(windows).to(self.compute.device).float() / FULL_SCALE
        with self.compute.autocast():
            output = self.network(waveform)
        return output.logit.double().cpu().numpy(), output.embedding.double().cpu().numpy()


def parameters(model: nn.Module) -> int:
    """Number of learned values."""
    return sum(value.numel() for value in model.parameters())


def load(path: Path, settings, sample_rate: int) -> Classifier:
    """The classifier that a safetensors file holds, in evaluation mode.

    Args:
        path: Written by :func:`asdlib.classifier.train.fit`.
        settings: :class:`asdlib.params.Classifier` that it was trained with.
        sample_rate: In Hz.
    """
    without_weights = settings.model.model_copy(update={"pretrained": False})  # they come from the file
    model = Classifier(settings.model_copy(update={"model": without_weights}), sample_rate)
    model.load_state_dict(load_file(path))
    return model.eval()
