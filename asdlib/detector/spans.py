"""When in a window it sounded wrong, and at which frequencies: from the autoencoder's frame scores and signed errors.

A span is a run of frames above what normal frames reach, around a frame above what almost no normal clip reaches.
Scores and errors are averaged over :data:`SMOOTH` seconds first: single frames are noisy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label, uniform_filter1d

from asdlib.evaluation.empirical import empirical_threshold

SMOOTH = 0.2
"""seconds"""
USUAL = 0.95
"""share of normal frames that stay below where a span ends"""
RANGES = 3
"""frequency ranges that a span names at most"""


@dataclass(frozen=True)
class Usual:
    """What frames of normal clips look like, from the held-out clips of a section."""

    peaks: np.ndarray
    """highest smoothed frame score of each normal clip, (clips,)"""
    level: float
    """smoothed frame score below which most normal frames stay"""
    mean: np.ndarray
    """of the smoothed signed errors of each mel band, standardised log-mel, (mels,)"""
    deviation: np.ndarray
    """of the same, (mels,)"""
    edges: np.ndarray
    """of the mel bands, in Hz: band i reaches from edge i to edge i + 2, (mels + 2,)"""

    @classmethod
    def of(cls, frames: Sequence[np.ndarray], errors: Sequence[np.ndarray], step: float, edges: np.ndarray) -> "Usual":
        """Summarise the held-out clips' frame scores ``(frames,)`` and signed errors ``(frames, mels)``."""
        scores = [smooth(values, step) for values in frames]
        bands = np.concatenate([smooth(values, step) for values in errors])
        level = float(np.quantile(np.concatenate(scores), USUAL))
        peaks = np.array([values.max() for values in scores])
        return cls(peaks, level, bands.mean(0), np.maximum(bands.std(0), 1e-6), edges)


def find(frames: np.ndarray, errors: np.ndarray, usual: Usual, step: float, seconds: float, rate: float) -> list[dict]:
    """Find the spans of one window, in order.

    Args:
        frames: Frame scores, ``(frames,)``.
        errors: Signed errors, ``(frames, mels)``.
        usual: What is usual in the window's section.
        step: Seconds between frames.
        seconds: Length of the window; no span ends later.
        rate: Share of normal clips in which a frame stands out.

    Returns:
        ``start`` and ``end`` in seconds, and ``frequencies``, ranges from and to in Hz, the oddest first.
    """
    scores, bands = smooth(frames, step), smooth(errors, step)
    peak, _ = empirical_threshold(usual.peaks, 1 - rate)
    runs, count = label(scores > min(usual.level, peak))
    chosen = [np.flatnonzero(runs == run) for run in range(1, count + 1)]
    chosen = [run for run in chosen if scores[run].max() > peak]
    return [
        {
            "start": round(max(float(run[0]) - 0.5, 0.0) * step, 3),
            "end": round(min((float(run[-1]) + 0.5) * step, float(seconds)), 3),
            "frequencies": frequencies((bands[run].mean(0) - usual.mean) / usual.deviation, usual.edges),
        }
        for run in chosen
    ]


def frequencies(oddness: np.ndarray, edges: np.ndarray) -> list[list[float]]:
    """Ranges in Hz of neighbouring mel bands at least half as odd as the oddest; at most :data:`RANGES`, oddest first.

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
    """Moving average over :data:`SMOOTH` seconds along the first axis."""
    return uniform_filter1d(np.asarray(values, np.float64), max(round(SMOOTH / step), 1), axis=0, mode="nearest")
