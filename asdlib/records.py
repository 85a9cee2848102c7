"""Record what made an artefact, and check that an artefact was made with the current settings."""

import datetime
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from asdlib import atomic
from asdlib.errors import ArtefactError

_PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pandas")


SCORING = "scoring"
"""key in the record of a trained autoencoder with the record of its scoring, which is another stage"""


def check_settings(path: Path, wanted: dict, part: str | None = None, data: str | None = None) -> None:
    """Compare the settings in a record with the current ones, so that no table mixes results of different settings.

    Snakemake reruns a stage when its settings change, but a notebook that was run by hand with other settings may have
    left its results in the run folder.

    Args:
        path: The record, next to the artefact; if it does not exist, nothing is checked.
        wanted: Settings that the record must contain; it may contain more.
        part: Key of the record to compare, if the file holds that of several stages.
        data: Fingerprint of the data that the artefact must have been made from; by default it is not compared.

    Raises:
        ArtefactError: A setting differs; the message names the record, the key, and the found and expected values.
    """
    remedy = "delete that folder and run make reproduce to make it again, or give the run another profile name"
    record = atomic.read_json(path) if path.is_file() else {}
    record = record if part is None else record.get(part, {})
    if not record:
        return
    for key, value in json.loads(json.dumps(wanted)).items():
        if record["settings"].get(key) != value:
            raise ArtefactError(
                f"{path}: made with {key}: {json.dumps(record['settings'].get(key))}, while this run has "
                f"{json.dumps(value)}; {remedy}"
            )
    if data is not None and record["data_fingerprint"] != data:
        raise ArtefactError(f"{path}: made from other clips than those of this run; {remedy}")


def read_records(path: Path) -> list[dict]:
    """Return the records in a file: that of the stage that wrote the folder, then those of stages that added to it."""
    record = atomic.read_json(path)
    added = [record.pop(SCORING)] if SCORING in record else []
    return [*([record] if record else []), *added]


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
        device: Human-readable device, as returned by :meth:`asdlib.compute.Compute.describe`.
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
            **{name: _version(name) for name in ("asdlib", *_PACKAGES)},
        },
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "wall_seconds": round(seconds, 2),
        "peak_bytes": peak_memory(),
        **more,
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # scoring with ONNX files needs no PyTorch
        return "not installed"


def peak_memory() -> int:
    """Return the peak memory of this process in bytes, including memory-mapped files."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
