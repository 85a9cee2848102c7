"""One deterministic, resumable training loop for every model.

Batch k is a pure function of (seed, k): everything random in a step draws from generators seeded by both. So a run
that is killed and goes on from its checkpoint equals the uninterrupted one, bit for bit, on one device.
"""

import contextlib
import math
import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from asdlib import checkpoints
from asdlib.checkpoints import TrainingError
from asdlib.seeds import derive

CHECKPOINT_SECONDS = "ASDLIB_CHECKPOINT_SECONDS"
"""environment variable: seconds between checkpoints (default: 60), for machines that are taken away at short notice"""

BEFORE = "seconds before"
"""key of a history's ``attrs``: seconds that earlier starts spent on what was not done again"""


@dataclass(frozen=True)
class Compute:
    """Where and how precisely to compute; made by :func:`compute`."""

    device: torch.device
    precision: str
    """``float32`` or ``bfloat16`` (autocast; weights stay float32)"""
    threads: int
    compile: bool = False
    """whether networks in training go through PyTorch's compiler"""

    def autocast(self) -> contextlib.AbstractContextManager:
        """Context in which matrix products and convolutions run in the chosen precision."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    def describe(self) -> str:
        """All of it in words, for records and captions."""
        if self.device.type == "cuda":
            words = [torch.cuda.get_device_name(self.device)]
        else:
            words = [_processor(), f"{self.threads} thread{'s' if self.threads > 1 else ''}"]
        return ", ".join([*words, self.precision, *(["compiled"] if self.compile else [])])


def compute(settings) -> Compute:
    """Resolve ``device``, ``precision`` and ``threads`` of the settings, and make the process deterministic.

    Raises:
        TrainingError: A CUDA device was asked for and there is none.
    """
    name = settings.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise TrainingError(f"device: {name} was asked for, but PyTorch finds no CUDA device; use device: auto or cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TrainingError(
            f"device: {name} was asked for, but PyTorch finds {torch.cuda.device_count()} CUDA device(s), the first of "
            "which is cuda:0; use one of these"
        )
    torch.set_num_threads(settings.threads)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.allow_tf32 = False  # float32 is to be float32, here and on any other machine
    if settings.compile and not any(map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))):
        raise TrainingError("compile: true needs a C++ compiler, and there is none; install g++, or set compile: false")
    precision = settings.precision
    if precision == "auto":
        precision = "bfloat16" if _multiplies_bfloat16(device) else "float32"
    return Compute(device, precision, settings.threads, settings.compile)


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has bfloat16 matrix instructions (tensor cores, AMX, AVX-512 BF16)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(features.get("amx_bf16") or features.get("avx512_bf16"))


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def generator(seed: int, *keys: int | str) -> torch.Generator:
    """A CPU generator seeded by :func:`derive`."""
    return torch.Generator().manual_seed(derive(seed, *keys))


class Epochs:
    """Shuffled batches, epoch after epoch; which indices batch k holds depends on nothing but the seed and k.

    Every index comes once an epoch. The batches of an epoch differ in size by at most one, so that none is left with
    a single index, which batch normalisation cannot use.

    >>> epochs = Epochs(10, batch_size=4, seed=0)
    >>> epochs.steps, [len(epochs.batch(step)) for step in range(epochs.steps)]
    (3, [4, 3, 3])
    """

    def __init__(self, count: int, batch_size: int, seed: int):
        self.count, self.seed = count, seed
        self.steps = -(-count // batch_size)
        """batches an epoch"""
        self._epoch, self._order = -1, torch.empty(0)

    def batch(self, step: int) -> Tensor:
        """Indices of batch ``step`` counted from the first epoch's first; int64, on the CPU."""
        epoch, part = divmod(step, self.steps)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = torch.randperm(self.count, generator=generator(self.seed, "epoch", epoch))
        return self._order[part :: self.steps]


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
    checkpoint_seconds: float | None = None,
    log_seconds: float = 10.0,
) -> pd.DataFrame:
    """Train ``module`` for ``steps`` steps, going on from ``checkpoint`` if it is there.

    Args:
        module: Everything that learns or keeps state (buffers too), on ``compute.device``.
        loss: ``loss(step, generator)`` makes batch ``step`` with the CPU generator given and returns named scalar
            tensors; the one named ``loss`` is minimised, all are kept. It runs inside autocast.
        optimizer: Over parameters of ``module``.
        scheduler: Stepped once a step.
        steps: Optimiser steps in all.
        seed: Seed of batches, masks and dropout.
        compute: Device and precision.
        checkpoint: File to go on from; written every ``checkpoint_seconds``. At the end
            :func:`asdlib.checkpoints.finished` takes its place, which the caller removes once its model is written
            (:func:`asdlib.checkpoints.finish`).
        settings: What the checkpoint belongs to, plain JSON values.
        checkpoint_seconds: Seconds between checkpoints; by default as :data:`CHECKPOINT_SECONDS` says.
        log_seconds: Seconds between lines of progress.

    Returns:
        One row a step: ``step``, the losses, ``learning_rate`` (of the first group). ``attrs[BEFORE]`` are the seconds
        that earlier starts spent on what was not done again.

    Raises:
        TrainingError: The checkpoint belongs to other settings or cannot be read; a loss, the gradient or a weight is
            not finite.
    """
    if checkpoint_seconds is None:
        checkpoint_seconds = float(os.environ.get(CHECKPOINT_SECONDS) or 60)
    checkpoints.code()  # of now, whatever is edited meanwhile
    start, names, rows, before = 0, [], [], 0.0
    if checkpoints.is_finished(checkpoint):
        checkpoint.unlink(missing_ok=True)
        checkpoint = checkpoints.finished(checkpoint)
    if checkpoint.is_file():
        start, names, rows, before = checkpoints.restore(checkpoint, module, optimizer, scheduler, settings)
        print(f"going on from step {start} of {steps} ({checkpoint})", flush=True)
    if compute.compile:
        module.forward = torch.compile(module.forward)
    module.train()
    began = saved = logged = time.monotonic()
    pending: list[tuple[float, Tensor]] = []
    for step in range(start, steps):
        torch.manual_seed(derive(seed, "dropout", step))
        with compute.autocast():
            losses = loss(step, generator(seed, "batch", step))
        optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        names = ["step", *losses, "learning_rate"]
        learned = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        norm = nn.utils.clip_grad_norm_(learned, math.inf)  # changes no gradient
        # The values stay on the device until a line is printed or saved: no synchronisation a step on a GPU.
        values = torch.stack([*(value.detach().float() for value in losses.values()), norm.float()])
        pending.append((scheduler.get_last_lr()[0], values))
        if compute.device.type == "cpu" or len(pending) >= 100:
            _collect(pending, rows, names)
        optimizer.step()
        scheduler.step()
        now = time.monotonic()
        last = step + 1 == steps
        if last or now - logged >= log_seconds:
            _collect(pending, rows, names)
            rate = (step + 1 - start) / (now - began)
            print(
                f"step {step + 1}/{steps}  loss {rows[-1][names.index('loss')]:.4g}  {rate:.2f} steps/s  "
                f"{(steps - step - 1) / rate:.0f} s left",
                flush=True,
            )
            logged = now
        if last or now - saved >= checkpoint_seconds:
            _collect(pending, rows, names)
            _check_weights(module, step + 1)
        if not last and now - saved >= checkpoint_seconds:
            spent = before + time.monotonic() - began
            checkpoints.save(checkpoint, step + 1, module, optimizer, scheduler, settings, names, rows, spent)
            saved = time.monotonic()
    if start < steps:
        spent = before + time.monotonic() - began
        checkpoints.save(checkpoints.finished(checkpoint), steps, module, None, None, settings, names, rows, spent)
        checkpoint.unlink(missing_ok=True)
    vars(module).pop("forward", None)  # the compiled one
    history = pd.DataFrame(rows, columns=names or ["step", "loss", "learning_rate"])
    history = history.astype({"step": int})
    history.attrs[BEFORE] = before
    return history


class _Forward(nn.Module):
    """A network whose input is the index of a batch: the form in which PyTorch's ``update_bn`` takes it."""

    def __init__(self, module: nn.Module, forward: Callable[[Tensor], None]):
        super().__init__()
        self.module, self._forward = module, forward

    def forward(self, index: Tensor) -> None:
        self._forward(index)


def refresh_batch_norm(
    module: nn.Module, forward: Callable[[torch.Generator], object], compute: Compute, seed: int, batches: int = 30
) -> None:
    """Estimate the running statistics of batch normalisation again, with the weights as they are after training.

    During a short training the running averages lag behind the weights, and the network at inference is another one
    than the one that was trained: a classifier may reject everything it learnt from. A network without batch
    normalisation stays as it is.

    Args:
        module: The trained network, on ``compute.device``.
        forward: Runs ``module`` on a training batch drawn with the CPU generator given.
        compute: Device and precision.
        seed: Seed of the batches.
        batches: How many.
    """

    def run(index: Tensor) -> None:
        torch.manual_seed(derive(seed, "batch norm dropout", int(index)))
        with compute.autocast():
            forward(generator(seed, "batch norm", int(index)))

    with torch.no_grad():
        torch.optim.swa_utils.update_bn([torch.tensor(index) for index in range(batches)], _Forward(module, run))


def _collect(pending: list, rows: list, names: list[str]) -> None:
    """Move the pending loss values to ``rows``, checking that each, and the gradient's norm after them, is finite."""
    if not pending:
        return
    values = torch.stack([losses for _, losses in pending]).cpu().double()
    for (rate, _), line in zip(pending, values.tolist(), strict=True):
        step = len(rows) + 1
        for name, value in zip([*names[1:-1], "the gradient's norm"], line, strict=True):
            if not np.isfinite(value):
                raise _diverged(f"{name} is {value}", step)
        rows.append([step, *line[:-1], rate])
    pending.clear()


def _check_weights(module: nn.Module, step: int) -> None:
    """Raise :class:`TrainingError` before a weight or buffer that is not finite gets into a checkpoint or a model."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise _diverged(f"{name} is no longer finite", step)


def _diverged(what: str, step: int) -> TrainingError:
    return TrainingError(
        f"training diverged: {what} at step {step}; lower the learning rate or use precision: float32 (the last "
        "checkpoint, if there is one, is kept)"
    )
