"""The trained networks of both branches on one window that they have never seen.

A network is a function here, whether PyTorch runs it (:mod:`asdlib.detector.pytorch`) or ONNX Runtime
(:mod:`asdlib.detector.runtime`). Both branches' own functions score what it says (:mod:`asdlib.autoencoder.scorer`,
:mod:`asdlib.classifier.scorer`), with the Gaussians of normal clips that training stored. No other clip is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from asdlib import params, paths
from asdlib.autoencoder import scorer as autoencoder_scorer
from asdlib.classifier import FILES, STAGES, embeddings
from asdlib.classifier import scorer as classifier_scorer
from asdlib.data.audio import Waveforms
from asdlib.detector.recordings import MACHINE
from asdlib.gaussian import Gaussian

CENTROIDS, NORMAL, SCORERS = "centroids.safetensors", "normal.safetensors", "scorers.safetensors"
CLIP_COLUMNS = ["machine", "section", "domain", "split", "label", "clip", "attributes"]


def alone(samples: np.ndarray, section: str, domain: str) -> Waveforms:
    """One window as the clips of a machine type.

    All windows have one name, and an autoencoder's masks are drawn by it: every window of a length gets the same masks,
    which an ONNX file can hold.
    """
    clips = pd.DataFrame([[MACHINE, section, domain, "test", "unknown", "window", ""]], columns=CLIP_COLUMNS)
    return Waveforms(clips.assign(start=0, samples=len(samples)), samples, "window")


@dataclass(frozen=True)
class TrainedAutoencoder:
    """One candidate of the autoencoder branch."""

    branch: params.Autoencoder
    step: float
    """seconds between frames"""
    errors: Callable[[Waveforms], dict[str, np.ndarray]]
    """the network: a window to its errors, ``(frames, dims)`` for each of :func:`asdlib.autoencoder.scorer.kinds`"""
    gaussians: dict[str, Gaussian]

    @classmethod
    def load(cls, settings, candidate: str, errors: Callable, folder: Path) -> "TrainedAutoencoder":
        """Load the Gaussians in ``folder``, a candidate's folder of a run or of a detector."""
        branch = settings.candidate("autoencoder", candidate)
        step = branch.features.hop_length / settings.data.sample_rate
        return cls(branch, step, errors, autoencoder_scorer.load(folder / SCORERS))

    def __call__(self, window: Waveforms) -> tuple[float, np.ndarray, np.ndarray]:
        """The score of a window, the scores of its frames, and their signed errors in standardised log-mel."""
        options, clip = autoencoder_scorer.without_labels(self.branch.scorer), window.clips.iloc[0]
        error = self.errors(window)
        where = clip["section"], clip["domain"]
        (value,) = autoencoder_scorer.of_clip(error, self.gaussians, *where, options).values()
        frames = autoencoder_scorer.frame_scores(error, self.gaussians, *where, options)
        signed = error["signed"][:, : self.branch.features.n_mels]
        edge = (1 + len(window.samples) // self.branch.features.hop_length - len(frames)) // 2  # frames left out
        return value, np.pad(frames, edge, mode="edge"), np.pad(signed, ((edge, edge), (0, 0)), mode="edge")


@dataclass(frozen=True)
class TrainedClassifier:
    """One candidate of the classifier branch, with the networks of all sections."""

    candidate: str
    branch: params.Classifier
    networks: dict[tuple[str, str], Callable]
    """by section and stage, as :func:`asdlib.classifier.embeddings.embed` runs them"""
    centroids: dict[tuple[str, str], np.ndarray]
    """of :mod:`asdlib.classifier.embeddings`, (2, D), by section and stage"""
    normal: classifier_scorer.Normal

    @classmethod
    def load(
        cls, settings, candidate: str, networks: dict[tuple[str, str], Callable], folder: Path
    ) -> "TrainedClassifier":
        """Load what :func:`keep_classifier` wrote next to the networks."""
        branch, arrays = settings.candidate("classifier", candidate), load_file(folder / CENTROIDS)
        centroids = {key: arrays["/".join(key)] for key in networks}
        return cls(candidate, branch, networks, centroids, classifier_scorer.Normal.load(folder / NORMAL))

    def __call__(self, window: Waveforms) -> float:
        """The score of a window."""
        first = classifier_scorer.without_labels(self.branch.scorer)
        clip = window.clips[embeddings.CLIP]
        section, domain = clip["section"].iat[0], clip["domain"].iat[0]
        key = section, classifier_scorer.stage_of(first.variants[0], domain, (section, STAGES[1]) in self.networks)
        windows = embeddings.embed(self.networks[key], window, np.array([0]), self.branch)
        row, vector = embeddings.measures(windows, self.centroids[key]), embeddings.means(windows)
        table = pd.concat([clip, row], axis=1).assign(model=section, stage=key[1], kind="section", role="")
        scores = classifier_scorer.variants(table, vector.astype(np.float32), self.candidate, first, self.normal)
        return float(scores["score"].iat[0])


def classifier_models(folder: Path, candidate: str, sections: list[str]) -> dict[tuple[str, str], Path]:
    """The model files of a candidate of the classifier branch in a detector's folder, by section and stage."""
    place = folder / "classifier" / candidate
    files = {(section, stage): place / section / file for section in sections for stage, file in FILES.items()}
    return {key: file for key, file in files.items() if file.is_file()}


def keep_autoencoder(settings, candidate: str, folder: Path) -> None:
    """Copy what scoring needs of a candidate from its run to ``folder``."""
    source = paths.Run.of(settings).system("autoencoder", MACHINE, candidate)
    _copy(source, folder, ["model.safetensors", SCORERS])


def keep_classifier(settings, candidate: str, sections: list[str], folder: Path) -> None:
    """Write what scoring needs of a candidate of a run to ``folder``: networks, centroids and Gaussians."""
    run = paths.Run.of(settings)
    for section in sections:
        source = run.system("classifier", MACHINE, candidate, section)
        _copy(source, folder / section, [name for name in FILES.values() if (source / name).is_file()])
    branch = settings.candidate("classifier", candidate)
    table, embedding = embeddings.read(settings, MACHINE, candidate)
    own = table.index[table["kind"] == "centroid"]
    groups = table.loc[own].groupby(["model", "stage"]).groups
    save_file({"/".join(key): embedding[rows].astype(np.float64) for key, rows in groups.items()}, folder / CENTROIDS)
    classifier_scorer.Normal.fit(table, embedding, branch.scorer).save(folder / NORMAL)


def _copy(source: Path, folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes((source / name).read_bytes())
