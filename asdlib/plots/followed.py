"""Plot what each part of the system does with a few clips: one column per clip, from its sound to its embedding."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from asdlib.evaluation.followed import Followed
from asdlib.plots import mel_axis, style
from asdlib.plots.autoencoder import draw_reconstructions, label_seconds

ROWS = (
    f"log-mel\n{mel_axis.LABEL}",
    f"masked input\n{mel_axis.LABEL}",
    f"reconstruction\n{mel_axis.LABEL}",
    f"error\n{mel_axis.LABEL}",
    "frame score\n(nats)",
    "embedding\nPCA 2",
)


def panels(followed: Sequence[Followed]) -> Figure:
    """Plot log-mel, masked input, reconstruction, error, frame scores and embedding, one column per clip."""
    style.use()
    figure, axes = plt.subplots(
        len(ROWS),
        len(followed),
        figsize=(style.WIDTH, 8.8),
        sharey="row",
        squeeze=False,
        height_ratios=[1, 1, 1, 1, 0.9, 1.6],
    )
    spectra = [item.inspected.spectra for item in followed]
    draw_reconstructions(axes[:4], spectra)
    for column, (item, clip) in enumerate(zip(followed, spectra, strict=True)):
        kind = item.title.partition(": ")[0]
        axes[0, column].set_title(kind.replace(", ", ",\n"))
        for axis in axes[:4, column]:
            axis.tick_params(labelbottom=False)
        colour = style.NORMAL if kind == "normal" else style.ANOMALY
        axes[4, column].plot(clip.seconds, item.inspected.frame_scores, color=colour, linewidth=0.9)
        axes[4, column].set_xlim(0, clip.seconds[-1] + clip.seconds[1])
        label_seconds(axes[4, column])
        for label in ("normal", "anomaly"):
            part = item.map[(item.map["label"] == label) & ~item.map["here"]]
            axes[5, column].scatter(part["x"], part["y"], s=9, color=style.COLOURS[label], alpha=0.5, linewidths=0)
        own = item.map[item.map["here"]]
        axes[5, column].scatter(
            own["x"], own["y"], s=150, marker="X", color=colour, edgecolors="black", zorder=3, clip_on=False
        )
        axes[5, column].set(xlabel="PCA 1", xticklabels=[])
    for row, words in enumerate(ROWS):
        axes[row, 0].set_ylabel(words, fontsize="small")
    return figure
