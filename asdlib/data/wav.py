"""Validate the recordings of a data set and read and write them.

Another sampling rate is refused, since resampling would change what is compared; several channels are refused unless
``data.channels`` says what to do with them. Samples come as :class:`asdlib.data.recording.Recording` gives them.
"""

import struct
from pathlib import Path

import numpy as np
import soundfile

from asdlib.data.recording import Recording
from asdlib.errors import DataError
from asdlib.units import FULL_SCALE

__all__ = ["DataError", "opened", "probe", "read", "write"]

_HEADER = struct.Struct("<4sI8sIHHIIHH4sI")  # lengths, format, channels, rate, bytes a second and a sample, bits


def probe(path: str | Path, data) -> int:
    """Validate a clip by its header alone and return its length in samples.

    Args:
        path: The file.
        data: Settings (:class:`asdlib.params.data.Data`): ``sample_rate`` and ``channels`` count here.

    Raises:
        DataError: It cannot be used (:class:`~asdlib.data.recording.Recording`), or has another rate or too many
            channels.
    """
    with opened(path, data) as recording:
        return recording.frames


def opened(path: str | Path, data) -> Recording:
    """Open a clip and refuse another rate and too many channels; arguments and errors as in :func:`probe`."""
    recording = Recording(path)
    problem = None
    if recording.sample_rate != data.sample_rate:
        problem = (
            f"sampled at {recording.sample_rate} Hz; expected {data.sample_rate}; resample it or set data.sample_rate"
        )
    elif recording.channels != 1 and data.channels == "refuse":
        problem = f"{recording.channels} channels; expected 1; set data.channels to first or mean, or give mono files"
    if problem:
        recording.close()
        raise DataError(f"{path}: {problem}")
    return recording


def read(path: str | Path, data, start: int = 0, samples: int | None = None) -> np.ndarray:
    """Read one clip in units of 1/32768, shape ``(samples,)``: int16 if that holds it exactly, else float32.

    Args:
        path: The file.
        data: Settings (:class:`asdlib.params.data.Data`).
        start: First sample to read.
        samples: How many; to the end by default.

    Raises:
        DataError: The clip is invalid (see :func:`probe`), or has samples that are NaN or beyond full scale.
    """
    return read_with_note(path, data, start, samples)[0]


def read_with_note(path: str | Path, data, start: int = 0, samples: int | None = None) -> tuple[np.ndarray, str]:
    """Read a clip like :func:`read`, with a note on any error in its header although all samples are there."""
    if start == 0 and samples is None and (usual := _usual(path, data.sample_rate)) is not None:
        return usual, ""
    with opened(path, data) as recording:
        return recording.read(start, samples, mean=data.channels == "mean"), recording.note


def write(path: str | Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write what :func:`read` gives, without loss: int16 as 16 bits, float32 as float.

    Args:
        path: The wav file to write.
        samples: In units of 1/32768, shape ``(samples,)``.
        sample_rate: In Hz.
    """
    if samples.dtype == np.int16:
        soundfile.write(path, samples, sample_rate, subtype="PCM_16")
    else:
        soundfile.write(path, samples / np.float32(FULL_SCALE), sample_rate, subtype="FLOAT")


def _usual(path: str | Path, rate: int) -> np.ndarray | None:
    """Read a 16-bit mono file with the usual 44-byte header, if all of the header is as expected.

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
