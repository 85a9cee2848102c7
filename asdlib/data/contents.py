"""Access the samples of a recording: of an uncompressed file, a compressed file, or an array.

Each class has the attributes ``container``, ``subtype``, ``sample_rate``, ``channels``, ``frames`` and ``note`` of
:class:`asdlib.data.recording.Recording`, a method ``decode``, and ``close``.
"""

import io
import os
import stat
from pathlib import Path

import numpy as np
import soundfile

from asdlib.data import compressed, mpeg
from asdlib.data.chunks import READABLE, Samples, tags_before
from asdlib.data.containers import find_samples
from asdlib.errors import DataError

_COMPRESSED = {
    "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
    "OGG": ("VORBIS", "OPUS"),
    "MP3": ("MPEG_LAYER_III", "MPEG_LAYER_II", "MPEG_LAYER_I"),
    "MPEG": ("MPEG_LAYER_III", "MPEG_LAYER_II", "MPEG_LAYER_I"),
}


def open_file(path: Path | str) -> "Uncompressed | Compressed":
    """Open an audio file and examine its header."""
    stream = content = None
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a pipe would wait for whoever writes to it
            raise ValueError(f"a pipe or device, not a file; expected {READABLE}; write it to a file first")
        stream = open(path, "rb", buffering=0)
        size = os.fstat(stream.fileno()).st_size
        if not size:
            raise ValueError(f"the file is empty (0 bytes); expected {READABLE}; copy or record it again")
        samples = find_samples(stream, size)
        content = Uncompressed(path, stream, samples) if samples else Compressed(path, stream)
        if content.frames == 0:
            raise ValueError("holds no samples; expected at least one; record it again or remove it")
        return content
    except BaseException as error:
        for opened in (stream, content):
            if opened is not None:
                opened.close()
        if stream is None and isinstance(error, OSError):
            raise _cannot_be_opened(path, error) from None
        if isinstance(error, ValueError | OSError):
            reason = error.strerror.lower() if isinstance(error, OSError) else error
            raise DataError(f"{path}: {reason}") from None
        raise


def _cannot_be_opened(path: Path | str, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be opened ({error.strerror.lower()}); expected {READABLE}")


class Uncompressed:
    """Samples at a known position of a file."""

    def __init__(self, path: Path | str, stream: io.RawIOBase, samples: Samples):
        self.path, self._stream, self._samples, self._encoding = path, stream, samples, samples.encoding
        self.container, self.frames, self.note = samples.container, samples.frames, samples.note
        self.subtype, self.sample_rate = self._encoding.subtype, self._encoding.sample_rate
        self.channels = self._encoding.channels

    def decode(self, start: int, frames: int, kind: str) -> np.ndarray:
        """Return samples of the type ``kind``, shape ``(frames, channels)``."""
        if self._stream.closed:
            try:
                self._stream = open(self.path, "rb", buffering=0)
            except OSError as error:
                raise _cannot_be_opened(self.path, error) from None
        self._stream.seek(self._samples.start + start * self._encoding.width)
        content, wanted = bytearray(), frames * self._encoding.width
        while len(content) < wanted and (block := self._stream.read(wanted - len(content))):
            content += block
        if self.subtype == "PCM_16":  # most files, a third of the time that libsndfile takes
            kind = "<i2" if self._encoding.endian == "LITTLE" else ">i2"
            count = len(content) // self._encoding.width * self.channels
            return np.frombuffer(content, kind, count).astype(np.int16, copy=False).reshape(-1, self.channels)
        samples, _ = soundfile.read(
            io.BytesIO(content),
            dtype=kind,
            always_2d=True,
            samplerate=self.sample_rate,
            channels=self.channels,
            format="RAW",
            subtype=self.subtype,
            endian=self._encoding.endian,
        )
        return samples

    def close(self) -> None:
        """Close the file; :meth:`decode` opens it again."""
        self._stream.close()


class Compressed:
    """A compressed file, which is held in memory; it is not mapped, since a file that shrinks would end the process."""

    def __init__(self, path: Path | str, stream: io.RawIOBase):
        with stream:
            stream.seek(0)
            content = bytearray(stream.readall())
        del content[: tags_before(lambda place: content[place : place + 10])]  # libsndfile reads some of them only
        self.path, self._sound, self.note = path, None, ""
        self._sound = _sound(content)
        self.container, self.subtype = self._sound.format, self._sound.subtype
        if self.subtype not in _COMPRESSED.get(self.container, ()):
            raise ValueError(
                f"holds {self.container} with {self.subtype} samples; expected {READABLE}, wav as PCM or float; "
                "convert it"
            )
        if self.container == "FLAC":
            frames, place, self.note = compressed.flac(content)
            if self.note:  # libsndfile believes the header
                content[place : place + 5] = (content[place] & 0xF0 | frames >> 32).to_bytes(1) + (
                    frames & 0xFFFFFFFF
                ).to_bytes(4)
                self._sound.close()
                self._sound = _sound(content)
        elif self.container == "OGG":
            compressed.ogg(content)
        elif mpeg.state_length(content):
            self._sound.close()
            self._sound = _sound(content)
        self.sample_rate, self.channels = self._sound.samplerate, self._sound.channels
        self.frames = self._sound.frames

    def decode(self, start: int, frames: int, kind: str) -> np.ndarray:
        """Return samples of the type ``kind``, shape ``(frames, channels)``."""
        if self._sound.closed:
            self._sound = open_file(self.path)._sound
        self._sound.seek(start)
        return self._sound.read(frames, kind, always_2d=True)

    def close(self) -> None:
        """Release the file; :meth:`decode` opens it again."""
        if self._sound is not None:
            self._sound.close()


def _sound(content: bytearray) -> soundfile.SoundFile:
    """Open the contents of a file with libsndfile."""
    try:
        return soundfile.SoundFile(io.BytesIO(content))
    except (soundfile.LibsndfileError, RuntimeError) as error:
        reason = getattr(error, "error_string", error)
        raise ValueError(f"not readable as audio ({reason}); expected {READABLE}; convert or remove it") from None


class Array:
    """Samples in memory."""

    container, subtype, note = "array", "array", ""

    def __init__(self, samples: np.ndarray, rate: int):
        try:
            if int(rate) != float(rate):
                raise ValueError
            samples, rate = np.asarray(samples), int(rate)
        except (TypeError, ValueError, OverflowError):
            raise DataError("found a tuple that is not a recording; expected (samples, sampling rate in Hz)") from None
        self.name = f"array {samples.shape} at {rate} Hz"
        kind = samples.dtype.kind
        if samples.ndim not in (1, 2) or kind not in "fiu" or not samples.size or rate <= 0:
            raise DataError(
                f"{self.name} of {samples.dtype}: expected numbers, (samples,) or (samples, channels), and a rate "
                "above 0"
            )
        if kind == "u":
            raise DataError(f"{self.name} of {samples.dtype}: expected signed integers or floating-point numbers")
        if samples.dtype.itemsize == 8 and kind == "i":  # numpy's default, so it says nothing about full scale
            raise DataError(
                f"{self.name} of {samples.dtype}: expected int16, int32, or floating-point numbers with full scale 1; "
                "convert it, for example by .astype(np.int16) if its samples have 16 bits"
            )
        if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
            raise DataError(
                f"{self.name}: more channels than samples; expected (samples, channels); transpose the array"
            )
        self._scale = 1.0 if kind == "f" else -float(np.iinfo(samples.dtype).min)
        self._samples, self.sample_rate = samples.reshape(len(samples), -1), rate
        self.frames, self.channels = self._samples.shape

    def decode(self, start: int, frames: int, kind: str) -> np.ndarray:
        """Return floating-point samples with full scale 1, shape ``(frames, channels)``."""
        return self._samples[start : start + frames] / self._scale

    def close(self) -> None:
        """Do nothing: there is no file."""
