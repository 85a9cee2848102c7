"""Print verdicts and progress."""

import csv
import io
import json
import math
import sys
import time

from asdlib.messages import printable

KEYS = [
    *("clip", "verdict", "anomaly", "score", "threshold", "percentile", "above", "normals", "level", "level_spread"),
    *("branches", "spans", "nearest", "note", "time", "detector"),
]
"""keys of a verdict as JSON"""
COLUMNS = [
    *("clip", "score", "percentile", "anomaly", "autoencoder", "classifier", "statistics", "spans"),
    *("threshold", "level", "level_spread", "verdict", "nearest", "note", "time", "detector"),
]
"""columns of a verdict as CSV; those of the branches hold percentiles, which are empty if level or response changed"""
_EVERY = 10.0  # seconds between lines of progress
_MANY = 20  # number of recordings from which on progress is printed


class Progress:
    """Print the progress on standard error every few seconds if there are many recordings.

    Args:
        count: Number of recordings.
    """

    def __init__(self, count: int):
        self.count, self.done, self.anomalies, self.changed, self.errors = count, 0, 0, 0, 0
        self.began = self.said = time.monotonic()

    def add(self, entry: dict) -> None:
        """Count a verdict or an error."""
        self.done += 1
        self.anomalies += bool(entry.get("anomaly"))
        self.changed += "changed by" in entry.get("verdict", "")
        self.errors += "error" in entry
        now = time.monotonic()
        if self.count >= _MANY and now - self.said >= _EVERY:
            left = (now - self.began) / self.done * (self.count - self.done)
            self._say(f", {left:.0f} s left")
            self.said = now

    def _say(self, rest: str) -> None:
        counts = (
            f"{self.done} of {self.count} recordings: anomalies {self.anomalies}, level or response changed "
            f"{self.changed}, errors {self.errors}"
        )
        print(counts + rest, file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_) -> None:
        if self.count >= _MANY:
            self._say("")


def format_verdict(entry: dict, form: str) -> str:
    """Format a verdict as one line: ``json``, ``csv`` or ``text``."""
    if form == "json":
        escape = not (sys.stdout.encoding or "").lower().startswith("utf")  # what Python escapes itself is not JSON
        return json.dumps({key: entry[key] for key in KEYS}, ensure_ascii=escape, allow_nan=False)
    spans = [_span(span) for span in entry["spans"]]
    nearest = entry["nearest"]["recording"] if entry["nearest"] else ""
    if form == "csv":
        values = entry | {"anomaly": int(entry["anomaly"]), "spans": "; ".join(spans), "nearest": nearest}
        values |= {name: branch["percentile"] for name, branch in entry["branches"].items()}
        line = io.StringIO()
        csv.writer(line).writerow([values.get(name, "") for name in COLUMNS])  # quotes names with line ends
        return line.getvalue().removesuffix("\r\n")
    parts = [f"{printable(entry['clip'])}: {entry['verdict'].replace('anomaly', 'ANOMALY')}"]
    if is_changed(entry):
        parts.append("not searched for faults")
    else:
        parts.append(f"score {entry['score']:.2f} (threshold {entry['threshold']:.2f})")
        parts.append(f"percentile {format_percentile(entry['percentile'])}")
        # The highest of many windows is often above all clips of one window, which says nothing about the recording.
        if entry["above"] == entry["normals"] and entry["percentile"] > 100 * (1 - 1 / (entry["normals"] + 1)) - 1e-5:
            parts.append(f"above all {entry['normals']} normal clips")
    if entry["anomaly"]:
        who = [name for name, branch in entry["branches"].items() if branch["anomaly"]]
        parts += [f"objected: {', '.join(who)}", *spans, f"nearest normal clip: {nearest}"]
    if entry["note"]:
        parts.append(f"note: {entry['note']}")
    return "  ".join(parts)


def is_changed(entry: dict) -> bool:
    """Tell whether the level or the response changed, so that the recording was not searched for faults."""
    return entry["verdict"] not in ("normal", "anomaly")


def format_percentile(percentile: float) -> str:
    """Format a percentile, rounded down, since no score is known to lie above all normal recordings.

    >>> format_percentile(99.9999)
    '99.99'
    """
    return f"{math.floor(100 * percentile) / 100:.2f}"


def _span(span: dict) -> str:
    bands = ", ".join(f"{low:.0f}-{high:.0f} Hz" for low, high in span["frequencies"])
    return f"{span['start']:.2f}-{span['end']:.2f} s ({bands})"
