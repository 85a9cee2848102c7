"""Define the sequence-level, section-aware autoencoder (Sec. 2.1).

All values, including reconstruction errors, are standardised log-mel: the dB of a band minus its mean over the
machine's training clips, divided by its standard deviation. Errors times ``deviation`` are in dB.
"""

import torch
from torch import Tensor, nn

from asdlib.autoencoder.conformer import Conformer
from asdlib.params import AutoencoderModel

_QUIET = 1e-3  # dB; minimum deviation, so that a band that never changes is not divided by almost zero


class LogMelNetwork(nn.Module):
    """What networks on standardised log-mel share: the statistics of the mel bands, and a code for each section.

    Args:
        mels: Mel bands.
        sections: Number of sections of the machine type.
    """

    def __init__(self, mels: int, sections: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(mels))  # dB
        self.register_buffer("deviation", torch.ones(mels))  # dB
        self.register_buffer("codes", torch.linspace(-1, 1, sections) if sections > 1 else torch.zeros(1))

    def set_statistics(self, frames: Tensor) -> None:
        """Set mean and standard deviation of each band to those of log-mel in dB, ``(frames, mels)``."""
        self.deviation, self.mean = torch.std_mean(frames, dim=0)
        self.deviation.clamp_(min=_QUIET)

    def standardise(self, decibel: Tensor) -> Tensor:
        """Scale log-mel in dB, ``(..., mels)``, to mean 0 and standard deviation 1 per band."""
        return (decibel - self.mean) / self.deviation

    def decibel(self, features: Tensor) -> Tensor:
        """Convert standardised values back to dB; the inverse of :meth:`standardise`."""
        return features * self.deviation + self.mean

    def with_code(self, features: Tensor, section: Tensor) -> Tensor:
        """Append the code of each clip's section to ``features``, ``(batch, frames, mels)``, as the last column."""
        code = self.codes[section][:, None, None].expand(-1, features.shape[1], 1)
        return torch.cat([features, code.to(features.dtype)], -1)


class Autoencoder(LogMelNetwork):
    """Conformer encoder, a bottleneck in every frame, Conformer decoder.

    The section enters as a constant last column of the input and as a learned embedding at the bottleneck,
    concatenated with the latent or added to it; both can be turned off (``settings``). With ``section_regression`` the
    output also has a last column, which regresses the section.

    Args:
        settings: Sizes and section options.
        mels: Mel bands.
        sections: Number of sections of the machine.
    """

    def __init__(self, settings: AutoencoderModel, mels: int, sections: int):
        super().__init__(mels, sections)
        channels, width = settings.channels, settings.latent or settings.channels
        self.settings = settings
        self.inward = nn.Linear(mels + settings.section_input, channels)
        self.encoder = Conformer(settings)
        self.bottleneck = nn.Sequential(nn.Linear(channels, width), nn.ReLU()) if settings.latent else nn.Identity()
        self.embedding = nn.Embedding(sections, width) if settings.section_embedding != "none" else None
        joined = 2 * width if settings.section_embedding == "concatenate" else width
        self.widen = nn.Linear(joined, channels)
        self.decoder = Conformer(settings)
        self.outward = nn.Linear(channels, mels + settings.section_regression)

    def forward(self, features: Tensor, section: Tensor, valid: Tensor | None = None) -> Tensor:
        """Reconstruct standardised log-mel.

        Args:
            features: ``(batch, frames, mels)``, standardised, masked or not.
            section: ``(batch,)``, index of each clip's section.
            valid: ``(batch, frames)``, false in padding; ``None`` without padding.

        Returns:
            ``(batch, frames, mels)``, with one more column if ``section_regression`` is set.
        """
        x = self.with_code(features, section) if self.settings.section_input else features
        x = self.bottleneck(self.encoder(self.inward(x), valid))
        if self.embedding is not None:
            embedding = self.embedding(section)[:, None, :].expand(-1, x.shape[1], -1).to(x.dtype)
            concatenate = self.settings.section_embedding == "concatenate"
            x = torch.cat([x, embedding], -1) if concatenate else x + embedding
        return self.outward(self.decoder(self.widen(x), valid))

    def target(self, features: Tensor, section: Tensor) -> Tensor:
        """Return the target of :meth:`forward`: unmasked ``features``, and the section's code if it is regressed."""
        return self.with_code(features, section) if self.settings.section_regression else features
