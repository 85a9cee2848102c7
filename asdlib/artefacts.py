"""Writing what a run leaves behind: whole or not at all, and never without saying what made it."""

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from asdlib import AsdError

_PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pandas", "librosa")


@contextlib.contextmanager
def writing(path: Path | str, folder: bool = False) -> Iterator[Path]:
    """Write under a temporary name beside ``path`` and rename at the end, so that what exists is whole.

    Args:
        path: The final name; its parent is made.
        folder: True to fill a folder (an older one is replaced), False to write one file.

    Yields:
        The temporary path to write to. On an exception it is removed and ``path`` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if folder:
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    else:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
        os.close(descriptor)
        temporary = Path(name)
    try:
        yield temporary
        if folder:
            temporary.chmod(0o755)
            old = path.with_name(f".{path.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            if path.exists():
                path.rename(old)
            try:
                temporary.rename(path)
            except OSError:
                if old.exists():
                    old.rename(path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
    except BaseException:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def only_one(path: Path, sentence: str) -> Iterator[int]:
    """Hold a lock that the operating system drops when the process ends, however it ends.

    Args:
        path: File that stands for the lock; made if missing, and kept.
        sentence: Of the :class:`asdlib.AsdError` if another process holds it.

    Yields:
        The file's descriptor; a process that inherits it holds the lock too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AsdError(sentence) from None
        yield stream.fileno()


def write_json(value: object, path: Path | str) -> None:
    """Write ``value`` as readable JSON, whole or not at all; NaN is refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def fingerprint(value: object) -> str:
    """First 12 hex digits of the SHA-256 of ``value`` as canonical JSON: two settings are equal if these are."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def commit() -> str:
    """The git commit of the working tree, with ``+changes`` if files differ from it; ``unknown`` outside git."""
    here = Path(__file__).parent
    try:
        run = {"cwd": here, "capture_output": True, "text": True, "check": True, "timeout": 10}
        head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **run).stdout.strip()
        dirty = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], **run).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return head + ("+changes" if dirty else "")


def record(settings: dict, *, seed: int, device: str, data: str, seconds: float, **more: object) -> dict:
    """What made an artefact: settings, seed, versions, commit, device, data fingerprint, wall time.

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
        **more,
    }
