"""Run a detector's networks with ONNX Runtime, from the files that ``python -m asdlib onnx`` wrote to its folder.

Then PyTorch need not be installed, and the first verdict does not wait two seconds for its import. ONNX Runtime
computes on the CPU, whatever the device of the settings.
"""

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import xxhash
from pydantic import Field

from asdlib import atomic, params
from asdlib.autoencoder.frame_to_clip_scores import check_finite
from asdlib.classifier import FILES
from asdlib.classifier.window_outputs import Outputs
from asdlib.detector.description import Description, readable
from asdlib.detector.networks import classifier_files
from asdlib.onnx_session import open_session
from asdlib.units import FULL_SCALE

FOLDER, INDEX = "onnx", "onnx.json"


class File(params.Strict):
    """Description of one ONNX file."""

    samples: Annotated[int, Field(gt=0)]
    """length of its input"""
    outputs: Annotated[list[str], Field(min_length=1)]
    difference: float
    """largest difference from PyTorch, as a share of the mean magnitude of an output"""
    digest: str
    """hash of the file (:func:`digest`)"""


class Index(params.Strict):
    """Content of ``onnx.json``."""

    detector: str
    """the detector that the files belong to (:func:`identity`)"""
    sample_rate: Annotated[int, Field(gt=0)]
    sections: list[str]
    files: dict[str, File]


def autoencoder_file(candidate: str, section: str, samples: int) -> str:
    """Return the name of the file of a candidate of the autoencoder branch, for windows of ``samples`` samples."""
    return f"autoencoder.{candidate}.{section}.{samples}.onnx"


def classifier_file(candidate: str, section: str, stage: str) -> str:
    """Return the name of the file of a candidate of the classifier branch."""
    return f"classifier.{candidate}.{section}.{Path(FILES[stage]).stem}.onnx"


def identity(folder: Path) -> str:
    """Return a hash that identifies a detector: that of ``detector.json``, which says when and how it was made."""
    return digest((folder / "detector.json").read_bytes())


def is_usable(folder: Path) -> bool:
    """Return whether a detector's folder has ONNX files and ONNX Runtime is installed."""
    return (folder / FOLDER / INDEX).is_file() and is_installed()


def adopt_files(folder: Path) -> None:
    """Record that the ONNX files in a detector's folder, if any, belong to the detector as it is described now."""
    if (folder / FOLDER / INDEX).is_file():
        index = _read_index(folder / FOLDER / INDEX).model_copy(update={"detector": identity(folder)})
        atomic.write_json(index.model_dump(mode="json"), folder / FOLDER / INDEX)


def is_installed() -> bool:
    """Return whether ONNX Runtime is installed."""
    return importlib.util.find_spec("onnxruntime") is not None


def digest(content: bytes) -> str:
    """Return the XXH3 hash of a file's content, which detects damaged or mistaken files, but not forged ones."""
    return xxhash.xxh3_128_hexdigest(content)


def _read_index(path: Path) -> Index:
    try:
        return Index.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{path.name} is damaged, or of another version of asdlib") from None


class OnnxRuntime:
    """Networks in ONNX files as a :class:`asdlib.detector.networks.Backend`.

    Args:
        settings: Settings of the detector.
        description: Description of the detector.
        folder: Folder of the detector.

    Raises:
        DetectorError: The files are damaged, or belong to another detector.
    """

    def __init__(self, settings, description: Description, folder: Path):
        self.folder, self.threads = folder, settings.threads
        advice = f"delete that folder, or write it again with python -m asdlib onnx {folder}"
        self._readable = functools.partial(readable, folder / FOLDER, "cannot be used", advice)
        with self._readable():
            index = _read_index(folder / FOLDER / INDEX)
            self.files = index.files
            if identity(folder) != index.detector:
                raise ValueError("the files belong to another detector")
            expected = {
                autoencoder_file(name, section, samples)
                for name in description.autoencoder
                for section in description.codes
                for samples in description.samples(settings.data.sample_rate)
            }
            expected |= {
                classifier_file(name, *key)
                for name in description.classifier
                for key in classifier_files(folder, name, description.codes)
            }
            if set(self.files) != expected:
                raise ValueError("there is not one file for each network")
            self._contents = {name: self._read(name) for name in self.files}
        self._sessions: dict[str, object] = {}  # loaded when first needed: a detector may never see some lengths

    def errors(self, candidate: str, samples: np.ndarray, section: str, kinds: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the errors of a window; see the protocol."""
        values = self._run(autoencoder_file(candidate, section, len(samples)), samples)
        return check_finite({kind: values[kind] for kind in kinds}, "of a recording")

    def outputs(self, candidate: str, section: str, stage: str, windows: np.ndarray) -> Outputs:
        """Return the outputs for windows; see the protocol."""
        values = [self._run(classifier_file(candidate, section, stage), window) for window in windows]
        logit, embedding = (np.stack([value[key] for value in values]) for key in ("logit", "embedding"))
        return logit.astype(np.float64), embedding.astype(np.float64)

    def _run(self, name: str, samples: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs of a file for int16 samples, by name."""
        waveform, outputs = samples.astype(np.float32) / FULL_SCALE, self.files[name].outputs
        with self._readable():
            if name not in self._sessions:
                self._sessions[name] = open_session(self._contents.pop(name), self.threads)
            return dict(zip(outputs, self._sessions[name].run(outputs, {"waveform": waveform}), strict=True))

    def _read(self, name: str) -> bytes:
        content = (self.folder / FOLDER / name).read_bytes()
        if digest(content) != self.files[name].digest:
            raise ValueError(f"{name} was changed after it was written")
        return content
