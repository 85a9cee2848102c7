"""Compute embedding, logit and distances of each clip with a section's models, before and after fine-tuning."""

from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import paths, records, training
from asdlib.classifier import FILES, NORMAL, OUTLIER, STAGES
from asdlib.classifier.batches import Batches
from asdlib.classifier.model import TrainedClassifier
from asdlib.classifier.positives_and_negatives import held_out_clips
from asdlib.classifier.train import recipe
from asdlib.classifier.window_outputs import MEASURES, POOLED, mean_embeddings, measure
from asdlib.compute import Compute
from asdlib.data.audio import Waveforms
from asdlib.data.held_out_split import HELD_OUT, LEARN
from asdlib.errors import ModelError
from asdlib.scores import CLIP
from asdlib.shift import shifted_clips
from asdlib.tables import read_table, write_table

COLUMNS = ["model", "stage", "kind", "role", *CLIP, *MEASURES, *POOLED]
OUTLIERS = 60
"""number of outliers per section that the table includes for comparison"""


def table(settings, machine: str, section: str, candidate: str, compute) -> tuple[pd.DataFrame, np.ndarray]:
    """Run the models of one section on its clips and on a sample of its outliers.

    Returns:
        A table, and the embedding of each of its rows (the mean over a clip's windows), float32, shape (rows, D).
        Columns: ``model``, the section of the models; ``stage``, one of
        :data:`asdlib.classifier.STAGES`; ``kind``, which is ``section``, ``shifted`` (if
        ``scorer.target_from`` is set so), ``outlier`` or ``centroid``; ``role``, whether the model learnt from the clip
        (for a shifted clip, from the source clip from which it was made) or it was held out
        (:mod:`asdlib.data.held_out_split`); the columns of a clip; means over its windows of ``logit``, ``anomaly``
        (1 - posterior), ``distance_normal`` and ``distance_outlier`` (to the centroids); and :data:`POOLED`. The two
        centroids of a stage (see ``scorer.centroids``) are labelled ``normal`` and ``outlier`` and have no measures.

    Raises:
        ModelError: The section's models are missing.
        ArtefactError: They were trained with other settings or other clips.
    """
    networks, parts = open_trained(settings, machine, section, candidate, compute)
    clips = pd.concat([waveforms.clips.iloc[rows][CLIP].assign(kind=kind) for kind, waveforms, rows in parts])
    clips = clips.reset_index(drop=True)
    role = np.where(clips["clip"].isin(held_out_clips(settings, machine)), HELD_OUT, LEARN)
    clips = clips.assign(role=np.where((clips["split"] == "train") & (clips["kind"] != "outlier"), role, ""))
    frames, embeddings = [], []
    for stage, network in networks.items():
        outputs = [pair for _, waveforms, rows in parts for pair in network.outputs(waveforms.read_each(rows))]
        embedding, centroids = mean_embeddings(outputs), network.centroids
        if network.settings.scorer.centroids == "clips":
            centroids = mean_centroids(clips, embedding, stage)
        measured = pd.concat([clips, measure(outputs, centroids)], axis=1)
        frames.append(pd.concat([measured, _centroid_rows(centroids)]).assign(stage=stage))
        embeddings.append(np.concatenate([embedding, centroids]).astype(np.float32))
    return pd.concat(frames, ignore_index=True).assign(model=section)[COLUMNS], np.concatenate(embeddings)


def open_trained(
    settings, machine: str, section: str, candidate: str, compute: Compute
) -> tuple[dict[str, TrainedClassifier], list[tuple[str, Waveforms, np.ndarray]]]:
    """Load the models of one section, and open the clips to run them on.

    Returns:
        The models by stage; and the clips as kind (``section``, ``outlier`` or ``shifted``), waveforms and rows.

    Raises:
        ModelError: The section's models are missing.
        ArtefactError: They were trained with other settings or other clips.
    """
    branch, batches = settings.candidate("classifier", candidate), Batches.open(settings, candidate, machine, section)
    folder = paths.Run.of(settings).system("classifier", machine, settings.trained_as("classifier", candidate), section)
    if not (folder / paths.RECORD).is_file():
        raise ModelError(f"{folder}: no model; train it with notebook 05_train_classifier, or make reproduce")
    wanted, data = recipe(settings, machine, section, candidate), records.fingerprint(batches.fingerprint)
    records.check_settings(folder / paths.RECORD, wanted, data=data)
    own = batches.normal.waveforms
    parts = [("section", own, np.flatnonzero(own.clips["section"] == section))]
    for part in batches.outliers(OUTLIERS, training.generator(settings.seed, "outliers", machine, section)):
        parts.append(("outlier", part.waveforms, part.rows))
    if branch.scorer.target_from == "shifted":
        shifted = shifted_clips.open_rows(settings, machine, [section])
        parts += [("shifted", *shifted)] if shifted else []
    files = {stage: folder / FILES[stage] for stage in STAGES if (folder / FILES[stage]).is_file()}
    rate = settings.data.sample_rate
    return {stage: TrainedClassifier.load(file, branch, rate, compute) for stage, file in files.items()}, parts


def mean_centroids(clips: pd.DataFrame, embedding: np.ndarray, stage: str) -> np.ndarray:
    """Compute the centroids of the clips that a model learnt from, shape (2, D).

    For the model for target clips, the normal centroid is that of the shifted clips if there are any.

    Args:
        clips: Columns ``kind``, ``role`` and ``label``.
        embedding: One embedding per row of ``clips``.
        stage: Stage of the model, of :data:`asdlib.classifier.STAGES`.
    """
    learnt = clips["role"] == LEARN
    normal = learnt & (clips["kind"] == "section") & (clips["label"] == "normal")
    if stage == STAGES[1] and (clips["kind"] == "shifted").any():
        normal = learnt & (clips["kind"] == "shifted")
    centroids = np.empty((2, embedding.shape[1]))
    centroids[NORMAL] = embedding[normal].mean(0)
    centroids[OUTLIER] = embedding[clips["kind"] == "outlier"].mean(0)
    return centroids


def select_centroids(table: pd.DataFrame, embedding: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """Return the centroids (2, D) of each section and stage from the outputs of models.

    Args:
        table: Table returned by :func:`table` or :func:`read`.
        embedding: One embedding per row of ``table``.
    """
    groups = table[table["kind"] == "centroid"].groupby(["model", "stage"]).groups
    return {key: embedding[rows].astype(np.float64) for key, rows in groups.items()}


def _centroid_rows(centroids: np.ndarray) -> pd.DataFrame:
    """Return the rows of the two centroids, with their distances to each other."""
    rows = pd.DataFrame(dict.fromkeys([*CLIP, "role"], "") | {"label": ["outlier", "normal"], "kind": "centroid"})
    between = np.square(centroids[:, None] - centroids[None]).mean(2)
    return rows.assign(distance_normal=between[:, NORMAL], distance_outlier=between[:, OUTLIER])


def write(table: pd.DataFrame, embedding: np.ndarray, folder: Path) -> None:
    """Write the table of one or more sections, and the embedding of each of its rows, to ``folder``."""
    write_table(table, folder / "embeddings.csv")
    np.save(folder / "embeddings.npy", embedding, allow_pickle=False)


def read(settings, machine: str, candidate: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Read table and embeddings of a machine type and candidate, as written by :func:`write`."""
    folder = paths.Run.of(settings).system("classifier", machine, candidate)
    if not (folder / "embeddings.npy").is_file():
        raise ModelError(f"{folder}: no embeddings; run notebook 06_embeddings, or make reproduce")
    return load(folder)


def load(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Read table and embeddings from ``folder``, as written by :func:`write`."""
    table = read_table(folder / "embeddings.csv")
    return table, np.load(folder / "embeddings.npy", allow_pickle=False)
