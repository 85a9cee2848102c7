"""Draw scatter plots that answer: a point names its clip on hover, and the book's script plays it on click.

They are SVG in HTML, so they need no library, no server and no other host. Panels that show the same clip share its
name, by which the script lights it up in all of them. Below them is a table for the keyboard and for screen readers.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from asdlib.plots.style import COLOURS

WIDTH, HEIGHT, EDGE = 420, 360, 34
"""of a panel and its margin, in units of the SVG"""


@dataclass(frozen=True)
class Panel:
    """One scatter plot."""

    title: str
    x: str
    """label of the horizontal axis"""
    y: str
    """label of the vertical axis"""
    points: pd.DataFrame
    """columns ``clip, label, domain, split, x, y``"""


def interactive(panels: Sequence[Panel], machine: str) -> str:
    """Return the panels, the line that names the clip, and the table, as HTML.

    Args:
        panels: Scatter plots of clips of one machine type.
        machine: The machine type, in whose folder the script finds the sounds.
    """
    drawings = "".join(_svg(panel) for panel in panels)
    return (
        f'<div class="points" data-machine="{html.escape(machine, quote=True)}">\n'
        f'<div class="panels">{drawings}</div>\n'
        f'{_legend()}\n<p class="now" role="status">Point at a clip to read its name, click to hear it.</p>\n'
        f"{_table(panels)}\n</div>"
    )


def _svg(panel: Panel) -> str:
    places = panel.points[["x", "y"]].to_numpy(dtype=float)
    low, high = np.nanmin(places, axis=0), np.nanmax(places, axis=0)
    unit = (places - low) / np.where(high > low, high - low, 1)
    across = EDGE + unit[:, 0] * (WIDTH - 1.5 * EDGE)
    down = HEIGHT - EDGE - unit[:, 1] * (HEIGHT - 2 * EDGE)
    marks = [_mark(item, x, y) for item, x, y in zip(panel.points.itertuples(), across, down, strict=True)]
    name = html.escape(panel.title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(panel.title, quote=True)}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<text x="{WIDTH / 2}" y="18" text-anchor="middle" class="title">{name}</text>'
        f'<path d="M{EDGE - 8} {EDGE - 8}V{HEIGHT - EDGE + 8}H{WIDTH - EDGE / 2}" fill="none" stroke="#888"/>'
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(panel.x)}</text>'
        f'<text transform="translate(14 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{html.escape(panel.y)}</text>'
        f"{''.join(marks)}</svg>"
    )


def _mark(item, x: float, y: float) -> str:
    """A circle for the source, a triangle for the target; open for training clips; grey for outliers."""
    colour = COLOURS.get(item.label, "#000")
    face = f'fill="{"none" if item.split == "train" else colour}" stroke="{colour}"'
    words = html.escape(_words(item), quote=True)
    clip = html.escape(item.clip, quote=True)
    shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" {face}' if item.domain == "source" else (
        f'<path d="M{x:.1f} {y - 5.5:.1f}l5 9h-10z" {face}'
    )  # fmt: skip
    return f'{shape} data-clip="{clip}"><title>{words}</title></{"circle" if item.domain == "source" else "path"}>'


def _words(item) -> str:
    return f"{item.clip}: {item.label}, {item.domain}, {'training' if item.split == 'train' else 'test'}"


def _legend() -> str:
    parts = [
        ('<circle cx="7" cy="7" r="4.5" fill="{normal}"/>', "normal"),
        ('<circle cx="7" cy="7" r="4.5" fill="{anomaly}"/>', "anomaly"),
        ('<circle cx="7" cy="7" r="4.5" fill="none" stroke="#000"/>', "source"),
        ('<path d="M7 2l5 9h-10z" fill="none" stroke="#000"/>', "target"),
        ('<circle cx="7" cy="7" r="4.5" fill="none" stroke="{normal}"/>', "open: training clip"),
    ]
    items = [
        f'<span><svg viewBox="0 0 14 14" aria-hidden="true">{shape.format(**COLOURS)}</svg>{words}</span>'
        for shape, words in parts
    ]
    return f'<p class="key">{"".join(items)}</p>'


def _table(panels: Sequence[Panel]) -> str:
    keys = ["clip", "label", "domain", "split"]
    wide = None
    for panel in panels:
        part = panel.points[[*keys, "x", "y"]].drop_duplicates("clip").copy()
        part.columns = [*keys, f"{panel.title}: {panel.x}", f"{panel.title}: {panel.y}"]
        wide = part if wide is None else wide.merge(part, on=keys, how="outer")
    heads = "".join(f'<th scope="col"><button type="button">{html.escape(name)}</button></th>' for name in wide.columns)
    rows = []
    for row in wide.itertuples(index=False, name=None):
        numbers = "".join(
            "<td>–</td>" if pd.isna(value) else f'<td data-value="{value:.6g}">{value:.3g}</td>' for value in row[4:]
        )
        words = "".join(f"<td>{html.escape(str(value))}</td>" for value in row[1:4])
        clip = html.escape(row[0], quote=True)
        rows.append(
            f'<tr><th scope="row"><button type="button" data-clip="{clip}">{clip}</button></th>{words}{numbers}</tr>'
        )
    return (
        f"<details><summary>The same {len(wide)} clips as a table, each with a button that plays it</summary>"
        f'<div class="scrolls"><table class="table numbers"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )
