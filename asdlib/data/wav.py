"""Read and write the clips of a data set.

Another sampling rate is refused, since resampling would change what is compared; several channels are refused unless
``data.channels`` says what to do with them. Samples are those of :class:`asdlib.data.recording.Recording`.
"""

from pathlib import Path

import numpy as np
import soundfile

from asdlib.data.recording import Recording
from asdlib.errors import DataError
from asdlib.units import FULL_SCALE


def open_clip(path: str | Path, data) -> Recording:
    """Open a clip and validate it by its header.

    Args:
        path: The file.
        data: Settings (:class:`asdlib.params.data.Data`): ``sample_rate`` and ``channels`` count here.

    Raises:
        DataError: The clip cannot be used (:class:`~asdlib.data.recording.Recording`), or has another rate or too many
            channels.
    """
    recording = Recording(path, data.channels)
    if recording.sample_rate != data.sample_rate:
        recording.close()
        raise DataError(
            f"{path}: sampled at {recording.sample_rate} Hz; expected {data.sample_rate}; resample it or set "
            "data.sample_rate"
        )
    return recording


def probe(path: str | Path, data) -> int:
    """Validate a clip by its header alone, and return its length in samples; arguments as in :func:`open_clip`."""
    with open_clip(path, data) as recording:
        return recording.frames


def read(path: str | Path, data) -> np.ndarray:
    """Read a clip in units of 1/32768, shape ``(samples,)``: int16 if that holds it exactly, else float32.

    Args:
        path: The file.
        data: Settings (:class:`asdlib.params.data.Data`).

    Raises:
        DataError: The clip is invalid (see :func:`open_clip`), or has samples that are NaN or beyond full scale.
    """
    with open_clip(path, data) as recording:
        return recording.read()


def write(path: str | Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write what :func:`read` returns without loss: int16 as 16-bit samples, float32 as float samples.

    Args:
        path: The WAV file to write.
        samples: Samples in units of 1/32768, shape ``(samples,)``.
        sample_rate: Sampling rate in Hz.
    """
    if samples.dtype == np.int16:
        soundfile.write(path, samples, sample_rate, subtype="PCM_16")
    else:
        soundfile.write(path, samples / np.float32(FULL_SCALE), sample_rate, subtype="FLOAT")
