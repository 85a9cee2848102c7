"""Faults to mix into normal recordings, and changes that are no faults; waves are float64 with full scale 1."""

from dataclasses import dataclass

import numpy as np
from scipy import signal

LEVELS = (-25, -15, -10, -5, 0)
"""dB of a fault re the recording, while it sounds"""
LONG, SHORT, LONG_LEVEL = 6, 2.0, -5
"""windows of a long recording; seconds and level of the fault in it"""


@dataclass(frozen=True)
class Mixed:
    """A recording with a fault of known place."""

    wave: np.ndarray
    places: list[tuple[float, float]]
    """start and end in seconds of each time that it sounds; the whole recording if it always sounds"""
    band: tuple[float, float]
    """Hz"""


def impacts(count: int, rate: int, rng: np.random.Generator) -> tuple[np.ndarray, tuple]:
    """Make the impacts of a bearing: 8 to 30 bursts per second of a resonance that decays within milliseconds."""
    resonance = rng.uniform(2000, 5000)
    times = np.cumsum(rng.normal(1, 0.02, count) / rng.uniform(8, 30))
    clicks = np.zeros(count)
    clicks[(times[times * rate < count] * rate).astype(int)] = 1
    time = np.arange(round(0.03 * rate)) / rate
    burst = np.exp(-time / 0.003) * np.sin(2 * np.pi * resonance * time)
    return signal.fftconvolve(clicks, burst)[:count], (resonance - 500, resonance + 500)


def whine(count: int, rate: int, rng: np.random.Generator) -> tuple[np.ndarray, tuple]:
    """Make a whine: a tone that wavers by a per cent, and its octave."""
    pitch, time = rng.uniform(800, 3500), np.arange(count) / rate
    phase = 2 * np.pi * pitch * (time + 0.01 / (2 * np.pi * 2) * np.sin(2 * np.pi * 2 * time))
    return np.sin(phase) + 0.3 * np.sin(2 * phase), (0.95 * pitch, 2.1 * pitch)


def knock(count: int, rate: int, rng: np.random.Generator) -> tuple[np.ndarray, tuple]:
    """Make one dull knock: a decaying low resonance of a tenth of a second."""
    pitch, time = rng.uniform(100, 400), np.arange(count) / rate
    return np.exp(-time / 0.03) * np.sin(2 * np.pi * pitch * time), (pitch / 2, 2 * pitch)


def hiss(count: int, rate: int, rng: np.random.Generator) -> tuple[np.ndarray, tuple]:
    """Make a leak's hiss: noise of an octave or so."""
    low = rng.uniform(2000, 3500)
    band = low, 2 * low
    return signal.sosfilt(signal.butter(2, band, "bandpass", fs=rate, output="sos"), rng.standard_normal(count)), band


KINDS = {"impacts": (impacts, None), "whine": (whine, None), "knock": (knock, 0.1), "hiss": (hiss, None)}
KINDS["whine of 1 s"] = whine, 1.0
"""by name: how to make it, and for how many seconds it sounds; None for the whole recording"""
_KNOCKS = 3  # per recording


def mix(wave: np.ndarray, rate: int, kind: str, level: float, rng: np.random.Generator) -> Mixed:
    """Mix a fault into a recording at ``level`` dB re its power, while it sounds."""
    make, seconds = KINDS[kind]
    length = len(wave) if seconds is None else round(seconds * rate)
    fault, band = make(length, rate, rng)
    if seconds == 1.0:
        fault *= signal.windows.tukey(length, 0.1)
    fault *= 10 ** (level / 20) * np.sqrt(np.square(wave).mean() / np.square(fault).mean())
    starts = [0] if seconds is None else rng.integers(0, len(wave) - length, _KNOCKS if kind == "knock" else 1)
    mixed = wave.copy()
    for start in starts:
        mixed[start : start + length] += fault
    return Mixed(mixed, [(start / rate, (start + length) / rate) for start in starts], band)


def voice(count: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Make plausible speech: a pulse train of wandering pitch and noise, through moving formants, in syllables."""
    time = np.arange(count) / rate
    knots = np.arange(0, count + rate, rate // 4)  # four syllables per second

    def moving(low: float, high: float) -> np.ndarray:
        return np.interp(np.arange(count), knots, rng.uniform(low, high, len(knots)))

    pitch = moving(90, 220)
    source = signal.sawtooth(2 * np.pi * np.cumsum(pitch) / rate) + 0.3 * rng.standard_normal(count)
    sound = np.zeros(count)
    for low, high, share in ((300, 800, 1.0), (900, 2200, 0.5), (2300, 3200, 0.2)):
        centre, size = moving(low, high), rate // 20
        for begin in range(0, count, size):
            part = slice(begin, begin + size)
            here = centre[min(begin, count - 1)]
            filters = signal.butter(1, (0.9 * here, 1.1 * here), "bandpass", fs=rate, output="sos")
            sound[part] += share * signal.sosfilt(filters, source[part])
    phrases = np.repeat(rng.random(count // (2 * rate) + 1) < 0.7, 2 * rate)[:count]
    phrases[: 2 * rate] |= not phrases.any()
    smooth = signal.fftconvolve(phrases.astype(float), np.hanning(rate // 5) / (rate / 10), mode="same")
    return sound * smooth * np.abs(np.sin(np.pi * 2 * time)) ** 0.7


def traffic(count: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Make a passing vehicle: noise below 300 Hz with an engine's tones, which swells and falls over seconds."""
    time, middle = np.arange(count) / rate, rng.uniform(0.3, 0.7) * count / rate
    noise = signal.sosfilt(signal.butter(2, 300, fs=rate, output="sos"), rng.standard_normal(count))
    engine = sum(np.sin(2 * np.pi * rng.uniform(30, 45) * order * time) / order for order in (1, 2, 3))
    return (noise / noise.std() + 0.5 * engine) / (1 + np.square((time - middle) / 1.5))


def add(wave: np.ndarray, other: np.ndarray, level: float) -> np.ndarray:
    """Add a sound at ``level`` dB re the power of a recording."""
    return wave + other * 10 ** (level / 20) * np.sqrt(np.square(wave).mean() / np.square(other).mean())


def response(wave: np.ndarray, rate: int, name: str) -> np.ndarray:
    """Apply a change of microphone response: a tilt in dB per octave around 1 kHz, or a low-pass or high-pass."""
    how, value = name.split()[:2]
    if how == "tilt":
        frequency = np.maximum(np.fft.rfftfreq(len(wave), 1 / rate), 50)
        return np.fft.irfft(np.fft.rfft(wave) * (frequency / 1000) ** (float(value) / 6.02), len(wave))
    return signal.sosfilt(signal.butter(1, float(value), how, fs=rate, output="sos"), wave)


RESPONSES = ("tilt +1", "tilt -1", "tilt +3", "tilt -3", "lowpass 4000", "lowpass 6000", "highpass 200")
HARMLESS = {
    **{
        f"level {value:+d} dB": lambda wave, rate, rng, gain=value: wave * 10 ** (gain / 20) for value in (-6, -3, 3, 6)
    },
    **{f"response {name}": lambda wave, rate, rng, name=name: response(wave, rate, name) for name in RESPONSES},
    **{f"first {size:g} s": lambda wave, rate, rng, size=size: wave[: round(size * rate)] for size in (1, 2, 5)},
    **{
        f"{make.__name__} {level:+d} dB": lambda wave, rate, rng, make=make, level=level: add(
            wave, make(len(wave), rate, rng), level
        )
        for make in (voice, traffic)
        for level in (-10, 0)
    },
}
"""changes that are no faults, by name: functions of a wave, its rate and a generator"""
