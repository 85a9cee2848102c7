"""Repeat the training steps of a GPU as CUDA graphs.

A step of the paper's autoencoder starts 1,664 kernels. Starting them one by one takes a CPU three to four times as long
as the GPU needs to compute them (``book/results/gpu/figures.csv``); a graph starts all of them at once. The kernels and
their random numbers are the same, and so are the bits of the result.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asdlib.compute import Compute

EAGER = 2
"""steps that run before the first capture, because libraries set themselves up in their first calls"""


class _Step(NamedTuple):
    graph: torch.cuda.CUDAGraph
    losses: dict[str, Tensor]
    inputs: list[Tensor | None]
    gradients: list[Tensor | None]
    """of each parameter, None for those that the loss does not depend on"""


class Graphs:
    """Losses and gradients of training steps, captured once for each shape of batch.

    Inputs and gradients have memory of their own, which all graphs share; everything else lies in one pool, because
    only one graph runs at a time. A training therefore needs about as much memory as its largest step.

    Args:
        module: Module that learns, on ``compute.device``.
        loss: Function of the tensors of a batch (None for those that it lacks) that returns named losses. The one named
            ``loss`` is minimised. It must not wait for the device or copy anything to it, and may replace buffers of
            ``module``.
        compute: Device and precision.
    """

    def __init__(self, module: nn.Module, loss: Callable[..., dict[str, Tensor]], compute: Compute):
        self._module, self._loss, self._compute = module, loss, compute
        self._parameters = [value for value in module.parameters() if value.requires_grad]
        self._gradients = [torch.zeros_like(value) for value in self._parameters]
        self._inputs: dict[int, Tensor] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self._steps: dict[tuple, _Step] = {}
        self._eager = 0

    def run(self, batch: tuple[Tensor | None, ...]) -> dict[str, Tensor]:
        """Compute the losses of a batch and leave the gradients in the parameters; the losses last until the next call.

        Raises:
            RuntimeError: The loss does something that cannot be captured.
        """
        if self._eager < EAGER:
            self._eager += 1
            return self._forward_backward(batch)
        key = tuple(None if part is None else (part.shape, part.dtype) for part in batch)
        if key not in self._steps:
            self._steps[key] = self._capture(batch)
        step = self._steps[key]
        for mine, given in zip(step.inputs, batch, strict=True):
            if mine is not None:
                mine.copy_(given)
        step.graph.replay()
        for parameter, gradient in zip(self._parameters, step.gradients, strict=True):
            parameter.grad = gradient
        return step.losses

    def _forward_backward(self, batch: tuple[Tensor | None, ...]) -> dict[str, Tensor]:
        for parameter in self._parameters:
            parameter.grad = None
        # A graph must cast the weights each time: what autocast has kept from before would not change with them.
        with torch.autocast(
            self._compute.device.type,
            dtype=torch.bfloat16,
            enabled=self._compute.precision == "bfloat16",
            cache_enabled=False,
        ):
            losses = self._loss(*batch)
        losses["loss"].backward()
        return {name: value.detach() for name, value in losses.items()}

    def _capture(self, batch: tuple[Tensor | None, ...]) -> _Step:
        inputs = [None if part is None else self._input(place, part) for place, part in enumerate(batch)]
        buffers = [(part, name, value) for part in self._module.modules() for name, value in part._buffers.items()]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=torch.cuda.current_stream()):
            losses = self._forward_backward(inputs)
            found = [value.grad for value in self._parameters]
            used = [(mine, new) for mine, new in zip(self._gradients, found, strict=True) if new is not None]
            torch._foreach_copy_(*map(list, zip(*used, strict=True)))
            # Buffers that the loss replaced get their new values where the next replay looks for them.
            for part, name, value in buffers:
                if value is not None and part._buffers[name] is not value:
                    value.copy_(part._buffers[name])
                    part._buffers[name] = value
        gradients = [None if new is None else mine for mine, new in zip(self._gradients, found, strict=True)]
        return _Step(graph, losses, inputs, gradients)

    def _input(self, place: int, part: Tensor) -> Tensor:
        """Return memory for an input, at the beginning of what earlier batches had at this place if it is enough."""
        known = self._inputs.get(place)
        if known is None or known.dtype != part.dtype or known.numel() < part.numel():
            known = self._inputs[place] = torch.empty(part.numel(), dtype=part.dtype, device=part.device)
        return known[: part.numel()].view(part.shape)
