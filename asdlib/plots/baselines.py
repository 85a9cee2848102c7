"""Plot the figures of the baselines (Sec. 3.1): training, scores, ROC curves."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import roc_curve

from asdlib import metrics
from asdlib.evaluation.rows import ROW_OF
from asdlib.plots.style import ANOMALY, BASELINE, COLOURS, NORMAL, NORMAL_HELD_OUT, WIDTH, boxes, label_log

_CLIPS = {("normal", "train"): NORMAL_HELD_OUT, ("normal", "test"): NORMAL, ("anomaly", "test"): ANOMALY}
_SPLITS = {"train": "held out", "test": "test"}
_STYLES = ("-", "--", ":", "-.")


def losses(histories: Mapping[str, pd.DataFrame], units: Mapping[str, str]) -> Figure:
    """Plot the loss of each step, with one panel per system.

    Args:
        histories: System to its training history (columns ``step`` and ``loss``).
        units: System to what its loss is, for the axis.
    """
    figure, axes = plt.subplots(1, len(histories), figsize=(WIDTH, 2.4), squeeze=False)
    for axis, (system, history) in zip(axes[0], histories.items(), strict=True):
        axis.plot(history["step"], history["loss"], color=BASELINE, linewidth=1)
        axis.set(title=ROW_OF[system], xlabel="step", ylabel=units[system], yscale="log")
        label_log(axis.yaxis)
    return figure


def scores(table: pd.DataFrame) -> Figure:
    """Plot scores per section and domain as box plots (whiskers: 5th to 95th percentile), one panel per system."""
    systems = list(dict.fromkeys(table["system"]))
    places = sorted(set(zip(table["section"], table["domain"], strict=True)))
    figure, axes = plt.subplots(len(systems), 1, figsize=(WIDTH, 1.9 * len(systems) + 0.4), squeeze=False, sharex=True)
    for axis, system in zip(axes[:, 0], systems, strict=True):
        groups = table[table["system"] == system].groupby(["section", "domain", "label", "split"])["score"]
        values = {key: list(score) for key, score in groups}
        for offset, ((label, split), colour) in zip((-0.26, 0, 0.26), _CLIPS.items(), strict=True):
            positions = [position + offset for position in range(len(places))]
            clips = [values.get((*place, label, split), []) for place in places]
            boxes(axis, clips, positions, 0.22, colour, flierprops={"markersize": 2})
        axis.set(title=ROW_OF.get(system, system), ylabel="anomaly score")
        axis.set_xticks(range(len(places)), ["\n".join(place) for place in places])
        axis.grid(False, axis="x")
    handles = [
        Line2D([], [], color=colour, linewidth=6, label=f"{label}, {_SPLITS[split]}")
        for (label, split), colour in _CLIPS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)
    figure.supxlabel("section and domain", fontsize="medium")
    return figure


def roc(table: pd.DataFrame, p: float) -> Figure:
    """Plot ROC curves of the labelled test clips, with one panel per system and one line per section and domain.

    Args:
        table: Score table.
        p: Largest false positive rate of pAUC; this zone is shaded.
    """
    table = metrics.labelled(table)
    systems, sections = list(dict.fromkeys(table["system"])), sorted(set(table["section"]))
    styles = {section: _STYLES[index % len(_STYLES)] for index, section in enumerate(sections)}
    shape = -(-len(systems) // 2), min(len(systems), 2)
    width, gap = (WIDTH, " ") if shape[1] > 1 else (3.4, "\n")
    figure, axes = plt.subplots(*shape, figsize=(width, 0.6 + 2.6 * shape[0]), squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat[len(systems) :]:
        axis.remove()
    for axis, system in zip(axes.flat, systems, strict=False):
        axis.axvspan(0, p, color="0.9", zorder=0)
        axis.plot([0, 1], [0, 1], color="grey", linestyle="-", linewidth=0.8)
        for (section, domain), clips in table[table["system"] == system].groupby(["section", "domain"]):
            alarms, hits, _ = roc_curve(clips["label"] == "anomaly", clips["score"])
            axis.plot(alarms, hits, color=COLOURS[domain], linestyle=styles[section], linewidth=1.5)
        axis.set(title=ROW_OF.get(system, system), xlim=(0, 1), ylim=(0, 1.01), xticks=[0, 0.5, 1], aspect="equal")
        axis.tick_params(labelsize="small")
    figure.supylabel("true positive rate", fontsize="medium")
    figure.supxlabel(f"false positive rate{gap}(grey: up to {p:g}, where pAUC looks)", fontsize="medium")
    handles = [
        Line2D([], [], color=COLOURS[domain], linestyle=style, label=f"section {section}, {domain}")
        for section, style in styles.items()
        for domain in ("source", "target")
        if ((table["section"] == section) & (table["domain"] == domain)).any()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, fontsize="small")
    return figure
