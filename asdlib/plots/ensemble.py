"""Plot the figures of the ensembles (Sec. 2.3); fractions are shown in per cent."""

from collections.abc import Collection

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from asdlib import metrics
from asdlib.ensemble.combine import rank
from asdlib.plots.style import COLOURS, DIFFERENCE, WIDTH, colour

MOST = 15
"""systems of each branch that :func:`pool` shows"""
SHORT = {"autoencoder/": "AE ", "classifier/": "BC "}
"""names of the branches in labels, as in Table 1, so that the marks have room on a phone"""


def pool(table: pd.DataFrame, extensions: Collection[str]) -> Figure:
    """Plot the systems that can be chosen, best first, with one dot per domain; at most :data:`MOST` of each branch.

    Args:
        table: Columns ``system, domain, value``.
        extensions: Systems that the paper lacks, marked by a plus as in Table 1.
    """
    means = table.groupby("system")["value"].mean().sort_values()
    branch = means.index.str.split("/").str[0]
    order = means.groupby(branch).tail(MOST).sort_values().index
    table = table[table["system"].isin(order)]
    figure, axis = plt.subplots(figsize=(WIDTH, 1.2 + 0.24 * len(order)))
    for domain, part in table.groupby("domain"):
        axis.scatter(100 * part["value"], order.get_indexer(part["system"]), color=COLOURS[domain], label=domain, s=28)
    axis.axvline(50, color="grey", linewidth=0.8)
    names = [f"{_short(system)} +" if system in extensions else _short(system) for system in order]
    axis.set_yticks(range(len(order)), names)
    words = f"\n(best {MOST} of each branch, of {len(means)})" if len(means) > len(order) else ""
    axis.set(ylim=(-0.7, len(order) - 0.3))
    figure.supxlabel(f"harmonic mean of AUC and pAUC in %{words}", fontsize="medium")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def agreement(table: pd.DataFrame) -> Figure:
    """Plot rank correlations of candidates within a label, averaged over sections, as a map, one below the other.

    Rows have names and numbers, columns numbers only, so that the letters are large enough for a phone.

    Args:
        table: Columns ``label, first, second, correlation`` (:mod:`asdlib.ensemble.agreement`).
    """
    names = list(dict.fromkeys([*table["first"], *table["second"]]))
    few = len(names) <= 10  # so that two digits can be read in each cell
    numbers = [str(number) for number in range(1, len(names) + 1)]
    labels = [f"{_short(name)}  {number}" for name, number in zip(names, numbers, strict=True)]
    labels = [label.replace("/", "/\n") if few else label for label in labels]
    side = 0.42 * len(names) if few else 4.0
    figure, axes = plt.subplots(2, 1, figsize=(side + 1.7, 2 * side + 1.6), sharex=True)
    for axis, label in zip(axes, ("normal", "anomaly"), strict=True):
        part = table[table["label"] == label]
        both = pd.concat([part, part.rename(columns={"first": "second", "second": "first"})])
        grid = both.pivot_table(index="first", columns="second", values="correlation").reindex(names, columns=names)
        image = axis.imshow(np.ma.masked_invalid(grid), cmap=DIFFERENCE, vmin=-1, vmax=1, origin="upper")
        axis.grid(False)
        axis.set_xticks(range(len(names)), numbers)
        axis.set_yticks(range(len(names)), labels, fontsize="small" if few else "xx-small")
        axis.tick_params(labelbottom=True)
        axis.set_title({"normal": "normal clips", "anomaly": "anomalous clips"}[label])
        for (i, j), value in np.ndenumerate(grid.to_numpy() if few else np.empty((0, 0))):
            if np.isfinite(value):
                shade = "white" if abs(value) > 0.6 else "black"  # on the dark ends of the colour map
                axis.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=9, color=shade)
    figure.colorbar(image, ax=axes, label="rank correlation", location="bottom", shrink=0.8, aspect=30)
    return figure


def _short(system: str) -> str:
    """A system's name with its branch as in Table 1: ``AE base/median``."""
    branch = next((name for name in SHORT if system.startswith(name)), "")
    return SHORT.get(branch, "") + system.removeprefix(branch)


def branches(table: pd.DataFrame, first: str, second: str) -> Figure:
    """Plot ranks of clips by two systems against each other, with one panel per domain and one dot per test clip.

    A rank is the share of the test clips of the same section and domain that score lower.

    Args:
        table: Score rows of the two systems.
        first: System on the horizontal axis.
        second: System on the vertical axis.
    """
    keys = ["section", "domain", "clip", "label"]
    test = metrics.labelled(table)
    scores = test.groupby(["system", "section", "domain"])["score"]
    test = test.assign(rank=100 * scores.transform(lambda part: rank(part.to_numpy())))
    wide = test.pivot(index=keys, columns="system", values="rank").reset_index()
    domains = list(dict.fromkeys(wide["domain"]))
    figure, axes = plt.subplots(1, len(domains), figsize=(WIDTH, 3.5), squeeze=False, sharex=True, sharey=True)
    for axis, domain in zip(axes[0], domains, strict=True):
        part = wide[wide["domain"] == domain]
        dots = {"hue": "label", "hue_order": ["normal", "anomaly"], "palette": COLOURS, "s": 22, "linewidth": 0}
        sns.scatterplot(
            part, x=first, y=second, style="section", alpha=0.8, ax=axis, legend=axis is axes[0, -1], **dots
        )
        axis.plot([0, 100], [0, 100], color="grey", linestyle="--", linewidth=1, zorder=0)
        across, down = (f"rank by {system.rpartition('/')[2]} in %" for system in (first, second))
        axis.set(title=domain, xlabel=across, ylabel=down, aspect="equal")
    handles = axes[0, -1].get_legend_handles_labels()
    axes[0, -1].get_legend().remove()
    figure.legend(*handles, loc="outside upper center", ncols=3, fontsize="small", frameon=False)
    return figure


def roc(table: pd.DataFrame, p: float) -> Figure:
    """Plot ROC curves of several systems, one panel per section and domain, with rates below ``p`` shaded.

    Args:
        table: Score rows; the last part of a system's name is the row of Table 1.
        p: Largest false positive rate of pAUC.
    """
    test = metrics.labelled(table)
    groups = list(test.groupby(["section", "domain"]))
    systems = list(dict.fromkeys(test["system"]))
    across = min(len(groups), 2)
    down = -(-len(groups) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(WIDTH, 0.9 + 2.5 * down), squeeze=False, sharex=True, sharey=True
    )
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
