"""Check the clips of a machine type, decode them once into one array on disk, and read them from there.

Clips are read with :mod:`asdlib.data.wav`. The array is int16 if that represents all clips of the machine type exactly,
and otherwise float32, in the same units of 1/32768. Clips may differ in length.
"""

import io
import mmap
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xxhash

from asdlib import atomic, records
from asdlib.data import wav
from asdlib.data.catalogue import file_states
from asdlib.data.quality import QualityCheck, Summary
from asdlib.errors import DataError
from asdlib.messages import list_problems
from asdlib.paths import CLIPS, DECODED, RECORD, WAVEFORMS
from asdlib.tables import read_table, write_table

RELEASED = 32
"""number of clips that :meth:`Waveforms.read_each` reads before it releases their memory"""


def check_headers(clips: pd.DataFrame, root: Path, data, needed: dict[str, int] | None = None) -> list[str]:
    """Check the headers of clips and return problems, one sentence each; for the arguments, see :func:`check`."""
    problems = []
    for path in clips["path"]:
        try:
            samples = wav.probe(Path(root) / path, data)
            problems += _too_short(Path(root) / path, samples, data, needed)
        except DataError as error:
            problems.append(str(error))
    return problems


def check(clips: pd.DataFrame, root: Path, data, needed: dict[str, int] | None = None) -> tuple[list[str], list[str]]:
    """Read every sample of the clips and return problems and warnings.

    Args:
        clips: Catalogue rows.
        root: The data root.
        data: Settings (:class:`asdlib.params.data.Data`).
        needed: Minimum number of samples of a clip, by the setting that requires it (``Settings.shortest_clips``).

    Returns:
        Problems and warnings (:mod:`asdlib.data.quality`), one sentence each.
    """
    problems, quality = [], QualityCheck(data.sample_rate)
    for path, split, label in zip(clips["path"], clips["split"], clips["label"], strict=True):
        try:
            with wav.open_clip(Path(root) / path, data) as recording:
                samples = recording.read()
            quality.add(path, split, label, Summary.of(samples), recording.note)
            problems += _too_short(Path(root) / path, len(samples), data, needed)
        except DataError as error:
            problems.append(str(error))
    return problems, quality.sentences()


def _too_short(path: Path, samples: int, data, needed: dict[str, int] | None) -> list[str]:
    """Return a sentence if a clip is shorter than the longest minimum, else none."""
    key, least = max((needed or {"": 0}).items(), key=lambda item: item[1])
    if samples >= least:
        return []
    return [
        f"{path}: {samples / data.sample_rate:.3g} s long; expected at least {least / data.sample_rate:.3g} s, which "
        f"{key} needs; remove the clip or lower {key}"
    ]


def decode(clips: pd.DataFrame, root: Path, folder: Path, data) -> bool:
    """Decode the clips of one machine type into ``folder``; return False if this was done before with the same files.

    Writes ``waveforms.npy`` (all clips, concatenated), ``clips.csv`` (the catalogue with ``start`` and ``samples``) and
    ``record.json`` atomically. Only one clip is in memory at a time. ``data_fingerprint`` in the record is a hash
    (XXH3) of names and samples, and so does not depend on when or where the files were written.

    Args:
        clips: Catalogue rows of one machine type.
        root: The data root, to which ``clips.path`` is relative.
        folder: Folder to write, :meth:`asdlib.paths.Run.data` of the machine.
        data: Settings (:class:`asdlib.params.data.Data`).

    Raises:
        DataError: Clips cannot be used; the message lists at most 20 problems and their total number.
    """
    state = _state(clips, root, data)
    if _read_record(folder).get("files_state") == state:
        return False
    began = time.monotonic()
    with atomic.writing(folder, folder=True) as temporary:
        path = temporary / WAVEFORMS
        written = _write(clips, root, path, data, np.int16) or _write(clips, root, path, data, np.float32)
        lengths, digest, quality = written
        table = clips.assign(start=np.cumsum([0, *lengths[:-1]]), samples=lengths)
        write_table(table, temporary / CLIPS)
        record = records.record(
            {"sample_rate": data.sample_rate, "channels": data.channels},
            seed=0,
            device="CPU",
            data=digest.hexdigest()[:12],
            seconds=time.monotonic() - began,
            files_state=state,
            warnings=quality.sentences(),
        )
        atomic.write_json(record, temporary / RECORD)
    return True


def warnings(folder: Path) -> list[str]:
    """Return the warnings about the clips that :func:`decode` wrote to ``folder``, one sentence each."""
    return _read_record(folder)["warnings"]


def refuse(problems: list[str]) -> None:
    """Raise :class:`DataError` if there are problems."""
    if problems:
        raise DataError(list_problems("clips that cannot be used", problems))


@dataclass(frozen=True)
class Waveforms:
    """The decoded clips of a machine type, memory-mapped; row i of ``clips`` is clip i."""

    clips: pd.DataFrame
    """catalogue with ``start`` and ``samples``"""
    samples: np.ndarray
    """all clips, concatenated, in units of 1/32768, int16 or float32, on disk"""
    fingerprint: str
    """hash of names and samples"""

    @classmethod
    def open(cls, folder: Path) -> "Waveforms":
        """Open clips written by :func:`decode`; raise :class:`DataError` if there are none."""
        folder = Path(folder)
        fingerprint = _read_record(folder).get("data_fingerprint")
        if fingerprint is None:
            raise DataError(f"{folder}: no decoded clips; run notebook 01_data, or make reproduce")
        clips = read_table(folder / CLIPS)
        try:
            samples = np.lib.format.open_memmap(folder / WAVEFORMS, mode="r")  # opens arrays of numbers only
        except ValueError as error:
            raise DataError(f"{folder / WAVEFORMS}: not an array of samples ({error}); delete the folder") from None
        return cls(clips, samples, fingerprint)

    def __len__(self) -> int:
        return len(self.clips)

    def read(self, row: int, start: int = 0, samples: int | None = None) -> np.ndarray:
        """Return a copy of samples ``start`` to ``start + samples`` (default: to the end) of clip ``row``."""
        first, length = int(self.clips["start"].iat[row]), int(self.clips["samples"].iat[row])
        samples = length - start if samples is None else samples
        if start < 0 or samples < 0 or start + samples > length:
            raise ValueError(f"samples {start} to {start + samples} of clip {row} asked for, which has {length}")
        return np.array(self.samples[first + start : first + start + samples])

    def read_each(self, rows: Iterable[int]) -> Iterator[np.ndarray]:
        """Read clips one by one, in the order of ``rows``, in constant memory."""
        for count, row in enumerate(rows, 1):
            yield self.read(row)
            if count % RELEASED == 0:
                self.release()
        self.release()

    def release(self) -> None:
        """Release the memory-mapped pages read so far, so that memory use stays constant; they can be read again."""
        mapped = self.samples.base
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def _write(
    clips: pd.DataFrame, root: Path, path: Path, data, dtype: type
) -> tuple[list[int], xxhash.xxh3_128, QualityCheck] | None:
    """Write clips, concatenated, to a file in numpy's format.

    Returns:
        Lengths, a hash of names and samples, and warnings; None if ``dtype`` is int16 and a clip needs float32.

    Raises:
        DataError: Clips cannot be used.
    """
    problems, lengths, digest, quality = [], [], xxhash.xxh3_128(), QualityCheck(data.sample_rate)
    with open(path, "wb") as stream:
        _write_header(stream, dtype, 0)
        for clip in clips.itertuples():
            try:
                with wav.open_clip(os.path.join(root, clip.path), data) as recording:
                    waveform = recording.read()
            except DataError as error:
                problems.append(str(error))
                continue
            if waveform.dtype != np.int16 and dtype is np.int16:
                return None
            summary = Summary.of(waveform)
            stream.write(np.asarray(waveform, np.dtype(dtype).newbyteorder("<")))
            lengths.append(summary.length)
            quality.add(clip.path, clip.split, clip.label, summary, recording.note)
            digest.update(clip.clip.encode() + b"\0" + summary.digest)
        refuse(problems)
        stream.seek(0)
        _write_header(stream, dtype, sum(lengths))
    return lengths, digest, quality


def _write_header(stream: io.BufferedIOBase, dtype: type, samples: int) -> None:
    """Write the header of an array in numpy's format, which has a fixed size, so that it can be overwritten."""
    kind = np.dtype(dtype).newbyteorder("<").str
    np.lib.format.write_array_header_1_0(stream, {"descr": kind, "fortran_order": False, "shape": (samples,)})


def evenly_spaced(count: int, most: int) -> np.ndarray:
    """Return the positions of at most ``most`` of ``count`` items at equal distances, with the first and the last.

    >>> evenly_spaced(10, 4).tolist(), evenly_spaced(2, 4).tolist(), evenly_spaced(0, 4).tolist()
    ([0, 3, 6, 9], [0, 1], [])
    """
    return np.unique(np.linspace(0, count - 1, most).round().astype(int)) if count else np.empty(0, dtype=int)


def _read_record(folder: Path) -> dict:
    """Return the record of decoded clips, or an empty one unless all files that :func:`decode` writes exist."""
    whole = all((Path(folder) / name).is_file() for name in DECODED)
    return atomic.read_json(Path(folder) / RECORD) if whole else {}


def _state(clips: pd.DataFrame, root: Path, data) -> str:
    """Return a digest of names, sizes and times of the files, to detect cheaply whether they have changed."""
    files = file_states(Path(root), clips["path"])
    rows = clips.astype(str).to_numpy().tolist()
    return records.fingerprint([str(Path(root).resolve()), data.sample_rate, data.channels, files, rows])
