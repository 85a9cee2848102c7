"""Make pseudo-target clips by Mixup (Sec. 2.2): mixtures of a target clip with a source clip, normal or an outlier.

The other clips of a batch are mixed among themselves, in source training too, where the paper does not mention Mixup.
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
    rng: np.random.Generator, waveform: Tensor, label: Tensor, size: int, pure: int, alpha: float
) -> tuple[Tensor, Tensor, np.ndarray]:
    """Mix a batch by Mixup, with shares drawn from a Beta distribution.

    Args:
        rng: Source of partners and shares.
        waveform: Shape (rows, samples): the ``size`` rows of the batch, of which the first ``pure`` stay unmixed,
            then the source clips with which the rows after these are mixed.
        label: Label of each row, (rows,).
        size: Rows of the batch.
        pure: Clips that stay unmixed.
        alpha: Both parameters of the Beta distribution.

    Returns:
        Waveforms (size, samples), labels (size,), and the weight of each row's own clip, (size,).
    """
    rest = pure + len(waveform) - size  # the first row that is mixed with another row of the batch
    partner = [*range(pure), *range(size, len(waveform)), *(rest + rng.permutation(size - rest))]
    partner = to_device(torch.tensor(partner), waveform.device)
    share = np.append(np.ones(pure), rng.beta(alpha, alpha, size - pure))
    weight = to_device(torch.as_tensor(share, dtype=torch.float32), waveform.device)
    return mixup(waveform[:size], waveform[partner], weight), mixup(label[:size], label[partner], weight), share
