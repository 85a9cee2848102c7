"""Plot the figure of the playground: one clip's scores among those of normal held-out clips."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from asdlib.plots.style import COLOURS, WIDTH


def scores(held_out: dict[str, np.ndarray], verdict: pd.DataFrame) -> Figure:
    """Plot the scores of the held-out clips (dots), the threshold (line) and the clip (cross), one row per system.

    Args:
        held_out: Scores of the held-out clips, ``(clips,)``, by system (``held_out`` of the verdict).
        verdict: Table returned by :func:`asdlib.playground.tabulate`.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 0.9 + 0.75 * len(verdict)))
    spread = np.random.default_rng(0)
    for row, item in enumerate(verdict.itertuples()):
        known = held_out[item.system]
        up = row + spread.uniform(-0.25, 0.25, len(known))
        axis.scatter(known, up, s=12, color=COLOURS[item.system], alpha=0.6, linewidths=0)
        axis.plot([item.threshold] * 2, [row - 0.38, row + 0.38], color="grey", linestyle="--")
        shade = COLOURS["anomaly" if item.score > item.threshold else "normal"]
        axis.scatter(item.score, row, s=140, marker="X", color=shade, edgecolors="black", zorder=3)
        box = {"facecolor": axis.get_facecolor(), "edgecolor": "none", "pad": 1}  # keeps the threshold out of the words
        axis.annotate(item.verdict, (item.score, row), (0, 10), textcoords="offset points", ha="center", bbox=box)
    axis.set_yticks(range(len(verdict)), verdict["system"])
    axis.set(xlabel="score: deviations from the mean of\nthe held-out clips (dashed: threshold)")
    axis.set(ylim=(len(verdict) - 0.4, -0.6))
    axis.margins(x=0.1)
    return figure
