"""Localize faults in time and frequency, from the frame scores and signed errors of an autoencoder.

A span is a run of frames whose scores lie above those of most normal frames, around a frame whose score lies above
those of almost all normal clips. Scores and errors are averaged over :data:`SMOOTH` seconds first, because single
frames are noisy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label, uniform_filter1d

from asdlib.evaluation.empirical import empirical_threshold

SMOOTH = 0.2
"""seconds over which scores and errors are averaged"""
USUAL = 0.95
"""share of normal frames whose scores lie below the score at which a span ends"""
RANGES = 3
"""maximum number of frequency ranges per span"""


@dataclass(frozen=True)
class FrameStatistics:
    """Statistics of the frames of normal clips: the held-out clips of a section."""

    peaks: np.ndarray
    """highest smoothed frame score of each normal clip, (clips,)"""
    level: float
    """smoothed frame score below which most normal frames lie"""
    mean: np.ndarray
    """mean of the smoothed signed errors of each mel band, standardised log-mel, (mels,)"""
    deviation: np.ndarray
    """standard deviation of the same, (mels,)"""
    edges: np.ndarray
    """edges of the mel bands in Hz: band i reaches from edge i to edge i + 2, (mels + 2,)"""

    @classmethod
    def of(
        cls, frames: Sequence[np.ndarray], errors: Sequence[np.ndarray], step: float, edges: np.ndarray
    ) -> "FrameStatistics":
        """Summarise the held-out clips' frame scores ``(frames,)`` and signed errors ``(frames, mels)``."""
        scores = [smooth(values, step) for values in frames]
        bands = np.concatenate([smooth(values, step) for values in errors])
        level = float(np.quantile(np.concatenate(scores), USUAL))
        peaks = np.array([values.max() for values in scores])
        return cls(peaks, level, bands.mean(0), np.maximum(bands.std(0), 1e-6), edges)


def localize(
    frames: np.ndarray, errors: np.ndarray, normal: FrameStatistics, step: float, seconds: float, rate: float
) -> list[dict]:
    """Find the spans of one window, in order.

    Args:
        frames: Frame scores, ``(frames,)``.
        errors: Signed errors, ``(frames, mels)``.
        normal: Statistics of normal frames.
        step: Seconds between frames.
        seconds: Length of the window; no span ends later.
        rate: Share of normal clips in which a frame stands out.

    Returns:
        ``start`` and ``end`` in seconds, and ``frequencies``, ranges from and to in Hz, the oddest first.
    """
    scores, bands = smooth(frames, step), smooth(errors, step)
    peak, _ = empirical_threshold(normal.peaks, 1 - rate)
    runs, count = label(scores > min(normal.level, peak))
    chosen = [np.flatnonzero(runs == run) for run in range(1, count + 1)]
    chosen = [run for run in chosen if scores[run].max() > peak]
    return [
        {
            "start": round(max(float(run[0]) - 0.5, 0.0) * step, 3),
            "end": round(min((float(run[-1]) + 0.5) * step, float(seconds)), 3),
            "frequencies": find_frequencies((bands[run].mean(0) - normal.mean) / normal.deviation, normal.edges),
        }
        for run in chosen
    ]


def find_frequencies(oddness: np.ndarray, edges: np.ndarray) -> list[list[float]]:
    """Return at most :data:`RANGES` ranges in Hz of adjacent mel bands half as odd as the oddest, or odder.

    Args:
        oddness: Deviation from the usual error in each band, ``(mels,)``, either sign.
        edges: Edges of the bands in Hz, ``(mels + 2,)``.
    """
    size = np.abs(oddness)
    groups, count = label(size >= size.max() / 2)
    ranges = [np.flatnonzero(groups == group) for group in range(1, count + 1)]
    ranges = sorted(ranges, key=lambda bands: -size[bands].max())[:RANGES]
    return [[round(float(edges[bands[0]]), 1), round(float(edges[bands[-1] + 2]), 1)] for bands in ranges]


def smooth(values: np.ndarray, step: float) -> np.ndarray:
    """Return the moving average over :data:`SMOOTH` seconds along the first axis."""
    return uniform_filter1d(np.asarray(values, np.float64), max(round(SMOOTH / step), 1), axis=0, mode="nearest")
