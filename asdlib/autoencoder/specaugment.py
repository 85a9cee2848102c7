"""Apply SpecAugment and dropout to the input, in training and at inference (Sec. 2.1; Park et al., 2019).

In training the masks are a pure function of (seed, step), at inference of (seed, clip, copy), so that a clip gets the
same masks whether it is scored alone or with others. Masked values are 0 after standardisation, which is the band's
mean.
"""

import torch
from torch import Tensor

from asdlib import training
from asdlib.params import SpecAugment

CPU = torch.device("cpu")


def stripes(batch: int, length: int, count: int, width: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Draw ``count`` random stripes per row, ``(batch, length)`` boolean, true inside; they may overlap.

    A stripe's width is uniform over the given range (at most the length of the axis), its position uniform over all
    positions that fit.
    """
    if count == 0:
        return torch.zeros(batch, length, dtype=torch.bool)
    widths = torch.randint(width[0], width[1] + 1, (batch, count), generator=generator).clamp_(max=length)
    starts = (torch.rand(batch, count, generator=generator, dtype=torch.float64) * (length - widths + 1)).long()
    # +1 where a stripe begins and -1 after its end, so that the running sum counts the stripes at each position.
    edges = torch.zeros(batch, length + 1, dtype=torch.int32)
    edges.scatter_add_(1, starts, torch.ones(1, dtype=torch.int32).expand(batch, count))
    edges.scatter_add_(1, starts + widths, torch.full((1,), -1, dtype=torch.int32).expand(batch, count))
    return edges.cumsum(1)[:, :-1] > 0


def gains(
    settings: SpecAugment, batch: int, frames: int, mels: int, generator: torch.Generator, device: torch.device = CPU
) -> Tensor:
    """Draw factors for a standardised input, ``(batch, frames, mels)``: 0 if masked, else ``1 / (1 - dropout)``.

    Stripes are drawn with the CPU ``generator``. Dropout needs many random numbers, so a GPU draws them itself, with
    a generator that the CPU's seeds.
    """
    count = round(settings.time_masks * frames / settings.clip_frames)
    time = stripes(batch, frames, count, settings.time_width, generator)
    frequency = stripes(batch, mels, settings.frequency_masks, settings.frequency_width, generator)
    time, frequency = (training.to_device(mask, device) for mask in (time, frequency))
    kept = ~(time[:, :, None] | frequency[:, None, :])
    if settings.dropout:
        if device.type != "cpu":
            generator = torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=generator)))
        kept &= torch.rand(kept.shape, generator=generator, device=device) >= settings.dropout
    return kept.float().div_(1 - settings.dropout)
