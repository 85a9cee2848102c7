"""Clips in: each validated, then all clips of a machine type decoded once into one int16 array on disk.

int16 is what the recordings are; the waveform in -1 to 1 is ``int16 / 32768``. Wider and narrower samples are rounded
to it. Clips may differ in length. Another sampling rate is refused, since resampling would change what is compared;
several channels are refused unless ``data.channels`` says what to do with them.
"""

import contextlib
import io
import json
import mmap
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import xxhash

from asdlib import AsdError, artefacts
from asdlib.data import DECODED
from asdlib.data.catalogue import DataError, listed
from asdlib.data.doubts import Doubts, Summary

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


def check_headers(clips: pd.DataFrame, root: Path, data) -> list[str]:
    """Problems that the headers of clips show, a sentence each."""
    problems = []
    for path in clips["path"]:
        try:
            probe(Path(root) / path, data)
        except ClipError as error:
            problems.append(str(error))
    return problems


def check(clips: pd.DataFrame, root: Path, data) -> tuple[list[str], list[str]]:
    """Read every sample of clips; problems, and what is doubtful (:mod:`asdlib.data.doubts`), a sentence each."""
    problems, doubts = [], Doubts(data.sample_rate)
    for path, split, label in zip(clips["path"], clips["split"], clips["label"], strict=True):
        try:
            doubts.hear(path, split, label, Summary.of(read(Path(root) / path, data)))
        except ClipError as error:
            problems.append(str(error))
    return problems, doubts.sentences()


def decode(clips: pd.DataFrame, root: Path, folder: Path, data) -> bool:
    """Decode the clips of one machine type into ``folder``; False if that was done before and nothing has changed.

    Writes ``waveforms.npy`` (int16, all clips one after the other), ``clips.csv`` (the catalogue with ``start`` and
    ``samples``) and ``record.json``, whole or not at all. One clip is in memory at a time. ``data_fingerprint`` in the
    record is a hash (XXH3) of names and samples and so does not depend on when or where the files were written.

    Args:
        clips: Catalogue rows of one machine type.
        root: The data root that ``clips.path`` counts from.
        folder: Where to write, :meth:`asdlib.paths.Run.data` of the machine.
        data: Settings (:class:`asdlib.params.Data`).

    Raises:
        DataError: Clips cannot be used; at most 20 problems are listed, and all are counted.
    """
    state = _state(clips, root, data)
    if _recorded(folder).get("files_state") == state:
        return False
    began = time.monotonic()
    problems, lengths = [], []
    digest, doubts = xxhash.xxh3_128(), Doubts(data.sample_rate)
    with artefacts.writing(folder, folder=True) as temporary:
        with open(temporary / "waveforms.npy", "wb") as stream:
            _write_header(stream, 0)
            for clip in clips.itertuples():
                try:
                    waveform = np.asarray(read(os.path.join(root, clip.path), data), "<i2")
                except ClipError as error:
                    problems.append(str(error))
                    continue
                summary = Summary.of(waveform)
                stream.write(waveform)
                lengths.append(summary.length)
                doubts.hear(clip.path, clip.split, clip.label, summary)
                digest.update(clip.clip.encode() + b"\0" + summary.digest)
            refuse(problems)
            stream.seek(0)
            _write_header(stream, sum(lengths))
        table = clips.assign(start=np.cumsum([0, *lengths[:-1]]), samples=lengths)
        table.to_csv(temporary / "clips.csv", index=False, lineterminator="\n")
        record = artefacts.record(
            {"sample_rate": data.sample_rate, "channels": data.channels},
            seed=0,
            device="processor",
            data=digest.hexdigest()[:12],
            seconds=time.monotonic() - began,
            files_state=state,
            warnings=doubts.sentences(),
        )
        artefacts.write_json(record, temporary / "record.json")
    return True


def warnings(folder: Path) -> list[str]:
    """What was doubtful about the clips that :func:`decode` wrote to ``folder``, a sentence each."""
    return _recorded(folder)["warnings"]


def refuse(problems: list[str]) -> None:
    """Raise :class:`DataError` if there are problems."""
    if problems:
        raise DataError(listed("clips that cannot be used", problems))


@dataclass(frozen=True)
class Waveforms:
    """The decoded clips of a machine type, memory-mapped; row i of ``clips`` is clip i."""

    clips: pd.DataFrame
    """catalogue with ``start`` and ``samples``"""
    samples: np.ndarray
    """all clips one after the other, int16, on disk"""
    fingerprint: str
    """of names and samples"""

    @classmethod
    def open(cls, folder: Path) -> "Waveforms":
        """Open what :func:`decode` wrote; :class:`DataError` if it is not there."""
        folder = Path(folder)
        fingerprint = _recorded(folder).get("data_fingerprint")
        if fingerprint is None:
            raise DataError(f"{folder}: no decoded clips; run notebook 01_data, or make reproduce")
        text = {column: str for column in ("machine", "section", "domain", "split", "label", "clip", "attributes")}
        clips = pd.read_csv(folder / "clips.csv", keep_default_na=False, dtype=text)
        try:
            samples = np.lib.format.open_memmap(folder / "waveforms.npy", mode="r")  # opens arrays of numbers only
        except ValueError as error:
            raise DataError(
                f"{folder / 'waveforms.npy'}: is no array of samples ({error}); delete the folder"
            ) from None
        return cls(clips, samples, fingerprint)

    def __len__(self) -> int:
        return len(self.clips)

    def read(self, row: int, start: int = 0, samples: int | None = None) -> np.ndarray:
        """Samples ``start`` to ``start + samples`` (default: to the end) of clip ``row``: an int16 array of its own."""
        first, length = int(self.clips["start"].iat[row]), int(self.clips["samples"].iat[row])
        samples = length - start if samples is None else samples
        if start < 0 or samples < 0 or start + samples > length:
            raise ValueError(f"samples {start} to {start + samples} of clip {row} asked for, which has {length}")
        return np.array(self.samples[first + start : first + start + samples])

    def release(self) -> None:
        """Let go of the mapped pages that were read: memory stays flat however many clips follow, and none is lost."""
        mapped = self.samples.base
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def _write_header(stream: io.BufferedIOBase, samples: int) -> None:
    """The header of an int16 array in numpy's format, which leaves room for any length: it can be written again."""
    np.lib.format.write_array_header_1_0(stream, {"descr": "<i2", "fortran_order": False, "shape": (samples,)})


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


def _recorded(folder: Path) -> dict:
    """The record beside decoded clips; empty unless all that :func:`decode` writes is there."""
    whole = all((Path(folder) / name).is_file() for name in DECODED)
    return json.loads((Path(folder) / "record.json").read_text(encoding="utf-8")) if whole else {}


def _state(clips: pd.DataFrame, root: Path, data) -> str:
    """Names, sizes and times of the files, to tell cheaply whether they have changed."""
    stats = [os.stat(os.path.join(root, path)) for path in clips["path"]]
    files = [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in zip(clips["path"], stats, strict=True)]
    rows = clips.astype(str).to_numpy().tolist()
    return artefacts.fingerprint([str(Path(root).resolve()), data.sample_rate, data.channels, files, rows])
