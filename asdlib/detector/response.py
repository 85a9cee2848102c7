"""Recognise a changed microphone response, which is no fault of the machine.

Another microphone, a cover or another place changes the spectrum by a smooth curve, the same at all times. A fault adds
sound: it stands out of the curve, or changes how the spectrum varies over time. So if a window sounds odd, the smooth
curve that brings its mean spectrum closest to that of normal windows is taken back, and the window judged again.
"""

from dataclasses import dataclass

import numpy as np

from asdlib.detector.statistics import Bands

LEAST, LIMIT = 2.0, 15.0
"""dB; a curve that spans less explains nothing, and one that spans more is not taken back"""
_COSINES = (2, 3)  # half periods over the mel bands, beside a tilt in dB per octave
_ROUNDS = 20


@dataclass(frozen=True)
class Response:
    """A smooth change of response."""

    curve: np.ndarray
    """dB by band, (bands,), relative to the median band"""

    @classmethod
    def between(cls, spectrum: np.ndarray, normal: np.ndarray, bands: Bands) -> "Response":
        """Estimate the change from the usual mean spectrum to that of a window, in dB, ``(frames, bands)``.

        Least absolute deviations, so that a few bands in which a fault sounds do not bend the curve.
        """
        difference = spectrum.mean(0) - normal
        position = (np.arange(len(difference)) + 0.5) / len(difference)
        octaves = np.log2(bands.edges[1:-1] / bands.edges[-1])
        basis = np.column_stack([np.ones_like(octaves), octaves, *(np.cos(np.pi * k * position) for k in _COSINES)])
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
        """Take the change back in a window, int16 to float64 with the same scale."""
        spectrum = np.fft.rfft(samples)
        frequency = np.fft.rfftfreq(len(samples), 1 / bands.rate)
        gain = np.interp(frequency, bands.edges[1:-1], -self.curve)
        return np.fft.irfft(spectrum * 10 ** (gain / 20), len(samples))
