"""Plot the figures of Table 1 (Sec. 3); fractions are shown in per cent."""

import re
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from asdlib.evaluation.rows import BLOCKS, block_of
from asdlib.plots.style import WIDTH, colour

MARKERS = {"": "P", "development": "o", "cross-fitted": "s", "fixed": "^"}
"""marker of each selection; rows that select nothing have the first"""
ORDER = ["development", "cross-fitted", "fixed", ""]
"""of the marks of a row, from above"""
NO_CHOICE = {"markersize": 10, "markeredgecolor": "black"}
"""what keeps the mark of rows that select nothing visible on a phone, since most of them are grey"""
DIAMOND = {"marker": "D", "linestyle": "", "color": "none", "markeredgecolor": "black", "markersize": 8}
"""mark of a figure to compare with"""
NARROW, LINE = 4.2, 0.17
"""width of a figure whose names stand above the marks, and height of its lines of text, in inches"""
PARTS = {"AE": "autoencoder", "BC": "classifier", "mix": "both", "Mahalanobis": "neither"}
"""a row of each colour, and what the colour stands for"""

VERDICTS = {"holds": ("black", "o"), "contradicted": ("black", "X"), "undecided": ("0.55", "s")}
"""shade and marker of each verdict on a claim whose effect was measured"""


def intervals(table: pd.DataFrame, reference: pd.Series | None = None, words: str = "") -> Figure:
    """Plot the rows of Table 1 at a glance: all machine types, sections and domains, by each selection.

    The paper's rows are above, and our extensions below on grey; each block begins with its best row. Names stand above
    the marks of their rows, so that a phone shows all of the figure in letters that can be read.

    Args:
        table: Columns ``row, selection, value, low, high``, one machine and domain only.
        reference: The paper's figure for each row; ``None`` for data that it does not speak of.
        words: What ``reference`` is, for the legend.
    """
    rows = list(dict.fromkeys(table["row"]))
    selecting = set(table.loc[table["selection"].isin(["development", "fixed"]), "row"])
    shown = table[(table["selection"] != "cross-fitted") | table["row"].isin(selecting)]  # no halves of other rows
    shown = shown.dropna(subset=["value"])
    titles = {block: _best(table, block) for block in dict.fromkeys(map(block_of, rows))}
    lines = sum(2.1 + 1.3 * (row in selecting) for row in rows) + sum(
        1.5 + text.count("\n") for text in titles.values()
    )
    figure, axis = plt.subplots(figsize=(NARROW, 1.2 + LINE * lines))
    top = 0.0
    for block, title in titles.items():
        shade, start = "white" if block == next(iter(BLOCKS)) else "0.93", top
        _write(axis, top, title, shade, weight="bold")
        top -= 1.5 + title.count("\n")
        for row in (row for row in rows if block_of(row) == block):
            part = shown[shown["row"] == row].sort_values("selection", key=lambda names: names.map(ORDER.index))
            _write(axis, top, row if len(part) else f"{row}: not run", shade)
            places = top - 1.5 - 0.65 * np.arange(len(part))
            for place, item in zip(places, part.itertuples(), strict=True):
                axis.plot([100 * item.low, 100 * item.high], [place, place], color=colour(row), linewidth=2)
                edge = {"markersize": 7, "markeredgecolor": "white"} if item.selection else NO_CHOICE
                axis.plot(100 * item.value, place, MARKERS[item.selection], color=colour(row), **edge)
            if reference is not None and len(part) and np.isfinite(reference.get(row, np.nan)):
                axis.plot(100 * reference[row], places.mean(), **DIAMOND)
            top -= 2.1 + 1.3 * (row in selecting)
            axis.axhline(top, color="0.8", linewidth=0.8)
        axis.axhspan(top, start, color=shade, zorder=-1)
    known = [name for name in MARKERS if name in set(shown["selection"])]
    handles = [
        Line2D([], [], marker=MARKERS[s], ls="", color="grey", label=s or "selects nothing", **({} if s else NO_CHOICE))
        for s in known
    ]
    if reference is not None and np.isfinite(reference.reindex(rows)).any():
        handles.append(Line2D([], [], label=words, **DIAMOND))
    handles += [Line2D([], [], color=colour(row), linewidth=4, label=words) for row, words in PARTS.items()]
    axis.axvline(50, color="grey", linewidth=0.8)
    axis.set_yticks([])
    axis.set(ylim=(top, 0))
    axis.set_xlabel("harmonic mean of AUC and pAUC in %", fontsize="small")
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize="x-small")
    return figure


def _best(table: pd.DataFrame, block: str) -> str:
    """The title of a block of rows and its best row by *cross-fitted*, where one was run, in lines for a phone."""
    part = table[(table["selection"] == "cross-fitted") & (table["row"].map(block_of) == block)]
    if part["value"].isna().all():
        return block
    best = part.loc[part["value"].idxmax()]
    return f"{block}\nbest, cross-fitted: {best['row']}, {100 * best['value']:.1f} %"


def _write(axis: Axes, top: float, text: str, shade: str, **options) -> None:
    """Write lines of text at the left edge of a panel below ``top``, on the shade of the panel."""
    box = {"color": shade, "pad": 1}
    place = {"transform": axis.get_yaxis_transform(), "va": "top", "bbox": box}
    axis.text(0.01, top - 0.25, text, fontsize="small", **place, **options)


def optimism(table: pd.DataFrame) -> Figure:
    """Plot how much of each row's figure is due to selection, as bars: there is no interval.

    The paper's rows are above a line, and our extensions below it.

    Args:
        table: Columns ``row, difference``.
    """
    rows = list(table["row"])[::-1]
    figure, axis = plt.subplots(figsize=(WIDTH, 1 + 0.3 * len(rows)))
    axis.barh(range(len(rows)), 100 * table["difference"].to_numpy()[::-1], color=[colour(row) for row in rows])
    axis.axvline(0, color="grey", linewidth=0.8)
    if extensions := sum(block_of(row) != next(iter(BLOCKS)) for row in rows):
        axis.axhline(extensions - 0.5, color="black", linewidth=1)
    axis.set_yticks(range(len(rows)), rows)
    axis.set(xlabel="development minus cross-fitted, in percentage points", ylim=(-0.6, len(rows) - 0.4))
    return figure


def claims(table: pd.DataFrame) -> Figure:
    """Plot each claim's effect with its interval, by verdict, one panel per unit; what was tested stands above each.

    Args:
        table: Columns ``test, unit, effect, low, high, verdict`` (:mod:`asdlib.evaluation.claims`); what is arithmetic
            of the printed table is left out.
    """
    table = table.dropna(subset=["effect"])
    table = table[table["unit"] != "arithmetic"].drop_duplicates("test")
    order = {verdict: place for place, verdict in enumerate(VERDICTS)}
    table = table.sort_values("verdict", key=lambda words: words.map(order), kind="stable")
    panels = list(table.groupby("unit", sort=False))
    names = {unit: [_claim(item) for item in part.itertuples()] for unit, part in panels}
    heights = [sum(2.9 + name.count("\n") for name in names[unit]) for unit, _ in panels]  # lines of text
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(5, 1.2 + 0.5 * len(panels) + 0.19 * sum(heights)), height_ratios=heights, squeeze=False
    )
    for axis, (unit, part) in zip(axes[:, 0], panels, strict=True):
        scale, words = (1, unit) if "correlation" in unit else (100, "difference in percentage points")
        top = 0.0
        for name, item in zip(names[unit], part.itertuples(), strict=True):
            _write(axis, top, name, "white")
            place = top - 2 - name.count("\n")
            top = place - 0.9
            shade, marker = VERDICTS.get(item.verdict, VERDICTS["undecided"])
            axis.plot([scale * item.low, scale * item.high], [place, place], color=shade, linewidth=2)
            axis.plot(scale * item.effect, place, marker, color=shade, markeredgecolor="white", markersize=9)
            axis.axhline(top, color="0.8", linewidth=0.8)
        axis.axvline(0, color="grey", linewidth=0.8)
        axis.set_yticks([])
        axis.set(ylim=(top, 0.2))
        axis.set_xlabel(words, fontsize="small")
    handles = [
        Line2D([], [], color=shade, marker=marker, linestyle="", label=verdict)
        for verdict, (shade, marker) in VERDICTS.items()
        if (table["verdict"] == verdict).any()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize="small")
    return figure


def _claim(item) -> str:
    """The verdict on a claim and what was tested, in lines as wide as a panel."""
    test = item.test.removesuffix(", all machine types").split(" (minus their")[0]
    test = re.sub(r"AE\+BC ensemble \((mix|max)\)", r"\1", test)
    return textwrap.fill(f"{item.verdict.upper()}: {test.partition('; ')[0]}", 52)


def false_alarms(table: pd.DataFrame) -> Figure:
    """Plot rates of false alarms on normal test clips with their stated intervals, one panel per domain.

    Args:
        table: Columns ``row, machine, section, domain, aim, stated_low, stated_high, false_alarms``
            (:mod:`asdlib.evaluation.false_alarms`).
    """
    domains = list(dict.fromkeys(table["domain"]))
    rows = list(dict.fromkeys(table["row"]))[::-1]
    figure, axes = plt.subplots(
        1, len(domains), figsize=(WIDTH, 1.6 + 0.5 * len(rows)), squeeze=False, sharex=True, sharey=True
    )
    for axis, domain in zip(axes[0], domains, strict=True):
        part = table[table["domain"] == domain]
        places = {row: np.linspace(-0.3, 0.3, max((part["row"] == row).sum(), 2)) for row in rows}
        counts = dict.fromkeys(rows, 0)
        for item in part.itertuples():
            place = rows.index(item.row) - places[item.row][counts[item.row]]
            counts[item.row] += 1
            axis.plot([100 * item.stated_low, 100 * item.stated_high], [place, place], color="0.7", linewidth=2)
            axis.plot(
                100 * item.false_alarms, place, "o", color=colour(item.row), markersize=5, markeredgecolor="black"
            )
        axis.axvline(100 * table["aim"].iloc[0], color="black", linewidth=0.8, linestyle="--")
        axis.set(title=domain, xlabel="false alarms in %", xlim=(-2, 102), ylim=(-0.6, len(rows) - 0.4))
        axis.set_yticks(range(len(rows)), rows)
    handles = [
        Line2D([], [], color="0.7", linewidth=2, label="stated interval"),
        Line2D(
            [], [], color="grey", marker="o", markeredgecolor="black", linestyle="", label="measured, a dot per section"
        ),
        Line2D([], [], color="black", linewidth=0.8, linestyle="--", label="aimed at"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize="small")
    return figure


def audit(table: pd.DataFrame) -> Figure:
    """Plot the printed "all" of each row next to the value that follows from its cells.

    Args:
        table: Columns ``row, printed, from_cells, without_toys`` (:func:`asdlib.evaluation.paper.audit`).
    """
    rows = list(table["row"])[::-1]
    figure, axis = plt.subplots(figsize=(WIDTH, 1.4 + 0.32 * len(rows)))
    for place, item in enumerate(table.iloc[::-1].itertuples()):
        axis.plot([100 * item.from_cells, 100 * item.printed], [place, place], color="0.7", linewidth=2, zorder=0)
    shapes = {
        "printed": ("D", "black", 48, "as printed"),
        "from_cells": ("o", "0.55", 48, "from all 14 printed cells"),
        "without_toys": ("|", "black", 300, "from the 10 without ToyCar and ToyTrain"),
    }
    for column, (marker, shade, size, words) in shapes.items():
        values = 100 * table[column].to_numpy()[::-1]
        axis.scatter(values, range(len(rows)), marker=marker, color=shade, label=words, s=size)
    axis.set_yticks(range(len(rows)), rows)
    axis.set(xlabel="all machine types, in %", ylim=(-0.6, len(rows) - 0.4))
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize="small")
    return figure
