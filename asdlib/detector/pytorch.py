"""A detector's networks, run by PyTorch on the device of the settings."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import training
from asdlib.autoencoder import scorer
from asdlib.autoencoder.reconstruct import Reconstructor
from asdlib.classifier import model
from asdlib.data.audio import Waveforms
from asdlib.detector.networks import CLIP_COLUMNS, classifier_models
from asdlib.detector.recordings import MACHINE


class PyTorch:
    """The networks that a detector's folder holds, as :mod:`asdlib.detector.networks` wants them.

    Args:
        settings: Of the detector.
        facts: :class:`asdlib.detector.store.Facts`.
        folder: Of the detector.
    """

    def __init__(self, settings, facts, folder: Path):
        self.settings, self.sections, self.folder = settings, facts.codes, folder

    def reconstructor(self, candidate: str) -> Reconstructor:
        """A candidate of the autoencoder branch, without clips."""
        file = self.folder / "autoencoder" / candidate / "model.safetensors"
        nothing, none = Waveforms(pd.DataFrame(columns=CLIP_COLUMNS), np.zeros(0, np.int16), ""), np.zeros(0, int)
        return Reconstructor.restore(self.settings, MACHINE, candidate, file, self.sections, nothing, none, none)

    def classifiers(self, candidate: str) -> dict[tuple[str, str], model.Classifier]:
        """A candidate of the classifier branch, by section and stage."""
        branch, compute = self.settings.candidate("classifier", candidate), training.compute(self.settings)
        return {
            key: model.load(file, branch, self.settings.data.sample_rate).to(compute.device)
            for key, file in classifier_models(self.folder, candidate, self.sections).items()
        }

    def errors(self, candidate: str) -> Callable[[Waveforms], dict[str, np.ndarray]]:
        """For :class:`asdlib.detector.networks.TrainedAutoencoder`."""
        return functools.partial(_errors, self.reconstructor(candidate))

    def embedders(self, candidate: str) -> dict[tuple[str, str], Callable]:
        """For :class:`asdlib.detector.networks.TrainedClassifier`."""
        compute = training.compute(self.settings)
        return {key: model.Runner(network, compute) for key, network in self.classifiers(candidate).items()}


def _errors(net: Reconstructor, window: Waveforms) -> dict[str, np.ndarray]:
    kinds = scorer.kinds(scorer.without_labels(net.branch.scorer))
    return next(replace(net, waveforms=window).errors([0], kinds))
