"""Implement the Conformer block (Gulati et al., 2020; Sec. 2.1), optimised for CPUs as well as GPUs.

Differences from the reference block: no positional encoding in the attention (a machine's sound has no beginning), and
no dropout on the attention weights or inside the feed-forward modules, only on the four residual branches. Attention
dropout would disable the fused attention, and drawing wide masks is slow.

``valid`` is a boolean mask ``(batch, frames)``, false in padded frames, or ``None`` if there is no padding. The values
in padded frames do not influence valid frames.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FeedForward(nn.Sequential):
    """Pre-norm feed-forward module with Swish. Shape: ``(batch, frames, channels)`` in and out."""

    def __init__(self, channels: int, expansion: int):
        super().__init__(
            nn.LayerNorm(channels),
            nn.Linear(channels, expansion * channels),
            nn.SiLU(),
            nn.Linear(expansion * channels, channels),
        )


class Attention(nn.Module):
    """Pre-norm multi-head self-attention over frames. Shape: ``(batch, frames, channels)`` in and out."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.inward = nn.Linear(channels, 3 * channels)
        self.outward = nn.Linear(channels, channels)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        batch, frames, channels = x.shape
        mask = None if valid is None else valid[:, None, None, :]
        parts = self.inward(self.norm(x)).view(batch, frames, 3, self.heads, channels // self.heads)
        with torch.autocast(x.device.type, enabled=False):
            low = parts.device.type == "cpu" and parts.dtype == torch.bfloat16
            whole = low and self.training and valid is None
            if low and not whole:
                parts = parts.float()  # the fused attention is slower in bfloat16 on the CPU
            query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (batch, heads, frames, channels / heads)
            if whole:
                # Crops are short, so computing all weights at once needs little memory, and forward and backward pass
                # together take 0.55 of the time of the fused attention in float32.
                scale = (channels // self.heads) ** -0.5
                mixed = torch.softmax((query * scale) @ key.transpose(-1, -2), dim=-1) @ value
            else:
                mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.outward(mixed.transpose(1, 2).reshape(batch, frames, channels).to(x.dtype))


class Convolution(nn.Module):
    """Pre-norm convolution module: pointwise, GLU, depthwise, batch norm, Swish, pointwise.

    Shape: ``(batch, frames, channels)`` in and out. Padded frames enter the depthwise convolution as zeros, like the
    positions beyond the ends of a sequence, and are left out of the batch norm's statistics.
    """

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.inward = nn.Linear(channels, 2 * channels)
        self.depthwise = nn.Conv2d(channels, channels, (1, kernel), padding=(0, kernel // 2), groups=channels)
        self.batch_norm = nn.BatchNorm1d(channels)
        self.outward = nn.Linear(channels, channels)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        x = F.glu(self.inward(self.norm(x)), dim=-1)
        if valid is not None:
            x = x.masked_fill(~valid[..., None], 0.0)
        # Treated as an image of height 1 in channels-last order, the sequence needs no copy, and the convolution is 5
        # times faster on CPUs than with Conv1d.
        x = self.depthwise(x.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        if valid is None or not self.training:
            x = self.batch_norm(x.flatten(0, 1)).view_as(x)
        else:
            x = masked_batch_norm(x, valid, self.batch_norm)
        return self.outward(F.silu(x))


def masked_batch_norm(x: Tensor, valid: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    """Apply batch norm as in training, with statistics of the valid frames only, in the precision of ``norm``.

    ``norm(x[valid])`` would be simpler, but would have to wait until a GPU knows how many frames are valid.
    """
    values, weight = x.to(norm.running_mean.dtype), valid[..., None].to(norm.running_mean.dtype)
    count = weight.sum()
    mean = (values * weight).sum((0, 1)) / count
    centred = values - mean
    variance = (centred.square() * weight).sum((0, 1)) / count
    with torch.no_grad():
        norm.num_batches_tracked += 1
        # Without a momentum, PyTorch averages over all batches.
        share = 1 / norm.num_batches_tracked if norm.momentum is None else norm.momentum
        norm.running_mean.lerp_(mean, share)
        norm.running_var.lerp_(variance * count / (count - 1), share)
    return (centred * (variance + norm.eps).rsqrt() * norm.weight + norm.bias).to(x.dtype)


class ConformerBlock(nn.Module):
    """Half feed-forward, self-attention, convolution, half feed-forward, layer norm.

    Shape: ``(batch, frames, channels)`` in and out; ``valid`` as described at the top of the module.
    """

    def __init__(self, channels: int, heads: int, kernel: int, expansion: int, dropout: float):
        super().__init__()
        self.first = FeedForward(channels, expansion)
        self.attention = Attention(channels, heads)
        self.convolution = Convolution(channels, kernel)
        self.second = FeedForward(channels, expansion)
        self.norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        x = x.add(self.dropout(self.first(x)), alpha=0.5)
        x = x + self.dropout(self.attention(x, valid))
        x = x + self.dropout(self.convolution(x, valid))
        x = x.add(self.dropout(self.second(x)), alpha=0.5)
        return self.norm(x)


class Conformer(nn.ModuleList):
    """Several Conformer blocks, one after the other; arguments and shapes as those of a block.

    Args:
        settings: :class:`asdlib.params.autoencoder.ConformerModel`.
    """

    def __init__(self, settings):
        sizes = settings.channels, settings.heads, settings.kernel, settings.expansion, settings.dropout
        super().__init__(ConformerBlock(*sizes) for _ in range(settings.blocks))

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        for block in self:
            x = block(x, valid)
        return x
