"""Run the commands ``fit``, ``score`` and ``calibrate``."""

import codecs
import contextlib
import datetime
import gc
import math
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import asdlib.detector
from asdlib import atomic
from asdlib.detector import sources, store
from asdlib.detector.calibration import ENSEMBLE
from asdlib.detector.judge import Judge
from asdlib.detector.output import COLUMNS, Progress, format_verdict
from asdlib.detector.watch import watch
from asdlib.errors import AsdError, DataError, DetectorError

NORMAL, ANOMALY, ERROR, LEVEL = 0, 1, 2, 3
"""exit codes of ``score``"""
_GRAVITY = (NORMAL, LEVEL, ANOMALY, ERROR)  # the gravest code of all recordings is returned


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
    statistics_only: bool,
    ignore_names: bool,
) -> Path:
    """Fit a detector and write it; unfinished work is kept next to it, so that the same command resumes.

    Args:
        normal: Folder of normal recordings, with a sub-folder per section if there are several.
        out: Folder to write.
        changed: Folder of normal recordings under changed conditions, if there are any.
        outliers: Folders of normal recordings of other machines.
        profile: Name or path of the profile with the settings of the networks.
        false_alarm_rate: Rate of false alarms to aim at.
        level_limit: Largest change of level, in dB, that does not count.
        overrides: Settings to change.
        jobs: Number of networks to train at a time.
        replace: Whether to replace a detector in ``out``.
        statistics_only: Whether to train no network.
        ignore_names: Whether to accept recordings whose names say that they are anomalous.

    Returns:
        Path of the model card.

    Raises:
        AsdError: Recordings, settings or ``out`` cannot be used, or there is a detector that is not to be replaced.
    """
    store.check_vacant(out)
    if out.exists() and not replace:
        raise DetectorError(
            f"{out}: there is already a detector; give another folder, or --replace to replace it once the new one is "
            "ready"
        )
    work = out.with_name(f".{out.name}.work")
    detector = asdlib.detector.Detector(profile, false_alarm_rate, overrides, level_limit, statistics_only)
    for number in (signal.SIGTERM, signal.SIGHUP):  # end like Ctrl-C, unless nohup asks to ignore the signal
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    with atomic.only_one(work / "lock", f"{out}: another command is fitting this detector; wait until it has finished"):
        try:
            detector.fit(
                normal, changed=changed, outliers=outliers, work=work, jobs=jobs, ignore_names=ignore_names
            ).save(out)
        except AsdError:
            if not any(
                path.suffix in (".pt", ".safetensors") for path in work.rglob("*")
            ):  # nothing has been learnt yet
                shutil.rmtree(work)
            raise
        shutil.rmtree(work)
    return out / store.CARD


def calibrate(
    place: Path, normal: Path, out: Path | None, *, section: str | None, changed: bool, ignore_names: bool
) -> Path:
    """Set the thresholds of a detector on new normal recordings.

    Args:
        place: Folder of the detector.
        normal: Folder of new normal recordings.
        out: Folder for the calibrated detector; None to change the detector in place.
        section: Section of all recordings (default: the names of their folders, or the only section).
        changed: Whether they were recorded under the changed conditions.
        ignore_names: Whether to accept recordings whose names say that they are anomalous.

    Returns:
        Path of the model card.
    """
    out = out or place
    store.check_vacant(out)
    detector = asdlib.detector.Detector.load(place)
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
    """Judge recordings, and then those that appear in a watched folder, and print one line per recording.

    Args:
        place: Folder of the detector.
        clips: Recordings, folders of recordings, or ``-`` for a list of files on standard input, one per line.
        folder: Folder to watch until the command is stopped, if any.
        journal: File for the verdicts on the watched folder (default: next to the folder).
        section: Section of all recordings (default: the names of their folders, or the only section).
        changed: Whether they were recorded under the changed conditions.
        form: ``json``, ``csv`` or ``text``.
        false_alarm_rate: Rate of false alarms to aim at (default: the detector's own).

    Returns:
        The exit code: 2 if a recording could not be judged, else 1 if one was anomalous, else 3 if the level of one was
        too different to judge it, else 0. Also 0 when watching was stopped.
    """
    if not clips and folder is None:
        raise DetectorError("there is nothing to score; give recordings or folders, - for a list of files, or --watch")
    if folder is None:
        return _score_all(place, clips, section, changed, form, false_alarm_rate)
    # Watching ends only when it is stopped: by Ctrl-C, or by a service manager with SIGTERM.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
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
    if rate is not None:
        _warn_of_few_normals(detector)
    gc.freeze()  # imported objects stay until the end; collecting them then would take a second
    gc.enable()
    paths = expand(clips)

    def judge(path: Path) -> dict:
        return detector.judge(path, section, changed).as_dict()

    def stamp(entry: dict) -> dict:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return entry | {"time": now, "detector": detector.identity}

    codes = {NORMAL}
    if form == "csv":
        print(",".join(COLUMNS), flush=True)
    for entry in _all(paths, folder, journal, judge, stamp):
        if "error" in entry:
            codes.add(ERROR)
            print(f"error: {entry['error']}", file=sys.stderr, flush=True)
        else:
            codes.add(ANOMALY if entry["anomaly"] else NORMAL if entry["verdict"] == "normal" else LEVEL)
            print(format_verdict(entry, form), flush=True)
    return max(codes, key=_GRAVITY.index)


def _warn_of_few_normals(judge: Judge) -> None:
    """Say so on standard error if a detector has too few held-out clips for its rate of false alarms."""
    found = [parts[ENSEMBLE].expected() for parts in judge.limits.values()]
    reached = max(found, key=lambda values: values["rate"])
    if reached["rate"] > judge.rate:
        print(
            f"warning: {reached['clips']} held-out clips allow a rate of false alarms of {100 * reached['rate']:.1f} % "
            f"at best, so the threshold is that of this rate instead of {100 * judge.rate:g} %; for lower rates, "
            f"calibrate the detector with {math.ceil(round(1 / judge.rate, 6)) - 1} or more new normal clips",
            file=sys.stderr,
            flush=True,
        )


def expand(clips: Iterable[Path]) -> list[Path]:
    """Replace folders by the recordings in them, and ``-`` by the list of files on standard input.

    Raises:
        DataError: A folder contains no recording, or standard input no file.
    """
    result = []
    for path in clips:
        if str(path) == "-":
            content = sys.stdin.buffer.read().removeprefix(codecs.BOM_UTF8)
            text = os.fsdecode(content)  # names on disk may not be valid text
            lines = text.split("\0") if "\0" in text else re.split(r"\r?\n", text)
            listed = [Path(line) for line in lines if line]
            if not listed:
                raise DataError(
                    "standard input contains no file, so nothing was judged; expected a list of files, one per line"
                )
            result += expand(listed)
        elif path.is_dir():
            result += sources.list_all(path)
        else:
            result.append(path)
    return result


def _all(
    paths: list[Path],
    folder: Path | None,
    journal: Path | None,
    judge: Callable[[Path], dict],
    stamp: Callable[[dict], dict],
) -> Iterator[dict]:
    with Progress(len(paths)) as progress:
        for path in paths:
            try:
                entry = judge(path)
            except AsdError as error:
                entry = {"clip": str(path), "error": str(error)}
            progress.add(entry)
            yield stamp(entry)
    if folder is not None:
        yield from watch(folder, judge, journal=journal, stamp=stamp)
