"""Read recordings of any length and sampling rate as windows of one length and rate, one window at a time."""

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import scipy  # loads scipy.signal, which takes half a second, where a recording has another rate

from asdlib.data.recording import Recording
from asdlib.errors import DataError
from asdlib.units import FULL_SCALE

MACHINE = "machine"
"""name of the machine type that the user's recordings become"""
LONGEST = 10.0
"""seconds; longer recordings are cut into windows of this length"""
SHORTEST = 1.0
"""seconds; shorter recordings contain too little information"""
NEARLY = 0.95
"""share of a window: a recording at least this long counts as one window and is continued mirrored in time"""
CROSSINGS = 128
"""zero crossings, on each side, of the filter that converts sampling rates"""


def open_recording(source: str | Path | tuple[np.ndarray, int] | Recording, data) -> Recording:
    """Open a recording that the networks can process.

    Args:
        source: A file, samples with their sampling rate (:class:`asdlib.data.recording.Recording`), or a recording that
            is already open.
        data: Settings (:class:`asdlib.params.data.Data`).

    Raises:
        asdlib.errors.AsdError: The recording cannot be read, has a lower sampling rate than ``data.sample_rate``, or is
            shorter than :data:`SHORTEST`.
    """
    recording = source if isinstance(source, Recording) else Recording(source, data.channels)
    if recording.sample_rate < data.sample_rate:
        recording.close()
        raise DataError(
            f"{recording.name}: sampled at {recording.sample_rate} Hz; expected {data.sample_rate} Hz or more, the "
            "rate of the networks; record it again, or fit a detector with "
            f"--set data.sample_rate={recording.sample_rate}"
        )
    if recording.seconds < SHORTEST:
        recording.close()
        raise DataError(
            f"{recording.name}: {recording.seconds:.5g} s long; expected at least {SHORTEST:g} s; record longer, or "
            "leave it out"
        )
    return recording


def lengths(seconds: float) -> list[float]:
    """Return the lengths of windows, in seconds, for which a detector has thresholds, longest first.

    >>> lengths(10.0), lengths(1.5)
    ([10.0, 5.0, 2.5, 1.25, 1.0], [1.5, 1.0])
    """
    result = [seconds / 2**power for power in range(20) if seconds / 2**power > SHORTEST]
    return [*result, SHORTEST] if seconds > SHORTEST else [seconds]


def fitting(seconds: float, known: Sequence[float]) -> float:
    """Return the longest of the known lengths, in seconds, into which a recording of ``seconds`` can be cut.

    >>> fitting(9.8, [10.0, 5.0]), fitting(7.0, [10.0, 5.0]), fitting(60.0, [10.0, 5.0])
    (10.0, 5.0, 10.0)
    """
    return max((length for length in known if seconds >= NEARLY * length), default=min(known))


def starts(samples: int, length: int, apart: bool = False) -> list[int]:
    """Return the first samples of equally spaced windows that cover a recording.

    Args:
        samples: Length of the recording.
        length: Length of a window.
        apart: Whether to leave gaps between the windows rather than let them share samples.

    >>> starts(250, 100), starts(250, 100, apart=True), starts(90, 100)
    ([0, 75, 150], [0, 150], [0])
    """
    if samples <= length:
        return [0]
    count = samples // length if apart else math.ceil(samples / length)
    return np.linspace(0, samples - length, count).round().astype(int).tolist()


def start_times(recording: Recording, seconds: float, apart: bool = False) -> list[float]:
    """Return the start times of windows of ``seconds`` in a recording; ``apart`` as in :func:`starts`."""
    places = starts(recording.frames, round(seconds * recording.sample_rate), apart)
    return [place / recording.sample_rate for place in places]


def windows(
    recording: Recording, rate: int, seconds: float, times: Sequence[float] | None = None
) -> Iterator[tuple[float, np.ndarray]]:
    """Read the windows of a recording at a sampling rate, and then close the recording.

    A recording with a higher rate is resampled. One that is nearly as long as a window becomes exactly as long; one
    that is shorter stays as it is.

    Args:
        recording: Recording with this rate or a higher one.
        rate: Sampling rate of the windows, in Hz.
        seconds: Length of a window.
        times: Start times of the windows, in seconds (default: those of :func:`start_times`).

    Yields:
        The start time of the window, in seconds, and its samples, float64 with full scale 1.

    Raises:
        asdlib.errors.AsdError: The recording is incomplete or damaged.
    """
    native, length = round(seconds * recording.sample_rate), round(seconds * rate)
    with recording:
        for time in start_times(recording, seconds) if times is None else times:
            first = round(time * recording.sample_rate)
            count = min(native, recording.frames - first)
            wave = resample(recording.waveform(first, count), recording.sample_rate, rate)
            if len(wave) >= NEARLY * length:
                wave = np.pad(wave[:length], (0, max(length - len(wave), 0)), mode="symmetric")
            yield time, wave


def to_int16(wave: np.ndarray, gain: float = 0.0) -> np.ndarray:
    """Amplify by ``gain`` dB and round to int16; samples beyond full scale are clipped.

    An offset of the recorder is not amplified, since that alone could be beyond full scale.
    """
    if gain:
        wave = wave - wave.mean()
    scaled = np.rint(wave * (FULL_SCALE * 10 ** (gain / 20)))
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def resample(wave: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Convert samples to another sampling rate."""
    if rate == wanted:
        return wave
    divisor = math.gcd(rate, wanted)
    up, down = wanted // divisor, rate // divisor
    return scipy.signal.resample_poly(wave, up, down, window=_low_pass(up, down))


@functools.cache
def _low_pass(up: int, down: int) -> np.ndarray:
    """Design the filter for a conversion to ``up / down`` of the rate: 0 dB up to 97 % of half the new rate.

    It is at -6 dB at half the new rate. The default filter of scipy is at -4 dB at 97 %, so that a detector would miss
    faults in the highest bands.
    """
    slowest = max(up, down)
    return scipy.signal.firwin(2 * CROSSINGS * slowest + 1, 1 / slowest, window=("kaiser", 8.0))
