"""The commands ``fit`` and ``score``."""

import contextlib
import csv
import gc
import io
import json
import shutil
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from asdlib import AsdError
from asdlib.detector import DetectorError, store
from asdlib.detector.judge import Judge
from asdlib.detector.watch import watch

NORMAL, ANOMALY, ERROR = 0, 1, 2
"""exit codes of ``score``"""
COLUMNS = ["clip", "score", "percentile", "anomaly", "autoencoder", "classifier", "spans"]
"""of ``--csv``; the branches by their percentiles"""


def fit(
    normal: Path,
    out: Path,
    *,
    changed: Path | None,
    outliers: list[Path],
    profile: str,
    false_alarm_rate: float,
    overrides: dict,
    jobs: int,
) -> Path:
    """Fit a detector and write it; what is half done lies beside it, so that the same command goes on.

    Returns:
        The model card.

    Raises:
        AsdError: Recordings, settings or the place to write to cannot be used.
    """
    store.vacant(out)
    work = out.with_name(f".{out.name}.work")
    work.mkdir(parents=True, exist_ok=True)
    from asdlib.detector.detector import Detector  # with scikit-learn, which score does without

    detector = Detector(profile, false_alarm_rate, overrides)
    try:
        detector.fit(normal, changed=changed, outliers=outliers, work=work, jobs=jobs).save(out)
    except AsdError:
        if not any(path.suffix in (".pt", ".safetensors") for path in work.rglob("*")):  # nothing was learnt yet
            shutil.rmtree(work)
        raise
    shutil.rmtree(work)
    return out / "card.md"


def score(place: Path, clips: list[Path], *, folder: Path | None, section: str | None, changed: bool, form: str) -> int:
    """Judge recordings, and then what appears in a watched folder, and print a line each.

    Args:
        place: The detector.
        clips: Wav files.
        folder: To watch until interrupted, if any.
        section: Of all of them; by default by their folders.
        changed: Whether they are of changed conditions.
        form: ``json``, ``csv`` or ``text``.

    Returns:
        The exit code: 2 if a recording could not be judged, else 1 if one was anomalous, else 0.
    """
    if not clips and folder is None:
        raise DetectorError("nothing to score: give wav files, or a folder with --watch")
    detector = Judge.load(place)
    gc.freeze()  # what was imported stays to the end, which would take a second longer if it were looked through
    gc.enable()

    def judge(path: Path) -> dict:
        return detector.judge(path, section, changed).as_dict()

    code = NORMAL
    if form == "csv":
        print(",".join(COLUMNS), flush=True)
    # To interrupt is the way to end the watching, at whatever moment.
    with contextlib.suppress(*([KeyboardInterrupt] if folder is not None else [])):
        for entry in _all(clips, folder, judge):
            if "error" in entry:
                code = ERROR
                print(f"error: {entry['error']}", file=sys.stderr, flush=True)
            else:
                code = max(code, int(entry["anomaly"]))
                print(written(entry, form), flush=True)
    return code


def _all(clips: list[Path], folder: Path | None, judge) -> Iterable[dict]:
    for path in clips:
        try:
            yield judge(path)
        except AsdError as error:
            yield {"clip": str(path), "error": str(error)}
    if folder is None:
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service manager's way to end us
    yield from watch(folder, judge)


def written(entry: dict, form: str) -> str:
    """A verdict as one line."""
    if form == "json":
        keys = ("clip", "score", "percentile", "anomaly", "branches", "spans")
        return json.dumps({key: entry[key] for key in keys}, ensure_ascii=False, allow_nan=False)
    spans = [_span(span) for span in entry["spans"]]
    if form == "csv":
        branches = [entry["branches"].get(name, {}).get("percentile", "") for name in COLUMNS[4:6]]
        values = [entry[name] for name in COLUMNS[:3]] + [int(entry["anomaly"]), *branches, "; ".join(spans)]
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(values)
        return line.getvalue()
    word = "ANOMALY" if entry["anomaly"] else "normal"
    who = [name for name, branch in entry["branches"].items() if branch["anomaly"]]
    parts = [f"{entry['clip']}: {word}", f"score {entry['score']:.2f}", f"percentile {entry['percentile']:.1f}"]
    return "  ".join([*parts, *([f"objected: {', '.join(who)}"] if who else []), *spans])


def _span(span: dict) -> str:
    bands = ", ".join(f"{low:.0f}-{high:.0f} Hz" for low, high in span["frequencies"])
    return f"{span['start']:.2f}-{span['end']:.2f} s ({bands})"
