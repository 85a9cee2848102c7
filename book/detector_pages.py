"""What a detector of statistics only writes: a verdict, a report on two clips of the run, and a history of verdicts.

The pages are written by the code behind ``python -m asdlib report`` and ``history``. The report is about test clips of
the run. The clips bear no dates, so for the history the generator of the demonstration makes more recordings, some per
day, with a fault that grows from day to day.
"""

import contextlib
import json
import tempfile
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from tables import typeset

from asdlib import Detector
from asdlib.data.audio import Waveforms
from asdlib.data.file_names import ClipName
from asdlib.detector import history, report
from asdlib.detector.judge import Judge
from asdlib.detector.output import KEYS
from asdlib.paths import Run
from asdlib.synthetic import dataset, faults
from asdlib.units import FULL_SCALE

FOLDER = Path("_static") / "detector"
"""where the pages are, below the pages of the book"""
DAYS, PER_DAY = 14, 8
"""of the history"""
SHARES = (-1.0, 0.5)
"""severity on the first and on the last day, as a share of the range of :class:`asdlib.synthetic.faults.Quantity`: it
begins as far below the faintest fault of the demonstration as the clearest is above it, or with none"""
FIRST = datetime(2026, 6, 1, 8, tzinfo=UTC)
"""when the first recording counts as made; recordings of a day are an hour apart"""
ABSENT = "This run has no synthetic recordings of which a detector's pages could be shown.\n"
TELLS = (
    "<script>new ResizeObserver(() => parent.postMessage({height: document.documentElement.offsetHeight}, '*'))"
    ".observe(document.body)</script>"
)
"""what a page gets in the book, so that its frame becomes as high as the page, even one that was opened as a file"""
HEARS = (
    "<script>addEventListener('message', ({source, data}) => {"
    "for (const frame of document.querySelectorAll('iframe.whole')) "
    "if (frame.contentWindow === source && data.height > 0) frame.style.height = `${data.height + 2}px`;"
    "})</script>"
)
"""what resizes the frame"""


def pages(settings, run: Run, machine: str, section: str, source: Path) -> dict[str, str]:
    """Write the detector's pages below ``source``, and return what shows them in the chapter, by file name.

    Args:
        settings: Settings of the run.
        run: The run, from whose normal clips the detector learns.
        machine: Machine type that the detector learns.
        section: Its section.
        source: Folder of the assembled pages.
    """
    if settings.data.synthetic is None:
        absent = {"generated/detector_verdict.md": "", "generated/detector_history.md": ""}
        return absent | {"generated/detector_report.md": ABSENT}
    folder = (source / FOLDER).resolve()
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        judge = _fitted(Waveforms.open(run.data(machine)), section, settings.data.sample_rate)
        fault, verdict, reported = _report(judge, run, machine, section, folder / "report.html")
        days = _history(judge, settings, machine, section, fault, folder / "history.html")
    for page in folder.glob("*.html"):
        page.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{TELLS}</body>"), encoding="utf-8")
    names = ("verdict", "report", "history")
    return {f"generated/detector_{name}.md": text for name, text in zip(names, (verdict, reported, days), strict=True)}


def _fitted(waveforms: Waveforms, section: str, rate: int) -> Judge:
    """Fit what ``fit --statistics-only`` fits, of the normal training clips of a section's source domain."""
    clips, files = waveforms.clips, []
    rows = clips.index[(clips["section"] == section) & (clips["domain"] == "source") & (clips["split"] == "train")]
    Path("train").mkdir()
    for row in rows:
        files.append(Path("train") / Path(clips["clip"][row]).name)
        soundfile.write(files[-1], waveforms.read(row), rate, subtype="PCM_16")
    Detector(statistics_only=True).fit(files).save("pump.detector")
    return Judge.load(Path("pump.detector"))


def _report(judge: Judge, run: Run, machine: str, section: str, out: Path) -> tuple[str, str, str]:
    """Report on the test clips with a fault that have the highest and the lowest score.

    Returns:
        The former's fault, its verdict as JSON, and the figure.
    """
    waveforms = Waveforms.open(run.data(machine))
    clips, rate = waveforms.clips, judge.stored.settings.data.sample_rate
    rows = clips.index[(clips["section"] == section) & (clips["domain"] == "source") & (clips["label"] == "anomaly")]
    scores = [judge.judge((waveforms.read(row) / FULL_SCALE, rate)).score for row in rows]
    chosen = [rows[np.argmax(scores)], rows[np.argmin(scores)]]
    for row in chosen:
        soundfile.write(clips["clip"][row], waveforms.read(row), rate, subtype="PCM_16")
    report.report(judge, [Path(clips["clip"][row]) for row in chosen], out)
    kinds = [clips["attributes"][row].replace("_", " ") for row in chosen]
    caption = (
        f"The page that `python -m asdlib report` writes, about two clips of {machine} of this run. Of {len(rows)} "
        f"test clips with a fault, these have the highest score ({kinds[0]}) and the lowest ({kinds[1]}). Look for the "
        "white frames, which say when and at which frequencies it sounded wrong. Compare the thick line with the "
        f"normal clips. The detector has statistics only, of the run's normal source clips of this section."
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    verdict = judge.judge(Path(clips["clip"][chosen[0]])).as_dict() | {"time": now, "detector": judge.identity}
    figure = _frame("report", caption, "Report of the detector on two clips")
    return clips["attributes"][chosen[0]], show_verdict(verdict), figure


def show_verdict(verdict: dict) -> str:
    """A verdict as ``score --json`` prints it, with a line for each key, and short lines for branches and spans."""
    lines = []
    for key in KEYS:
        value = verdict[key]
        text = json.dumps(value, ensure_ascii=False)
        if value and key in ("branches", "spans"):
            named = value.items() if key == "branches" else [("", part) for part in value]
            parts = [_broken(f"{name and json.dumps(name) + ': '}{json.dumps(part)}") for name, part in named]
            text = text[0] + "\n" + ",\n".join(parts) + "\n  " + text[-1]
        lines.append(f"  {json.dumps(key)}: {text}")
    return "```json\n{\n" + ",\n".join(lines) + "\n}\n```\n"


def _broken(text: str) -> str:
    """Wrap JSON of which no text has a space."""
    return "\n".join(textwrap.wrap(text, 72, initial_indent=4 * " ", subsequent_indent=6 * " ", break_long_words=False))


def _history(judge: Judge, settings, machine: str, section: str, fault: str, out: Path) -> str:
    """Judge recordings of some days on which ``fault`` grows, and write the history of the verdicts."""
    quantity, rate = faults.FAULTS[machine][fault].quantity, judge.stored.settings.data.sample_rate
    none = 0.0 if quantity.faint > 0 else -np.inf  # a level in dB is never low enough to be none, a change of one is
    severities = [max(quantity.at(share), none) for share in np.linspace(*SHARES, DAYS)]
    lines = []
    for number in range(DAYS * PER_DAY):
        day, hour = divmod(number, PER_DAY)
        # Numbers after those of the test set: no clip is one that the run has.
        name = ClipName(section, "source", "test", "normal", str(settings.data.synthetic.test_normal + number))
        wave = dataset.waveform(settings.data.synthetic, rate, machine, name, fault=fault, severity=severities[day])
        when = FIRST + timedelta(days=day, hours=hour)
        verdict = judge.judge((wave / FULL_SCALE, rate)).as_dict()
        lines.append(json.dumps(verdict | {"time": when.isoformat(), "detector": judge.identity}))
    journal = Path("journal.jsonl")
    journal.write_text("\n".join(lines) + "\n", encoding="utf-8")
    days, _ = history.history([journal], out)
    first, last, faint, clear = (
        f"{value:.2g} {quantity.unit}" for value in (severities[0], severities[-1], quantity.faint, quantity.clear)
    )
    caption = typeset(
        f"The page that `python -m asdlib history` writes. The verdicts are real, the days are not. The generator of "
        f"this run's data made {PER_DAY} recordings of {machine} per day for {DAYS} days, with a fault that clips of "
        f"the run have, too ({fault.replace('_', ' ')}). Its severity, the {quantity.name}, grows from {first} to "
        f"{last}. In the run it is {faint} in the faintest clips, and {clear} in the clearest. "
        f"{describe_drift(days, history.read([journal]))}"
    )
    return _frame("history", caption, "Verdicts over the days, as a plot and a table")


def describe_drift(days: pd.DataFrame, verdicts: pd.DataFrame) -> str:
    """Say when the rules for a drift first spoke and when most recordings raised an alarm, and what was mistaken.

    Args:
        days: The table of :func:`asdlib.detector.history.history`.
        verdicts: What it was made of (:func:`asdlib.detector.history.read`).
    """
    found = [history.ADVICE in history.describe_drift(verdicts[verdicts["day"] <= day]) for day in days["day"]]
    alarms = days["anomalies"] > days["recordings"] / 2
    parts = ["Look for the black lines, the medians of each day. The rules for a drift, applied every evening, "]
    parts.append(f"first claimed one on day {found.index(True) + 1}; " if any(found) else "claimed none; ")
    if alarms.any():
        parts.append(
            f"more than half of a day's recordings first raised an alarm on day {alarms.to_numpy().argmax() + 1}."
        )
    else:
        parts.append("on no day did more than half of the recordings raise an alarm.")
    if mistaken := int(days["response_changed"].sum()):
        say = "says" if mistaken == 1 else "say"
        parts.append(
            f" The microphone never changed, but {mistaken} of {len(verdicts)} verdicts {say} that the response did: "
            "there the fault, or chance, was mistaken for such a change. These have no percentile, so they are drawn "
            "with the levels only."
        )
    return "".join(parts)


def _frame(name: str, caption: str, title: str) -> str:
    address = f"{FOLDER}/{name}.html"
    return (
        f":::{{html-figure}} {caption}\n:name: detector-{name}\n\n"
        f'{HEARS}<iframe class="whole" src="{address}" title="{title}"></iframe>\n'
        f'<p><a href="{address}">The whole page by itself</a></p>\n:::\n'
    )
