"""Plot the figures of the recordings (Sec. 3.1)."""

import itertools
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from asdlib.data.inspection import Example
from asdlib.plots import mel_axis
from asdlib.plots.style import COLOURS, SPECTROGRAM, WIDTH

_LINES = {"normal": "-", "anomaly": ":"}
_HERTZ = {"xscale": "log", "xticks": (100, 1000), "xticklabels": ("100", "1k")}


def pairs(examples: Mapping[str, tuple[Example, Example]]) -> Figure:
    """Plot waveform and log-mel of a normal and an anomalous clip, two rows per machine type, on one dB scale."""
    figure, axes = plt.subplots(
        2 * len(examples),
        2,
        figsize=(WIDTH, 2.8 * len(examples)),
        height_ratios=[1, 2] * len(examples),
        squeeze=False,
        sharey="row",
    )
    levels = np.concatenate([example.decibel.ravel() for pair in examples.values() for example in pair])
    low, high = np.percentile(levels, [1, 99.9])
    for index, (name, pair) in enumerate(examples.items()):
        for column, example in enumerate(pair):
            above, below = axes[2 * index, column], axes[2 * index + 1, column]
            seconds = len(example.waveform) / example.rate
            time = np.arange(len(example.waveform)) / example.rate
            above.plot(time, example.waveform, linewidth=0.4, color=COLOURS[example.title.split(" ")[0]])
            above.set(title=f"{name}\n{example.title}", xlim=(0, seconds), xticklabels=[])
            extent = (0, seconds, 0, example.decibel.shape[1])
            image = below.imshow(example.decibel.T, cmap=SPECTROGRAM, vmin=low, vmax=high, extent=extent)
            below.set(xlabel="time (s)")
            below.grid(False)
        axes[2 * index, 0].set_ylabel("amplitude")
        mel_axis.label(axes[2 * index + 1, 0].yaxis, example.decibel.shape[1], example.rate)
        axes[2 * index + 1, 0].set_ylabel(mel_axis.LABEL)
    figure.colorbar(image, ax=axes[1::2], label="dB", shrink=max(0.4, 1 / len(examples)))
    return figure


def kinds(examples: Sequence[Example]) -> Figure | None:
    """Plot log-mel of the same clip without a fault and with each kind, on one dB scale; nothing without examples."""
    if not examples:
        return None
    rows = -(-len(examples) // 2)
    figure, axes = plt.subplots(rows, 2, figsize=(WIDTH, 1.5 * rows), squeeze=False, sharex=True, sharey=True)
    low, high = np.percentile(examples[0].decibel, [1, 99.9])
    for axis, example in zip(axes.flat, examples, strict=False):
        extent = (0, len(example.waveform) / example.rate, 0, example.decibel.shape[1])
        image = axis.imshow(example.decibel.T, cmap=SPECTROGRAM, vmin=low, vmax=high, extent=extent)
        axis.set_title(example.title)
        axis.grid(False)
    for axis in axes.flat[len(examples) :]:
        axis.set_axis_off()
    mel_axis.label(axes[0, 0].yaxis, example.decibel.shape[1], example.rate)
    figure.supxlabel("time (s)", fontsize="medium")
    figure.supylabel(mel_axis.LABEL, fontsize="medium")
    figure.colorbar(image, ax=axes, label="dB", shrink=0.5)
    return figure


def spectra(table: pd.DataFrame) -> Figure:
    """Plot average spectra of the test clips, with one row per machine type and one column per section.

    Args:
        table: Table returned by :func:`asdlib.data.inspection.spectra`.
    """
    test = table[table["split"] == "test"]
    machines, sections = sorted(test["machine"].unique()), sorted(test["section"].unique())
    figure, axes = plt.subplots(
        len(machines),
        len(sections),
        figsize=(WIDTH, 1.9 * len(machines) + 0.7),
        squeeze=False,
        sharex=True,
        sharey="row",
    )
    for line, machine in zip(axes, machines, strict=True):
        for axis, section in zip(line, sections, strict=True):
            part = test[(test["machine"] == machine) & (test["section"] == section) & (test["label"] != "unknown")]
            axis.set_title(f"{machine}, section {section}" if len(part) else f"{machine} has no section {section}")
            for domain, label in itertools.product(("source", "target"), _LINES):
                curve = part[(part["domain"] == domain) & (part["label"] == label)]
                axis.plot(
                    curve["frequency"],
                    curve["level"],
                    color=COLOURS[domain],
                    linestyle=_LINES[label],
                    linewidth=1.3,
                    label=f"{domain}, {label}",
                )
            axis.set(**_HERTZ)
        line[0].set_ylabel("dB")
    figure.supxlabel(mel_axis.LABEL, fontsize="medium")
    named = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels()), strict=True))
    figure.legend(named.values(), named.keys(), loc="outside upper center", ncols=2, fontsize="small")
    return figure
