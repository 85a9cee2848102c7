"""Explain an interval on the ten clips by whose scores AUC is worked by hand, and draw their ROC curve."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from clips import ten_clips
from matplotlib.figure import Figure
from paired import paired, verdict
from sklearn.metrics import roc_curve
from tables import effect, percent, table

from asdlib import metrics
from asdlib.ensemble.blocks import AE_ENSEMBLE, MIX
from asdlib.paths import Run
from asdlib.plots.style import ENSEMBLE
from asdlib.tables import read_table

DECIDES = "cross-fitted"
"""the selection that decides about the paper's sentences"""
SHOWN, DRAWS = 3, 1000
"""draws of the ten clips that the page shows, and from which the interval is made"""
NARROW = 3.4
"""width of the figure in inches"""


def page(run: Run, settings, machine: str, section: str) -> str:
    """What an interval means: a figure of this run, the ten clips drawn again, the verdicts in words."""
    figures = read_table(run.table1).set_index(["row", "selection", "machine", "domain"])
    example = percent(*figures.loc[(MIX, "fixed", "all", "all"), ["value", "low", "high"]])
    ten = ten_clips(run, machine, section)
    draws = drawn(len(ten) // 2, settings.seed)
    areas = [area(ten, draw) for draw in draws]
    rows = []
    for number, (draw, value) in enumerate(zip(draws[:SHOWN], areas, strict=False), 1):
        rows.append((str(number), *(_scores(ten, label, draw) for label in ("anomaly", "normal")), f"{value:.3f}"))
    columns = ["Draw", "Anomalies, scores", "Normal clips, scores", "AUC"]
    caption = "The ten clips, drawn again three times: a clip may come twice, and another not at all."
    shown = table(pd.DataFrame(rows, columns=columns), caption, "ten-clips-drawn", "llll", "1 4 4 1")
    low, high = np.percentile(areas, [2.5, 97.5])
    return (
        f"## How to read {example}\n\n"
        f"{{doc}}`table1` gives *mix* by *fixed* as {example} per cent. The first number is what these test clips "
        "give; other clips of the same machines would give another, and the interval says how far away it may lie. "
        "There are no other clips, so clips are drawn from those at hand, as many as there are, with replacement "
        f"({{term}}`bootstrap`), as here from the ten above, five of each label:\n\n{shown}\n"
        f"After {DRAWS:,} such draws, leave out the lowest and the highest 2½ % of the AUCs. The middle 95 % lie "
        f"between {low:.3f} and {high:.3f}, and the AUC of the ten clips is written as {area(ten):.3f} ({low:.3f} to "
        f"{high:.3f}). With so few clips the interval is wide. The intervals of the tables come from such draws of all "
        "test clips, too. They reach about two standard deviations of the draws to either side, instead of cutting off "
        "ends, and are corrected for the bias of pAUC ({py:mod}`asdlib.evaluation.bootstrap`).\n\n"
        "To compare two systems, look at the interval of their difference, not at whether their intervals overlap: "
        "both are computed on the same drawn clips ({term}`paired difference`). **Shown** means that the interval of a "
        "difference leaves out zero; **not shown** does not mean equal, but that so many clips cannot tell the two "
        f"apart.{_example(run)}\n\n"
        "**Another training is another matter.** A {term}`seed` sets the first weights of a network and the order of "
        "its batches. The interval above is over clips, for one seed, and does not cover what another would change. "
        "Where a result has several seeds, a difference is printed with its deviation over them, as in +2.0 (+1.0 to "
        "+3.0), ± 3.0: these clips show it, and another training may well undo it. So *shown* is about clips, and "
        "only verdicts with several seeds ({doc}`claims`, {doc}`real`) are about the method.\n"
    )


def _example(run: Run) -> str:
    """A difference of this run, with its interval and its verdict."""
    lead = paired(read_table(run.differences), (MIX, DECIDES), (AE_ENSEMBLE, DECIDES), "all", "all")
    if np.isnan(lead[0]):
        return ""
    said = verdict(*lead[1:], ("shown to be better", "shown to be worse", "not shown to be better or worse"))
    return f" In this run *mix* minus *{AE_ENSEMBLE}*, both {{term}}`{DECIDES}`, is {effect(*lead)} points: {said}."


def drawn(count: int, seed: int) -> np.ndarray:
    """Places of the clips that each draw takes of either label, shape (draws, 2, count)."""
    return np.random.default_rng(seed).integers(count, size=(DRAWS, 2, count))


def area(ten: pd.DataFrame, draw: np.ndarray | None = None) -> float:
    """The AUC of the ten clips, or of those that were drawn: places of anomalies and of normal clips."""
    parts = [ten.loc[ten["label"] == label, "mix"].to_numpy() for label in ("anomaly", "normal")]
    if draw is not None:
        parts = [part[places] for part, places in zip(parts, draw, strict=True)]
    return float(metrics.auc(np.repeat([1, 0], [len(part) for part in parts]), np.concatenate(parts)))


def _scores(ten: pd.DataFrame, label: str, draw: np.ndarray) -> str:
    """The scores of the clips of a label that were drawn, highest first."""
    scores = ten.loc[ten["label"] == label, "mix"].to_numpy()[draw[0 if label == "anomaly" else 1]]
    return ", ".join(f"{score:.2f}" for score in sorted(scores, reverse=True))


def draw_roc(ten: pd.DataFrame, p: float) -> Figure:
    """Draw the ROC curve of the ten clips, with the zone of pAUC in grey and the area under the curve hatched there."""
    alarms, hits, _ = roc_curve(ten["label"] == "anomaly", ten["mix"], drop_intermediate=False)
    figure, axis = plt.subplots(figsize=(NARROW, NARROW))
    axis.axvspan(0, p, color="0.85", zorder=0)
    axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axis.plot(alarms, hits, color=ENSEMBLE, marker="o", markersize=4)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axis.set(xlabel=f"normal clips that raise an alarm\n(grey: up to {p:g}, where pAUC looks)")
    axis.set(ylabel="anomalies that raise an alarm")
    return figure


def roc_page(ten: pd.DataFrame, p: float) -> str:
    """The figure of the ROC curve, with what it shows in words."""
    alarms, hits, _ = roc_curve(ten["label"] == "anomaly", ten["mix"], drop_intermediate=False)
    kept = hits[alarms == 0].max()
    alt = (
        "ROC curve of the ten clips, in steps from no alarm at the lower left to all alarms at the upper right. "
        f"Before the first false alarm it reaches {kept:.1f}. The strip up to {p:g} is grey; the diagonal is chance."
    )
    return (
        "```{figure} generated/ten_clips_roc.svg\n:name: ten-clips-roc\n:figclass: narrow\n"
        f":alt: {alt}\n\nThe {{term}}`ROC curve` of the ten clips: the threshold falls from the highest score to the "
        "lowest, each anomaly that it passes is a step up, each normal clip a step to the right. AUC is the whole area "
        f"under the curve, pAUC looks at the grey strip only. There the curve stays at {kept:.1f}, what is found "
        "before the first false alarm.\n```\n"
    )
