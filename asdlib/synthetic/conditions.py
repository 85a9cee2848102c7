"""Define the conditions under which a clip sounds, and the sounds that machines and their faults are made of."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from asdlib.synthetic import sounds


@dataclass(frozen=True)
class Conditions:
    """Conditions under which a clip sounds."""

    samples: int
    rate: int
    """samples per second"""
    unit: np.random.Generator
    """what the section's machine is"""
    rng: np.random.Generator
    """what varies from clip to clip"""
    speed: float
    """relative to the machine type's usual speed"""
    load: float
    """0 to 1"""
    size: float
    """relative; a larger machine resonates lower"""
    fault: str = ""
    """a kind of :mod:`asdlib.synthetic.faults`, empty for a normal clip"""
    severity: float = 0.0
    """in the unit of the fault's quantity"""
    chance: np.random.Generator | None = None
    """what the fault does in this clip; needed if there is one"""
    factory: tuple[tuple[float, float], ...] = ((60.0, 0.0), (8000.0, 0.0))
    """spectrum of the background: pairs of Hz and dB"""
    factory_level: float = 0.0
    """root mean square of the background, on the machine's scale"""

    def has(self, fault: str) -> float:
        """Return the severity of ``fault`` in this clip: 0 if it has no fault or another one."""
        return self.severity if self.fault == fault else 0.0

    def rotation(self, frequency: float, wander: float = 0.003) -> np.ndarray:
        """Return the phase of a shaft whose usual frequency is ``frequency``."""
        return sounds.rotation(self.rng, self.samples, self.rate, frequency * self.speed, wander)

    def noise(self, *curve: tuple[float, float]) -> np.ndarray:
        """Generate noise whose spectrum follows ``curve``, pairs of Hz and dB."""
        return sounds.noise(self.rng, self.samples, self.rate, curve)

    def impacts(self, phase, frequency: float, decay: float, height: float = 1.0, shift: float = 0.0, spread=0.2, at=1):
        """Generate a strike per turn of ``phase``, which excites a resonance (at unit size) and its overtone.

        The response is ``height`` high; ``at`` (one value per sample) weighs the strikes.
        """
        strikes = at * sounds.strikes(self.rng, phase, spread, shift)
        return height * self.ringing(strikes, frequency, decay)

    def ringing(self, strikes, frequency: float, decay: float) -> np.ndarray:
        """Excite a resonance (at unit size) and its overtone by ``strikes``."""
        low = sounds.ring(strikes, self.rate, frequency / self.size, decay)
        return low + 0.5 * sounds.ring(strikes, self.rate, 2.3 * frequency / self.size, decay / 2)

    # What faults are made of; all draw from `chance` -----------------------------------------------------------------
    def uneven(self, phase: np.ndarray, fault: str) -> np.ndarray:
        """Return ``phase``, with early and late turns if the clip has ``fault``."""
        return sounds.uneven(self.chance, phase, self.severity) if self.fault == fault else phase

    def swing(self, fault: str, wave: np.ndarray | None = None) -> np.ndarray | float:
        """Return a factor that swings with ``wave``, or slowly (0.8 to 2 Hz), if the clip has ``fault``; else 1."""
        if self.fault != fault:
            return 1.0
        if wave is None:
            phase = sounds.rotation(self.chance, self.samples, self.rate, self.chance.uniform(0.8, 2.0), 0.05)
            wave = sounds.tone(phase, [1])
        return sounds.modulation(self.severity, wave)

    def moments(self, per_second: float, seconds: float) -> np.ndarray:
        """Return a gate that opens now and then, at least once."""
        return sounds.moments(self.chance, self.samples, self.rate, per_second, seconds)

    def some_turns(self, phase: np.ndarray, fault: str) -> np.ndarray | int:
        """Return 1 during the turns of ``phase`` that ``fault`` affects; 0 if the clip does not have it."""
        return sounds.some_turns(self.chance, phase, self.severity).astype(int) if self.fault == fault else 0

    def struck(self, phase, frequency: float, decay: float, shift: float = 0.0, weight=1.0) -> np.ndarray:
        """Generate the impacts of a fault, like those of :meth:`impacts`."""
        return self.ringing(weight * sounds.strikes(self.chance, phase, 0.2, shift), frequency, decay)

    def rattling(self, per_second: float, frequency: float, decay: float) -> np.ndarray:
        """Generate single impacts at random times, at least one."""
        number = max(1, self.chance.poisson(per_second * self.samples / self.rate))
        strikes = np.zeros(self.samples)
        at = self.chance.integers(0, max(1, self.samples - round(0.1 * self.rate)), number)
        strikes[at] = np.exp(0.3 * self.chance.standard_normal(number))
        return self.ringing(strikes, frequency, decay)

    def singing(self, frequency: float, amplitudes, wander: float = 0.01) -> np.ndarray:
        """Generate a tone near ``frequency`` (at unit size)."""
        frequency *= np.exp(0.1 * self.chance.standard_normal()) / self.size
        return sounds.tone(sounds.rotation(self.chance, self.samples, self.rate, frequency, wander), amplitudes)

    def hissing(self, *curve: tuple[float, float]) -> np.ndarray:
        """Generate the noise of a fault, like that of :meth:`noise`."""
        return sounds.noise(self.chance, self.samples, self.rate, curve)

    def plus(self, sound: np.ndarray, added: np.ndarray) -> np.ndarray:
        """Add the sound of the fault at the clip's severity, its level over machine and factory.

        The measure is :func:`asdlib.synthetic.sounds.level_over`; the factory is that of the source domain. A clip that
        is too short for the event stays as it is.
        """
        if not added.any():
            return sound
        mask = np.abs(fft.rfft(sound)) ** 2 * (2 / self.samples**2)
        mask += self.factory_level**2 * sounds.power(self.samples, self.rate, self.factory)
        level = sounds.level_over(added, mask, self.rate)
        return sound + 10 ** ((self.severity - level) / 20) * added


def ratio(decibels: float) -> float:
    """Convert decibels to a ratio of amplitudes."""
    return 10 ** (decibels / 20)
