"""Run a classifier on the windows of clips, and compute logits, embeddings and distances.

The network is a function here, whether PyTorch runs it (:class:`asdlib.classifier.model.TrainedClassifier`) or ONNX
Runtime. This module does not import PyTorch, because a detector with ONNX files scores without it.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import get_args

import numpy as np
import pandas as pd
from scipy.special import expit

from asdlib import params
from asdlib.classifier import NORMAL, OUTLIER
from asdlib.classifier.windows import cut_windows, samples_of
from asdlib.time_pooling import pool

MEASURES = ["logit", "anomaly", "distance_normal", "distance_outlier"]
POOLED = [f"{measure}_{how}" for measure in ("minus_logit", "distance") for how in get_args(params.WindowPooling)]
"""measures used in scores, with each pooling over a clip's windows"""

Outputs = tuple[np.ndarray, np.ndarray]
"""output of a network for windows, in float64: logits, shape (windows,), and embeddings, shape (windows, D)"""
Network = Callable[[np.ndarray], Outputs]
"""a network: maps windows in units of 1/32768, shape (windows, samples), to their outputs"""


def compute_outputs(network: Network, clips: Iterable[np.ndarray], settings: params.Classifier) -> list[Outputs]:
    """Run a network on each clip's equally spaced windows.

    A clip shorter than a window gives one window, in which it continues mirrored in time. The result of a clip does not
    depend on other clips.

    Args:
        network: The network.
        clips: Waveforms ``(samples,)`` in units of 1/32768, int16 or float32.
        settings: Settings of the candidate.
    """
    length, clips, result = samples_of(settings), iter(clips), []
    while chunk := list(itertools.islice(clips, settings.scorer.batch_size)):
        windows = [cut_windows(clip, length, settings.images.windows) for clip in chunk]
        logit, embedding = network(np.concatenate(windows))
        ends = np.cumsum([len(part) for part in windows])[:-1]
        result += zip(np.split(logit, ends), np.split(embedding, ends), strict=True)
    return result


def mean_embeddings(outputs: list[Outputs]) -> np.ndarray:
    """Average the embeddings over each clip's windows, shape (clips, D)."""
    return np.stack([embedding.mean(0) for _, embedding in outputs])


def measure(outputs: list[Outputs], centroids: np.ndarray) -> pd.DataFrame:
    """Compute the columns :data:`MEASURES` and :data:`POOLED` for each clip.

    Args:
        outputs: Outputs for each clip, as returned by :func:`compute_outputs`.
        centroids: Shape (2, D), in the order of :mod:`asdlib.classifier.ddcsad`.
    """
    rows = []
    for logit, embedding in outputs:
        distance = np.square(embedding[:, None] - centroids).mean(2)  # (windows, 2)
        row = {"logit": logit.mean(), "anomaly": expit(-logit).mean()}
        row |= {"distance_normal": distance[:, NORMAL].mean(), "distance_outlier": distance[:, OUTLIER].mean()}
        for how in get_args(params.WindowPooling):
            row |= {f"minus_logit_{how}": pool(-logit, how), f"distance_{how}": pool(distance[:, NORMAL], how)}
        rows.append(row)
    return pd.DataFrame(rows, columns=[*MEASURES, *POOLED])
