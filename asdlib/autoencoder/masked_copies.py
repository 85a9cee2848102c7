"""Draw a different mask for each copy of a clip at inference, and pool the copies' reconstruction errors (Sec. 2.1).

Pooling the errors has "the gain like the model ensemble even with the single model".
"""

import torch
from torch import Tensor

from asdlib import training
from asdlib.autoencoder import specaugment
from asdlib.params import SpecAugment


def draw_gains(settings: SpecAugment, clip: str, count: int, frames: int, mels: int, seed: int) -> Tensor:
    """Draw the gains (:func:`.specaugment.gains`) of ``count`` copies of a clip, ``(count, frames, mels)``.

    Copy k depends only on the seed, the clip's name and k, so that more copies do not change the first ones.
    """
    generators = [training.generator(seed, "masks", clip, copy) for copy in range(count)]
    return torch.cat([specaugment.gains(settings, 1, frames, mels, generator) for generator in generators])


def pool_copies(errors: Tensor, kind: str) -> Tensor:
    """Pool the errors of masked copies: ``(clips, copies, frames, dims)`` to ``(clips, frames, dims)``.

    Args:
        errors: Signed errors.
        kind: The error to pool, ``signed``, ``absolute`` or ``squared``. Alone, it is averaged over the copies; with
            the suffix ``.median`` or ``.max``, the median (the lower of two middle values) or the value of the largest
            magnitude (with its sign) is taken.
    """
    error, _, how = kind.partition(".")
    errors = {"signed": errors, "absolute": errors.abs(), "squared": errors.square()}[error]
    if how == "median":
        # PyTorch's median would be the same, but has no deterministic implementation on GPUs.
        return errors.sort(1).values[:, (errors.shape[1] - 1) // 2]
    if how == "max":
        return errors.gather(1, errors.abs().argmax(1, keepdim=True)).squeeze(1)
    return errors.mean(1)
