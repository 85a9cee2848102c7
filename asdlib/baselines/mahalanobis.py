"""A reference row that the paper lacks: the simple thing that deep models must beat.

A clip becomes one vector, the mean and the deviation over time of its log-mel; its score is the Mahalanobis distance
from the training clips of its section, under a covariance shrunk after Ledoit and Wolf (2004). Nothing is trained by
steps, nothing is chosen, no label is used. Both domains share one Gaussian: three target clips would be a noisy mean of
their own, but among the others they make the covariance wider in the direction of the shift.

The clips that a Gaussian was fitted on lie far nearer to it than any new clip of the same machine: hundreds of
dimensions, as few clips. So they are scored by cross-fitting, each by a Gaussian fitted without it and its fold; a
threshold from training scores would otherwise call every clip anomalous.

``mahalanobis_shift`` is the same with a Gaussian of its own for the target domain, fitted on pseudo-target clips
(:mod:`asdlib.data.pseudo_target`): what these do alone, without any network.
"""

import time

import numpy as np
import pandas as pd
import torch
from sklearn.covariance import LedoitWolf

from asdlib import artefacts, data, paths, scores, training
from asdlib.baselines.machine import write
from asdlib.data import pseudo_target
from asdlib.features import LogMel, log_mels

SYSTEM, SHIFTED = "mahalanobis", "mahalanobis_shift"
FOLDS = 5


def run(settings, machine: str, system: str = SYSTEM) -> pd.DataFrame:
    """Fit one Gaussian a section (or two, one a domain), score all clips, and write the system's folder.

    Args:
        settings: :class:`asdlib.params.Settings`.
        machine: Machine type.
        system: ``mahalanobis`` or ``mahalanobis_shift``.

    Returns:
        The score table: Mahalanobis distance, of training and test clips of the planned sections.

    Raises:
        DataError: The machine type gets no systems.
        ScoreError: A clip's log-mel is not finite.
    """
    began = time.monotonic()
    baseline, compute = settings.mahalanobis, training.compute(settings)
    waveforms, rows, sections = data.open_machine(settings, machine)
    clips = waveforms.clips.iloc[rows]
    log_mel = LogMel(baseline.features, settings.data.sample_rate).to(compute.device)
    vectors = np.stack([summary(spectrum) for spectrum in log_mels(waveforms, rows, log_mel)])
    scores.finite(clips, vectors, "the log-mel")
    made = pseudo_target.open_rows(settings, machine, sections) if system == SHIFTED else None

    score, model = np.empty(len(clips)), {}
    for section in sorted(set(clips["section"])):
        own = (clips["section"] == section).to_numpy()
        fitted = np.flatnonzero(own & (clips["split"] == "train"))
        gaussian = LedoitWolf().fit(vectors[fitted])
        score[own] = np.sqrt(gaussian.mahalanobis(vectors[own]))
        score[fitted] = cross_fitted(vectors[fitted])
        model[f"{section}.mean"] = torch.from_numpy(gaussian.location_)
        model[f"{section}.precision"] = torch.from_numpy(gaussian.precision_)
        like = made[1][made[0].clips["section"].iloc[made[1]] == section] if made else []
        if len(like):
            gaussian = LedoitWolf().fit(np.stack([summary(spectrum) for spectrum in log_mels(made[0], like, log_mel)]))
            target = own & (clips["domain"] == "target").to_numpy()
            score[target] = np.sqrt(gaussian.mahalanobis(vectors[target]))
            model[f"{section}.target.mean"] = torch.from_numpy(gaussian.location_)
            model[f"{section}.target.precision"] = torch.from_numpy(gaussian.precision_)

    table = scores.table(clips, system, score)
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
    write(paths.Run.of(settings).system(system, machine), table, model, record)
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
