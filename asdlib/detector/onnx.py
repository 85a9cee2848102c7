"""A detector's networks as ONNX files, for runtimes without PyTorch.

Each file goes from a waveform to what the scorers read, its log-mel front-end and the masks included, in float32, for
each of the detector's lengths of windows. The scorers' Gaussians and the thresholds stay in the detector's own files.
:mod:`asdlib.detector.runtime` runs the files.
"""

import importlib.util
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from asdlib import atomic
from asdlib.autoencoder import scorer
from asdlib.autoencoder.reconstruct import Reconstructor, pool_copies
from asdlib.classifier.windows import samples_of
from asdlib.detector import runtime, store
from asdlib.detector.networks import alone
from asdlib.detector.pytorch import PyTorch
from asdlib.errors import DetectorError
from asdlib.features import interior

TOLERANCE = 1e-3
"""largest difference from PyTorch, over the mean magnitude of an output"""


class AutoencoderErrors(nn.Module):
    """Waveform ``(samples,)`` in -1 to 1 to the reconstruction errors of a window, ``(frames, mels)`` each.

    Args:
        net: The autoencoder.
        section: As two digits.
        samples: Of a window.
    """

    def __init__(self, net: Reconstructor, section: str, samples: int):
        super().__init__()
        self.model, self.log_mel = net.model.cpu().float(), net.log_mel.cpu()
        self.kinds = scorer.kinds(scorer.without_labels(net.branch.scorer))
        shape = interior(self.log_mel(torch.zeros(1, samples))[0], self.log_mel).shape
        window = alone(np.zeros(samples, np.int16), section, "source")
        self.register_buffer("gains", replace(net, waveforms=window).gains(0, *shape).transpose(0, 1).contiguous())
        index = net.sections.index(section)
        self.register_buffer("section", torch.full((len(self.gains),), index, dtype=torch.int64))

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """One output for each of ``kinds``."""
        features = self.model.standardise(interior(self.log_mel(waveform[None])[0], self.log_mel)[None])
        error = self.model(features * self.gains, self.section) - self.model.target(features, self.section[:1])
        return tuple(pool_copies(error[None], kind)[0] for kind in self.kinds)


class ClassifierOutputs(nn.Module):
    """Waveform ``(samples,)`` of one classifier window in -1 to 1 to its embedding ``(D,)`` and logit."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model.cpu().float()

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        embedding, logit = self.model(waveform[None])
        return embedding[0], logit[0]


def networks(facts: store.Facts, settings, folder: Path) -> Iterator[tuple[str, nn.Module, int, list[str]]]:
    """Each network to export: the name of its file, itself, samples that it takes, names of its outputs."""
    run = PyTorch(settings, facts, folder)
    for candidate in facts.autoencoder:
        with store.readable(folder):
            net = run.reconstructor(candidate)
        for section, samples in itertools.product(facts.codes, facts.samples(settings.data.sample_rate)):
            module = AutoencoderErrors(net, section, samples)
            yield runtime.autoencoder_file(candidate, section, samples), module, samples, module.kinds
    for candidate in facts.classifier:
        length = samples_of(settings.candidate("classifier", candidate))
        with store.readable(folder):
            classifiers = run.classifiers(candidate)
        for key, network in classifiers.items():
            yield runtime.classifier_file(candidate, *key), ClassifierOutputs(network), length, ["embedding", "logit"]


def export(detector: Path, out: Path | None = None) -> list[Path]:
    """Write a detector's networks as ONNX files and ``onnx.json``, which says what they take and give.

    Each is run once and compared with PyTorch before it counts.

    Args:
        detector: Folder of the detector.
        out: Folder for the files, written whole or not at all; by default in the detector's, where ``score`` finds
            them.

    Returns:
        The ONNX files.

    Raises:
        DetectorError: The packages of the extra ``onnx`` are missing, or a file gives other values than PyTorch.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise DetectorError(f"export to ONNX needs {', '.join(missing)}; pip install 'asdlib[onnx]'")
    facts, settings = store.about(detector)
    if out and out.exists() and not (out / runtime.INDEX).is_file():
        raise DetectorError(f"{out}: exists and holds no {runtime.INDEX} of ours; give another folder")
    described, out = {}, out or detector / runtime.FOLDER
    atomic.sweep(out.parent, deep=False, name=out.name)
    with atomic.writing(out, folder=True) as folder:
        for name, module, samples, outputs in networks(facts, settings, detector):
            module.eval()
            _write(module, samples, outputs, folder / name)
            content = (folder / name).read_bytes()
            worst = difference(module, samples, content)
            if not worst <= TOLERANCE:  # NaN neither
                raise DetectorError(
                    f"{name}: ONNX differs from PyTorch by {worst:.2g} of the values' mean magnitude; expected "
                    f"{TOLERANCE:g} at most; do without ONNX, or try other versions of its packages"
                )
            described[name] = runtime.File(
                samples=samples, outputs=outputs, difference=worst, digest=runtime.digest(content)
            )
        index = runtime.Index(
            detector=runtime.identity(detector),
            sample_rate=settings.data.sample_rate,
            sections=facts.sections,
            files=described,
        )
        atomic.write_json(index.model_dump(mode="json"), folder / runtime.INDEX)
    return [out / name for name in described]


def difference(module: nn.Module, samples: int, content: bytes) -> float:
    """Largest difference of an ONNX file's content from its module on noise, over the mean magnitude of the output."""
    waveform = np.random.default_rng(0).normal(0, 0.05, samples).astype(np.float32)
    session = runtime.session(content, torch.get_num_threads())
    with torch.inference_mode():
        expected = [value.numpy() for value in module(torch.from_numpy(waveform))]
    found = session.run(None, {"waveform": waveform})
    pairs = zip(found, expected, strict=True)
    return float(np.max([np.abs(one - other).max() / max(np.abs(other).mean(), 1e-6) for one, other in pairs]))


def _write(module: nn.Module, samples: int, outputs: list[str], file: Path) -> None:
    example = torch.zeros(samples)
    with torch.no_grad():
        program = torch.onnx.export(
            module, (example,), dynamo=True, input_names=["waveform"], output_names=outputs, verbose=False
        )
    program.save(str(file))
