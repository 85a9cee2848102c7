"""Judge recordings as they appear in a folder, each exactly once even if the command or the machine restarts.

A journal next to the folder contains one JSON object per recording that has been judged, one per line, and is written
before the verdict is printed. It is outside the folder so that emptying the folder does not delete it. A recording is
judged once it has stopped growing, no process has it open for writing, and it can be read. If it cannot be read, an
error takes the place of the verdict. A recording that replaces one of the same name is a new recording, even one of the
same size and time, as from a recorder without a clock: the journal also knows the beginning and the end of each.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from asdlib.data.recording import is_ignored, is_recording
from asdlib.detector import sources
from asdlib.errors import AsdError, DetectorError

JOURNAL = "asdlib-scores.jsonl"
"""ending of the journal's name, after the name of the folder; the whole name if the journal is inside the folder"""
SETTLED = 2.0
"""seconds for which a recording must not have changed before it is judged"""
_ENDS = 2**16  # bytes at the beginning and at the end of a recording by which its content is recognised
_PATIENCE = 10.0  # seconds without growth after which an unreadable file counts as broken, not as half-copied
_PARTIAL = {".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download"}


def default_journal(folder: Path) -> Path:
    """Return the default path of a folder's journal.

    A journal that is already inside the folder stays in use. Otherwise the journal is next to the folder or, if nothing
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
    stamp: Callable[[dict], dict] = dict,
) -> Iterator[dict]:
    """Judge the recordings in a folder and its sub-folders, and then those that arrive, until it is stopped.

    Hidden and temporary files and folders and trash cans are ignored (:func:`is_relevant`).

    Args:
        folder: Folder to watch. It may be emptied, and may even disappear for a while.
        judge: Function that returns the verdict on a recording as a dictionary, or raises
            :class:`asdlib.errors.AsdError` if the recording cannot be used.
        every: Seconds between scans of the folder.
        journal: File for the verdicts (default: :func:`default_journal`).
        settled: Seconds for which a recording must not have changed.
        stamp: Function that adds the time and the detector to a verdict or an error.

    Yields:
        The entries of the journal: the verdict, or ``clip`` and ``error``; with ``file`` (the path in the folder),
        ``size``, ``modified`` and ``content`` (a hash of the beginning and the end).

    Raises:
        AsdError: The folder does not exist, it or one of its sub-folders cannot be read, or the journal cannot be used,
            for example because another command uses it.
    """
    if not folder.is_dir():
        raise DetectorError(f"{folder}: no such folder to watch")
    sources.walk(folder)  # so that a folder without permission to read is named
    book = _Journal(journal or default_journal(folder))
    seen: dict[Path, tuple[tuple[int, int], float]] = {}
    with book:
        while True:
            for path in _recordings(folder):
                if (state := _state(path)) is None:
                    continue
                name = str(path.relative_to(folder))
                if book.has(name, path, state):
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
                content = _content(path)
                if _state(path) != state or content is None:  # changed or deleted while it was judged
                    continue
                entry = stamp(entry) | {"file": name, "size": state[0], "modified": state[1], "content": content}
                book.write(entry)
                seen.pop(path)
                yield entry
            time.sleep(every)


def is_relevant(path: Path) -> bool:
    """Tell whether a path, relative to the watched folder, is a recording to judge.

    >>> is_relevant(Path("line1/a.wav")), is_relevant(Path(".Trash-1000/files/a.wav")), is_relevant(Path("a.part.wav"))
    (True, False, False)
    """
    if any(map(is_ignored, path.parts)):
        return False
    return is_recording(path) and Path(path.stem).suffix.lower() not in _PARTIAL


class _Journal:
    """Keep the verdicts on disk; a journal that somebody deletes is written again."""

    def __init__(self, path: Path):
        self.path = path
        self._stream = self._open()
        try:
            self.done = _read(path)
            """size, modification time and content of each recording in the journal, by name"""
        except AsdError:
            self._stream.close()
            raise
        self._known: dict[str, int] = {}  # when the file of each name last changed on disk, once its content is known

    def has(self, name: str, path: Path, state: tuple[int, int]) -> bool:
        """Tell whether a file is a recording of the journal; its content is read only if the file is another one."""
        size, modified, content = self.done.get(name, (None, None, None))
        if (size, modified) != state:
            return False
        try:
            changed = path.stat().st_ctime_ns
        except OSError:
            return True  # gone again
        if self._known.get(name) != changed:
            if content is not None and _content(path) not in (content, None):
                return False
            self._known[name] = changed
        return True

    def write(self, entry: dict) -> None:
        """Append an entry, and return once it is on the disk.

        Raises:
            DetectorError: The journal cannot be written.
        """
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            if not self._exists():
                self._restore()
            self._stream.write(line.encode("utf-8", "backslashreplace"))  # names on disk may not be valid text
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from None
        self.done[entry["file"]] = entry["size"], entry["modified"], entry["content"]
        self._known.pop(entry["file"], None)

    def _open(self):
        """Open the journal and lock it, where locks exist, so that no two commands judge the same recordings."""
        try:
            stream = open(self.path, "a+b")
        except OSError as error:
            raise _unwritable(self.path, error) from None
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise DetectorError(
                f"{self.path}: another command keeps its journal of verdicts there; stop that one, or give another "
                "file with --journal FILE"
            ) from None
        except OSError:  # a file system without locks
            pass
        return stream

    def _exists(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._stream.fileno()))
        except OSError:
            return False

    def _restore(self) -> None:
        """Copy the entries, which the open file still holds, to a new file of the same name."""
        deleted = self._stream
        deleted.seek(0)
        text = deleted.read()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self._open()
        deleted.close()
        self._stream.write(text)

    def __enter__(self) -> "_Journal":
        return self

    def __exit__(self, *_) -> None:
        with contextlib.suppress(OSError):  # of a full disk, which write has reported, with the name of the journal
            self._stream.close()


def _recordings(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):  # the folder may be missing for a while
        return [path for path in sources.walk(folder, strict=False) if is_relevant(path.relative_to(folder))]
    return []


def _state(path: Path) -> tuple[int, int] | None:
    """Return size and modification time of a file; None if it is missing, empty or cannot be reached."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if found.st_size else None


def _content(path: Path) -> str | None:
    """Return a hash of the beginning and the end of a file; None if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            digest = hashlib.sha256(stream.read(_ENDS))
            stream.seek(max(stream.tell(), path.stat().st_size - _ENDS))
            digest.update(stream.read(_ENDS))
    except OSError:
        return None
    return digest.hexdigest()[:16]


def _is_written(path: Path) -> bool:
    """Tell whether a process on this machine has the file open for writing, if the operating system can tell.

    The kernel refuses a read lease on such a file. Network file systems refuse every lease; then False is returned, and
    only time tells whether the file is complete.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        with open(path, "rb") as stream:
            fcntl.fcntl(stream, fcntl.F_SETSIG, signal.SIGURG)  # SIGIO, the default, would end this process
            fcntl.fcntl(stream, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(stream, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _unwritable(path: Path, error: OSError) -> DetectorError:
    remedy = "free some space, or " if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else ""
    return DetectorError(
        f"{path}: the journal of verdicts cannot be written ({(error.strerror or str(error)).lower()}); {remedy}give "
        "another file with --journal FILE"
    )


def _read(journal: Path) -> dict[str, tuple[int, int, str | None]]:
    """Read which recordings have been judged; a last line that a killed process left incomplete is cut off."""
    try:
        text = journal.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unwritable(journal, error) from None
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        with open(journal, "r+b") as stream:
            stream.truncate(len(whole))
    try:
        entries = [json.loads(line) for line in whole.splitlines()]  # of bytes: names may have line ends of Unicode
        return {entry["file"]: (entry["size"], entry["modified"], entry.get("content")) for entry in entries}
    except (ValueError, KeyError, TypeError):
        raise DetectorError(
            f"{journal}: not a journal of score --watch; move it, or give another file with --journal FILE"
        ) from None
