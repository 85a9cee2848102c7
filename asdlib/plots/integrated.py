"""Plot the one network per machine type: its losses, the parts of its score, its embeddings."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator, StrMethodFormatter

from asdlib.integrated.losses import NAMES
from asdlib.integrated.scorer import PARTS
from asdlib.plots.style import BASELINE, LABELS, WIDTH, boxes

_MARKERS = "o^sDvP"
"""one per section"""
_TICKS = (-100, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 50, 100, 1000)
"""of an axis of z-scores"""


def losses(history: pd.DataFrame) -> Figure:
    """Plot each loss of every step, before it is weighted, one panel per loss.

    Args:
        history: ``history.csv``, in which the loss ``section`` may be text, as a column of that name is elsewhere.
    """
    figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 3.8), sharex=True)
    for axis, name in zip(axes.flat, NAMES, strict=True):
        axis.plot(history["step"], history[name].astype(float), color=BASELINE, linewidth=1)
        axis.set(title=name)
    figure.supxlabel("step", fontsize="medium")
    figure.supylabel("loss", fontsize="medium")
    return figure


def parts(table: pd.DataFrame) -> Figure:
    """Plot the z-scores of test clips in each part of the score, one panel per part, by domain and label.

    All panels share one axis, linear between -1 and 1 and logarithmic beyond, since the parts spread very differently.
    Clips beyond the whiskers (5th and 95th percentile) are not drawn.

    Args:
        table: ``parts.csv``.
    """
    test, names = table[table["split"] == "test"], [name for name in PARTS if name in table]
    across = min(len(names), 2)
    figure, axes = plt.subplots(
        -(-len(names) // across), across, figsize=(WIDTH, 4.8), sharex=True, sharey=True, squeeze=False
    )
    for axis, name in zip(axes.flat, names, strict=False):
        for position, (domain, label) in enumerate((d, k) for d in ("source", "target") for k in ("normal", "anomaly")):
            chosen = test[(test["domain"] == domain) & (test["label"] == label)]
            boxes(axis, [chosen[name]], [position], 0.6, LABELS[label], showfliers=False)
        axis.set(title=name.replace("_", " "), xticks=[0.5, 2.5], xticklabels=["source", "target"])
        axis.axhline(0, color="black", linewidth=0.8)
    axis.set_yscale("symlog", linthresh=1)
    low, high = axis.get_ylim()
    axis.set_yticks([tick for tick in _TICKS if low <= tick <= high])
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_locator(NullLocator())
    figure.supylabel("z-score by held-out clips", fontsize="medium")
    handles = [Patch(facecolor=colour, edgecolor="black", label=label) for label, colour in LABELS.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    return figure


def embeddings(table: pd.DataFrame) -> Figure:
    """Plot the embeddings on their two directions of largest variance, one panel per domain.

    The colour is the label and the shape the section, whose number stands at the mean of its normal clips.

    Args:
        table: ``embeddings.csv``.
    """
    vectors = table.filter(regex=r"^e\d+$").to_numpy()
    centred = vectors - vectors.mean(0)
    points = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharex=True, sharey=True)
    markers = {name: _MARKERS[index % len(_MARKERS)] for index, name in enumerate(sorted(set(table["section"])))}
    for axis, domain in zip(axes, ("source", "target"), strict=True):
        for section, marker in markers.items():
            for label, colour in LABELS.items():
                chosen = (table["section"] == section) & (table["domain"] == domain) & (table["label"] == label)
                clips = points[chosen.to_numpy()]
                axis.scatter(*clips.T, s=20, marker=marker, color=colour, alpha=0.7, linewidth=0)
                if label == "normal" and len(clips):
                    box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "black", "alpha": 0.8}
                    axis.text(*clips.mean(0), section, ha="center", va="center", bbox=box)
        axis.set(title=domain, xlabel="first principal component")
    axes[0].set_ylabel("second principal component")
    handles = [Patch(facecolor=colour, label=label) for label, colour in LABELS.items()] + [
        Line2D([], [], linestyle="", marker=marker, color="black", label=f"section {section}")
        for section, marker in markers.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False)
    return figure
