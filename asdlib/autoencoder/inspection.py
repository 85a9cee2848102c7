"""Inspect how a trained autoencoder and its scorer process one clip."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from asdlib import paths
from asdlib.autoencoder import frame_to_clip_scores, scorer
from asdlib.autoencoder.reconstruction_errors import Reconstruction
from asdlib.data.inspection import Example
from asdlib.errors import ModelError
from asdlib.units import FULL_SCALE


@dataclass(frozen=True)
class Inspection:
    """Result of autoencoder and scorer for one clip."""

    clip: str
    """name of the clip"""
    spectra: Reconstruction
    """input, masked input, reconstruction and error, dB"""
    frame_scores: np.ndarray
    """negative log-likelihood of each frame's errors, nats, ``(frames,)``"""
    waveform: np.ndarray
    """in units of 1/32768, ``(samples,)``"""
    sample_rate: int
    """Hz"""

    def example(self, title: str) -> Example:
        """Return the clip as :func:`asdlib.plots.sound.players` takes it."""
        return Example(title, self.sample_rate, self.waveform / FULL_SCALE, self.spectra.original)


def inspect(settings, machine: str, candidate: str, clip: pd.Series, waveform: np.ndarray | None = None) -> Inspection:
    """Run autoencoder and scorer on one clip.

    Args:
        settings: Settings of the run.
        machine: Machine type.
        candidate: Name of the candidate, which must have been scored (:func:`asdlib.autoencoder.scorer.score`).
        clip: Row of the catalogue or of a score table, with ``section, domain, split, clip``.
        waveform: The clip's samples in units of 1/32768; None for a clip of the run.

    Raises:
        ModelError: The scorers are missing, or the clip does not exist.
    """
    clips, net = scorer.open_trained(settings, machine, candidate)
    path = paths.Run.of(settings).system("autoencoder", machine, candidate) / scorer.FILE
    if not path.is_file():
        raise ModelError(f"{path}: no scorers; run notebook 04_reconstruction_errors to fit them, or make reproduce")
    if waveform is None:
        table = clips.waveforms.clips
        places = np.flatnonzero((table["split"] == clip["split"]) & (table["clip"] == clip["clip"]))
        if len(places) == 0:
            raise ModelError(f"{machine} has no {clip['split']} clip {clip['clip']!r}; choose one from its score table")
        waveform = clips.waveforms.read(int(places[0]))
    section, (key,) = clips.sections.index(clip["section"]), scorer.mask_keys(clip.to_frame().T)
    options, gaussians = net.settings.scorer, frame_to_clip_scores.load(path)
    (error,) = net.errors([waveform], [section], [key], frame_to_clip_scores.error_kinds(options))
    frames = frame_to_clip_scores.score_frames(error, gaussians, clip["section"], clip["domain"], options)
    return Inspection(clip["clip"], net.reconstruct(waveform, section, key), frames, waveform, net.sample_rate)


def reconstruct_examples(settings, machine: str, candidate: str) -> dict[str, Reconstruction]:
    """Reconstruct the first training clip of each domain; the keys say which domain and section it is of."""
    clips, net = scorer.open_trained(settings, machine, candidate)
    train = clips.table[clips.table["split"] == "train"].groupby("domain").head(1)
    return {
        f"{clip.domain}, section {clip.section}": net.reconstruct(
            clips.waveforms.read(clips.rows[position]), clips.sections.index(clip.section), key
        )
        for (position, clip), key in zip(train.iterrows(), scorer.mask_keys(train), strict=True)
    }


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
