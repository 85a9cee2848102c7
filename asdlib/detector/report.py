"""Report on recordings, and on verdicts over time, as a page or a figure."""

import codecs
import html
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib.data.recording import Recording
from asdlib.detector import page
from asdlib.detector.calibration import ENSEMBLE
from asdlib.detector.judge import Judge
from asdlib.detector.output import format_percentile, is_changed
from asdlib.detector.recordings import fitting, open_recording
from asdlib.errors import AsdError, DetectorError
from asdlib.plots import detector as plots

EXCERPT = 60.0
"""seconds of a longer recording that a report plays and shows, around its first span"""


def report(judge: Judge, clips: Sequence[Path], out: Path, section: str | None = None, changed: bool = False) -> int:
    """Write a page or a figure about some recordings.

    Args:
        judge: The detector.
        clips: Recordings to judge.
        out: File to write; its ending, ``.html`` or ``.png``, determines which.
        section: Section of all recordings (default: the names of their folders, or the only section).
        changed: Whether they were recorded under the changed conditions.

    Returns:
        The number of recordings that could be judged; the page says why the others could not.

    Raises:
        DetectorError: The file has another ending, or there is nothing to report on.
    """
    as_figure = page.is_figure(out)
    if not clips:
        raise DetectorError("no recordings to report on; give files or folders")
    rows, parts, figures = [], [], []
    for path in clips:
        try:
            entry = judge.judge(path, section, changed).as_dict()
        except AsdError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            rows.append(["error", "", "", path])
            parts.append(f"<h2>{html.escape(str(path))}</h2><p>{html.escape(str(error))}</p>")
            continue
        with open_recording(path, judge.stored.settings.data) as recording:
            wave, start = _excerpt(recording, entry["spans"])
        length = fitting(recording.seconds, judge.stored.facts.lengths)
        normals = None if is_changed(entry) else _normal_scores(judge, entry, length, section, changed)
        figure = plots.recording(wave, recording.sample_rate, start, entry, normals, titled=as_figure)
        figures.append(page.png(figure))
        scores = ["", ""] if is_changed(entry) else [f"{entry[key]:.2f}" for key in ("score", "threshold")]
        rows.append([entry["verdict"], *scores, path])
        parts.append(_describe(entry, figures[-1], wave, recording.sample_rate, start, length))
    if as_figure:
        if not figures:
            raise DetectorError(f"{out}: none of the recordings could be judged; a page (.html) says why")
        page.write_bytes(page.stack(figures), out)
        return len(figures)
    date = html.escape(str(judge.stored.facts.record.get("date", "at an unknown time")))
    about = f"<p>Detector {judge.identity[:12]}, made {date}, for a rate of false alarms of {100 * judge.rate:g} %.</p>"
    head = page.table(["verdict", "score", "threshold", "recording"], rows)
    page.write_page("Report of a detector", "\n".join([about, head, *parts]), out)
    return len(figures)


def history(journals: Iterable[Path], out: Path) -> pd.DataFrame:
    """Write a page or a figure about verdicts over time.

    Args:
        journals: Journals of ``score --watch``, or outputs of ``score --json``.
        out: File to write, ``.html`` or ``.png``.

    Returns:
        One row per day in UTC: ``day, recordings, anomalies``; ``changed``, recordings whose level or response changed,
        which were not searched for faults; ``errors``, recordings that could not be judged; and the medians of
        ``score``, ``excess`` (score minus threshold), both without those changed, and ``level`` in dB.

    Raises:
        DetectorError: There are no verdicts, or a file contains something else.
    """
    as_figure = page.is_figure(out)
    verdicts = pd.concat(
        [_read_verdicts(path) for path in dict.fromkeys(map(Path.resolve, journals))], ignore_index=True
    ).sort_values("when")
    if verdicts.empty:
        raise DetectorError("no verdicts in these files; expected those of score --watch or score --json")
    groups = verdicts.groupby(verdicts["when"].dt.strftime("%Y-%m-%d"))
    medians = {name: groups[name].median() for name in ("score", "excess", "level")}
    counts = {name: groups[name].sum() for name in ("anomaly", "changed", "error")}
    days = pd.DataFrame({"recordings": groups.size(), **counts, **medians})
    days = days.rename(columns={"anomaly": "anomalies", "error": "errors"})
    days = days.rename_axis("day").reset_index()
    picture = page.png(plots.drift(verdicts, days))
    if as_figure:
        page.write_bytes(picture, out)
        return days
    head = [
        "day (UTC)",
        "recordings",
        "anomalies",
        "level or response changed",
        "errors",
        "median score",
        "median score minus threshold",
        "median level change (dB)",
    ]
    cells = days.map(lambda value: f"{value:z.2f}" if isinstance(value, float) else str(value)).replace("nan", "")
    table = page.table(head, cells.to_numpy().tolist())
    page.write_page("Verdicts over the days", f"{page.image(picture, 'Scores and levels over time')}\n{table}", out)
    return days


def _read_verdicts(path: Path) -> pd.DataFrame:
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines(keepends=True)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise DetectorError(f"{path}: could not be read ({reason}); expected a journal of score --watch") from None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows += [_verdict_row(json.loads(line))] if line.strip() else []
        except (ValueError, KeyError, TypeError):
            if number == len(lines) > 1 and not line.endswith(b"\n"):
                continue  # score is still writing it, or was killed
            raise DetectorError(
                f"{path}: line {number} contains something other than a verdict; expected a journal of score --watch, "
                "or the output of score --json, of this version"
            ) from None
    return pd.DataFrame(rows, columns=["when", "score", "excess", "level", "anomaly", "changed", "error"])


def _verdict_row(entry: dict) -> dict:
    """Return one row of a history; scores of changed recordings are left out, as no fault is searched for in them."""
    if "modified" in entry:
        when = pd.Timestamp(entry["modified"], unit="ns", tz="UTC")
    else:
        when = pd.Timestamp(entry["time"]).tz_convert("UTC")
    if "error" in entry:
        nothing = dict.fromkeys(("score", "excess", "level"), np.nan)
        return {"when": when, **nothing, "anomaly": False, "changed": False, "error": True}
    changed = is_changed(entry)
    return {
        "when": when,
        "score": np.nan if changed else entry["score"],
        "excess": np.nan if changed else entry["score"] - entry["threshold"],
        "level": entry["level"],
        "anomaly": bool(entry["anomaly"]),
        "changed": changed,
        "error": False,
    }


def _normal_scores(judge: Judge, entry: dict, length: float, section: str | None, changed: bool) -> np.ndarray:
    """Return the scores of the normal clips that set the threshold for windows of ``length`` seconds."""
    samples = round(length * judge.stored.settings.data.sample_rate)
    code = judge.section(entry["clip"], section)
    return judge.limits[judge.key(code, "target" if changed else "source", samples)][ENSEMBLE].scores


def _excerpt(recording: Recording, spans: list[dict]) -> tuple[np.ndarray, float]:
    """Return the samples to show, and their start in seconds."""
    rate = recording.sample_rate
    count = min(recording.frames, round(EXCERPT * rate))
    first = round((spans[0]["start"] - EXCERPT / 4) * rate) if spans else 0
    first = min(max(first, 0), recording.frames - count)
    return recording.waveform(first, count), first / rate


def _describe(entry: dict, figure: bytes, wave: np.ndarray, rate: int, start: float, length: float) -> str:
    """Describe one recording by sentences, a figure, a player, and tables of branches and spans."""
    kind = ' class="anomaly"' if entry["anomaly"] else ""
    sentence = (
        f"score {entry['score']:.2f}, threshold {entry['threshold']:.2f}; percentile "
        f"{format_percentile(entry['percentile'])} among normal recordings of this length; above {entry['above']} of "
        f"{entry['normals']} normal clips of {length:g} s"
        if not is_changed(entry)
        else "not searched for faults"
    )
    sentence += f"; level {entry['level']:+z.1f} dB compared with the normal recordings"
    parts = [
        f"<h2>{html.escape(entry['clip'])}</h2>",
        f"<p><span{kind}>{html.escape(entry['verdict'])}</span>: {sentence}.</p>",
        page.image(figure, "Spectrogram with frames around unusual spans, and the score among those of normal clips"),
        page.player(wave, rate),
    ]
    if entry["note"]:
        parts.insert(2, f"<p>Note: {html.escape(entry['note'])}.</p>")
    if start or len(wave) / rate >= EXCERPT:
        parts.append(f"<p>Shown and played: {start:.1f} to {start + len(wave) / rate:.1f} s.</p>")
    if not is_changed(entry):
        rows = [
            [name, f"{part['score']:.2f}", format_percentile(part["percentile"]), "yes" if part["anomaly"] else ""]
            for name, part in entry["branches"].items()
        ]
        parts.append(page.table(["branch", "score", "percentile among normal recordings", "objected"], rows))
    if entry["spans"]:
        rows = [
            [
                f"{span['start']:.2f} to {span['end']:.2f}",
                ", ".join(f"{low:.0f} to {high:.0f}" for low, high in span["frequencies"]),
                span["branch"],
            ]
            for span in entry["spans"]
        ]
        parts.append(page.table(["seconds", "Hz", "branch"], rows))
        near = entry["nearest"]
        parts.append(f"<p>Nearest normal clip: {html.escape(near['recording'])}, at {near['start']:.1f} s.</p>")
    return "\n".join(parts)
