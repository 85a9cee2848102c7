"""Benchmark a training step of the Conformer autoencoder against a plain implementation of the same network."""

from pathlib import Path

import torch
from measure import compare, matrix_rate, operations, precision, step
from torch import nn

from asdlib import params
from asdlib.autoencoder.model import Autoencoder
from asdlib.compute import resolve_compute

MELS = 128


class Block(nn.Module):
    """Plain Conformer block as in its paper: dropout everywhere, attention with its weights, Conv1d."""

    def __init__(self, size: int, heads: int, kernel: int, expansion: int, rate: float):
        super().__init__()

        def forward() -> nn.Sequential:
            wide = expansion * size
            layers = nn.LayerNorm(size), nn.Linear(size, wide), nn.SiLU(), nn.Dropout(rate), nn.Linear(wide, size)
            return nn.Sequential(*layers, nn.Dropout(rate))

        self.first, self.second = forward(), forward()
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(3))
        self.attention = nn.MultiheadAttention(size, heads, dropout=rate, batch_first=True)
        self.inward, self.outward = nn.Conv1d(size, 2 * size, 1), nn.Conv1d(size, size, 1)
        self.depthwise = nn.Conv1d(size, size, kernel, padding=kernel // 2, groups=size)
        self.batch_norm, self.dropout = nn.BatchNorm1d(size), nn.Dropout(rate)

    def forward(self, x):
        x = x + 0.5 * self.first(x)
        y = self.norms[0](x)
        x = x + self.dropout(self.attention(y, y, y)[0])
        y = nn.functional.glu(self.inward(self.norms[1](x).transpose(1, 2)), dim=1)
        y = self.outward(nn.functional.silu(self.batch_norm(self.depthwise(y))))
        x = x + self.dropout(y.transpose(1, 2))
        return self.norms[2](x + 0.5 * self.second(x))


def plain_network(size: params.AutoencoderModel, mels: int = MELS) -> nn.Module:
    """Return a plain implementation of the autoencoder, without the section."""
    blocks = [
        Block(size.channels, size.heads, size.kernel, size.expansion, size.dropout) for _ in range(2 * size.blocks)
    ]
    latent = size.latent or size.channels
    middle = [nn.Linear(size.channels, latent), nn.ReLU(), nn.Linear(latent, size.channels)]
    layers = [nn.Linear(mels, size.channels), *blocks[: size.blocks], *middle, *blocks[size.blocks :]]
    return nn.Sequential(*layers, nn.Linear(size.channels, mels))


def loss(output: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute error over the mel bands, without the section that our network regresses as well."""
    return (output[..., :MELS].float() - batch).abs().mean()


def run(folder: Path) -> list[dict]:
    """Compare at the size, batch and mean crop of each profile; the limit is the rate of matrix products."""
    return [of(profile) for profile in ("paper", "quick")]


def of(profile: str) -> dict:
    """Compare at the size of one profile."""
    branch = params.load(profile).autoencoder
    size, clips, frames = branch.model, branch.training.batch_size, sum(branch.training.crop_frames) // 2
    compute = resolve_compute(params.Settings(profile="benchmark", title="Random log-mel"))
    batch, section = torch.randn(clips, frames, MELS), torch.zeros(clips, dtype=torch.int64)
    model = Autoencoder(size, MELS, 3)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    plain = plain_network(size)
    plain_adam = torch.optim.Adam(plain.parameters(), lr=1e-3)

    def forward() -> torch.Tensor:
        with compute.autocast():
            return loss(model(batch, section), batch)

    def reference() -> torch.Tensor:
        return loss(plain(batch), batch)

    return compare(
        f"Conformer autoencoder step, {profile} size, {clips} x {frames} frames ({compute.precision})",
        step(forward, adam),
        step(reference, plain_adam),
        by="plain PyTorch, float32",
        goal=2.5,
        limit=lambda: matrix_rate(precision(compute)),
        amount=operations(lambda: forward().backward()),
    )
