"""Plot the figures of the ensembles and of Table 1 (Sec. 2.3 and 3); fractions are shown in per cent."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import roc_curve

from asdlib.evaluation.rows import BLOCKS, block_of
from asdlib.plots.style import AUTOENCODER, BASELINE, CLASSIFIER, COLOURS, DIFFERENCE, ENSEMBLE

MARKERS = {"": "o", "development": "o", "cross-fitted": "s", "fixed": "^"}
"""marker of each selection; rows that select nothing have the first"""

VERDICTS = {"holds": ("black", "o"), "contradicted": ("black", "X"), "undecided": ("0.55", "s")}
"""shade and marker of each verdict on a claim whose effect was measured"""


MOST = 15
"""systems of each branch that :func:`pool` shows"""


def colour(row: str) -> str:
    """Return the colour of a row of Table 1: of its branch, of ensembles of both, or of baselines."""
    if row.startswith(("AE+BC", "mix")):
        return ENSEMBLE
    return {"AE": AUTOENCODER, "BC": CLASSIFIER}.get(row.partition(" ")[0].removesuffix("+"), BASELINE)


def pool(table: pd.DataFrame) -> Figure:
    """Plot the systems that can be chosen, best first, with one dot per domain; at most :data:`MOST` of each branch.

    Args:
        table: Columns ``system, domain, value``.
    """
    means = table.groupby("system")["value"].mean().sort_values()
    branch = means.index.str.split("/").str[0]
    order = means.groupby(branch).tail(MOST).sort_values().index
    table = table[table["system"].isin(order)]
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.24 * len(order)))
    for domain, part in table.groupby("domain"):
        axis.scatter(100 * part["value"], order.get_indexer(part["system"]), color=COLOURS[domain], label=domain, s=28)
    axis.axvline(50, color="grey", linewidth=0.8)
    axis.set_yticks(range(len(order)), order, fontsize="small")
    for label in axis.get_yticklabels():
        label.set_color("#2F7FAF" if label.get_text().startswith("autoencoder") else "#A8527F")
    words = f"\n(best {MOST} of each branch, of {len(means)})" if len(means) > len(order) else ""
    axis.set(xlabel=f"harmonic mean of AUC and pAUC in %{words}", ylim=(-0.7, len(order) - 0.3))
    axis.legend(loc="lower right")
    return figure


def agreement(table: pd.DataFrame) -> Figure:
    """Plot rank correlations of candidates within a label, averaged over sections, as a map, one panel per label.

    Args:
        table: Columns ``label, first, second, correlation`` (:mod:`asdlib.ensemble.agreement`).
    """
    names = list(dict.fromkeys([*table["first"], *table["second"]]))
    figure, axes = plt.subplots(1, 2, figsize=(8, 2.4 + 0.25 * len(names)), sharey=True)
    size = min(8.0, 48 / len(names))  # points, so that two digits fit into a cell
    for axis, label in zip(axes, ("normal", "anomaly"), strict=True):
        part = table[table["label"] == label]
        both = pd.concat([part, part.rename(columns={"first": "second", "second": "first"})])
        grid = both.pivot_table(index="first", columns="second", values="correlation").reindex(names, columns=names)
        image = axis.imshow(
            np.ma.masked_invalid(grid), cmap=DIFFERENCE, vmin=-1, vmax=1, origin="upper", aspect="equal"
        )
        axis.grid(False)
        axis.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize="x-small")
        axis.set_yticks(range(len(names)), names, fontsize="x-small")
        axis.set_title(f"{label} clips")
        for (i, j), value in np.ndenumerate(grid.to_numpy() if len(names) <= 10 else np.empty((0, 0))):
            if np.isfinite(value):
                shade = "white" if abs(value) > 0.6 else "black"  # on the dark ends of the colour map
                axis.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=size, color=shade)
    figure.colorbar(image, ax=axes, label="rank correlation", shrink=0.7)
    return figure


def branches(table: pd.DataFrame, first: str, second: str) -> Figure:
    """Plot scores of two systems against each other, with one panel per domain and one dot per test clip.

    Args:
        table: Score rows of the two systems.
        first: System on the horizontal axis.
        second: System on the vertical axis.
    """
    keys = ["section", "domain", "clip", "label"]
    test = table[(table["split"] == "test") & (table["label"] != "unknown")]
    wide = test.pivot(index=keys, columns="system", values="score").reset_index()
    domains = list(dict.fromkeys(wide["domain"]))
    figure, axes = plt.subplots(1, len(domains), figsize=(8, 4), squeeze=False, sharex=True, sharey=True)
    for axis, domain in zip(axes[0], domains, strict=True):
        part = wide[wide["domain"] == domain]
        dots = {"hue": "label", "hue_order": ["normal", "anomaly"], "palette": COLOURS, "s": 22, "linewidth": 0}
        sns.scatterplot(
            part, x=first, y=second, style="section", alpha=0.8, ax=axis, legend=axis is axes[0, -1], **dots
        )
        axis.set(title=domain, xlabel=f"{first.rsplit('/', 1)[-1]} score", ylabel=f"{second.rsplit('/', 1)[-1]} score")
    axes[0, -1].legend(fontsize="small")
    return figure


def roc(table: pd.DataFrame, p: float) -> Figure:
    """Plot ROC curves of several systems, one panel per section and domain, with rates below ``p`` shaded.

    Args:
        table: Score rows; the last part of a system's name is the row of Table 1.
        p: Largest false positive rate of pAUC.
    """
    test = table[(table["split"] == "test") & (table["label"] != "unknown")]
    groups = list(test.groupby(["section", "domain"]))
    systems = list(dict.fromkeys(test["system"]))
    across = min(len(groups), 2)
    down = -(-len(groups) // across)
    figure, axes = plt.subplots(down, across, figsize=(8, 0.8 + 3.4 * down), squeeze=False, sharex=True, sharey=True)
    for axis, ((section, domain), part) in zip(axes.flat, groups, strict=False):
        axis.axvspan(0, p, color="0.92")
        axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
        for system in systems:
            clips = part[part["system"] == system]
            alarms, hits, _ = roc_curve(clips["label"] == "anomaly", clips["score"])
            row = system.rsplit("/", 1)[-1]
            axis.plot(alarms, hits, color=colour(row), linestyle="-" if "ensemble" in row else ":", label=row)
        axis.set(title=f"section {section}, {domain}", xlim=(0, 1), ylim=(0, 1.01))
    figure.supxlabel("false positive rate")
    figure.supylabel("true positive rate")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def intervals(table: pd.DataFrame, reference: pd.Series | None = None, words: str = "") -> Figure:
    """Plot the rows of Table 1 at a glance: all machine types, sections and domains, by each selection.

    The paper's rows are above a line, and our extensions below it on grey; a row without a mark was not run.

    Args:
        table: Columns ``row, selection, value, low, high``, one machine and domain only.
        reference: The paper's figure for each row; ``None`` for data that it does not speak of.
        words: What ``reference`` is, for the legend.
    """
    rows = list(dict.fromkeys(table["row"]))[::-1]
    first, second = BLOCKS
    blocks = [block_of(row) for row in rows]
    gap = 0.6 * (len(set(blocks)) > 1)  # between the blocks
    places = {row: place + gap * (block == first) for place, (row, block) in enumerate(zip(rows, blocks, strict=True))}
    figure, axis = plt.subplots(figsize=(6, 1.4 + 0.42 * len(rows)))
    shift = {"": 0.0, "development": 0.22, "cross-fitted": 0.0, "fixed": -0.22}
    selecting = set(table.loc[table["selection"].isin(["development", "fixed"]), "row"])
    shown = table[(table["selection"] != "cross-fitted") | table["row"].isin(selecting)]  # no halves of other rows
    for item in shown.dropna(subset=["value"]).itertuples():
        place = places[item.row] + shift[item.selection]
        axis.plot([100 * item.low, 100 * item.high], [place, place], color=colour(item.row), linewidth=2)
        marker, shade = MARKERS[item.selection], colour(item.row)
        axis.plot(100 * item.value, place, marker, color=shade, markersize=6, markeredgecolor="white")
    for row in sorted(set(rows) - set(table.dropna(subset=["value"])["row"])):
        axis.text(0.01, places[row], "not run", transform=axis.get_yaxis_transform(), va="center", fontsize="small")
    if gap:
        edge = blocks.index(first) - 0.5 + gap
        axis.axhspan(-0.6, edge, color="0.93", zorder=-1)
        axis.axhline(edge, color="black", linewidth=1)
        for title, place in ((first, len(rows) + gap - 0.45), (second, edge - 0.08)):
            axis.text(0.99, place, title, transform=axis.get_yaxis_transform(), ha="right", va="top", fontsize="small")
    handles = [Line2D([], [], marker=MARKERS[s], color="grey", label=s) for s in MARKERS if s]
    if reference is not None:
        there = [row for row in rows if np.isfinite(reference.get(row, np.nan))]
        diamond = {"marker": "D", "linestyle": "", "color": "none", "markeredgecolor": "black", "markersize": 8}
        axis.plot(100 * reference[there], [places[row] for row in there], **diamond)
        handles += [Line2D([], [], label=words, **diamond)] * bool(there)
    axis.axvline(50, color="grey", linewidth=0.8)
    axis.set_yticks(list(places.values()), rows)
    axis.set(xlabel="harmonic mean of AUC and pAUC in %", ylim=(-0.6, len(rows) - 0.4 + gap))
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    return figure


def optimism(table: pd.DataFrame) -> Figure:
    """Plot how much of each row's figure is due to selection, with intervals.

    Args:
        table: Columns ``row, difference, low, high``.
    """
    rows = list(table["row"])[::-1]
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.4 * len(rows)))
    for place, item in enumerate(table.iloc[::-1].itertuples()):
        axis.plot([100 * item.low, 100 * item.high], [place, place], color=colour(item.row), linewidth=2)
        axis.plot(100 * item.difference, place, "o", color=colour(item.row), markeredgecolor="white", markersize=7)
    axis.axvline(0, color="grey", linewidth=0.8)
    axis.set_yticks(range(len(rows)), rows)
    axis.set(xlabel="development minus cross-fitted, in percentage points", ylim=(-0.6, len(rows) - 0.4))
    return figure


def claims(table: pd.DataFrame) -> Figure:
    """Plot each claim's effect with its interval, by verdict, one panel per unit; what was tested stands on the left.

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
    heights = [sum(1.2 + name.count("\n") for name in names[unit]) for unit, _ in panels]
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(6.4, 1.4 + 0.19 * sum(heights)), height_ratios=heights, squeeze=False
    )
    for axis, (unit, part) in zip(axes[:, 0], panels, strict=True):
        scale, words = (1, unit) if "correlation" in unit else (100, "difference in percentage points")
        tall = np.array([1.2 + name.count("\n") for name in names[unit]])
        places = tall.sum() - np.cumsum(tall) + tall / 2
        for place, item in zip(places, part.itertuples(), strict=True):
            shade, marker = VERDICTS.get(item.verdict, VERDICTS["undecided"])
            axis.plot([scale * item.low, scale * item.high], [place, place], color=shade, linewidth=2)
            axis.plot(scale * item.effect, place, marker, color=shade, markeredgecolor="white", markersize=9)
        axis.axvline(0, color="grey", linewidth=0.8)
        axis.set_yticks(places, names[unit], fontsize="x-small")
        axis.set(ylim=(0, tall.sum()))
        axis.set_xlabel(words, fontsize="small")
    handles = [
        Line2D([], [], color=shade, marker=marker, linestyle="", label=verdict)
        for verdict, (shade, marker) in VERDICTS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize="small")
    return figure


def _claim(item) -> str:
    """The verdict on a claim and what was tested, in lines that fit next to a narrow panel."""
    test = item.test.removesuffix(", all machine types").replace("AE+BC ensemble ", "").split(" (minus their")[0]
    return textwrap.fill(f"{item.verdict.upper()}: {test.partition('; ')[0]}", 40)


def false_alarms(table: pd.DataFrame) -> Figure:
    """Plot rates of false alarms on normal test clips with their stated intervals, one panel per domain.

    Args:
        table: Columns ``row, machine, section, domain, aim, stated_low, stated_high, false_alarms``
            (:mod:`asdlib.evaluation.false_alarms`).
    """
    domains = list(dict.fromkeys(table["domain"]))
    rows = list(dict.fromkeys(table["row"]))[::-1]
    figure, axes = plt.subplots(
        1, len(domains), figsize=(8, 1.6 + 0.55 * len(rows)), squeeze=False, sharex=True, sharey=True
    )
    for axis, domain in zip(axes[0], domains, strict=True):
        part = table[table["domain"] == domain]
        places = {row: np.linspace(-0.3, 0.3, max((part["row"] == row).sum(), 2)) for row in rows}
        counts = dict.fromkeys(rows, 0)
        for item in part.itertuples():
            place = rows.index(item.row) - places[item.row][counts[item.row]]
            counts[item.row] += 1
            axis.plot([100 * item.stated_low, 100 * item.stated_high], [place, place], color="0.7", linewidth=2)
            axis.plot(100 * item.false_alarms, place, "o", color=colour(item.row), markersize=4)
        axis.axvline(100 * table["aim"].iloc[0], color="black", linewidth=0.8, linestyle="--")
        axis.set(title=domain, xlabel="false alarms in %", xlim=(-2, 102), ylim=(-0.6, len(rows) - 0.4))
        axis.set_yticks(range(len(rows)), rows)
    handles = [
        Line2D([], [], color="0.7", linewidth=2, label="stated interval"),
        Line2D([], [], color="grey", marker="o", linestyle="", label="measured, a dot per section"),
        Line2D([], [], color="black", linewidth=0.8, linestyle="--", label="aimed at"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize="small")
    return figure


def audit(table: pd.DataFrame) -> Figure:
    """Plot the printed "all" of each row next to the value that follows from its cells.

    Args:
        table: Columns ``row, printed, from_cells, arithmetic`` (:func:`asdlib.evaluation.paper.audit`).
    """
    rows = list(table["row"])[::-1]
    figure, axis = plt.subplots(figsize=(8, 1.4 + 0.4 * len(rows)))
    for place, item in enumerate(table.iloc[::-1].itertuples()):
        axis.plot([100 * item.from_cells, 100 * item.printed], [place, place], color="0.7", linewidth=2, zorder=0)
    shapes = {
        "printed": ("D", "black", "as printed"),
        "from_cells": ("o", "0.55", "harmonic mean of the printed cells"),
        "arithmetic": ("|", "black", "their arithmetic mean (upper bound)"),
    }
    for column, (marker, shade, words) in shapes.items():
        values = 100 * table[column].to_numpy()[::-1]
        axis.scatter(values, range(len(rows)), marker=marker, color=shade, label=words, s=48)
    axis.set_yticks(range(len(rows)), rows)
    axis.set(xlabel="all machine types, in %", ylim=(-0.6, len(rows) - 0.4))
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize="small")
    return figure


def ablations(table: pd.DataFrame) -> Figure:
    """Differences that changed settings make, a dot for the mean over seeds and a line for its interval over clips.

    Args:
        table: One branch and one domain of :func:`asdlib.evaluation.ablations.over_seeds`.
    """
    names = table["candidate"] + ", " + table["variant"]
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.26 * len(table)))
    heights, shade = np.arange(len(table))[::-1], colour(_SHORT[table["branch"].iat[0]])
    axis.axvline(0, color="grey", linewidth=0.8)
    axis.hlines(heights, 100 * table["low"], 100 * table["high"], color=shade)
    axis.scatter(100 * table["difference"], heights, color=shade, zorder=3)
    axis.set_yticks(heights, names, fontsize="small")
    axis.set(xlabel="difference in percentage points", ylim=(-0.7, len(table) - 0.3))
    return figure


_SHORT = {"autoencoder": "AE", "classifier": "BC"}


def copies(table: pd.DataFrame) -> Figure:
    """Plot the gain of more masked copies of a clip; 0 is without masking (Sec. 2.1).

    Args:
        table: Columns ``copies, variant, value, deviation``, fractions; the deviation is over seeds.
    """
    figure, axis = plt.subplots(figsize=(6, 3.2))
    for number, (variant, part) in enumerate(table.sort_values("copies").groupby("variant", sort=False)):
        axis.errorbar(
            part["copies"].astype(str).replace("0", "no masking"),
            100 * part["value"],
            100 * part["deviation"],
            marker="os"[number % 2],
            linestyle="-:"[number % 2],
            capsize=3,
            label=variant,
        )
    axis.set(xlabel="masked copies at inference", ylabel="harmonic mean in %")
    axis.legend()
    return figure
