"""Resolve the device and the precision to compute with."""

import contextlib
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from asdlib.errors import ModelError


@dataclass(frozen=True)
class Compute:
    """Device and precision to compute with, as resolved by :func:`resolve_compute`."""

    device: torch.device
    precision: str
    """``float32`` or ``bfloat16`` (autocast; weights stay float32)"""
    threads: int
    compile: bool = False
    """whether networks are compiled with PyTorch's compiler for training"""
    checkpoint_seconds: float = 60.0
    """seconds between checkpoints of a training"""
    eager: bool = False
    """whether a GPU gets the kernels of a training one by one, not as CUDA graphs; for comparison"""

    @property
    def graphs(self) -> bool:
        """Whether trainings run as CUDA graphs, where their loss can be captured."""
        return self.device.type == "cuda" and not self.compile and not self.eager

    def autocast(self) -> contextlib.AbstractContextManager:
        """Return a context in which matrix products and convolutions run in the chosen precision."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")

    @contextlib.contextmanager
    def any_length(self) -> Iterator[None]:
        """Return a context for batches that differ in length, in which a GPU computes without cuDNN.

        When it must be deterministic, cuDNN compiles a depthwise convolution for each new length, which takes 0.7 s
        (``LOG.md``, 2026-11-27). PyTorch's own works for all lengths and is as fast.
        """
        before = torch.backends.cudnn.enabled
        torch.backends.cudnn.enabled = before and self.device.type != "cuda"
        try:
            yield
        finally:
            torch.backends.cudnn.enabled = before

    def describe(self) -> str:
        """Describe device, threads and precision in words, for records and captions."""
        if self.device.type == "cuda":
            words = [torch.cuda.get_device_name(self.device)]
        else:
            words = [_cpu(), f"{self.threads} thread{'s' if self.threads > 1 else ''}"]
        return ", ".join([*words, self.precision, *(["compiled"] if self.compile else [])])


def resolve_compute(settings) -> Compute:
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
    return Compute(device, precision, settings.threads, settings.compile, settings.checkpoint_seconds)


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether the device has bfloat16 matrix instructions (tensor cores, AMX, AVX-512 BF16)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(features.get("amx_bf16") or features.get("avx512_bf16"))


def _cpu() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
