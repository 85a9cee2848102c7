"""A detector's networks, run by ONNX Runtime from the files that ``python -m asdlib onnx`` has put into its folder.

PyTorch takes two seconds to import, for which a first answer then need not wait, and it need not be installed. The CPU
computes, whatever the device of the settings.
"""

import contextlib
import functools
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import xxhash
from pydantic import Field

from asdlib import atomic, params, scores
from asdlib.classifier import FILES
from asdlib.data.audio import Waveforms
from asdlib.detector.networks import classifier_models
from asdlib.errors import DetectorError
from asdlib.units import FULL_SCALE

FOLDER, INDEX = "onnx", "onnx.json"


class File(params.Strict):
    """What a file takes and gives."""

    samples: Annotated[int, Field(gt=0)]
    """of a window"""
    outputs: Annotated[list[str], Field(min_length=1)]
    difference: float
    """largest from PyTorch, over the mean magnitude of an output"""
    digest: str
    """of the file's content, as :func:`digest` gives it"""


class Index(params.Strict):
    """``onnx.json``."""

    detector: str
    """which one the files are of, as :func:`identity` gives it"""
    sample_rate: Annotated[int, Field(gt=0)]
    sections: list[str]
    files: dict[str, File]


def autoencoder_file(candidate: str, section: str, samples: int) -> str:
    """Return the name of the file of a candidate of the autoencoder branch, for windows of so many samples."""
    return f"autoencoder.{candidate}.{section}.{samples}.onnx"


def classifier_file(candidate: str, section: str, stage: str) -> str:
    """Name of the file of a candidate of the classifier branch."""
    return f"classifier.{candidate}.{section}.{Path(FILES[stage]).stem}.onnx"


def identity(folder: Path) -> str:
    """What tells a detector from any other: a hash of ``detector.json``, which says when it was made, and of what."""
    return digest((folder / "detector.json").read_bytes())


def there(folder: Path) -> bool:
    """Whether a detector's folder has ONNX files and there is a runtime for them."""
    return (folder / FOLDER / INDEX).is_file() and installed()


def adopt(folder: Path) -> None:
    """Make the ONNX files of a detector, if there are some, those of the detector as it is now described."""
    if (folder / FOLDER / INDEX).is_file():
        index = _index(folder / FOLDER / INDEX).model_copy(update={"detector": identity(folder)})
        atomic.write_json(index.model_dump(mode="json"), folder / FOLDER / INDEX)


def installed() -> bool:
    """Whether ONNX Runtime is installed."""
    return importlib.util.find_spec("onnxruntime") is not None


def digest(content: bytes) -> str:
    """XXH3 of a file's content: tells damaged or other files, not forged ones."""
    return xxhash.xxh3_128_hexdigest(content)


def session(content: bytes, threads: int):
    """A file's content, loaded by ONNX Runtime."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it would tell its makers that it is used
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _index(path: Path) -> Index:
    try:
        return Index.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{path.name} is damaged, or of another version of asdlib") from None


class OnnxRuntime:
    """The networks that a detector's folder holds, as :mod:`asdlib.detector.networks` wants them.

    Args:
        settings: Of the detector.
        facts: :class:`asdlib.detector.store.Facts`.
        folder: Of the detector.

    Raises:
        DetectorError: The files are damaged, or of another detector.
    """

    def __init__(self, settings, facts, folder: Path):
        self.settings, self.facts, self.folder = settings, facts, folder
        with self._explained():
            index = _index(folder / FOLDER / INDEX)
            self.files, self.detector = index.files, index.detector
            if identity(folder) != self.detector:
                raise ValueError("the files are of another detector")
            expected = {
                autoencoder_file(name, section, samples)
                for name in facts.autoencoder
                for section in facts.codes
                for samples in facts.samples(settings.data.sample_rate)
            }
            self.networks = {
                (name, *key): classifier_file(name, *key)
                for name in facts.classifier
                for key in classifier_models(folder, name, facts.codes)
            }
            if set(self.files) != expected | set(self.networks.values()):
                raise ValueError("not a file for each network")
            self.contents = {name: self._content(name) for name in self.files}
        self.sessions: dict[str, object] = {}  # a window length that never comes costs no time

    def __reduce__(self):
        return OnnxRuntime, (self.settings, self.facts, self.folder)  # opened again where it is unpickled

    def errors(self, candidate: str) -> Callable[[Waveforms], dict[str, np.ndarray]]:
        """For :class:`asdlib.detector.networks.TrainedAutoencoder`."""
        return functools.partial(self._errors, candidate)

    def embedders(self, candidate: str) -> dict[tuple[str, str], Callable]:
        """For :class:`asdlib.detector.networks.TrainedClassifier`."""
        return {
            (section, stage): functools.partial(self._embed, file)
            for (name, section, stage), file in self.networks.items()
            if name == candidate
        }

    def _errors(self, candidate: str, window: Waveforms) -> dict[str, np.ndarray]:
        name = autoencoder_file(candidate, window.clips["section"].iat[0], len(window.samples))
        values = self._run(name, window.samples)
        return {kind: scores.finite(window.clips, value[None], "the error")[0] for kind, value in values.items()}

    def _embed(self, name: str, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs = [self._run(name, window) for window in windows]
        logit, embedding = (np.stack([output[key] for output in outputs]) for key in ("logit", "embedding"))
        return logit.astype(np.float64), embedding.astype(np.float64)

    def _run(self, name: str, samples: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs of a file by name, for int16 samples."""
        waveform, outputs = samples.astype(np.float32) / FULL_SCALE, self.files[name].outputs
        with self._explained():
            if name not in self.sessions:
                self.sessions[name] = session(self.contents.pop(name), self.settings.threads)
            return dict(zip(outputs, self.sessions[name].run(outputs, {"waveform": waveform}), strict=True))

    def _content(self, name: str) -> bytes:
        content = (self.folder / FOLDER / name).read_bytes()
        if digest(content) != self.files[name].digest:
            raise ValueError(f"{name} is not as it was written")
        return content

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Whatever damaged files make the libraries say, with what to do."""
        try:
            yield
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise DetectorError(
                f"{self.folder / FOLDER}: cannot be used ({reason}); delete that folder, or write it again with "
                f"python -m asdlib onnx {self.folder}"
            ) from None
