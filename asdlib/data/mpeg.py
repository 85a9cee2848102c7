"""Count the frames of an MP3 file, since libsndfile estimates its length from the bit rate of the first one.

In a file of variable bit rate whose header does not state the number of frames, that estimate can be half the length.

Every function raises :class:`ValueError` for a file that cannot be used; its text follows the file's name.
"""

from asdlib.data.chunks import CONVERT, JUNK, REPAIR, tags_before

_MPEG1 = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
"""kbit/s by layer"""
_MPEG2 = {
    1: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    3: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)  # Hz, of MPEG 1; halves and quarters of them in MPEG 2 and 2.5
_SAME = bytes((0xFF, 0xFE, 0x0C, 0))  # bits of a header that are equal in all frames: version, layer and sampling rate
_HIGHEST = 14  # index of the highest bit rate, at which a frame has room for a header


def state_length(content: bytearray) -> bool:
    """Check that an MP3 file is complete, and let a header state its number of frames.

    Args:
        content: The bytes of the file, without tags before the first frame. A header is inserted if there is none.

    Returns:
        Whether a header was inserted.
    """
    first = _first_frame(content)
    head = content[first : first + 200]
    place = max(head.find(b"Xing"), head.find(b"Info"))
    if place >= 0 and head[place + 7] & 1:  # it states the number of frames
        at = place + 12
        if not head[place + 7] & 2:  # but not of bytes
            return False
        promised = int.from_bytes(head[at : at + 4], "big")
        held = len(content) - first - (128 if content[-128:-125] == b"TAG" else 0)
        if held < promised:
            raise ValueError(f"truncated: the header promises {promised} bytes, the file holds {held}; {REPAIR}")
        if held > promised + JUNK:
            raise ValueError(f"the header promises {promised} bytes of {held}, and libraries stop there; {CONVERT}")
        return False
    count, end = _count(content, first)
    header = bytearray(content[first : first + 4])
    if 4 - (header[1] >> 1 & 3) != 3:  # only layer 3 has such a header; the others have a constant bit rate
        return False
    header[1] |= 1  # no checksum
    header[2] = header[2] & 0x0C | _HIGHEST << 4
    frame = header.ljust(_length(header), b"\0")
    at = 4 + ((17, 32) if header[1] & 8 else (9, 17))[header[3] >> 6 != 3]  # after what a frame of sound has there
    about = b"Xing" + (3).to_bytes(4, "big") + count.to_bytes(4, "big") + (end - first + len(frame)).to_bytes(4, "big")
    frame[at : at + len(about)] = about
    content[end:] = b""
    content[:first] = frame
    return True


def _first_frame(content: bytearray) -> int:
    """Return the position of the first frame: the first header that another one of its kind follows."""
    place = content.find(b"\xff")
    while place >= 0:
        following = place + _length(content[place : place + 4])
        if following > place and (following == len(content) or _alike(content, place, following)):
            return place
        place = content.find(b"\xff", place + 1)
    raise ValueError(f"not readable as audio (no two MP3 frames in succession); {REPAIR}")


def _count(content: bytearray, first: int) -> tuple[int, int]:
    """Return the number of whole frames, and the position after the last one."""
    place, count = first, 0
    while head := content[place : place + 16]:
        if _alike(content, first, place) and (length := _length(head)):
            if place + length > len(content):
                raise ValueError(f"truncated: the file ends in the middle of frame {count + 1}; {REPAIR}")
            place, count = place + length, count + 1
        elif head[:3] == b"ID3":
            place += tags_before(lambda more, here=place: content[here + more : here + more + 10])
        elif head[:3] == b"TAG":
            place += 128
        elif head[:8] == b"APETAGEX":
            place += 32 + int.from_bytes(head[12:16], "little")
        else:
            break
    rest = content[place:]
    if len(rest) > JUNK and rest.count(0) < len(rest):
        raise ValueError(f"damaged: after frame {count}, {len(rest)} bytes are no frames of sound; {CONVERT}")
    return count, place


def _alike(content: bytearray, one: int, other: int) -> bool:
    """Tell whether headers at two positions are of frames that can belong to one stream."""
    parts = zip(content[one : one + 4], content[other : other + 4].ljust(4, b"\0"), _SAME, strict=True)
    return all((a ^ b) & mask == 0 for a, b, mask in parts)


def _length(header: bytes) -> int:
    """Return the length of a frame in bytes; 0 if four bytes are no header of a frame."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    index, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or rate == 3 or not 0 < index < 15:
        return 0
    bits = 1000 * (_MPEG1 if version == 3 else _MPEG2)[layer][index - 1]
    hertz = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding
