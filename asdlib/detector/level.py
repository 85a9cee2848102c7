"""Measure the levels of recordings, and choose a gain that makes a detector independent of them within a limit.

The level of a window is the mean over short frames of their power in decibels. A gain of x dB changes it by x dB, and a
short loud event changes it little. So a detector does not depend on the gain of the recorder or the distance of the
microphone, while a knock remains audible.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from asdlib import params

FRAME = 0.05
"""seconds"""
FLOOR = -140.0
"""level of digital silence, in dB re full scale"""
SILENT = -100.0
"""dB re full scale; quieter recordings contain only rounding errors"""
LIMIT = 12.0
"""default of the largest difference, in dB, between the level of a recording and the levels that were learnt"""
TARGETS = -60.0, -30.0
"""range of the common level of all clips, in dB re full scale: the higher their peaks, the lower the level"""
_HEADROOM = 6.0  # dB above the peaks of the clips


class Learnt(params.Strict):
    """Levels of the normal recordings of a section and domain, in dB re full scale."""

    median: float
    spread: Annotated[float, Field(ge=0)]
    """largest deviation from the median, in dB, apart from one window in a hundred"""

    @classmethod
    def of(cls, levels: Sequence[float]) -> "Learnt":
        """Summarise the levels of windows."""
        median = float(np.median(levels))
        return cls(median=round(median, 2), spread=round(float(np.quantile(np.abs(levels - median), 0.99)), 2))

    def exceeded(self, change: float, limit: float) -> bool:
        """Tell whether a level, given as its difference from the median, is beyond the learnt levels and the limit."""
        return abs(change) > limit + self.spread


def level(wave: np.ndarray, rate: int) -> float:
    """Return the level of a window, in dB re full scale; its mean, an offset of the recorder, does not count.

    >>> tone = np.sin(np.arange(16000))
    >>> round(level(tone, 16000), 1), round(level(0.1 * tone, 16000), 1)
    (-3.0, -23.0)
    """
    size = max(min(round(FRAME * rate), len(wave)), 1)
    frames = wave[: len(wave) // size * size].reshape(-1, size) - wave.mean()
    return float(np.maximum(10 * np.log10(np.square(frames).mean(1) + 1e-30), FLOOR).mean())


def target(levels: Sequence[float], peaks: Sequence[float]) -> float:
    """Choose the common level of all windows, as high as their peaks allow; all in dB re full scale."""
    crest = float(np.quantile(np.subtract(peaks, levels), 0.99))
    return round(float(np.clip(-crest - _HEADROOM, *TARGETS)), 2)


def peak(wave: np.ndarray) -> float:
    """Return the peak of a window, in dB re full scale."""
    return 20 * float(np.log10(np.abs(wave).max() + 1e-15))
