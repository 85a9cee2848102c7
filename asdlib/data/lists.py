"""Read lists as challenges, spreadsheets and shells write them: one line per clip, with a name and some values."""

import contextlib
import csv
import re
from collections.abc import Iterator

_QUOTED = re.compile(r'"[^"]*"')
_THOUSANDS = re.compile(r"[-+]?[1-9][0-9]{0,2}(,[0-9]{3})+")
_ENDS = re.compile(r"\r\n|\r|\n")
_SEPARATORS = (";", "\t", ",")
_RECORDINGS = (".wav", ".flac")


def lines(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Split a list into lines and cells.

    A byte-order mark, line ends of any system, blank lines, quotation marks around a cell and empty cells at the end of
    a line are removed. Cells are separated by semicolons, tabs or commas, whichever of these comes first in this order
    in the first line that has any outside quotation marks, or by blanks after the name of a recording. A comma inside a
    cell is a decimal comma, unless it seems to stand between thousands: next to whole numbers, or where commas separate
    cells. Such a cell is kept as it is, which is no number.

    Args:
        content: The bytes of the file, in UTF-8 or, with a byte-order mark, UTF-16.

    Yields:
        The number of the line, from 1, and its cells.

    >>> list(lines(b"a.wav;0,5\\r\\n\\r\\n")), list(lines(b'"a, b.wav","0,5"'))
    ([(1, ['a.wav', '0.5'])], [(1, ['a, b.wav', '0.5'])])
    """
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", errors="replace")
    separator, rows = None, []
    for number, line in enumerate(_ENDS.split(text), 1):
        if not line.strip():
            continue
        outside = _QUOTED.sub("", line)
        separator = separator or next((mark for part in (outside, line) for mark in _SEPARATORS if mark in part), None)
        cells = _split(line, separator) if separator else line.split() if is_recording(line.split()[0]) else [line]
        cells = [cell.strip().strip("\"'").strip() for cell in cells]
        while len(cells) > 1 and not cells[-1]:
            del cells[-1]
        rows.append((number, cells))
    others = [cell for _, cells in rows for cell in cells[1:]]
    thousands = separator == "," or (
        any(map(str.isdecimal, others)) and all(_THOUSANDS.fullmatch(cell) for cell in others if "," in cell)
    )
    for number, cells in rows:
        for place, cell in enumerate(cells[1:], 1):
            if not (thousands and _THOUSANDS.fullmatch(cell)):
                cells[place] = cell.replace(",", ".")
        yield number, cells


def _split(line: str, separator: str) -> list[str]:
    """Split a line into cells; quotation marks around a cell allow it to contain the separator."""
    if '"' in line:
        with contextlib.suppress(csv.Error):  # a cell of more than 128 KiB
            cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
            if len(cells) > 1:  # else the whole line is in quotation marks
                return cells
    return line.split(separator)


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
