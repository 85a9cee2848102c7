"""Write pages that need no network: tables, figures and sounds in one HTML file."""

import base64
import contextlib
import html
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import soundfile
from matplotlib.figure import Figure

from asdlib import atomic
from asdlib.errors import DetectorError

FORMATS = (".html", ".png")
"""endings of the files that can be written"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 16px/1.5 sans-serif; max-width: 62rem; margin: 1rem auto; padding: 0 1rem }}
body {{ color: #222; background: #fff }}
table {{ border-collapse: collapse; margin: .5rem 0; display: block; overflow-x: auto }}
td, th {{ border: 1px solid #ccc; padding: .2rem .6rem }}
td:first-child {{ white-space: nowrap }} td.number, th.number {{ text-align: right }}
td:last-child {{ overflow-wrap: anywhere; min-width: 6rem }}
th {{ text-align: left; vertical-align: bottom; background: #f3f3f3 }} img {{ max-width: 100% }} audio {{ width: 100% }}
.anomaly {{ color: #b34700; font-weight: bold }} h2 {{ margin-top: 2.5rem; overflow-wrap: anywhere }}
:root {{ color-scheme: light dark }}
@media screen and (prefers-color-scheme: dark) {{
body {{ color: #ddd; background: #121212 }} td, th {{ border-color: #555 }} th {{ background: #2a2a2a }}
.anomaly {{ color: #ff9d5c }} img {{ filter: brightness(.85) }}
}}
@media (max-width: 62rem) {{ td, th {{ padding: .2rem .4rem }} }}
@media (max-width: 40rem) {{
body {{ padding: 0 .3rem }} td, th {{ padding: .15rem .3rem; font-size: .8rem }} h2 {{ font-size: 1.2rem }}
}}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def is_figure(out: Path) -> bool:
    """Tell whether a file is to be a figure rather than a page.

    Raises:
        DetectorError: Its ending is neither ``.html`` nor ``.png``.
    """
    if out.suffix.lower() not in FORMATS:
        raise DetectorError(f"{out}: ends in {out.suffix or 'nothing'}; expected {' or '.join(FORMATS)}")
    return out.suffix.lower() == ".png"


def write_page(title: str, body: str, out: Path) -> None:
    """Write a page with this title and HTML body."""
    write_bytes(_PAGE.format(title=title, body=body).encode("utf-8", "backslashreplace"), out)


def write_bytes(content: bytes, out: Path) -> None:
    """Write a file atomically."""
    with atomic.writing(out) as temporary:
        temporary.write_bytes(content)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Format a table as HTML; columns of numbers are aligned to the right, with their heads, and have minus signs."""
    rows = [[str(cell) for cell in row] for row in rows]
    columns = [[row[number] for row in rows if row[number]] for number in range(len(head))]
    kinds = [' class="number"' if column and all(map(_is_number, column)) else "" for column in columns]
    lines = [
        "<tr>"
        + "".join(
            f"<{tag}{kind}>{html.escape(minus(cell) if kind and tag == 'td' else cell)}</{tag}>"
            for kind, cell in zip(kinds, row, strict=True)
        )
        + "</tr>"
        for tag, row in [("th", head), *(("td", row) for row in rows)]
    ]
    return "<table>" + "".join(lines) + "</table>"


def minus(text: str) -> str:
    """Replace hyphens by minus signs, as in figures."""
    return text.replace("-", "\N{MINUS SIGN}")


def _is_number(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return math.isfinite(float(text))
    return False


def image(picture: bytes, description: str) -> str:
    """Embed a PNG file."""
    source = base64.b64encode(picture).decode()
    return f'<img alt="{html.escape(description)}" src="data:image/png;base64,{source}">'


def player(wave: np.ndarray, rate: int) -> str:
    """Embed a sound, amplified to nearly full scale so that faults of quiet recordings can be heard."""
    stream = io.BytesIO()
    peak = np.abs(wave).max()
    soundfile.write(stream, wave / peak * 0.9 if peak > 0 else wave, rate, format="WAV", subtype="PCM_16")
    return f'<audio controls src="data:audio/wav;base64,{base64.b64encode(stream.getvalue()).decode()}"></audio>'


def png(figure: Figure) -> bytes:
    """Convert a figure to a PNG file, and close it."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    plt.close(figure)
    return stream.getvalue()


def stack(pictures: Sequence[bytes]) -> bytes:
    """Put PNG files below each other in one."""
    arrays = [matplotlib.image.imread(io.BytesIO(picture)) for picture in pictures]
    width = max(array.shape[1] for array in arrays)
    arrays = [np.pad(array, ((0, 0), (0, width - array.shape[1]), (0, 0)), constant_values=1) for array in arrays]
    stream = io.BytesIO()
    matplotlib.image.imsave(stream, np.concatenate(arrays), format="png", origin="upper")  # whatever the style
    return stream.getvalue()
