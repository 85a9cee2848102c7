"""A detector's networks as ONNX files, for runtimes without PyTorch.

Each file goes from a waveform to what the scorers read, its log-mel front-end included, in float32, for the detector's
length of window. An autoencoder's masks, which are drawn for each window elsewhere, are drawn once here and kept in the
file: any masks of the kind serve. The scorers' Gaussians, embeddings and thresholds stay in the detector's own files.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from asdlib import artefacts
from asdlib.autoencoder import scorer, specaugment
from asdlib.autoencoder.reconstruct import pool_copies
from asdlib.classifier.train import FILES
from asdlib.classifier.windows import samples_of
from asdlib.detector import store
from asdlib.detector.networks import TrainedAutoencoder
from asdlib.detector.store import DetectorError

TOLERANCE = 1e-3
"""largest difference from PyTorch, over the mean magnitude of an output"""


class AutoencoderErrors(nn.Module):
    """Waveform ``(samples,)`` in -1 to 1 to the reconstruction errors of a window, ``(frames, mels)`` each.

    Args:
        trained: Of the detector.
        section: Index of the section.
        samples: Of a window.
    """

    def __init__(self, trained: TrainedAutoencoder, section: int, samples: int):
        super().__init__()
        net = trained.net
        self.model, self.log_mel = net.model.cpu().float(), net.log_mel.cpu()
        self.how, self.kinds = net.branch.scorer.pool_copies, scorer.kinds(net.branch.scorer)
        shape = self.log_mel.frames(samples), self.log_mel.n_mels
        masks = specaugment.copies(net.branch.specaugment, "export", net.copies, *shape, net.seed)
        self.register_buffer("gains", masks if net.branch.scorer.masking else torch.ones(1, *shape))
        self.register_buffer("section", torch.full((len(self.gains),), section, dtype=torch.int64))

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """One output for each of ``kinds``."""
        features = self.model.standardise(self.log_mel(waveform[None]))
        error = self.model(features * self.gains, self.section) - self.model.target(features, self.section[:1])
        return tuple(pool_copies(error[None], kind, self.how)[0] for kind in self.kinds)


class ClassifierOutputs(nn.Module):
    """Waveform ``(samples,)`` of one classifier window in -1 to 1 to its embedding ``(D,)`` and logit."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model.cpu().float()

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        embedding, logit = self.model(waveform[None])
        return embedding[0], logit[0]


def networks(stored: store.Stored) -> Iterator[tuple[str, nn.Module, int, list[str]]]:
    """Each network to export: its name, itself, samples that it takes, names of its outputs."""
    samples = round(stored.facts.seconds * stored.settings.data.sample_rate)
    for candidate, trained in stored.autoencoders.items():
        for index, section in enumerate(stored.facts.codes):
            module = AutoencoderErrors(trained, index, samples)
            yield f"autoencoder.{candidate}.{section}", module, samples, module.kinds
    for candidate, trained in stored.classifiers.items():
        for (section, stage), model in trained.models.items():
            name = f"classifier.{candidate}.{section}.{Path(FILES[stage]).stem}"
            yield name, ClassifierOutputs(model), samples_of(trained.branch), ["embedding", "logit"]


def export(detector: Path, out: Path) -> list[Path]:
    """Write a detector's networks as ONNX files and ``onnx.json``, which says what they take and give.

    Each is run once beside PyTorch before it counts.

    Args:
        detector: Folder of the detector.
        out: Folder for the files, written whole or not at all.

    Returns:
        The ONNX files.

    Raises:
        DetectorError: The packages of the extra ``onnx`` are missing, or a file gives other values than PyTorch.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise DetectorError(f"export to ONNX needs {', '.join(missing)}; pip install 'asdlib[onnx]'")
    stored, described = store.load(detector), {}
    with artefacts.writing(out, folder=True) as folder:
        for name, module, samples, outputs in networks(stored):
            module.eval()
            _write(module, samples, outputs, folder / f"{name}.onnx")
            worst = difference(module, samples, folder / f"{name}.onnx")
            if worst > TOLERANCE:
                raise DetectorError(f"{name}: ONNX differs from PyTorch by {worst:.2g} of the values' mean magnitude")
            described[f"{name}.onnx"] = {"samples": samples, "outputs": outputs, "difference": worst}
        facts = {"sample_rate": stored.settings.data.sample_rate, "sections": stored.facts.sections}
        artefacts.write_json(facts | {"files": described}, folder / "onnx.json")
    return [out / name for name in described]


def difference(module: nn.Module, samples: int, file: Path) -> float:
    """Largest difference of an ONNX file from its module on noise, over the mean magnitude of the output."""
    import onnxruntime

    waveform = np.random.default_rng(0).normal(0, 0.05, samples).astype(np.float32)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = [value.numpy() for value in module(torch.from_numpy(waveform))]
    found = session.run(None, {"waveform": waveform})
    return max(
        float(np.abs(one - other).max() / max(np.abs(other).mean(), 1e-6))
        for one, other in zip(found, expected, strict=True)
    )


def _write(module: nn.Module, samples: int, outputs: list[str], file: Path) -> None:
    example = torch.zeros(samples)
    with torch.no_grad():
        program = torch.onnx.export(
            module, (example,), dynamo=True, input_names=["waveform"], output_names=outputs, verbose=False
        )
    program.save(str(file))
