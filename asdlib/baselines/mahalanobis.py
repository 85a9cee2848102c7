"""Score clips by a Mahalanobis distance, a simple reference that the paper lacks and that deep models should beat.

Each clip is represented by one vector, the mean and standard deviation over time of its log-mel spectrogram. Its score
is the Mahalanobis distance from the training clips of its section, with a covariance shrunk after Ledoit and Wolf
(2004). There is no iterative training, no selection, and no use of labels. Both domains share one Gaussian: the mean of
three target clips alone would be noisy, but among the other clips they widen the covariance in the direction of the
shift.

The Gaussian is fitted on the same clips that every other system of the run learns from, and held-out clips are scored
like test clips. With hundreds of dimensions and equally few clips, the distance of a clip that the Gaussian was fitted
on is only a third of that of a new clip.

``mahalanobis_shift`` has a separate Gaussian for the target domain, fitted on shifted clips
(:mod:`asdlib.shift.shifted_clips`) and slightly widened by the shift that the target clips still show. It measures the
effect of shifted clips alone, without any network.
"""

import numpy as np
import pandas as pd
import torch

from asdlib import scores
from asdlib.baselines.files import write
from asdlib.compute import resolve_compute
from asdlib.data.held_out_split import LEARN
from asdlib.features import LogMel, log_mels
from asdlib.gaussian import Gaussian
from asdlib.shift import shifted_clips
from asdlib.stage import Stage

SYSTEM, SHIFTED = "mahalanobis", "mahalanobis_shift"


def run(settings, machine: str, system: str = SYSTEM) -> pd.DataFrame:
    """Fit one Gaussian per section (or one per section and domain), score all clips, and write the system's folder.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        machine: Machine type.
        system: ``mahalanobis`` or ``mahalanobis_shift``.

    Returns:
        The score table of the clips of :attr:`asdlib.data.machine_clips.MachineClips.scored`,
        with Mahalanobis distances.

    Raises:
        DataError: The machine type has no systems in this run.
        ScoreError: A clip's log-mel is not finite.
    """
    baseline, compute = settings.mahalanobis, resolve_compute(settings)
    stage = Stage(settings, system, machine, compute=compute)
    opened = stage.clips
    waveforms, clips, scored = opened.waveforms, opened.table, opened.scored
    log_mel = LogMel(baseline.features, settings.data.sample_rate).to(compute.device)
    vectors = np.stack([summary(spectrum) for spectrum in log_mels(waveforms, opened.rows, log_mel)])
    scores.finite(clips, vectors, "the log-mel")
    shifted = shifted_clips.open_rows(settings, machine, opened.planned) if system == SHIFTED else None

    score, model = np.empty(len(scored)), {}
    for section in opened.planned:
        own = (scored["section"] == section).to_numpy()
        learn = (clips["section"] == section).to_numpy() & (opened.role == LEARN)
        gaussian = Gaussian.fit(vectors[learn])
        score[own] = gaussian.distance(vectors[scored.index[own]])
        model |= gaussian.arrays(f"{section}.")
        like = shifted_clips.rows_made_from(shifted, section, clips["clip"][learn]) if shifted else []
        if len(like):
            target = own & (scored["domain"] == "target").to_numpy()
            few = vectors[learn & (clips["domain"] == "target").to_numpy()]
            gaussian = Gaussian.fit(np.stack([summary(spectrum) for spectrum in log_mels(shifted[0], like, log_mel)]))
            gaussian = gaussian.widened(few, baseline.target_shift)
            score[target] = gaussian.distance(vectors[scored.index[target]])
            model |= gaussian.arrays(f"{section}.target.")

    table = scores.table(scored, system, score)
    depends = {
        "machine": machine,
        "sections": opened.planned,
        **settings.common(),
        **baseline.model_dump(mode="json"),
    }
    with stage.writing(depends, seed=settings.seed, data=waveforms.fingerprint) as folder:
        write(folder, table, {name: torch.from_numpy(array) for name, array in model.items()})
    return table


def summary(spectrum: torch.Tensor) -> np.ndarray:
    """Compute mean and standard deviation over time, ``(frames, mels)`` to ``(2 mels,)``, in float64.

    >>> summary(torch.tensor([[0.0, 1.0], [2.0, 1.0]])).tolist()
    [1.0, 1.0, 1.0, 0.0]
    """
    spectrum = spectrum.double()
    return torch.cat([spectrum.mean(0), spectrum.std(0, correction=0)]).cpu().numpy()
