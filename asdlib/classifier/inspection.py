"""Compute the numbers behind the figures of the classifier's notebooks: images of batches, maps, confused clips."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from asdlib import training
from asdlib.classifier import STAGES, augment, embeddings
from asdlib.classifier.batches import Batch, Batches
from asdlib.classifier.clips import held_out_clips, measure_normalisation
from asdlib.classifier.embeddings import select_centroids
from asdlib.classifier.outputs import mean_embeddings, measure
from asdlib.features import LogMel


def batch(settings, machine: str, section: str, candidate: str) -> tuple[Batch, np.ndarray]:
    """Draw a training batch as the classifier sees it, of fine-tuning if the section has target clips.

    Returns:
        The batch, and its log-mel images in dB, shape (batch, mels, frames).
    """
    batches = Batches.open(settings, candidate, machine, section)
    draw = batches.source if batches.target is None else batches.finetuning
    drawn = draw(training.generator(settings.seed, "look at a batch", machine, section))
    return drawn, images(settings, candidate, batches, drawn.waveform)


def mixture(settings, machine: str, section: str, candidate: str, shares: list[float]) -> np.ndarray:
    """Compute log-mel images of one normal window mixed with one outlier window, shape (shares, mels, frames).

    Args:
        shares: Weights of the normal window, 0 to 1, which are also the labels.
    """
    batches = Batches.open(settings, candidate, machine, section)
    first = batches.pair(training.generator(settings.seed, "look at a mixture", machine, section))
    normal, outlier = (window.expand(len(shares), -1) for window in first)
    return images(settings, candidate, batches, augment.mixup(normal, outlier, torch.tensor(shares)))


def images(settings, candidate: str, batches: Batches, waveform: Tensor) -> np.ndarray:
    """Compute log-mel in dB of waveforms (batch, samples), normalised as in the classifier; (batch, mels, frames)."""
    machine = batches.normal.machine
    mean, deviation = measure_normalisation(batches.normal.waveforms, held_out_clips(settings, machine))
    log_mel = LogMel(settings.candidate("classifier", candidate).features, settings.data.sample_rate)
    return log_mel((waveform - mean) / deviation).transpose(1, 2).numpy()


def place_clip(settings, candidate: str, clip: pd.Series, waveform: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Embed a clip with the classifier of its section and domain, among the embeddings of the section in the run.

    Args:
        settings: Settings of the run.
        candidate: Name of the candidate, which must have been scored.
        clip: Row with the columns :data:`asdlib.classifier.embeddings.CLIP`.
        waveform: The clip's samples in units of 1/32768.

    Returns:
        Table and embeddings of the model that scores the clip, as from :func:`asdlib.classifier.embeddings.read`; the
        clip is the last row, of the kind ``picked``.
    """
    table, embedding = embeddings.read(settings, clip["machine"], candidate)
    compute = training.compute(settings)
    networks, _ = embeddings.open_trained(settings, clip["machine"], clip["section"], candidate, compute)
    stage = STAGES[int(clip["domain"] == "target" and STAGES[1] in networks)]
    same = (table["kind"] == "section") & (table["clip"] == clip["clip"])  # a clip of the run is in the table already
    own = ((table["model"] == clip["section"]) & (table["stage"] == stage) & ~same).to_numpy()
    table, embedding = table[own].reset_index(drop=True), embedding[own]
    centroids = select_centroids(table, embedding)[clip["section"], stage]
    found = networks[stage].outputs([waveform])
    row = measure(found, centroids).assign(**clip[embeddings.CLIP])
    row = row.assign(model=clip["section"], stage=stage, kind="picked", role="")
    vector = mean_embeddings(found).astype(np.float32)
    return pd.concat([table, row[embeddings.COLUMNS]], ignore_index=True), np.concatenate([embedding, vector])


def confused(scores: pd.DataFrame, count: int = 5) -> pd.DataFrame:
    """Return the normal test clips that score highest and the anomalous ones that score lowest, worst first.

    Args:
        scores: Score table of one system.
        count: Number of clips of each label.

    Returns:
        Rows of ``scores`` with ``rank``, the share of the test clips of the same section and domain that score lower,
        because scores of different models cannot be compared directly.
    """
    test = scores[(scores["split"] == "test") & (scores["label"] != "unknown")]
    places = test.groupby(["section", "domain"])["score"]
    test = test.assign(rank=(places.rank(method="average") - 1) / (places.transform("size") - 1).clip(lower=1))
    worst = [
        test[test["label"] == label].sort_values("rank", ascending=label == "anomaly", kind="stable").head(count)
        for label in ("normal", "anomaly")
    ]
    return pd.concat(worst, ignore_index=True)
