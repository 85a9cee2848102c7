"""What the models of a section say of each clip, before and after fine-tuning: embedding, logit and distances.

PyTorch is imported where it is used: a detector's ONNX files are scored without it.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from asdlib import artefacts, paths
from asdlib.classifier import FILES, NORMAL, OUTLIER, STAGES, ClassifierError
from asdlib.classifier.windows import samples_of, starts, window
from asdlib.data.audio import Waveforms

CLIP = ["machine", "section", "domain", "split", "clip", "label"]
MEASURES = ["logit", "anomaly", "distance_normal", "distance_outlier"]
COLUMNS = ["model", "stage", "kind", *CLIP, *MEASURES]
OUTLIERS = 60
"""outliers that the table holds for comparison, a section"""


def table(settings, machine: str, section: str, candidate: str, compute) -> tuple[pd.DataFrame, np.ndarray]:
    """Run the models of one section over its clips, and over a sample of its outliers.

    Returns:
        A table, and the embedding of each of its rows (the mean over a clip's windows), float32, shape (rows, D).
        Columns: ``model``, the section whose models these are; ``stage``, one of
        :data:`asdlib.classifier.STAGES`; ``kind``, which is ``section``, ``pseudo-target`` (if
        ``scorer.target_from`` says so), ``outlier`` or ``centroid``; those of a clip; and means over its windows of
        ``logit``, ``anomaly`` (1 - posterior), ``distance_normal`` and ``distance_outlier`` (to the centroids). The two
        centroids of a stage (see ``scorer.centroids``) are labelled ``normal`` and ``outlier`` and have no logit.

    Raises:
        ClassifierError: The section's models are missing or were trained with other settings.
    """
    from asdlib import training
    from asdlib.classifier import model as models
    from asdlib.classifier.batches import Batches
    from asdlib.classifier.train import recipe
    from asdlib.data import pseudo_target

    trained = settings.trained_as("classifier", candidate)
    folder = paths.Run.of(settings).system("classifier", machine, trained, section)
    branch, batches = settings.candidate("classifier", candidate), Batches.open(settings, candidate, machine, section)
    _check(folder, recipe(settings, machine, section, candidate), artefacts.fingerprint(batches.fingerprint))
    own = batches.normal.waveforms
    parts = [("section", own, np.flatnonzero(own.clips["section"] == section))]
    for part in batches.outliers(OUTLIERS, training.generator(settings.seed, "outliers", machine, section)):
        parts.append(("outlier", part.waveforms, part.rows))
    shifted = None
    if branch.scorer.target_from == "pseudo_target":
        shifted = pseudo_target.open_rows(settings, machine, [section])
        parts += [("pseudo-target", *shifted)] if shifted else []
    frames, embeddings = [], []
    for stage in STAGES:
        if not (folder / FILES[stage]).is_file():
            continue
        network = models.load(folder / FILES[stage], branch, settings.data.sample_rate).to(compute.device)
        run = models.Runner(network, compute)
        outputs = [embed(run, waveforms, rows, branch) for _, waveforms, rows in parts]
        clips = [waveforms.clips.iloc[rows][CLIP].assign(kind=kind) for kind, waveforms, rows in parts]
        frame, embedding = pd.concat(clips, ignore_index=True), np.concatenate([values for _, values in outputs])
        frame = pd.concat([frame, pd.concat([measures for measures, _ in outputs], ignore_index=True)], axis=1)
        centroids = network.ddcsad.centroids.double().cpu().numpy()
        if branch.scorer.centroids == "clips":
            normal = (frame["kind"] == "section") & (frame["split"] == "train") & (frame["label"] == "normal")
            if shifted and stage == STAGES[1]:  # the model for target clips
                normal = frame["kind"] == "pseudo-target"
            centroids[NORMAL] = embedding[normal].mean(0)
            centroids[OUTLIER] = embedding[frame["kind"] == "outlier"].mean(0)
        last = dict.fromkeys(CLIP, "") | {"label": ["outlier", "normal"], "power": np.square(centroids).mean(1)}
        frame = pd.concat([frame, pd.DataFrame(last).assign(kind="centroid")], ignore_index=True)
        embedding = np.concatenate([embedding, centroids])
        frames.append(with_distances(frame, embedding, centroids).assign(stage=stage))
        embeddings.append(embedding.astype(np.float32))
    return pd.concat(frames, ignore_index=True).assign(model=section)[COLUMNS], np.concatenate(embeddings)


def embed(
    run: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], waveforms: Waveforms, rows: np.ndarray, branch
) -> tuple[pd.DataFrame, np.ndarray]:
    """Means over each clip's equally spaced windows, in float64.

    A clip shorter than a window gives one window, in which it goes on mirrored in time. Nothing depends on other clips.

    Args:
        run: The network: int16 windows, shape (windows, samples), to logits, shape (windows,), and embeddings, shape
            (windows, D) (:func:`asdlib.classifier.model.Runner`).
        waveforms: The clips.
        rows: Rows of ``waveforms.clips``.
        branch: :class:`asdlib.params.Classifier`.

    Returns:
        Columns ``logit``, ``anomaly`` (1 - posterior) and ``power`` (mean square of the embedding), a row a clip; and
        the embeddings, shape (rows, D).
    """
    length, size = samples_of(branch), branch.scorer.batch_size
    measures, embeddings = [], []
    for first in range(0, len(rows), size):
        chunk = rows[first : first + size]
        places = [starts(int(waveforms.clips["samples"].iat[row]), length, branch.images.windows) for row in chunk]
        cut = [
            window(waveforms, row, start, length) for row, place in zip(chunk, places, strict=True) for start in place
        ]
        logit, embedding = run(np.stack(cut))
        values = np.stack([logit, expit(-logit), np.square(embedding).mean(1)], axis=1)
        ends = np.cumsum([len(place) for place in places])[:-1]
        measures += [part.mean(0) for part in np.split(values, ends)]
        embeddings += [part.mean(0) for part in np.split(embedding, ends)]
    return pd.DataFrame(np.stack(measures), columns=["logit", "anomaly", "power"]), np.stack(embeddings)


def with_distances(frame: pd.DataFrame, embedding: np.ndarray, centroids: np.ndarray) -> pd.DataFrame:
    """``frame`` with ``distance_normal`` and ``distance_outlier``, means over windows of the distance to the centroids.

    Args:
        frame: With ``power``, the mean square of the embedding over windows and dimensions.
        embedding: Mean over windows, shape (rows, D).
        centroids: Shape (2, D), in the order of :mod:`asdlib.classifier.ddcsad`.
    """
    # The mean over windows of |z - c|^2 = |z|^2 - 2 z c + |c|^2 needs only the means of |z|^2 and z.
    products = 2 * embedding @ centroids.T / embedding.shape[1]
    distance = frame["power"].to_numpy()[:, None] - products + np.square(centroids).mean(1)
    return frame.assign(distance_normal=distance[:, NORMAL], distance_outlier=distance[:, OUTLIER])


def write(table: pd.DataFrame, embedding: np.ndarray, folder: Path) -> None:
    """Write the table of one or more sections and its embeddings (a row each) into ``folder``."""
    table.to_csv(folder / "embeddings.csv", index=False, lineterminator="\n")
    np.save(folder / "embeddings.npy", embedding, allow_pickle=False)


def read(settings, machine: str, candidate: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Read what :func:`write` has written for a machine type and candidate."""
    folder = paths.Run.of(settings).system("classifier", machine, candidate)
    if not (folder / "embeddings.npy").is_file():
        raise ClassifierError(f"{folder}: no embeddings; run notebook 06_embeddings, or make reproduce")
    return load(folder)


def load(folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Read what :func:`write` has written into ``folder``."""
    text = {column: str for column in COLUMNS if column not in MEASURES}
    table = pd.read_csv(
        folder / "embeddings.csv", keep_default_na=False, na_values=dict.fromkeys(MEASURES, ""), dtype=text
    )
    return table, np.load(folder / "embeddings.npy", allow_pickle=False)


def _check(folder: Path, expected: dict, data: str) -> None:
    """Raise :class:`ClassifierError` if ``folder`` has no model, or one of other settings or data."""
    if not (folder / "record.json").is_file():
        raise ClassifierError(f"{folder}: no model; train it with notebook 05_train_classifier, or make reproduce")
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    if record["settings"] != json.loads(json.dumps(expected)) or record["data_fingerprint"] != data:
        raise ClassifierError(
            f"{folder}: the model there was trained with other settings or other clips; train it again with notebook "
            "05_train_classifier, or restore its settings"
        )
