"""What each machine type physically does, and what its faults change.

A machine is a function of its :class:`Conditions`: draws from ``unit`` are what the section's machine is (blades,
teeth, resonances) and come out equal for every clip; draws from ``rng`` belong to the clip. Levels are relative;
:mod:`asdlib.data.synthetic` sets the gain.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from asdlib.data import sounds


@dataclass(frozen=True)
class Conditions:
    """Under which a clip sounds."""

    samples: int
    rate: int
    """samples a second"""
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
    """of :mod:`asdlib.data.faults`, empty for a normal clip"""
    severity: float = 0.0

    def has(self, fault: str) -> float:
        """Severity of ``fault`` in this clip, 0 if it has none or another one."""
        return self.severity if self.fault == fault else 0.0

    def rotation(self, frequency: float, wander: float = 0.003) -> np.ndarray:
        return sounds.rotation(self.rng, self.samples, self.rate, frequency * self.speed, wander)

    def noise(self, *curve: tuple[float, float]) -> np.ndarray:
        return sounds.noise(self.rng, self.samples, self.rate, curve)

    def impacts(self, phase, frequency: float, decay: float, height: float = 1.0, shift: float = 0.0, spread=0.2):
        """A strike each turn of ``phase``, answered by a resonance (at unit size) and its overtone, ``height`` high."""
        if not height:
            return 0.0
        strikes = sounds.strikes(self.rng, phase, spread, shift)
        low = sounds.ring(strikes, self.rate, frequency / self.size, decay)
        return height * (low + 0.5 * sounds.ring(strikes, self.rate, 2.3 * frequency / self.size, decay / 2))


def fan(c: Conditions) -> np.ndarray:
    """Blades pass the stator, air turns turbulent, the motor hums at twice the mains."""
    blades, corner, stator = c.unit.integers(5, 10), c.unit.uniform(500, 1200), c.unit.uniform(0.2, 0.5)
    shaft = c.rotation(24)
    turn = sounds.tone(shaft, [1, 0.3])
    blade_pass = stator * sounds.tone(blades * shaft, [1, 0.6, 0.35, 0.2, 0.1])
    clogging = c.has("clogging")
    corner *= c.speed * (1 - 0.6 * clogging) / c.size
    flow = c.noise((60, -3), (corner, 0), (2 * corner, -6), (8000, -26 + 6 * c.load))
    hum = 0.1 * sounds.tone(sounds.rotation(c.rng, c.samples, c.rate, 100, 0.0005), [1, 0.4, 0.2])
    imbalance = c.has("imbalance")
    bearing = c.impacts(3.57 * shaft, 2600, 0.004, c.has("bearing_impacts"))
    flow *= (0.6 + 0.8 * c.load) * c.speed**2.5 * (1 + (0.08 + 0.5 * imbalance) * turn)
    return flow + (1 + clogging) * blade_pass + (0.1 + imbalance) * turn + hum + bearing


def gearbox(c: Conditions) -> np.ndarray:
    """Teeth mesh; each shaft modulates the mesh, which gives sidebands; the housing rings."""
    teeth, ratio, mode = c.unit.integers(19, 34), c.unit.uniform(1.6, 3.2), c.unit.uniform(1500, 2400)
    amplitudes = c.unit.uniform(0.4, 1, 6) / np.arange(1, 7) ** 0.7
    shaft = c.rotation(16)
    wear = c.has("wear")
    sidebands = (1 + 0.2 * sounds.tone(shaft, [1, 0.4]) + 0.15 * sounds.tone(shaft / ratio, [1, 0.5])) * (
        1 + wear * sounds.tone(shaft, [0.6, 0.6, 0.5])
    )
    amplitudes[1:] *= 1 + 1.5 * wear
    mesh = sidebands * sounds.tone(teeth * shaft, amplitudes) * (0.4 + 0.8 * c.load)
    oil = c.noise((60, 0), (400, 0), (mode / c.size, -4), (8000, -28)) * (0.5 + 0.4 * c.load)
    chipped = c.impacts(shaft, mode, 0.006, c.has("chipped_tooth"))
    bearing = c.impacts(5.43 * shaft, 3300, 0.003, c.has("bearing_impacts"))
    return mesh + oil + chipped + bearing


def pump(c: Conditions) -> np.ndarray:
    """Vanes push the liquid in strokes; the flow hisses with each of them; the motor hums."""
    vanes, corner, pipe = c.unit.integers(3, 7), c.unit.uniform(700, 1600), c.unit.uniform(250, 450)
    clogging, leak = c.has("clogging"), c.has("leak")
    shaft = c.rotation(20 * (1 - 0.06 * clogging))
    pulse = sounds.tone(vanes * shaft, [1, 0.7, 0.5, 0.35, 0.25, 0.15])
    flow = c.noise((60, -6), (corner / c.size, 0), (3000, -8 - 8 * clogging), (8000, -24 - 12 * clogging))
    flow *= (0.5 + 0.8 * c.load) * (1 - 0.5 * clogging) * (1 + 0.3 * pulse)
    hum = 0.15 * sounds.tone(sounds.rotation(c.rng, c.samples, c.rate, 100, 0.0005), [1, 0.5, 0.3])
    gurgle = 0.3 * c.noise(*sounds.band(pipe / c.size, 1.5 * pipe / c.size)) * (1 + 0.5 * sounds.tone(shaft, [1]))
    hiss = leak * c.noise((2000, -20), (4500, 0), (8000, -3)) if leak else 0
    cavitation = c.has("cavitation")
    bubbles = 0
    if cavitation:  # vapour bubbles collapse at random times, more of them in a stroke
        chance = np.clip(1 + pulse, 0, None) * 60 / c.rate
        collapse = (c.rng.random(c.samples) < chance) * c.rng.exponential(1, c.samples)
        bubbles = cavitation * sounds.ring(collapse, c.rate, 3600 / c.size, 0.0015)
    return (0.5 + clogging) * pulse * (0.5 + 0.6 * c.load) + flow + hum + gurgle + hiss + bubbles


def slider(c: Conditions) -> np.ndarray:
    """A carriage runs to and fro on a rail: pitch and rolling noise follow its speed, the ends knock."""
    poles, rail, knock = c.unit.integers(30, 50), c.unit.uniform(900, 1800), c.unit.uniform(300, 600)
    stroke = c.rotation(0.7, 0.01)  # one turn = there and back
    position = np.mod(stroke, 0.5) * 2
    velocity = np.clip(np.minimum(position, 1 - position) * 8, 0, 1)  # accelerates, runs, brakes
    drive = np.cumsum(velocity) * (12 * c.speed / c.rate)
    motor = velocity * sounds.tone(poles * drive, [1, 0.5, 0.35, 0.2]) * (0.4 + 0.6 * c.load)
    dry = c.has("dry_rail")
    rolling = velocity * c.noise((60, -8), (rail / c.size, 0), (8000, -20 + 10 * dry)) * (0.7 + 0.4 * c.load + dry)
    ends = c.impacts(2 * stroke, knock, 0.015, 1.5)
    damage = c.impacts(2 * stroke, 2200, 0.008, c.has("damaged_rail"), shift=0.37)
    sticking = c.has("stick_slip")
    squeal = 0
    if sticking:  # at low speed friction stores and releases: a rough tone while the carriage accelerates
        slow = np.clip(1 - np.abs(velocity - 0.35) * 4, 0, 1)
        squeal = sticking * slow * sounds.tone(c.rotation(900 / c.size, 0.02), [1, 0.8, 0.7, 0.5])
    return motor + rolling + ends + damage + squeal


def valve(c: Conditions) -> np.ndarray:
    """A solenoid opens and closes: two clicks with decaying resonances, and flow while it is open."""
    mode, opened, corner = c.unit.uniform(1200, 2200), c.unit.uniform(0.3, 0.5), c.unit.uniform(2000, 3500)
    cycle = c.rotation(1.5, 0.02)
    dirt, sticking = c.has("contamination"), c.has("sticking")
    strength = (0.7 + 0.6 * c.load) * (1 - 0.7 * sticking)
    late = opened + 0.08 * sticking
    opening = c.impacts(cycle, mode * (1 - 0.25 * dirt), 0.008 * (1 - 0.5 * dirt), spread=0.15)
    closing = c.impacts(cycle, 0.7 * mode, 0.012 * (1 - 0.5 * dirt), 0.8, shift=late, spread=0.15)
    bounce = c.impacts(cycle, 1.4 * mode, 0.004, 0.15 + dirt, shift=late + 0.02, spread=0.3)
    hiss = c.noise((500, -20), (corner / c.size, 0), (8000, -6))
    is_open = np.mod(cycle, 1) < late
    return strength * (opening + closing + bounce) + hiss * np.where(is_open, 0.04 + 0.03 * c.load, c.has("leak"))


def toy_car(c: Conditions) -> np.ndarray:
    """A small brushed motor whines at its commutator's rate, plastic gears mesh, wheels roll on a bench."""
    teeth, ratio, shell = c.unit.integers(8, 13), c.unit.uniform(8, 13), c.unit.uniform(1200, 2200)
    motor = c.rotation(75, 0.006)
    wheel = motor / ratio
    whine = 0.5 * sounds.tone(6 * motor, [1, 0.6, 0.5, 0.4, 0.3, 0.2])
    bent = c.has("bent_shaft")
    mesh = sounds.tone(teeth * motor, [1, 0.7, 0.5, 0.3]) * (1 + (0.15 + bent) * sounds.tone(wheel, [1, 0.5]))
    tangled = c.has("tangled_wheel")
    rub = tangled * np.clip(sounds.tone(wheel, [1]), 0, None) * c.noise(*sounds.band(2500, 6000)) if tangled else 0
    rolling = c.noise((60, 0), (shell / c.size, -2), (8000, -22)) * (1 + 0.2 * sounds.tone(wheel, [1, 0.4]))
    gear = c.impacts(wheel * 2, shell, 0.005, c.has("damaged_gear"))
    return whine + mesh * (0.4 + 0.7 * c.load) + rolling * (0.5 + 0.4 * c.load) * c.speed + rub + gear


def toy_train(c: Conditions) -> np.ndarray:
    """A train circles past the microphone: louder when near; its axles strike the rail joints; the motor whines."""
    joints, axles, bed = c.unit.integers(8, 13), c.unit.uniform(0.06, 0.12), c.unit.uniform(500, 900)
    lap = c.rotation(0.3, 0.01)
    near = 1 / (1 + 0.6 * (1 - np.cos(2 * np.pi * lap)))
    wheel, motor = lap * 24, lap * 160
    whine = 0.5 * sounds.tone(6 * motor, [1, 0.6, 0.4, 0.3, 0.2]) * (0.5 + 0.6 * c.load)
    rolling = c.noise((60, 0), (bed / c.size, -2), (8000, -20)) * (0.4 + 0.5 * c.load)
    rolling *= 1 + 0.2 * sounds.tone(wheel, [1])
    clack = c.impacts(joints * lap, bed, 0.01) + c.impacts(joints * lap, bed, 0.01, 0.8, shift=axles)
    rail = c.has("damaged_rail")
    damage = sum(c.impacts(lap, 1900, 0.008, rail, shift=0.03 * axle) for axle in range(4))
    flat = c.impacts(wheel, 1100, 0.006, c.has("flat_wheel"))
    worn = c.has("worn_brushes")
    sparks = worn * c.noise((2500, -15), (6000, 0), (8000, 0)) * (1 + sounds.tone(motor, [1])) if worn else 0
    return near * (whine + rolling + clack + damage + flat + sparks)


MACHINES: dict[str, Callable[[Conditions], np.ndarray]] = {
    "ToyCar": toy_car,
    "ToyTrain": toy_train,
    "fan": fan,
    "gearbox": gearbox,
    "pump": pump,
    "slider": slider,
    "valve": valve,
}
