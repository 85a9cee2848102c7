"""Numbers behind the figures of the classifier's notebooks: images, maps of embeddings, confused clips."""

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from asdlib import training
from asdlib.classifier import augment
from asdlib.classifier.batches import Batch, Batches, normalisation
from asdlib.features import LogMel


def batch(settings, machine: str, section: str, candidate: str) -> tuple[Batch, np.ndarray]:
    """A training batch as the classifier sees it, for fine-tuning where the section has target clips.

    Returns:
        The batch, and its log-mel images in dB, shape (batch, mels, frames).
    """
    batches = Batches.open(settings, candidate, machine, section)
    draw = batches.source if batches.target is None else batches.finetuning
    drawn = draw(training.generator(settings.seed, "look at a batch", machine, section))
    return drawn, images(settings, candidate, batches, drawn.waveform)


def mixture(settings, machine: str, section: str, candidate: str, shares: list[float]) -> np.ndarray:
    """Log-mel images of one normal window mixed with one outlier window, shape (shares, mels, frames).

    Args:
        shares: Weights of the normal window, 0 to 1; they are the labels too.
    """
    batches = Batches.open(settings, candidate, machine, section)
    first = batches.pair(training.generator(settings.seed, "look at a mixture", machine, section))
    normal, outlier = (window.expand(len(shares), -1) for window in first)
    return images(settings, candidate, batches, augment.mixup(normal, outlier, torch.tensor(shares)))


def images(settings, candidate: str, batches: Batches, waveform: Tensor) -> np.ndarray:
    """Log-mel in dB of waveforms (batch, samples), normalised as in the classifier; (batch, mels, frames)."""
    mean, deviation = normalisation(batches.normal.waveforms)
    log_mel = LogMel(settings.candidate("classifier", candidate).features, settings.data.sample_rate)
    return log_mel((waveform - mean) / deviation).transpose(1, 2).numpy()


def maps(table: pd.DataFrame, embedding: np.ndarray, seed: int, perplexity: float = 30.0) -> pd.DataFrame:
    """Two-dimensional maps of the embeddings, one by PCA and one by t-SNE for each section's models.

    Args:
        table: Of :func:`asdlib.classifier.embeddings.read`.
        embedding: One row for each row of ``table``.
        seed: Of t-SNE.
        perplexity: Of t-SNE; a third of the points at most.

    Returns:
        ``table`` twice, with the columns ``method``, ``x`` and ``y``. PCA is fitted to the clips, and the centroids
        are projected; t-SNE knows no projection, so there the centroids are two more points.
    """
    parts = []
    for _, part in table.groupby(["model", "stage"], sort=False):
        points, clips = embedding[part.index], (part["kind"] != "centroid").to_numpy()
        nearest = min(perplexity, (len(points) - 1) / 3)
        places = {
            "PCA": PCA(2, random_state=seed).fit(points[clips]).transform(points),
            "t-SNE": TSNE(2, perplexity=nearest, init="pca", random_state=seed, n_jobs=1).fit_transform(points),
        }
        parts += [part.assign(method=name, x=xy[:, 0], y=xy[:, 1]) for name, xy in places.items()]
    return pd.concat(parts, ignore_index=True)


def confused(scores: pd.DataFrame, count: int = 5) -> pd.DataFrame:
    """The normal test clips that score highest and the anomalous ones that score lowest, worst first.

    Args:
        scores: Score table of one system.
        count: Clips of each label.

    Returns:
        Rows of ``scores`` with ``rank``, the share of the test clips of the same section and domain that score lower:
        scores of different models cannot be compared directly.
    """
    test = scores[(scores["split"] == "test") & (scores["label"] != "unknown")]
    places = test.groupby(["section", "domain"])["score"]
    test = test.assign(rank=(places.rank(method="average") - 1) / (places.transform("size") - 1).clip(lower=1))
    worst = [
        test[test["label"] == label].sort_values("rank", ascending=label == "anomaly", kind="stable").head(count)
        for label in ("normal", "anomaly")
    ]
    return pd.concat(worst, ignore_index=True)
