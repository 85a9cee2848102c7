"""Apply dropout with masks that are cheap to draw on a CPU.

PyTorch draws one random number per element, which takes a third of a Conformer's training step on a CPU. Here one
64-bit number serves four elements with 16 bits each, so the rate is exact to 2^-16.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asdlib import training

CPU = torch.device("cpu")


def keep(
    shape: tuple[int, ...], rate: float, generator: torch.Generator | None = None, device: torch.device = CPU
) -> Tensor:
    """Draw a boolean mask, true with probability ``1 - rate`` independently for each element.

    Args:
        shape: Shape of the mask.
        rate: Probability of false, 0 to below 1.
        generator: CPU generator to draw from, whatever the device; PyTorch's default generator if None.
        device: Device of the mask.
    """
    return training.to_device(_sixteen_bits(shape, generator), device) >= _least(rate)


def _sixteen_bits(shape: tuple[int, ...], generator: torch.Generator | None = None) -> Tensor:
    """Draw uniformly distributed int16 values."""
    count = torch.Size(shape).numel()
    words = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return words.view(torch.int16)[:count].view(shape)


def _least(rate: float) -> int:
    """Return the smallest int16 value whose element is kept."""
    return round(rate * 2**16) - 2**15


class Dropout(nn.Module):
    """Like ``torch.nn.Dropout`` (kept values are divided by ``1 - rate``), with masks that are cheaper on a CPU."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        if x.device.type != "cpu" or torch.compiler.is_compiling():  # the compiler cannot reinterpret bits as numbers
            return F.dropout(x, self.rate)
        bits = _sixteen_bits(tuple(x.shape))
        # 0 and 1 as int16: computing the factors from a boolean mask would take ten times as long.
        kept = torch.ge(bits, _least(self.rate), out=torch.empty_like(bits))
        if x.dtype != torch.bfloat16:
            return x * kept.to(x.dtype).div_(1 - self.rate)
        factor = torch.tensor(1.0, dtype=x.dtype) / (1 - self.rate)
        return x * kept.mul_(factor.view(torch.int16)).view(x.dtype)
