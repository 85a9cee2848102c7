"""Report on recordings, as a page or a figure."""

import html
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

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
            verdict = judge.judge(path, section, changed)
        except AsdError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            rows.append(["error", "", "", path])
            parts.append(f"<h2>{html.escape(str(path))}</h2><p>{html.escape(str(error))}</p>")
            continue
        entry = verdict.as_dict()
        with open_recording(path, judge.stored.settings.data) as recording:
            wave, start = _excerpt(recording, entry["spans"])
        length = fitting(recording.seconds, judge.stored.description.lengths)
        normals = None if is_changed(entry) else verdict.held_out[ENSEMBLE]
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
    made = f"Detector {judge.identity[:12]}, made {_date(judge.stored.description.record)}"
    about = f"<p>{made}, for a rate of false alarms of {100 * judge.rate:g} %.</p>"
    head = page.table(["verdict", "score", "threshold", "recording"], rows)
    page.write_page("Report of a detector", "\n".join([about, head, *parts]), out)
    return len(figures)


def _date(record: dict) -> str:
    try:
        return f"{datetime.fromisoformat(record['date']):%Y-%m-%d %H:%M %Z}"
    except (KeyError, TypeError, ValueError):
        return "at an unknown time"


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
    score, threshold, level = (
        page.minus(form.format(entry[name]))
        for name, form in (("score", "{:.2f}"), ("threshold", "{:.2f}"), ("level", "{:+z.1f}"))
    )
    sentence = (
        f"score {score}, threshold {threshold}; percentile "
        f"{format_percentile(entry['percentile'])} among normal recordings of this length; above {entry['above']} of "
        f"{entry['normals']} normal clips of {length:g} s"
        if not is_changed(entry)
        else "not searched for faults"
    )
    sentence += f"; level {level} dB compared with the normal recordings"
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
