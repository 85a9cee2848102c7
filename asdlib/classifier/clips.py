"""Choose the normal training clips from which a classifier learns, and measure their waveforms."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from asdlib.data import roles
from asdlib.data.audio import Waveforms
from asdlib.data.machine_clips import open_machine
from asdlib.units import FULL_SCALE


@dataclass(frozen=True)
class Clips:
    """Normal training clips of one machine type, section and domain."""

    machine: str
    section: str
    domain: str
    waveforms: Waveforms
    rows: np.ndarray
    """rows of ``waveforms``"""


def group_clips(waveforms: Waveforms, without: Collection[str] = ()) -> list[Clips]:
    """Group the normal training clips of a machine type, except those named ``without``, by section and domain."""
    clips = waveforms.clips
    chosen = clips[(clips["split"] == "train") & (clips["label"] == "normal") & ~clips["clip"].isin(without)]
    return [
        Clips(*key, waveforms, part.index.to_numpy()) for key, part in chosen.groupby(["machine", "section", "domain"])
    ]


def held_out_clips(settings, machine: str) -> set[str]:
    """Return the names of a machine type's training clips that no network learns from (:mod:`asdlib.data.roles`)."""
    clips = open_machine(settings, machine)
    return set(clips.table["clip"][clips.role == roles.HELD_OUT])


def measure_normalisation(waveforms: Waveforms, without: Collection[str] = ()) -> tuple[float, float]:
    """Compute mean and standard deviation of a machine type's training clips, scaled to -1 to 1, except ``without``."""
    total, squares, count = 0.0, 0.0, 0
    clips = waveforms.clips
    for clip in waveforms.read_each(np.flatnonzero((clips["split"] == "train") & ~clips["clip"].isin(without))):
        samples = clip.astype(np.float64) / FULL_SCALE
        total, squares, count = total + samples.sum(), squares + np.square(samples).sum(), count + len(samples)
    mean = total / count
    return mean, max(squares / count - mean**2, 1e-12) ** 0.5
