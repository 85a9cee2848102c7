"""What a person looks at and listens to: a page on some recordings, and how verdicts developed over the days."""

import base64
import html
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from asdlib import atomic
from asdlib.detector.calibration import ENSEMBLE
from asdlib.detector.judge import Judge
from asdlib.detector.recordings import fitting
from asdlib.detector.sources import Recording, open_recording
from asdlib.errors import AsdError, DetectorError

EXCERPT = 60.0
"""seconds of a longer recording that a report plays and shows, around its first span"""
FORMATS = (".html", ".png")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 16px/1.5 sans-serif; max-width: 62rem; margin: 1rem auto; padding: 0 1rem }}
body {{ color: #222; background: #fff }}
table {{ border-collapse: collapse; margin: .5rem 0 }} td, th {{ border: 1px solid #ccc; padding: .2rem .6rem }}
th {{ text-align: left; background: #f3f3f3 }} img {{ max-width: 100% }} audio {{ width: 100% }}
.anomaly {{ color: #b34700; font-weight: bold }} h2 {{ margin-top: 2.5rem; overflow-wrap: anywhere }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""


def report(judge: Judge, clips: Sequence[Path], out: Path, section: str | None = None, changed: bool = False) -> int:
    """Write a page, or a figure, about some recordings: one file that needs no network.

    Args:
        judge: The detector.
        clips: Recordings.
        out: File to write; its ending, ``.html`` or ``.png``, says which.
        section: Section of all of them (default: their folders' names, or the only one).
        changed: Whether they were recorded under the changed conditions.

    Returns:
        How many of the recordings could be judged; the page says why the others could not.

    Raises:
        DetectorError: The file has another ending.
    """
    _check_ending(out)
    if not clips:
        raise DetectorError("no recordings to report on; give files or folders")
    rows, parts, figures = [], [], []
    for path in clips:
        try:
            entry = judge.judge(path, section, changed).as_dict()
        except AsdError as error:
            rows.append([path, "error", "", ""])
            parts.append(f"<h2>{html.escape(str(path))}</h2><p>{html.escape(str(error))}</p>")
            continue
        recording = open_recording(path, judge.stored.settings.data)
        wave, begin = _excerpt(recording, entry["spans"])
        figure = _picture(wave, recording.rate, begin, entry, _normals(judge, entry, recording, section, changed))
        figures.append(figure)
        rows.append([path, entry["verdict"], f"{entry['score']:.2f}", f"{entry['threshold']:.2f}"])
        parts.append(_about(entry, figure, wave, recording.rate, begin))
    if out.suffix.lower() == ".png":
        if not figures:
            raise DetectorError(f"{out}: none of the recordings could be judged; a page (.html) says why")
        _write(out, _stacked(figures))
        return len(figures)
    facts = judge.stored.facts
    head = _table(["recording", "verdict", "score", "threshold"], rows)
    about = (
        f"<p>Detector {judge.identity[:12]}, made {html.escape(str(facts.record.get('date', 'at an unknown time')))}, "
        f"for a rate of false alarms of {judge.rate:.1%}.</p>"
    )
    _write(
        out,
        _PAGE.format(title="Report of a detector", body="\n".join([about, head, *parts])).encode(
            "utf-8", "backslashreplace"
        ),
    )
    return len(figures)


def history(journals: Iterable[Path], out: Path) -> pd.DataFrame:
    """Write a page, or a figure, about verdicts over time.

    Args:
        journals: Journals of ``score --watch``, or outputs of ``score --json``.
        out: File to write, ``.html`` or ``.png``.

    Returns:
        One row per day: ``day, recordings, anomalies``, and medians of ``score``, ``excess`` (over the threshold) and
        ``level`` in dB.

    Raises:
        DetectorError: There are no verdicts, or a file holds something else.
    """
    _check_ending(out)
    table = pd.concat([_verdicts(path) for path in journals], ignore_index=True).sort_values("when")
    if table.empty:
        raise DetectorError("no verdicts in these files; expected those of score --watch or score --json")
    groups = table.groupby(table["when"].dt.strftime("%Y-%m-%d"))
    days = pd.DataFrame(
        {
            "recordings": groups.size(),
            "anomalies": groups["anomaly"].sum(),
            **{name: groups[name].median() for name in ("score", "excess", "level")},
        }
    )
    days = days.rename_axis("day").reset_index()
    from asdlib.plots import detector as plots

    picture = _png(plots.drift(table, days))
    if out.suffix.lower() == ".png":
        _write(out, picture)
        return days
    shown = days.round(2).astype(str).to_numpy().tolist()
    head = [
        "day",
        "recordings",
        "anomalies",
        "median score",
        "median score minus threshold",
        "median level change (dB)",
    ]
    body = f"{_image(picture, 'Scores and levels over time')}\n{_table(head, shown)}"
    _write(out, _PAGE.format(title="Verdicts over the days", body=body).encode())
    return days


def _verdicts(path: Path) -> pd.DataFrame:
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        rows = [
            {
                "when": pd.Timestamp(entry["modified"], unit="ns", tz="UTC")
                if "modified" in entry
                else pd.Timestamp(entry["time"]).tz_convert("UTC"),
                "score": entry["score"],
                "excess": entry["score"] - entry["threshold"],
                "level": entry["level"],
                "anomaly": bool(entry["anomaly"]),
            }
            for entry in entries
            if "error" not in entry
        ]
    except OSError as error:
        raise DetectorError(f"{path}: cannot be read ({(error.strerror or '').lower()}); expected a journal") from None
    except (ValueError, KeyError, TypeError):
        raise DetectorError(
            f"{path}: holds something else than verdicts; expected a journal of score --watch, or the output of score "
            "--json, of this version"
        ) from None
    return pd.DataFrame(rows, columns=["when", "score", "excess", "level", "anomaly"])


def _normals(judge: Judge, entry: dict, recording: Recording, section: str | None, changed: bool) -> np.ndarray:
    """Scores of the normal clips that a verdict's threshold comes from."""
    facts, rate = judge.stored.facts, judge.stored.settings.data.sample_rate
    samples = round(fitting(recording.seconds, facts.lengths) * rate)
    code = judge.section(entry["clip"], section)
    return judge.limits[judge.key(code, "target" if changed else "source", samples)][ENSEMBLE].scores


def _excerpt(recording: Recording, spans: list[dict]) -> tuple[np.ndarray, float]:
    """The samples to show, and where they begin in seconds."""
    count = min(recording.frames, round(EXCERPT * recording.rate))
    first = round((spans[0]["start"] - EXCERPT / 4) * recording.rate) if spans else 0
    first = min(max(first, 0), recording.frames - count)
    return recording.read(first, count), first / recording.rate


def _picture(wave: np.ndarray, rate: int, begin: float, entry: dict, normals: np.ndarray) -> bytes:
    from asdlib.plots import detector as plots  # matplotlib, which nothing else here needs

    return _png(plots.recording(wave, rate, begin, entry, normals))


def _about(entry: dict, figure: bytes, wave: np.ndarray, rate: int, begin: float) -> str:
    """One recording: player, figure, branches, spans."""
    kind = ' class="anomaly"' if entry["anomaly"] else ""
    sentence = (
        f"score {entry['score']:.2f}, threshold {entry['threshold']:.2f}; above {entry['above']} of {entry['normals']} "
        f"normal clips; level {entry['level']:+.1f} dB against what was learnt"
    )
    parts = [
        f"<h2>{html.escape(entry['clip'])}</h2>",
        f"<p><span{kind}>{html.escape(entry['verdict'])}</span>: {sentence}.</p>",
        _image(figure, "Spectrogram with what sounded wrong framed, and the score among those of normal clips"),
        f'<audio controls src="data:audio/wav;base64,{_base64(_wav(wave, rate))}"></audio>',
    ]
    if begin or len(wave) / rate >= EXCERPT:
        parts.append(f"<p>Shown and played: {begin:.1f} to {begin + len(wave) / rate:.1f} s.</p>")
    rows = [
        [name, f"{part['score']:.2f}", f"{part['percentile']:.2f}", "yes" if part["anomaly"] else ""]
        for name, part in entry["branches"].items()
    ]
    parts.append(_table(["branch", "score", "percentile among normal recordings", "objected"], rows))
    if entry["spans"]:
        rows = [
            [
                f"{span['start']:.2f} to {span['end']:.2f}",
                ", ".join(f"{low:.0f} to {high:.0f}" for low, high in span["frequencies"]),
                span["branch"],
            ]
            for span in entry["spans"]
        ]
        parts.append(_table(["seconds", "Hz", "branch"], rows))
        near = entry["nearest"]
        parts.append(f"<p>Nearest normal clip: {html.escape(near['recording'])}, from {near['start']:.1f} s on.</p>")
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{html.escape(str(cell))}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>" + "".join(lines) + "</table>"


def _image(picture: bytes, words: str) -> str:
    return f'<img alt="{html.escape(words)}" src="data:image/png;base64,{_base64(picture)}">'


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _wav(wave: np.ndarray, rate: int) -> bytes:
    """16-bit wav, as loud as can be: faults of quiet recordings shall be heard."""
    stream = io.BytesIO()
    peak = np.abs(wave).max()
    soundfile.write(stream, wave / peak * 0.9 if peak > 0 else wave, rate, format="WAV", subtype="PCM_16")
    return stream.getvalue()


def _png(figure) -> bytes:
    import matplotlib.pyplot as plt

    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    plt.close(figure)
    return stream.getvalue()


def _stacked(pictures: Sequence[bytes]) -> bytes:
    """Several figures of one width below each other."""
    import matplotlib.image

    arrays = [matplotlib.image.imread(io.BytesIO(picture)) for picture in pictures]
    width = max(array.shape[1] for array in arrays)
    arrays = [np.pad(array, ((0, 0), (0, width - array.shape[1]), (0, 0)), constant_values=1) for array in arrays]
    stream = io.BytesIO()
    matplotlib.image.imsave(stream, np.concatenate(arrays), format="png")
    return stream.getvalue()


def _write(out: Path, content: bytes) -> None:
    with atomic.writing(out) as temporary:
        temporary.write_bytes(content)


def _check_ending(out: Path) -> None:
    if out.suffix.lower() not in FORMATS:
        raise DetectorError(f"{out}: ends in {out.suffix or 'nothing'}; expected {' or '.join(FORMATS)}")
