"""A reference row that the paper lacks: the simple thing that deep models must beat.

A clip becomes one vector, the mean and the deviation over time of its log-mel; its score is the Mahalanobis distance
from the training clips of its section, under a covariance shrunk after Ledoit and Wolf (2004). Nothing is trained by
steps, nothing is chosen, no label is used. Both domains share one Gaussian: three target clips would be a noisy mean of
their own, but among the others they make the covariance wider in the direction of the shift.

The clips that a Gaussian was fitted on lie far nearer to it than any new clip of the same machine: hundreds of
dimensions, as few clips. So they are scored by cross-fitting, each by a Gaussian fitted without it and its fold; a
threshold from training scores would otherwise call every clip anomalous.
"""

import time

import numpy as np
import pandas as pd
import torch
from sklearn.covariance import LedoitWolf

from asdlib import artefacts, data, paths, scores, training
from asdlib.baselines.machine import write
from asdlib.features import LogMel, log_mels

SYSTEM = "mahalanobis"
FOLDS = 5


def run(settings, machine: str) -> pd.DataFrame:
    """Fit one Gaussian a section, score all clips, and write the folder of ``mahalanobis``.

    Returns:
        The score table: Mahalanobis distance, of training and test clips of the planned sections.

    Raises:
        DataError: The machine type gets no systems.
        ScoreError: A clip's log-mel is not finite.
    """
    began = time.monotonic()
    baseline, compute = settings.mahalanobis, training.compute(settings)
    waveforms, rows, _ = data.open_machine(settings, machine)
    clips = waveforms.clips.iloc[rows]
    log_mel = LogMel(baseline.features, settings.data.sample_rate).to(compute.device)
    vectors = np.stack([summary(spectrum) for spectrum in log_mels(waveforms, rows, log_mel)])
    scores.finite(clips, vectors, "the log-mel")

    score, model = np.empty(len(clips)), {}
    for section in sorted(set(clips["section"])):
        own = (clips["section"] == section).to_numpy()
        fitted = np.flatnonzero(own & (clips["split"] == "train"))
        gaussian = LedoitWolf().fit(vectors[fitted])
        score[own] = np.sqrt(gaussian.mahalanobis(vectors[own]))
        score[fitted] = cross_fitted(vectors[fitted])
        model[f"{section}.mean"] = torch.from_numpy(gaussian.location_)
        model[f"{section}.precision"] = torch.from_numpy(gaussian.precision_)

    table = scores.table(clips, SYSTEM, score)
    record = artefacts.record(
        {
            "machine": machine,
            "sections": sorted(set(clips["section"])),
            "sample_rate": settings.data.sample_rate,
            **baseline.model_dump(mode="json"),
        },
        seed=settings.seed,
        device=compute.describe(),
        data=waveforms.fingerprint,
        seconds=time.monotonic() - began,
    )
    write(paths.Run.of(settings).system(SYSTEM, machine), table, model, record)
    return table


def cross_fitted(vectors: np.ndarray) -> np.ndarray:
    """Mahalanobis distance of each vector from the others: from a Gaussian fitted on the other folds.

    Clip i is in fold i mod :data:`FOLDS`, so that neighbours in time do not share one.
    """
    fold = np.arange(len(vectors)) % FOLDS
    distance = np.empty(len(vectors))
    for held_out in np.unique(fold):
        gaussian = LedoitWolf().fit(vectors[fold != held_out])
        distance[fold == held_out] = np.sqrt(gaussian.mahalanobis(vectors[fold == held_out]))
    return distance


def summary(spectrum: torch.Tensor) -> np.ndarray:
    """Mean and deviation over time, ``(frames, mels)`` to ``(2 mels,)``, float64.

    >>> summary(torch.tensor([[0.0, 1.0], [2.0, 1.0]])).tolist()
    [1.0, 1.0, 1.0, 0.0]
    """
    spectrum = spectrum.double()
    return torch.cat([spectrum.mean(0), spectrum.std(0, correction=0)]).cpu().numpy()
