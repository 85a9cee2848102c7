"""Levels of recordings, and a gain that makes a detector independent of them within a limit.

The level of a window is the mean over short frames of their power in decibels. A gain of x dB changes it by x, a short
loud event changes it little, so what is learnt of a machine does not depend on the gain of the recorder or the distance
of the microphone, while a knock stays a knock.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from asdlib import params

FRAME = 0.05
"""seconds"""
FLOOR = -140.0
"""dB re full scale; digital silence counts as this"""
SILENT = -100.0
"""dB re full scale; recordings below hold nothing but rounding"""
LIMIT = 12.0
"""dB that the level of a recording may lie outside what was learnt, by default"""
TARGETS = -60.0, -30.0
"""dB re full scale that levels are brought to: the quieter, the higher the peaks"""
_HEADROOM = 6.0  # dB above the peaks that were learnt


class Learnt(params.Strict):
    """What levels the recordings of a section had, in dB re full scale."""

    median: float
    spread: Annotated[float, Field(ge=0)]
    """largest deviation from the median, in dB, but for one window in a hundred"""

    @classmethod
    def of(cls, levels: Sequence[float]) -> "Learnt":
        """Summarise the levels of windows."""
        median = float(np.median(levels))
        return cls(median=round(median, 2), spread=round(float(np.quantile(np.abs(levels - median), 0.99)), 2))

    def exceeded(self, change: float, limit: float) -> bool:
        """Say whether a level lies farther outside what was learnt than the limit."""
        return abs(change) > limit + self.spread


def level(wave: np.ndarray, rate: int) -> float:
    """Return the level of a window, in dB re full scale; its mean (an offset of the recorder) does not count.

    >>> tone = np.sin(np.arange(16000))
    >>> round(level(tone, 16000), 1), round(level(0.1 * tone, 16000), 1)
    (-3.0, -23.0)
    """
    size = max(min(round(FRAME * rate), len(wave)), 1)
    frames = wave[: len(wave) // size * size].reshape(-1, size) - wave.mean()
    return float(np.maximum(10 * np.log10(np.square(frames).mean(1) + 1e-30), FLOOR).mean())


def target(levels: Sequence[float], peaks: Sequence[float]) -> float:
    """Choose the level that windows are brought to: as high as their peaks, in dB re full scale, leave room for."""
    crest = float(np.quantile(np.subtract(peaks, levels), 0.99))
    return round(float(np.clip(-crest - _HEADROOM, *TARGETS)), 2)


def peak(wave: np.ndarray) -> float:
    """Return the peak of a window, in dB re full scale."""
    return 20 * float(np.log10(np.abs(wave).max() + 1e-15))
