"""Find official files in folders and zip archives, and separate the systems that they belong to."""

import functools
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from asdlib.challenge import file_names
from asdlib.errors import ScoreError

LARGEST = 200_000_000
"""largest size in bytes of a file in an archive; larger files are not lists of scores"""


@dataclass(frozen=True)
class File:
    """One CSV file, on disk or in an archive."""

    where: str
    """its path, for messages; in an archive, preceded by the path of the archive"""
    path: Path | None
    """None in an archive"""
    relative: tuple[str, ...]
    """folders between the given path and the file"""
    read: Callable[[], bytes]

    @property
    def name(self) -> str:
        return PurePosixPath(self.where.replace("\\", "/")).name

    @property
    def folder(self) -> str:
        return str(self.path.parent.resolve()) if self.path else self.where.rpartition("/")[0]

    @functools.cached_property
    def official(self) -> file_names.OfficialName | None:
        """Parts of its name; None if the file is not official."""
        return file_names.parse(self.name)

    @property
    def kind(self) -> str:
        """``anomaly_score``, ``decision_result`` or ``ground_truth``; empty if the file is not official."""
        return self.official.kind if self.official else ""


@dataclass(frozen=True)
class Source:
    """One given path, and its CSV files."""

    path: Path
    whole: bool
    """whether it is a folder or an archive, which must be complete"""
    files: tuple[File, ...]
    repeated: bool = False
    """whether some of its files belong to an earlier path and are therefore not in ``files``"""

    @property
    def name(self) -> str:
        """Name of the system that the files belong to."""
        path = self.path.resolve()
        return path.stem if self.whole and path.suffix.lower() == ".zip" else path.name if self.whole else ""


def find(paths: Iterable[Path | str]) -> list[Source]:
    """Find the CSV files of every path, each once.

    Hidden files and folders, and files that macOS adds to archives, are skipped.

    Raises:
        ScoreError: A path does not exist, or an archive cannot be read.
    """
    sources, seen = [], set()
    for path in map(Path, paths):
        if not path.exists():
            raise ScoreError(f"{path}: no such file or folder; expected official score files or a score table")
        if path.is_dir():
            files = _in_folder(path)
        elif path.suffix.lower() == ".zip":
            files = _in_archive(path)
        else:
            files = [File(str(path), path, (), functools.partial(_load, path))]
        identities = [file.path.resolve() if file.path else (path.resolve(), file.where) for file in files]
        fresh = tuple(file for file, identity in zip(files, identities, strict=True) if identity not in seen)
        seen.update(identities)
        sources.append(Source(path, path.is_dir() or path.suffix.lower() == ".zip", fresh, len(fresh) < len(files)))
    return sources


def _in_folder(folder: Path) -> list[File]:
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        lost = path.is_symlink() and not path.exists() and file_names.looks_official(path.name)  # reading it says so
        if path.suffix.lower() == ".csv" and (path.is_file() or lost) and not _hidden(parts):
            found.append(File(str(path), path, parts[:-1], functools.partial(_load, path)))
    return found


def _in_archive(path: Path) -> list[File]:
    found = []
    try:
        with zipfile.ZipFile(path) as archive:
            for item in sorted(archive.infolist(), key=lambda item: item.filename):
                parts = PurePosixPath(item.filename.replace("\\", "/")).parts
                if item.is_dir() or not item.filename.lower().endswith(".csv") or _hidden(parts):
                    continue
                if item.file_size > LARGEST:
                    raise ScoreError(f"{path}: {item.filename} has {item.file_size:,} bytes; expected a list of scores")
                read = functools.partial(_extract, path, item.filename)
                found.append(File(f"{path}/{item.filename}", None, parts[:-1], read))
    except (zipfile.BadZipFile, OSError) as error:
        raise ScoreError(f"{path}: not a readable zip archive ({error}); create it again") from None
    if found and all(file.relative[:1] == found[0].relative[:1] for file in found) and found[0].relative:
        found = [File(file.where, None, file.relative[1:], file.read) for file in found]  # without the packed folder
    return found


def _load(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ScoreError(f"{path}: cannot be read ({error.strerror}); expected a list of scores") from None


def _extract(path: Path, member: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(member)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise ScoreError(f"{path}: {member} cannot be read ({error}); pack it again without a password") from None


def _hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def separate_systems(files: list[File]) -> list[tuple[tuple[str, ...], list[File]]]:
    """Separate the systems in a folder or an archive.

    Files that are all of different machine types, sections and domains are one system, in whatever folders they are. If
    two of them are the same, each folder is considered separately; if they are in one folder, the systems are separated
    by the seed and settings that a baseline writes into file names.

    Args:
        files: Official files of one kind.

    Returns:
        For each system, the folders that lead to it (none for the given path itself) and its files.

    Raises:
        ScoreError: Two files in one folder are of the same machine type, section and domain.
    """
    return _separate(files, ()) if files else []


def _separate(files: list[File], at: tuple[str, ...]) -> list[tuple[tuple[str, ...], list[File]]]:
    first: dict[tuple, File] = {}
    repeated = False
    for file in files:
        unit = file.official.unit
        repeated = repeated or unit in first
        first.setdefault(unit, file)
    if not repeated:
        return [(at, files)]
    depth = len(at)
    groups: dict[tuple[str, ...], list[File]] = {}
    for file in files:
        groups.setdefault(file.relative[: depth + 1], []).append(file)
    if len(groups) > 1 or next(iter(groups)) != at:
        here = groups.pop(at, None)
        parts = _by_variant(here, at) if here else []
        for folder, inside in groups.items():
            parts += _separate(inside, folder)
        return parts
    return _by_variant(files, at)


def _by_variant(files: list[File], at: tuple[str, ...]) -> list[tuple[tuple[str, ...], list[File]]]:
    first: dict[tuple, File] = {}
    for file in files:
        other = first.setdefault((*file.official.unit, file.official.variant), file)
        if other is not file:
            raise ScoreError(
                f"{file.where}: {other.name} is of the same machine type, section and domain; expected one file for "
                "each, so remove one of the two"
            )
    variants = {file.official.variant for file in files}
    units = [file.official.unit for file in files]
    if len(set(units)) == len(units):
        return [(at, files)]
    return [
        ((*at, variant), [file for file in files if file.official.variant == variant]) for variant in sorted(variants)
    ]
