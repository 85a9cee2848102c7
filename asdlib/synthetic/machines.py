"""Simulate what each machine type physically does, and what its faults change.

A machine is a function of its :class:`~asdlib.synthetic.conditions.Conditions`: draws from ``unit`` determine the
section's machine (blades, teeth, resonances) and are equal for every clip; draws from ``rng`` belong to the clip, draws
from ``chance`` to its fault. So a clip with a fault differs from the clip without it in nothing else. Levels are
relative; :mod:`asdlib.synthetic.dataset` sets the gain.
"""

from collections.abc import Callable

import numpy as np

from asdlib.synthetic import sounds
from asdlib.synthetic.conditions import Conditions, ratio

EVENTS = 0.012
"""Relative deviation of the intervals between strokes of a normal machine, since no rhythm is perfect."""


def fan(c: Conditions) -> np.ndarray:
    """Simulate a fan: blades pass the stator, air turns turbulent, the motor hums at twice the mains."""
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
    """Simulate a gearbox: teeth mesh; each shaft modulates the mesh, which gives sidebands; the housing rings."""
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
    """Simulate a pump: vanes push the liquid in strokes; the flow hisses with each of them; the motor hums."""
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
    """Simulate a slider: a carriage runs to and fro; pitch and rolling noise follow its speed, the ends knock."""
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
    """Simulate a valve: a solenoid opens and closes with two clicks that ring, with flow in between."""
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
    """Simulate a toy car: a brushed motor whines at its commutator's rate, gears mesh, wheels roll on a bench."""
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
    """Simulate a toy train circling past the microphone: its axles strike the rail joints, and its motor whines."""
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
