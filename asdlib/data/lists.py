"""Read lists as challenges, spreadsheets and shells write them: one line per clip, with a name and some values."""

import re
from collections.abc import Iterator

_ENDS = re.compile(r"\r\n|\r|\n")
_SEPARATORS = (";", "\t", ",")
_RECORDINGS = (".wav", ".flac")


def lines(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Split a list into lines and cells.

    A byte-order mark, line ends of any system, blank lines, quotation marks around a cell and empty cells at the end of
    a line are removed. Cells are separated by semicolons, tabs or commas, whichever of these comes first in this order
    in the first line that has any, or by blanks after the name of a recording. Where the comma does not separate, it is
    a decimal comma.

    Args:
        content: The bytes of the file, in UTF-8 or, with a byte-order mark, UTF-16.

    Yields:
        The number of the line, from 1, and its cells.

    >>> list(lines(b"a.wav;0,5\\r\\n\\r\\n"))
    [(1, ['a.wav', '0.5'])]
    """
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", errors="replace")
    separator = None
    for number, line in enumerate(_ENDS.split(text), 1):
        if not line.strip():
            continue
        separator = separator or next((mark for mark in _SEPARATORS if mark in line), None)
        cells = line.split(separator) if separator else line.split() if is_recording(line.split()[0]) else [line]
        cells = [cell.strip().strip("\"'").strip() for cell in cells]
        while len(cells) > 1 and not cells[-1]:
            del cells[-1]
        yield number, cells if separator == "," else [cells[0], *(cell.replace(",", ".") for cell in cells[1:])]


def is_recording(name: str) -> bool:
    """Tell whether a name is that of a recording."""
    return name.lower().endswith(_RECORDINGS)


def is_header(cells: list[str]) -> bool:
    """Tell whether the first line of a list names its columns: no number, and neither digits nor a recording first."""
    return len(cells) > 1 and not re.search(r"\d|\.wav|\.flac", cells[0].lower()) and not any(map(is_number, cells))


def is_number(cell: str) -> bool:
    """Tell whether a cell can be read as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def base_name(clip: str) -> str:
    """Return the name of a clip without the folders that some systems put before it.

    >>> base_name("dev_data/fan/test/section_00_0001.wav")
    'section_00_0001.wav'
    """
    return clip.replace("\\", "/").rpartition("/")[2]
