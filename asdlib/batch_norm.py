"""Re-estimate the statistics of batch normalisation after a training."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from asdlib.compute import Compute
from asdlib.seeds import derive
from asdlib.training import generator

BATCHES = 30
"""number of batches over which the statistics are averaged"""


class _Forward(nn.Module):
    """Wrap a network so that its input is the index of a batch, as PyTorch's ``update_bn`` requires."""

    def __init__(self, module: nn.Module, forward: Callable[[Tensor], None]):
        super().__init__()
        self.module, self._forward = module, forward

    def forward(self, index: Tensor) -> None:
        self._forward(index)


def refresh_batch_norm(
    module: nn.Module, forward: Callable[[torch.Generator], object], compute: Compute, seed: int
) -> None:
    """Re-estimate the running statistics of batch normalisation with the final weights.

    During a short training the running averages lag behind the weights, so that the network behaves differently at
    inference: a classifier may reject everything that it was trained on. A network without batch normalisation is left
    unchanged.

    Args:
        module: The trained network, on ``compute.device``.
        forward: Function that runs ``module`` on a training batch drawn with the given CPU generator.
        compute: Device and precision.
        seed: Seed of the batches.
    """

    def run(index: Tensor) -> None:
        torch.manual_seed(derive(seed, "batch norm dropout", int(index)))
        with compute.autocast():
            forward(generator(seed, "batch norm", int(index)))

    with torch.no_grad():
        torch.optim.swa_utils.update_bn([torch.tensor(index) for index in range(BATCHES)], _Forward(module, run))
