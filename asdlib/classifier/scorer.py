"""From posterior and distance to one anomaly score a clip (Sec. 2.2).

The variants, each a system of its own:

======================  ===============================================================================================
``adapted``             the paper's w (1 - posterior) + (1 - w) normalised distance to the normal centroid, averaged
                        over windows; the source model for source clips, the fine-tuned one for target clips
``source_model``        the same, the source model for all clips
``mahalanobis``         Mahalanobis distance of the mean embedding from the section's training clips; models as in
                        adapted
``source_mahalanobis``  the same, the source model for all clips
``posterior``           w = 1, by the logit, since the posterior ties where it saturates; models as in adapted
``distance``            w = 0, the distance alone; models as in adapted
======================  ===============================================================================================

Distances are normalised to mean 0 and variance 1 over the section's normal training clips under the same model, so the
score of a clip needs that clip only. With ``scorer.target_from: pseudo_target``, pseudo-target clips take the training
clips' place for target clips.
"""

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from asdlib import artefacts, paths, scores
from asdlib.artefacts import writing
from asdlib.classifier import STAGES, ClassifierError, embeddings
from asdlib.data import catalogue
from asdlib.data.audio import Waveforms
from asdlib.gaussian import Gaussian


def score(settings, machine: str, candidate: str) -> pd.DataFrame:
    """Score all clips of a machine type's planned sections, each section by its own models.

    Writes ``scores.csv``, ``embeddings.csv``, ``embeddings.npy`` (see :mod:`asdlib.classifier.embeddings`) and
    ``record.json``, all or nothing.

    Args:
        settings: :class:`asdlib.params.Settings`.
        machine: Machine type.
        candidate: Name in ``classifier_candidates``.

    Returns:
        The score table of all variants, systems ``classifier/<candidate>/<variant>``, in the order of the settings.

    Raises:
        ClassifierError: A section's models are missing or were trained with other settings.
    """
    from asdlib import training  # with PyTorch, which the rest of this module does without

    began = time.monotonic()
    branch, run, compute = (
        settings.candidate("classifier", candidate),
        paths.Run.of(settings),
        training.compute(settings),
    )
    sections = catalogue.plan(settings).machines.get(machine)
    if not sections:
        raise ClassifierError(f"{machine} has no section with labelled test clips, so there is nothing to score")
    parts = [embeddings.table(settings, machine, section, candidate, compute) for section in sections]
    table = pd.concat([part for part, _ in parts], ignore_index=True)
    embedding = scores.finite(table, np.concatenate([part for _, part in parts]), "the embedding")
    result = variants(table, embedding, candidate, branch.scorer)
    record = artefacts.record(
        branch.model_dump(mode="json"),
        seed=settings.seed + branch.seed,
        device=compute.describe(),
        data=Waveforms.open(run.data(machine)).fingerprint,
        seconds=time.monotonic() - began,
        precision=compute.precision,
    )
    with writing(run.system("classifier", machine, candidate), folder=True) as folder:
        scores.write(result, folder / "scores.csv")
        embeddings.write(table, embedding, folder)
        artefacts.write_json(record, folder / "record.json")
    return result


@dataclass(frozen=True)
class Normal:
    """What the normal clips are like that others are compared with: by model (section), stage and domain.

    The domain is ``source``, and ``target`` where pseudo-target clips take the training clips' place.
    """

    spreads: dict[tuple[str, str, str], tuple[float, float]]
    """mean and deviation of their distances to the normal centroid"""
    gaussians: dict[tuple[str, str, str], Gaussian]
    """of their embeddings (Ledoit-Wolf)"""

    @classmethod
    def fit(cls, table: pd.DataFrame, embedding: np.ndarray, target_shift: float) -> "Normal":
        """From the outputs of models, as in :func:`variants`.

        The Gaussian of pseudo-target clips is widened by ``target_shift`` times the shift that the target training
        clips still show (:meth:`asdlib.gaussian.Gaussian.widened`).
        """
        gaussians = {}
        for key, rows in _normal(table):
            gaussians[key] = Gaussian.fit(embedding[rows])
            model, stage, domain = key
            few = _training(table) & (table["model"] == model) & (table["stage"] == stage)
            few &= table["domain"] == "target"
            if domain == "target" and few.any():
                gaussians[key] = gaussians[key].widened(embedding[few], target_shift)
        return cls(_spreads(table), gaussians)

    def save(self, path: Path) -> None:
        """Write a safetensors file."""
        arrays = {}
        for key, gaussian in self.gaussians.items():
            name = "/".join(key)
            arrays[f"{name}/spread"] = np.array(self.spreads[key])
            arrays[f"{name}/mean"] = gaussian.mean
            arrays[f"{name}/cholesky"] = np.ascontiguousarray(gaussian.cholesky)
        with writing(path) as temporary:
            save_file(arrays, temporary)

    @classmethod
    def load(cls, path: Path) -> "Normal":
        """Read what :meth:`save` wrote."""
        arrays = load_file(path)
        keys = [tuple(name.split("/")[:3]) for name in arrays if name.endswith("/spread")]
        names = {key: "/".join(key) for key in keys}
        spreads = {
            key: (float(mean), float(deviation)) for key in keys for mean, deviation in [arrays[f"{names[key]}/spread"]]
        }
        gaussians = {key: Gaussian(arrays[f"{names[key]}/mean"], arrays[f"{names[key]}/cholesky"]) for key in keys}
        return cls(spreads, gaussians)


def variants(
    table: pd.DataFrame, embedding: np.ndarray, candidate: str, options, normal: Normal | None = None
) -> pd.DataFrame:
    """The score table of the variants, from the outputs of the models (:mod:`asdlib.classifier.embeddings`).

    Args:
        table: Outputs.
        embedding: One row for each row of ``table``.
        candidate: For the names of the systems.
        options: :class:`asdlib.params.ClassifierScorer`.
        normal: What to compare with; by default the normal clips of ``table``.
    """
    known = functools.cache(lambda: normal or Normal.fit(table, embedding, options.target_shift))
    distance = functools.cache(lambda: normalised(table, normal.spreads if normal else _spreads(table)))
    mixed = functools.cache(lambda: combined(table, distance(), options.weight))
    mahalanobis = functools.cache(lambda: distances(table, embedding, known().gaussians))
    both, source = adapted(table), _clips(table, STAGES[0])
    values = {  # functions: a variant that is not asked for costs nothing
        "adapted": (both, mixed),
        "source_model": (source, mixed),
        "mahalanobis": (both, mahalanobis),
        "source_mahalanobis": (source, mahalanobis),
        "posterior": (both, lambda: -table["logit"]),
        "distance": (both, distance),
    }
    frames = [
        scores.table(table[rows], f"classifier/{candidate}/{name}", value()[rows])
        for name, (rows, value) in ((name, values[name]) for name in options.variants)
    ]
    return pd.concat(frames, ignore_index=True)


def curve(table: pd.DataFrame, weights: np.ndarray) -> pd.DataFrame:
    """Score tables of the adapted variant for several weights w, which are the names of the systems."""
    rows, distance = adapted(table), normalised(table, _spreads(table))
    frames = [scores.table(table[rows], f"{weight:.2f}", combined(table, distance, weight)[rows]) for weight in weights]
    return pd.concat(frames, ignore_index=True)


def combined(table: pd.DataFrame, distance: pd.Series, weight: float) -> pd.Series:
    """w (1 - posterior) + (1 - w) normalised distance, a value a row of ``table``."""
    return weight * table["anomaly"] + (1 - weight) * distance


def normalised(table: pd.DataFrame, spreads: dict) -> pd.Series:
    """Distance to the normal centroid, of mean 0 and variance 1 over the normal clips that a clip is compared with."""
    result = pd.Series(0.0, index=table.index)
    for rows, (mean, deviation) in _compared(table, spreads):
        result[rows] = (table.loc[rows, "distance_normal"] - mean) / deviation
    return result


def distances(table: pd.DataFrame, embedding: np.ndarray, gaussians: dict) -> pd.Series:
    """Mahalanobis distance of each embedding from the normal clips that a clip is compared with."""
    result = pd.Series(0.0, index=table.index)
    for rows, gaussian in _compared(table, gaussians):
        result[rows] = gaussian.distance(embedding[rows])
    return result


def stage_of(variant: str, domain: str, tuned: bool) -> str:
    """The model that scores a clip: one of :data:`asdlib.classifier.STAGES`; ``tuned`` if there are both."""
    return STAGES[1] if tuned and domain == "target" and not variant.startswith("source_") else STAGES[0]


def adapted(table: pd.DataFrame) -> pd.Series:
    """Rows that the adapted variants use: source clips before fine-tuning, target clips after it (if there was any)."""
    tuned = table["model"].isin(table.loc[table["stage"] == STAGES[1], "model"])
    after = tuned & (table["domain"] == "target")
    return (_clips(table, STAGES[0]) & ~after) | (_clips(table, STAGES[1]) & after)


def _compared(table: pd.DataFrame, known: dict) -> Iterator[tuple[pd.Index, object]]:
    """The rows of each model, stage and domain, and what is known of the normal clips that they are compared with."""
    for (model, stage), part in table.groupby(["model", "stage"]):
        target = part["domain"] == "target"
        source = known[model, stage, "source"]
        yield part.index[~target], source
        yield part.index[target], known.get((model, stage, "target"), source)


def _normal(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.Index]]:
    """The keys of :class:`Normal`, and the rows of the normal clips that it is fitted to."""
    training = _training(table)
    for (model, stage), part in table.groupby(["model", "stage"]):
        yield (model, stage, "source"), part.index[training[part.index]]
        if (shifted := part["kind"] == "pseudo-target").any():
            yield (model, stage, "target"), part.index[shifted]


def _spreads(table: pd.DataFrame) -> dict[tuple[str, str, str], tuple[float, float]]:
    values = {key: table.loc[rows, "distance_normal"] for key, rows in _normal(table)}
    return {key: (float(value.mean()), max(float(value.std(ddof=0)), 1e-12)) for key, value in values.items()}


def _training(table: pd.DataFrame) -> pd.Series:
    return (table["kind"] == "section") & (table["split"] == "train") & (table["label"] == "normal")


def _clips(table: pd.DataFrame, stage: str) -> pd.Series:
    return (table["kind"] == "section") & (table["stage"] == stage)
