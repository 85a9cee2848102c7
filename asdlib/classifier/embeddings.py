"""Compute embedding, logit and distances of each clip with a section's models, before and after fine-tuning.

PyTorch is imported only where it is used, because a detector scores with ONNX files without it.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from scipy.special import expit

from asdlib import params, paths, records
from asdlib.classifier import FILES, NORMAL, OUTLIER, STAGES
from asdlib.classifier.windows import samples_of, starts, window
from asdlib.data import roles
from asdlib.data.audio import Waveforms
from asdlib.errors import ModelError
from asdlib.pooling import pool

CLIP = ["machine", "section", "domain", "split", "clip", "label"]
MEASURES = ["logit", "anomaly", "distance_normal", "distance_outlier"]
POOLED = [f"{measure}_{how}" for measure in ("minus_logit", "distance") for how in get_args(params.WindowPooling)]
"""measures used in scores, with each pooling over a clip's windows"""
COLUMNS = ["model", "stage", "kind", "role", *CLIP, *MEASURES, *POOLED]
OUTLIERS = 60
"""number of outliers per section that the table includes for comparison"""


def table(settings, machine: str, section: str, candidate: str, compute) -> tuple[pd.DataFrame, np.ndarray]:
    """Run the models of one section on its clips and on a sample of its outliers.

    Returns:
        A table, and the embedding of each of its rows (the mean over a clip's windows), float32, shape (rows, D).
        Columns: ``model``, the section of the models; ``stage``, one of
        :data:`asdlib.classifier.STAGES`; ``kind``, which is ``section``, ``pseudo-target`` (if
        ``scorer.target_from`` is set so), ``outlier`` or ``centroid``; ``role``, whether the model learnt from the clip
        (for a pseudo-target clip, from the source clip from which it was made) or it was held out
        (:mod:`asdlib.data.roles`); the columns of a clip; means over its windows of ``logit``, ``anomaly``
        (1 - posterior), ``distance_normal`` and ``distance_outlier`` (to the centroids); and :data:`POOLED`. The two
        centroids of a stage (see ``scorer.centroids``) are labelled ``normal`` and ``outlier`` and have no measures.

    Raises:
        ModelError: The section's models are missing or were trained with other settings.
    """
    from asdlib import training
    from asdlib.classifier import model as models
    from asdlib.classifier.batches import Batches, held_out_clips
    from asdlib.classifier.train import recipe
    from asdlib.shift import shifted_clips

    trained = settings.trained_as("classifier", candidate)
    folder = paths.Run.of(settings).system("classifier", machine, trained, section)
    branch, batches = settings.candidate("classifier", candidate), Batches.open(settings, candidate, machine, section)
    _check(folder, recipe(settings, machine, section, candidate), records.fingerprint(batches.fingerprint))
    own = batches.normal.waveforms
    parts = [("section", own, np.flatnonzero(own.clips["section"] == section))]
    for part in batches.outliers(OUTLIERS, training.generator(settings.seed, "outliers", machine, section)):
        parts.append(("outlier", part.waveforms, part.rows))
    shifted = None
    if branch.scorer.target_from == "shifted":
        shifted = shifted_clips.open_rows(settings, machine, [section])
        parts += [("pseudo-target", *shifted)] if shifted else []
    clips = pd.concat([waveforms.clips.iloc[rows][CLIP].assign(kind=kind) for kind, waveforms, rows in parts])
    clips = clips.reset_index(drop=True)
    role = np.where(clips["clip"].isin(held_out_clips(settings, machine)), roles.HELD_OUT, roles.LEARN)
    clips = clips.assign(role=np.where((clips["split"] == "train") & (clips["kind"] != "outlier"), role, ""))
    frames, embeddings = [], []
    for stage in STAGES:
        if not (folder / FILES[stage]).is_file():
            continue
        network = models.load(folder / FILES[stage], branch, settings.data.sample_rate).to(compute.device)
        run = models.Runner(network, compute)
        windows = [pair for _, waveforms, rows in parts for pair in embed(run, waveforms, rows, branch)]
        embedding, centroids = means(windows), network.ddcsad.centroids.double().cpu().numpy()
        if branch.scorer.centroids == "clips":
            learnt = clips["role"] == roles.LEARN
            normal = learnt & (clips["kind"] == "section") & (clips["label"] == "normal")
            if shifted and stage == STAGES[1]:  # the model for target clips
                normal = learnt & (clips["kind"] == "pseudo-target")
            centroids[NORMAL] = embedding[normal].mean(0)
            centroids[OUTLIER] = embedding[clips["kind"] == "outlier"].mean(0)
        last = pd.DataFrame(dict.fromkeys([*CLIP, "role"], "") | {"label": ["outlier", "normal"], "kind": "centroid"})
        between = np.square(centroids[:, None] - centroids[None]).mean(2)
        last = last.assign(distance_normal=between[:, NORMAL], distance_outlier=between[:, OUTLIER])
        frame = pd.concat([clips, measures(windows, centroids)], axis=1)
        frames.append(pd.concat([frame, last], ignore_index=True).assign(stage=stage))
        embeddings.append(np.concatenate([embedding, centroids]).astype(np.float32))
    return pd.concat(frames, ignore_index=True).assign(model=section)[COLUMNS], np.concatenate(embeddings)


Windows = tuple[np.ndarray, np.ndarray]
"""output of a network for one clip's windows: logits, shape (windows,), and embeddings, shape (windows, D)"""


def embed(
    run: Callable[[np.ndarray], Windows], waveforms: Waveforms, rows: np.ndarray, branch: params.Classifier
) -> list[Windows]:
    """Run a network on each clip's equally spaced windows, in float64.

    A clip shorter than a window gives one window, in which it continues mirrored in time. The result of a clip does not
    depend on other clips.

    Args:
        run: The network, which maps int16 windows, shape (windows, samples), to logits and embeddings
            (:func:`asdlib.classifier.model.Runner`).
        waveforms: The clips.
        rows: Rows of ``waveforms.clips``.
        branch: Settings of the candidate.
    """
    length, size = samples_of(branch), branch.scorer.batch_size
    result = []
    for first in range(0, len(rows), size):
        chunk = rows[first : first + size]
        places = [starts(int(waveforms.clips["samples"].iat[row]), length, branch.images.windows) for row in chunk]
        cut = [
            window(waveforms, row, start, length) for row, place in zip(chunk, places, strict=True) for start in place
        ]
        logit, embedding = run(np.stack(cut))
        ends = np.cumsum([len(place) for place in places])[:-1]
        result += zip(np.split(logit, ends), np.split(embedding, ends), strict=True)
    return result


def means(windows: list[Windows]) -> np.ndarray:
    """Average the embeddings over each clip's windows, shape (clips, D)."""
    return np.stack([embedding.mean(0) for _, embedding in windows])


def measures(windows: list[Windows], centroids: np.ndarray) -> pd.DataFrame:
    """Compute the columns :data:`MEASURES` and :data:`POOLED` for each clip.

    Args:
        windows: Outputs for each clip, as returned by :func:`embed`.
        centroids: Shape (2, D), in the order of :mod:`asdlib.classifier.ddcsad`.
    """
    rows = []
    for logit, embedding in windows:
        distance = np.square(embedding[:, None] - centroids).mean(2)  # (windows, 2)
        row = {"logit": logit.mean(), "anomaly": expit(-logit).mean()}
        row |= {"distance_normal": distance[:, NORMAL].mean(), "distance_outlier": distance[:, OUTLIER].mean()}
        for how in get_args(params.WindowPooling):
            row |= {f"minus_logit_{how}": pool(-logit, how), f"distance_{how}": pool(distance[:, NORMAL], how)}
        rows.append(row)
    return pd.DataFrame(rows, columns=[*MEASURES, *POOLED])


def write(table: pd.DataFrame, embedding: np.ndarray, folder: Path) -> None:
    """Write the table of one or more sections, and the embedding of each of its rows, to ``folder``."""
    table.to_csv(folder / "embeddings.csv", index=False, lineterminator="\n")
    np.save(folder / "embeddings.npy", embedding, allow_pickle=False)


def read(settings, machine: str, candidate: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Read table and embeddings of a machine type and candidate, as written by :func:`write`."""
    folder = paths.Run.of(settings).system("classifier", machine, candidate)
    if not (folder / "embeddings.npy").is_file():
        raise ModelError(f"{folder}: no embeddings; run notebook 06_embeddings, or make reproduce")
    return load(folder)


def load(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Read table and embeddings from ``folder``, as written by :func:`write`."""
    numbers = [*MEASURES, *POOLED]
    text = {column: str for column in COLUMNS if column not in numbers}
    table = pd.read_csv(
        folder / "embeddings.csv", keep_default_na=False, na_values=dict.fromkeys(numbers, ""), dtype=text
    )
    return table, np.load(folder / "embeddings.npy", allow_pickle=False)


def _check(folder: Path, expected: dict, data: str) -> None:
    """Raise :class:`ModelError` if ``folder`` has no model, or a model of other settings or data."""
    if not (folder / "record.json").is_file():
        raise ModelError(f"{folder}: no model; train it with notebook 05_train_classifier, or make reproduce")
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    if record["settings"] != json.loads(json.dumps(expected)) or record["data_fingerprint"] != data:
        raise ModelError(
            f"{folder}: the model there was trained with other settings or other clips; train it again with notebook "
            "05_train_classifier, or restore its settings"
        )
