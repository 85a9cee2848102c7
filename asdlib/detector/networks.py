"""The trained networks of both branches on one window that they have never seen.

Both branches' own functions score it (:mod:`asdlib.autoencoder.scorer`, :mod:`asdlib.classifier.scorer`), from what
their trainings stored: Gaussians of normal clips. No other clip is needed.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from asdlib import paths, training
from asdlib.autoencoder import scorer as autoencoder_scorer
from asdlib.autoencoder.reconstruct import Reconstructor
from asdlib.classifier import embeddings, model
from asdlib.classifier import scorer as classifier_scorer
from asdlib.classifier.train import FILES, STAGES
from asdlib.data.audio import Waveforms
from asdlib.detector.folder import MACHINE
from asdlib.gaussian import Gaussian

CENTROIDS, NORMAL = "centroids.safetensors", "normal.safetensors"
CLIP_COLUMNS = ["machine", "section", "domain", "split", "label", "clip", "attributes"]


def alone(samples: np.ndarray, section: str, domain: str) -> Waveforms:
    """One window as the clips of a machine type; named by its content, so that its file name changes nothing."""
    name = hashlib.sha256(np.ascontiguousarray(samples, "<i2").tobytes()).hexdigest()[:16]
    clips = pd.DataFrame([[MACHINE, section, domain, "test", "unknown", name, ""]], columns=CLIP_COLUMNS)
    return Waveforms(clips.assign(start=0, samples=len(samples)), samples, name)


@dataclass(frozen=True)
class TrainedAutoencoder:
    """One candidate of the autoencoder branch."""

    net: Reconstructor
    gaussians: dict[str, Gaussian]

    @classmethod
    def load(cls, settings, candidate: str, sections: list[str], folder: Path) -> "TrainedAutoencoder":
        """Load what ``folder`` holds, a candidate's folder of a run or of a detector."""
        nothing = Waveforms(pd.DataFrame(columns=CLIP_COLUMNS), np.zeros(0, np.int16), "")
        file, none = folder / "model.safetensors", np.zeros(0, int)
        net = Reconstructor.restore(settings, MACHINE, candidate, file, sections, nothing, none, none)
        return cls(net, autoencoder_scorer.load(folder / "scorers.safetensors"))

    def __call__(self, window: Waveforms) -> tuple[float, np.ndarray, np.ndarray]:
        """The score of a window, the scores of its frames, and their signed errors in standardised log-mel."""
        options, clip = self.net.branch.scorer, window.clips.iloc[0]
        error = next(replace(self.net, waveforms=window).errors([0], autoencoder_scorer.kinds(options)))
        where = clip["section"], clip["domain"]
        values = autoencoder_scorer.of_clip(error, self.gaussians, *where, options)
        frames = self.gaussians[autoencoder_scorer.group_of(*where, options.groups)].surprise(error[options.errors])
        return values[options.variants[0]], frames, error["signed"][:, : self.net.log_mel.n_mels]


@dataclass(frozen=True)
class TrainedClassifier:
    """One candidate of the classifier branch, with the models of all sections."""

    candidate: str
    branch: object
    compute: training.Compute
    models: dict[tuple[str, str], model.Classifier]
    """by section and stage"""
    centroids: dict[tuple[str, str], np.ndarray]
    """of :mod:`asdlib.classifier.embeddings`, (2, D), by section and stage"""
    normal: classifier_scorer.Normal

    @classmethod
    def load(cls, settings, candidate: str, sections: list[str], folder: Path) -> "TrainedClassifier":
        """Load what :func:`keep_classifier` wrote."""
        branch, compute = settings.candidate("classifier", candidate), training.compute(settings)
        models = {
            (section, stage): model.load(folder / section / file, branch, settings.data.sample_rate).to(compute.device)
            for section in sections
            for stage, file in FILES.items()
            if (folder / section / file).is_file()
        }
        arrays = load_file(folder / CENTROIDS)
        centroids = {key: arrays["/".join(key)] for key in models}
        return cls(candidate, branch, compute, models, centroids, classifier_scorer.Normal.load(folder / NORMAL))

    def __call__(self, window: Waveforms) -> float:
        """The score of a window."""
        first = self.branch.scorer.model_copy(update={"variants": self.branch.scorer.variants[:1]})
        clip = window.clips[embeddings.CLIP]
        section, domain = clip["section"].iat[0], clip["domain"].iat[0]
        key = section, classifier_scorer.stage_of(first.variants[0], domain, (section, STAGES[1]) in self.models)
        measures, vector = embeddings.embed(self.models[key], window, np.array([0]), self.branch, self.compute)
        row = embeddings.with_distances(measures, vector, self.centroids[key])
        table = pd.concat([clip, row], axis=1).assign(model=section, stage=key[1], kind="section")
        scores = classifier_scorer.variants(table, vector.astype(np.float32), self.candidate, first, self.normal)
        return float(scores["score"].iat[0])


def keep_autoencoder(settings, candidate: str, folder: Path) -> None:
    """Copy what scoring needs of a candidate from its run to ``folder``."""
    source = paths.Run.of(settings).system("autoencoder", MACHINE, candidate)
    _copy(source, folder, ["model.safetensors", "scorers.safetensors"])


def keep_classifier(settings, candidate: str, sections: list[str], folder: Path) -> None:
    """Write what scoring needs of a candidate of a run to ``folder``: models, centroids and Gaussians."""
    run = paths.Run.of(settings)
    for section in sections:
        source = run.system("classifier", MACHINE, candidate, section)
        _copy(source, folder / section, [name for name in FILES.values() if (source / name).is_file()])
    branch = settings.candidate("classifier", candidate)
    table, embedding = embeddings.read(settings, MACHINE, candidate)
    own = table.index[table["kind"] == "centroid"]
    groups = table.loc[own].groupby(["model", "stage"]).groups
    save_file({"/".join(key): embedding[rows].astype(np.float64) for key, rows in groups.items()}, folder / CENTROIDS)
    classifier_scorer.Normal.fit(table, embedding, branch.scorer.target_shift).save(folder / NORMAL)


def _copy(source: Path, folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes((source / name).read_bytes())
