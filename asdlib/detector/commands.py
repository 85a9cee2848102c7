"""The commands ``fit``, ``score`` and ``calibrate``."""

import contextlib
import csv
import datetime
import gc
import io
import json
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from asdlib import atomic
from asdlib.detector import sources, store
from asdlib.detector.judge import Judge
from asdlib.detector.watch import watch
from asdlib.errors import AsdError, DetectorError

NORMAL, ANOMALY, ERROR, LEVEL = 0, 1, 2, 3
"""exit codes of ``score``"""
_GRAVITY = (NORMAL, LEVEL, ANOMALY, ERROR)  # of several recordings the gravest counts
KEYS = [
    *("clip", "verdict", "anomaly", "score", "threshold", "percentile", "above", "normals", "level"),
    *("branches", "spans", "nearest", "time", "detector"),
]
"""of ``--json``"""
COLUMNS = [
    *("clip", "score", "percentile", "anomaly", "autoencoder", "classifier", "statistics", "spans"),
    *("threshold", "level", "verdict", "nearest", "time", "detector"),
]
"""of ``--csv``; the branches by their percentiles"""
_EVERY = 10.0  # seconds between lines of progress
_MANY = 20  # recordings from which on progress is told


def fit(
    normal: Path,
    out: Path,
    *,
    changed: Path | None,
    outliers: list[Path],
    profile: str,
    false_alarm_rate: float,
    level_limit: float,
    overrides: dict,
    jobs: int,
    replace: bool,
    ignore_names: bool,
) -> Path:
    """Fit a detector and write it; unfinished work is kept next to it, so that the same command resumes.

    Returns:
        The model card.

    Raises:
        AsdError: Recordings, settings or the place to write to cannot be used; or there is a detector, which is not to
            be replaced.
    """
    store.check_vacant(out)
    if out.exists() and not replace:
        raise DetectorError(
            f"{out}: there is a detector already; give another place, or --replace, which replaces it once the new one "
            "is ready"
        )
    work = out.with_name(f".{out.name}.work")
    work.mkdir(parents=True, exist_ok=True)
    from asdlib.detector.detector import Detector  # with scikit-learn, which score does without

    detector = Detector(profile, false_alarm_rate, overrides, level_limit)
    with atomic.only_one(work / "lock", f"{out}: another command is fitting it; wait until it has ended"):
        try:
            detector.fit(
                normal, changed=changed, outliers=outliers, work=work, jobs=jobs, ignore_names=ignore_names
            ).save(out)
        except AsdError:
            if not any(path.suffix in (".pt", ".safetensors") for path in work.rglob("*")):  # nothing was learnt yet
                shutil.rmtree(work)
            raise
        shutil.rmtree(work)
    return out / store.CARD


def calibrate(
    place: Path, normal: Path, out: Path | None, *, section: str | None, changed: bool, ignore_names: bool
) -> Path:
    """Set a detector's thresholds on new normal recordings, in place or as another detector.

    Returns:
        The model card.
    """
    out = out or place
    store.check_vacant(out)
    from asdlib.detector.detector import Detector

    detector = Detector.load(place)
    detector.calibrate(normal, section=section, changed=changed, ignore_names=ignore_names).save(out)
    return out / store.CARD


def score(
    place: Path,
    clips: list[Path],
    *,
    folder: Path | None,
    journal: Path | None,
    section: str | None,
    changed: bool,
    form: str,
    false_alarm_rate: float | None,
) -> int:
    """Judge recordings, and then those that appear in a watched folder, and print a line each.

    Args:
        place: The detector.
        clips: Recordings, folders of them, or ``-`` for a list on standard input, one per line.
        folder: Folder to watch until the command is stopped, if any.
        journal: File for the verdicts on the watched folder (default: next to it).
        section: Section of all of them; by default by their folders.
        changed: Whether they are of changed conditions.
        form: ``json``, ``csv`` or ``text``.
        false_alarm_rate: Rate to aim at (default: the detector's own).

    Returns:
        The exit code: 2 if a recording could not be judged, else 1 if one was anomalous, else 3 if the level of one was
        too far from what was learnt to judge it, else 0. 0 when watching was stopped.
    """
    if not clips and folder is None:
        raise DetectorError("nothing to score: give recordings or folders, - for a list of files, or --watch FOLDER")
    if folder is None:
        return _score_all(place, clips, section, changed, form, false_alarm_rate)
    # To stop the watching, at whatever moment, is the way to end it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service manager's way to end us
    with contextlib.suppress(KeyboardInterrupt):
        _score_all(place, clips, section, changed, form, false_alarm_rate, folder, journal)
    return NORMAL


def _score_all(
    place: Path,
    clips: list[Path],
    section: str | None,
    changed: bool,
    form: str,
    rate: float | None,
    folder: Path | None = None,
    journal: Path | None = None,
) -> int:
    detector = Judge.load(place, rate)
    gc.freeze()  # what was imported stays to the end, which would take a second longer if it were looked through
    gc.enable()
    paths = expanded(clips)

    def judge(path: Path) -> dict:
        entry = detector.judge(path, section, changed).as_dict()
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return entry | {"time": now, "detector": detector.identity}

    codes = {NORMAL}
    if form == "csv":
        print(",".join(COLUMNS), flush=True)
    for entry in _all(paths, folder, journal, judge):
        if "error" in entry:
            codes.add(ERROR)
            print(f"error: {entry['error']}", file=sys.stderr, flush=True)
        else:
            codes.add(ANOMALY if entry["anomaly"] else NORMAL if entry["verdict"] == "normal" else LEVEL)
            print(written(entry, form), flush=True)
    return max(codes, key=_GRAVITY.index)


def expanded(clips: Iterable[Path]) -> list[Path]:
    """Replace folders by the recordings in them, and ``-`` by the list of files on standard input.

    Raises:
        DataError: A folder holds no recording.
    """
    result = []
    for path in clips:
        if str(path) == "-":
            text = os.fsdecode(sys.stdin.buffer.read())  # names on disk may be no text
            lines = text.split("\0") if "\0" in text else text.splitlines()
            result += expanded(Path(line) for line in lines if line)
        elif path.is_dir():
            result += sources.below(path)
        else:
            result.append(path)
    return result


def _all(paths: list[Path], folder: Path | None, journal: Path | None, judge: Callable[[Path], dict]) -> Iterator[dict]:
    with Progress(len(paths)) as progress:
        for path in paths:
            try:
                entry = judge(path)
            except AsdError as error:
                entry = {"clip": str(path), "error": str(error)}
            progress.add(entry)
            yield entry
    if folder is not None:
        yield from watch(folder, judge, journal=journal)


class Progress:
    """Says on standard error every few seconds how many recordings are judged, if there are many.

    Args:
        count: How many there are.
    """

    def __init__(self, count: int):
        self.count, self.done, self.anomalies, self.errors = count, 0, 0, 0
        self.began = self.said = time.monotonic()

    def add(self, entry: dict) -> None:
        """Count a verdict or an error."""
        self.done += 1
        self.anomalies += bool(entry.get("anomaly"))
        self.errors += "error" in entry
        now = time.monotonic()
        if self.count >= _MANY and now - self.said >= _EVERY:
            left = (now - self.began) / self.done * (self.count - self.done)
            self._say(f", {left:.0f} s left")
            self.said = now

    def _say(self, rest: str) -> None:
        counts = f"{self.done} of {self.count} recordings: {self.anomalies} anomalies, {self.errors} errors"
        print(counts + rest, file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        if self.count >= _MANY:
            self._say("")


def written(entry: dict, form: str) -> str:
    """Return a verdict as one line."""
    if form == "json":
        return json.dumps({key: entry[key] for key in KEYS}, ensure_ascii=False, allow_nan=False)
    spans = [_span(span) for span in entry["spans"]]
    nearest = entry["nearest"]["recording"] if entry["nearest"] else ""
    if form == "csv":
        values = entry | {"anomaly": int(entry["anomaly"]), "spans": "; ".join(spans), "nearest": nearest}
        values |= {name: branch["percentile"] for name, branch in entry["branches"].items()}
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([values.get(name, "") for name in COLUMNS])
        return line.getvalue()
    parts = [f"{entry['clip']}: {entry['verdict'].replace('anomaly', 'ANOMALY')}"]
    parts.append(f"score {entry['score']:.2f} (threshold {entry['threshold']:.2f})")
    parts.append(f"percentile {math.floor(100 * entry['percentile']) / 100:.2f}")  # never 100
    if entry["above"] == entry["normals"]:
        parts.append(f"above all {entry['normals']} normal clips")
    if entry["anomaly"]:
        who = [name for name, branch in entry["branches"].items() if branch["anomaly"]]
        parts += [f"objected: {', '.join(who)}", *spans, f"nearest normal clip: {nearest}"]
    return "  ".join(parts)


def _span(span: dict) -> str:
    bands = ", ".join(f"{low:.0f}-{high:.0f} Hz" for low, high in span["frequencies"])
    return f"{span['start']:.2f}-{span['end']:.2f} s ({bands})"
