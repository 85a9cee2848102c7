"""Folders, files and zip archives that hold official files."""

import functools
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from asdlib.challenge import file_names
from asdlib.errors import ScoreError

LARGEST = 200_000_000
"""bytes of one file in an archive, beyond which it is no list of scores"""


@dataclass(frozen=True)
class File:
    """One CSV file, on disk or in an archive."""

    where: str
    """its path, for messages; of a file in an archive, the archive's and its own"""
    path: Path | None
    """None in an archive"""
    relative: tuple[str, ...]
    """folders between what was given and the file"""
    read: Callable[[], bytes]

    @property
    def name(self) -> str:
        return PurePosixPath(self.where.replace("\\", "/")).name


@dataclass(frozen=True)
class Source:
    """One path that was given, and the CSV files that it stands for."""

    path: Path
    whole: bool
    """it is a folder or an archive, in which nothing should be missing"""
    files: tuple[File, ...]
    again: bool = False
    """some of its files are those of an earlier path, and not in ``files``"""

    @property
    def name(self) -> str:
        """What a system is called whose files these are."""
        path = self.path.resolve()
        return path.stem if self.whole and path.suffix.lower() == ".zip" else path.name if self.whole else ""


def find(given: Iterable[Path | str]) -> list[Source]:
    """The CSV files of every path, each once.

    Hidden files and folders, and what macOS adds to archives, are passed over.

    Raises:
        ScoreError: There is nothing at a path, or an archive cannot be read.
    """
    sources, seen = [], set()
    for path in map(Path, given):
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
        if path.suffix.lower() == ".csv" and path.is_file() and not _hidden(parts):
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
        raise ScoreError(f"{path}: not a zip archive that can be read ({error}); pack it again") from None
    if found and all(file.relative[:1] == found[0].relative[:1] for file in found) and found[0].relative:
        found = [File(file.where, None, file.relative[1:], file.read) for file in found]  # the folder that was packed
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


def systems(files: list[File]) -> list[tuple[tuple[str, ...], list[File]]]:
    """Tell the systems in a folder or an archive apart.

    Files that are all of different machine types, sections and domains are one system, however they are spread over
    folders. Where two are of the same, each folder is looked at by itself; and where these lie in one folder, the seed
    and settings that a baseline wrote into the names tell systems apart.

    Args:
        files: Official files of one kind.

    Returns:
        For each system the folders that lead to it (none for the whole of what was given), and its files.

    Raises:
        ScoreError: Two files in one folder are of the same machine type, section and domain.
    """
    return _apart(files, ()) if files else []


def _apart(files: list[File], at: tuple[str, ...]) -> list[tuple[tuple[str, ...], list[File]]]:
    first: dict[tuple, File] = {}
    twice = None
    for file in files:
        unit = file_names.parse(file.name).unit
        twice = twice or ((first[unit], file) if unit in first else None)
        first.setdefault(unit, file)
    if twice is None:
        return [(at, files)]
    depth = len(at)
    groups: dict[tuple[str, ...], list[File]] = {}
    for file in files:
        groups.setdefault(file.relative[: depth + 1], []).append(file)
    if len(groups) > 1 or next(iter(groups)) != at:
        here = groups.pop(at, None)
        parts = _by_variant(here, at) if here else []
        for folder, inside in groups.items():
            parts += _apart(inside, folder)
        return parts
    return _by_variant(files, at)


def _by_variant(files: list[File], at: tuple[str, ...]) -> list[tuple[tuple[str, ...], list[File]]]:
    first: dict[tuple, File] = {}
    for file in files:
        parsed = file_names.parse(file.name)
        other = first.setdefault((*parsed.unit, parsed.variant), file)
        if other is not file:
            raise ScoreError(
                f"{file.where}: {other.name} is of the same machine type, section and domain; expected one file for "
                "each; remove one of the two"
            )
    variants = {file_names.parse(file.name).variant for file in files}
    units = [file_names.parse(file.name).unit for file in files]
    if len(set(units)) == len(units):
        return [(at, files)]
    return [
        ((*at, variant), [file for file in files if file_names.parse(file.name).variant == variant])
        for variant in sorted(variants)
    ]
