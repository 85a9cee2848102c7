"""Find where the samples of a container end: how many its header promises, and how many the file holds.

libsndfile corrects a wrong promise silently, so half a recording would be judged as a whole. Here both are compared.
Where the header is wrong but the samples are there (a recorder that crashed, a pipe, more than 4 GiB), all of them are
taken, and a note says so. Where samples are missing, the file is refused with a way to repair it.

Every function raises :class:`ValueError` for a file that cannot be used; its text follows the file's name.
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

REPAIR = "copy it again or, if there is no better copy, keep what there is: ffmpeg -i OLD NEW.wav"
READABLE = "wav, flac, ogg, mp3 or aiff"
"""the supported formats, for messages"""
CONVERT = "convert it: ffmpeg -i OLD NEW.wav"
EXPORT = "export it again as a plain wav file"
JUNK = 4096
"""bytes: up to this many after the samples that are in no chunk are left out with a note; more are taken for samples"""
NAME = re.compile(rb"[A-Za-z0-9_][ -~]{3}")
"""what the name of a chunk looks like"""
TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")
"""beginnings of what music players append to any file"""

_KNOWN = (b"data", b"fmt ", b"fact", b"LIST", b"bext", b"iXML", b"cue ", b"smpl", b"ID3 ", b"id3 ", b"COMM", b"SSND")
_DESCRIPTION = re.compile(rb"LIST|INFO|bext|iXML|axml|cue |smpl|fact|ID3 |id3 |COMT|NAME|ANNO")
_CLOSING = 2**16  # bytes at the end of a file in which chunks that describe it are looked for
_LEFT_OPEN = (2**31, 2**32, 0x7F000000)  # promises of programs that write to a pipe

Chunks = Iterator[tuple[bytes, int, int]]
"""name, position of the first byte, and length of each chunk"""


@dataclass(frozen=True)
class Encoding:
    """How samples are written."""

    subtype: str
    """as libsndfile calls it: ``PCM_16``, ``FLOAT`` ..."""
    endian: str
    """``LITTLE`` or ``BIG``"""
    channels: int
    sample_rate: int
    """in Hz"""
    width: int
    """bytes per frame, all channels together"""


@dataclass(frozen=True)
class Samples:
    """Uncompressed samples in a file."""

    container: str
    encoding: Encoding
    start: int
    """position of the first byte in the file"""
    frames: int
    note: str
    """what is wrong with the header; empty if nothing is"""


class File:
    """Give access to the bytes of an open file by position."""

    def __init__(self, stream: BinaryIO, size: int):
        self.stream, self.size = stream, size

    def at(self, place: int, count: int) -> bytes:
        """Read ``count`` bytes, or fewer at the end of the file, from position ``place``."""
        self.stream.seek(min(place, self.size))
        return self.stream.read(count)


def tags_before(head: Callable[[int], bytes]) -> int:
    """Return the length of the tags that music players wrote before the header.

    Args:
        head: Function that returns at least 10 bytes from a position on, or fewer at the end of the file.
    """
    place = 0
    while (tag := head(place))[:3] == b"ID3" and len(tag) >= 10:
        place += 20 if tag[5] & 0x10 else 10  # some have a footer
        place += sum((byte & 0x7F) << shift for byte, shift in zip(tag[6:10], (21, 14, 7, 0), strict=True))
    return place


def riff_chunks(file: File, place: int, order: str) -> Chunks:
    """Yield the chunks of a RIFF or AIFF file from ``place`` up to the end of the file or to something else."""
    while place + 8 <= file.size:
        name, length = struct.unpack(order + "4sI", file.at(place, 8))
        if not NAME.fullmatch(name):
            return
        yield name, place + 8, length
        place += 8 + length
        if length % 2 and file.at(place, 4) not in _KNOWN:  # some writers forget the byte that makes it even
            place += 1


def end_of_samples(
    file: File,
    start: int,
    promised: int,
    whole: int,
    chunks: Callable[[int], Chunks],
    wraps: bool,
) -> tuple[int, str]:
    """Find the end of the samples.

    Args:
        file: The file.
        start: Position of the first byte of the samples.
        promised: Number of bytes of samples according to the header.
        whole: Size of the file according to the header.
        chunks: Function that yields the chunks from a position on.
        wraps: True if the header counts in 32 bits, which start again at 0 after 4 GiB.

    Returns:
        The position after the last byte, and a note if the header is wrong about it.
    """
    held = file.size - start
    for end in reversed(range(start + promised, file.size + 1, 2**32 if wraps else 2**64)):
        if (note := _after(file, end, chunks)) is not None:
            if end - start != promised:
                note = f"over 4 GiB, which its header cannot say: all {end - start} bytes of samples are read"
            return end, note
    rest = held - promised
    if 0 <= rest < JUNK and promised:
        return start + promised, f"{rest} bytes after its samples are in no chunk and were left out"
    end = _last_chunks(file, start, chunks)
    held = end - start
    if rest >= 0:
        return end, f"its header, never finished, promises {promised} bytes of samples: all {held} are read"
    left_open = promised >= 2**62 or any(abs(promised - usual) <= 2**16 for usual in _LEFT_OPEN)
    if left_open and held < promised / 2:
        return end, (
            f"its header leaves the length open, as after a pipe: all {held} bytes of samples are read; if it was "
            "recorded longer, copy it again"
        )
    if whole == file.size:
        return end, (
            f"its header promises {promised} bytes of samples, but also the size that the file has: all {held} are read"
        )
    raise ValueError(f"truncated: the header promises {promised} bytes of samples, the file holds {held}; {REPAIR}")


def _last_chunks(file: File, start: int, chunks: Callable[[int], Chunks]) -> int:
    """Return the position of the chunks that end exactly where the file does, or the end of the file if none do."""
    first = max(file.size - _CLOSING, start)
    for match in _DESCRIPTION.finditer(file.at(first, _CLOSING)):
        place = first + match.start()
        bodies = [body + length for _, body, length in chunks(place)]
        if bodies and bodies[-1] <= file.size <= bodies[-1] + 1:
            return place
    return file.size


def _after(file: File, end: int, chunks: Callable[[int], Chunks]) -> str | None:
    """Return a note (empty if all is well) if a chunk, padding or a tag follows ``end``; None if samples follow."""
    rest = file.size - end
    if rest <= 1 or file.at(end, 11).startswith(TAGS):
        return ""
    for place in {end, end + end % 2}:
        if file.at(place, 4) in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"riff"):
            raise ValueError(
                f"holds several recordings one after the other, of which libraries read only the first; {EXPORT}"
            )
        name, body, length = next(chunks(place), (b"", 0, 0))
        if name and body + length <= file.size + 1:
            if name in _KNOWN or _after(file, body + length, chunks) is not None:
                return ""
    file.stream.seek(end)
    while block := file.stream.read(1 << 20):
        if block.count(0) < len(block):
            return None
    return f"{rest} bytes after its samples, all zero, were left out" if rest >= JUNK else ""
