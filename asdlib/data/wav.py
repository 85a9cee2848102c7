"""The door for wav files: validated, and read as int16 samples.

int16 is what the recordings are; the waveform in -1 to 1 is ``int16 / 32768``. Wider and narrower samples are rounded
to it. Another sampling rate is refused, since resampling would change what is compared; several channels are refused
unless ``data.channels`` says what to do with them.
"""

import contextlib
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from asdlib import AsdError

FULL_SCALE = 32768
"""int16 value of amplitude 1"""

_HEADER = struct.Struct("<4sI8sIHHIIHH4sI")  # lengths, format, channels, rate, bytes a second and a sample, bits
_FORMATS = ("WAV", "WAVEX", "RF64")
_SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


class ClipError(AsdError):
    """A clip that cannot be used; the message names the file, what was found, what was expected, what to do."""


def probe(path: str | Path, data) -> int:
    """Validate a clip by its header alone and return its length in samples.

    Args:
        path: The wav file.
        data: Settings (:class:`asdlib.params.Data`): ``sample_rate`` and ``channels`` count here.

    Raises:
        ClipError: No wav file of PCM or float samples, truncated, empty, of another rate or of too many channels.
    """
    with _opened(path, data) as sound:
        return sound.frames


def read(path: str | Path, data, start: int = 0, samples: int | None = None) -> np.ndarray:
    """Read one clip as int16, shape ``(samples,)``; 16-bit mono comes through exactly, other widths are rounded.

    Args:
        path: The wav file.
        data: Settings (:class:`asdlib.params.Data`).
        start: First sample to read.
        samples: How many; to the end by default.

    Raises:
        ClipError: As :func:`probe`, and for samples that are NaN or beyond full scale.
    """
    if start == 0 and samples is None and (usual := _usual(path, data.sample_rate)) is not None:
        return usual
    with _opened(path, data) as sound:
        frames = sound.frames - start if samples is None else samples
        exact = sound.subtype == "PCM_16" and (sound.channels == 1 or data.channels == "first")
        kind = "int16" if exact else "float64"
        try:
            if start:
                sound.seek(start)
            waveform = np.empty((frames, sound.channels), kind)
            waveform = waveform[: sound.buffer_read_into(waveform, kind)]
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise ClipError(f"{path}: cannot be decoded ({error}); copy it again or remove it") from None
    if len(waveform) != frames:
        raise ClipError(f"{path}: {len(waveform)} samples could be read, the header promises {frames}; copy it again")
    mean = data.channels == "mean" and waveform.shape[1] > 1
    waveform = waveform.mean(axis=1) if mean else np.ascontiguousarray(waveform[:, 0])
    if exact:
        return waveform
    bad = int(np.count_nonzero(~np.isfinite(waveform)))
    if bad:
        raise ClipError(f"{path}: {bad} sample(s) are NaN or infinite; expected finite ones; export or record it again")
    peak = np.abs(waveform).max()
    if peak > 1:
        raise ClipError(
            f"{path}: samples reach {peak:.3g}; expected -1 to 1; scale all clips of the machine by one common factor"
        )
    return np.clip(np.rint(waveform * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _usual(path: str | Path, rate: int) -> np.ndarray | None:
    """The samples of a 16-bit mono file whose header is the usual one of 44 bytes, and all of it as expected.

    None for any other file: then libsndfile reads it, and says what is wrong. Most files are of this kind, and most of
    the time went into looking at them twice.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError:
        return None
    size = len(content)
    if not _HEADER.size < size < 2**32 or size % 2:
        return None
    about = (b"RIFF", size - 8, b"WAVEfmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", size - _HEADER.size)
    return content[_HEADER.size :].view("<i2") if content[: _HEADER.size].tobytes() == _HEADER.pack(*about) else None


@contextlib.contextmanager
def _opened(path: str | Path, data) -> Iterator[soundfile.SoundFile]:
    """The clip, opened once, its header as :func:`probe` wants it."""
    try:
        stream = open(path, "rb", buffering=0)  # unbuffered: libsndfile reads from the same descriptor
    except OSError as error:
        raise ClipError(f"{path}: cannot be opened ({error.strerror.lower()}); expected a wav file") from None
    with stream:
        promised, present = _data_bytes(stream)
        if not os.fstat(stream.fileno()).st_size:
            raise ClipError(f"{path}: the file is empty (0 bytes); expected a wav file; copy or record it again")
        stream.seek(0)
        try:
            sound = soundfile.SoundFile(stream.fileno(), closefd=False)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            reason = getattr(error, "error_string", error)
            raise ClipError(
                f"{path}: not readable as audio ({reason}); expected a wav file; convert or remove it"
            ) from None
        with sound:
            if sound.format not in _FORMATS or sound.subtype not in _SUBTYPES:
                raise ClipError(
                    f"{path}: holds {sound.format} with {sound.subtype} samples; expected WAV, PCM or float; convert it"
                )
            if present < promised:
                raise ClipError(
                    f"{path}: truncated: the header promises {promised} bytes of samples, the file holds {present}; "
                    "copy it again or remove it"
                )
            if sound.frames == 0:
                raise ClipError(f"{path}: holds no samples; expected at least one; record it again or remove it")
            if sound.samplerate != data.sample_rate:
                raise ClipError(
                    f"{path}: sampled at {sound.samplerate} Hz; expected {data.sample_rate}; resample it or set "
                    "data.sample_rate"
                )
            if sound.channels != 1 and data.channels == "refuse":
                raise ClipError(
                    f"{path}: {sound.channels} channels; expected 1; set data.channels to first or mean, or give mono "
                    "files"
                )
            yield sound


def _data_bytes(stream: io.RawIOBase) -> tuple[int, int]:
    """Bytes of samples that the header of a RIFF file promises, and that the file holds after it.

    libsndfile corrects a wrong promise silently, so a truncated recording would go unnoticed.
    """
    size = os.fstat(stream.fileno()).st_size
    if stream.read(12)[:4] != b"RIFF":  # RF64 keeps its lengths elsewhere
        return 0, 0
    while len(header := stream.read(8)) == 8:
        name, length = struct.unpack("<4sI", header)
        if name == b"data":
            unknown = length == 0xFFFFFFFF  # written to a pipe
            return (0, 0) if unknown else (length, size - stream.tell())
        stream.seek(length + length % 2, 1)
    return 0, 0
