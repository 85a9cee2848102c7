"""Draw scatter plots that answer: a point names its clip on hover, and the book's script plays it on click.

They are SVG in HTML, so they need no library, no server and no other host. Panels that show the same clip share its
name, by which the script lights it up in all of them. Below them is a table for the keyboard and for screen readers.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from asdlib.evaluation.render import typeset
from asdlib.plots.style import COLOURS

WIDTH, HEIGHT = 320, 300
"""of a panel in units of the SVG; a phone shows them as pixels, so letters keep their size"""
LEFT, RIGHT, TOP, BOTTOM = 54, 308, 30, 256
"""ends of the axes"""


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
    ends: tuple[float, float] | None = None
    """both axes have these ends, and a diagonal; None: axes as long as the points need, without a diagonal"""


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
    points = panel.points.sort_values("label", ascending=False, kind="stable")  # anomalies last, so on top
    across, columns = _axis(points["x"], panel.ends, LEFT, RIGHT)
    down, rows = _axis(points["y"], panel.ends, BOTTOM, TOP)
    marks = [_mark(item, x, y) for item, x, y in zip(points.itertuples(), across, down, strict=True)]
    grid = [f"M{x} {TOP}V{BOTTOM}" for x in columns] + [f"M{LEFT} {y}H{RIGHT}" for y in rows]
    numbers = [_text(x, BOTTOM + 16, number) for x, number in columns.items()]
    numbers += [_text(LEFT - 6, y + 4, number, "end") for y, number in rows.items()]
    diagonal = f'<path d="M{LEFT} {BOTTOM}L{RIGHT} {TOP}" stroke="#444" stroke-dasharray="4 4"/>' if panel.ends else ""
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(panel.title, quote=True)}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/><path d="{"".join(grid)}" stroke="#ddd"/>{diagonal}'
        f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="#888"/>{"".join(numbers)}'
        f"{_text(WIDTH / 2, 18, panel.title)}{_text((LEFT + RIGHT) / 2, HEIGHT - 8, panel.x)}"
        f'<g transform="translate(14 {(TOP + BOTTOM) / 2}) rotate(-90)">{_text(0, 0, panel.y)}</g>'
        f"{''.join(marks)}</svg>"
    )


def _axis(
    values: pd.Series, ends: tuple[float, float] | None, first: float, last: float
) -> tuple[np.ndarray, dict[float, str]]:
    """Place values on an axis from ``first`` to ``last``; return the places, and the text at each place of a tick."""
    low, high = ends or (values.min(), values.max())
    gap = 0 if ends else 0.04 * (high - low) or 1.0
    low, high = low - gap, high + gap
    ticks = [tick for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    places = np.interp([*values, *ticks], [low, high], [first, last])
    texts = [f"{tick:g}".replace("-", "−") for tick in ticks]
    return places[: len(values)], dict(zip(places[len(values) :].round(1).tolist(), texts, strict=True))


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{html.escape(words)}</text>'


def _mark(item, x: float, y: float) -> str:
    """A circle for the source, a triangle for the target; open for training clips; grey for outliers."""
    colour = COLOURS.get(item.label, "#000")
    face = f'fill="{"none" if item.split == "train" else colour}" stroke="{colour}"'
    words = html.escape(_words(item), quote=True)
    clip = html.escape(item.clip, quote=True)
    shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {face}' if item.domain == "source" else (
        f'<path d="M{x:.1f} {y - 5:.1f}l4.5 8h-9z" {face}'
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
            "<td>–</td>" if pd.isna(value) else f'<td data-value="{value:.6g}">{typeset(f"{value:.2f}")}</td>'
            for value in row[4:]
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
