"""Dropout whose masks are cheap to draw on a processor.

PyTorch draws one random number an element, which costs a third of a Conformer's training step on a processor. Here one
64-bit number serves four elements: 16 bits each, so the rate is exact to 2^-16.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def keep(shape: tuple[int, ...], rate: float, generator: torch.Generator | None = None) -> Tensor:
    """A boolean mask on the CPU, true with probability ``1 - rate`` independently for each element.

    Args:
        shape: Shape of the mask.
        rate: Probability of false, 0 to below 1.
        generator: CPU generator to draw from; PyTorch's default one if none.
    """
    count = torch.Size(shape).numel()
    words = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return words.view(torch.int16)[:count].view(shape) >= round(rate * 2**16) - 2**15


class Dropout(nn.Module):
    """As ``torch.nn.Dropout`` (what stays is divided by ``1 - rate``), with cheaper masks on a processor."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.rate)
        return x * keep(tuple(x.shape), self.rate).to(x.dtype).div_(1 - self.rate)
