"""Recognise a changed microphone response, which is not a fault of the machine.

Another microphone, a cover or another place often tilts the spectrum, by as many dB per octave at all times. A fault
adds sound: it stands out of the tilt, or changes how the spectrum varies over time. So if a window sounds odd, the tilt
that brings its mean spectrum closest to that of normal windows is removed, and the window is judged again. Curves with
more freedom explain more changes, but also real faults (``LOG.md``, 2026-11-27).
"""

from dataclasses import dataclass

import numpy as np

from asdlib.detector.statistics import Bands

LEAST, LIMIT = 2.0, 30.0
"""dB from the lowest to the highest band; a smaller tilt explains nothing, and a larger one is not removed"""
_ROUNDS = 20


@dataclass(frozen=True)
class Response:
    """A change of response: a tilt."""

    curve: np.ndarray
    """dB by band, (bands,), relative to the median band"""

    @classmethod
    def between(cls, spectrum: np.ndarray, normal: np.ndarray, bands: Bands) -> "Response":
        """Estimate the change from the usual mean spectrum to that of a window, in dB, ``(frames, bands)``.

        Least absolute deviations are used, so that a few bands with the sound of a fault do not tilt the line.
        """
        difference = spectrum.mean(0) - normal
        octaves = np.log2(bands.edges[1:-1] / bands.edges[-1])
        basis = np.column_stack([np.ones_like(octaves), octaves])
        weights = np.ones(len(difference))
        for _ in range(_ROUNDS):
            root = np.sqrt(weights)
            fit = basis @ np.linalg.lstsq(basis * root[:, None], difference * root, rcond=None)[0]
            weights = 1 / np.maximum(np.abs(difference - fit), 0.1)
        return cls(fit - np.median(fit))

    @property
    def size(self) -> float:
        """Difference between the highest and the lowest band, in dB."""
        return float(np.ptp(self.curve))

    def undo(self, samples: np.ndarray, bands: Bands) -> np.ndarray:
        """Remove the change from a window, int16 to float64 with the same scale."""
        spectrum = np.fft.rfft(samples)
        frequency = np.fft.rfftfreq(len(samples), 1 / bands.rate)
        gain = np.interp(frequency, bands.edges[1:-1], -self.curve)
        return np.fft.irfft(spectrum * 10 ** (gain / 20), len(samples))
