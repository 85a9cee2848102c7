"""Plot the effects of changed settings; fractions are shown in per cent."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from asdlib.plots.style import colour

_SHORT = {"autoencoder": "AE", "classifier": "BC"}


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
