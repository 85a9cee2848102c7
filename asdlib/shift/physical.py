"""Model the domain shift by three physical causes: the machine's speed, the microphone's response, the background.

Three target clips are too few to show how normal target clips vary, but enough to show how they differ from the source.
The shift is therefore estimated and applied to the many source clips (:mod:`asdlib.shift.shifted_clips`).
The paper has no such step: it mixes source and target clips (Sec. 2.2); see the book's page of deviations.

In mel band b at frequency f the shifted power is ``g(f) S(f / speed) + n(f)``, with S the source clip's power, g a
response that is a quadratic in the band's index (in dB) and n a background whose level follows a power law.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import fft, signal
from scipy.optimize import least_squares
from sklearn.covariance import ledoit_wolf

from asdlib.data.audio import evenly_spaced
from asdlib.features import LogMel, mel_frequencies
from asdlib.params import Features
from asdlib.units import FULL_SCALE

CLIPS, FRAMES = 50, 100
"""largest number of source clips, and of frames of each, equally spaced, from which a shift is estimated"""
LOWEST = 30.0
"""Hz; the background's power law is constant below it"""
# Prior knowledge, as standard deviations. Without it, a response that is hidden by background, or the speed of a noisy
# machine, would be undetermined.
SPEED, RESPONSE, SLOPE = 0.05, 6.0, (-5.0, 10.0)
NAMES = ("speed", "response0", "response1", "response2", "level", "slope")
"""names of the parameters of a shift in tables"""


@dataclass(frozen=True)
class Shift:
    """Difference between the clips of one domain and those of another."""

    speed: float
    """factor on all frequencies, and on the rate of all events"""
    response: tuple[float, float, float]
    """Legendre coefficients of the gain in dB over the mel bands, lowest order first"""
    level: float
    """mel power of the background at 1 kHz, in dB"""
    slope: float
    """slope of the background in dB per decade of frequency: white noise 0, pink noise -10"""

    def as_dict(self) -> dict[str, float]:
        """Return the parameters by their :data:`NAMES`."""
        return dict(zip(NAMES, (self.speed, *self.response, self.level, self.slope), strict=True))


class Front:
    """Log-mel front-end with which shifts are estimated, and its mel axis."""

    def __init__(self, sample_rate: int):
        self.sample_rate, self.log_mel = sample_rate, LogMel(Features(), sample_rate)
        bands = self.log_mel.n_mels
        self.frequency = mel_frequencies(bands + 2, sample_rate / 2)[1:-1]
        self.response = np.polynomial.legendre.legvander(np.linspace(-1, 1, bands), 2)
        """dB of the gain per unit of each response parameter, ``(mels, 3)``"""
        self.power_law = np.stack([np.ones(bands), np.log10(np.maximum(self.frequency, LOWEST) / 1000)], axis=1)
        """dB of the background per unit of level and of slope, ``(mels, 2)``"""
        mel = self.log_mel.mel.double().numpy()  # (bins, mels)
        self.unit = float(self.log_mel.window.double().square().sum()) * float(mel.sum(0).mean())
        """mel power of white noise of variance 1"""
        # Neighbouring bins of a Hann window are correlated, so a band of k bins averages about k / 1.5 of them.
        self.freedom = np.maximum(mel.sum(0) ** 2 / np.square(mel).sum(0) / 1.5, 1.0)

    def decibel(self, waveform: np.ndarray) -> np.ndarray:
        """Compute log-mel of samples in -1 to 1: ``(samples,)`` to ``(frames, mels)`` in dB."""
        return self.log_mel(torch.from_numpy(np.float32(waveform))[None])[0].double().numpy()

    def gain(self, response) -> np.ndarray:
        """Return a response in dB, ``(mels,)``."""
        return self.response @ np.asarray(response)

    def background(self, level: float, slope: float) -> np.ndarray:
        """Return a background's mel power in dB, ``(mels,)``."""
        return self.power_law @ np.array([level, slope])

    def slopes(self, share: np.ndarray) -> np.ndarray:
        """Return derivatives of a shifted log-mel with respect to the five fitted parameters, ``(mels, 5)``.

        Of a sum of two powers, each contributes to the change of the sum in dB by its share.

        Args:
            share: Share of the machine's power, as opposed to the background's, ``(mels,)``.
        """
        return np.concatenate([share[:, None] * self.response, (1 - share)[:, None] * self.power_law], axis=1)


def resample(waveform: np.ndarray, speed: float) -> np.ndarray:
    """Play the waveform ``speed`` times as fast (to one per cent), which divides its length accordingly."""
    percent = round(100 * speed)
    return waveform if percent == 100 else signal.resample_poly(waveform, 100, percent)


def estimate(source: list[np.ndarray], target: list[np.ndarray], sample_rate: int, jitter: float, seed: int) -> Shift:
    """Estimate the shift from a section's source training clips to its few target training clips.

    The speed is estimated first, on a grid of one per cent, by how well the average source spectrum, warped, fits the
    average target spectrum with the best response and background. Then response and background are fitted by least
    squares to the target clips' mean log-mel, weighted by the inverse covariance of a mean of so many clips. Everything
    is deterministic.

    Args:
        source: Waveforms in -1 to 1, at least two.
        target: Waveforms in -1 to 1, at least one.
        sample_rate: Sampling rate in Hz.
        jitter: Standard deviation of the background's level from clip to clip, in dB.
        seed: Seed of the background's random values.
    """
    front = Front(sample_rate)
    few = [source[k] for k in evenly_spaced(len(source), CLIPS)]
    seen = [front.decibel(clip) for clip in target]
    before, after = (10 * np.log10(_power(parts)) for parts in ([front.decibel(clip) for clip in few], seen))
    speed = _speed(front, before, after)
    moved = (front.decibel(resample(clip, speed)) for clip in few)
    frames = [clip[evenly_spaced(len(clip), FRAMES)] for clip in moved]
    shortest = min(map(len, frames))
    power = 10 ** (np.stack([part[:shortest] for part in frames]) / 10)  # (clips, frames, mels)
    rng = np.random.default_rng(seed)
    noise = rng.gamma(front.freedom, 1 / front.freedom, power.shape)
    noise *= 10 ** (rng.normal(0, jitter, len(power)) / 10)[:, None, None]
    mean = np.mean([part.mean(0) for part in seen], axis=0)

    def shifted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean log-mel of each shifted clip, (clips, mels), and the machine's share of power, (mels,)."""
        gain, background = 10 ** (front.gain(values[:3]) / 10), 10 ** (front.background(*values[3:]) / 10)
        total = gain * power + background * noise
        return (10 * np.log10(total)).mean(1), (gain * power / total).mean((0, 1))

    values = _fit(front, 10 * np.log10(power.mean((0, 1))), after).x
    for _ in range(2):  # the covariance depends on the shift, so repeat with a better one
        covariance = ledoit_wolf(shifted(values)[0])[0] / len(target)
        root = np.linalg.cholesky(covariance + 0.1**2 * np.eye(len(mean)))  # a model is not better than 0.1 dB

        def misfit(trial: np.ndarray, root=root) -> np.ndarray:
            return np.concatenate([np.linalg.solve(root, mean - shifted(trial)[0].mean(0)), _unlikely(trial)])

        def derivative(trial: np.ndarray, root=root) -> np.ndarray:
            return np.concatenate([-np.linalg.solve(root, front.slopes(shifted(trial)[1])), _UNLIKELY])

        values = least_squares(misfit, values, derivative, x_scale=[1, 1, 1, 1, 3], max_nfev=30).x
    return Shift(speed, tuple(map(float, values[:3])), float(values[3]), float(values[4]))


def apply(shift: Shift, waveform: np.ndarray, front: Front, jitter: float, seed: int) -> np.ndarray:
    """Apply a shift to a source clip.

    Args:
        shift: Shift of its section.
        waveform: Samples in -1 to 1, shape ``(samples,)``.
        front: Front-end for the clip's sampling rate.
        jitter: Standard deviation of the background's level from clip to clip, in dB.
        seed: Seed of this clip's background.

    Returns:
        Samples in -1 to 1, shape ``(samples / speed,)``.
    """
    faster = resample(waveform, shift.speed)
    length = fft.next_fast_len(len(faster), real=True)
    rng = np.random.default_rng(seed)
    level = shift.level + rng.normal(0, jitter)
    frequency = fft.rfftfreq(length, 1 / front.sample_rate)
    gain = np.interp(frequency, front.frequency, front.gain(shift.response))
    density = level + shift.slope * np.log10(np.maximum(frequency, LOWEST) / 1000) - 10 * np.log10(front.unit)
    spectrum = fft.rfft(np.float64(faster), length) * 10 ** (gain / 20)
    spectrum += fft.rfft(rng.standard_normal(length)) * 10 ** (density / 20)
    return np.clip(fft.irfft(spectrum, length)[: len(faster)], -1, 1 - 1 / FULL_SCALE)


def _power(decibel: list[np.ndarray]) -> np.ndarray:
    """Average mel power over frames and clips, ``(mels,)``."""
    return np.mean([(10 ** (part / 10)).mean(0) for part in decibel], axis=0)


def _unlikely(values: np.ndarray) -> np.ndarray:
    """Return the deviations of response and slope from prior knowledge, in standard deviations."""
    return np.append(values[:3] / RESPONSE, (values[4] - SLOPE[0]) / SLOPE[1])


_UNLIKELY = np.diag([1 / RESPONSE] * 3 + [0, 1 / SLOPE[1]])[[0, 1, 2, 4]]
"""derivatives of :func:`_unlikely` with respect to the five fitted parameters"""


def _fit(front: Front, before: np.ndarray, after: np.ndarray):
    """Fit one average spectrum to another by least squares in dB, with less weight on outlying bands."""

    def powers(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 10 ** ((before + front.gain(values[:3])) / 10), 10 ** (front.background(*values[3:]) / 10)

    def misfit(values: np.ndarray) -> np.ndarray:
        return np.concatenate([10 * np.log10(sum(powers(values))) - after, _unlikely(values)])

    def derivative(values: np.ndarray) -> np.ndarray:
        machine, background = powers(values)
        return np.concatenate([front.slopes(machine / (machine + background)), _UNLIKELY])

    starts = [np.array([0, 0, 0, after.mean() + louder, SLOPE[0]]) for louder in (0, -10)]
    fits = [least_squares(misfit, start, derivative, loss="soft_l1", max_nfev=50) for start in starts]
    return min(fits, key=lambda fit: fit.cost)


def _speed(front: Front, before: np.ndarray, after: np.ndarray) -> float:
    """Estimate the speed on a grid of one per cent, up to three standard deviations from no change."""
    costs = {}
    for percent in range(round(-300 * SPEED), round(300 * SPEED) + 1):
        speed = 1 + percent / 100
        warped = np.interp(front.frequency / speed, front.frequency, before)
        costs[speed] = _fit(front, warped, after).cost + 0.5 * (np.log(speed) / SPEED) ** 2
    return min(costs, key=costs.get)
