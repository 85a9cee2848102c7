"""Inspect how a trained autoencoder and its scorer process one clip."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from asdlib import paths
from asdlib.autoencoder import scorer
from asdlib.autoencoder.reconstruct import Reconstruction, Reconstructor
from asdlib.data.audio import Waveforms
from asdlib.data.inspection import Example
from asdlib.errors import ModelError
from asdlib.units import FULL_SCALE


@dataclass(frozen=True)
class Inspection:
    """Result of autoencoder and scorer for one clip."""

    spectra: Reconstruction
    """input, masked input, reconstruction and error, dB"""
    frame_scores: np.ndarray
    """negative log-likelihood of each frame's errors, nats, ``(frames,)``"""
    waveform: np.ndarray
    """int16, ``(samples,)``"""
    sample_rate: int
    """Hz"""

    def example(self, title: str) -> Example:
        """Return the clip as :func:`asdlib.plots.sound.players` takes it."""
        return Example(title, self.sample_rate, self.waveform / FULL_SCALE, self.spectra.original)


def inspect(settings, machine: str, candidate: str, clip: pd.Series, waveforms: Waveforms | None = None) -> Inspection:
    """Run autoencoder and scorer on one clip.

    Args:
        settings: Settings of the run.
        machine: Machine type.
        candidate: Name of the candidate, which must have been scored (:func:`asdlib.autoencoder.scorer.score`).
        clip: Row of the catalogue or of a score table, with ``split`` and ``clip``.
        waveforms: Waveforms that include the clip; None for those of the run.

    Raises:
        ModelError: The scorers are missing, or the clip does not exist.
    """
    net = Reconstructor.load(settings, machine, candidate)
    net = net if waveforms is None else replace(net, waveforms=waveforms)
    path = paths.Run.of(settings).system("autoencoder", machine, candidate) / "scorers.safetensors"
    if not path.is_file():
        raise ModelError(f"{path}: no scorers; run notebook 04_reconstruction_errors to fit them, or make reproduce")
    table = net.waveforms.clips
    found = np.flatnonzero((table["split"] == clip["split"]) & (table["clip"] == clip["clip"]))
    if len(found) == 0:
        raise ModelError(f"{machine} has no {clip['split']} clip {clip['clip']!r}; choose one from its score table")
    row, options = int(found[0]), net.branch.scorer
    error, gaussians = next(net.errors([row], scorer.kinds(options))), scorer.load(path)
    frames = scorer.frame_scores(error, gaussians, table["section"].iat[row], table["domain"].iat[row], options)
    return Inspection(net.example(row), frames, net.waveforms.read(row), net.sample_rate)


def typical(table: pd.DataFrame, section: str, domain: str, label: str) -> pd.Series:
    """Return the test clip with the median score among those of a section, domain and label.

    Args:
        table: Score table of one system.
        section: Section of the clip.
        domain: Domain of the clip.
        label: Label of the clip.
    """
    same = (table["section"] == section) & (table["domain"] == domain) & (table["label"] == label)
    chosen = table[same & (table["split"] == "test")].sort_values(["score", "clip"])
    if chosen.empty:
        raise ModelError(f"section {section} has no {label} test clip of the {domain} domain; choose another")
    return chosen.iloc[len(chosen) // 2]
