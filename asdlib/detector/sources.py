"""Recordings as they come: audio files of several formats, or arrays with a sampling rate, read piece by piece."""

import collections
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asdlib.data import recording
from asdlib.data.recording import SUFFIXES, is_recording
from asdlib.errors import DataError
from asdlib.units import FULL_SCALE

__all__ = ["READABLE", "SUFFIXES", "DataError", "Recording", "is_recording", "open_recording"]
READABLE = "wav, flac, ogg, mp3 or aiff"
"""the formats, for sentences"""


@dataclass(frozen=True)
class Recording:
    """One recording, from which samples can be read."""

    name: str
    """path or description, for messages"""
    rate: int
    """samples per second"""
    frames: int
    """length in samples"""
    read: Callable[[int, int], np.ndarray]
    """``read(start, count)`` returns mono samples, float64, full scale 1"""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate


def open_recording(source: str | Path | tuple[np.ndarray, int] | Recording, data) -> Recording:
    """Open a recording; its samples are read when they are asked for.

    Args:
        source: Path of an audio file; or samples with their sampling rate in Hz, ``(samples,)`` or ``(samples,
            channels)``, floating-point with full scale 1, or integers.
        data: Settings (:class:`asdlib.params.data.Data`): ``channels`` says what to do with several.

    Raises:
        asdlib.errors.AsdError: It cannot be read.
    """
    if isinstance(source, Recording):
        return source
    if isinstance(source, tuple):
        return _of_array(source, data)
    file = _File(Path(source), data)
    return Recording(str(source), file.rate, file.frames, file.read)


def listed(place: Path) -> list[Path]:
    """List the recordings directly in a folder, sorted; hidden files are passed over.

    Raises:
        DataError: ``place`` is no folder.
    """
    return sorted(path for path in _folder(place).iterdir() if _is_wanted(path))


def below(place: Path) -> list[Path]:
    """List the recordings in a folder and its sub-folders, sorted.

    Raises:
        DataError: ``place`` is no folder, or holds no recordings; the message says what it holds.
    """
    files = sorted(path for path in _folder(place).rglob("*") if _is_wanted(path))
    if not files:
        raise DataError(f"{place}: no recording in it or in its sub-folders; {contents(place)}")
    return files


def contents(place: Path) -> str:
    """Describe what a folder without recordings holds, and what was expected."""
    inside = [path for path in place.rglob("*") if path.is_file()]
    kinds = collections.Counter(path.suffix.lower() or "no suffix" for path in inside)
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5)) or "nothing"
    return f"found {found}; expected {READABLE} files; convert them, or give the folder that holds the recordings"


def named(files: Iterable[object], shown: int = 3) -> str:
    """Say how many there are and which come first.

    >>> named(["a.wav", "b.wav", "c.wav", "d.wav"])
    '4 (a.wav, b.wav, c.wav, ...)'
    """
    names = [str(file) for file in files]
    return f"{len(names)} ({', '.join(names[:shown])}{', ...' if len(names) > shown else ''})"


def _is_wanted(path: Path) -> bool:
    return is_recording(path) and path.is_file()


def _folder(place: Path) -> Path:
    if not place.is_dir():
        found = "is a file" if place.exists() else "no such folder"
        raise DataError(f"{place}: {found}; expected a folder of recordings ({READABLE})")
    return place


def _of_array(source: tuple, data) -> Recording:
    try:
        samples, rate = source
        samples, rate = np.asarray(samples), int(rate)
    except (TypeError, ValueError):
        raise DataError("a tuple that is no recording; expected (samples, sampling rate in Hz)") from None
    name = f"array {samples.shape} at {rate} Hz"
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu" or not samples.size or rate <= 0:
        raise DataError(
            f"{name} of {samples.dtype}: expected numbers, (samples,) or (samples, channels), and a rate above 0"
        )
    if samples.dtype.kind == "u":
        raise DataError(f"{name} of {samples.dtype}: expected signed integers, or floating-point numbers")
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
        raise DataError(f"{name}: more channels than samples; expected (samples, channels); transpose it")
    scale = 1.0 if samples.dtype.kind == "f" else -float(np.iinfo(samples.dtype).min)
    samples = samples.reshape(len(samples), -1)
    _check_channels(name, samples.shape[1], data)
    return Recording(
        name, rate, len(samples), lambda start, count: _mono(name, samples[start : start + count] / scale, data)
    )


class _File:
    """An audio file: opened once for its header, and once more for its samples, until the last of them is read."""

    def __init__(self, path: Path, data):
        self.path, self.mean, self._sound = path, data.channels == "mean", None
        with recording.Recording(path) as sound:
            self.rate, self.frames = sound.sample_rate, sound.frames
            _check_channels(str(path), sound.channels, data)

    def read(self, start: int, count: int) -> np.ndarray:
        """Read mono samples, float64, full scale 1."""
        if self._sound is None:
            self._sound = recording.Recording(self.path)
        wave = self._sound.read(start, count, self.mean).astype(np.float64) / FULL_SCALE
        if start + count >= self.frames:
            self._sound.close()
            self._sound = None
        return wave

    def __del__(self):
        if getattr(self, "_sound", None) is not None:
            self._sound.close()


def _check_channels(name: str, channels: int, data) -> None:
    if channels != 1 and data.channels == "refuse":
        raise DataError(
            f"{name}: {channels} channels; expected 1; set data.channels to first or mean, or give mono recordings"
        )


def _mono(name: str, samples: np.ndarray, data) -> np.ndarray:
    wave = samples.mean(axis=1) if data.channels == "mean" and samples.shape[1] > 1 else samples[:, 0]
    bad = int(np.count_nonzero(~np.isfinite(wave)))
    if bad:
        raise DataError(f"{name}: {bad} sample(s) are NaN or infinite; expected finite ones; export or record it again")
    return wave
