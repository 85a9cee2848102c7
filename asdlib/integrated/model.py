"""Define one network with the tasks of both branches: it reconstructs (Sec. 2.1) and it embeds (Sec. 2.2).

A Conformer encoder is shared by both heads. It does not know the section, which would make telling sections apart
trivial. The reconstruction head is the autoencoder's bottleneck and decoder, and is told the section that the clip
claims to belong to. The embedding head takes the mean and the maximum over time of the encoder's output.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from asdlib.autoencoder.conformer import Conformer
from asdlib.autoencoder.model import LogMelNetwork
from asdlib.params.integrated import IntegratedModel


class Output(NamedTuple):
    """Output of both heads."""

    reconstruction: Tensor
    """standardised log-mel and the section's code, ``(batch, frames, mels + 1)``"""
    embedding: Tensor
    """``(batch, embedding)``"""
    logit: Tensor
    """of the class normal, ``(batch,)``"""


class Integrated(LogMelNetwork):
    """Shared Conformer encoder, reconstruction head and embedding head.

    Args:
        settings: Sizes.
        mels: Mel bands.
        sections: Number of sections of the machine type.
    """

    def __init__(self, settings: IntegratedModel, mels: int, sections: int):
        super().__init__(mels, sections)
        channels, latent = settings.channels, settings.latent
        self.inward, self.encoder = nn.Linear(mels, channels), Conformer(settings)
        self.bottleneck = nn.Sequential(nn.Linear(channels, latent), nn.ReLU())
        self.section = nn.Embedding(sections, latent)
        self.widen, self.decoder = nn.Linear(2 * latent, channels), Conformer(settings)
        self.outward = nn.Linear(channels, mels + 1)
        self.project = nn.Sequential(
            nn.Linear(2 * channels, 2 * channels),
            nn.BatchNorm1d(2 * channels),
            nn.PReLU(),
            nn.Linear(2 * channels, settings.embedding),
        )
        self.classify = nn.Linear(settings.embedding, 1)

    def shared(self) -> list[nn.Parameter]:
        """Return the parameters of the encoder, on which the losses are balanced."""
        return [*self.inward.parameters(), *self.encoder.parameters()]

    def forward(self, features: Tensor, section: Tensor, valid: Tensor | None = None) -> Output:
        """Encode clips once, reconstruct the first ``len(section)`` of them, and embed all.

        Args:
            features: ``(batch, frames, mels)``, standardised, masked or not.
            section: Index of the section that each clip to reconstruct claims to belong to, at most ``(batch,)``.
            valid: ``(batch, frames)``, false in padding; ``None`` without padding.
        """
        x = self.encoder(self.inward(features), valid)
        embedding = self._embed(x, valid)
        count = len(section)
        own = None if valid is None else valid[:count]
        x = self.bottleneck(x[:count])
        x = self.widen(torch.cat([x, self.section(section)[:, None].expand_as(x).to(x.dtype)], -1))
        reconstruction = self.outward(self.decoder(x, own))
        return Output(reconstruction, embedding, self.classify(embedding).squeeze(1))

    def target(self, features: Tensor, section: Tensor) -> Tensor:
        """Return what the reconstruction should be: the unmasked ``features`` and the section's code."""
        return self.with_code(features, section)

    def _embed(self, x: Tensor, valid: Tensor | None) -> Tensor:
        if valid is None:
            mean, maximum = x.mean(1), x.amax(1)
        else:
            inside = valid[..., None]
            mean = x.masked_fill(~inside, 0).sum(1) / inside.sum(1)
            maximum = x.masked_fill(~inside, -torch.inf).amax(1)
        return self.project(torch.cat([mean, maximum], -1))
