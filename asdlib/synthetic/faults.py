"""Define the faults of the synthetic machines: several kinds per machine type, each of graded severity.

Real faults rarely just raise the mean spectrum. A bearing ticks, a fan surges, a valve misses a stroke. So most kinds
here live in time (a rhythm, a modulation, single events) and only some in the mean spectrum; :data:`Family` says
which. How a fault changes the sound is written in :mod:`asdlib.synthetic.machines`.

Severities follow one rule for all machine types and kinds, stated in the units in which hearing is measured: the range
of a :class:`Quantity` starts at about twice what a listener just notices (where the fault can be missed) and ends where
nobody misses it. No detector was consulted, so a kind may turn out easy or hard for any of them.

The kind is part of an anomalous clip's file name, in the place of DCASE's attributes, and thus in the catalogue's
column ``attributes``. It serves the analysis of results; no system reads it.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Quantity:
    """What a severity measures, and its range."""

    name: str
    unit: str
    faint: float
    clear: float
    ratio: bool = True
    """steps are ratios: severities are spread evenly over log(severity); otherwise evenly over severity"""

    def at(self, share: float) -> float:
        """Return the severity at ``share`` of the range, from 0 (faint) to 1 (clear).

        >>> DEPTH.at(0.0), DEPTH.at(1.0), EVENT.at(0.5)
        (0.15, 0.7, 4.5)
        """
        if self.ratio:
            return self.faint ** (1 - share) * self.clear**share
        return self.faint + (self.clear - self.faint) * share


EVENT = Quantity("level of added events", "dB", -3.0, 12.0, ratio=False)
"""For intermittent sounds that a fault adds (an impact, a squeal): their loudest tenth of a second over the mean of
machine and factory, in the third of an octave where they stand out most. Noise is masked by noise of the same band
below about -6 dB (a step of 1 dB)."""

STEADY = Quantity("level of the added sound", "dB", -2.0, 7.0, ratio=False)
"""The same measure for sounds that last throughout the clip (a hiss, a dense train of impacts). As :data:`CHANGE`: the
band's level rises by 2 to 8 dB."""

CHANGE = Quantity("change of level", "dB", 2.0, 8.0, ratio=False)
"""For a part of the spectrum; about 1 dB is just noticeable when everything else stays the same."""

DEPTH = Quantity("modulation depth", "of the amplitude", 0.15, 0.7)
"""For a swing or a dip of amplitude, at unchanged power for swings; 0.05 to 0.1 is just noticeable in noise."""

RHYTHM = Quantity("deviation of the interval", "of the interval", 0.05, 0.25)
"""Standard deviation of the intervals between events (or the delay of an event); 0.025 is just noticed."""

SHARE = Quantity("events affected", "of the events", 0.1, 0.5)
"""Missing or doubled events, at least one per clip; one can be noticed, every second one cannot be missed."""


Family = Literal["rhythm", "fast modulation", "slow modulation", "moments", "impacts", "spectrum"]
"""Where a kind of fault shows.

* ``rhythm``: events that are early, late, missing or doubled;
* ``fast modulation``: roughness, a swing once per turn of a shaft;
* ``slow modulation``: hunting, at 0.8 to 2 Hz;
* ``moments``: single impacts, and tones, bursts or failures that come and go;
* ``impacts``: an impact or a rub that recurs with the rotation; when dense and clear, it is in the mean spectrum too;
* ``spectrum``: the mean spectrum. The mean spectrum of a clip hardly changes in the first four families.
"""


@dataclass(frozen=True)
class Fault:
    """A kind of fault."""

    quantity: Quantity
    family: Family
    """where it shows"""
    meaning: str
    """what happens in the machine"""


FAULTS: dict[str, dict[str, Fault]] = {
    "ToyCar": {
        "bent_shaft": Fault(DEPTH, "fast modulation", "the gears' level swings once per turn of the wheel"),
        "damaged_gear": Fault(STEADY, "impacts", "an impact twice per turn of the wheel"),
        "worn_brushes": Fault(CHANGE, "spectrum", "the motor's whine has stronger harmonics"),
        "loose_contact": Fault(DEPTH, "moments", "the current fails for moments"),
        "tangled_wheel": Fault(STEADY, "impacts", "something rubs once per turn of the wheel"),
        "slipping_gear": Fault(RHYTHM, "moments", "the motor races for moments, without its load"),
    },
    "ToyTrain": {
        "damaged_rail": Fault(EVENT, "moments", "each axle strikes one place of the lap"),
        "uneven_joints": Fault(RHYTHM, "rhythm", "rail joints have shifted: the clack is irregular"),
        "worn_brushes": Fault(STEADY, "spectrum", "sparks hiss"),
        "flat_wheel": Fault(STEADY, "impacts", "an impact per turn of the wheel"),
        "hunting": Fault(DEPTH, "slow modulation", "the bogie sways: the rolling noise swings slowly"),
        "flange_squeal": Fault(EVENT, "moments", "a wheel sings in parts of the curve"),
    },
    "fan": {
        "imbalance": Fault(DEPTH, "fast modulation", "the flow is rough: it swings once per turn"),
        "bearing_impacts": Fault(STEADY, "impacts", "balls pass a dent in the outer race"),
        "clogging": Fault(CHANGE, "spectrum", "a duller flow, louder blades"),
        "surge": Fault(DEPTH, "slow modulation", "flow and load hunt slowly"),
        "rattle": Fault(EVENT, "moments", "something loose hits the housing now and then"),
        "squeal": Fault(EVENT, "moments", "a dry bearing sings for moments"),
    },
    "gearbox": {
        "chipped_tooth": Fault(STEADY, "impacts", "an impact per turn of the shaft"),
        "eccentric_gear": Fault(DEPTH, "fast modulation", "the mesh is rough: it swings once per turn"),
        "wear": Fault(CHANGE, "spectrum", "stronger harmonics of the mesh"),
        "bearing_impacts": Fault(STEADY, "impacts", "balls pass a dent in the inner race, harder under load"),
        "load_hunting": Fault(DEPTH, "slow modulation", "the load swings slowly"),
        "debris": Fault(EVENT, "moments", "a particle passes the teeth now and then"),
    },
    "pump": {
        "leak": Fault(STEADY, "spectrum", "hiss of high frequency"),
        "worn_vane": Fault(DEPTH, "fast modulation", "one vane pushes less: strokes swing once per turn"),
        "clogging": Fault(CHANGE, "spectrum", "a duller flow, harder strokes"),
        "cavitation": Fault(EVENT, "moments", "vapour bubbles collapse in bursts"),
        "pressure_hunting": Fault(DEPTH, "slow modulation", "the pressure swings slowly"),
        "air_pockets": Fault(DEPTH, "moments", "the flow fails for moments"),
    },
    "slider": {
        "damaged_rail": Fault(EVENT, "impacts", "an impact at one place of the stroke"),
        "uneven_stroke": Fault(RHYTHM, "rhythm", "strokes take unequal times"),
        "dry_rail": Fault(CHANGE, "spectrum", "louder and brighter rolling"),
        "stick_slip": Fault(EVENT, "moments", "a rough squeal at low speed"),
        "loose_stop": Fault(EVENT, "rhythm", "the carriage bounces at the end: a second knock"),
        "judder": Fault(DEPTH, "fast modulation", "the carriage shakes while it runs"),
    },
    "valve": {
        "missing_stroke": Fault(SHARE, "rhythm", "the coil fails: no click, no flow"),
        "leak": Fault(STEADY, "spectrum", "hiss while closed"),
        "irregular_cycle": Fault(RHYTHM, "rhythm", "strokes come early and late"),
        "contamination": Fault(CHANGE, "spectrum", "weaker, duller and shorter clicks"),
        "chatter": Fault(SHARE, "rhythm", "the valve bounces when it closes"),
        "sticking": Fault(RHYTHM, "rhythm", "it closes late"),
    },
}
"""Machine type to kind to :class:`Fault`.

:meta hide-value:
"""


def fault(machine: str, number: int) -> str:
    """Return the kind of fault of the machine type's anomalous clip ``number``; each kind in turn."""
    kinds = list(FAULTS[machine])
    return kinds[number % len(kinds)]
