"""Make pseudo-target clips by Mixup (Sec. 2.2): mixtures of a target clip with a source clip, normal or an outlier.

If ``batches.source_mixup`` is on, the other clips are mixed among themselves, in source training too, where the paper
does not mention Mixup.
"""

import numpy as np
import torch
from torch import Tensor

from asdlib.classifier.augment import mixup
from asdlib.classifier.positives_and_negatives import Clips, Negatives
from asdlib.training import to_device


def draw_partners(
    rng: np.random.Generator, count: int, normal: Clips, negatives: Negatives
) -> tuple[list[Clips], np.ndarray]:
    """Draw the source clips with which ``count`` target clips are mixed, and their labels (1 normal, 0 outlier)."""
    label = rng.random(count) < 0.5
    return [normal if chosen else negatives.draw(rng) for chosen in label], label


def mix(
    rng: np.random.Generator, waveform: Tensor, label: Tensor, size: int, mixed: range, alpha: float
) -> tuple[Tensor, Tensor, np.ndarray]:
    """Mix a batch by Mixup, with shares drawn from a Beta distribution.

    Args:
        rng: Source of partners and shares.
        waveform: Shape (rows, samples): the ``size`` rows of the batch, then the source clips with which the first rows
            of ``mixed`` are mixed; the others of ``mixed`` are mixed among themselves.
        label: Label of each row, (rows,).
        size: Rows of the batch.
        mixed: The rows that are mixed; the others stay as they are.
        alpha: Both parameters of the Beta distribution.

    Returns:
        Waveforms (size, samples), labels (size,), and the weight of each row's own clip, (size,).
    """
    rest = mixed.start + len(waveform) - size  # the first row that is mixed with another row of the batch
    partner = np.arange(size)
    partner[mixed.start : rest] = range(size, len(waveform))
    partner[rest : mixed.stop] = rest + rng.permutation(mixed.stop - rest)
    partner = to_device(torch.from_numpy(partner), waveform.device)
    share = np.ones(size)
    share[mixed.start : mixed.stop] = rng.beta(alpha, alpha, len(mixed))
    weight = to_device(torch.as_tensor(share, dtype=torch.float32), waveform.device)
    return mixup(waveform[:size], waveform[partner], weight), mixup(label[:size], label[partner], weight), share
