"""One clip through a trained autoencoder and its scorer, to look at."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from asdlib import AsdError, paths
from asdlib.autoencoder import scorer
from asdlib.autoencoder.reconstruct import Reconstruction, Reconstructor
from asdlib.data.audio import Waveforms


class ScorerError(AsdError):
    """Scorers that are missing, or a clip that is not there."""


@dataclass(frozen=True)
class Inspection:
    """One clip through autoencoder and scorer."""

    spectra: Reconstruction
    """input, masked input, reconstruction and error, dB"""
    frame_scores: np.ndarray
    """negative log-likelihood of each frame's errors, nats, ``(frames,)``"""
    waveform: np.ndarray
    """int16, ``(samples,)``"""
    sample_rate: int
    """Hz"""


def inspect(settings, machine: str, candidate: str, clip: pd.Series, waveforms: Waveforms | None = None) -> Inspection:
    """Look at one clip.

    Args:
        settings: Of the run.
        machine: Machine type.
        candidate: Name of the candidate, scored before (:func:`asdlib.autoencoder.scorer.score`).
        clip: A row with ``split`` and ``clip``, of the catalogue or of a score table.
        waveforms: Where the clip is; None for those of the run.

    Raises:
        ScorerError: There are no scorers, or no such clip.
    """
    net = Reconstructor.load(settings, machine, candidate)
    net = net if waveforms is None else replace(net, waveforms=waveforms)
    path = paths.Run.of(settings).system("autoencoder", machine, candidate) / "scorers.safetensors"
    if not path.is_file():
        raise ScorerError(f"{path}: no scorers; run notebook 04_reconstruction_errors for it, or make reproduce")
    table = net.waveforms.clips
    found = np.flatnonzero((table["split"] == clip["split"]) & (table["clip"] == clip["clip"]))
    if len(found) == 0:
        raise ScorerError(f"{machine} has no {clip['split']} clip {clip['clip']!r}; take one from its score table")
    row, options = int(found[0]), net.branch.scorer
    error, gaussians = next(net.errors([row], scorer.kinds(options))), scorer.load(path)
    frames = scorer.frame_scores(error, gaussians, table["section"].iat[row], table["domain"].iat[row], options)
    return Inspection(net.example(row), frames, net.waveforms.read(row), net.sample_rate)


def typical(table: pd.DataFrame, section: str, domain: str, label: str) -> pd.Series:
    """The test clip with the median score among those of a section, domain and label: neither the best nor the worst.

    Args:
        table: Scores of one system.
    """
    same = (table["section"] == section) & (table["domain"] == domain) & (table["label"] == label)
    chosen = table[same & (table["split"] == "test")].sort_values(["score", "clip"])
    if chosen.empty:
        raise ScorerError(f"section {section} has no {label} test clip of the {domain} domain; choose another")
    return chosen.iloc[len(chosen) // 2]
