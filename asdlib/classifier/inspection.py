"""Compute the numbers behind the figures of the classifier's notebooks: images of batches, maps, confused clips."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from asdlib import training
from asdlib.classifier import STAGES, clip_outputs
from asdlib.classifier.batches import Batch, Batches
from asdlib.classifier.clip_outputs import select_centroids
from asdlib.classifier.positives_and_negatives import held_out_clips
from asdlib.classifier.posterior_and_distance import choose_stage
from asdlib.classifier.waveform_normalisation import measure_normalisation, normalise_waveform
from asdlib.classifier.window_outputs import mean_embeddings, measure
from asdlib.classifier.windows import read_window, samples_of
from asdlib.compute import resolve_compute
from asdlib.data.audio import Waveforms
from asdlib.data.inspection import Example
from asdlib.features import LogMel
from asdlib.metrics import labelled
from asdlib.scores import CLIP
from asdlib.shift import shifted_clips
from asdlib.units import FULL_SCALE

SHOWN = 5
"""number of clips of each label that :func:`find_confused` returns"""


def batch(settings, machine: str, section: str, candidate: str) -> tuple[Batch, np.ndarray]:
    """Draw a training batch as the classifier sees it, of fine-tuning if the section has target clips.

    Returns:
        The batch, and its log-mel images in dB, shape (batch, mels, frames).
    """
    batches = Batches.open(settings, candidate, machine, section)
    draw = batches.source if batches.target is None else batches.finetuning
    drawn = draw(training.generator(settings.seed, "look at a batch", machine, section))
    return drawn, images(settings, candidate, batches, drawn.waveform)


def example(settings, waveforms: Waveforms, title: str, clip: str) -> Example:
    """Return a test clip with its log-mel, as :func:`asdlib.plots.sound.players` takes it."""
    clips = waveforms.clips
    row = int(np.flatnonzero((clips["clip"] == clip) & (clips["split"] == "test"))[0])
    wave = waveforms.read(row) / FULL_SCALE
    picture = LogMel(settings.classifier.features, settings.data.sample_rate)(torch.from_numpy(wave).float()[None])
    return Example(title, settings.data.sample_rate, wave, picture[0].numpy())


def cut_examples(settings, machine: str, section: str, candidate: str, shares: list[float]) -> list[Example]:
    """Cut windows to hear next to each other: what the classifier learns from, and what Mixup does to it.

    They are a source clip and mixtures of it with an outlier; if the section has target clips, also one of these, their
    mixture in equal parts (a pseudo-target clip), and a shifted clip, which extensions use instead.

    Args:
        shares: Weights of the source clip in its mixtures with the outlier, which are also the labels.
    """
    batches = Batches.open(settings, candidate, machine, section)
    length = samples_of(settings.candidate("classifier", candidate))
    outlier = batches.outliers(1, training.generator(settings.seed, "hear an outlier", machine, section))[0]
    source, target, other = (
        None if part is None else read_window(part.waveforms, int(part.rows[0]), 0, length) / FULL_SCALE
        for part in (batches.normal, batches.target, outlier)
    )
    waves = {"source clip, label 1": source}
    if target is not None:
        waves |= {"target clip, label 1": target, "pseudo-target: half source, half target": (source + target) / 2}
        shifted = shifted_clips.open_rows(settings, machine, [section])
        if shifted is not None:
            wave = read_window(shifted[0], int(shifted[1][0]), 0, length) / FULL_SCALE
            waves["shifted clip: source, by the estimated shift"] = wave
    waves |= {f"Mixup, label {share:g}": share * source + (1 - share) * other for share in shares}
    waves[f"outlier ({outlier.machine}), label 0"] = other
    pictures = images(settings, candidate, batches, torch.from_numpy(np.stack(list(waves.values()))).float())
    rate = settings.data.sample_rate
    return [Example(title, rate, wave, image.T) for (title, wave), image in zip(waves.items(), pictures, strict=True)]


def images(settings, candidate: str, batches: Batches, waveform: Tensor) -> np.ndarray:
    """Compute log-mel in dB of waveforms (batch, samples), normalised as in the classifier; (batch, mels, frames)."""
    machine = batches.normal.machine
    mean, deviation = measure_normalisation(batches.normal.waveforms, held_out_clips(settings, machine))
    log_mel = LogMel(settings.candidate("classifier", candidate).features, settings.data.sample_rate)
    return log_mel(normalise_waveform(waveform, mean, deviation)).transpose(1, 2).numpy()


def place_clip(settings, candidate: str, clip: pd.Series, waveform: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Embed a clip with the classifier of its section and domain, among the embeddings of the section in the run.

    Args:
        settings: Settings of the run.
        candidate: Name of the candidate, which must have been scored.
        clip: Row with the columns :data:`asdlib.scores.CLIP`.
        waveform: The clip's samples in units of 1/32768.

    Returns:
        Table and embeddings of the model that scores the clip, as from :func:`asdlib.classifier.clip_outputs.read`; the
        clip is the last row, of the kind ``picked``.
    """
    table, embedding = clip_outputs.read(settings, clip["machine"], candidate)
    compute = resolve_compute(settings)
    networks, _ = clip_outputs.open_trained(settings, clip["machine"], clip["section"], candidate, compute)
    stage = choose_stage("w50_mean", clip["domain"], tuned=STAGES[1] in networks)
    same = (table["kind"] == "section") & (table["clip"] == clip["clip"])  # a clip of the run is in the table already
    own = ((table["model"] == clip["section"]) & (table["stage"] == stage) & ~same).to_numpy()
    table, embedding = table[own].reset_index(drop=True), embedding[own]
    centroids = select_centroids(table, embedding)[clip["section"], stage]
    outputs = networks[stage].outputs([waveform])
    row = measure(outputs, centroids).assign(**clip[CLIP])
    row = row.assign(model=clip["section"], stage=stage, kind="picked", role="")
    vector = mean_embeddings(outputs).astype(np.float32)
    return pd.concat([table, row[clip_outputs.COLUMNS]], ignore_index=True), np.concatenate([embedding, vector])


def loss_weights(history: pd.DataFrame) -> dict[str, float]:
    """Recover the weights of DDCSAD and ArcFace, as far as they were used, from a training's history.

    They are constants, and that of DDCSAD may have been derived from the first batches. The column ``loss`` is
    cross-entropy plus the weighted others.

    >>> table = pd.DataFrame({"bce": [1.0, 0.5, 0.5], "ddcsad": [4.0, 2.0, 3.0], "loss": [2.0, 1.0, 1.25]})
    >>> {name: round(weight, 6) for name, weight in loss_weights(table).items()}
    {'ddcsad': 0.25}
    """
    names = [name for name in ("ddcsad", "arcface") if name in history]
    found = np.linalg.lstsq(history[names].to_numpy(), (history["loss"] - history["bce"]).to_numpy(), rcond=None)[0]
    return dict(zip(names, found.tolist(), strict=True))


def find_confused(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the normal test clips that score highest and the anomalous ones that score lowest, worst first.

    There are up to :data:`SHOWN` clips of each label.

    Args:
        scores: Score table of one system.

    Returns:
        Rows of ``scores`` with ``rank``, the share of the test clips of the same section and domain that score lower,
        because scores of different models cannot be compared directly.
    """
    test = labelled(scores)
    places = test.groupby(["section", "domain"])["score"]
    test = test.assign(rank=(places.rank(method="average") - 1) / (places.transform("size") - 1).clip(lower=1))
    worst = [
        test[test["label"] == label].sort_values("rank", ascending=label == "anomaly", kind="stable").head(SHOWN)
        for label in ("normal", "anomaly")
    ]
    return pd.concat(worst, ignore_index=True)
