"""Normalise every waveform that a machine type's classifiers see by one mean and deviation (Sec. 2.2).

The paper normalises "over each machine type". Here all waveforms that a classifier sees, the negatives of other machine
types included, are normalised by the statistics of the *positive* machine type, so that the network sees one scale.
"""

from collections.abc import Collection

import numpy as np
from torch import Tensor

from asdlib.data.audio import Waveforms
from asdlib.units import FULL_SCALE


def measure_normalisation(waveforms: Waveforms, without: Collection[str] = ()) -> tuple[float, float]:
    """Compute mean and standard deviation of a machine type's training clips, scaled to -1 to 1, except ``without``."""
    total, squares, count = 0.0, 0.0, 0
    clips = waveforms.clips
    for clip in waveforms.read_each(np.flatnonzero((clips["split"] == "train") & ~clips["clip"].isin(without))):
        samples = clip.astype(np.float64) / FULL_SCALE
        total, squares, count = total + samples.sum(), squares + np.square(samples).sum(), count + len(samples)
    mean = total / count
    return mean, max(squares / count - mean**2, 1e-12) ** 0.5


def normalise_waveform(waveform: Tensor, mean: Tensor | float, deviation: Tensor | float) -> Tensor:
    """Scale waveforms in -1 to 1, shape (..., samples), by the values that :func:`measure_normalisation` returned."""
    return (waveform - mean) / deviation
