"""Plot the figures of the autoencoder chapter from histories, score tables and inspected clips."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from asdlib.autoencoder.inspection import Inspection
from asdlib.autoencoder.reconstruction_errors import Reconstruction
from asdlib.plots import mel_axis, style


def training(history: pd.DataFrame) -> Figure:
    """Plot loss and learning rate over the steps of a training (``history.csv``)."""
    style.use()
    figure, (loss, rate) = plt.subplots(2, 1, sharex=True, figsize=(style.WIDTH, 3.6), height_ratios=[2, 1])
    loss.plot(history["step"], history["loss"], color=style.AUTOENCODER, linewidth=0.8)
    loss.set(ylabel="loss (standardised log-mel)")
    rate.plot(history["step"], history["learning_rate"], color=style.BASELINE)
    rate.set(xlabel="step", ylabel="learning rate")
    return figure


def spectra(clips: Mapping[str, Reconstruction]) -> Figure:
    """Plot input, masked input, reconstruction and error, with one column per clip.

    The first three rows share one dB scale over all clips, the errors another one, white at zero.

    Args:
        clips: Title of the column to clip.
    """
    style.use()
    figure, axes = plt.subplots(4, len(clips), sharex=True, sharey=True, squeeze=False, figsize=(style.WIDTH, 6.6))
    draw_reconstructions(axes, list(clips.values()))
    for axis, title in zip(axes[0], clips, strict=True):
        axis.set_title(title)
    for axis, words in zip(axes[:, 0], ("input", "masked input", "reconstruction", "error"), strict=True):
        axis.set_ylabel(f"{words}\n{mel_axis.LABEL}")
    for axis in axes[-1]:
        label_seconds(axis)
    return figure


def label_seconds(axis: Axes) -> None:
    """Label a time axis from zero, without a number at its end, which would touch the zero of the panel next to it."""
    end = axis.get_xlim()[1]
    axis.set_xticks([tick for tick in MaxNLocator(5, integer=end > 3).tick_values(0, end) if tick < 0.9 * end])
    axis.set_xlabel("time (s)")


def draw_reconstructions(axes: np.ndarray, clips: Sequence[Reconstruction]) -> None:
    """Draw the four rows of :func:`spectra`, with their colour bars, on ``axes``, ``(4, clips)``."""
    low, high = np.percentile(np.concatenate([clip.original.ravel() for clip in clips]), [1, 99.8])
    extreme = np.percentile(np.abs(np.concatenate([clip.error.ravel() for clip in clips])), 99)
    level = {"vmin": low, "vmax": high, "cmap": style.SPECTROGRAM}
    scales = [level, level, level, {"vmin": -extreme, "vmax": extreme, "cmap": style.DIFFERENCE}]
    for column, clip in zip(axes.T, clips, strict=True):
        extent = (0, clip.seconds[-1] + clip.seconds[1], 0, clip.original.shape[1])
        parts = (clip.original, clip.masked, clip.reconstruction, clip.error)
        for axis, part, scale in zip(column, parts, scales, strict=True):
            axis.imshow(part.T, extent=extent, **scale)
            axis.grid(False)
            mel_axis.label(axis.yaxis, part.shape[1], clip.sample_rate)
    figure = axes[0, 0].figure
    figure.colorbar(axes[1, -1].images[0], ax=axes[:3].ravel().tolist(), label="dB")
    figure.colorbar(axes[3, -1].images[0], ax=axes[3].tolist(), label="reconstruction\n− input, dB")


def distributions(table: pd.DataFrame) -> Figure:
    """Plot scores of the test clips by section, domain and label, one panel per system, mean absolute error first.

    Whiskers reach from the 5th to the 95th percentile; what lies beyond is not drawn.

    Args:
        table: Score table of one system or several.
    """
    style.use()
    systems = sorted(table["system"].unique(), key=lambda system: not system.endswith("/l1"))
    figure, axes = plt.subplots(len(systems), 1, squeeze=False, figsize=(style.WIDTH, 2.4 * len(systems)))
    for axis, system in zip(axes[:, 0], systems, strict=True):
        test = table[(table["split"] == "test") & table["label"].isin(style.LABELS) & (table["system"] == system)]
        places = sorted(set(zip(test["section"], test["domain"], strict=True)))
        for offset, (label, colour) in zip((-0.18, 0.18), style.LABELS.items(), strict=True):
            groups = test[test["label"] == label].groupby(["section", "domain"])["score"]
            values = {place: list(score) for place, score in groups}
            positions = [position + offset for position in range(len(places))]
            scores = [values.get(place, []) for place in places]
            style.boxes(axis, scores, positions, 0.34, colour, label=label, showfliers=False)
        axis.set_xticks(range(len(places)), [f"{section}\n{domain}" for section, domain in places])
        axis.grid(False, axis="x")
        plain = system.endswith("/l1")
        title = "before the scorer" if plain else f"after the scorer ({system.rpartition('/')[2]})"
        axis.set(title=title, ylabel="mean absolute error" if plain else "score (nats)")
        axis.tick_params(axis="x", labelsize="small" if len(places) <= 6 else "xx-small")
    axes[-1, 0].set_xlabel("section and domain")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def bands(table: pd.DataFrame, sample_rate: int) -> Figure:
    """Plot mean signed and absolute error of each mel band, normal against anomalous test clips.

    Bands are equally wide; the numbers below them are frequencies.

    Args:
        table: ``bands.csv``.
        sample_rate: Hz, of the clips.
    """
    style.use()
    test = table[(table["split"] == "test") & table["label"].isin(style.LABELS)]
    groups = [key for key, _ in test.groupby(["section", "domain"])]
    figure, axes = plt.subplots(
        len(groups), 2, sharex=True, sharey="col", squeeze=False, figsize=(style.WIDTH, 0.8 + 1.4 * len(groups))
    )
    for row, (section, domain) in zip(axes, groups, strict=True):
        for axis, kind in zip(row, ("signed", "absolute"), strict=True):
            for label, colour in style.LABELS.items():
                chosen = (test["section"] == section) & (test["domain"] == domain) & (test["label"] == label)
                axis.plot(test.loc[chosen, "band"], test.loc[chosen, kind], color=colour, label=label)
        row[0].set_ylabel(f"section {section}\n{domain}, dB")
    for axis, title in zip(axes[0], ("signed error", "absolute error"), strict=True):
        axis.set_title(title)
    count = table["band"].max() + 1
    for axis in axes[-1]:
        mel_axis.label(axis.xaxis, count, sample_rate, lowest=0)
        axis.set_xlabel(mel_axis.LABEL)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def timelines(clips: Mapping[str, Inspection]) -> Figure:
    """Plot frame scores over time; the key's first word, ``normal`` or ``anomaly``, gives a clip its colour."""
    style.use()
    figure, axis = plt.subplots(figsize=(style.WIDTH, 2.5))
    for title, clip in clips.items():
        colour = style.LABELS.get(title.split()[0], style.BASELINE)
        axis.plot(clip.spectra.seconds, clip.frame_scores, color=colour, linewidth=1, label=title)
    axis.set(xlabel="time (s)", ylabel="frame score (nats)")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure
