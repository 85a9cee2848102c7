"""Open a recording: the one place where audio files are opened and read.

Samples are in units of 1/32768, so ``samples / FULL_SCALE`` is the waveform in -1 to 1. What 16 bits hold exactly comes
as int16; everything else as float, since rounding would remove the faults from quiet recordings.
"""

import re
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from asdlib.data.chunks import REPAIR
from asdlib.data.contents import Array, open_file
from asdlib.errors import DataError
from asdlib.units import FULL_SCALE

LOUDEST = 2.0
"""largest amplitude of float samples: filters overshoot 1 a little; more means another scale"""
SUFFIXES = (".wav", ".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".flac", ".ogg", ".oga", ".opus", ".mp3")
"""endings of audio files, in lower case"""
_IGNORED = re.compile(
    r"[.~].+|@eadir|#recycle|\$recycle\.bin|system volume information|lost\+found|trash|__macosx", re.IGNORECASE
)
_EXACT = ("PCM_S8", "PCM_U8", "PCM_16")  # subtypes that int16 holds


def is_ignored(name: str) -> bool:
    """Tell whether a file or folder is hidden, temporary, or made by an operating system or a file server.

    >>> [is_ignored(name) for name in (".Trash-1000", "@eaDir", "~", "#1", "line1")]
    [True, True, False, False, False]
    """
    return _IGNORED.fullmatch(name) is not None


def is_recording(path: Path) -> bool:
    """Tell whether a name is that of a finished audio file, neither hidden nor temporary nor partly written.

    >>> [is_recording(Path(name)) for name in ("a.wav", "b.FLAC", "._a.wav", "a.wav.part", "~a.wav", "notes.txt")]
    [True, True, False, False, False, False]
    """
    return path.suffix.lower() in SUFFIXES and not is_ignored(path.name)


class Recording:
    """A recording: an audio file, whose header is examined once, or samples in memory. Any part of it can be read.

    A file stays open until :meth:`close`; reading after that opens it again.

    Args:
        source: Path of a file (:mod:`asdlib.data.containers`, :mod:`asdlib.data.compressed`); or samples and sampling
            rate in Hz. Such samples have shape ``(samples,)`` or ``(samples, channels)`` and are floating-point with
            full scale 1, or signed integers of at most 32 bits.
        channels: What to do with several channels: refuse them, read the first, or read their mean.

    Attributes:
        name: Path or description of the recording, for messages.
        container: For example ``RIFF``, ``FLAC`` or ``array``.
        subtype: How samples are written, as libsndfile calls it.
        sample_rate: Sampling rate in Hz.
        channels: Number of channels.
        frames: Length in samples per channel, as many as the file really holds.
        note: What is wrong with the header although all samples are there; else empty.

    Raises:
        DataError: The file is missing, not audio, in a container or encoding that is not supported, empty or truncated;
            or it has several channels, which ``channels`` refuses.
    """

    def __init__(
        self, source: Path | str | tuple[np.ndarray, int], channels: Literal["refuse", "first", "mean"] = "refuse"
    ):
        self._mean, self._content = channels == "mean", None
        if isinstance(source, tuple):
            self._content = Array(*source) if len(source) == 2 else Array(source, None)
            self.name = self._content.name
        else:
            self.name = str(source)
            self._content = open_file(source)
        for name in ("container", "subtype", "sample_rate", "channels", "frames", "note"):
            setattr(self, name, getattr(self._content, name))
        if self.channels != 1 and channels == "refuse":
            self.close()
            raise DataError(
                f"{self.name}: {self.channels} channels; expected 1; convert it (ffmpeg -i OLD -ac 1 NEW.wav), or set "
                "data.channels to first or mean (--set data.channels=mean of fit and of reproduce)"
            )

    @property
    def advice_on_silence(self) -> str:
        """What to do if the recording is silent, which depends on how its channels are read."""
        if self.channels == 1:
            return "check the microphone"
        if self._mean:
            return (
                f"check whether its {self.channels} channels cancel (data.channels=first reads one), or the microphone"
            )
        return (
            f"only the first of its {self.channels} channels is read: check whether another has the sound "
            "(data.channels=mean), or the microphone"
        )

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __del__(self):
        if getattr(self, "_content", None) is not None:
            self.close()

    def close(self) -> None:
        """Close the file."""
        self._content.close()

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    def read(self, start: int = 0, frames: int | None = None) -> np.ndarray:
        """Read samples in units of 1/32768, shape ``(frames,)``: int16 if that holds them exactly, else float.

        Args:
            start: First sample.
            frames: Number of samples (default: up to the end).

        Raises:
            DataError: Samples cannot be decoded, are fewer than promised, NaN, or beyond full scale.
        """
        frames = self.frames - start if frames is None else frames
        exact = self.subtype in _EXACT
        kind = "int16" if exact else "float64" if self.subtype in ("PCM_32", "DOUBLE") else "float32"
        try:
            samples = self._content.decode(start, frames, kind)
        except (soundfile.LibsndfileError, RuntimeError, MemoryError) as error:
            raise DataError(f"{self.name}: cannot be decoded ({error}); copy it again or remove it") from None
        if len(samples) != frames:
            raise DataError(
                f"{self.name}: {len(samples)} samples could be read, the header promises {frames}; {REPAIR}"
            )
        if not self._mean or self.channels == 1:
            samples = np.ascontiguousarray(samples[:, 0])
        else:
            samples, exact = samples.mean(axis=1, dtype=np.float64) / (FULL_SCALE if exact else 1), False
        return samples if exact else self._scale(samples)

    def waveform(self, start: int = 0, frames: int | None = None) -> np.ndarray:
        """Read samples as float64 with full scale 1, shape ``(frames,)``; arguments and errors as in :meth:`read`."""
        return self.read(start, frames).astype(np.float64) / FULL_SCALE

    def _scale(self, samples: np.ndarray) -> np.ndarray:
        """Check float samples, and return them in units of 1/32768, as int16 if that holds them exactly."""
        bad = int(np.count_nonzero(~np.isfinite(samples)))
        if bad:
            raise DataError(
                f"{self.name}: {bad} sample(s) are NaN or infinite; expected finite ones; export or record it again"
            )
        peak = float(np.abs(samples).max(initial=0))
        if peak > LOUDEST and self.subtype in ("FLOAT", "DOUBLE", "array"):
            raise DataError(
                f"{self.name}: samples reach {peak:.4g}; expected -1 to 1; scale all clips of the machine by one "
                "common factor"
            )
        if self.container == "array":
            return samples * FULL_SCALE
        return _narrow(np.multiply(samples, FULL_SCALE, dtype=samples.dtype).astype(np.float32))


def _narrow(samples: np.ndarray) -> np.ndarray:
    """Return float samples as int16 if that holds them exactly, as it does for 16 bits in a wider file."""
    low, high = samples.min(initial=0), samples.max(initial=0)
    if low < -FULL_SCALE or high >= FULL_SCALE:
        return samples
    whole = samples.astype(np.int16)
    return whole if np.array_equal(whole, samples) else samples
