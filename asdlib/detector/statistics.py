"""Detect anomalies without a network, by statistics of log-mel spectra: of a whole window, and of each moment in it.

This finds faults that networks miss because they look at details, such as a hiss, and says at which moment and in which
band a window is most unusual. It needs numpy only, so that judging imports neither PyTorch nor librosa.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from asdlib.gaussian import Gaussian

BANDS = 48
"""number of mel bands"""
FRAME = 0.064
"""length of a frame in seconds; frames overlap by half"""
SCALES = (0.2, 1.0)
"""lengths in seconds of the two moving averages whose maximum over time counts"""
_FLOOR = 1e-3  # power of a band in units of int16 squared; lower values are rounding errors
FILE = "statistics.safetensors"


@dataclass(frozen=True)
class Moment:
    """Time and frequencies at which the spectrum of a window is most unusual."""

    start: float
    """seconds"""
    end: float
    """seconds"""
    low: float
    """Hz"""
    high: float
    """Hz"""
    excess: float
    """dB above (or below) the band's mean of normal windows"""


class Bands:
    """Computes the log-mel spectrum of a waveform.

    Args:
        rate: Sampling rate in Hz.
    """

    def __init__(self, rate: int):
        self.rate = rate
        self.size = 2 ** round(np.log2(FRAME * rate))
        self.hop = self.size // 2
        self.step = self.hop / rate
        """seconds between frames"""
        self.edges = _edges(BANDS + 2, rate / 2)
        """Hz"""
        frequency = np.fft.rfftfreq(self.size, 1 / rate)
        rising = (frequency - self.edges[:-2, None]) / np.diff(self.edges)[:-1, None]
        falling = (self.edges[2:, None] - frequency) / np.diff(self.edges)[1:, None]
        weights = np.maximum(np.minimum(rising, falling), 0)
        narrow = weights.sum(1) == 0  # a band between two bins uses the nearest one
        weights[narrow, np.abs(frequency - self.edges[1:-1, None])[narrow].argmin(1)] = 1
        self._weights = weights / weights.sum(1, keepdims=True)
        self._window = np.hanning(self.size)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Return the spectrum in dB, ``(frames, bands)``, of int16 samples."""
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.size)[:: self.hop]
        power = np.square(np.abs(np.fft.rfft(frames * self._window, axis=1))) / np.square(self._window).sum()
        return 10 * np.log10(power @ self._weights.T + _FLOOR)


@dataclass(frozen=True)
class Statistics:
    """Statistics of the spectra of normal windows of one section, domain and length."""

    whole: Gaussian
    """Gaussian of mean and standard deviation over time of each band, (2 bands,)"""
    moments: tuple[Gaussian, ...]
    """Gaussians of the moving averages over each of :data:`SCALES`, (bands,)"""
    nearest: np.ndarray
    """vectors of the windows to which ``whole`` was fitted, (windows, 2 bands)"""
    sources: np.ndarray
    """row of ``recordings.csv`` of each of them"""

    @classmethod
    def fit(cls, spectra: Sequence[np.ndarray], sources: Sequence[int], step: float) -> "Statistics":
        """Fit the statistics to spectra ``(frames, bands)`` of normal windows, with ``step`` seconds between frames."""
        vectors = np.stack([_vector(spectrum) for spectrum in spectra])
        moments = []
        for scale in SCALES:
            width = _width(scale, step)
            averages = [_averages(spectrum, width)[:: max(width // 2, 1)] for spectrum in spectra]
            moments.append(Gaussian.fit(np.concatenate(averages)))
        return cls(_shrunk(vectors), tuple(moments), vectors, np.asarray(sources, np.int64))

    def widen(self, spectra: Sequence[np.ndarray], sources: Sequence[int], step: float) -> "Statistics":
        """Allow for the differences that a few windows of changed conditions show."""
        vectors = np.stack([_vector(spectrum) for spectrum in spectra])
        moments = []
        for scale, moment in zip(SCALES, self.moments, strict=True):
            averages = [_averages(spectrum, _width(scale, step)).mean(0) for spectrum in spectra]
            moments.append(moment.widened(np.stack(averages), 1.0))
        nearest, rows = np.concatenate([self.nearest, vectors]), np.concatenate([self.sources, sources])
        return Statistics(self.whole.widened(vectors, 1.0), tuple(moments), nearest, rows)

    def score(self, spectrum: np.ndarray, step: float) -> dict[str, float]:
        """Score a window in three ways, each of which is good at other faults.

        ``whole`` compares mean and deviation over time of all bands, ``moment`` the most unusual second, and ``band``
        the most unusual band in the most unusual fifth of a second.
        """
        short, long = (_averages(spectrum, _width(scale, step)) for scale in SCALES)
        values = {
            "whole": self.whole.distance(_vector(spectrum)[None])[0],
            "moment": self.moments[1].distance(long).max(),
            "band": np.abs(_standardised(short, self.moments[0])).max(),
        }
        return {name: float(value) for name, value in values.items()}

    def find_nearest(self, spectrum: np.ndarray) -> int:
        """Return the row of the most similar normal window."""
        here = Gaussian(_vector(spectrum), self.whole.cholesky)
        return int(self.sources[here.distance(self.nearest).argmin()])

    def find_oddest(self, spectrum: np.ndarray, bands: Bands) -> Moment:
        """Find the moment and the range of frequencies that are most unusual, over both scales."""
        best = None
        for scale, moment in zip(SCALES, self.moments, strict=True):
            width = _width(scale, bands.step)
            z = _standardised(_averages(spectrum, width), moment)
            frame, band = np.unravel_index(np.abs(z).argmax(), z.shape)
            if best is None or abs(z[frame, band]) > best[0]:
                best = abs(z[frame, band]), z, moment, width, frame, band
        size, z, moment, width, frame, band = best
        odd = np.abs(z[frame]) > size / 2
        low = high = int(band)
        while low > 0 and odd[low - 1]:
            low -= 1
        while high + 1 < len(odd) and odd[high + 1]:
            high += 1
        first = last = int(frame)  # it lasts as long as the band is at least half as odd
        while first > 0 and abs(z[first - 1, band]) > size / 2:
            first -= 1
        while last + 1 < len(z) and abs(z[last + 1, band]) > size / 2:
            last += 1
        deviation = np.sqrt(np.diag(moment.covariance)[band])
        seconds = (len(spectrum) + 1) * bands.step
        # The average at frame i is over frames i to i + width, and is half as odd once half of these frames are odd.
        start, end = (first + width / 2) * bands.step, (last + width / 2 + 1) * bands.step
        return Moment(
            start=round(max(start - bands.step, 0.0), 3),
            end=round(min(end, seconds), 3),
            low=round(float(bands.edges[low]), 1),
            high=round(float(bands.edges[high + 2]), 1),
            excess=round(float(z[frame, band] * deviation), 1),
        )


def save(statistics: dict[tuple, Statistics], path: Path) -> None:
    """Write the statistics of each section, domain and length."""
    arrays = {}
    for key, value in statistics.items():
        name = "/".join(map(str, key))
        for part, gaussian in (("whole", value.whole), *((f"moment{i}", one) for i, one in enumerate(value.moments))):
            arrays |= gaussian.arrays(f"{name}/{part}.")
        arrays[f"{name}/nearest"] = np.ascontiguousarray(value.nearest, np.float64)
        arrays[f"{name}/sources"] = value.sources
    save_file(arrays, path)


def load(path: Path) -> dict[tuple, Statistics]:
    """Read statistics written by :func:`save`."""
    parts: dict[tuple, dict[str, np.ndarray]] = {}
    for name, array in load_file(path).items():
        section, domain, length, part = name.split("/")
        parts.setdefault((section, domain, int(length)), {})[part] = array

    return {
        key: Statistics(
            Gaussian.from_arrays(own, "whole."),
            tuple(Gaussian.from_arrays(own, f"moment{index}.") for index in range(len(SCALES))),
            own["nearest"],
            own["sources"],
        )
        for key, own in parts.items()
    }


def _vector(spectrum: np.ndarray) -> np.ndarray:
    return np.concatenate([spectrum.mean(0), spectrum.std(0)])


def _shrunk(vectors: np.ndarray) -> Gaussian:
    return Gaussian.fit(vectors) if len(vectors) > 1 else Gaussian.of(vectors[0], np.eye(vectors.shape[1]))


def _standardised(averages: np.ndarray, moment: Gaussian) -> np.ndarray:
    return (averages - moment.mean) / np.sqrt(np.square(moment.cholesky).sum(1))


def _width(scale: float, step: float) -> int:
    return max(round(scale / step), 1)


def _averages(spectrum: np.ndarray, width: int) -> np.ndarray:
    """Return the moving average over ``width`` frames, for each position at which they fit, ``(positions, bands)``."""
    width = min(width, len(spectrum))
    total = np.cumsum(np.vstack([np.zeros(spectrum.shape[1]), spectrum]), axis=0)
    return (total[width:] - total[:-width]) / width


def _edges(count: int, highest: float) -> np.ndarray:
    """Return frequencies equally spaced on O'Shaughnessy's mel scale from 50 Hz to ``highest``."""
    low, high = (2595 * np.log10(1 + frequency / 700) for frequency in (50.0, highest))
    return 700 * (10 ** (np.linspace(low, high, count) / 2595) - 1)
