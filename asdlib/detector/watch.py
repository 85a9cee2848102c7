"""Judge recordings as they appear in a folder: none twice, none lost when the command or the machine restarts.

A journal next to the folder holds one JSON object per line, written before it is shown: what is in it has been judged.
It lies outside the folder so that emptying the folder does not delete it. A recording is judged once it has stopped
growing, no process has it open for writing, and it can be read; if it cannot be read, its error takes the place of the
verdict. A recording that replaces one of the same name is a new recording.
"""

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from asdlib.detector.sources import is_recording
from asdlib.errors import AsdError, DetectorError

JOURNAL = "asdlib-scores.jsonl"
"""ending of the journal's name, after that of the folder; the whole name where the journal lies inside the folder"""
SETTLED = 2.0
"""seconds for which a recording must not have changed before it is judged"""
_PATIENCE = 10.0  # seconds without growth after which an unreadable file counts as broken, not as half-copied
_ASIDE = {"lost+found", "$recycle.bin", "system volume information", "trash"}  # folders of systems, in lower case
_PARTIAL = {".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download"}


def journal_of(folder: Path) -> Path:
    """Return the default path of a folder's journal.

    An earlier journal inside the folder stays in use. Otherwise the journal lies next to the folder or, where nothing
    can be written there, inside it.
    """
    inside, whole = folder / JOURNAL, folder.resolve()
    outside = whole.parent / f"{whole.name}.{JOURNAL}"
    if outside.is_file() or (not inside.is_file() and os.access(whole.parent, os.W_OK)):
        return outside
    return inside


def watch(
    folder: Path,
    judge: Callable[[Path], dict],
    every: float = 1.0,
    journal: Path | None = None,
    settled: float = SETTLED,
) -> Iterator[dict]:
    """Judge the recordings in a folder and its sub-folders, and then those that arrive, without end.

    Hidden and temporary files and folders, and those of trash cans, are passed over (:func:`concerns`).

    Args:
        folder: Folder to watch. It may be emptied, and even disappear for a while.
        judge: Function from a path to the values of a verdict; raises :class:`asdlib.errors.AsdError` for a recording
            that cannot be used.
        every: Seconds between looks.
        journal: File for the verdicts (default: :func:`journal_of`).
        settled: Seconds for which a recording must not have changed.

    Yields:
        What was written to the journal: the verdict, or ``clip`` and ``error``; with ``file`` (the path in the folder),
        ``size`` and ``modified``.

    Raises:
        DetectorError: The folder does not exist, or the journal cannot be used.
    """
    if not folder.is_dir():
        raise DetectorError(f"{folder}: no such folder to watch")
    book = _Journal(journal or journal_of(folder))
    seen: dict[Path, tuple[tuple[int, int], float]] = {}
    with book:
        while True:
            for path in _recordings(folder):
                if (state := _state(path)) is None:
                    continue
                name = str(path.relative_to(folder))
                if book.done.get(name) == state:
                    continue
                before, since = seen.get(path, (None, 0.0))
                if before != state:
                    seen[path] = state, time.monotonic()  # still growing, or just found
                    continue
                if time.monotonic() - since < settled or _is_written(path):
                    continue
                try:
                    entry = judge(path)
                except AsdError as error:
                    if time.monotonic() - since < _PATIENCE:
                        continue
                    entry = {"clip": str(path), "error": str(error)}
                if _state(path) != state:  # it changed or was deleted while it was judged
                    continue
                entry = entry | {"file": name, "size": state[0], "modified": state[1]}
                book.write(entry)
                seen.pop(path)
                yield entry
            time.sleep(every)


def concerns(path: Path) -> bool:
    """Say whether a path, relative to the watched folder, is a recording to judge.

    >>> concerns(Path("line1/a.wav")), concerns(Path(".Trash-1000/files/a.wav")), concerns(Path("a.part.wav"))
    (True, False, False)
    """
    for part in path.parts:
        if part[0] in ".~@#" or part.lower() in _ASIDE:
            return False
    return is_recording(path) and Path(path.stem).suffix.lower() not in _PARTIAL


class _Journal:
    """The verdicts on disk; a journal that somebody deletes is written again in the same place."""

    def __init__(self, path: Path):
        self.path = path
        self.done = _read(path)
        """size and time of each recording in it, by name"""
        self._stream = self._opened()

    def write(self, entry: dict) -> None:
        """Append an entry, on the disk when this returns.

        Raises:
            DetectorError: It cannot be written.
        """
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            if not self._is_there():
                self._restore()
            self._stream.write(line.encode("utf-8", "backslashreplace"))  # names on disk may be no text
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise _refused(self.path, error) from None
        self.done[entry["file"]] = entry["size"], entry["modified"]

    def _opened(self):
        try:
            return open(self.path, "a+b")
        except OSError as error:
            raise _refused(self.path, error) from None

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._stream.fileno()))
        except OSError:
            return False

    def _restore(self) -> None:
        """Copy what was written, which the open file still has, to a new file of the same name."""
        deleted = self._stream
        deleted.seek(0)
        text = deleted.read()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self._opened()
        deleted.close()
        self._stream.write(text)

    def __enter__(self) -> "_Journal":
        return self

    def __exit__(self, *_) -> None:
        self._stream.close()


def _recordings(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):  # it is gone, for a while
        return sorted(path for path in folder.rglob("*") if concerns(path.relative_to(folder)))
    return []


def _state(path: Path) -> tuple[int, int] | None:
    """Return size and time of a file; None if it has gone, is empty or cannot be reached."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if found.st_size else None


def _is_written(path: Path) -> bool:
    """Say whether a process on this machine has the file open for writing, where the system tells.

    The kernel refuses a read lease on such a file. Network file systems refuse any: then only time tells.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        with open(path, "rb") as stream:
            fcntl.fcntl(stream, fcntl.F_SETSIG, signal.SIGURG)  # SIGIO, of a writer who comes now, would end us
            fcntl.fcntl(stream, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(stream, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _refused(path: Path, error: OSError) -> DetectorError:
    return DetectorError(
        f"{path}: the journal of verdicts cannot be written ({(error.strerror or str(error)).lower()}); name a file "
        "that can, with --journal FILE"
    )


def _read(journal: Path) -> dict[str, tuple[int, int]]:
    """Read what was judged before; a last line that a killed process left half-written is cut off."""
    try:
        text = journal.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _refused(journal, error) from None
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        with open(journal, "r+b") as stream:
            stream.truncate(len(whole))
    try:
        entries = [json.loads(line) for line in whole.decode().splitlines()]
        return {entry["file"]: (entry["size"], entry["modified"]) for entry in entries}
    except (ValueError, KeyError, TypeError):
        raise DetectorError(f"{journal}: not a journal of this command; move it away") from None
