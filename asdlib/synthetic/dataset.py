"""Generate the embedded demonstration data: synthetic machines in a synthetic factory, as DCASE2021 files.

This is not DCASE2021 and must never be called that. It lets every stage be run and checked if the recordings are
unavailable.
As in MIMII DUE and ToyADMOS2, sections are different machines of a type, and the target domain differs in speed, load,
microphone and background. Normal clips of a section differ from each other nearly as much as real ones do: the level
of real clips of one toy car or slider (DCASE2020) deviates by 1.4 to 1.9 dB, the mean log-mel of a band, level aside,
by 1.6 to 3.3 dB; that of clips of 6.4 s made here by 1.3 to 1.8 and 1.4 to 2.2 dB. A clip is a pure function of
(seed, machine type, section, domain, split, label, number) and the clip length, whatever other clips are made.
"""

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
from scipy import fft

from asdlib import atomic
from asdlib.data import catalogue, file_names
from asdlib.errors import DataError
from asdlib.synthetic import faults, machines, sounds
from asdlib.synthetic.conditions import Conditions, ratio

VERSION = "2026-11-26"
"""Version of the sound; older data are made again."""

MARK = "synthetic.json"
"""File in the data root that records how it was made."""

LEVEL = 0.015
"""Root mean square of a section's machine in the source domain, of full scale."""

_SPREAD = 1.5  # of the level from clip to clip, in dB

_UNIT, _SOURCE, _TARGET, _GAIN, _CLIP, _FAULT = range(6)  # purposes of generators, so that no two draw the same numbers


@dataclass(frozen=True)
class Place:
    """What a section's machine and a domain are like; all clips of both share it."""

    speed: float
    """relative to the machine type's usual speed"""
    load: float
    """0 to 1"""
    size: float
    """relative"""
    microphone: tuple[tuple[float, float], ...]
    """frequency response: pairs of Hz and dB"""
    factory: tuple[tuple[float, float], ...]
    """spectrum of the background: pairs of Hz and dB"""
    louder: float
    """background above that of the source domain, in dB"""


def write(root: Path, synthetic, rate: int) -> bool:
    """Write the data set to ``root``, whole or not at all; return False if it is there already.

    Args:
        root: The data root. A data set that was written there with other settings is replaced.
        synthetic: Settings (:class:`asdlib.params.data.Synthetic`).
        rate: Sampling rate in Hz.

    Raises:
        asdlib.errors.DataError: The folder contains something else; recordings are never overwritten.
    """
    root = Path(root)
    origin = {"version": VERSION, "sample_rate": rate, **synthetic.model_dump(mode="json")}
    mark = root / MARK
    if mark.is_file():
        if atomic.read_json(mark) == origin:
            return False
    elif root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(
            f"{root}: contains data that were not synthesised (there is no {MARK}); set data.synthetic to null to use "
            "them, or data.root to a new folder"
        )
    clips = catalogue.expected(synthetic, faults.fault)
    began = logged = time.monotonic()
    with atomic.writing(root, folder=True) as temporary:
        for folder in sorted({path.rpartition("/")[0] for path in clips["path"]}):
            (temporary / folder).mkdir(parents=True)
        for done, (machine, path) in enumerate(zip(clips["machine"], clips["path"], strict=True), start=1):
            _, folder, file = path.split("/")
            clip = waveform(synthetic, rate, machine, file_names.parse(folder, file))
            soundfile.write(temporary / path, clip, rate, subtype="PCM_16")
            if time.monotonic() - logged >= 10:
                logged = time.monotonic()
                print(f"synthetic data: {done}/{len(clips)} clips", flush=True)
        atomic.write_json(origin, temporary / MARK)
    print(f"synthetic data: {len(clips)} clips in {root.name}, made in {time.monotonic() - began:.1f} s", flush=True)
    return True


def waveform(synthetic, rate: int, machine: str, name: file_names.ClipName, **changes) -> np.ndarray:
    """Synthesise one clip as int16, shape ``(samples,)``.

    Args:
        synthetic: Settings (:class:`asdlib.params.data.Synthetic`).
        rate: Sampling rate in Hz.
        machine: Machine type.
        name: The clip.
        changes: ``fault`` and ``severity`` (see :mod:`asdlib.synthetic.faults`) instead of what the name implies; the
            clip is the same in all else.
    """
    seed, section, number = synthetic.seed, name.section, int(name.number)
    here = place(seed, machine, section, name.domain)
    clip = [_CLIP, name.domain == "target", name.split == "test", name.label == "anomaly", number]
    rng, chance = _generator(seed, machine, section, *clip), _generator(seed, machine, section, _FAULT, *clip[1:])
    fault, severity = _fault(machine, name, chance)
    gain = _gain(seed, machine, section, rate)
    settings = {
        "fault": fault,
        "severity": severity,
        "chance": chance,
        "factory": place(seed, machine, section, "source").factory,
        "factory_level": LEVEL / gain / ratio(synthetic.snr),
        **changes,
    }
    unit = _generator(seed, machine, section, _UNIT)
    sound = _sound(machine, here, unit, rng, round(synthetic.duration * rate), rate, **settings)
    sound *= gain * ratio(rng.normal(0, _SPREAD)) * sounds.drift(rng, len(sound), rate, 1.2)
    noise_level = LEVEL * ratio(rng.normal(here.louder, _SPREAD) - synthetic.snr)
    return _record(sound, noise_level, here, rng, rate)


def fault_of(synthetic, machine: str, name: file_names.ClipName) -> tuple[str, float]:
    """Return kind and severity of the fault of a clip that :func:`waveform` synthesises; no kind if it is normal."""
    clip = [name.domain == "target", name.split == "test", name.label == "anomaly", int(name.number)]
    return _fault(machine, name, _generator(synthetic.seed, machine, name.section, _FAULT, *clip))


def _fault(machine: str, name: file_names.ClipName, chance) -> tuple[str, float]:
    """Draw kind and severity of a clip's fault by the generator of its faults."""
    fault, share = faults.fault(machine, int(name.number)) if name.label == "anomaly" else "", chance.uniform()
    return fault, faults.FAULTS[machine][fault].quantity.at(share) if fault else 0.0


@lru_cache(maxsize=256)
def place(seed: int, machine: str, section: str, domain: str) -> Place:
    """Draw speed, load, size, microphone and background of a section in a domain."""
    rng = _generator(seed, machine, section, _SOURCE)
    speed, load, size = rng.uniform(0.85, 1.2), rng.uniform(0.35, 0.65), rng.uniform(0.8, 1.25)
    microphone, factory = sounds.curve(rng, 0.0, 1.5), sounds.curve(rng, -4.0, 2.0)
    if domain == "source":
        return Place(speed, load, size, microphone, factory, 0.0)
    rng = _generator(seed, machine, section, _TARGET)
    speed *= 1 + rng.choice([-1, 1]) * rng.uniform(0.04, 0.1)
    load += rng.choice([-1, 1]) * rng.uniform(0.1, 0.2)
    microphone, factory = sounds.vary_curve(rng, microphone, 1.5), sounds.vary_curve(rng, factory, 2.0)
    return Place(speed, load, size, microphone, factory, rng.uniform(1.0, 3.0))


def _sound(machine: str, here: Place, unit, rng, samples: int, rate: int, **fault) -> np.ndarray:
    """Simulate the machine alone, with speed and load of its place, which vary a little from clip to clip."""
    conditions = Conditions(
        samples,
        rate,
        unit=unit,
        rng=rng,
        speed=here.speed * (1 + rng.normal(0, 0.015)),
        load=float(np.clip(rng.normal(here.load, 0.1), 0, 1)),
        size=here.size,
        **fault,
    )
    return machines.MACHINES[machine](conditions)


@lru_cache(maxsize=256)
def _gain(seed: int, machine: str, section: str, rate: int) -> float:
    """Compute the gain that brings the section's machine, without fault and in the source domain, to :data:`LEVEL`."""
    here = place(seed, machine, section, "source")
    unit, rng = _generator(seed, machine, section, _UNIT), _generator(seed, machine, section, _GAIN)
    sound = _sound(machine, here, unit, rng, 10 * rate, rate)
    return LEVEL / float(np.sqrt(np.mean(sound**2)))


def _record(sound: np.ndarray, noise_level: float, here: Place, rng, rate: int) -> np.ndarray:
    """Add the factory, and apply the response of the microphone to both."""
    distant = rng.poisson(0.3 * len(sound) / rate)  # something falls or clangs, now and then
    clangs = np.zeros(len(sound))
    clangs[rng.integers(0, len(sound), distant)] = rng.exponential(4 * noise_level, distant)
    sound = sound + sounds.ring(clangs, rate, rng.uniform(400, 1500), 0.05)
    noise = sounds.noise(rng, len(sound), rate, sounds.vary_curve(rng, here.factory, 1.5))
    sound += noise_level * sounds.drift(rng, len(sound), rate, 2.0) * noise
    length = fft.next_fast_len(len(sound), real=True)
    path = sounds.rough(rng, sounds.vary_curve(rng, here.microphone, 1.5), 1.0)
    heard = fft.irfft(fft.rfft(sound.astype(np.float32), length) * sounds.response(length, rate, path), length)
    heard = heard[: len(sound)]
    return np.clip(np.rint(heard * 32767), -32768, 32767).astype(np.int16)


def _generator(seed: int, machine: str, section: str, *words: int) -> np.random.Generator:
    """Return a generator seeded by all arguments."""
    return np.random.default_rng([seed, file_names.MACHINES.index(machine), int(section), *map(int, words)])
