"""Download, verify and unpack the recordings of DCASE2021 Task 2 from Zenodo, resuming if interrupted.

Zenodo keeps one zip file per machine type in each of three records. An archive is downloaded to
``<folder>/.download/``, compared with the size and MD5 that the record states, unpacked there, and moved to its place.
Then the archive is removed, and a small file records its contents. The same command thus resumes wherever it was
interrupted, and does nothing if everything is there.
"""

import hashlib
import http.client
import json
import re
import shutil
import stat
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath

from asdlib.atomic import only_one, write_json
from asdlib.data.catalogue import nearest
from asdlib.data.names import MACHINES
from asdlib.errors import DataError

ZENODO = "https://zenodo.org"
PARTS = {
    "development": (4562016, "dev_data_{machine}.zip"),
    "additional": (4660992, "eval_data_train_{machine}.zip"),
    "evaluation": (4884786, "eval_data_test_{machine}.zip"),
}
"""Sections 00 to 02; training clips of sections 03 to 05; their test clips, without labels: record and file name."""

STALL = 60.0  # seconds without a byte after which to close the connection
PAUSE = 1.0  # seconds before the first retry, doubled at each further one
LONGEST_PAUSE = 120.0
PATIENCE = 600.0  # seconds; give up if a server asks to wait for longer
RETRIES = 8  # in a row, without a byte between them
UNPACKED = 1.5  # estimated unpacked bytes per byte of an archive, as recordings compress little
BOMB = 20  # genuine archives of recordings unpack to fewer bytes per byte than this
_BLOCK = 1 << 20
_AGAIN = "run the same command again to resume"


@dataclass(frozen=True)
class Archive:
    """One zip of a Zenodo record."""

    name: str
    address: str
    size: int
    """bytes"""
    md5: str


def download(folder: Path, machines: list[str], parts: list[str], address: str = ZENODO) -> None:
    """Fetch, verify and unpack the archives of machine types into ``<folder>/<machine>/``.

    Args:
        folder: The data root, made if it is missing.
        machines: Machine types of DCASE2021.
        parts: Parts of the data set, from :data:`PARTS`.
        address: Address of Zenodo, or of a mirror with the same interface.

    Raises:
        DataError: Zenodo cannot be reached, lacks an archive or gives one that does not match its record; an
            archive holds what it should not; the disk is too small.
    """
    folder = Path(folder).expanduser()
    store = folder / ".download"
    machines = [machines] if isinstance(machines, str) else list(machines)
    parts = [parts] if isinstance(parts, str) else list(parts)
    for machine in machines:
        if machine not in MACHINES:
            raise DataError(f"--machine: DCASE2021 has no machine type {machine!r}{nearest(machine, MACHINES)}")
    wanted = []
    for part in parts:
        record, pattern = PARTS[part]
        wanted += archives(record, [pattern.format(machine=machine) for machine in machines], address)
    with only_one(store / "lock", f"{folder}: another download into this folder is going on; wait for it"):
        left = [archive for archive in wanted if not _done(store, archive, folder)]
        for archive in wanted:
            if archive not in left:
                print(f"{archive.name}: there already", flush=True)
        if left:
            _room(folder, left)
        for archive in left:
            path = fetch(archive, store)
            sizes = unpack(path, store / path.stem, folder)
            write_json({"md5": archive.md5, "files": sizes}, _mark(store, archive))
            path.unlink()
            print(f"{archive.name}: verified, {len(sizes)} files", flush=True)


def archives(record: int, names: list[str], address: str = ZENODO) -> list[Archive]:
    """Look the archives ``names`` up in a record: where they are, their sizes and MD5s."""
    where = f"{address.rstrip('/')}/api/records/{record}"
    if urllib.parse.urlsplit(where).scheme not in ("http", "https"):
        raise DataError(f"{address}: not an address to download from; expected https://...")
    for attempt in range(RETRIES + 1):
        try:
            with _open(where) as answer:
                entries = _entries(json.loads(answer.read(16 * _BLOCK)))
            break
        except _TRANSIENT as error:
            _pause(where, attempt, error)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(
                f"{where}: the answer is no record with a list of files; check the address, or try again later: "
                "Zenodo may be under maintenance"
            ) from None
    found = {}
    for name in names:
        close = [key for key in entries if key.endswith(name)]  # a prefix may come with another version of a record
        entry = entries.get(name) or (entries[close[0]] if len(close) == 1 else None)
        if entry is None:
            continue
        size, checksum = str(entry.get("size", entry.get("filesize"))), str(entry.get("checksum")).lower()
        checksum = checksum.removeprefix("md5:")
        if not re.fullmatch("[1-9][0-9]*", size) or not re.fullmatch(r"[0-9a-f]{32}", checksum):
            raise DataError(
                f"{where}: states no size or MD5 of {name}; expected both to verify it; try again later, or download "
                f"it by hand from {address.rstrip('/')}/records/{record}"
            )
        found[name] = Archive(name, _link(entry, where, name if name in entries else close[0]), int(size), checksum)
    missing = [name for name in names if name not in found]
    if missing:
        there = ", ".join(map(str, entries)) or "no files"
        raise DataError(
            f"{where}: has no {', '.join(missing)}; it has {there}; check --machine and --address, or download it by "
            f"hand from {address.rstrip('/')}/records/{record}"
        )
    return [found[name] for name in names]


def _entries(record: dict) -> dict[str, dict]:
    """Return the files of a record by name, in any of the forms in which Zenodo has listed them.

    A list of objects with ``key`` (or ``filename``), or an object whose ``entries`` are such a list or are named.
    """
    files = record["files"]
    files = files["entries"] if isinstance(files, dict) else files
    named = files.items() if isinstance(files, dict) else [(e.get("key") or e.get("filename"), e) for e in files]
    return {name: dict(entry) for name, entry in named if name}


def fetch(archive: Archive, store: Path) -> Path:
    """Download one archive into the folder ``store``, going on where an earlier call stopped, and verify it."""
    path, part = store / archive.name, store / f"{archive.name}.part"
    if path.is_file() and path.stat().st_size == archive.size and _md5(path) == archive.md5:
        return path
    attempt, corrupt, most = 0, 0, 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        if before < archive.size:
            try:
                _append(archive, part)
                reason = None
            except _TRANSIENT as error:
                reason = error
            after = part.stat().st_size if part.is_file() else 0
            if after < archive.size:
                attempt, most = (0, after) if after > max(before, most) else (attempt, most)
                _pause(archive.name, attempt, reason or "the connection was closed early")
                attempt += 1
                continue
        if part.stat().st_size == archive.size and _md5(part) == archive.md5:
            part.replace(path)
            return path
        part.unlink()
        corrupt, most = corrupt + 1, 0
        print(f"{archive.name}: does not match the size and MD5 of its record; once more from the start", flush=True)
        if corrupt == 3:
            raise DataError(
                f"{archive.name}: {corrupt} downloads did not match the MD5 {archive.md5} of the record; try again "
                "later, or over another network"
            )


def unpack(path: Path, temporary: Path, folder: Path) -> dict[str, int]:
    """Unpack an archive below ``folder``, by way of the folder ``temporary``; the files' paths and sizes.

    Raises:
        DataError: It is damaged, or holds a path outside the folder, a link, a password or a bomb; then nothing of
            it is put in place.
    """
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir() and not _leftover(member)]
            _trust(path, members)
            needed = sum(member.file_size for member in members)
            if needed > shutil.disk_usage(path.parent).free:
                raise DataError(f"{path.name}: needs {_size(needed)} unpacked, more than is free; {_AGAIN}")
            for member in members:
                target = temporary / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(target, "xb") as sink:
                    shutil.copyfileobj(source, sink, _BLOCK)
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


def _leftover(member: zipfile.ZipInfo) -> bool:
    """Whether a file is what an operating system left in an archive."""
    name = PurePosixPath(member.filename)
    return name.parts[:1] == ("__MACOSX",) or name.name.startswith("._") or name.name in (".DS_Store", "Thumbs.db")


def _trust(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raise :class:`DataError` unless all members are plain files inside the folder, of a believable size."""
    for member in members:
        name = PurePosixPath(member.filename)
        outside = (
            name.is_absolute() or ".." in name.parts or "\\" in member.filename or not member.filename.isprintable()
        )
        kind = stat.S_IFMT(member.external_attr >> 16)
        what = "a path outside the folder" if outside else "no plain file" if kind not in (0, stat.S_IFREG) else None
        if what or not name.parts or name.parts[0].startswith("."):
            raise DataError(
                f"{path}: holds {member.filename!r}, {what or 'a hidden path'}; expected recordings only; nothing of "
                "it was unpacked: delete it and report this"
            )
    total = sum(member.file_size for member in members)
    if total > BOMB * path.stat().st_size:
        raise DataError(
            f"{path}: would unpack to {_size(total)}, over {BOMB} times its size; expected recordings, which hardly "
            "shrink; nothing of it was unpacked: delete it and report this"
        )


_TRANSIENT = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


_REMEDIES = {
    401: "it wants a login; download the archives by hand",
    403: "it refuses this network or this many requests; try again later, over another network, or by hand",
    410: "the record was deleted; look for its successor on Zenodo",
}


def _open(address: str, start: int = 0):
    """Ask for ``address``, from byte ``start`` on; an answer that no retry would change is a DataError."""
    request = urllib.request.Request(address, headers={"User-Agent": "asdlib"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        return urllib.request.urlopen(request, timeout=STALL)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (408, 416, 425, 429) or error.code >= 500:
            raise
        remedy = _REMEDIES.get(error.code, "check the address")
        raise DataError(f"{address}: the server answers {error.code} {error.reason}; {remedy}") from None


def _append(archive: Archive, part: Path) -> None:
    """Add to the file ``part`` what the server gives from its end on; raise one of ``_TRANSIENT`` if that stops."""
    start = part.stat().st_size if part.is_file() else 0
    try:
        answer = _open(archive.address, start)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # it has another file than the one begun
            part.unlink(missing_ok=True)
        raise
    with answer:
        if answer.headers.get_content_type() == "text/html":
            raise DataError(
                f"{archive.address}: gives a web page in place of the archive, as a login or a captcha would; try "
                "again over another network, or download it by hand"
            )
        went_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        began = logged = time.monotonic()
        with open(part, "ab" if went_on else "wb") as sink:  # a server that ignores the range sends all
            first = there = start if went_on else 0
            while block := answer.read1(_BLOCK):
                sink.write(block)
                there += len(block)
                if there > archive.size:
                    return  # the sizes differ: found by the caller
                now = time.monotonic()
                if now - logged >= 10:
                    rate = (there - first) / (now - began)
                    line = f"{archive.name}: {_size(there)} of {_size(archive.size)}, {_size(rate)}/s"
                    print(f"{line}, {(archive.size - there) / rate:.0f} s left", flush=True)
                    logged = now


def _pause(what: str, attempt: int, reason: object) -> None:
    """Wait before the next attempt, as long as the server asks, or longer each time; give up after the last."""
    asked = _asked(reason.headers.get("Retry-After", "")) if isinstance(reason, urllib.error.HTTPError) else 0.0
    reason = str(reason) or "no answer"
    if asked > PATIENCE:
        raise DataError(f"{what}: the server asks to wait {asked / 60:.0f} minutes ({reason}); later {_AGAIN}")
    if attempt >= RETRIES:
        raise DataError(f"{what}: gave up after {attempt + 1} attempts ({reason}); check the network; {_AGAIN}")
    seconds = min(max(PAUSE * 2**attempt, asked), LONGEST_PAUSE)
    print(f"{what}: {reason}; once more in {seconds:.0f} s", flush=True)
    time.sleep(seconds)


def _asked(after: str) -> float:
    """Return the seconds that a server asks to wait, given as a number or as a date."""
    try:
        return float(after) if after.isdecimal() else parsedate_to_datetime(after).timestamp() - time.time()
    except ValueError:
        return 0.0


def _room(folder: Path, left: list[Archive]) -> None:
    """Print the required disk space, and raise an error if it is not available."""
    total, largest = sum(archive.size for archive in left), max(archive.size for archive in left)
    needed, free = round(UNPACKED * total) + largest, shutil.disk_usage(folder).free
    print(
        f"{len(left)} archive(s), {_size(total)} to download; about {_size(needed)} of disk needed, {_size(free)} free"
    )
    if needed > free:
        raise DataError(
            f"{folder}: {_size(free)} free; expected about {_size(needed)}; free some, choose another folder, or fewer "
            "machine types by --machine"
        )


def _link(entry: dict, where: str, name: str) -> str:
    """Return the address of a file's content: the record's link if it leads to the same server, else the usual one."""
    links, here = entry.get("links"), urllib.parse.urlsplit(where)
    links = links if isinstance(links, dict) else {}
    link = str(links.get("content") or links.get("self") or "")
    there = urllib.parse.urlsplit(link)
    same = (there.scheme, there.netloc) == (here.scheme, here.netloc)
    return link if same else f"{where}/files/{urllib.parse.quote(name)}/content"


def _mark(store: Path, archive: Archive) -> Path:
    return store / f"{archive.name}.json"


def _done(store: Path, archive: Archive, folder: Path) -> bool:
    """Whether this archive was unpacked before, and all its files are there in their sizes."""
    try:
        mark = json.loads(_mark(store, archive).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in mark["files"]}
    except (OSError, ValueError):
        return False
    return mark["md5"] == archive.md5 and sizes == mark["files"]


def _md5(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _size(count: float) -> str:
    """Format a number of bytes.

    >>> _size(950), _size(1_250_000), _size(15_200_000_000)
    ('950 B', '1.2 MB', '15.2 GB')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count:.0f} B"
