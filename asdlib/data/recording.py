"""Open a recording: the one place where audio files are read.

Samples are in units of 1/32768, so ``samples / FULL_SCALE`` is the waveform in -1 to 1. What 16 bits hold exactly comes
as int16; everything else as float32 in the same units, since rounding would take the faults from quiet recordings.
"""

import io
import os
from pathlib import Path

import numpy as np
import soundfile

from asdlib.data import containers
from asdlib.errors import DataError
from asdlib.units import FULL_SCALE

"""value of amplitude 1"""
LOUDEST = 2.0
"""largest amplitude of float samples: filters overshoot 1 a little; more is another scale"""

SUFFIXES = (".wav", ".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".flac", ".ogg", ".oga", ".opus", ".mp3")
"""endings of audio files, in small letters"""
_COMPRESSED = {
    "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
    "OGG": ("VORBIS", "OPUS"),
    "MP3": ("MPEG_LAYER_III", "MPEG_LAYER_II", "MPEG_LAYER_I"),
    "MPEG": ("MPEG_LAYER_III", "MPEG_LAYER_II", "MPEG_LAYER_I"),
}
_EXACT = ("PCM_S8", "PCM_U8", "PCM_16")  # subtypes that int16 holds


def is_recording(path: Path) -> bool:
    """Whether a name is that of a finished audio file: no hidden, temporary or partly written one.

    >>> [is_recording(Path(name)) for name in ("a.wav", "b.FLAC", "._a.wav", "a.wav.part", "~a.wav", "notes.txt")]
    [True, True, False, False, False, False]
    """
    return path.suffix.lower() in SUFFIXES and not path.name.startswith((".", "~"))


class Recording:
    """One open audio file; its header is examined once.

    Args:
        path: The file, in any container of :mod:`asdlib.data.containers`.

    Attributes:
        path: The file.
        container: For example ``RIFF`` or ``FLAC``.
        subtype: How samples are written, as libsndfile calls it.
        sample_rate: In Hz.
        channels: How many.
        frames: Length in samples per channel, as many as the file really holds.
        note: What is wrong with the header although all samples are there, a sentence; else empty.

    Raises:
        DataError: The file is missing, no audio, in a container or encoding that is not read, empty or truncated.
    """

    def __init__(self, path: Path | str):
        self.path = path
        try:
            self._stream = open(path, "rb", buffering=0)
        except OSError as error:
            raise DataError(f"{path}: cannot be opened ({error.strerror.lower()}); expected a wav file") from None
        try:
            size = os.fstat(self._stream.fileno()).st_size
            if not size:
                raise ValueError("the file is empty (0 bytes); expected a wav file; copy or record it again")
            self._sound = None
            self._samples = containers.uncompressed(self._stream, size)
            if self._samples is None:
                self._open_compressed()
            else:
                encoding = self._samples.encoding
                self.container, self.subtype = self._samples.container, encoding.subtype
                self.sample_rate, self.channels = encoding.sample_rate, encoding.channels
                self.frames, self.note = self._samples.frames, self._samples.note
            if self.frames == 0:
                raise ValueError("holds no samples; expected at least one; record it again or remove it")
        except (ValueError, OSError) as error:
            self.close()
            reason = error.strerror.lower() if isinstance(error, OSError) else error
            raise DataError(f"{path}: {reason}") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if getattr(self, "_sound", None) is not None:
            self._sound.close()
        self._stream.close()

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    def read(self, start: int = 0, frames: int | None = None, mean: bool = False) -> np.ndarray:
        """Read samples in units of 1/32768, shape ``(frames,)``: int16 if that holds them exactly, else float32.

        Args:
            start: First sample.
            frames: How many; to the end by default.
            mean: True for the mean of all channels, False for the first.

        Raises:
            DataError: Samples cannot be decoded, are fewer than promised, NaN, or beyond full scale.
        """
        frames = self.frames - start if frames is None else frames
        exact = self.subtype in _EXACT
        kind = "int16" if exact else "float64" if self.subtype in ("PCM_32", "DOUBLE") else "float32"
        try:
            samples = self._decode(start, frames, kind)
        except (soundfile.LibsndfileError, RuntimeError, MemoryError) as error:
            raise DataError(f"{self.path}: cannot be decoded ({error}); copy it again or remove it") from None
        if len(samples) != frames:
            raise DataError(
                f"{self.path}: {len(samples)} samples could be read, the header promises {frames}; {containers.REPAIR}"
            )
        if not mean or self.channels == 1:
            samples = np.ascontiguousarray(samples[:, 0])
        else:
            samples, exact = samples.mean(axis=1, dtype=np.float64) / (FULL_SCALE if exact else 1), False
        if exact:
            return samples
        bad = int(np.count_nonzero(~np.isfinite(samples)))
        if bad:
            raise DataError(
                f"{self.path}: {bad} sample(s) are NaN or infinite; expected finite ones; export or record it again"
            )
        peak = float(np.abs(samples).max(initial=0))
        if peak > LOUDEST and self.subtype in ("FLOAT", "DOUBLE"):
            raise DataError(
                f"{self.path}: samples reach {peak:.4g}; expected -1 to 1; scale all clips of the machine by one "
                "common factor"
            )
        return narrowed(np.multiply(samples, FULL_SCALE, dtype=samples.dtype).astype(np.float32))

    def _decode(self, start: int, frames: int, kind: str) -> np.ndarray:
        """Samples as libsndfile gives them, shape ``(frames, channels)``."""
        if self._sound is not None:
            self._sound.seek(start)
            return self._sound.read(frames, kind, always_2d=True)
        encoding = self._samples.encoding
        self._stream.seek(self._samples.start + start * encoding.width)
        content, wanted = bytearray(), frames * encoding.width
        while len(content) < wanted and (block := self._stream.read(wanted - len(content))):
            content += block
        samples, _ = soundfile.read(
            io.BytesIO(content),
            dtype=kind,
            always_2d=True,
            samplerate=encoding.sample_rate,
            channels=encoding.channels,
            format="RAW",
            subtype=encoding.subtype,
            endian=encoding.endian,
        )
        return samples

    def _open_compressed(self) -> None:
        self._stream.seek(0)
        content = bytearray(self._stream.readall())  # not mapped: a file that shrinks would end the process
        try:
            sound = soundfile.SoundFile(io.BytesIO(content))
        except (soundfile.LibsndfileError, RuntimeError) as error:
            reason = getattr(error, "error_string", error)
            raise ValueError(f"not readable as audio ({reason}); expected a wav file; convert or remove it") from None
        self._sound, self.container, self.subtype, self.note = sound, sound.format, sound.subtype, ""
        if self.subtype not in _COMPRESSED.get(self.container, ()):
            raise ValueError(
                f"holds {self.container} with {self.subtype} samples; expected WAV, PCM or float; convert it"
            )
        if self.container == "FLAC":
            frames, place, self.note = containers.flac(content)
            if self.note:  # libsndfile believes the header
                content[place : place + 5] = (content[place] & 0xF0 | frames >> 32).to_bytes(1) + (
                    frames & 0xFFFFFFFF
                ).to_bytes(4)
                sound.close()
                self._sound = sound = soundfile.SoundFile(io.BytesIO(content))
        elif self.container == "OGG":
            containers.ogg(content)
        else:
            containers.mp3(content)
        self.sample_rate, self.channels, self.frames = sound.samplerate, sound.channels, sound.frames


def narrowed(samples: np.ndarray) -> np.ndarray:
    """Float samples as int16 if that holds them exactly, as it does for 16 bits in a wider file; else as they are."""
    low, high = samples.min(initial=0), samples.max(initial=0)
    if low < -FULL_SCALE or high >= FULL_SCALE:
        return samples
    whole = samples.astype(np.int16)
    return whole if np.array_equal(whole, samples) else samples
