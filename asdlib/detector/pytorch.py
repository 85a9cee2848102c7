"""Run a detector's networks with PyTorch, on the device of the settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asdlib.autoencoder.reconstruction_errors import TrainedAutoencoder
from asdlib.classifier.model import TrainedClassifier
from asdlib.classifier.window_outputs import Outputs
from asdlib.compute import resolve_compute
from asdlib.detector.networks import classifier_files
from asdlib.detector.recordings import MACHINE
from asdlib.errors import DetectorError


@dataclass(frozen=True)
class PyTorch:
    """Trained networks as a :class:`asdlib.detector.networks.Backend`."""

    sections: list[str]
    """sections that the autoencoders were trained on, in order"""
    autoencoders: dict[str, TrainedAutoencoder]
    """by candidate"""
    classifiers: dict[tuple[str, str, str], TrainedClassifier]
    """by candidate, section and stage"""
    mask_key: str | None = None
    """mask key of every window; by default :func:`mask_key` of its section"""

    @classmethod
    def load(cls, settings, description, folder: Path) -> "PyTorch":
        """Load the networks in a detector's folder.

        Args:
            settings: Settings of the detector.
            description: :class:`asdlib.detector.description.Description` of the detector.
            folder: The folder.
        """
        sections, compute = description.codes, resolve_compute(settings)
        autoencoders = {
            name: TrainedAutoencoder.load(
                folder / "autoencoder" / name / "model.safetensors", settings, MACHINE, name, len(sections)
            )
            for name in description.autoencoder
        }
        classifiers = {
            (name, *key): TrainedClassifier.load(
                file, settings.candidate("classifier", name), settings.data.sample_rate, compute
            )
            for name in description.classifier
            for key, file in classifier_files(folder, name, sections).items()
        }
        return cls(sections, autoencoders, classifiers)

    def errors(self, candidate: str, samples: np.ndarray, section: str, kinds: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the errors of a window; see the protocol."""
        key = self.mask_key or mask_key(section)
        return next(self.autoencoders[candidate].errors([samples], [self.sections.index(section)], [key], kinds))

    def outputs(self, candidate: str, section: str, stage: str, windows: np.ndarray) -> Outputs:
        """Return the outputs for windows; see the protocol."""
        key = candidate, section, stage
        if key not in self.classifiers:
            raise DetectorError(f"the detector lacks the classifier {', '.join(key)}; make or copy it again")
        return self.classifiers[key](windows)


def mask_key(section: str) -> str:
    """Return the mask key of all windows of a section: an ONNX file holds the masks that it draws."""
    return f"{section}/test/window"
