"""Read the headers of uncompressed recordings: RIFF, RIFX, RF64, BW64, W64 and AIFF.

Every function raises :class:`ValueError` for a file that cannot be used; its text follows the file's name.
"""

import struct
from functools import partial
from typing import BinaryIO

from asdlib.data.chunks import (
    EXPORT,
    NAME,
    READABLE,
    REPAIR,
    Chunks,
    Encoding,
    File,
    Samples,
    end_of_samples,
    riff_chunks,
    tags_before,
)

_PCM = {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}
_FLOAT = {4: "FLOAT", 8: "DOUBLE"}
_OTHER = {2: "MS_ADPCM", 6: "ALAW", 7: "ULAW", 0x11: "IMA_ADPCM", 0x31: "GSM610", 0x50: "MPEG", 0x55: "MP3"}
_AIFC = {
    b"NONE": ("PCM", "BIG"),
    b"twos": ("PCM", "BIG"),
    b"sowt": ("PCM", "LITTLE"),
    b"in24": ("PCM", "BIG"),
    b"in32": ("PCM", "BIG"),
    b"42n1": ("PCM", "LITTLE"),  # libsndfile's names of 24 and 32 bits, little-endian
    b"23ni": ("PCM", "LITTLE"),
    b"raw ": ("U8", "BIG"),
    b"fl32": ("FLOAT", "BIG"),
    b"FL32": ("FLOAT", "BIG"),
    b"fl64": ("FLOAT", "BIG"),
    b"FL64": ("FLOAT", "BIG"),
}


def find_samples(stream: BinaryIO, size: int) -> Samples | None:
    """Find the samples of a RIFF, RIFX, RF64, BW64, W64 or AIFF file.

    Args:
        stream: The open file.
        size: Size of the file in bytes.

    Returns:
        The place of the samples; None for any other kind of file.
    """
    file = File(stream, size)
    base = tags_before(lambda place: file.at(place, 10))
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
def _wave(file: File, base: int, kind: bytes) -> Samples:
    """Find the samples of a RIFF, RIFX, RF64 or BW64 file whose header begins at ``base``."""
    order = ">" if kind == b"RIFX" else "<"
    whole = struct.unpack(order + "I", file.at(base + 4, 4))[0]
    encoding, long, found, long_data = None, kind in (b"RF64", b"BW64"), None, 0xFFFFFFFF
    chunks = partial(riff_chunks, file, order=order)
    for name, body, length in chunks(base + 12):
        if name == b"ds64" and long:
            whole, long_data = struct.unpack("<QQ", file.at(body, 16).ljust(16, b"\0"))
        elif name == b"fmt ":
            encoding = _format(file.at(body, min(length, 40)), order)
        elif name == b"LIST" and file.at(body, 4) == b"wavl":
            raise ValueError(f"its samples are in a wave list, of which libraries read only a part; {EXPORT}")
        elif name == b"data":
            promised = long_data if long and length == 0xFFFFFFFF else length
            found = body, promised
            break
    if found is None:
        raise ValueError("not readable as audio (no chunk of samples); expected a wav file; " + REPAIR)
    body, promised = found
    end, note = end_of_samples(file, body, promised, base + 8 + whole, chunks, not long)
    for name, place, length in chunks(end + end % 2) if end < file.size else ():
        if name == b"data":
            raise ValueError(f"has two chunks of samples, of which libraries read only one; {EXPORT}")
        if name == b"fmt " and encoding is None:
            encoding = _format(file.at(place, min(length, 40)), order)
    if encoding is None:
        raise ValueError(f"not readable as audio (no fmt chunk); expected a wav file; {REPAIR}")
    return Samples(kind.decode(), encoding, body, (end - body) // encoding.width, note)


def _format(body: bytes, order: str) -> Encoding:
    """Parse the chunk ``fmt``."""
    if len(body) < 16:
        raise ValueError(f"not readable as audio (a fmt chunk of {len(body)} bytes); expected a wav file; {REPAIR}")
    tag, channels, rate, speed, align, bits = struct.unpack(order + "HHIIHH", body[:16])
    if tag == 0xFFFE and len(body) >= 26:
        tag = struct.unpack(order + "H", body[24:26])[0]
    width = -(-bits // 8)
    subtype = (_PCM if tag == 1 else _FLOAT if tag == 3 else {}).get(width)
    if subtype is None:
        name = _OTHER.get(tag, f"format {tag:#x}, {bits} bits,") if tag not in (1, 3) else f"{bits}-bit"
        raise ValueError(f"holds WAV with {name} samples; expected {READABLE}, wav as PCM or float; convert it")
    size = align // max(channels, 1)
    if size > width and (speed == align * rate or size == width + 1 == 4):  # else the header just has a wrong number
        raise ValueError(f"holds {bits}-bit samples in {size} bytes each but does not say in which of them; {EXPORT}")
    return _check(Encoding(subtype, "BIG" if order == ">" else "LITTLE", channels, rate, width * channels))


def _check(encoding: Encoding) -> Encoding:
    """Refuse numbers of channels and sampling rates that no recording has."""
    if not 0 < encoding.channels <= 1024 or not 0 < encoding.sample_rate < 2**31:
        raise ValueError(
            f"not readable as audio ({encoding.channels} channels at {encoding.sample_rate} Hz); expected a wav file; "
            + REPAIR
        )
    return encoding


# Sony's Wave64 --------------------------------------------------------------------------------------------------------
def _guid(name: bytes) -> bytes:
    """Return the identifier of a W64 chunk."""
    tail = "2e91cf11a5d628db04c10000" if name == b"riff" else "f3acd3118cd100c04f8edb8a"
    return name + bytes.fromhex(tail)


def _sony(file: File, base: int) -> Samples:
    """Find the samples of a W64 file."""
    whole, encoding = struct.unpack("<Q", file.at(base + 16, 8).ljust(8, b"\0"))[0], None
    for name, body, length in _sony_chunks(file, base + 40):
        if name == b"fmt ":
            encoding = _format(file.at(body, min(length, 40)), "<")
        elif name == b"data" and encoding is not None:
            end, note = end_of_samples(file, body, length, base + whole, partial(_sony_chunks, file), False)
            return Samples("W64", encoding, body, (end - body) // encoding.width, note)
    raise ValueError("not readable as audio (no chunk of samples); expected a wav file; " + REPAIR)


def _sony_chunks(file: File, place: int) -> Chunks:
    """Yield the chunks of a W64 file from ``place`` on."""
    while place + 24 <= file.size:
        head = file.at(place, 24)
        if not NAME.fullmatch(head[:4]):
            return
        length = max(struct.unpack("<Q", head[16:])[0] - 24, 0)
        yield head[:4], place + 24, length
        place += 24 + -(-length // 8) * 8


# AIFF -----------------------------------------------------------------------------------------------------------------
def _aiff(file: File, base: int, form: bytes) -> Samples:
    """Find the samples of an AIFF or AIFF-C file."""
    whole = struct.unpack(">I", file.at(base + 4, 4))[0]
    comm, start, end, note = b"", None, 0, ""
    chunks = partial(riff_chunks, file, order=">")
    for name, body, length in chunks(base + 12):
        if name == b"COMM":
            comm = file.at(body, min(length, 22))
        elif name == b"SSND":
            offset = struct.unpack(">I", file.at(body, 4).ljust(4, b"\0"))[0]
            start, promised = body + 8 + offset, max(length - 8 - offset, 0)
            end, note = end_of_samples(file, start, promised, base + 8 + whole, chunks, True)
            break
    for name, body, length in chunks(end + end % 2) if start and end < file.size else ():
        if name == b"COMM" and not comm:
            comm = file.at(body, min(length, 22))
    if start is None or len(comm) < 18:
        raise ValueError("not readable as audio (no chunk of samples); expected a wav file; " + REPAIR)
    channels, promised, bits = struct.unpack(">hIh", comm[:8])
    exponent, mantissa = struct.unpack(">HQ", comm[8:18])
    rate = min(mantissa * 2 ** (exponent & 0x7FFF) >> 16383 + 63, 2**31)  # a floating-point number of 80 bits
    code = comm[18:22] if form == b"AIFC" else b"NONE"
    if code not in _AIFC:
        raise ValueError(f"holds AIFF with {code.decode('latin-1')!r} samples; expected PCM or float; convert it")
    (kind, endian), width = _AIFC[code], -(-bits // 8)
    subtype = {"PCM": _PCM | {1: "PCM_S8"}, "U8": {1: "PCM_U8"}, "FLOAT": _FLOAT}[kind].get(width)
    if subtype is None:
        raise ValueError(f"holds AIFF with {bits}-bit samples; expected PCM or float; convert it")
    encoding = _check(Encoding(subtype, endian, channels, rate, width * channels))
    frames = (end - start) // encoding.width
    if promised > frames and not note:
        raise ValueError(f"truncated: the header promises {promised} samples, the file holds {frames}; {REPAIR}")
    if promised < frames and not note:
        note = f"its header promises {promised} samples, the file holds {frames}: all are read"
    return Samples("AIFF", encoding, start, frames, note)
