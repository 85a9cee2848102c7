"""Train any model with one deterministic, resumable loop.

Batch k is a pure function of (seed, k): everything random in a step is drawn from generators seeded by both. A run that
is killed and resumed from its checkpoint therefore equals the uninterrupted one, bit for bit, on the same device.
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
from asdlib.errors import ModelError
from asdlib.seeds import derive

CHECKPOINT_SECONDS = "ASDLIB_CHECKPOINT_SECONDS"
"""environment variable: seconds between checkpoints (default: 60), for machines that may be preempted"""

BEFORE = "seconds before"
"""key of a history's ``attrs``: seconds that earlier starts spent on steps that were not repeated"""


@dataclass(frozen=True)
class Compute:
    """Device and precision to compute with, as resolved by :func:`compute`."""

    device: torch.device
    precision: str
    """``float32`` or ``bfloat16`` (autocast; weights stay float32)"""
    threads: int
    compile: bool = False
    """whether networks are compiled with PyTorch's compiler for training"""

    def autocast(self) -> contextlib.AbstractContextManager:
        """Return a context in which matrix products and convolutions run in the chosen precision."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    def describe(self) -> str:
        """Describe device, threads and precision in words, for records and captions."""
        if self.device.type == "cuda":
            words = [torch.cuda.get_device_name(self.device)]
        else:
            words = [_processor(), f"{self.threads} thread{'s' if self.threads > 1 else ''}"]
        return ", ".join([*words, self.precision, *(["compiled"] if self.compile else [])])


def compute(settings) -> Compute:
    """Resolve ``device``, ``precision`` and ``threads`` of the settings, and make the process deterministic.

    Raises:
        ModelError: The settings name a CUDA device that does not exist.
    """
    name = settings.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device: {name} was set, but PyTorch finds no CUDA device; use device: auto or cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"device: {name} was set, but PyTorch finds {torch.cuda.device_count()} CUDA device(s), numbered from "
            "cuda:0; use one of these"
        )
    torch.set_num_threads(settings.threads)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # makes cuBLAS deterministic; read at its first use
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        # With warn_only, the backward pass of the fused attention would stay non-deterministic.
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # for debugging; costs a kernel per new tensor
        # float32 means float32, on every machine. After the newer fp32_precision, the compiler of PyTorch 2.9 fails.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if settings.compile and not any(map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))):
        raise ModelError("compile: true needs a C++ compiler, but none was found; install g++, or set compile: false")
    precision = settings.precision
    if precision == "auto":
        precision = "bfloat16" if _multiplies_bfloat16(device) else "float32"
    return Compute(device, precision, settings.threads, settings.compile)


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether the device has bfloat16 matrix instructions (tensor cores, AMX, AVX-512 BF16)."""
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
    """Train ``module`` for ``steps`` steps, resuming from ``checkpoint`` if it exists.

    Args:
        module: Module with everything that learns or keeps state (including buffers), on ``compute.device``.
        loss: ``loss(step, generator)`` makes batch ``step`` with the given CPU generator and returns named scalar
            tensors; the one named ``loss`` is minimised, and all are recorded. It runs inside autocast.
        optimizer: Optimiser of the parameters of ``module``.
        scheduler: Learning rate scheduler, stepped once per step.
        steps: Total number of optimiser steps.
        seed: Seed of batches, masks and dropout.
        compute: Device and precision.
        checkpoint: File to resume from; written every ``checkpoint_seconds``. At the end it is replaced by
            :func:`asdlib.checkpoints.finished`, which the caller removes after writing its model
            (:func:`asdlib.checkpoints.finish`).
        settings: Settings that the checkpoint belongs to, as plain JSON values.
        checkpoint_seconds: Seconds between checkpoints; by default the value of :data:`CHECKPOINT_SECONDS`.
        log_seconds: Seconds between progress messages.

    Returns:
        One row per step: ``step``, the losses, ``learning_rate`` (of the first group). ``attrs[BEFORE]`` holds the
        seconds that earlier starts spent on steps that were not repeated.

    Raises:
        ModelError: The checkpoint belongs to other settings or cannot be read; a loss, the gradient or a weight is
            not finite.
    """
    if checkpoint_seconds is None:
        checkpoint_seconds = float(os.environ.get(CHECKPOINT_SECONDS) or 60)
    checkpoints.code()  # cache the fingerprint now, in case files are edited during the training
    start, names, rows, before = 0, [], [], 0.0
    if checkpoints.is_finished(checkpoint):
        checkpoint.unlink(missing_ok=True)
        checkpoint = checkpoints.finished(checkpoint)
    if checkpoint.is_file():
        start, names, rows, before = checkpoints.restore(checkpoint, module, optimizer, scheduler, settings)
        print(f"resuming from step {start} of {steps} ({checkpoint})", flush=True)
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
        # The values stay on the device until they are printed or saved, so that no step has to synchronise with a GPU.
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
    """Wrap a network so that its input is the index of a batch, as PyTorch's ``update_bn`` requires."""

    def __init__(self, module: nn.Module, forward: Callable[[Tensor], None]):
        super().__init__()
        self.module, self._forward = module, forward

    def forward(self, index: Tensor) -> None:
        self._forward(index)


def refresh_batch_norm(
    module: nn.Module, forward: Callable[[torch.Generator], object], compute: Compute, seed: int, batches: int = 30
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
        batches: Number of batches.
    """

    def run(index: Tensor) -> None:
        torch.manual_seed(derive(seed, "batch norm dropout", int(index)))
        with compute.autocast():
            forward(generator(seed, "batch norm", int(index)))

    with torch.no_grad():
        torch.optim.swa_utils.update_bn([torch.tensor(index) for index in range(batches)], _Forward(module, run))


def _collect(pending: list, rows: list, names: list[str]) -> None:
    """Move the pending loss values to ``rows``, checking that all of them and the gradient's norm are finite."""
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
    """Raise :class:`ModelError` if a weight or buffer is not finite, before it gets into a checkpoint or a model."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise _diverged(f"{name} is no longer finite", step)


def _diverged(what: str, step: int) -> ModelError:
    return ModelError(
        f"training diverged: {what} at step {step}; lower the learning rate or use precision: float32 (any previous "
        "checkpoint is kept)"
    )
