"""Plot the figures of the classifier (Sec. 2.2): batches, Mixup, training, embeddings, distances and scores."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from asdlib.plots import mel_axis
from asdlib.plots.style import CLASSIFIER, COLOURS, SPECTROGRAM, WIDTH, label_log

MARKERS = {"source": "o", "target": "^"}
_GROUPS = [("learn", "normal"), ("held out", "normal"), ("", "normal"), ("", "anomaly")]
"""role (:mod:`asdlib.data.held_out_split`) and label of the clips whose distances are shown"""
_LINES = {"learn": (":", "learnt from"), "held out": ("--", "held out"), "": ("-", "test")}


def batch(images: np.ndarray, labels: np.ndarray, kinds: np.ndarray, sample_rate: int, each: int = 3) -> Figure:
    """Plot some images of a batch, with a row for each kind of clip and the label above each image.

    Args:
        images: Log-mel in dB, shape (batch, mels, frames).
        labels: Shape (batch,).
        kinds: Shape (batch,).
        sample_rate: Hz, of the clips.
        each: Images of a kind.
    """
    names = list(dict.fromkeys(kinds))
    figure, axes = plt.subplots(
        len(names), each, figsize=(WIDTH, 1.5 * len(names)), squeeze=False, sharex=True, sharey=True
    )
    low, high = np.percentile(images, [1, 99.9])
    for line, name in zip(axes, names, strict=True):
        chosen = np.flatnonzero(kinds == name)[:each]
        for axis in line[len(chosen) :]:
            axis.set_visible(False)
        for axis, index in zip(line, chosen, strict=False):
            picture = axis.imshow(images[index], cmap=SPECTROGRAM, vmin=low, vmax=high)
            other = {"normal": "outlier", "outlier": "normal"}.get(name)
            mixed = f", mostly {other}" if other and abs(labels[index] - (name == "normal")) > 0.5 else ""
            axis.set_title(f"{name}{mixed}\nlabel {labels[index]:.2f}", fontsize="x-small")
            axis.grid(False)
        line[0].set_ylabel(mel_axis.LABEL)
    mel_axis.label(axes[0, 0].yaxis, images.shape[1], sample_rate, lowest=0)
    figure.supxlabel("frame", fontsize="medium")
    figure.colorbar(picture, ax=axes, label="dB")
    return figure


def training(history: pd.DataFrame, loss_weights: Mapping[str, float]) -> Figure:
    """Plot losses, before they are weighted, their sum, and the learning rate of the backbone, over both stages.

    Args:
        history: ``history.csv``.
        loss_weights: Weight in the sum of each loss that has one (:func:`asdlib.classifier.inspection.loss_weights`).
    """
    names = {"loss": "weighted sum", "bce": "cross-entropy", "ddcsad": "DDCSAD", "arcface": "ArcFace"}
    names |= {name: f"{names[name]} (weight {weight:.2g})" for name, weight in loss_weights.items()}
    dashes = {"loss": "-", "bce": "--", "ddcsad": ":", "arcface": "-."}
    losses = [name for name in dashes if name in history]
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(WIDTH, 3.8), sharex=True, gridspec_kw={"height_ratios": [3, 1]}, squeeze=True
    )
    for name in losses:
        top.plot(history.index + 1, history[name], dashes[name], color=CLASSIFIER, label=names[name], linewidth=1.2)
    bottom.plot(history.index + 1, history["learning_rate"], color="black", linewidth=1)
    for axis in (top, bottom):
        for start in np.flatnonzero(history["stage"] != history["stage"].shift())[1:]:
            axis.axvline(start + 0.5, color="grey", linestyle="--", linewidth=1)
    top.set(yscale="log", ylabel="loss of a batch")
    label_log(top.yaxis)
    figure.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    bottom.set(xlabel="step (dashed: fine-tuning begins)", ylabel="learning rate")
    return figure


def maps(points: pd.DataFrame, method: str) -> Figure:
    """Plot maps of the embeddings: a row for each section's models, a column for each stage.

    Args:
        points: Table returned by :func:`asdlib.classifier.pca_and_tsne.project`.
        method: ``PCA`` or ``t-SNE``.
    """
    points = points[points["method"] == method]
    models, stages = sorted(points["model"].unique()), list(dict.fromkeys(points["stage"]))
    figure, axes = plt.subplots(len(models), len(stages), figsize=(WIDTH, 2.6 * len(models) + 0.8), squeeze=False)
    for line, model in zip(axes, models, strict=True):
        for axis, stage in zip(line, stages, strict=True):
            _map(axis, points[(points["model"] == model) & (points["stage"] == stage)])
            axis.set(title=f"section {model}, after {stage}", xlabel=f"{method} 1", ylabel=f"{method} 2")
            axis.set_xticklabels([])
            axis.set_yticklabels([])
    handles = _legend()[: None if (points["kind"] == "picked").any() else -1]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _map(axis, points: pd.DataFrame) -> None:
    outliers = points[points["kind"] == "outlier"]
    axis.scatter(outliers["x"], outliers["y"], s=10, color=COLOURS["outlier"], alpha=0.6, linewidths=0)
    clips = points[points["kind"] == "section"]
    # the last are drawn on top: anomalies, of which there are fewer
    for (label, domain, split), part in sorted(clips.groupby(["label", "domain", "split"]), reverse=True):
        colour = COLOURS.get(label, "black")
        face = "none" if split == "train" else colour
        axis.scatter(part["x"], part["y"], s=16, marker=MARKERS[domain], facecolors=face, edgecolors=colour, alpha=0.7)
    for label, part in points[points["kind"] == "centroid"].groupby("label"):
        axis.scatter(part["x"], part["y"], s=220, marker="*", color=COLOURS[label], edgecolors="black", zorder=3)
    picked = points[points["kind"] == "picked"]
    axis.scatter(picked["x"], picked["y"], s=160, marker="X", color="black", edgecolors="white", zorder=4)


def _legend() -> list[Line2D]:
    def handle(marker: str, colour: str, label: str, face: str | None = None, size: int = 6) -> Line2D:
        edge = "black" if marker == "*" else colour
        face = face or colour
        return Line2D([], [], linestyle="", marker=marker, ms=size, mfc=face, mec=edge, label=label)

    normal, anomaly = COLOURS["normal"], COLOURS["anomaly"]
    return [
        handle("o", normal, "normal, training", "none"),
        handle("o", normal, "normal, test"),
        handle("o", anomaly, "anomaly, test"),
        handle("o", COLOURS["outlier"], "outlier, training", size=4),
        handle("o", "black", "source domain", "none"),
        handle("^", "black", "target domain", "none"),
        handle("*", normal, "normal centroid", size=12),
        handle("*", COLOURS["outlier"], "outlier centroid", size=12),
        handle("X", "black", "this clip", size=9),
    ]


def distances(table: pd.DataFrame) -> Figure:
    """Plot the cumulative distances to both centroids, with one row per stage and domain, a column per centroid.

    Args:
        table: Table returned by :func:`asdlib.classifier.clip_outputs.read`.
    """
    clips = table[table["kind"] == "section"]
    lines = list(dict.fromkeys(zip(clips["stage"], clips["domain"], strict=True)))
    figure, axes = plt.subplots(
        len(lines), 2, figsize=(WIDTH, 1.5 * len(lines) + 0.9), squeeze=False, sharex="col", sharey=True
    )
    for row, (stage, domain) in zip(axes, lines, strict=True):
        part = clips[(clips["stage"] == stage) & (clips["domain"] == domain)]
        for axis, centroid in zip(row, ("normal", "outlier"), strict=True):
            for role, label in _GROUPS:
                values = part.loc[(part["role"] == role) & (part["label"] == label), f"distance_{centroid}"]
                if len(values):
                    line, words = _LINES[role]
                    axis.ecdf(values, color=COLOURS[label], linestyle=line, linewidth=1.5, label=f"{label}, {words}")
            axis.set_title(f"{domain}, after {stage}", fontsize="small")
            axis.set(xscale="log", yticks=[0, 0.5, 1], yticklabels=["0 %", "50 %", "100 %"])
            label_log(axis.xaxis)
        row[0].set_ylabel("clips nearer")
    for axis, centroid in zip(axes[-1], ("normal", "outlier"), strict=True):
        axis.set_xlabel(f"distance to the {centroid} centroid")
    named = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(named.values(), named, loc="outside upper center", ncols=2, fontsize="small", frameon=False)
    return figure


def posterior_against_distance(table: pd.DataFrame) -> Figure:
    """Plot log-odds of outlier against the distance to the normal centroid, with a panel for each stage and domain."""
    clips = table[(table["kind"] == "section") & (table["split"] == "test")]
    stages, domains = list(dict.fromkeys(clips["stage"])), sorted(clips["domain"].unique())
    figure, axes = plt.subplots(
        len(stages), len(domains), figsize=(WIDTH, 2.4 * len(stages)), squeeze=False, sharex=True, sharey=True
    )
    for line, stage in zip(axes, stages, strict=True):
        for axis, domain in zip(line, domains, strict=True):
            for label in ("normal", "anomaly"):
                part = clips[(clips["stage"] == stage) & (clips["domain"] == domain) & (clips["label"] == label)]
                axis.scatter(
                    part["distance_normal"], -part["logit"], s=10, color=COLOURS[label], alpha=0.6, label=label
                )
            axis.axhline(0, color="grey", linestyle="--", linewidth=1)
            axis.set_xscale("log")
            label_log(axis.xaxis)
            axis.set_title(f"{domain}, after {stage}")
    figure.supxlabel("distance to the normal centroid", fontsize="medium")
    figure.supylabel("log-odds of outlier (dashed: posterior 0.5)", fontsize="medium")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def weights(curve: pd.DataFrame) -> Figure:
    """Plot the figure of merit against the weight w of the posterior.

    Args:
        curve: Columns ``weight``, ``domain`` and ``value`` (harmonic mean of AUC and pAUC, as a fraction).
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 2.8))
    for domain, part in curve.groupby("domain"):
        axis.plot(part["weight"], 100 * part["value"], marker=MARKERS[domain], color=COLOURS[domain], label=domain)
    axis.set(xlabel="weight w of the posterior (0: distance alone)", ylabel="harmonic mean of AUC and pAUC in %")
    axis.legend()
    return figure
