"""Find the samples of a recording: how many its header promises, and how many the file holds.

libsndfile corrects a wrong promise silently, so half a recording would be judged as a whole. Here both are compared for
the containers of uncompressed samples (RIFF, RIFX, RF64, BW64, W64, AIFF) and for FLAC, Ogg and MP3. Where the header
is wrong but the samples are there (a recorder that crashed, a pipe, more than 4 GiB), all of them are taken, and a note
says so. Where samples are missing, the file is refused with a way to repair it.

Every function raises :class:`ValueError` for a file that cannot be used; its text follows the file's name.
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

REPAIR = "copy it again, or, if there is no better copy, keep what there is: ffmpeg -i OLD NEW.wav"
CONVERT = "convert it: ffmpeg -i OLD NEW.wav"
JUNK = 4096
"""bytes: so few after the samples, in no chunk, are left out with a note; more are samples of a stale header"""

_EXPORT = "export it again as a plain wav file"
_CHUNK = re.compile(rb"[A-Za-z0-9_][ -~]{3}")
_KNOWN = (b"data", b"fmt ", b"fact", b"LIST", b"bext", b"iXML", b"cue ", b"smpl", b"ID3 ", b"id3 ", b"COMM", b"SSND")
_LEFT_OPEN = (2**31, 2**32, 0x7F000000)  # what programs promise that write to a pipe
_TAGS = (b"TAG", b"ID3", b"APETAGEX")  # begin what music players append to any file
_PCM = {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}
_FLOAT = {4: "FLOAT", 8: "DOUBLE"}
_OTHER = {2: "MS_ADPCM", 6: "ALAW", 7: "ULAW", 0x11: "IMA_ADPCM", 0x31: "GSM610", 0x50: "MPEG", 0x55: "MP3"}
_AIFC = {
    b"NONE": ("PCM", "BIG"),
    b"twos": ("PCM", "BIG"),
    b"sowt": ("PCM", "LITTLE"),
    b"in24": ("PCM", "BIG"),
    b"in32": ("PCM", "BIG"),
    b"raw ": ("U8", "BIG"),
    b"fl32": ("FLOAT", "BIG"),
    b"FL32": ("FLOAT", "BIG"),
    b"fl64": ("FLOAT", "BIG"),
    b"FL64": ("FLOAT", "BIG"),
}


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
    """place of the first byte"""
    frames: int
    note: str
    """what is wrong with the header, a sentence; empty if nothing is"""


def uncompressed(stream: BinaryIO, size: int) -> Samples | None:
    """Find the samples of a RIFF, RIFX, RF64, BW64, W64 or AIFF file.

    Args:
        stream: The open file.
        size: Its bytes.

    Returns:
        Where the samples lie; None for any other kind of file.
    """
    file = _File(stream, size)
    base, head = 0, file.at(0, 16)
    if head[:3] == b"ID3" and len(head) >= 10:  # a music player's tag before everything
        base = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        head = file.at(base, 16)
    kind = head[:4]
    if kind in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wave(file, base, kind)
    if kind == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(file, base, head[8:12])
    if head == _guid(b"riff"):
        return _sony(file, base)
    return None


# RIFF and its kin -----------------------------------------------------------------------------------------------------
def _wave(file: "_File", base: int, kind: bytes) -> Samples:
    order = ">" if kind == b"RIFX" else "<"
    whole = struct.unpack(order + "I", file.at(base + 4, 4))[0]
    encoding, long, found, long_data = None, kind in (b"RF64", b"BW64"), None, 0xFFFFFFFF
    chunks = _chunks(file, base + 12, order)
    for name, body, length in chunks:
        if name == b"ds64" and long:
            whole, long_data = struct.unpack("<QQ", file.at(body, 16).ljust(16, b"\0"))
        elif name == b"fmt ":
            encoding = _format(file.at(body, min(length, 40)), order)
        elif name == b"LIST" and file.at(body, 4) == b"wavl":
            raise ValueError(f"its samples lie in a wave list, of which libraries read a part; {_EXPORT}")
        elif name == b"data":
            promised = long_data if long and length == 0xFFFFFFFF else length
            found = body, promised
            break
    if found is None:
        raise ValueError("not readable as audio (no chunk of samples); expected a wav file; " + REPAIR)
    body, promised = found
    end, note = _end(file, body, promised, base + 8 + whole, lambda place: _chunks(file, place, order), not long)
    for name, place, length in _chunks(file, end + end % 2, order) if end < file.size else ():
        if name == b"data":
            raise ValueError(f"has two chunks of samples, of which libraries read one; {_EXPORT}")
        if name == b"fmt " and encoding is None:
            encoding = _format(file.at(place, min(length, 40)), order)
    if encoding is None:
        raise ValueError(f"not readable as audio (nothing says how samples are written); expected a wav file; {REPAIR}")
    return Samples(kind.decode(), encoding, body, (end - body) // encoding.width, note)


def _format(body: bytes, order: str) -> Encoding:
    """The chunk ``fmt``."""
    if len(body) < 16:
        raise ValueError(f"not readable as audio (a fmt chunk of {len(body)} bytes); expected a wav file; {REPAIR}")
    tag, channels, rate, _, align, bits = struct.unpack(order + "HHIIHH", body[:16])
    if tag == 0xFFFE and len(body) >= 26:
        tag = struct.unpack(order + "H", body[24:26])[0]
    width = -(-bits // 8)
    subtype = (_PCM if tag == 1 else _FLOAT if tag == 3 else {}).get(width)
    if subtype is None:
        name = _OTHER.get(tag, f"format {tag:#x}, {bits} bits,") if tag not in (1, 3) else f"{bits}-bit"
        raise ValueError(f"holds WAV with {name} samples; expected WAV, PCM or float; convert it")
    if width == 3 and align == 4 * channels:
        raise ValueError(f"holds 24-bit samples in 4 bytes each, and not which bytes hold them; {_EXPORT}")
    return _checked(Encoding(subtype, "BIG" if order == ">" else "LITTLE", channels, rate, width * channels))


def _checked(encoding: Encoding) -> Encoding:
    if not 0 < encoding.channels <= 1024 or not 0 < encoding.sample_rate < 2**31:
        raise ValueError(
            f"not readable as audio ({encoding.channels} channels at {encoding.sample_rate} Hz); expected a wav file; "
            + REPAIR
        )
    return encoding


# Sony's Wave64 --------------------------------------------------------------------------------------------------------
def _guid(name: bytes) -> bytes:
    tail = "2e91cf11a5d628db04c10000" if name == b"riff" else "f3acd3118cd100c04f8edb8a"
    return name + bytes.fromhex(tail)


def _sony(file: "_File", base: int) -> Samples:
    whole, encoding = struct.unpack("<Q", file.at(base + 16, 8).ljust(8, b"\0"))[0], None
    for name, body, length in _sony_chunks(file, base + 40):
        if name == b"fmt ":
            encoding = _format(file.at(body, min(length, 40)), "<")
        elif name == b"data" and encoding is not None:
            end, note = _end(file, body, length, base + whole, lambda place: _sony_chunks(file, place), False)
            return Samples("W64", encoding, body, (end - body) // encoding.width, note)
    raise ValueError("not readable as audio (no chunk of samples); expected a wav file; " + REPAIR)


def _sony_chunks(file: "_File", place: int) -> Iterator[tuple[bytes, int, int]]:
    while place + 24 <= file.size:
        head = file.at(place, 24)
        if not _CHUNK.fullmatch(head[:4]):
            return
        length = max(struct.unpack("<Q", head[16:])[0] - 24, 0)
        yield head[:4], place + 24, length
        place += 24 + -(-length // 8) * 8


# AIFF -----------------------------------------------------------------------------------------------------------------
def _aiff(file: "_File", base: int, form: bytes) -> Samples:
    whole = struct.unpack(">I", file.at(base + 4, 4))[0]
    comm, found, end, note = b"", None, 0, ""
    for name, body, length in _chunks(file, base + 12, ">"):
        if name == b"COMM":
            comm = file.at(body, min(length, 22))
        elif name == b"SSND":
            offset = struct.unpack(">I", file.at(body, 4).ljust(4, b"\0"))[0]
            found, promised = body + 8 + offset, max(length - 8 - offset, 0)
            end, note = _end(file, found, promised, base + 8 + whole, lambda place: _chunks(file, place, ">"), True)
            break
    for name, body, length in _chunks(file, end + end % 2, ">") if found and end < file.size else ():
        if name == b"COMM" and not comm:
            comm = file.at(body, min(length, 22))
    if found is None or len(comm) < 18:
        raise ValueError("not readable as audio (no chunk of samples); expected a wav file; " + REPAIR)
    channels, promised, bits = struct.unpack(">hIh", comm[:8])
    exponent, mantissa = struct.unpack(">HQ", comm[8:18])
    rate = min(mantissa * 2 ** (exponent & 0x7FFF) >> 16383 + 63, 2**31)  # 80 bits of floating point
    code = comm[18:22] if form == b"AIFC" else b"NONE"
    if code not in _AIFC:
        raise ValueError(f"holds AIFF with {code.decode('latin-1')!r} samples; expected PCM or float; convert it")
    (kind, endian), width = _AIFC[code], -(-bits // 8)
    subtype = {"PCM": _PCM | {1: "PCM_S8"}, "U8": {1: "PCM_U8"}, "FLOAT": _FLOAT}[kind].get(width)
    if subtype is None:
        raise ValueError(f"holds AIFF with {bits}-bit samples; expected PCM or float; convert it")
    encoding = _checked(Encoding(subtype, endian, channels, rate, width * channels))
    frames = (end - found) // encoding.width
    if promised > frames and not note:
        raise ValueError(f"truncated: the header promises {promised} samples, the file holds {frames}; {REPAIR}")
    if promised < frames and not note:
        note = f"its header promises {promised} samples, the file holds {frames}: all are read"
    return Samples("AIFF", encoding, found, frames, note)


# What they have in common ---------------------------------------------------------------------------------------------
class _File:
    """Bytes of an open file by their place."""

    def __init__(self, stream: BinaryIO, size: int):
        self.stream, self.size = stream, size

    def at(self, place: int, count: int) -> bytes:
        self.stream.seek(min(place, self.size))
        return self.stream.read(count)


def _chunks(file: _File, place: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and length of chunk after chunk, up to the end or to what is no chunk."""
    while place + 8 <= file.size:
        name, length = struct.unpack(order + "4sI", file.at(place, 8))
        if not _CHUNK.fullmatch(name):
            return
        yield name, place + 8, length
        place += 8 + length
        if length % 2 and file.at(place, 4) not in _KNOWN:  # some writers forget the byte that makes it even
            place += 1


def _end(
    file: _File,
    start: int,
    promised: int,
    whole: int,
    chunks: Callable[[int], Iterator[tuple[bytes, int, int]]],
    wraps: bool,
) -> tuple[int, str]:
    """Where the samples end, and a note where the header is wrong about it.

    Args:
        file: The file.
        start: First byte of the samples.
        promised: Bytes of samples by the header.
        whole: Size of the file by the header.
        chunks: From a place to the chunks there.
        wraps: True if the header counts in 32 bits, which start again at 0 after 4 GiB.
    """
    held = file.size - start
    for end in reversed(range(start + promised, file.size + 1, 2**32 if wraps else 2**64)):
        if (note := _after(file, end, chunks)) is not None:
            if end - start != promised:
                note = f"over 4 GiB, which its header cannot say: all {end - start} bytes of samples are read"
            return end, note
    rest = held - promised
    if rest >= 0:
        if promised and rest < JUNK:
            return start + promised, f"{rest} bytes after its samples are in no chunk and were left out"
        return file.size, f"its header, never finished, promises {promised} bytes of samples: all {held} are read"
    left_open = promised >= 2**62 or any(abs(promised - usual) <= 2**16 for usual in _LEFT_OPEN)
    if left_open and held < promised / 2:
        return file.size, (
            f"its header leaves the length open, as after a pipe: all {held} bytes of samples are read; if it was "
            "recorded longer, copy it again"
        )
    if whole == file.size:
        return file.size, (
            f"its header promises {promised} bytes of samples, but also the size that the file has: all {held} are read"
        )
    raise ValueError(f"truncated: the header promises {promised} bytes of samples, the file holds {held}; {REPAIR}")


def _after(file: _File, end: int, chunks: Callable[[int], Iterator[tuple[bytes, int, int]]]) -> str | None:
    """A note (or nothing, an empty one) if no sample follows ``end`` but a chunk, padding or a tag; else None."""
    rest = file.size - end
    if rest <= 1 or file.at(end, 8).startswith(_TAGS):
        return ""
    for place in {end, end + end % 2}:
        if file.at(place, 4) in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"riff"):
            raise ValueError(f"holds one recording after the other, of which libraries read the first; {_EXPORT}")
        name, body, length = next(chunks(place), (b"", 0, 0))
        if name and body + length <= file.size + 1:
            if name in _KNOWN or _after(file, body + length, chunks) is not None:
                return ""
    file.stream.seek(end)
    while block := file.stream.read(1 << 20):
        if block.count(0) < len(block):
            return None
    return f"{rest} bytes after its samples, all zero, were left out" if rest >= JUNK else ""


# Compressed containers ------------------------------------------------------------------------------------------------
_FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)
_BLOCKS = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}
_POLYNOMIALS = {8: 0x07, 16: 0x8005}


def flac(content) -> tuple[int, int, str]:
    """Count the samples of a FLAC file by its last frame.

    Args:
        content: The bytes of the file (``bytes`` or a map of it).

    Returns:
        Samples; place of the five bytes in which the header states them; a note where they differ.
    """
    begin = content.find(b"fLaC")
    if _FLAC.match(content, begin) is None:
        raise ValueError(f"not readable as audio (no stream information); expected a wav file; {REPAIR}")
    if _FLAC.search(content, begin + 4):
        raise ValueError(f"holds one FLAC stream after the other, of which libraries read the first; {_EXPORT}")
    about = content[begin + 8 : begin + 42]
    largest, channels = int.from_bytes(about[2:4], "big"), 1 + (about[12] >> 1 & 7)
    bits = 1 + (int.from_bytes(about[12:14], "big") >> 4 & 31)
    promised = int.from_bytes(about[13:18], "big") & (1 << 36) - 1
    end = len(content) - (128 if content[-128:-125] == b"TAG" else 0)
    first = max(end - largest * channels * (bits + 8) // 8 - 64, begin)
    tail = content[first:end]
    place, held = len(tail), None
    while held is None and (place := max(tail.rfind(b"\xff\xf8", 0, place), tail.rfind(b"\xff\xf9", 0, place))) >= 0:
        held = _last_frame(tail[place:], largest)
    if held is None or held < promised:
        found = f"the file holds {held}" if held is not None else "the file ends amid a block of them"
        raise ValueError(f"truncated: the header promises {promised or 'some'} samples, {found}; {REPAIR}")
    stated = f"promises {promised} samples" if promised else "leaves the length open"
    return held, begin + 21, "" if held == promised else f"its header {stated}, the file holds {held}: all are read"


def _last_frame(frame: bytes, largest: int) -> int | None:
    """Samples of a stream up to the end of its last frame; None if that is no whole frame."""
    if len(frame) < 9:
        return None
    ones = 8 - (frame[4] ^ 0xFF).bit_length()  # of the number, written like a character of UTF-8
    more = max(ones - 1, 0)
    if ones == 1 or ones > 7 or len(frame) < 12 + more:
        return None
    number = frame[4] & (0xFF >> (ones + 1))
    for byte in frame[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    place, code = 5 + more, frame[2] >> 4
    extra = {6: 1, 7: 2}.get(code, 0)
    block = 1 + int.from_bytes(frame[place : place + extra], "big") if extra else _BLOCKS.get(code)
    place += extra + {12: 1, 13: 2, 14: 2}.get(frame[2] & 15, 0)
    if block is None or _crc(frame[:place], 8) != frame[place] or _crc(frame, 16):
        return None
    return (number if frame[1] & 1 else number * largest) + block


def _crc(content: bytes, bits: int) -> int:
    value, mask = 0, (1 << bits) - 1
    for byte in content:
        value = (value << 8 & mask) ^ _TABLES[bits][value >> bits - 8 ^ byte]
    return value


def _table(bits: int) -> list[int]:
    top, mask, table = 1 << bits - 1, (1 << bits) - 1, []
    for value in range(256):
        value <<= bits - 8
        for _ in range(8):
            value = (value << 1 ^ _POLYNOMIALS[bits] if value & top else value << 1) & mask
        table.append(value)
    return table


_TABLES = {bits: _table(bits) for bits in _POLYNOMIALS}


def ogg(content) -> None:
    """Raise :class:`ValueError` unless an Ogg file ends with the last page of its only stream."""
    if re.compile(rb"OggS\x00[\x02\x03]").search(content, 4):
        raise ValueError(f"holds several Ogg streams, of which libraries read one; {CONVERT}")
    last = content.rfind(b"OggS", max(len(content) - 65_307, 0))
    page = content[last : last + 282] if last >= 0 else b""
    whole = len(page) > 26 and last + 27 + page[26] + sum(page[27 : 27 + page[26]]) == len(content)
    if not whole or not page[5] & 4:
        raise ValueError(f"truncated: the Ogg stream does not end with its last page; {REPAIR}")


def mp3(content) -> None:
    """Raise :class:`ValueError` unless an MP3 file has the size that its first frame states, if that states one."""
    begin = 0
    if content[:3] == b"ID3":
        begin = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=True))
    head = content[begin : begin + 200]
    place = max(head.find(b"Xing"), head.find(b"Info"))
    if place < 0 or not head[place + 7] & 2:
        return
    at = place + 8 + (4 if head[place + 7] & 1 else 0)
    promised = int.from_bytes(head[at : at + 4], "big")
    held = len(content) - begin - (128 if content[-128:-125] == b"TAG" else 0)
    if held < promised:
        raise ValueError(f"truncated: the header promises {promised} bytes, the file holds {held}; {REPAIR}")
    if held > promised + JUNK:
        raise ValueError(f"the header promises {promised} bytes of {held}, of which libraries read no more; {CONVERT}")
