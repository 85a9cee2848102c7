"""Recognise a changed microphone response, which is not a fault of the machine.

Another microphone or another place often tilts the spectrum, by as many dB per octave at all times; a cover may lose
high frequencies and a small microphone low ones, like a filter of first order. A fault adds sound: it stands out of
such a curve, or changes how the spectrum varies over time. So if a window sounds odd, each kind of change that brings
its mean spectrum closest to that of normal windows is removed in turn, and the window is judged again. Curves with more
freedom explain more changes, but also real faults (``LOG.md``, 2026-11-27).
"""

from dataclasses import dataclass

import numpy as np

from asdlib.detector.statistics import Bands

LEAST, LIMIT = 2.0, 30.0
"""dB from the lowest to the highest band; a smaller change explains nothing, and a larger one is not removed"""
LOW, HIGH = np.geomspace(30, 500, 17), np.geomspace(1000, 16_000, 33)
"""Hz at which a high-pass and a low-pass filter that may explain a change are 3 dB down"""
_ROUNDS = 20


@dataclass(frozen=True)
class Response:
    """A change of response: a tilt, or a loss of high or of low frequencies."""

    curve: np.ndarray
    """dB by band, (bands,), relative to the median band"""

    @classmethod
    def between(cls, spectrum: np.ndarray, normal: np.ndarray, bands: Bands) -> list["Response"]:
        """Estimate the change from the usual mean spectrum to that of a window, in dB, ``(frames, bands)``.

        Least absolute deviations are used, so that a few bands with the sound of a fault do not bend the curve.

        Returns:
            The best change of each kind, from the best fit to the worst, without those of an unlikely size.
        """
        difference = spectrum.mean(0) - normal
        frequency = bands.edges[1:-1]
        kinds = [_tilt(difference, np.log2(frequency / bands.edges[-1]))[None]]
        for losses in _losses(frequency, bands.rate):
            kinds.append(losses + np.median(difference - losses, axis=1, keepdims=True))
        best = [min(curves, key=lambda curve: np.abs(difference - curve).sum()) for curves in kinds]
        best.sort(key=lambda curve: np.abs(difference - curve).sum())
        found = [cls(curve - np.median(curve)) for curve in best]
        return [change for change in found if LEAST < change.size < LIMIT]

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


def _losses(frequency: np.ndarray, rate: int) -> list[np.ndarray]:
    """Return the responses of filters of first order in dB, ``(filters, bands)`` for each kind.

    Low-pass filters are those of a sound before it is sampled, and those of the bilinear transform, which let nothing
    pass at half the sampling rate.
    """
    corners = HIGH[HIGH < 0.45 * rate][:, None]
    warped, at = np.tan(np.pi * np.minimum(frequency, 0.49 * rate) / rate), np.tan(np.pi * corners / rate)
    kinds = [frequency / HIGH[:, None], warped / at, LOW[:, None] / frequency]
    return [-10 * np.log10(1 + np.square(ratios)) for ratios in kinds]


def _tilt(difference: np.ndarray, octaves: np.ndarray) -> np.ndarray:
    """Return the line over octaves with the least absolute deviations from ``difference``."""
    basis, weights = np.column_stack([np.ones_like(octaves), octaves]), np.ones(len(difference))
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)
        line = basis @ np.linalg.lstsq(basis * root[:, None], difference * root, rcond=None)[0]
        weights = 1 / np.maximum(np.abs(difference - line), 0.1)
    return line
