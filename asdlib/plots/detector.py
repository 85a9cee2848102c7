"""Figures of a detector of one's own machine: what is normal, and what it objects to."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import soundfile
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from asdlib.detector import Verdict
from asdlib.plots import style


def normal(held_out: pd.DataFrame, verdicts: Sequence[Verdict] = ()) -> Figure:
    """Scores of the held-out normal clips, and of judged recordings as ticks below, with the threshold.

    Args:
        held_out: ``held_out_`` of a detector.
        verdicts: Of recordings of one window.
    """
    style.use()
    figure, axis = plt.subplots(figsize=(8, 3.5))
    scores = held_out[held_out["branch"] == "ensemble"]
    sns.histplot(scores, x="score", bins=20, color=style.NORMAL, ax=axis, label="held-out normal clips")
    for anomaly, colour in ((False, style.SOURCE), (True, style.ANOMALY)):
        chosen = [verdict.score for verdict in verdicts if verdict.anomaly == anomaly]
        label = f"judged {'an anomaly' if anomaly else 'normal'}"
        axis.plot(chosen, np.full(len(chosen), -0.3), "|", color=colour, markersize=12, label=label)
    for number, threshold in enumerate(sorted({verdict.threshold for verdict in verdicts})):
        axis.axvline(threshold, color="black", linestyle="--", label=None if number else "threshold")
    if verdicts and max(verdict.score for verdict in verdicts) > 20:
        axis.set_xscale("symlog", linthresh=5)
    axis.set(xlabel="score of the ensemble", ylabel="clips")
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.legend()
    return figure


def spans(verdicts: Sequence[Verdict]) -> Figure:
    """Spectrogram of each recording, its spans framed: when and at which frequencies it sounded wrong."""
    style.use()
    figure, axes = plt.subplots(len(verdicts), 1, squeeze=False, sharex=True, figsize=(8, 1 + 2.2 * len(verdicts)))
    for axis, verdict in zip(axes[:, 0], verdicts, strict=True):
        waveform, rate = soundfile.read(verdict.clip, always_2d=True)
        axis.specgram(waveform[:, 0] + 1e-7, NFFT=1024, noverlap=512, Fs=rate, cmap=style.SPECTROGRAM)
        for span in verdict.spans:
            for low, high in span["frequencies"]:
                box = (span["start"], low), span["end"] - span["start"], high - low
                axis.add_patch(Rectangle(*box, fill=False, edgecolor="white", linewidth=2))
        axis.grid(False)
        word = "anomaly" if verdict.anomaly else "normal"
        axis.set(title=f"{Path(verdict.clip).name}: {word}", ylabel="frequency (Hz)")
        axis.set_xlim(0, max(axis.get_xlim()[1], len(waveform) / rate))
    axes[-1, 0].set_xlabel("time (s)")
    return figure
