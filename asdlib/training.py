"""Train any model with one deterministic, resumable loop.

Batch k is a pure function of (seed, k): everything random in a step is drawn from generators seeded by both. A run that
is killed and resumed from its checkpoint therefore equals the uninterrupted one, bit for bit, on the same device.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from asdlib import checkpoints
from asdlib.compute import Compute
from asdlib.cuda_graphs import Graphs
from asdlib.errors import ModelError
from asdlib.seeds import derive


def generator(seed: int, *keys: int | str) -> torch.Generator:
    """Return a CPU generator seeded by :func:`derive`."""
    return torch.Generator().manual_seed(derive(seed, *keys))


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a CPU tensor to ``device`` without waiting for the computations that a GPU still has to do.

    From ordinary memory CUDA copies large tensors only after these; from page-locked memory it need not wait.
    """
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


class Epochs:
    """Shuffled batches over epochs; the indices in batch k depend only on the seed and k.

    Every index occurs once per epoch. The batches of an epoch differ in size by at most one, so that no batch is left
    with a single index, which batch normalisation cannot handle.

    >>> epochs = Epochs(10, batch_size=4, seed=0)
    >>> epochs.steps, [len(epochs.batch(step)) for step in range(epochs.steps)]
    (3, [4, 3, 3])
    """

    def __init__(self, count: int, batch_size: int, seed: int):
        self.count, self.seed = count, seed
        self.steps = -(-count // batch_size)
        """batches per epoch"""
        self._epoch, self._order = -1, torch.empty(0)

    def batch(self, step: int) -> Tensor:
        """Return the indices of batch ``step``, counted from the start of the first epoch; int64, on the CPU."""
        epoch, part = divmod(step, self.steps)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = torch.randperm(self.count, generator=generator(self.seed, "epoch", epoch))
        return self._order[part :: self.steps]


@dataclass(frozen=True)
class Loss:
    """A loss in two parts, of which a GPU can repeat the second as a CUDA graph."""

    draw: Callable[[int, torch.Generator], tuple[Tensor | None, ...]]
    """``draw(step, generator)`` makes batch ``step`` with the given CPU generator: tensors on the device, or None"""
    compute: Callable[..., dict[str, Tensor]]
    """Compute named scalar losses of the tensors of a batch, without waiting for the device or copying to it."""

    def __call__(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw a batch and compute its losses."""
        return self.compute(*self.draw(step, generator))


def train(
    module: nn.Module,
    loss: Callable[[int, torch.Generator], dict[str, Tensor]],
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    *,
    steps: int,
    seed: int,
    compute: Compute,
    checkpoint: Path,
    settings: dict,
    log_seconds: float = 10.0,
) -> tuple[pd.DataFrame, float]:
    """Train ``module`` for ``steps`` steps, resuming from ``checkpoint`` if it exists.

    Args:
        module: Module with everything that learns or keeps state (including buffers), on ``compute.device``.
        loss: ``loss(step, generator)`` makes batch ``step`` with the given CPU generator and returns named scalar
            tensors; the one named ``loss`` is minimised, and all are recorded. It runs inside autocast. A
            :class:`Loss` is computed several times faster on a GPU.
        optimizer: Optimiser of the parameters of ``module``.
        scheduler: Learning rate scheduler, stepped once per step.
        steps: Total number of optimiser steps.
        seed: Seed of batches, masks and dropout.
        compute: Device, precision and seconds between checkpoints.
        checkpoint: File to resume from and to write checkpoints to. At the end it is replaced by
            :func:`asdlib.checkpoints.finished_path`, which the caller removes after writing its model
            (:meth:`asdlib.stage.Stage.writing`).
        settings: Settings that the checkpoint belongs to, as plain JSON values.
        log_seconds: Seconds between progress messages.

    Returns:
        The history, one row per step: ``step``, the losses, ``learning_rate`` (of the first group); and the seconds
        that earlier starts spent on steps that were not repeated.

    Raises:
        ModelError: The checkpoint belongs to other settings or cannot be read; a loss, the gradient or a weight is
            not finite.
    """
    checkpoints.code()  # cache the fingerprint now, in case files are edited during the training
    start, names, rows, earlier = 0, [], [], 0.0
    if checkpoints.is_finished(checkpoint):
        checkpoint.unlink(missing_ok=True)
        checkpoint = checkpoints.finished_path(checkpoint)
    if checkpoint.is_file():
        start, names, rows, earlier = checkpoints.restore(checkpoint, module, optimizer, scheduler, settings)
        print(f"resuming from step {start} of {steps} ({checkpoint})", flush=True)
    if compute.compile:
        module.forward = torch.compile(module.forward)
    module.train()
    progress = _Progress(rows, start, steps, log_seconds)
    began = saved = time.monotonic()
    with _own_stream(compute):
        graphs = Graphs(module, loss.compute, compute) if isinstance(loss, Loss) and compute.graphs else None
        for step in range(start, steps):
            losses, norm = _gradient(loss, optimizer, compute, step, seed, graphs)
            names = ["step", *losses, "learning_rate"]
            progress.add(names, losses, norm, scheduler.get_last_lr()[0])
            if compute.device.type == "cpu" or progress.waiting >= 100:
                progress.collect()
            optimizer.step()
            scheduler.step()
            last = step + 1 == steps
            progress.show(step + 1, last)
            due = time.monotonic() - saved >= compute.checkpoint_seconds
            if last or due:
                progress.collect()
                _check_weights(module, step + 1)
                spent = earlier + time.monotonic() - began
            if due and not last:
                checkpoints.save(checkpoint, step + 1, module, optimizer, scheduler, settings, names, rows, spent)
                saved = time.monotonic()
    if start < steps:
        checkpoints.save(checkpoints.finished_path(checkpoint), steps, module, None, None, settings, names, rows, spent)
        checkpoint.unlink(missing_ok=True)
    vars(module).pop("forward", None)  # the compiled one
    history = pd.DataFrame(rows, columns=names or ["step", "loss", "learning_rate"])
    return history.astype({"step": int}), earlier


@contextlib.contextmanager
def _own_stream(compute: Compute) -> Iterator[None]:
    """Train on a stream of its own, which CUDA graphs need to be captured."""
    if compute.device.type != "cuda":
        yield
        return
    stream = torch.cuda.Stream(compute.device)
    stream.wait_stream(torch.cuda.current_stream(compute.device))
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        torch.cuda.current_stream(compute.device).wait_stream(stream)


def _gradient(
    loss: Callable,
    optimizer: torch.optim.Optimizer,
    compute: Compute,
    step: int,
    seed: int,
    graphs: Graphs | None = None,
) -> tuple[dict[str, Tensor], Tensor]:
    """Compute the losses of a step, their gradient, and its norm."""
    torch.manual_seed(derive(seed, "dropout", step))
    draw = generator(seed, "batch", step)
    if graphs:
        with compute.autocast():
            batch = loss.draw(step, draw)
        losses = graphs.run(batch)
    else:
        with compute.autocast():
            losses = loss(step, draw)
        optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
    learned = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return losses, nn.utils.clip_grad_norm_(learned, math.inf)  # changes no gradient


class _Progress:
    """Collect the losses of a training in ``rows``, check that they are finite, and print them now and then.

    The values stay on the device until they are printed or saved, so that no step has to synchronise with a GPU.
    """

    def __init__(self, rows: list[list[float]], start: int, steps: int, log_seconds: float):
        self._rows, self._start, self._steps, self._log_seconds = rows, start, steps, log_seconds
        self._pending: list[tuple[float, Tensor]] = []
        self._names: list[str] = []
        self._began = self._logged = time.monotonic()

    @property
    def waiting(self) -> int:
        """Number of steps whose values are still on the device."""
        return len(self._pending)

    def add(self, names: list[str], losses: dict[str, Tensor], norm: Tensor, rate: float) -> None:
        """Note the losses of a step, the norm of its gradient and its learning rate."""
        self._names = names
        values = torch.stack([*(value.detach().float() for value in losses.values()), norm.float()])
        self._pending.append((rate, values))

    def collect(self) -> None:
        """Move the noted values to the rows, checking that all of them are finite."""
        if not self._pending:
            return
        values = torch.stack([losses for _, losses in self._pending]).cpu().double()
        for (rate, _), line in zip(self._pending, values.tolist(), strict=True):
            step = len(self._rows) + 1
            for name, value in zip([*self._names[1:-1], "the gradient's norm"], line, strict=True):
                if not math.isfinite(value):
                    raise _divergence_error(f"{name} is {value}", step)
            self._rows.append([step, *line[:-1], rate])
        self._pending.clear()

    def show(self, done: int, last: bool) -> None:
        """Print a line about the training after ``done`` steps, if the previous one is old or this is the last."""
        now = time.monotonic()
        if last or now - self._logged >= self._log_seconds:
            self.collect()
            rate = (done - self._start) / (now - self._began)
            print(
                f"step {done}/{self._steps}  loss {self._rows[-1][self._names.index('loss')]:.4g}  {rate:.2f} steps/s  "
                f"{(self._steps - done) / rate:.0f} s left",
                flush=True,
            )
            self._logged = now


def _check_weights(module: nn.Module, step: int) -> None:
    """Raise :class:`ModelError` if a weight or buffer is not finite, before it gets into a checkpoint or a model."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise _divergence_error(f"{name} is no longer finite", step)


def _divergence_error(reason: str, step: int) -> ModelError:
    return ModelError(
        f"training diverged: {reason} at step {step}; lower the learning rate or use precision: float32 (any previous "
        "checkpoint is kept)"
    )


def count_parameters(model: nn.Module) -> int:
    """Return the number of learned values."""
    return sum(value.numel() for value in model.parameters())
