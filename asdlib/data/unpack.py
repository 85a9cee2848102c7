"""Unpack an archive that may be damaged or hostile."""

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from asdlib.errors import DataError

AGAIN = "run the same command again to resume"
_BOMB = 20  # genuine archives of recordings unpack to fewer bytes per byte than this


def unpack(path: Path, temporary: Path, folder: Path) -> dict[str, int]:
    """Unpack an archive into a folder.

    Args:
        path: The archive, a zip file.
        temporary: Folder to unpack to before anything is moved to its place.
        folder: Folder below which the files belong.

    Returns:
        The sizes of the files in bytes, by their paths in ``folder``.

    Raises:
        DataError: The archive is damaged, or contains a path outside the folder, a link, a password or a bomb; then
            none of it is moved to its place.
    """
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir() and not _is_leftover(member)]
            _check_members(path, members)
            needed = sum(member.file_size for member in members)
            if needed > shutil.disk_usage(path.parent).free:
                raise DataError(f"{path.name}: needs {size(needed)} unpacked, more than is free; {AGAIN}")
            for member in members:
                target = temporary / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(target, "xb") as sink:
                    shutil.copyfileobj(source, sink)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, FileExistsError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        path.unlink()
        raise DataError(
            f"{path.name}: cannot be unpacked ({error}); run the command again to download it again"
        ) from None
    for member in members:
        target = folder / member.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        (temporary / member.filename).replace(target)
    shutil.rmtree(temporary)
    return {member.filename: member.file_size for member in members}


def _is_leftover(member: zipfile.ZipInfo) -> bool:
    """Tell whether a file was left in the archive by an operating system."""
    name = PurePosixPath(member.filename)
    return name.parts[:1] == ("__MACOSX",) or name.name.startswith("._") or name.name in (".DS_Store", "Thumbs.db")


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raise :class:`DataError` unless all members are plain files inside the folder, of a believable size."""
    for member in members:
        name = PurePosixPath(member.filename)
        outside = (
            name.is_absolute() or ".." in name.parts or "\\" in member.filename or not member.filename.isprintable()
        )
        kind = stat.S_IFMT(member.external_attr >> 16)
        problem = "a path outside the folder" if outside else "no plain file" if kind not in (0, stat.S_IFREG) else None
        if problem or not name.parts or name.parts[0].startswith("."):
            raise DataError(
                f"{path}: contains {member.filename!r}, {problem or 'a hidden path'}; expected recordings only; none "
                "of it was unpacked: delete it and report this"
            )
    total = sum(member.file_size for member in members)
    if total > _BOMB * path.stat().st_size:
        raise DataError(
            f"{path}: would unpack to {size(total)}, over {_BOMB} times its size; expected recordings, which hardly "
            "shrink; none of it was unpacked: delete it and report this"
        )


def size(count: float) -> str:
    """Format a number of bytes.

    >>> size(950), size(1_250_000), size(15_200_000_000)
    ('950 B', '1.2 MB', '15.2 GB')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count:.0f} B"
