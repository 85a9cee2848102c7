"""Generate the building blocks of synthetic recordings: rotation, tones, noise, impacts, factory, microphone.

All random numbers come from the generator given. Waveforms are float arrays of shape ``(samples,)``; frequencies are
in Hz, times in seconds, phases in turns.
"""

from functools import lru_cache

import numpy as np
from scipy import fft, signal

_TABLE = 8192  # points of a period in a wave table: its rounding stays 70 dB below the tone


def rotation(rng: np.random.Generator, samples: int, rate: int, frequency: float, wander: float = 0.003) -> np.ndarray:
    """Return the phase of a shaft at ``frequency`` that starts anywhere and wanders by about ``wander`` (relative)."""
    knots = np.cumsum(rng.standard_normal(3 + 2 * samples // rate))
    knots = wander * (knots - knots.mean()) / (knots.std() + 1e-12)
    return rng.uniform() + np.cumsum(_lines(1 + knots, samples)) * (frequency / rate)


def tone(phase: np.ndarray, amplitudes) -> np.ndarray:
    """Generate a periodic wave over ``phase`` whose harmonics 1, 2, ... have these ``amplitudes``."""
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=complex)
    order = np.arange(1, len(amplitudes) + 1)
    spectrum[order] = np.asarray(amplitudes) * np.exp(1j * order**2)  # spread phases: no needless peaks
    table = np.fft.irfft(spectrum) * (_TABLE / 2)
    return table[(phase * _TABLE).astype(np.int64) & (_TABLE - 1)]


def noise(rng: np.random.Generator, samples: int, rate: int, curve) -> np.ndarray:
    """Generate Gaussian noise of unit power whose spectrum follows ``curve``, pairs of frequency and dB."""
    length = fft.next_fast_len(samples, real=True)
    gain = response(length, rate, curve)
    spectrum = rng.standard_normal(2 * len(gain), dtype=np.float32).view(np.complex64)
    spectrum *= gain * float(np.sqrt(length / 2 / np.mean(gain**2)))  # stays in single precision
    return fft.irfft(spectrum, length)[:samples]


def uneven(rng: np.random.Generator, phase: np.ndarray, deviation: float) -> np.ndarray:
    """Return ``phase`` with early and late turns, whose intervals have a standard deviation of ``deviation`` turns."""
    first = int(np.floor(phase[0])) - 1
    turns = np.arange(first, int(np.floor(phase[-1])) + 3)
    late = np.clip(deviation / np.sqrt(2) * rng.standard_normal(len(turns)), -0.4, 0.4)  # never backwards
    return np.interp(phase, turns + late, turns)


def some_turns(rng: np.random.Generator, phase: np.ndarray, share: float) -> np.ndarray:
    """Return True during ``share`` of the turns that begin in the clip, at least one (of all turns if none begins)."""
    turn = np.floor(phase).astype(int)
    turns = np.unique(turn)
    begun = turns[1:] if len(turns) > 1 else turns
    chosen = rng.choice(begun, max(1, round(share * len(begun))), replace=False)
    return np.isin(turn, chosen)


def moments(rng: np.random.Generator, samples: int, rate: int, per_second: float, seconds: float) -> np.ndarray:
    """Return a gate, 0 to 1, with soft edges that opens for ``seconds`` at random times, at least once."""
    gate = np.zeros(samples)
    length = min(samples, round(seconds * rate))
    window = signal.windows.tukey(length, 0.5)
    for start in rng.integers(0, samples - length + 1, max(1, rng.poisson(per_second * samples / rate))):
        part = gate[start : start + length]
        np.maximum(part, window, out=part)
    return gate


def modulation(depth: float, wave: np.ndarray) -> np.ndarray:
    """Return a factor that swings by ``depth`` with ``wave`` (mean 0, peak about 1) and keeps the mean power.

    >>> round(float(np.mean(modulation(0.5, np.sin(np.arange(1000) * np.pi / 50)) ** 2)), 6)
    1.0
    """
    factor = 1 + depth * wave
    return factor / np.sqrt(np.mean(factor**2))


def strikes(rng: np.random.Generator, phase: np.ndarray, spread: float = 0.2, shift: float = 0.0) -> np.ndarray:
    """Generate impulses of height 1, give or take ``spread``, ``shift`` turns after each full turn of ``phase``."""
    impulses = np.zeros(len(phase))
    at = np.flatnonzero(np.diff(np.floor(phase - shift)) > 0) + 1
    heights = np.random.default_rng(rng.integers(2**63))  # so that what is drawn next does not depend on their number
    impulses[at] = np.exp(spread * heights.standard_normal(len(at)))
    return impulses


def ring(impulses: np.ndarray, rate: int, frequency: float, decay: float) -> np.ndarray:
    """Excite a resonance that decays to 1/e in ``decay``; an impulse of 1 peaks near 1."""
    angle, radius = 2 * np.pi * min(frequency, 0.45 * rate) / rate, np.exp(-1 / (decay * rate))
    return signal.lfilter([0, radius * np.sin(angle)], [1, -2 * radius * np.cos(angle), radius**2], impulses)


def band(low: float, high: float) -> tuple[tuple[float, float], ...]:
    """Return a curve for :func:`noise`: flat between two frequencies, falling steeply outside."""
    return (low / 2, -40.0), (low, 0.0), (high, 0.0), (2 * high, -40.0)


def curve(rng: np.random.Generator, slope: float, spread: float) -> tuple[tuple[float, float], ...]:
    """Draw a smooth curve, 60 Hz to 8 kHz: ``slope`` dB per octave, with a deviation of ``spread`` dB per octave."""
    octaves = np.arange(8)
    decibels = slope * octaves + spread * rng.standard_normal(8)
    return tuple((float(62.5 * 2.0**octave), float(level)) for octave, level in zip(octaves, decibels, strict=True))


def vary_curve(rng: np.random.Generator, curve, spread: float) -> tuple[tuple[float, float], ...]:
    """Return ``curve`` with each point moved by about ``spread`` dB."""
    return tuple((frequency, level + spread * float(rng.standard_normal())) for frequency, level in curve)


def rough(rng: np.random.Generator, curve, spread: float) -> tuple[tuple[float, float], ...]:
    """Sample ``curve`` at thirds of octaves from its first to its last point, each moved by about ``spread`` dB."""
    frequencies, decibels = np.array(curve).T
    octaves = np.log2(frequencies)
    thirds = np.arange(octaves[0], octaves[-1] + 1e-9, 1 / 3)
    levels = np.interp(thirds, octaves, decibels) + spread * rng.standard_normal(len(thirds))
    return tuple((float(2**octave), float(level)) for octave, level in zip(thirds, levels, strict=True))


def drift(rng: np.random.Generator, samples: int, rate: int, spread: float) -> np.ndarray:
    """Return a factor of amplitude that wanders by about ``spread`` dB within a second."""
    return _lines(10 ** (spread / 20 * rng.standard_normal(3 + samples // rate)), samples)


@lru_cache(maxsize=256)
def response(length: int, rate: int, curve: tuple) -> np.ndarray:
    """Compute the amplitude response of a filter that follows ``curve``, for an ``rfft`` of ``length`` samples.

    It is interpolated in dB over log frequency, and 0 at 0 Hz.
    """
    points, decibels = np.array(curve).T
    gain = np.exp(np.interp(_logarithms(length, rate), np.log(points), decibels * (np.log(10) / 20)).astype(np.float32))
    gain[0] = 0
    return gain


@lru_cache(maxsize=8)
def _logarithms(length: int, rate: int) -> np.ndarray:
    """Compute the logarithm of each frequency of an ``rfft``; for 0 Hz that of the next."""
    frequencies = fft.rfftfreq(length, 1 / rate)
    frequencies[0] = frequencies[1]
    return np.log(frequencies)


def _lines(knots: np.ndarray, samples: int) -> np.ndarray:
    """Draw straight lines through equidistant knots, many times faster than ``np.interp``."""
    at = np.linspace(0, samples, len(knots)).round().astype(int)
    parts = zip(knots, knots[1:], np.diff(at), strict=False)
    return np.concatenate([np.linspace(a, b, count, endpoint=False) for a, b, count in parts])


def power(length: int, rate: int, curve) -> np.ndarray:
    """Compute the mean power of :func:`noise` at each frequency of an ``rfft`` of ``length`` samples; the sum is 1."""
    gain = response(length, rate, curve).astype(float)
    return gain**2 / np.sum(gain**2)


def level_over(added: np.ndarray, mask: np.ndarray, rate: int) -> float:
    """Compute the level in dB of ``added`` over what masks it, in the third of an octave where it stands out most.

    Args:
        added: Sound of a fault; its loudest tenth of a second counts.
        mask: Mean power of the masking sound at each frequency of an ``rfft`` of as many samples.
        rate: Sampling rate in Hz.
    """
    window = min(len(added), round(0.1 * rate))
    energy = np.cumsum(np.concatenate([[0.0], added**2]))
    loudest = np.max(energy[window:] - energy[:-window]) / window
    share = np.abs(fft.rfft(added)) ** 2
    edges = np.arange(0, np.log2(rate / 2 / 50), 1 / 3)  # octaves above 50 Hz; the last band may be narrower
    at = np.unique(np.ceil(50 * 2**edges * len(added) / rate).astype(int))
    power_added, power_mask = np.add.reduceat(share, at), np.add.reduceat(mask, at)
    return 10 * float(np.log10(loudest / share.sum() * np.max(power_added / power_mask)))
