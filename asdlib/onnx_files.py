"""Write networks as ONNX files, which run without PyTorch, and compare each file with PyTorch."""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import nn

from asdlib.errors import ModelError
from asdlib.onnx_session import open_session

TOLERANCE = 1e-3
"""largest difference from PyTorch, as a share of the mean magnitude of an output"""


def require_packages() -> None:
    """Check that the optional packages are installed.

    Raises:
        ModelError: One is missing.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(f"export to ONNX needs {', '.join(missing)}; pip install 'asdlib[onnx]'")


def write(module: nn.Module, samples: int, outputs: list[str], file: Path) -> tuple[bytes, float]:
    """Write a module that maps a waveform ``(samples,)`` to several arrays, and compare the file with the module.

    Args:
        module: The module, on the CPU; it is set to evaluation.
        samples: Length of the waveform.
        outputs: Names of the arrays.
        file: File to write.

    Returns:
        The file's content and its largest difference from PyTorch (:func:`measure_difference`).

    Raises:
        ModelError: The file gives other values than PyTorch.
    """
    module.eval()
    with torch.no_grad():
        program = torch.onnx.export(
            module, (torch.zeros(samples),), dynamo=True, input_names=["waveform"], output_names=outputs, verbose=False
        )
    program.save(str(file))
    content = file.read_bytes()
    worst = measure_difference(module, samples, content)
    if not worst <= TOLERANCE:  # NaN is refused too
        raise ModelError(
            f"{file.name}: ONNX differs from PyTorch by {worst:.2g} of the values' mean magnitude; expected "
            f"{TOLERANCE:g} at most; do without ONNX, or try other versions of its packages"
        )
    return content, worst


def measure_difference(module: nn.Module, samples: int, content: bytes) -> float:
    """Return the largest difference of an ONNX file from its module on noise, over the mean magnitude of the output."""
    waveform = np.random.default_rng(0).normal(0, 0.05, samples).astype(np.float32)
    session = open_session(content, torch.get_num_threads())
    with torch.inference_mode():
        expected = [value.numpy() for value in module(torch.from_numpy(waveform))]
    found = session.run(None, {"waveform": waveform})
    pairs = zip(found, expected, strict=True)
    return float(np.max([np.abs(one - other).max() / max(np.abs(other).mean(), 1e-6) for one, other in pairs]))
