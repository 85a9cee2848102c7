"""Writing what a run leaves behind: whole or not at all, and never without saying what made it."""

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
    """Something that cannot be written; the message names the file, why, and what to do."""


@contextlib.contextmanager
def writing(path: Path | str, folder: bool = False) -> Iterator[Path]:
    """Write under a temporary name beside ``path``, flush and rename at the end, so that what exists is whole.

    Args:
        path: The final name; its parent is made.
        folder: True to fill a folder (an older one is replaced), False to write one file.

    Yields:
        The temporary path to write to. On an exception it is removed and ``path`` stays as it was; what a killed
        process left is removed by :func:`sweep`.

    Raises:
        ArtefactError: The disk is full, read-only or broken, whatever the library that noticed makes of it.
    """
    path, temporary = Path(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path, folder)
        yield temporary
        for file in temporary.rglob("*") if folder else [temporary]:
            _flush(file)
        with contextlib.suppress(OSError):  # some file systems have no modes
            temporary.chmod(0o755 if folder else 0o644)
        if folder:
            _swap(temporary, path)
        else:
            temporary.replace(path)
        with contextlib.suppress(OSError):  # some network file systems cannot flush a folder
            _flush(path.parent)
    except BaseException as error:
        reason = _refusal(error, path.parent)  # asked before the temporary makes room by going
        if temporary is not None:
            _remove(temporary)
        if reason is None:
            raise
        raise ArtefactError(
            f"{path}: cannot be written ({reason}); what was there is as before; free space or mend the disk, then the "
            "same command goes on"
        ) from error


def sweep(folder: Path, deep: bool = True, name: str = "") -> list[Path]:
    """Remove what :func:`writing` left of files called ``name`` (of all, by default) when its process was killed.

    It looks in a folder, and ``deep`` also below it.
    """
    pattern = f"{_PARTIAL}*.{glob.escape(name)}.*" if name else f"{_PARTIAL}*"
    found = sorted(folder.rglob(pattern) if deep else folder.glob(pattern), reverse=True)
    gone = [path for path in found if not _alive(int(path.name.removeprefix(_PARTIAL).partition(".")[0]))]
    for path in gone:
        _remove(path)
    return gone


_PARTIAL = ".partial-"  # begins every temporary name; the number of the process that writes follows


def _temporary(path: Path, folder: bool) -> Path:
    prefix = f"{_PARTIAL}{os.getpid()}."
    if folder:
        return Path(tempfile.mkdtemp(prefix=f"{prefix}{path.name}.", dir=path.parent))
    descriptor, name = tempfile.mkstemp(prefix=f"{prefix}{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(descriptor)
    return Path(name)


def _swap(temporary: Path, path: Path) -> None:
    """Put the folder ``temporary`` in the place of ``path``, which stays as it was if that fails."""
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
    """Have the disk hold a file's bytes, or a folder's names, before anything that builds on them."""
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
    """Why nothing can be written to ``folder``, or None if that is not what ``error`` is about.

    numpy, torch, safetensors and libsndfile each have their own error for a full disk, so a write is tried.
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
    try:  # a process that ended and that its parent has not yet asked about
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True


@contextlib.contextmanager
def only_one(path: Path, sentence: str) -> Iterator[None]:
    """Hold a lock that the operating system drops when the process ends, however it ends.

    Where the file system has no locks, a file with the machine and the process takes its place.

    Args:
        path: File that stands for the lock; made if missing, and kept.
        sentence: Of the :class:`asdlib.AsdError` if another process holds it.

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
                f"{path}: cannot be written ({error.strerror.lower()}); choose another folder, or change who may write "
                "to it"
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
    """Hold the file ``path``, which names machine and process; one whose process has ended counts for nothing."""
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
    """Make a temporary folder whose path is short enough for sockets, which end at about 100 characters."""
    usual = tempfile.gettempdir()
    for place in (usual, os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp", "/dev/shm"):
        if place and len(os.fsencode(place)) <= 60 and os.access(place, os.W_OK | os.X_OK):
            with tempfile.TemporaryDirectory(prefix="asdlib", dir=place, ignore_cleanup_errors=True) as folder:
                yield Path(folder)
            return
    raise ArtefactError(f"{usual}: too long a path for sockets (over 60 characters); set TMPDIR to a shorter one")


def write_json(value: object, path: Path | str) -> None:
    """Write ``value`` as readable JSON, whole or not at all; NaN is refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


class SettingsError(AsdError):
    """An artefact of a run that other settings made."""


def made_with(path: Path, wanted: dict) -> None:
    """Compare the settings in a record with those of now, so that one table never mixes two.

    Snakemake does a stage again when its settings change; a notebook that was run by hand with settings of its own
    may still have left something in the run folder.

    Args:
        path: Of the record, beside the artefact; none is no evidence against it.
        wanted: Settings that it must have been made with; the record may hold more.

    Raises:
        SettingsError: It was made with others; the message names record, key, found and wanted value.
    """
    if not path.is_file():
        return
    stored = json.loads(path.read_text(encoding="utf-8"))["settings"]
    for key, value in json.loads(json.dumps(wanted)).items():
        if stored.get(key) != value:
            raise SettingsError(
                f"{path}: made with {key}: {json.dumps(stored.get(key))}, while this run has {json.dumps(value)}; "
                "delete that folder and run make reproduce, which makes it anew, or give the run another profile name"
            )


def fingerprint(value: object) -> str:
    """First 12 hex digits of the SHA-256 of ``value`` as canonical JSON: two settings are equal if these are."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def commit() -> str:
    """Return the git commit of this project's working tree, with ``+changes`` if files differ from it.

    ``unknown`` where this package does not lie at the top of a working tree of this project: one that is installed
    somewhere inside the user's own repository must not be recorded with the user's commit.
    """
    package = Path(__file__).resolve().parent
    # Variables such as GIT_DIR, which git sets for its hooks, would lead to another repository.
    environment = {name: value for name, value in os.environ.items() if name in _GIT or not name.startswith("GIT_")}

    def git(*words: str) -> str:
        command = ["git", "-c", "safe.directory=*", *words]  # whoever owns the files: their code is running already
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
"""variables of git that say nothing about which repository is meant"""


def record(settings: dict, *, seed: int, device: str, data: str, seconds: float, **more: object) -> dict:
    """What made an artefact: settings, seed, versions, commit, device, data fingerprint, wall time, memory so far.

    Args:
        settings: The resolved settings that the artefact depends on.
        seed: The seed that its randomness started from.
        device: Human-readable device, as :meth:`asdlib.training.Compute.describe` gives it.
        data: Fingerprint of the data that went in.
        seconds: Wall time in seconds.
        more: Further facts that belong to this artefact (parameters, precision, pretrained weights ...).
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
    """The most memory that this process has held at once, in bytes, files that it has mapped included."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
