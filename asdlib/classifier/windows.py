"""Determine length and positions of windows, and cut them from clips."""

import numpy as np

from asdlib.data.audio import Waveforms


def samples_of(settings) -> int:
    """Return the samples of a window of ``images.frames`` frames (:class:`asdlib.params.classifier.Classifier`)."""
    return (settings.images.frames - 1) * settings.features.hop_length


def starts(samples: int, length: int, windows: int) -> np.ndarray:
    """Return the first samples of ``windows`` equally spaced windows of ``length`` in a clip, without duplicates.

    >>> starts(100, 40, 3).tolist(), starts(100, 40, 1).tolist(), starts(30, 40, 3).tolist()
    ([0, 30, 60], [30], [0])
    """
    free = max(samples - length, 0)
    return np.unique(np.linspace(0, free, windows).round().astype(int)) if windows > 1 else np.array([free // 2])


def cut_windows(samples: np.ndarray, length: int, windows: int) -> np.ndarray:
    """Cut equally spaced windows from a clip, ``(windows, length)``; beyond its end, it is mirrored in time."""
    return np.stack(
        [_mirror_end(samples[start : start + length], length) for start in starts(len(samples), length, windows)]
    )


def read_window(waveforms: Waveforms, row: int, start: int, length: int) -> np.ndarray:
    """Read ``length`` samples of a decoded clip from ``start``; beyond its end, the clip is mirrored in time."""
    rest = int(waveforms.clips["samples"].iat[row]) - start
    return _mirror_end(waveforms.read(row, start, min(length, rest)), length)


def _mirror_end(samples: np.ndarray, length: int) -> np.ndarray:
    return samples if len(samples) == length else np.pad(samples, (0, length - len(samples)), mode="symmetric")
