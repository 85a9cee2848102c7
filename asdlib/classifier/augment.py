"""Augment waveform batches by Mixup, Gaussian noise and volume changes (Sec. 2.2).

The random values are passed as arguments, one per clip, so that the caller controls reproducibility.
"""

import torch
from torch import Tensor

from asdlib.training import to_device


def volume(waveform: Tensor, decibels: Tensor) -> Tensor:
    """Change the level of each clip.

    Args:
        waveform: Shape (batch, samples).
        decibels: Change of each clip in dB, shape (batch,); 0 leaves a clip unchanged.
    """
    return waveform * (10 ** (decibels / 20)).unsqueeze(1)


def noise(waveform: Tensor, snr: Tensor, generator: torch.Generator) -> Tensor:
    """Add white Gaussian noise to each clip.

    Args:
        waveform: Shape (batch, samples), on the generator's device.
        snr: Power of the clip over that of its noise in dB, shape (batch,); infinity adds none. It is on the CPU,
            because reading from a GPU which clips are chosen would have to wait for the GPU.
        generator: Generator for the noise.
    """
    chosen = torch.isfinite(snr).nonzero().squeeze(1)
    share = to_device(10 ** (-snr[chosen] / 10), waveform.device)
    chosen = to_device(chosen, waveform.device)
    clip = waveform[chosen]
    deviation = (clip.square().mean(1) * share).sqrt().unsqueeze(1)
    drawn = torch.randn(clip.shape, generator=generator, device=clip.device, dtype=clip.dtype)
    return waveform.index_copy(0, chosen, clip + deviation * drawn)


def mixup(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Mix each row as ``share * first + (1 - share) * second`` (Zhang et al., 2018).

    Args:
        first: Waveforms (batch, samples) or labels (batch,).
        second: Their partners, of the same shape.
        share: Weight of ``first`` in each row, shape (batch,), 0 to 1; 1 leaves a row unchanged.

    >>> mixup(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0]), torch.tensor([0.75, 0.5]))
    tensor([0.7500, 0.0000])
    """
    share = share.reshape(-1, *[1] * (first.ndim - 1))
    return share * first + (1 - share) * second
