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
SCALES = (FRAME, 0.2, 1.0)
"""lengths in seconds of the moving averages whose highest and lowest values over time count"""
_LEAST_SPREAD = 0.3  # dB; smaller deviations of few windows are chance
_FLOOR = 1e-3  # power of a band in units of int16 squared; lower values are rounding errors
_SAME = 1e-6  # dB; two recordings never agree so closely in all bands
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
    moment: Gaussian
    """Gaussian of the moving averages over the longest of :data:`SCALES`, (bands,)"""
    extremes: np.ndarray
    """of the highest and lowest moving averages of each window, in dB: mean and deviation, (scales, 2, 2, bands)"""
    nearest: np.ndarray
    """vectors of the windows to which ``whole`` was fitted, (windows, 2 bands)"""
    sources: np.ndarray
    """row of ``recordings.csv`` of each of them"""

    @property
    def mean_spectrum(self) -> np.ndarray:
        """Mean spectrum of normal windows in dB, (bands,)."""
        return self.whole.mean[:BANDS]

    @classmethod
    def fit(cls, spectra: Sequence[np.ndarray], sources: Sequence[int], step: float) -> "Statistics":
        """Fit the statistics to spectra ``(frames, bands)`` of normal windows, with ``step`` seconds between frames."""
        vectors = np.stack([_vector(spectrum) for spectrum in spectra])
        width = _width(SCALES[-1], step)
        averages = [_averages(spectrum, width)[:: max(width // 2, 1)] for spectrum in spectra]
        found = np.stack([_extremes(spectrum, step) for spectrum in spectra])
        extremes = np.stack([found.mean(0), np.hypot(found.std(0), _LEAST_SPREAD)], axis=2)
        return cls(
            _shrunk(vectors), Gaussian.fit(np.concatenate(averages)), extremes, vectors, np.asarray(sources, np.int64)
        )

    def widen(self, spectra: Sequence[np.ndarray], sources: Sequence[int], step: float) -> "Statistics":
        """Allow for the differences that a few windows of changed conditions show."""
        vectors = np.stack([_vector(spectrum) for spectrum in spectra])
        moments = np.stack([_averages(spectrum, _width(SCALES[-1], step)).mean(0) for spectrum in spectra])
        offset = np.stack([_extremes(spectrum, step) for spectrum in spectra]) - self.extremes[:, :, 0]
        extremes = self.extremes.copy()
        extremes[:, :, 1] = np.hypot(extremes[:, :, 1], np.sqrt(np.square(offset).mean(0)))
        nearest, rows = np.concatenate([self.nearest, vectors]), np.concatenate([self.sources, sources])
        return Statistics(self.whole.widened(vectors, 1.0), self.moment.widened(moments, 1.0), extremes, nearest, rows)

    def score(self, spectrum: np.ndarray, step: float) -> dict[str, float]:
        """Score a window in three ways, each of which is good at detecting different faults.

        ``whole`` compares mean and deviation over time of all bands, ``moment`` the most unusual second, and ``band``
        the highest and lowest short-time level of each band with those of normal windows.
        """
        values = {
            "whole": self.whole.distance(_vector(spectrum)[None])[0],
            "moment": self.moment.distance(_averages(spectrum, _width(SCALES[-1], step))).max(),
            "band": self._beyond(_averages(spectrum, _width(SCALES[0], step)), 0).max(),
        }
        return {name: float(value) for name, value in values.items()}

    def _beyond(self, averages: np.ndarray, scale: int) -> np.ndarray:
        """Return how far moving averages lie beyond the usual extremes of their band, in deviations of these."""
        (high, high_spread), (low, low_spread) = self.extremes[scale]
        return np.maximum((averages - high) / high_spread, (low - averages) / low_spread)

    def find_nearest(self, spectrum: np.ndarray) -> int:
        """Return the row of the most similar normal window."""
        here = Gaussian(_vector(spectrum), self.whole.cholesky)
        return int(self.sources[here.distance(self.nearest).argmin()])

    def has_learnt(self, spectrum: np.ndarray) -> bool:
        """Tell whether this window is one of those to which the statistics were fitted, under whatever name."""
        return bool(np.abs(self.nearest - _vector(spectrum)).max(1).min() < _SAME)

    def find_oddest(self, spectrum: np.ndarray, bands: Bands) -> Moment:
        """Find the moment and the range of frequencies that lie farthest beyond what is usual, over all scales."""
        maps = [self._beyond(_averages(spectrum, _width(scale, bands.step)), i) for i, scale in enumerate(SCALES)]
        chosen = int(np.argmax([z.max() for z in maps]))
        z, width = maps[chosen], min(_width(SCALES[chosen], bands.step), len(spectrum))
        frame, band = np.unravel_index(z.argmax(), z.shape)
        size = z[frame, band]
        odd = z[frame] > size / 2
        low = high = int(band)
        while low > 0 and odd[low - 1]:
            low -= 1
        while high + 1 < len(odd) and odd[high + 1]:
            high += 1
        first = last = int(frame)  # it lasts as long as the band is at least half as odd
        while first > 0 and z[first - 1, band] > size / 2:
            first -= 1
        while last + 1 < len(z) and z[last + 1, band] > size / 2:
            last += 1
        seconds = (len(spectrum) + 1) * bands.step
        # The average at frame i is over frames i to i + width, and is half as odd once half of these frames are odd.
        start, end = (first + width / 2) * bands.step, (last + width / 2 + 1) * bands.step
        return Moment(
            start=round(max(start - bands.step, 0.0), 3),
            end=round(min(end, seconds), 3),
            low=round(float(bands.edges[low]), 1),
            high=round(float(bands.edges[high + 2]), 1),
        )


def save(statistics: dict[tuple, Statistics], path: Path) -> None:
    """Write the statistics of each section, domain and length."""
    arrays = {}
    for key, value in statistics.items():
        name = "/".join(map(str, key))
        for part, gaussian in (("whole", value.whole), ("moment", value.moment)):
            arrays |= gaussian.arrays(f"{name}/{part}.")
        arrays[f"{name}/extremes"] = np.ascontiguousarray(value.extremes, np.float64)
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
            Gaussian.from_arrays(own, "moment."),
            own["extremes"],
            own["nearest"],
            own["sources"],
        )
        for key, own in parts.items()
    }


def _vector(spectrum: np.ndarray) -> np.ndarray:
    return np.concatenate([spectrum.mean(0), spectrum.std(0)])


def _shrunk(vectors: np.ndarray) -> Gaussian:
    return Gaussian.fit(vectors) if len(vectors) > 1 else Gaussian.of(vectors[0], np.eye(vectors.shape[1]))


def _extremes(spectrum: np.ndarray, step: float) -> np.ndarray:
    """Return the highest and lowest moving average of each band, ``(scales, 2, bands)``."""
    averages = [_averages(spectrum, _width(scale, step)) for scale in SCALES]
    return np.stack([[values.max(0), values.min(0)] for values in averages])


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
