"""Plot what a detector of your own machine considers normal, and what it finds anomalous."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from asdlib.plots import style


def normal(held_out: pd.DataFrame, verdicts: pd.DataFrame) -> Figure:
    """Plot scores of the held-out normal clips with the threshold, and those of judged recordings as ticks below.

    Args:
        held_out: Scores of the held-out clips, the attribute ``held_out_`` of a detector.
        verdicts: One row per judged recording, with ``score``, ``threshold`` and ``anomaly``.
    """
    style.use()
    figure, axis = plt.subplots(figsize=(8, 3.5))
    scores = held_out[held_out["branch"] == "ensemble"]
    sns.histplot(scores, x="score", bins=20, color=style.NORMAL, ax=axis, label="held-out normal clips")
    for anomaly, colour in ((False, style.SOURCE), (True, style.ANOMALY)):
        chosen = verdicts.loc[verdicts["anomaly"] == anomaly, "score"]
        label = f"judged {'an anomaly' if anomaly else 'normal'}"
        axis.plot(chosen, np.full(len(chosen), -0.3), "|", color=colour, markersize=12, label=label)
    for number, threshold in enumerate(sorted(set(verdicts["threshold"]))):
        axis.axvline(threshold, color="black", linestyle="--", label=None if number else "threshold")
    if verdicts["score"].max() > 20:
        axis.set_xscale("symlog", linthresh=5)
    axis.set(xlabel="score of the ensemble", ylabel="clips")
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
    figure, axes = plt.subplots(len(verdicts), 1, squeeze=False, sharex=True, figsize=(8, 1 + 2.2 * len(verdicts)))
    for axis, verdict, (waveform, rate) in zip(axes[:, 0], verdicts.itertuples(), recordings, strict=True):
        axis.specgram(_audible(waveform), NFFT=1024, noverlap=512, Fs=rate, cmap=style.SPECTROGRAM)
        for span in verdict.spans:
            for low, high in span["frequencies"]:
                box = (span["start"], low), span["end"] - span["start"], high - low
                axis.add_patch(Rectangle(*box, fill=False, edgecolor="white", linewidth=2))
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
        figure, sound = plt.subplots(figsize=(6, 3))
    else:
        figure, (sound, scores) = plt.subplots(2, 1, figsize=(6, 5), height_ratios=(3, 2))
    if titled:
        figure.suptitle(f"{Path(verdict['clip']).name}: {verdict['verdict']}", fontsize="medium", wrap=True)
    extent = {"xextent": (begin, begin + len(wave) / rate)}
    sound.specgram(_audible(wave), NFFT=min(1024, len(wave)), noverlap=min(512, len(wave) // 2), Fs=rate, **extent)
    sound.images[0].set_cmap(style.SPECTROGRAM)
    for span in verdict["spans"]:
        for low, high in span["frequencies"]:
            box = (span["start"], low), span["end"] - span["start"], high - low
            sound.add_patch(Rectangle(*box, fill=False, edgecolor="white", linewidth=2))
    sound.grid(False)
    sound.set(xlabel="time (s)", ylabel="frequency (Hz)", xlim=(begin, begin + len(wave) / rate))
    if normals is None:
        return figure
    colour = style.ANOMALY if verdict["anomaly"] else style.SOURCE
    scores.hist(normals, bins=15, color=style.NORMAL, label="normal clips")
    scores.axvline(verdict["threshold"], color="black", linestyle="--", label="threshold")
    scores.axvline(verdict["score"], color=colour, linewidth=3, label="this recording")
    if verdict["score"] > 20:
        scores.set_xscale("symlog", linthresh=5)
    scores.set(xlabel="score", ylabel="clips")
    scores.yaxis.get_major_locator().set_params(integer=True)
    scores.legend(fontsize="small")
    return figure


def _audible(wave: np.ndarray) -> np.ndarray:
    """Add noise at -140 dB, so that the spectrum of digital silence has a logarithm."""
    return wave + 1e-7 * np.random.default_rng(0).standard_normal(len(wave))


def drift(verdicts: pd.DataFrame, days: pd.DataFrame) -> Figure:
    """Plot scores and levels over time, so that slow drifts are visible long before they raise an alarm.

    Args:
        verdicts: One row per recording: ``when`` (a time), ``excess`` (score minus threshold), ``level`` (dB),
            ``anomaly`` and ``changed`` (the level or the response).
        days: One row per day: ``day``, and the medians ``excess`` and ``level``.
    """
    style.use()
    figure, axes = plt.subplots(2, 1, sharex=True, figsize=(6, 5))
    for axis, column, label in zip(
        axes, ("excess", "level"), ("score minus threshold", "level change (dB)"), strict=True
    ):
        changed, anomaly = verdicts["changed"], verdicts["anomaly"]
        kinds = [(~(changed | anomaly), style.SOURCE, "normal"), (anomaly, style.ANOMALY, "anomaly")]
        for chosen, colour, word in [*kinds, (changed, style.TARGET, "level or response changed")]:
            some = verdicts[chosen]
            axis.plot(some["when"], some[column], ".", color=colour, alpha=0.5, label=word)
        noon = pd.to_datetime(days["day"]) + pd.Timedelta(hours=12)
        axis.plot(noon, days[column], "-", color="black", label="median of the day")
        axis.axhline(0, color="black", linewidth=1, linestyle="--")
        axis.set_ylabel(label)
    if len(verdicts) and verdicts["excess"].max() > 20:
        axes[0].set_yscale("symlog", linthresh=5)
    axes[0].legend(loc="upper left", fontsize="small")
    figure.autofmt_xdate()
    return figure
