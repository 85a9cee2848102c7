"""Plot the one network per machine type: its losses, the parts of its score, its embeddings."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from asdlib.integrated.losses import NAMES
from asdlib.integrated.scorer import PARTS
from asdlib.plots.style import ANOMALY, BASELINE, NORMAL


def losses(history: pd.DataFrame) -> Figure:
    """Plot each loss of every step, before it is weighted, one panel per loss."""
    figure, axes = plt.subplots(1, len(NAMES), figsize=(9, 2.6))
    for axis, name in zip(axes, NAMES, strict=True):
        axis.plot(history["step"], history[name], color=BASELINE, linewidth=1)
        axis.set(title=name, xlabel="step")
    axes[0].set_ylabel("loss")
    return figure


def parts(table: pd.DataFrame) -> Figure:
    """Plot the z-scores of test clips in each part of the score, one panel per part, by domain and label.

    Args:
        table: ``parts.csv``.
    """
    test, names = table[table["split"] == "test"], [name for name in PARTS if name in table]
    figure, axes = plt.subplots(1, len(names), figsize=(9, 3), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        for position, (domain, label) in enumerate((d, k) for d in ("source", "target") for k in ("normal", "anomaly")):
            chosen = test[(test["domain"] == domain) & (test["label"] == label)]
            axis.boxplot(
                [chosen[name]],
                positions=[position],
                widths=0.6,
                whis=(5, 95),
                patch_artist=True,
                boxprops={"facecolor": NORMAL if label == "normal" else ANOMALY},
                medianprops={"color": "black"},
                flierprops={"markersize": 2},
                manage_ticks=False,
            )
        axis.set(title=name, xticks=[0.5, 2.5], xticklabels=["source", "target"])
    axes[0, 0].set_ylabel("z-score by held-out clips")
    return figure


def embeddings(table: pd.DataFrame) -> Figure:
    """Plot the embeddings on their two directions of largest variance, one panel per domain.

    Args:
        table: ``embeddings.csv``.
    """
    vectors = table.filter(regex=r"^e\d+$").to_numpy()
    centred = vectors - vectors.mean(0)
    points = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharex=True, sharey=True)
    sections = sorted(set(table["section"]))
    for axis, domain in zip(axes, ("source", "target"), strict=True):
        for index, section in enumerate(sections):
            for label, marker in (("normal", "o"), ("anomaly", "x")):
                chosen = (table["section"] == section) & (table["domain"] == domain) & (table["label"] == label)
                name = f"{section}, {label}"
                axis.scatter(
                    *points[chosen.to_numpy()].T, s=9, marker=marker, color=f"C{index}", linewidth=0.8, label=name
                )
        axis.set(title=domain, xlabel="first principal component")
    axes[0].set_ylabel("second principal component")
    axes[1].legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure
