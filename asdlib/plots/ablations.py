"""Plot the effects of changed settings and of other scores; fractions are shown in per cent."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asdlib import origin
from asdlib.plots.style import colour

_SHORT = {"autoencoder": "AE", "classifier": "BC"}
_ROW, _HEAD = 0.37, 0.65  # inches; of a row, and of a panel's title and axis
_LETTERS = 27
"""characters of a line of a label"""


def ablations(table: pd.DataFrame) -> Figure:
    """Plot differences: a mark for the mean over seeds, a line for its interval over clips.

    The upper panel has other scores of the first candidate, the lower one other settings, which have a row each with
    both scores. A filled circle is a score of the paper, an open square one of ours.

    Args:
        table: One branch and one domain of :func:`asdlib.evaluation.ablations.over_seeds`, with a further column
            ``words``, the labels of the rows.
    """
    parts = [table[table["change"] == ""], table[table["change"] != ""]]
    counts = [part["words"].nunique() for part in parts]
    heights = [_HEAD + _ROW * count for count in counts]
    figure, axes = plt.subplots(2, 1, figsize=(4.4, sum(heights) + 0.4), height_ratios=heights)
    branch = table["branch"].iat[0]
    shade = colour(_SHORT[branch])
    _marks(axes[0], parts[0], shade)
    _marks(axes[1], parts[1], shade)
    axes[0].set_title(f"another score, minus {parts[0]['than'].iat[0].rpartition('/')[2]}", fontsize=9)
    axes[1].set_title("another setting, minus base", fontsize=9)
    axes[1].set_xlabel("difference in percentage points", fontsize=9)
    look = {"linestyle": "", "color": shade}
    handles = [axes[0].plot([], [], **look, **_shape(ours))[0] for ours in (False, True)]
    words = ["a score of the paper", "a score of ours"]
    figure.legend(handles, words, loc="outside upper center", ncols=2, frameon=False, fontsize="small")
    return figure


def _marks(axis: Axes, part: pd.DataFrame, shade: str) -> None:
    """Draw the rows of one panel; scores that share a row lie above each other."""
    rows = {words: -number for number, words in enumerate(dict.fromkeys(part["words"]))}
    axis.axvline(0, color="black", linewidth=1)
    for words, group in part.groupby("words", sort=False):
        origins = [origin.of_variant(item.branch, item.variant) == origin.EXTENSION for item in group.itertuples()]
        for number, (ours, item) in enumerate(sorted(zip(origins, group.itertuples(), strict=True))):
            height = rows[words] + 0.17 * (len(group) - 1) - 0.34 * number
            axis.hlines(height, 100 * item.low, 100 * item.high, color=shade)
            axis.plot([100 * item.difference], [height], color=shade, **_shape(ours))
    labels = [textwrap.fill(words, _LETTERS) for words in rows]
    axis.set_yticks(list(rows.values()), labels, fontsize=9, linespacing=0.95)
    axis.set_ylim(-len(rows) + 0.4, 0.6)
    axis.tick_params(axis="x", labelsize=9)


def _shape(ours: bool) -> dict:
    """How marks of our scores differ from those of the paper's."""
    return {"marker": "s", "markerfacecolor": "white", "markersize": 5} if ours else {"marker": "o", "markersize": 5}


def copies(table: pd.DataFrame) -> Figure:
    """Plot what the number of masked copies of a clip changes (Sec. 2.1), one panel per score, on one scale.

    Args:
        table: Columns ``copies, variant, difference, low, high``, fractions; ``low`` to ``high`` is the interval of the
            difference from the usual number of copies, which is on the dashed line. No copies means no masking.
    """
    parts = dict(list(table.sort_values("copies").groupby("variant", sort=False)))
    names = sorted(parts, key=lambda name: origin.of_variant("autoencoder", name) == origin.EXTENSION)
    figure, axes = plt.subplots(1, len(names), figsize=(4.6, 2.7), sharey=True, squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        part, ours = parts[name], origin.of_variant("autoencoder", name) == origin.EXTENSION
        marks, value = part["copies"].astype(str).replace("0", "none"), part["difference"]
        bars = 100 * np.stack([value - part["low"], part["high"] - value])
        shape = {"color": colour(_SHORT["autoencoder"]), "capsize": 3, **_shape(ours)}
        axis.errorbar(marks, 100 * value, bars, **shape)
        axis.axhline(0, color="black", linestyle="--", linewidth=1)
        axis.set_title(f"{name} ({'ours' if ours else 'paper'})", fontsize=9)
        axis.tick_params(labelsize=8)
    axes[0, 0].set_ylabel("difference in points", fontsize=9)
    figure.supxlabel("masked copies at inference", fontsize=9)
    return figure
