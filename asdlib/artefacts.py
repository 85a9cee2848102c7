"""Write the files of a run atomically, and record what produced them."""

import contextlib
import datetime
import errno
import fcntl
import glob
import hashlib
import json
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from asdlib import AsdError

_PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pandas", "librosa")


class ArtefactError(AsdError):
    """Raised when a file cannot be written; the message gives the path, the reason and what to do."""


@contextlib.contextmanager
def writing(path: Path | str, folder: bool = False) -> Iterator[Path]:
    """Write to a temporary path next to ``path``, then flush and rename it, so that ``path`` is never incomplete.

    Args:
        path: Final path; its parent folder is created if it is missing.
        folder: True to write a folder (which replaces an existing one), False to write a file.

    Yields:
        The temporary path to write to. It is removed on an exception, and ``path`` stays unchanged. :func:`sweep`
        removes the temporary files that killed processes leave behind.

    Raises:
        ArtefactError: The disk is full, read-only or broken, whichever exception the writing library raised.
    """
    path, temporary = Path(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path, folder)
        yield temporary
        for file in temporary.rglob("*") if folder else [temporary]:
            _flush(file)
        with contextlib.suppress(OSError):  # some file systems have no permissions
            temporary.chmod(0o755 if folder else 0o644)
        if folder:
            _swap(temporary, path)
        else:
            temporary.replace(path)
        with contextlib.suppress(OSError):  # some network file systems cannot flush a folder
            _flush(path.parent)
    except BaseException as error:
        reason = _refusal(error, path.parent)  # before removing the temporary file frees space
        if temporary is not None:
            _remove(temporary)
        if reason is None:
            raise
        raise ArtefactError(
            f"could not write {path} ({reason}); the previous version is unchanged; free some space or fix the disk, "
            "then run the same command again to resume"
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
    found = sorted(folder.rglob(pattern) if deep else folder.glob(pattern), reverse=True)
    gone = [path for path in found if not _alive(int(path.name.removeprefix(_PARTIAL).partition(".")[0]))]
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


def _refusal(error: BaseException, folder: Path) -> str | None:
    """Return why ``folder`` cannot be written to, or None if ``error`` has another cause.

    numpy, torch, safetensors and libsndfile each raise their own error when the disk is full, so this tries a write.
    """
    if isinstance(error, OSError) and error.errno is not None:
        elsewhere = error.filename is not None and not Path(os.fsdecode(error.filename)).is_relative_to(folder)
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
        sentence: Message of the :class:`asdlib.AsdError` raised if another process holds the lock.

    Raises:
        asdlib.AsdError: Another process holds the lock.
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


@contextlib.contextmanager
def socket_folder() -> Iterator[Path]:
    """Create a temporary folder whose path is short enough for sockets (about 100 characters at most)."""
    usual = tempfile.gettempdir()
    for place in (usual, os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp", "/dev/shm"):
        if place and len(os.fsencode(place)) <= 60 and os.access(place, os.W_OK | os.X_OK):
            with tempfile.TemporaryDirectory(prefix="asdlib", dir=place, ignore_cleanup_errors=True) as folder:
                yield Path(folder)
            return
    raise ArtefactError(f"{usual}: the path is too long for sockets (over 60 characters); set TMPDIR to a shorter one")


def write_json(value: object, path: Path | str) -> None:
    """Write ``value`` atomically as indented JSON; raise ``ValueError`` on NaN."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


class SettingsError(AsdError):
    """Raised when an artefact of the run was made with other settings."""


def made_with(path: Path, wanted: dict) -> None:
    """Compare the settings in a record with the current ones, so that no table mixes results of different settings.

    Snakemake reruns a stage when its settings change, but a notebook that was run by hand with other settings may have
    left its results in the run folder.

    Args:
        path: The record, next to the artefact; if it does not exist, nothing is checked.
        wanted: Settings that the record must contain; it may contain more.

    Raises:
        SettingsError: A setting differs; the message names the record, the key, and the found and expected values.
    """
    if not path.is_file():
        return
    stored = json.loads(path.read_text(encoding="utf-8"))["settings"]
    for key, value in json.loads(json.dumps(wanted)).items():
        if stored.get(key) != value:
            raise SettingsError(
                f"{path}: made with {key}: {json.dumps(stored.get(key))}, while this run has {json.dumps(value)}; "
                "delete that folder and run make reproduce to make it again, or give the run another profile name"
            )


def fingerprint(value: object) -> str:
    """Return the first 12 hex digits of the SHA-256 of ``value`` as canonical JSON, to compare settings."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def commit() -> str:
    """Return the git commit of this project's working tree, with ``+changes`` if files differ from it.

    Returns ``unknown`` if this package is not at the top of a working tree of this project: a package installed inside
    the user's own repository must not be recorded with the user's commit.
    """
    package = Path(__file__).resolve().parent
    # Variables such as GIT_DIR, which git sets for its hooks, would point to another repository.
    environment = {name: value for name, value in os.environ.items() if name in _GIT or not name.startswith("GIT_")}

    def git(*words: str) -> str:
        command = ["git", "-c", "safe.directory=*", *words]  # safe for any owner: their code is already running
        run = {"cwd": package, "capture_output": True, "text": True, "check": True, "timeout": 10}
        return subprocess.run(command, env=environment, **run).stdout.strip()

    try:
        top = Path(git("rev-parse", "--show-toplevel")).resolve()
        about = tomllib.loads((top / "pyproject.toml").read_text(encoding="utf-8"))
        if top != package.parent or about["project"]["name"] != "asdlib":
            return "unknown"
        head, dirty = git("rev-parse", "--short=12", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return "unknown"
    return head + ("+changes" if dirty else "")


_GIT = ("GIT_CEILING_DIRECTORIES", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
"""git variables that do not select a repository"""


def record(settings: dict, *, seed: int, device: str, data: str, seconds: float, **more: object) -> dict:
    """Describe what made an artefact: settings, seed, versions, commit, device, data, wall time and peak memory.

    Args:
        settings: The resolved settings that the artefact depends on.
        seed: Seed of the artefact's random numbers.
        device: Human-readable device, as returned by :meth:`asdlib.training.Compute.describe`.
        data: Fingerprint of the input data.
        seconds: Wall time in seconds.
        more: Further entries for this artefact (number of parameters, precision, pretrained weights ...).
    """
    return {
        "settings": settings,
        "settings_fingerprint": fingerprint(settings),
        "seed": seed,
        "data_fingerprint": data,
        "device": device,
        "commit": commit(),
        "versions": {
            "python": platform.python_version(),
            "asdlib": metadata.version("asdlib"),
            **{name: metadata.version(name) for name in _PACKAGES},
        },
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "wall_seconds": round(seconds, 2),
        "peak_bytes": peak_memory(),
        **more,
    }


def peak_memory() -> int:
    """Return the peak memory of this process in bytes, including memory-mapped files."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
