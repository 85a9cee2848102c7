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

import numpy as np
import pandas as pd

from asdlib import artefacts, paths, scores, training
from asdlib.artefacts import writing
from asdlib.classifier import embeddings
from asdlib.classifier.model import ClassifierError
from asdlib.classifier.train import STAGES
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


def variants(table: pd.DataFrame, embedding: np.ndarray, candidate: str, options) -> pd.DataFrame:
    """The score table of the variants, from the outputs of the models (:mod:`asdlib.classifier.embeddings`).

    Args:
        table: Outputs.
        embedding: One row for each row of ``table``.
        candidate: For the names of the systems.
        options: :class:`asdlib.params.ClassifierScorer`.
    """
    distance = functools.cache(lambda: normalised(table))
    mixed = functools.cache(lambda: combined(table, distance(), options.weight))
    mahalanobis = functools.cache(lambda: distances(table, embedding, options.target_shift))
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
    rows, distance = adapted(table), normalised(table)
    frames = [scores.table(table[rows], f"{weight:.2f}", combined(table, distance, weight)[rows]) for weight in weights]
    return pd.concat(frames, ignore_index=True)


def combined(table: pd.DataFrame, distance: pd.Series, weight: float) -> pd.Series:
    """w (1 - posterior) + (1 - w) normalised distance, a value a row of ``table``."""
    return weight * table["anomaly"] + (1 - weight) * distance


def normalised(table: pd.DataFrame) -> pd.Series:
    """Distance to the normal centroid, of mean 0 and variance 1 over the normal clips that a clip is compared with."""
    result = pd.Series(0.0, index=table.index)
    for rows, normal in _compared(table):
        values = table.loc[normal, "distance_normal"]
        result[rows] = (table.loc[rows, "distance_normal"] - values.mean()) / max(values.std(ddof=0), 1e-12)
    return result


def distances(table: pd.DataFrame, embedding: np.ndarray, target_shift: float) -> pd.Series:
    """Mahalanobis distance (Ledoit-Wolf) of each embedding from the normal clips that a clip is compared with.

    Where these are pseudo-target clips, their Gaussian is widened by ``target_shift`` times the shift that the target
    training clips still show (:meth:`asdlib.gaussian.Gaussian.widened`).
    """
    result, recorded = pd.Series(0.0, index=table.index), _training(table) & (table["domain"] == "target")
    for rows, normal in _compared(table):
        gaussian = Gaussian.fit(embedding[normal])
        few = rows[recorded[rows]]
        if (table.loc[normal, "kind"] == "pseudo-target").any() and len(few):
            gaussian = gaussian.widened(embedding[few], target_shift)
        result[rows] = gaussian.distance(embedding[rows])
    return result


def adapted(table: pd.DataFrame) -> pd.Series:
    """Rows that the adapted variants use: source clips before fine-tuning, target clips after it (if there was any)."""
    tuned = table["model"].isin(table.loc[table["stage"] == STAGES[1], "model"])
    after = tuned & (table["domain"] == "target")
    return (_clips(table, STAGES[0]) & ~after) | (_clips(table, STAGES[1]) & after)


def _compared(table: pd.DataFrame) -> Iterator[tuple[pd.Index, pd.Index]]:
    """For each model, stage and domain: the rows there, and those of the normal clips that tell what is normal."""
    training = _training(table)
    for _, part in table.groupby(["model", "stage"]):
        shifted = part.index[part["kind"] == "pseudo-target"]
        target = part["domain"] == "target"
        recorded = part.index[training[part.index]]
        yield part.index[~target], recorded
        if target.any():
            yield part.index[target], shifted if len(shifted) else recorded


def _training(table: pd.DataFrame) -> pd.Series:
    return (table["kind"] == "section") & (table["split"] == "train") & (table["label"] == "normal")


def _clips(table: pd.DataFrame, stage: str) -> pd.Series:
    return (table["kind"] == "section") & (table["stage"] == stage)
