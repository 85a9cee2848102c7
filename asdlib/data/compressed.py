"""Check that compressed recordings are complete: FLAC and Ogg files.

Every function raises :class:`ValueError` for a file that cannot be used; its text follows the file's name.
"""

import re

from asdlib.data.chunks import CONVERT, EXPORT, READABLE, REPAIR

_FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)
_BLOCKS = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}
_POLYNOMIALS = {8: 0x07, 16: 0x8005}


def flac(content) -> tuple[int, int, str]:
    """Count the samples of a FLAC file, by the number of its last frame.

    Args:
        content: The bytes of the file.

    Returns:
        The number of samples; the position of the five bytes in which the header states it; and a note if they differ.
    """
    begin = content.find(b"fLaC")
    if _FLAC.match(content, begin) is None:
        raise ValueError(f"not readable as audio (no STREAMINFO block of FLAC); expected {READABLE}; {REPAIR}")
    if _FLAC.search(content, begin + 4):
        raise ValueError(
            f"holds several FLAC streams one after the other, of which libraries read only the first; {EXPORT}"
        )
    about = content[begin + 8 : begin + 42]
    largest, channels = int.from_bytes(about[2:4], "big"), 1 + (about[12] >> 1 & 7)
    bits = 1 + (int.from_bytes(about[12:14], "big") >> 4 & 31)
    promised = int.from_bytes(about[13:18], "big") & (1 << 36) - 1
    end = _end(content)
    first = max(end - largest * channels * (bits + 8) // 8 - 64, begin)
    tail = content[first:end]
    place, held = len(tail), None
    while held is None and (place := max(tail.rfind(b"\xff\xf8", 0, place), tail.rfind(b"\xff\xf9", 0, place))) >= 0:
        held = _last_frame(tail[place:], largest)
    if held is None or held < promised:
        found = f"the file holds {held}" if held is not None else "the file ends in the middle of a frame"
        raise ValueError(f"truncated: the header promises {promised or 'some'} samples, {found}; {REPAIR}")
    stated = f"promises {promised} samples" if promised else "leaves the length open"
    return held, begin + 21, "" if held == promised else f"its header {stated}, the file holds {held}: all are read"


def _last_frame(frame: bytes, largest: int) -> int | None:
    """Return the number of samples up to the end of a frame; None if ``frame`` is not one whole frame."""
    if len(frame) < 9:
        return None
    ones = (
        8 - (frame[4] ^ 0xFF).bit_length()
    )  # leading ones of the frame number, which is coded like a character in UTF-8
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
    """Compute the cyclic redundancy check of FLAC with 8 or 16 bits."""
    value, mask = 0, (1 << bits) - 1
    for byte in content:
        value = (value << 8 & mask) ^ _TABLES[bits][value >> bits - 8 ^ byte]
    return value


def _table(bits: int) -> list[int]:
    """Compute the checks of all single bytes."""
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
        raise ValueError(f"holds several Ogg streams, of which libraries read only one; {CONVERT}")
    end = _end(content)
    last = content.rfind(b"OggS", max(end - 65_500, 0), end)
    page = content[last : last + 282] if last >= 0 else b""
    whole = len(page) > 26 and end - 16 <= last + 27 + page[26] + sum(page[27 : 27 + page[26]]) <= end
    if not whole or not page[5] & 4:
        raise ValueError(f"truncated: the Ogg stream does not end with its last page; {REPAIR}")


def _end(content) -> int:
    """Return where the sound ends: before tags of music players, and at most 16 zeros, which a frame may end with."""
    end = len(content)
    if content[end - 128 : end - 125] == b"TAG":
        end -= 128
    if content[end - 32 : end - 24] == b"APETAGEX":
        end -= int.from_bytes(content[end - 20 : end - 16], "little") + (32 if content[end - 9] & 0x80 else 0)
    return min(len(content[:end].rstrip(b"\0")) + 16, end)
