"""Write a detector's networks as ONNX files, which run without PyTorch.

Each file maps a waveform to the inputs of the scorers, with the log-mel front-end and the masks inside, in float32, for
one of the detector's lengths of windows. The scorers' Gaussians and the thresholds stay in the detector's own files.
:mod:`asdlib.detector.runtime` runs the files.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from asdlib import atomic, onnx_files
from asdlib.autoencoder.frame_to_clip_scores import error_kinds
from asdlib.autoencoder.masked_copies import pool_copies
from asdlib.autoencoder.reconstruction_errors import TrainedAutoencoder
from asdlib.classifier.windows import samples_of
from asdlib.detector import runtime
from asdlib.detector.description import Description, read_description, readable
from asdlib.detector.networks import with_one_variant
from asdlib.detector.pytorch import PyTorch, mask_key
from asdlib.errors import DetectorError
from asdlib.features import interior


class AutoencoderErrors(nn.Module):
    """Map a waveform ``(samples,)`` in -1 to 1 to the reconstruction errors of a window, ``(frames, dims)`` per kind.

    Args:
        net: The autoencoder.
        section: Section of the windows, two digits.
        index: Index of the section.
        samples: Length of a window.
    """

    def __init__(self, net: TrainedAutoencoder, section: str, index: int, samples: int):
        super().__init__()
        self.model, self.log_mel = net.model.cpu().float(), net.log_mel.cpu()
        self.kinds = error_kinds(with_one_variant(net.settings, "autoencoder").scorer)
        shape = interior(self.log_mel(torch.zeros(1, samples))[0], self.log_mel).shape
        self.register_buffer("gains", net.gains(mask_key(section), *shape).contiguous())
        self.register_buffer("section", torch.full((len(self.gains),), index, dtype=torch.int64))

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """Return one output for each of ``kinds``."""
        features = self.model.standardise(interior(self.log_mel(waveform[None])[0], self.log_mel)[None])
        error = self.model(features * self.gains, self.section) - self.model.target(features, self.section[:1])
        return tuple(pool_copies(error[None], kind)[0] for kind in self.kinds)


class ClassifierOutputs(nn.Module):
    """Map a classifier window ``(samples,)`` in -1 to 1 to its embedding ``(D,)`` and logit."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model.cpu().float()

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        embedding, logit = self.model(waveform[None])
        return embedding[0], logit[0]


def list_networks(description: Description, settings, folder: Path) -> Iterator[tuple[str, nn.Module, int, list[str]]]:
    """Yield each network to export: name of its file, module, length of its input in samples, names of its outputs."""
    with readable(folder):
        backend = PyTorch.load(settings, description, folder)
    for candidate, net in backend.autoencoders.items():
        for (index, section), samples in itertools.product(
            enumerate(description.codes), description.samples(settings.data.sample_rate)
        ):
            module = AutoencoderErrors(net, section, index, samples)
            yield runtime.autoencoder_file(candidate, section, samples), module, samples, module.kinds
    for key, trained in backend.classifiers.items():
        length = samples_of(trained.settings)
        yield runtime.classifier_file(*key), ClassifierOutputs(trained.network), length, ["embedding", "logit"]


def export(detector: Path, out: Path | None = None) -> list[Path]:
    """Write a detector's networks as ONNX files, and ``onnx.json``, which describes them.

    Each file is run once and compared with PyTorch.

    Args:
        detector: Folder of the detector.
        out: Folder for the files, written whole or not at all; by default in the detector's, where ``score`` finds
            them.

    Returns:
        The ONNX files.

    Raises:
        DetectorError: ``out`` exists and holds something else; or the detector has no networks.
        ModelError: The packages of the extra ``onnx`` are missing, or a file gives other values than PyTorch.
    """
    onnx_files.require_packages()
    description, settings = read_description(detector)
    if not description.has_networks:
        raise DetectorError(f"{detector}: has no networks to export; it already runs without PyTorch")
    if out and out.exists() and not (out / runtime.INDEX).is_file():
        raise DetectorError(f"{out}: exists and holds no {runtime.INDEX}; give another folder")
    described, out = {}, out or detector / runtime.FOLDER
    atomic.sweep(out.parent, deep=False, name=out.name)
    with atomic.writing(out, folder=True) as folder:
        for name, module, samples, outputs in list_networks(description, settings, detector):
            content, worst = onnx_files.write(module, samples, outputs, folder / name)
            described[name] = runtime.File(
                samples=samples, outputs=outputs, difference=worst, digest=runtime.digest(content)
            )
        index = runtime.Index(
            detector=runtime.identity(detector),
            sample_rate=settings.data.sample_rate,
            sections=description.sections,
            files=described,
        )
        atomic.write_json(index.model_dump(mode="json"), folder / runtime.INDEX)
    return [out / name for name in described]
