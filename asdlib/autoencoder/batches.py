"""Draw mini-batches of random crops from the log-mel spectrograms of training clips (Sec. 2.1)."""

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from asdlib.data.audio import Waveforms
from asdlib.features import LogMel, interior, log_mels
from asdlib.training import to_device

_NEPERS = math.log(10) / 10  # natural logarithm of power per dB


class Batches:
    """Log-mel frames (dB) of the training clips in one tensor on the device, from which random crops are drawn.

    Args:
        frames: Frames of all clips, concatenated, ``(frames, mels)``.
        lengths: Number of frames of each clip.
        section: Index of each clip's section.
        target: Whether each clip belongs to the target domain.
        shifted: Number of shifted clips (:mod:`asdlib.shift.shifted_clips`), which come last.
    """

    def __init__(self, frames: Tensor, lengths: Tensor, section: Tensor, target: Tensor, shifted: int = 0):
        self.frames, self.lengths, self.section, self.target = frames, lengths, section, target
        self.starts = lengths.cumsum(0) - lengths
        self.recorded = len(lengths) - shifted

    @classmethod
    def load(
        cls,
        waveforms: Waveforms,
        rows: np.ndarray,
        sections: list[str],
        log_mel: LogMel,
        shifted: tuple[Waveforms, np.ndarray] | None = None,
    ) -> "Batches":
        """Compute the log-mel spectrograms of the clips ``rows``, and of shifted clips (with their rows)."""
        both = [(waveforms, rows), shifted] if shifted else [(waveforms, rows)]
        parts = [interior(part, log_mel) for clips, some in both for part in log_mels(clips, some, log_mel)]
        table = pd.concat([clips.clips.iloc[some] for clips, some in both])
        section = torch.tensor([sections.index(name) for name in table["section"]])
        target = torch.from_numpy(table["domain"].eq("target").to_numpy(copy=True))
        lengths = torch.tensor([len(part) for part in parts])
        return cls(torch.cat(parts), lengths, section, target, len(shifted[1]) if shifted else 0)

    def draw(
        self, size: int, crop_frames: tuple[int, int], pseudo_target: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Draw a batch of random crops of one random length; shorter clips are taken whole and padded.

        Clips are drawn uniformly with replacement. With three target clips among 200, a batch of 64 contains one of
        them on average.

        Args:
            size: Number of crops.
            crop_frames: Range of the crops' length, from and to.
            pseudo_target: Share of crops that are taken from shifted clips if there are any, and otherwise made by
                :meth:`mix`.
            generator: CPU generator for everything random.

        Returns:
            Log-mel in dB, ``(size, frames, mels)``; section indices ``(size,)``; and a mask of the frames that are not
            padding, ``(size, frames)``, or None without padding.
        """
        chosen = torch.randint(self.recorded, (size,), generator=generator)
        pseudo, shifted = round(pseudo_target * size), len(self.lengths) - self.recorded
        if pseudo and shifted:
            chosen[:pseudo] = self.recorded + torch.randint(shifted, (pseudo,), generator=generator)
        length = int(torch.randint(crop_frames[0], crop_frames[1] + 1, (1,), generator=generator))
        length = min(length, int(self.lengths.max()))
        decibel, section = self._crop(chosen, length, generator), self.section[chosen]
        if pseudo and not shifted:
            decibel = torch.cat([self.mix(decibel[:pseudo], section[:pseudo], generator), decibel[pseudo:]])
        valid = torch.arange(length) < self.lengths[chosen][:, None]
        padding = None if valid.all() else to_device(valid, decibel.device)
        return decibel, to_device(section, decibel.device), padding

    def mix(self, decibel: Tensor, section: Tensor, generator: torch.Generator) -> Tensor:
        """Make pseudo-target crops by averaging the power of each crop with that of a target clip of its section.

        The target clip is random, and its weight uniform in 0 to 1. Crops of a section without target clips are left
        unchanged. The paper does this for its classifier (Sec. 2.2, Mixup of waveforms), not for its autoencoder.
        """
        candidates = self.target & (self.section == section[:, None])  # (crops, clips)
        weight = torch.rand(len(section), generator=generator).clamp(1e-6, 1 - 1e-6)
        lottery = torch.rand(candidates.shape, generator=generator).masked_fill(~candidates, -1.0)
        other = self._crop(lottery.argmax(1), decibel.shape[1], generator)
        weight = to_device(torch.where(candidates.any(1), weight, 0.0), decibel.device)[:, None, None]
        return mix_power(decibel, other, weight)

    def _crop(self, clips: Tensor, length: int, generator: torch.Generator) -> Tensor:
        """Crop each of ``clips`` at random, ``(clips, length, mels)``; the last frame of shorter clips is repeated."""
        room = (self.lengths[clips] - length + 1).clamp(min=1)
        offset = (torch.rand(len(clips), generator=generator, dtype=torch.float64) * room).long()
        within = torch.minimum(offset[:, None] + torch.arange(length), self.lengths[clips][:, None] - 1)
        index = self.starts[clips][:, None] + within
        return self.frames[to_device(index, self.frames.device)]


def mix_power(decibel: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """Average the power of two spectra in dB; ``weight``, in 0 to 1, is that of ``other``."""
    return torch.logaddexp(decibel * _NEPERS + torch.log1p(-weight), other * _NEPERS + weight.log()) / _NEPERS
