"""Recordings of any length and rate as windows of one length and rate, one window in memory at a time."""

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from asdlib.detector.sources import Recording, open_recording
from asdlib.errors import DataError
from asdlib.units import FULL_SCALE

MACHINE = "machine"
"""the machine type that the user's recordings become"""
LONGEST = 10.0
"""seconds: where recordings are longer, windows of this length stand for clips"""
SHORTEST = 1.0
"""seconds below which a recording says too little"""
NEARLY = 0.95
"""a recording at least this share of a window long counts as one window; it continues mirrored in time"""
CROSSINGS = 128
"""zero crossings of the filter for other sampling rates, on each side"""


def opened(source: str | Path | tuple | Recording, data) -> Recording:
    """Open a recording that the networks can listen to.

    Raises:
        asdlib.errors.AsdError: It cannot be read, is sampled at a lower rate than ``data.sample_rate``, or is shorter
            than :data:`SHORTEST`.
    """
    recording = open_recording(source, data)
    if recording.rate < data.sample_rate:
        raise DataError(
            f"{recording.name}: sampled at {recording.rate} Hz; expected {data.sample_rate} or more, to which the "
            f"networks listen; record it again, or fit a detector with data.sample_rate={recording.rate}"
        )
    if recording.seconds < SHORTEST:
        raise DataError(
            f"{recording.name}: {recording.seconds:.2f} s long; expected at least {SHORTEST:g} s; remove it"
        )
    return recording


def lengths(seconds: float) -> list[float]:
    """Return the lengths of windows, in seconds, that a detector has thresholds for, longest first.

    >>> lengths(10.0), lengths(1.5)
    ([10.0, 5.0, 2.5, 1.25, 1.0], [1.5, 1.0])
    """
    result = [seconds / 2**power for power in range(20) if seconds / 2**power > SHORTEST]
    return [*result, SHORTEST] if seconds > SHORTEST else [seconds]


def fitting(seconds: float, known: Sequence[float]) -> float:
    """Return the longest of the known lengths, in seconds, that a recording of ``seconds`` can be cut into.

    >>> fitting(9.8, [10.0, 5.0]), fitting(7.0, [10.0, 5.0]), fitting(60.0, [10.0, 5.0])
    (10.0, 5.0, 10.0)
    """
    return max((length for length in known if seconds >= NEARLY * length), default=min(known))


def starts(samples: int, length: int, apart: bool = False) -> list[int]:
    """Return the first samples of equally spaced windows that cover a recording.

    Args:
        samples: Length of the recording.
        length: Length of a window.
        apart: Leave gaps between the windows rather than let them share samples.

    >>> starts(250, 100), starts(250, 100, apart=True), starts(90, 100)
    ([0, 75, 150], [0, 150], [0])
    """
    if samples <= length:
        return [0]
    count = samples // length if apart else math.ceil(samples / length)
    return np.linspace(0, samples - length, count).round().astype(int).tolist()


def begins(recording: Recording, seconds: float, apart: bool = False) -> list[float]:
    """Return where the windows of a recording begin, in seconds; arguments as those of :func:`starts`."""
    places = starts(recording.frames, round(seconds * recording.rate), apart)
    return [place / recording.rate for place in places]


def windows(recording: Recording, rate: int, seconds: float, places: Sequence[float] | None = None) -> Iterator:
    """Read the windows of a recording at a sampling rate.

    A recording of a higher rate is resampled. One that is nearly as long as a window becomes exactly as long; one that
    is shorter stays as it is.

    Args:
        recording: Recording of this rate or a higher one.
        rate: Sampling rate of the windows, in Hz.
        seconds: Length of a window.
        places: Where windows begin, in seconds (default: :func:`begins`).

    Yields:
        Where the window begins, in seconds, and its samples, float64, full scale 1.

    Raises:
        asdlib.errors.AsdError: The recording is incomplete or damaged.
    """
    native, length = round(seconds * recording.rate), round(seconds * rate)
    for begin in begins(recording, seconds) if places is None else places:
        first = round(begin * recording.rate)
        count = min(native, recording.frames - first)
        wave = resampled(recording.read(first, count), recording.rate, rate)
        if len(wave) >= NEARLY * length:
            wave = np.pad(wave[:length], (0, max(length - len(wave), 0)), mode="symmetric")
        yield begin, wave


def to_int16(wave: np.ndarray, gain: float = 0.0) -> np.ndarray:
    """Amplify by ``gain`` dB and round to int16; what goes beyond full scale is clipped."""
    scaled = np.rint(wave * (FULL_SCALE * 10 ** (gain / 20)))
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def resampled(wave: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Convert samples to another sampling rate."""
    if rate == wanted:
        return wave
    divisor = math.gcd(rate, wanted)
    up, down = wanted // divisor, rate // divisor
    from scipy.signal import resample_poly  # half a second, for recordings of other rates only

    return resample_poly(wave, up, down, window=_low_pass(up, down))


@functools.cache
def _low_pass(up: int, down: int) -> np.ndarray:
    """Filter of a conversion to ``up / down`` of the rate: 0 dB up to 97 % of half the new rate, -6 dB there.

    scipy's own is 4 dB down at 97 %, which takes from the highest bands what a detector would miss.
    """
    from scipy.signal import firwin

    slowest = max(up, down)
    return firwin(2 * CROSSINGS * slowest + 1, 1 / slowest, window=("kaiser", 8.0))
