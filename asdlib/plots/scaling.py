"""Plot the cost of the computations."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from asdlib.plots.style import WIDTH, label_log


def growth(table: pd.DataFrame) -> Figure:
    """Plot seconds over size with a line of proportional growth, one panel per kind of work, on logarithmic axes.

    Args:
        table: Columns ``work, size, seconds``, one row per repeat.
    """
    works = list(dict.fromkeys(table["work"]))
    figure, axes = plt.subplots(1, len(works), figsize=(WIDTH, 2.6), squeeze=False)
    for axis, work in zip(axes[0], works, strict=True):
        part = table[table["work"] == work]
        sizes = np.unique(part["size"])
        first = part.loc[part["size"] == sizes[0], "seconds"].median()
        axis.plot(sizes, first * sizes / sizes[0], color="grey", linestyle="--")
        axis.scatter(part["size"], part["seconds"], color="black")
        counted, _, what = work.partition(": ")
        axis.set(xscale="log", yscale="log")
        axis.set_title(textwrap.fill(what, 16), fontsize=9)
        axis.set_xlabel(textwrap.fill(counted, 16), fontsize=9)
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.xaxis.set_minor_formatter(NullFormatter())
        label_log(axis.yaxis)
    axes[0, 0].set_ylabel("seconds")
    return figure
