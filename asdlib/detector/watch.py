"""Judging recordings as they appear in a folder: none twice, none lost over a restart.

A journal beside the recordings holds one JSON object a line, written before it is shown: what is in it has been judged.
A recording is judged once it has stopped growing and can be read; if it cannot, its error takes the place of the
verdict. One that was written anew under an old name is a new recording.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from asdlib import AsdError
from asdlib.detector import DetectorError

JOURNAL = "asdlib-scores.jsonl"
_PATIENCE = 10.0  # seconds without growth after which an unreadable file counts as broken, not as half-copied


def watch(folder: Path, judge: Callable[[Path], dict], every: float = 1.0) -> Iterator[dict]:
    """Judge what lies in a folder and its sub-folders and what comes, without end.

    Args:
        folder: With wav files.
        judge: From a path to the values of a verdict; raises :class:`asdlib.AsdError` for what cannot be used.
        every: Seconds between looks.

    Yields:
        What was written to the journal: the verdict, or ``clip`` and ``error``; and ``size`` and ``modified``.

    Raises:
        DetectorError: There is no such folder, or its journal is not ours.
    """
    if not folder.is_dir():
        raise DetectorError(f"{folder}: no such folder to watch")
    journal = folder / JOURNAL
    done = _read(journal)
    seen: dict[Path, tuple[tuple[int, int], float]] = {}
    with open(journal, "a", encoding="utf-8") as stream:
        while True:
            for path in sorted(folder.rglob("*")):
                if path.suffix.lower() != ".wav" or (state := _state(path)) is None:
                    continue
                name = str(path.relative_to(folder))
                if done.get(name) == state:
                    continue
                before, since = seen.get(path, (None, 0.0))
                if before != state:
                    seen[path] = state, time.monotonic()  # still growing, or just found
                    continue
                try:
                    entry = judge(path)
                except AsdError as error:
                    if time.monotonic() - since < _PATIENCE:
                        continue
                    entry = {"clip": str(path), "error": str(error)}
                if _state(path) != state:  # it changed while it was judged
                    continue
                entry = entry | {"file": name, "size": state[0], "modified": state[1]}
                stream.write(json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
                done[name] = state
                seen.pop(path)
                yield entry
            time.sleep(every)


def _state(path: Path) -> tuple[int, int] | None:
    """Size and time of a file; None if it has gone or cannot be reached."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _read(journal: Path) -> dict[str, tuple[int, int]]:
    """What was judged before; the last line may be half-written, by a process that was killed: it is cut off."""
    if not journal.is_file():
        return {}
    text = journal.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        with open(journal, "r+b") as stream:
            stream.truncate(len(whole))
    try:
        entries = [json.loads(line) for line in whole.decode().splitlines()]
        return {entry["file"]: (entry["size"], entry["modified"]) for entry in entries}
    except (ValueError, KeyError, TypeError):
        raise DetectorError(f"{journal}: not a journal of this command; move it away") from None
