"""Train and use a detector: the commands ``fit``, ``score``, ``calibrate`` and ``onnx``."""

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

import asdlib
from asdlib import atomic
from asdlib.detector import sources, store
from asdlib.detector.calibration import ENSEMBLE
from asdlib.detector.judge import Judge
from asdlib.detector.output import COLUMNS, Progress, format_verdict
from asdlib.detector.watch import watch
from asdlib.errors import AsdError, DataError, DetectorError
from asdlib.messages import printable
from asdlib.params.settings import assignments

NORMAL, ANOMALY, ERROR, LEVEL = 0, 1, 2, 3
"""exit codes of ``score``"""
_GRAVITY = (NORMAL, LEVEL, ANOMALY, ERROR)  # the gravest code of all recordings is returned


def fit(arguments) -> int:
    """Train a detector, write it and print its card; unfinished work is kept, so that the same command resumes.

    Raises:
        AsdError: Recordings, settings or the folder to write cannot be used, or there is a detector in it that is not
            to be replaced.
    """
    out = arguments.out
    store.check_vacant(out)
    if out.exists() and not arguments.replace:
        raise DetectorError(
            f"{out}: there is already a detector; give another folder, or --replace to replace it once the new one is "
            "ready"
        )
    work = out.with_name(f".{out.name}.work")
    detector = asdlib.Detector(
        arguments.profile,
        arguments.false_alarms,
        assignments(arguments.set),
        arguments.level_limit,
        arguments.statistics_only,
    )
    for number in (signal.SIGTERM, signal.SIGHUP):  # end like Ctrl-C, unless nohup asks to ignore the signal
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    with atomic.only_one(work / "lock", f"{out}: another command is fitting this detector; wait until it has finished"):
        try:
            detector.fit(
                arguments.folder,
                changed=arguments.changed,
                outliers=arguments.outliers,
                work=work,
                jobs=arguments.jobs,
                ignore_names=arguments.ignore_names,
            ).save(out)
        except AsdError:
            if not any(
                path.suffix in (".pt", ".safetensors") for path in work.rglob("*")
            ):  # nothing has been learnt yet
                shutil.rmtree(work)
            raise
        shutil.rmtree(work)
    print((out / store.CARD).read_text(encoding="utf-8"))
    return 0


def calibrate(arguments) -> int:
    """Set the thresholds of a detector, or of a copy of it, on new normal recordings, and print its card."""
    out = arguments.out or arguments.detector
    store.check_vacant(out)
    detector = asdlib.Detector.load(arguments.detector)
    detector.calibrate(
        arguments.folder,
        section=arguments.section,
        changed=arguments.changed,
        ignore_names=arguments.ignore_names,
    ).save(out)
    print((out / store.CARD).read_text(encoding="utf-8"))
    return 0


def export(arguments) -> int:
    """Write a detector's networks to ONNX files."""
    from asdlib.detector import onnx  # needs PyTorch, without which the other commands work

    print(*onnx.export(arguments.detector, arguments.out), sep="\n")
    return 0


def score(arguments) -> int:
    """Judge recordings, and then those that appear in a watched folder, and print one line per recording.

    Returns:
        The exit code: 2 if a recording could not be judged, else 1 if one was anomalous, else 3 if the level or the
        response of one changed, so that it was not searched for faults, else 0. Also 0 when watching was stopped.
    """
    if arguments.watch is None:
        if not arguments.recordings:
            raise DetectorError(
                "there is nothing to score; give recordings or folders, - for a list of files, or --watch"
            )
        return _score_all(arguments)
    # Watching ends only when it is stopped: by Ctrl-C, or by a service manager with SIGTERM.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        _score_all(arguments)
    return NORMAL


def _score_all(arguments) -> int:
    detector = Judge.load(arguments.detector, arguments.false_alarm_rate)
    if arguments.false_alarm_rate is not None:
        _warn_of_few_normals(detector)
    gc.freeze()  # imported objects stay until the end; collecting them then would take a second
    gc.enable()
    paths = expand(arguments.recordings)

    def judge(path: Path) -> dict:
        return detector.judge(path, arguments.section, arguments.changed).as_dict()

    def stamp(entry: dict) -> dict:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return entry | {"time": now, "detector": detector.identity}

    codes = {NORMAL}
    if arguments.form == "csv":
        print(",".join(COLUMNS), flush=True)
    for entry in _all(paths, arguments.watch, arguments.journal, judge, stamp):
        if "error" in entry:
            codes.add(ERROR)
            print(f"error: {printable(entry['error'])}", file=sys.stderr, flush=True)
        else:
            codes.add(ANOMALY if entry["anomaly"] else NORMAL if entry["verdict"] == "normal" else LEVEL)
            print(format_verdict(entry, arguments.form), flush=True)
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
            content = sys.stdin.buffer.read()
            if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell redirects lists
                text = content.decode("utf-16", errors="replace")
            else:
                text = os.fsdecode(content.removeprefix(codecs.BOM_UTF8))  # names on disk may not be valid text
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
