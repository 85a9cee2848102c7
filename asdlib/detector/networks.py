"""Score one window with the trained networks of both branches and with statistics, and no other clip.

Either back-end runs the networks: PyTorch (:mod:`asdlib.detector.pytorch`) or ONNX Runtime
(:mod:`asdlib.detector.runtime`), both of which follow :class:`Backend`. The branches' own functions turn the outputs
into scores (:mod:`.frame_to_clip_scores`, :mod:`.posterior_and_distance`), with the statistics of normal clips that
training stored.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from safetensors.numpy import load_file

from asdlib import origin, params
from asdlib.autoencoder import frame_to_clip_scores
from asdlib.classifier import FILES, STAGES, posterior_and_distance
from asdlib.classifier.reference_statistics import ReferenceStatistics
from asdlib.classifier.window_outputs import Outputs, compute_outputs, mean_embeddings, measure
from asdlib.detector.calibration import STATISTICS
from asdlib.detector.statistics import Bands, Statistics
from asdlib.errors import ScoreError
from asdlib.gaussian import Gaussian

CENTROIDS, NORMAL, SCORERS = "centroids.safetensors", "normal.safetensors", "scorers.safetensors"


class Backend(Protocol):
    """Runs trained networks, named by candidate, section (two digits) and stage."""

    def errors(self, candidate: str, samples: np.ndarray, section: str, kinds: Sequence[str]) -> dict[str, np.ndarray]:
        """Return an autoencoder's reconstruction errors of a window, ``(frames, dims)`` per kind.

        Args:
            candidate: Name of the candidate.
            samples: The window, int16, ``(samples,)``.
            section: Section of the window.
            kinds: Errors to compute (:meth:`asdlib.autoencoder.reconstruction_errors.TrainedAutoencoder.errors`).
        """

    def outputs(self, candidate: str, section: str, stage: str, windows: np.ndarray) -> Outputs:
        """Return a classifier's logits and embeddings of int16 windows, ``(windows, samples)``.

        Args:
            candidate: Name of the candidate.
            section: Section of the model.
            stage: Stage of the model, of :data:`asdlib.classifier.STAGES`.
            windows: The windows.
        """


@dataclass(frozen=True)
class Window:
    """A piece of a recording, as long as the clips that the networks learnt from."""

    samples: np.ndarray
    """int16, (samples,)"""
    section: str
    """two digits"""
    domain: str
    """``source``, or ``target`` under changed conditions"""


def with_one_variant(settings, branch: str, kind: str = origin.EXTENSION):
    """Return a candidate's settings whose scorer has only the variant that is used without labels.

    Args:
        settings: Settings of a candidate.
        branch: ``autoencoder`` or ``classifier``.
        kind: Whether the variant is the paper's or our extension (:func:`asdlib.origin.first`).
    """
    chosen = [origin.first(branch, settings.scorer.variants, kind)]
    return settings.model_copy(update={"scorer": settings.scorer.model_copy(update={"variants": chosen})})


@dataclass(frozen=True)
class AutoencoderCandidate:
    """Scores windows with one autoencoder."""

    name: str
    settings: params.Autoencoder
    """with one variant of the score"""
    step: float
    """seconds between frames"""
    backend: Backend
    gaussians: dict[str, Gaussian]

    @classmethod
    def load(
        cls, settings, name: str, backend: Backend, folder: Path, kind: str = origin.EXTENSION
    ) -> "AutoencoderCandidate":
        """Load the Gaussians in a candidate's folder of a run or of a detector.

        Args:
            settings: :class:`asdlib.params.settings.Settings`.
            name: Name of the candidate.
            backend: What runs its network.
            folder: The folder.
            kind: As in :func:`with_one_variant`.
        """
        branch = settings.candidate("autoencoder", name)
        step = branch.features.hop_length / settings.data.sample_rate
        gaussians = frame_to_clip_scores.load(folder / SCORERS)
        return cls(name, with_one_variant(branch, "autoencoder", kind), step, backend, gaussians)

    def score(self, window: Window) -> tuple[float, np.ndarray, np.ndarray]:
        """Return the score of a window, the scores of its frames, and their signed errors in standardised log-mel."""
        options, where = self.settings.scorer, (window.section, window.domain)
        error = self.backend.errors(
            self.name, window.samples, window.section, frame_to_clip_scores.error_kinds(options)
        )
        (value,) = frame_to_clip_scores.score_clip(error, self.gaussians, *where, options).values()
        frames = frame_to_clip_scores.score_frames(error, self.gaussians, *where, options)
        signed = error["signed"][:, : self.settings.features.n_mels]
        edge = (1 + len(window.samples) // self.settings.features.hop_length - len(frames)) // 2  # frames left out
        return value, np.pad(frames, edge, mode="edge"), np.pad(signed, ((edge, edge), (0, 0)), mode="edge")


@dataclass(frozen=True)
class ClassifierCandidate:
    """Scores windows with the classifiers of all sections."""

    name: str
    settings: params.Classifier
    """with one variant of the score"""
    backend: Backend
    centroids: dict[tuple[str, str], np.ndarray]
    """of :mod:`asdlib.classifier.clip_outputs`, (2, D), by section and stage"""
    reference: ReferenceStatistics

    @classmethod
    def load(cls, settings, name: str, backend: Backend, folder: Path) -> "ClassifierCandidate":
        """Load what :func:`asdlib.detector.make.write_classifier` wrote; arguments as for the other branch."""
        branch = with_one_variant(settings.candidate("classifier", name), "classifier")
        centroids = {tuple(key.split("/")): array for key, array in load_file(folder / CENTROIDS).items()}
        return cls(name, branch, backend, centroids, ReferenceStatistics.load(folder / NORMAL))

    def score(self, window: Window) -> float:
        """Return the score of a window."""
        (variant,) = self.settings.scorer.variants
        tuned = (window.section, STAGES[1]) in self.centroids
        key = window.section, posterior_and_distance.choose_stage(variant, window.domain, tuned)
        network = functools.partial(self.backend.outputs, self.name, *key)
        outputs = compute_outputs(network, [window.samples], self.settings)
        row = measure(outputs, self.centroids[key]).assign(model=key[0], stage=key[1], domain=window.domain)
        embedding = mean_embeddings(outputs).astype(np.float32)
        return float(posterior_and_distance.score_rows(row, embedding, variant, self.reference)[0])


@dataclass(frozen=True)
class Measurement:
    """Outputs of networks and statistics for one window."""

    window: Window
    scores: dict[str, float]
    """score by system, ``<branch>/<candidate>``"""
    frames: np.ndarray | None
    """frame scores of the first autoencoder, if any, (frames,)"""
    errors: np.ndarray | None
    """its signed errors, (frames, mels)"""
    spectrum: np.ndarray
    """log-mel spectrum in dB, (frames, bands)"""
    statistics: Statistics | None
    """statistics with which it is compared, if any"""


def measure_window(
    autoencoders: dict[str, AutoencoderCandidate],
    classifiers: dict[str, ClassifierCandidate],
    statistics: dict[tuple[str, str, int], Statistics],
    bands: Bands,
    window: Window,
) -> Measurement:
    """Score a window with every candidate, and with the statistics of its section, domain and length if there are any.

    Raises:
        ScoreError: A score is not finite.
    """
    measured = {f"autoencoder/{name}": net.score(window) for name, net in autoencoders.items()}
    values = {system: value for system, (value, _, _) in measured.items()}
    _, frames, errors = next(iter(measured.values()), (None, None, None))
    values |= {f"classifier/{name}": net.score(window) for name, net in classifiers.items()}
    samples = len(window.samples)
    own = statistics.get((window.section, window.domain, samples), statistics.get((window.section, "source", samples)))
    spectrum = bands(window.samples)
    if own is not None:
        values |= {f"{STATISTICS}/{name}": value for name, value in own.score(spectrum, bands.step).items()}
    for system, value in values.items():
        if not np.isfinite(value):
            raise ScoreError(f"the score of {system} is {value}; expected a finite number; fit the detector again")
    return Measurement(window, values, frames, errors, spectrum, own)


def classifier_files(folder: Path, candidate: str, sections: list[str]) -> dict[tuple[str, str], Path]:
    """Return the model files of a classifier candidate in a detector's folder, by section and stage."""
    place = folder / "classifier" / candidate
    files = {(section, stage): place / section / file for section in sections for stage, file in FILES.items()}
    return {key: file for key, file in files.items() if file.is_file()}
