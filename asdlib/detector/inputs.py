"""Accept recordings in the forms in which users of a detector have them: folders, files and arrays."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from asdlib.data.recording import Recording
from asdlib.detector import sources
from asdlib.errors import DetectorError


def list_recordings(X: str | Path | Sequence, sample_rate: int | None) -> list:
    """Return the recordings in ``X``, each as a path or a pair of samples and sampling rate."""
    if isinstance(X, str | os.PathLike):
        X = _path(X)
        if X.is_dir():
            return [path for files in sources.find(X, trust=True).sections.values() for path in files]
        return [X]
    if isinstance(X, tuple) and len(X) == 2 and np.ndim(X[1]) == 0 and np.ndim(X[0]) > 0:
        return [X]  # one pair
    result = []
    for source in [X] if isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "fiu" else X:
        if isinstance(source, str | os.PathLike | tuple):
            result.append(source if isinstance(source, tuple) else _path(source))
        elif sample_rate is None:
            raise DetectorError(
                "samples without a sampling rate; expected files, pairs (samples, rate), or sample_rate=..."
            )
        else:
            result.append((np.asarray(source), sample_rate))
    return result


def write_files(X: str | Path | Sequence, place: Path) -> Path | list[Path]:
    """Return ``X`` as files for :func:`asdlib.detector.sources.find`; arrays are written to ``place`` as WAV files."""
    if isinstance(X, str | os.PathLike):
        return _path(X)
    result = []
    for index, source in enumerate(list_recordings(X, None)):
        if isinstance(source, tuple):
            recording = Recording(source)
            path = place / f"array{index:05d}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, recording.waveform(), recording.sample_rate, subtype="FLOAT")
            os.utime(path, (0, 0))  # so that an interrupted call, repeated, finds the same files
            source = path
        result.append(Path(source))
    return result


def _path(given: str | os.PathLike) -> Path:
    """Return ``given`` as a path; empty text, which ``Path`` takes for the current folder, is an error."""
    if not os.fspath(given):
        raise DetectorError("empty path found; expected a file or folder; is a setting not filled in?")
    return Path(given)
