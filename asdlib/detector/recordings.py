"""Recordings of any length and rate as windows of one length and rate, one window in memory at a time."""

import functools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from asdlib import AsdError
from asdlib.data import wav
from asdlib.data.recording import ClipError, Recording

MACHINE = "machine"
"""the machine type that the user's recordings become"""
LONGEST = 10.0
"""seconds: where recordings are longer, windows of this length stand for clips"""
SHORTEST = 1.0
"""seconds below which a recording says too little"""
WHOLE = 1.5
"""a recording up to so many windows long is one window"""
CROSSINGS = 128
"""zero crossings of the filter for other sampling rates, each side"""


class RecordingError(AsdError):
    """A recording that cannot be used; the message names the file, what was found, what was expected, what to do."""


def duration(path: Path, data) -> float:
    """Length in seconds, from the header; errors as in :func:`asdlib.data.wav.probe`."""
    native = _native(path, data)
    if native.sample_rate < data.sample_rate:
        raise RecordingError(
            f"{path}: sampled at {native.sample_rate} Hz; expected {data.sample_rate} or more, to which the networks "
            f"listen; record it anew, or fit a detector with data.sample_rate={native.sample_rate}"
        )
    seconds = wav.probe(path, native) / native.sample_rate
    if seconds < SHORTEST:
        raise RecordingError(f"{path}: {seconds:.2f} s long; expected at least {SHORTEST:g} s; remove it")
    return seconds


def starts(samples: int, length: int) -> list[int]:
    """First samples of equally spaced windows that cover a recording; one if it is at most 1.5 windows long.

    >>> starts(250, 100), starts(150, 100)
    ([0, 75, 150], [0])
    """
    if samples <= WHOLE * length:
        return [0]
    return np.linspace(0, samples - length, math.ceil(samples / length)).round().astype(int).tolist()


def begins(path: Path, data, seconds: float) -> list[float]:
    """Where the windows of a recording begin, in seconds; arguments and errors as in :func:`windows`."""
    native, _, _, places = _plan(path, data, seconds)
    return [place / native.sample_rate for place in places]


def windows(path: Path, data, seconds: float) -> Iterator[tuple[float, np.ndarray]]:
    """The windows of a recording, at ``data.sample_rate``, in units of 1/32768.

    A recording of a higher rate is resampled, one of a lower rate is refused: it lacks what the models listen to.

    Args:
        path: The wav file.
        data: Settings (:class:`asdlib.params.Data`).
        seconds: Length of a window.

    Yields:
        Where the window begins, in seconds, and its samples.

    Raises:
        ClipError: As :func:`asdlib.data.wav.read`.
        RecordingError: It is shorter than a second.
    """
    native, samples, length, places = _plan(path, data, seconds)
    for start in places:
        part = wav.read(path, native, start, length if len(places) > 1 else samples)
        yield start / native.sample_rate, _resampled(part, native.sample_rate, data.sample_rate)


def _plan(path: Path, data, seconds: float):
    total, native = duration(path, data), _native(path, data)
    samples, length = round(total * native.sample_rate), round(seconds * native.sample_rate)
    return native, samples, length, starts(samples, length)


def _native(path: Path, data):
    """``data`` with the recording's own rate, unless that is unknown: then reading refuses it."""
    try:
        with Recording(path) as recording:
            rate = recording.sample_rate
    except ClipError:
        rate = data.sample_rate
    return data.model_copy(update={"sample_rate": rate})


def _resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    if rate == wanted:
        return samples
    divisor = math.gcd(rate, wanted)
    up, down = wanted // divisor, rate // divisor
    from scipy.signal import resample_poly  # half a second, for recordings of other rates only

    waveform = resample_poly(samples.astype(np.float64), up, down, window=_low_pass(up, down))
    if samples.dtype != np.int16:
        return waveform.astype(np.float32)
    return np.clip(np.rint(waveform), -wav.FULL_SCALE, wav.FULL_SCALE - 1).astype(np.int16)


@functools.cache
def _low_pass(up: int, down: int) -> np.ndarray:
    """Filter of a conversion to ``up / down`` of the rate: 0 dB up to 97 % of half the new rate, -6 dB there.

    scipy's own is 4 dB down at 97 %, which takes from the highest bands what a detector would miss.
    """
    from scipy.signal import firwin

    slowest = max(up, down)
    return firwin(2 * CROSSINGS * slowest + 1, 1 / slowest, window=("kaiser", 8.0))
