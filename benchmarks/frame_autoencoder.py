"""Benchmark an epoch of the official frame autoencoder against a plain loop with a DataLoader over frame vectors."""

from pathlib import Path

import numpy as np
import torch
from measure import compare, matrix_rate, operations, precision, step
from torch.utils.data import DataLoader, TensorDataset

from asdlib import checkpoints, params, training
from asdlib.baselines.frame_autoencoder import network
from asdlib.baselines.windows import Windows
from asdlib.compute import resolve_compute

CLIPS, FRAMES, MELS, WIDTH, BATCH = 1000, 313, 128, 5, 512


class Clips:
    """Generate the log-mel of clips in the format of :class:`asdlib.baselines.windows.Spectrograms`."""

    frames = torch.randn(CLIPS * FRAMES, MELS, generator=torch.Generator().manual_seed(0))
    lengths = np.full(CLIPS, FRAMES)


def run(folder: Path) -> list[dict]:
    """Compare an epoch; the limit is the rate of matrix products in the precision of training."""
    compute = resolve_compute(params.Settings(profile="benchmark", title="Random log-mel"))
    vectors = Windows(Clips, WIDTH)
    model = network(WIDTH * MELS)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    epochs, checkpoint = training.Epochs(len(vectors), BATCH, 0), folder / "none.pt"

    def loss(step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        vector = vectors.cut(epochs.batch(step)).flatten(1)
        return {"loss": torch.nn.functional.mse_loss(model(vector).float(), vector)}

    def ours():
        constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        training.train(
            model,
            loss,
            optimizer,
            constant,
            steps=epochs.steps,
            seed=0,
            compute=compute,
            checkpoint=checkpoint,
            settings={},
            log_seconds=1e9,
        )
        checkpoints.finished_path(checkpoint).unlink()

    plain = network(WIDTH * MELS)
    adam = torch.optim.Adam(plain.parameters(), lr=1e-3)
    written = torch.cat([vectors.cut(index).flatten(1) for index in torch.arange(len(vectors)).split(8192)])
    loader = DataLoader(TensorDataset(written), batch_size=BATCH, shuffle=True)

    def reference():
        for (vector,) in loader:
            step(lambda vector=vector: torch.nn.functional.mse_loss(plain(vector), vector), adam)()

    one = operations(lambda: loss(0, torch.Generator())["loss"].backward())
    return [
        compare(
            f"frame autoencoder, an epoch of {CLIPS} clips ({compute.precision})",
            ours,
            reference,
            by="DataLoader over frame vectors, float32",
            goal=2,
            limit=lambda: matrix_rate(precision(compute)),
            amount=one * epochs.steps,
        )
    ]
