"""Find the recordings of a user's folders, and refuse folders and names that cannot be intended."""

import collections
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asdlib.data.anomaly_names import suspected_anomalies
from asdlib.data.chunks import READABLE
from asdlib.data.recording import is_ignored, is_recording
from asdlib.errors import DataError
from asdlib.messages import summarise

_MOST_SECTIONS = 100  # sections have two digits


@dataclass(frozen=True)
class Recordings:
    """The recordings that a detector learns from, grouped by section or folder."""

    sections: dict[str, list[Path]]
    """normal recordings of the machine, by section"""
    changed: dict[str, list[Path]]
    """normal recordings under changed conditions (the target domain), by section"""
    outliers: dict[str, list[Path]]
    """normal recordings of other machines, by folder"""


def find(
    normal: Path | str | Sequence[Path | str],
    changed: Path | str | None = None,
    outliers: Iterable[Path | str] | Path | str = (),
    trust: bool = False,
) -> Recordings:
    """Find the recordings that a detector learns from.

    Args:
        normal: A folder of recordings, or of sub-folders of recordings, each a section; or a list of files, which form
            one section.
        changed: A folder of recordings under changed conditions, with the same sub-folders as ``normal`` if that has
            any.
        outliers: Folders of normal recordings of anything else, or one such folder; each counts as one machine type.
        trust: Accept recordings whose names say that they are anomalous.

    Raises:
        DataError: A folder is missing or empty, or has both recordings and sub-folders; a section is unknown; a
            recording is given twice; or names say that recordings are anomalous.
    """
    if isinstance(normal, str | Path):
        sections = _sections(Path(normal))
    else:
        sections = {"all": [Path(path) for path in normal]}
        if not sections["all"]:
            raise DataError("no recordings given; expected files, or a folder of them")
        twice = [path for path, count in collections.Counter(sections["all"]).items() if count > 1]
        if twice:
            raise DataError(
                f"{summarise(twice)}: given more than once; expected each recording once; remove the others"
            )
    changed_sections = _sections(Path(changed)) if changed is not None else {}
    if changed_sections and len(sections) == len(changed_sections) == 1:
        changed_sections = dict(zip(sections, changed_sections.values(), strict=True))
    unknown = sorted(set(changed_sections) - set(sections))
    if unknown:
        raise DataError(
            f"{changed}: {unknown[0]!r} is no section of {normal}; expected sub-folders named {', '.join(sections)}"
        )
    folders = [outliers] if isinstance(outliers, str | Path) else outliers
    others = {str(folder): list_all(folder) for folder in map(Path, folders)}
    if not trust:
        _check_names(sections, normal if isinstance(normal, str | Path) else None)
        _check_names(changed_sections, changed)
    found = Recordings(sections, changed_sections, others)
    _check_uses(found)
    return found


def list_folder(folder: Path) -> list[Path]:
    """List the recordings directly in a folder, sorted; hidden and temporary files are ignored.

    A link that leads nowhere is listed, too, so that opening it tells what is missing.

    Raises:
        DataError: ``folder`` is not a folder.
    """
    return sorted(path for path in _existing(folder).iterdir() if is_recording(path) and not path.is_dir())


def list_all(folder: Path) -> list[Path]:
    """List the recordings in a folder and its sub-folders, like :func:`walk`.

    Raises:
        DataError: ``folder`` is not a folder, cannot be read, or contains no recordings; the message says what it
            contains.
    """
    files = walk(_existing(folder))
    if not files:
        raise _without_recordings(folder)
    return files


def walk(folder: Path, strict: bool = True) -> list[Path]:
    """List the recordings in a folder and its sub-folders, sorted, through links as well but each folder once.

    Hidden and temporary files and folders are ignored.

    Args:
        folder: The folder.
        strict: Whether to raise an error if a folder cannot be read, rather than to leave it out.

    Raises:
        DataError: A folder cannot be read, so recordings might be missing.
    """
    found, seen = [], set()
    for place, folders, names in os.walk(folder, onerror=_unreadable if strict else None, followlinks=True):
        if os.path.realpath(place) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(place))
        folders[:] = sorted(name for name in folders if not is_ignored(name))
        found += [path for path in map(Path(place).joinpath, names) if is_recording(path)]
    return sorted(found)


def _unreadable(error: OSError):
    raise DataError(f"{error.filename}: cannot be read ({error.strerror.lower()}); change its permissions") from None


def _sections(folder: Path) -> dict[str, list[Path]]:
    """List the recordings of a folder by section: its sub-folders or, if it has none with recordings, itself."""
    files = list_folder(folder)
    folders = [place for place in sorted(folder.iterdir()) if place.is_dir() and not is_ignored(place.name)]
    inner = {place.name: paths for place in folders if (paths := list_folder(place))}
    deeper = sorted(set(walk(folder)).difference(files, *inner.values()))
    if deeper:
        raise DataError(
            f"{summarise([str(path) for path in deeper])}: deeper in {folder} than a section's folder; expected "
            "recordings either in the folder itself, which form one section, or in its sub-folders, one per section; "
            "move these, or give another folder"
        )
    if files and inner:
        raise DataError(
            f"{folder}: contains recordings as well as sub-folders with recordings ({', '.join(inner)}); expected "
            "either files, which form one section, or sub-folders, one per section; move the files"
        )
    if len(inner) > _MOST_SECTIONS:
        raise DataError(
            f"{folder}: {len(inner)} sub-folders with recordings; expected at most {_MOST_SECTIONS} sections"
        )
    if not files and not inner:
        raise _without_recordings(folder)
    return inner or {folder.resolve().name: files}


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "no such folder"
        raise DataError(f"{folder}: {found}; expected a folder of recordings ({READABLE})")
    return folder


def _without_recordings(folder: Path) -> DataError:
    """Describe what a folder without recordings contains, and what was expected."""
    inside = [path for path in folder.rglob("*") if path.is_file()]
    kinds = collections.Counter(path.suffix.lower() or "no suffix" for path in inside)
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5)) or "nothing"
    return DataError(
        f"{folder}: no recording in it or in its sub-folders; found {found}; expected {READABLE} files; convert them, "
        "or give the folder that contains the recordings"
    )


def _check_names(group: dict[str, list[Path]], top: Path | str | None) -> None:
    """Raise :class:`DataError` if names say that recordings are not normal."""
    suspected = suspected_anomalies([path for files in group.values() for path in files], top)
    if suspected:
        raise DataError(
            f"recordings that are to be learnt as normal may be anomalous: {summarise(suspected)}; a detector does not "
            "find anomalies that it has learnt as normal; move them elsewhere and fit without them or, if all of them "
            "are normal, give --ignore-names (ignore_names=True)"
        )


def _check_uses(recordings: Recordings) -> None:
    """Raise :class:`DataError` if a recording is given twice."""
    uses: dict[str, tuple[str, str]] = {}
    groups = (("normal", recordings.sections), ("changed", recordings.changed), ("outlier", recordings.outliers))
    for use, group in groups:
        for name, files in group.items():
            for path in files:
                other_use, other_name = uses.setdefault(os.path.realpath(path), (use, name))
                if other_use != use:
                    raise DataError(
                        f"{path}: given as {other_use} and as {use}; expected one of them; leave it out of one"
                    )
                if other_name != name:
                    raise DataError(
                        f"{path}: given twice, with {other_name} and with {name}; expected folders that do not "
                        "overlap; leave out one of them"
                    )
