"""Write the files of a run atomically, and hold locks that end with their process."""

import contextlib
import errno
import fcntl
import glob
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from asdlib.errors import ArtefactError, AsdError

_UMASK = os.umask(0o077)
"""permissions that new files lack; Python can only read them by setting others"""
os.umask(_UMASK)


@contextlib.contextmanager
def writing(path: Path | str, folder: bool = False, last: str | None = None) -> Iterator[Path]:
    """Write to a temporary path next to ``path``, then flush and rename it, so that ``path`` is never incomplete.

    Args:
        path: Final path; its parent folder is created if it is missing.
        folder: True to write a folder (which replaces an existing one), False to write a file.
        last: For a folder whose other files are kept, the file that is put in place after the other new files.

    Yields:
        The temporary path to write to. It is removed on an exception, and ``path`` stays unchanged. :func:`sweep`
        removes the temporary files that killed processes leave behind.

    Raises:
        ArtefactError: The disk is full, read-only or broken, whichever exception the writing library raised.
    """
    path, temporary = Path(path), None
    place = path if last is None else path / last
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(place, folder)
        yield temporary
        for file in [temporary, *temporary.rglob("*")]:
            _flush(file)
            with contextlib.suppress(OSError):  # some file systems have no permissions
                file.chmod((0o777 if file.is_dir() else 0o666) & ~_UMASK)  # safetensors and tempfile keep all out
        if last is not None:
            _move(temporary, path, last)
        elif folder:
            _swap(temporary, path)
        else:
            temporary.replace(path)
        with contextlib.suppress(OSError):  # some network file systems cannot flush a folder
            _flush(place.parent)
    except BaseException as error:
        reason = _refusal(error, place.parent)  # before removing the temporary file frees space
        if temporary is not None:
            _remove(temporary)
        if reason is None:
            raise
        remedy = _REMEDIES.get(reason, "free some space or fix the disk")
        raise ArtefactError(
            f"could not write {path} ({reason}); the previous version is unchanged; {remedy}, then "
            "run the same command again to resume"
        ) from error


def sweep(folder: Path, deep: bool = True, name: str = "") -> list[Path]:
    """Remove the temporary files that killed processes left behind in :func:`writing`.

    Args:
        folder: Folder to search.
        deep: Whether to search its subfolders too.
        name: Final name of the file or folder; all names by default.

    Returns:
        The removed paths.
    """
    pattern = f"{_PARTIAL}*.{glob.escape(name)}.*" if name else f"{_PARTIAL}*"
    partial = sorted(folder.rglob(pattern) if deep else folder.glob(pattern), reverse=True)
    gone = [path for path in partial if not _alive(int(path.name.removeprefix(_PARTIAL).partition(".")[0]))]
    for path in gone:
        _remove(path)
    return gone


_PARTIAL = ".partial-"  # prefix of every temporary name, followed by the ID of the writing process


def _temporary(path: Path, folder: bool) -> Path:
    prefix = f"{_PARTIAL}{os.getpid()}."
    if folder:
        return Path(tempfile.mkdtemp(prefix=f"{prefix}{path.name}.", dir=path.parent))
    descriptor, name = tempfile.mkstemp(prefix=f"{prefix}{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(descriptor)
    return Path(name)


def _swap(temporary: Path, path: Path) -> None:
    """Replace ``path`` by the folder ``temporary``; restore ``path`` if that fails."""
    old = temporary.with_name(f"{temporary.name}.old")
    if path.exists():
        path.rename(old)
    try:
        temporary.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _move(temporary: Path, folder: Path, last: str) -> None:
    """Move all files of ``temporary`` to ``folder``, the file ``last`` after the others."""
    for file in sorted(temporary.iterdir(), key=lambda file: (file.name == last, file.name)):
        file.replace(folder / file.name)
    temporary.rmdir()


def _flush(path: Path) -> None:
    """Force a file's bytes, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


_REFUSED = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EFBIG", "ENAMETOOLONG", "ENOTDIR", "EEXIST")
}
_REMEDIES = {
    os.strerror(code): remedy
    for codes, remedy in (
        ((errno.EACCES, errno.EPERM, errno.EROFS), "make its folder writable or choose another one"),
        ((errno.ENOTDIR, errno.EEXIST), "move the file that is in the way"),
        ((errno.ENAMETOOLONG,), "choose a shorter name"),
    )
    for code in codes
}
"""what to do about reasons other than a full or broken disk"""


def _refusal(error: BaseException, folder: Path) -> str | None:
    """Return why ``folder`` cannot be written to, or None if ``error`` has another cause.

    numpy, torch, safetensors and libsndfile each raise their own error when the disk is full, so this tries a write.
    """
    if isinstance(error, OSError) and error.errno is not None:
        place = None if error.filename is None else Path(os.fsdecode(error.filename)).absolute()
        elsewhere = place is not None and not place.is_relative_to(folder.absolute())
        return error.strerror if error.errno in _REFUSED and not elsewhere else None
    if not isinstance(error, Exception):
        return None
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(bytes(1 << 20))
    except OSError as refused:
        return refused.strerror
    return None


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:  # a zombie, whose parent has not yet collected its exit status, has ended
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


@contextlib.contextmanager
def only_one(path: Path, sentence: str) -> Iterator[None]:
    """Hold a lock that the operating system releases when the process ends, however it ends.

    On a file system without locks, a file that names the host and the process serves instead.

    Args:
        path: Lock file; created if it is missing, and kept.
        sentence: Message of the :class:`asdlib.errors.AsdError` raised if another process holds the lock.

    Raises:
        asdlib.errors.AsdError: Another process holds the lock.
        ArtefactError: The folder cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = stack.enter_context(open(path, "w", encoding="utf-8"))
        except OSError as error:
            raise ArtefactError(
                f"could not write {path} ({error.strerror.lower()}); choose another folder, or change its permissions"
            ) from None
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AsdError(sentence) from None
        except OSError:  # ENOLCK, ENOTSUP or ENOSYS: a file system without locks
            stack.enter_context(_only_one_by_name(path.with_name(f"{path.name}.holder"), sentence))
        yield


@contextlib.contextmanager
def _only_one_by_name(path: Path, sentence: str) -> Iterator[None]:
    """Hold a lock by creating ``path``, which names host and process; take over the lock of a process that ended."""
    here = socket.gethostname()
    while True:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                machine, _, process = path.read_text(encoding="utf-8").partition(" ")
                if machine != here or not process.isdecimal() or _alive(int(process)):
                    raise AsdError(
                        f"{sentence} ({path}: {machine} {process}; if that has ended, delete the file)"
                    ) from None
                path.unlink()
    try:
        os.write(descriptor, f"{here} {os.getpid()}".encode())
        os.close(descriptor)
        yield
    finally:
        path.unlink(missing_ok=True)


def write_text(text: str, path: Path | str) -> None:
    """Write a text file atomically, in UTF-8; undecodable bytes of file names are escaped, in JSON reversibly."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(value: object, path: Path | str) -> None:
    """Write ``value`` atomically as indented JSON; raise ``ValueError`` on NaN."""
    write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)


def read_json(path: Path | str) -> dict:
    """Read a JSON object; raise :class:`ArtefactError` if the file contains something else, as after a crash."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ArtefactError(f"{path}: not a whole JSON object; delete it, then run the command again that made it")
    return value
