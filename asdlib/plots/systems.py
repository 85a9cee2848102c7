"""Plot the figures of the experiment on real systems (``benchmarks/real_systems``); in points."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from asdlib.plots.style import WIDTH

COMBINATIONS = {
    "average": ("black", "o", "-"),
    "median": ("0.35", "s", "--"),
    "maximum": ("0.55", "^", ":"),
    "ranking": ("0.35", "D", "-."),
}
"""shade, marker and line of each combination"""
SELECTIONS = ("development", "cross-fitted", "other sections")


def growth(table: pd.DataFrame) -> Figure:
    """Plot the gain of the N best over the best single system, one panel per selection and one line per combination.

    Args:
        table: The gains of one year: columns ``selection, combination, N, effect, low, high``.
    """
    figure, axes = plt.subplots(1, len(SELECTIONS), figsize=(WIDTH, 3.4), sharey=True)
    for axis, selection in zip(axes, SELECTIONS, strict=True):
        part = table[table["selection"] == selection]
        for by, (shade, marker, dashes) in COMBINATIONS.items():
            line = part[part["combination"] == by]
            axis.plot(
                line["N"], 100 * line["effect"], color=shade, marker=marker, linestyle=dashes, markersize=5, label=by
            )
            if by == "average":
                axis.fill_between(
                    line["N"], 100 * line["low"], 100 * line["high"], color=shade, alpha=0.12, linewidth=0
                )
        axis.axhline(0, color="grey", linewidth=0.8)
        ticks = [size for size in (1, 2, 3, 5, 10, 30) if size <= part["N"].max()]
        axis.set(xscale="log", xlabel="N", title=selection)
        axis.set_xticks(ticks, ticks)
        axis.minorticks_off()
        axis.title.set_fontsize("small")
    axes[0].set_ylabel("gain over the best single system in points")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    return figure


def gain_by_offer(table: pd.DataFrame) -> Figure:
    """Plot gain and optimism against the number of available systems.

    Args:
        table: One year: columns ``of, selection, on_offer, effect, block_low, block_high``.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.2), sharex=True)
    lines = {
        ("gain", "development"): (0, "black", "o", "development"),
        ("gain", "cross-fitted"): (0, "0.5", "s", "cross-fitted"),
        ("optimism of chosen", "cross-fitted"): (1, "black", "o", "chosen ensemble"),
        ("optimism of best single", "cross-fitted"): (1, "0.5", "s", "best single system"),
    }
    for (of, selection), (panel, shade, marker, words) in lines.items():
        part, axis = table[(table["of"] == of) & (table["selection"] == selection)], axes[panel]
        axis.plot(part["on_offer"], 100 * part["effect"], color=shade, marker=marker, label=words)
        axis.fill_between(
            part["on_offer"], 100 * part["block_low"], 100 * part["block_high"], color=shade, alpha=0.12, linewidth=0
        )
    axes[0].set_ylabel("percentage points")
    for axis, title in zip(axes, ("gain over the best single", "optimism of the choice"), strict=True):
        ticks = sorted(table["on_offer"].unique())
        axis.axhline(0, color="grey", linewidth=0.8)
        axis.set(xscale="log", xlabel="systems on offer", title=title)
        axis.set_xticks(ticks, ticks)
        axis.minorticks_off()
        low, high = axis.get_ylim()
        axis.set_ylim(low, high + 0.25 * (high - low))  # the legend lies above lines and bands
        axis.legend(fontsize="small", loc="upper left")
    return figure


def pairs(table: pd.DataFrame) -> Figure:
    """Plot the gain of averaging two systems over the better one against their correlation, with one dot per pair.

    Args:
        table: Columns ``correlation, gain, gap``.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.4))
    dots = axis.scatter(
        table["correlation"], 100 * table["gain"], c=100 * table["gap"], cmap="viridis_r", s=22, linewidth=0
    )
    axis.axhline(0, color="grey", linewidth=0.8)
    axis.set(xlabel="rank correlation of two systems within a label", ylabel="gain over the better in points")
    figure.colorbar(dots, ax=axis, label="how much the better leads, in points")
    return figure
