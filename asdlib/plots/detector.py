"""Plot what a detector of your own machine considers normal, and what it finds anomalous."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullLocator, SymmetricalLogLocator

from asdlib.plots import style


def normal(held_out: pd.DataFrame, threshold: float, verdicts: pd.DataFrame) -> Figure:
    """Plot scores of the held-out normal clips, and those of judged recordings as ticks below, minus their thresholds.

    Args:
        held_out: Scores of the held-out clips, the attribute ``held_out_`` of a detector.
        threshold: The threshold among them, minus the attribute ``offset_``.
        verdicts: One row per judged recording, with ``verdict``, ``score``, ``threshold`` and ``anomaly``.
    """
    style.use()
    figure, axis = plt.subplots(figsize=(style.WIDTH, 2.9))
    scores = held_out.loc[held_out["branch"] == "ensemble", "score"] - threshold
    sns.histplot(x=scores, bins=20, color=style.NORMAL, ax=axis, label="held-out normal clips")
    changed = verdicts["verdict"].str.contains("changed")
    kinds = [(~(changed | verdicts["anomaly"]), style.SOURCE, "judged normal")]
    kinds += [
        (verdicts["anomaly"], style.ANOMALY, "judged an anomaly"),
        (changed, style.BASELINE, "level or response changed"),
    ]
    excess = verdicts["score"] - verdicts["threshold"]
    for chosen, colour, label in kinds:
        if chosen.any():
            axis.plot(excess[chosen], np.full(chosen.sum(), -0.3), "|", color=colour, markersize=12, label=label)
    axis.axvline(0, color="black", linestyle="--", label="threshold")
    if excess.max() > 20:
        axis.set_xscale("symlog", linthresh=5)
    axis.set(xlabel="score of the ensemble minus threshold", ylabel="clips")
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.legend()
    return figure


def spans(verdicts: pd.DataFrame, recordings: Sequence[tuple[np.ndarray, int]]) -> Figure:
    """Plot a spectrogram of each recording, with frames around its spans: when and at which frequencies it is unusual.

    Args:
        verdicts: One row per recording, with ``clip``, ``anomaly`` and ``spans``.
        recordings: Samples, ``(samples,)``, and sampling rate in Hz of each recording.
    """
    style.use()
    figure, axes = plt.subplots(
        len(verdicts), 1, squeeze=False, sharex=True, figsize=(style.WIDTH, 0.8 + 1.7 * len(verdicts))
    )
    for axis, verdict, (waveform, rate) in zip(axes[:, 0], verdicts.itertuples(), recordings, strict=True):
        axis.specgram(_audible(waveform), NFFT=1024, noverlap=512, Fs=rate, cmap=style.SPECTROGRAM)
        _frame(axis, verdict.spans)
        axis.grid(False)
        word = "anomaly" if verdict.anomaly else "normal"
        axis.set(title=f"{verdict.clip}: {word}", ylabel="frequency (Hz)")
        axis.set_xlim(0, max(axis.get_xlim()[1], len(waveform) / rate))
    axes[-1, 0].set_xlabel("time (s)")
    return figure


def recording(
    wave: np.ndarray, rate: int, begin: float, verdict: dict, normals: np.ndarray | None, titled: bool = False
) -> Figure:
    """Plot the spectrogram of a recording, or of a part of it, with frames around its spans, and its score.

    The score is shown as a line in the histogram of those of normal clips.

    Args:
        wave: Samples, ``(samples,)``.
        rate: Sampling rate in Hz.
        begin: Start of the part, in seconds from the start of the recording.
        verdict: The verdict as a dictionary.
        normals: Scores of the held-out normal clips; None to show the spectrogram alone.
        titled: Whether to write the name of the recording and the verdict above.
    """
    style.use()
    if normals is None:
        figure, sound = plt.subplots(figsize=(4.8, 2.8))
    else:
        figure, (sound, scores) = plt.subplots(2, 1, figsize=(4.8, 4.8), height_ratios=(3, 2))
    if titled:
        figure.suptitle(f"{Path(verdict['clip']).name}: {verdict['verdict']}", fontsize="medium", wrap=True)
    extent = {"xextent": (begin, begin + len(wave) / rate)}
    sound.specgram(_audible(wave), NFFT=min(1024, len(wave)), noverlap=min(512, len(wave) // 2), Fs=rate, **extent)
    sound.images[0].set_cmap(style.SPECTROGRAM)
    _frame(sound, verdict["spans"])
    sound.grid(False)
    sound.set(xlabel="time (s)", ylabel="frequency (Hz)", xlim=(begin, begin + len(wave) / rate))
    if normals is None:
        return figure
    colour = style.ANOMALY if verdict["anomaly"] else style.SOURCE
    scores.hist(normals, bins=15, color=style.NORMAL, label="normal clips")
    scores.axvline(verdict["threshold"], color="black", linestyle="--", label="threshold")
    scores.axvline(verdict["score"], color=colour, linewidth=3, label="this recording")
    if verdict["score"] > 20:
        _compress(scores.xaxis, scores.set_xscale)
    scores.set(xlabel="score", ylabel="clips")
    scores.yaxis.get_major_locator().set_params(integer=True)
    scores.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    return figure


def _frame(axis: Axes, spans: Sequence[dict]) -> None:
    """Draw frames around the spans of a verdict on a spectrogram."""
    for span in spans:
        for low, high in span["frequencies"]:
            box = (span["start"], low), span["end"] - span["start"], high - low
            axis.add_patch(Rectangle(*box, fill=False, edgecolor="white", linewidth=2))


def _audible(wave: np.ndarray) -> np.ndarray:
    """Add noise at -140 dB, so that the spectrum of digital silence has a logarithm."""
    return wave + 1e-7 * np.random.default_rng(0).standard_normal(len(wave))


def drift(verdicts: pd.DataFrame, days: pd.DataFrame) -> Figure:
    """Plot scores, percentiles and levels over time, so that slow drifts are visible long before they raise an alarm.

    Args:
        verdicts: One row per recording, in the order of time: ``when``, ``excess`` (score minus threshold),
            ``percentile``, ``level`` and ``level_spread`` (dB; half of the learnt range), ``anomaly``, ``changed``
            (level or response), ``detector`` and ``error``.
        days: One row per day: ``day``, and the medians ``excess``, ``percentile`` and ``level``.
    """
    style.use()
    figure, axes = plt.subplots(3, 1, sharex=True, figsize=(6, 7))
    judged = verdicts[~verdicts["error"]]
    changed, anomaly = judged["changed"], judged["anomaly"]
    kinds = [(~(changed | anomaly), style.SOURCE, "normal"), (anomaly, style.ANOMALY, "anomaly")]
    kinds.append((changed, style.BASELINE, "level or response changed"))
    noon = pd.to_datetime(days["day"], utc=True) + pd.Timedelta(hours=12)
    names = {"excess": "score minus\nthreshold", "percentile": "percentile", "level": "level (dB)"}
    for axis, (column, label) in zip(axes, names.items(), strict=True):
        for chosen, colour, word in kinds:
            some = judged[chosen]
            axis.plot(some["when"], some[column], ".", color=colour, alpha=0.5, label=word if len(some) else None)
        axis.plot(noon, days[column], "-", color="black", label="median of the day")
        axis.axhline(50 if column == "percentile" else 0, color="black", linewidth=1, linestyle="--")
        axis.set_ylabel(label)
        for when in judged["when"][judged["detector"].ne(judged["detector"].shift())][1:]:
            axis.axvline(when, color="black", linestyle=":", label="other or calibrated detector")
    axes[1].set_ylim(-2, 102)
    if len(judged):
        spread = judged["level_spread"]
        band = {"step": "post", "color": style.NORMAL, "alpha": 0.15, "linewidth": 0, "label": "learnt levels"}
        axes[2].fill_between(judged["when"], -spread, spread, **band)
    if judged["excess"].max() > 20:
        _compress(axes[0].yaxis, axes[0].set_yscale)
    handles = {word: handle for axis in axes for handle, word in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=2, fontsize="small")
    figure.autofmt_xdate()
    return figure


def _compress(axis: Axis, set_scale: Callable) -> None:
    """Show large scores on a logarithmic scale, with plain numbers as in the tables next to the figure."""
    set_scale("symlog", linthresh=5)
    axis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=5, subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}")))
    axis.set_minor_locator(NullLocator())
