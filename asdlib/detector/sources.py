"""Recordings as they come: audio files of several formats, or arrays with a sampling rate, read piece by piece."""

import collections
import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from asdlib import AsdError
from asdlib.data import wav

SUFFIXES = (".wav", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc")
"""of the files that are taken for recordings"""
READABLE = "wav, flac, ogg, mp3 or aiff"
"""the formats, for sentences"""
_WAVS = (".wav",)
_BLOCK = 1 << 16


class RecordingError(AsdError):
    """A recording that cannot be used; the message names the file, what was found, what was expected, what to do."""


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


def is_recording(path: Path) -> bool:
    """Say whether a file's name is that of a recording.

    >>> is_recording(Path("a.FLAC")), is_recording(Path("notes.txt"))
    (True, False)
    """
    return path.suffix.lower() in SUFFIXES


def open_recording(source: str | Path | tuple[np.ndarray, int] | Recording, data) -> Recording:
    """Open a recording; its samples are read when they are asked for.

    Args:
        source: Path of an audio file; or samples with their sampling rate in Hz, ``(samples,)`` or ``(samples,
            channels)``, floating-point with full scale 1, or integers.
        data: Settings (:class:`asdlib.params.Data`): ``channels`` says what to do with several.

    Raises:
        asdlib.AsdError: It cannot be read.
    """
    if isinstance(source, Recording):
        return source
    if isinstance(source, tuple):
        return _of_array(source, data)
    path = Path(source)
    if path.suffix.lower() not in SUFFIXES or path.suffix.lower() in _WAVS:
        return _of_wav(path, data)  # which says what is wrong with files of other formats
    return _of_file(path, data)


def listed(place: Path) -> list[Path]:
    """List the recordings directly in a folder, sorted; hidden files are passed over.

    Raises:
        RecordingError: ``place`` is no folder.
    """
    return sorted(path for path in _folder(place).iterdir() if _is_wanted(path))


def below(place: Path) -> list[Path]:
    """List the recordings in a folder and its sub-folders, sorted.

    Raises:
        RecordingError: ``place`` is no folder, or holds no recordings; the message says what it holds.
    """
    files = sorted(path for path in _folder(place).rglob("*") if _is_wanted(path))
    if not files:
        raise RecordingError(f"{place}: no recording in it or in its sub-folders; {contents(place)}")
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
    return is_recording(path) and not path.name.startswith(".") and path.is_file()


def _folder(place: Path) -> Path:
    if not place.is_dir():
        found = "is a file" if place.exists() else "no such folder"
        raise RecordingError(f"{place}: {found}; expected a folder of recordings ({READABLE})")
    return place


def _of_array(source: tuple, data) -> Recording:
    try:
        samples, rate = source
        samples, rate = np.asarray(samples), int(rate)
    except (TypeError, ValueError):
        raise RecordingError("a tuple that is no recording; expected (samples, sampling rate in Hz)") from None
    name = f"array {samples.shape} at {rate} Hz"
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu" or not samples.size or rate <= 0:
        raise RecordingError(
            f"{name} of {samples.dtype}: expected numbers, (samples,) or (samples, channels), and a rate above 0"
        )
    if samples.dtype.kind == "u":
        raise RecordingError(f"{name} of {samples.dtype}: expected signed integers, or floating-point numbers")
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
        raise RecordingError(f"{name}: more channels than samples; expected (samples, channels); transpose it")
    scale = 1.0 if samples.dtype.kind == "f" else -float(np.iinfo(samples.dtype).min)
    samples = samples.reshape(len(samples), -1)
    _check_channels(name, samples.shape[1], data)
    return Recording(
        name, rate, len(samples), lambda start, count: _mono(name, samples[start : start + count] / scale, data)
    )


def _of_wav(path: Path, data) -> Recording:
    """Open a wav file through :mod:`asdlib.data.wav`, which compares the promised with the actual length."""
    try:
        rate, subtype = (about := soundfile.info(os.fsencode(path))).samplerate, about.subtype
    except (soundfile.LibsndfileError, RuntimeError, OSError):
        rate, subtype = data.sample_rate, ""  # reading says why
    native = data.model_copy(update={"sample_rate": rate})
    frames = wav.probe(path, native)

    def read(start: int, count: int) -> np.ndarray:
        if subtype == "PCM_16":
            return wav.read(path, native, start, count) / wav.FULL_SCALE
        return _decoded(path, start, count, data)  # int16 would lose what is quiet

    return Recording(str(path), rate, frames, read)


def _of_file(path: Path, data) -> Recording:
    with _opened(path) as sound:
        rate, frames, channels = sound.samplerate, sound.frames, sound.channels
        if not 0 < frames < 2**40:  # a stream that does not say how long it is
            frames = sum(len(block) for block in sound.blocks(_BLOCK))
    if not frames:
        raise RecordingError(f"{path}: holds no samples; expected at least one; record it again or remove it")
    _check_channels(str(path), channels, data)
    return Recording(str(path), rate, frames, functools.partial(_decoded, path, data=data))


def _decoded(path: Path, start: int, count: int, data) -> np.ndarray:
    with _opened(path) as sound:
        if start:
            sound.seek(start)
        samples = sound.read(count, "float64", always_2d=True)
    if len(samples) != count:
        raise RecordingError(
            f"{path}: {len(samples)} of {count} samples could be read from {start / sound.samplerate:.2f} s on; it is "
            "incomplete or damaged; copy it again or remove it"
        )
    return _mono(str(path), samples, data)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    if not path.is_file():
        raise RecordingError(f"{path}: cannot be opened (no such file); expected a recording ({READABLE})")
    if not path.stat().st_size:
        raise RecordingError(f"{path}: the file is empty (0 bytes); copy or record it again")
    try:
        with soundfile.SoundFile(os.fsencode(path)) as sound:  # names on disk may be no text
            yield sound
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        reason = getattr(error, "error_string", None) or error
        raise RecordingError(
            f"{path}: cannot be decoded ({reason}); expected {READABLE}; copy it again, convert or remove it"
        ) from None


def _check_channels(name: str, channels: int, data) -> None:
    if channels != 1 and data.channels == "refuse":
        raise RecordingError(
            f"{name}: {channels} channels; expected 1; set data.channels to first or mean, or give mono recordings"
        )


def _mono(name: str, samples: np.ndarray, data) -> np.ndarray:
    wave = samples.mean(axis=1) if data.channels == "mean" and samples.shape[1] > 1 else samples[:, 0]
    bad = int(np.count_nonzero(~np.isfinite(wave)))
    if bad:
        raise RecordingError(
            f"{name}: {bad} sample(s) are NaN or infinite; expected finite ones; export or record it again"
        )
    return wave
