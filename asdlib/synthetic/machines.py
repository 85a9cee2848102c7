"""Simulate what each machine type physically does, and what its faults change.

A machine is a function of its :class:`Conditions`: draws from ``unit`` are what the section's machine is (blades,
teeth, resonances) and come out equal for every clip; draws from ``rng`` belong to the clip, draws from ``chance`` to
its fault. So a clip with a fault is the clip without it, changed in nothing else. Levels are relative;
:mod:`asdlib.synthetic.dataset` sets the gain.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import fft

from asdlib.synthetic import sounds

EVENTS = 0.012
"""Deviation of the intervals between a normal machine's strokes, of the interval: no rhythm is perfect."""


@dataclass(frozen=True)
class Conditions:
    """Under which a clip sounds."""

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
        """Severity of ``fault`` in this clip, 0 if it has none or another one."""
        return self.severity if self.fault == fault else 0.0

    def rotation(self, frequency: float, wander: float = 0.003) -> np.ndarray:
        return sounds.rotation(self.rng, self.samples, self.rate, frequency * self.speed, wander)

    def noise(self, *curve: tuple[float, float]) -> np.ndarray:
        return sounds.noise(self.rng, self.samples, self.rate, curve)

    def impacts(self, phase, frequency: float, decay: float, height: float = 1.0, shift: float = 0.0, spread=0.2, at=1):
        """A strike each turn of ``phase``, answered by a resonance (at unit size) and its overtone, ``height`` high.

        ``at`` (one value per sample) weighs the strikes.
        """
        strikes = at * sounds.strikes(self.rng, phase, spread, shift)
        return height * self.ringing(strikes, frequency, decay)

    def ringing(self, strikes, frequency: float, decay: float) -> np.ndarray:
        """The answer of a resonance (at unit size) and its overtone to ``strikes``."""
        low = sounds.ring(strikes, self.rate, frequency / self.size, decay)
        return low + 0.5 * sounds.ring(strikes, self.rate, 2.3 * frequency / self.size, decay / 2)

    # What faults are made of; all draw from `chance` -----------------------------------------------------------------
    def uneven(self, phase: np.ndarray, fault: str) -> np.ndarray:
        """``phase``, its turns early and late if the clip has ``fault``."""
        return sounds.uneven(self.chance, phase, self.severity) if self.fault == fault else phase

    def swing(self, fault: str, wave: np.ndarray | None = None) -> np.ndarray | float:
        """A factor that swings with ``wave``, or slowly (0.8 to 2 Hz), if the clip has ``fault``; else 1."""
        if self.fault != fault:
            return 1.0
        if wave is None:
            phase = sounds.rotation(self.chance, self.samples, self.rate, self.chance.uniform(0.8, 2.0), 0.05)
            wave = sounds.tone(phase, [1])
        return sounds.modulated(self.severity, wave)

    def moments(self, per_second: float, seconds: float) -> np.ndarray:
        """A gate that opens now and then, at least once."""
        return sounds.moments(self.chance, self.samples, self.rate, per_second, seconds)

    def some_turns(self, phase: np.ndarray, fault: str) -> np.ndarray | int:
        """1 during the turns of ``phase`` that ``fault`` affects; 0 if the clip lacks it."""
        return sounds.some_turns(self.chance, phase, self.severity).astype(int) if self.fault == fault else 0

    def struck(self, phase, frequency: float, decay: float, shift: float = 0.0, weight=1.0) -> np.ndarray:
        """As :meth:`impacts`, by a fault."""
        return self.ringing(weight * sounds.strikes(self.chance, phase, 0.2, shift), frequency, decay)

    def rattling(self, per_second: float, frequency: float, decay: float) -> np.ndarray:
        """Single impacts at random times, at least one."""
        number = max(1, self.chance.poisson(per_second * self.samples / self.rate))
        strikes = np.zeros(self.samples)
        at = self.chance.integers(0, max(1, self.samples - round(0.1 * self.rate)), number)
        strikes[at] = np.exp(0.3 * self.chance.standard_normal(number))
        return self.ringing(strikes, frequency, decay)

    def singing(self, frequency: float, amplitudes, wander: float = 0.01) -> np.ndarray:
        """A tone near ``frequency`` (at unit size)."""
        frequency *= np.exp(0.1 * self.chance.standard_normal()) / self.size
        return sounds.tone(sounds.rotation(self.chance, self.samples, self.rate, frequency, wander), amplitudes)

    def hissing(self, *curve: tuple[float, float]) -> np.ndarray:
        return sounds.noise(self.chance, self.samples, self.rate, curve)

    def plus(self, sound: np.ndarray, added: np.ndarray) -> np.ndarray:
        """``sound`` and what the fault adds, at the clip's severity: level over machine and factory.

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
    """Ratio of amplitudes."""
    return 10 ** (decibels / 20)


def fan(c: Conditions) -> np.ndarray:
    """Blades pass the stator, air turns turbulent, the motor hums at twice the mains."""
    blades, corner, stator = c.unit.integers(5, 10), c.unit.uniform(500, 1200), c.unit.uniform(0.2, 0.5)
    shaft = c.rotation(24)
    turn = sounds.tone(shaft, [1, 0.3])
    blade_pass = stator * sounds.tone(blades * shaft, [1, 0.6, 0.35, 0.2, 0.1])
    duller = c.has("clogging")  # dB
    corner *= c.speed / c.size
    flow = c.noise((60, -3), (corner, 0), (2 * corner, -6 - duller), (8000, -26 + 6 * c.load - duller))
    hum = 0.1 * sounds.tone(sounds.rotation(c.rng, c.samples, c.rate, 100, 0.0005), [1, 0.4, 0.2])
    flow *= (0.6 + 0.8 * c.load) * c.speed**2.5 * (1 + 0.08 * turn) * c.swing("imbalance", turn) * c.swing("surge")
    tone = 0.1 * (1 + c.has("imbalance")) * turn
    sound = flow + ratio(duller / 2) * blade_pass + tone + hum
    match c.fault:
        case "bearing_impacts":
            return c.plus(sound, c.struck(3.57 * shaft, 2600, 0.004))
        case "rattle":
            return c.plus(sound, c.rattling(0.7, 1400, 0.01))
        case "squeal":
            return c.plus(sound, c.moments(0.7, 0.4) * c.singing(2100, [1, 0.4, 0.2]))
    return sound


def gearbox(c: Conditions) -> np.ndarray:
    """Teeth mesh; each shaft modulates the mesh, which gives sidebands; the housing rings."""
    teeth, gear_ratio, mode = c.unit.integers(19, 34), c.unit.uniform(1.6, 3.2), c.unit.uniform(1500, 2400)
    amplitudes = c.unit.uniform(0.4, 1, 6) / np.arange(1, 7) ** 0.7
    shaft = c.rotation(16)
    turn = sounds.tone(shaft, [1, 0.4])
    sidebands = 1 + 0.2 * turn + 0.15 * sounds.tone(shaft / gear_ratio, [1, 0.5])
    amplitudes[1:] *= ratio(c.has("wear"))
    mesh = sidebands * sounds.tone(teeth * shaft, amplitudes) * (0.4 + 0.8 * c.load)
    mesh *= c.swing("eccentric_gear", turn)
    oil = c.noise((60, 0), (400, 0), (mode / c.size, -4), (8000, -28)) * (0.5 + 0.4 * c.load)
    sound = (mesh + oil) * c.swing("load_hunting")
    match c.fault:
        case "chipped_tooth":
            return c.plus(sound, c.struck(shaft, mode, 0.006))
        case "bearing_impacts":  # the inner race turns, so its dent passes the loaded side once per turn
            return c.plus(sound, c.struck(5.43 * shaft, 3300, 0.003, weight=1 + 0.8 * sounds.tone(shaft, [1])))
        case "debris":
            return c.plus(sound, c.rattling(0.7, 0.8 * mode, 0.008))
    return sound


def pump(c: Conditions) -> np.ndarray:
    """Vanes push the liquid in strokes; the flow hisses with each of them; the motor hums."""
    vanes, corner, pipe = c.unit.integers(3, 7), c.unit.uniform(700, 1600), c.unit.uniform(250, 450)
    duller = c.has("clogging")  # dB
    shaft = c.rotation(20)
    turn = sounds.tone(shaft, [1])
    pulse = sounds.tone(vanes * shaft, [1, 0.7, 0.5, 0.35, 0.25, 0.15]) * c.swing("worn_vane", turn)
    flow = c.noise((60, -6), (corner / c.size, 0), (3000, -8 - duller), (8000, -24 - duller))
    flow *= (0.5 + 0.8 * c.load) * (1 + 0.3 * pulse) * c.swing("worn_vane", turn)
    hum = 0.15 * sounds.tone(sounds.rotation(c.rng, c.samples, c.rate, 100, 0.0005), [1, 0.5, 0.3])
    gurgle = 0.3 * c.noise(*sounds.band(pipe / c.size, 1.5 * pipe / c.size)) * (1 + 0.5 * turn)
    sound = ratio(duller / 2) * 0.5 * pulse * (0.5 + 0.6 * c.load) + flow + gurgle
    sound *= c.swing("pressure_hunting")
    if c.fault == "air_pockets":
        sound *= 1 - c.severity * c.moments(1.5, 0.15)
    sound += hum
    match c.fault:
        case "leak":
            return c.plus(sound, c.hissing((2000, -20), (4500, 0), (8000, -3)))
        case "cavitation":  # vapour bubbles collapse at random times, more of them in a stroke, in bursts
            chance = np.clip(1 + pulse, 0, None) * c.moments(1.5, 0.3) * (150 / c.rate)
            collapse = (c.chance.random(c.samples) < chance) * c.chance.exponential(1, c.samples)
            collapse[c.chance.integers(c.samples)] += 1  # at least one
            return c.plus(sound, sounds.ring(collapse, c.rate, 3600 / c.size, 0.0015))
    return sound


def slider(c: Conditions) -> np.ndarray:
    """A carriage runs to and fro on a rail: pitch and rolling noise follow its speed, the ends knock."""
    poles, rail, knock = c.unit.integers(30, 50), c.unit.uniform(900, 1800), c.unit.uniform(300, 600)
    stroke = sounds.uneven(c.rng, 2 * c.rotation(0.7, 0.01), EVENTS)  # one turn = from end to end
    stroke = c.uneven(stroke, "uneven_stroke")
    position = np.mod(stroke, 1)
    velocity = np.clip(np.minimum(position, 1 - position) * 8, 0, 1)  # accelerates, runs, brakes
    drive = np.cumsum(velocity) * (12 * c.speed / c.rate)
    motor = velocity * sounds.tone(poles * drive, [1, 0.5, 0.35, 0.2]) * (0.4 + 0.6 * c.load)
    brighter = c.has("dry_rail")  # dB
    rolling = velocity * c.noise((60, -8), (rail / c.size, 0), (8000, -20 + brighter / 2)) * (0.7 + 0.4 * c.load)
    rolling *= ratio(brighter / 2)
    if c.fault == "judder":
        shake = sounds.tone(sounds.rotation(c.chance, c.samples, c.rate, c.chance.uniform(25, 45), 0.03), [1, 0.3])
        motor, rolling = motor * c.swing("judder", shake), rolling * c.swing("judder", shake)
    ends = c.impacts(stroke, knock, 0.015, 1.5)
    sound = motor + rolling + ends
    match c.fault:
        case "damaged_rail":
            return c.plus(sound, c.struck(stroke, 2200, 0.008, shift=0.37))
        case "loose_stop":  # 30 to 60 ms after each knock, a turn being 0.7 s
            return c.plus(sound, c.struck(stroke, knock, 0.012, c.chance.uniform(0.04, 0.08)))
        case "stick_slip":  # at low speed friction stores and releases: a rough tone while the carriage accelerates
            slow = np.clip(1 - np.abs(velocity - 0.35) * 4, 0, 1)
            return c.plus(sound, slow * c.singing(900, [1, 0.8, 0.7, 0.5], 0.02))
    return sound


def valve(c: Conditions) -> np.ndarray:
    """A solenoid opens and closes: two clicks with decaying resonances, and flow while it is open."""
    mode, opened, corner = c.unit.uniform(1200, 2200), c.unit.uniform(0.3, 0.5), c.unit.uniform(2000, 3500)
    cycle = sounds.uneven(c.rng, c.rotation(1.5, 0.02), EVENTS)
    opened += 0.01 * c.rng.standard_normal()
    cycle = c.uneven(cycle, "irregular_cycle")
    dirt = c.has("contamination")  # dB
    works = 1 - c.some_turns(cycle, "missing_stroke")
    closes = opened + c.has("sticking")
    strength, short = (0.7 + 0.6 * c.load) * ratio(-dirt), ratio(-dirt / 2)
    opening = c.impacts(cycle, mode * ratio(-dirt / 4), 0.008 * short, spread=0.15, at=works)
    closing = c.impacts(cycle, 0.7 * mode, 0.012 * short, 0.8, shift=closes, spread=0.15, at=works)
    bounce = c.impacts(cycle, 1.4 * mode, 0.004, 0.15, shift=closes + 0.02, spread=0.3, at=works)
    hiss = c.noise((500, -20), (corner / c.size, 0), (8000, -6))
    flows = works * (np.mod(cycle, 1) < closes) * (0.04 + 0.03 * c.load)
    chatter = 0.0
    if c.fault == "chatter":  # three bounces, 25 ms apart, each weaker
        again = c.some_turns(cycle, c.fault)
        for bounces in (1, 2, 3):
            late = closes + bounces * c.chance.uniform(0.033, 0.042)
            chatter = chatter + c.struck(cycle, 0.8 * mode, 0.006, late, 0.6**bounces * again)
    sound = strength * (opening + closing + bounce + chatter) + hiss * flows
    if c.fault == "leak":
        return c.plus(sound, (flows == 0) * c.hissing((500, -20), (corner / c.size, 0), (8000, -6)))
    return sound


def toy_car(c: Conditions) -> np.ndarray:
    """A small brushed motor whines at its commutator's rate, plastic gears mesh, wheels roll on a bench."""
    teeth, gear_ratio, shell = c.unit.integers(8, 13), c.unit.uniform(8, 13), c.unit.uniform(1200, 2200)
    motor = c.rotation(75, 0.006)
    slips = c.moments(1.5, 0.2) if c.fault == "slipping_gear" else 0.0
    wheel = motor / gear_ratio
    motor = motor + np.cumsum(c.has("slipping_gear") * 75 * c.speed / c.rate * slips * np.ones(c.samples))
    harmonics = np.array([1, 0.6, 0.5, 0.4, 0.3, 0.2])
    harmonics[1:] *= ratio(c.has("worn_brushes"))
    whine = 0.5 * sounds.tone(6 * motor, harmonics)
    turn = sounds.tone(wheel, [1, 0.5])
    mesh = sounds.tone(teeth * motor, [1, 0.7, 0.5, 0.3]) * (1 + 0.15 * turn) * c.swing("bent_shaft", turn)
    mesh *= (0.4 + 0.7 * c.load) * (1 - 2 * c.has("slipping_gear") * slips)
    rolling = c.noise((60, 0), (shell / c.size, -2), (8000, -22)) * (1 + 0.2 * sounds.tone(wheel, [1, 0.4]))
    fails = c.has("loose_contact") * c.moments(1.5, 0.12) if c.fault == "loose_contact" else 0.0
    sound = (whine + mesh) * (1 - fails) + rolling * (0.5 + 0.4 * c.load) * c.speed
    match c.fault:
        case "damaged_gear":
            return c.plus(sound, c.struck(wheel * 2, shell, 0.005))
        case "tangled_wheel":
            return c.plus(sound, np.clip(sounds.tone(wheel, [1]), 0, None) * c.hissing(*sounds.band(2500, 6000)))
    return sound


def toy_train(c: Conditions) -> np.ndarray:
    """A train circles past the microphone: louder when near; its axles strike the rail joints; the motor whines."""
    joints, axles, bed = c.unit.integers(8, 13), c.unit.uniform(0.06, 0.12), c.unit.uniform(500, 900)
    lap = c.rotation(0.3, 0.01)
    near = 1 / (1 + 0.6 * (1 - np.cos(2 * np.pi * lap)))
    wheel, motor = lap * 24, lap * 160
    whine = 0.5 * sounds.tone(6 * motor, [1, 0.6, 0.4, 0.3, 0.2]) * (0.5 + 0.6 * c.load)
    rolling = c.noise((60, 0), (bed / c.size, -2), (8000, -20)) * (0.4 + 0.5 * c.load)
    rolling *= (1 + 0.2 * sounds.tone(wheel, [1])) * c.swing("hunting")
    joint = c.uneven(sounds.uneven(c.rng, joints * lap, EVENTS), "uneven_joints")
    clack = c.impacts(joint, bed, 0.01, 2.0) + c.impacts(joint, bed, 0.01, 1.6, shift=axles)
    sound = near * (whine + rolling + clack)
    match c.fault:
        case "damaged_rail":  # a place that the train passes in this clip
            place = lap[int(c.samples * c.chance.uniform(0.1, 0.7))]
            return c.plus(sound, near * sum(c.struck(lap, 1900, 0.008, place + 0.03 * axle) for axle in range(4)))
        case "flat_wheel":
            return c.plus(sound, near * c.struck(wheel, 1100, 0.006))
        case "worn_brushes":
            hiss = c.hissing((2500, -15), (6000, 0), (8000, 0))
            return c.plus(sound, near * hiss * (1 + sounds.tone(motor, [1])))
        case "flange_squeal":
            return c.plus(sound, near * c.moments(0.5, 0.5) * c.singing(2700, [1, 0.3]))
    return sound


MACHINES: dict[str, Callable[[Conditions], np.ndarray]] = {
    "ToyCar": toy_car,
    "ToyTrain": toy_train,
    "fan": fan,
    "gearbox": gearbox,
    "pump": pump,
    "slider": slider,
    "valve": valve,
}
