"""A detector's networks, run by ONNX Runtime from the files that ``python -m asdlib onnx`` has put into its folder.

PyTorch takes two seconds to import, for which a first answer then need not wait. Only a window of another length than
the files' wants it.
"""

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from asdlib import params, scores
from asdlib.classifier import FILES
from asdlib.data.audio import FULL_SCALE, Waveforms
from asdlib.detector import DetectorError

FOLDER, INDEX = "onnx", "onnx.json"


class File(params.Strict):
    """What a file takes and gives."""

    samples: Annotated[int, Field(gt=0)]
    """of a window"""
    outputs: Annotated[list[str], Field(min_length=1)]
    difference: float
    """largest from PyTorch, over the mean magnitude of an output"""


class Index(params.Strict):
    """``onnx.json``."""

    sample_rate: Annotated[int, Field(gt=0)]
    sections: list[str]
    files: dict[str, File]


def autoencoder_file(candidate: str, section: str) -> str:
    """Name of the file of a candidate of the autoencoder branch."""
    return f"autoencoder.{candidate}.{section}.onnx"


def classifier_file(candidate: str, section: str, stage: str) -> str:
    """Name of the file of a candidate of the classifier branch."""
    return f"classifier.{candidate}.{section}.{Path(FILES[stage]).stem}.onnx"


def there(folder: Path) -> bool:
    """Whether a detector's folder has ONNX files and they can be run."""
    return (folder / FOLDER / INDEX).is_file() and importlib.util.find_spec("onnxruntime") is not None


class OnnxRuntime:
    """The networks that a detector's folder holds, as :mod:`asdlib.detector.networks` wants them.

    Args:
        settings: Of the detector.
        sections: As two digits.
        folder: Of the detector.
    """

    def __init__(self, settings, sections: list[str], folder: Path):
        self.settings, self.sections, self.folder = settings, sections, folder
        self._session, self._otherwise = functools.cache(self._open), functools.cache(self._pytorch)
        self.files = Index.model_validate_json((folder / FOLDER / INDEX).read_text(encoding="utf-8")).files

    def errors(self, candidate: str) -> Callable[[Waveforms], dict[str, np.ndarray]]:
        """For :class:`asdlib.detector.networks.TrainedAutoencoder`."""

        def run(window: Waveforms) -> dict[str, np.ndarray]:
            name = autoencoder_file(candidate, window.clips["section"].iat[0])
            if len(window.samples) != self.files[name].samples:
                return self._otherwise(candidate)(window)
            values = self._run(name, window.samples)
            return {kind: scores.finite(window.clips, value[None], "the error")[0] for kind, value in values.items()}

        return run

    def embedders(self, candidate: str) -> dict[tuple[str, str], Callable]:
        """For :class:`asdlib.detector.networks.TrainedClassifier`."""

        def run(name: str, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            outputs = [self._run(name, window) for window in windows]
            logit, embedding = (np.stack([output[key] for output in outputs]) for key in ("logit", "embedding"))
            return logit.astype(np.float64), embedding.astype(np.float64)

        names = {
            (section, stage): classifier_file(candidate, section, stage) for section in self.sections for stage in FILES
        }
        return {key: functools.partial(run, name) for key, name in names.items() if name in self.files}

    def _run(self, name: str, samples: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs of a file by name, for int16 samples."""
        waveform = samples.astype(np.float32) / FULL_SCALE
        return dict(zip(self.files[name].outputs, self._session(name).run(None, {"waveform": waveform}), strict=True))

    def _open(self, name: str):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.settings.threads
        file = self.folder / FOLDER / name
        try:
            return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # whatever a damaged file makes it say
            reason = " ".join(str(error).split())[:300]
            raise DetectorError(
                f"{file}: cannot be read ({reason}); delete {self.folder / FOLDER}, or write it again with "
                f"python -m asdlib onnx {self.folder}"
            ) from None

    def _pytorch(self, candidate: str) -> Callable:
        from asdlib.detector.pytorch import PyTorch

        return PyTorch(self.settings, self.sections, self.folder).errors(candidate)
