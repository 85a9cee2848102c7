"""Download, verify and unpack the recordings of DCASE2021 Task 2 from Zenodo, resuming if interrupted.

Zenodo keeps one zip file per machine type in each of three records. An archive is downloaded to
``<folder>/.download/``, compared with the MD5 that the record states, unpacked there, and moved to its place. Then the
archive is removed, and a small file records its contents. So the same command resumes wherever it was interrupted, and
does nothing if everything is there. pooch verifies archives and replaces damaged ones.
"""

import json
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import pooch
import requests

from asdlib.atomic import only_one, write_json
from asdlib.data import zenodo
from asdlib.data.file_names import MACHINES
from asdlib.data.unpack import size, unpack
from asdlib.errors import DataError
from asdlib.messages import suggest

DOWNLOADS = 3  # of an archive that does not match its record
UNPACKED = 1.5  # estimated unpacked bytes per byte of an archive, as recordings compress little
_BLOCK = 1 << 14  # bytes; at most so many are lost when a connection breaks


def download(
    folder: Path, machines: str | Iterable[str], parts: str | Iterable[str], address: str = zenodo.ADDRESS
) -> None:
    """Fetch, verify and unpack the archives of machine types into ``<folder>/<machine>/``.

    Args:
        folder: The data root, created if it is missing.
        machines: Machine types of DCASE2021.
        parts: Parts of the data set, from :data:`asdlib.data.zenodo.PARTS`.
        address: Address of Zenodo, or of a mirror with the same interface.

    Raises:
        DataError: Zenodo cannot be reached, lacks an archive or sends one that does not match its record; an archive
            contains what it should not; or the disk is too small.
    """
    folder = Path(folder).expanduser()
    store = folder / ".download"
    machines = [machines] if isinstance(machines, str) else list(machines)
    for machine in machines:
        if machine not in MACHINES:
            raise DataError(f"--machine: DCASE2021 has no machine type {machine!r}{suggest(machine, MACHINES)}")
    wanted = []
    for part in [parts] if isinstance(parts, str) else parts:
        record, pattern = zenodo.PARTS[part]
        wanted += zenodo.archives(record, [pattern.format(machine=machine) for machine in machines], address)
    with only_one(store / "lock", f"{folder}: another download into this folder is running; wait until it has ended"):
        left = [archive for archive in wanted if not _is_complete(store, archive, folder)]
        for archive in wanted:
            if archive not in left:
                print(f"{archive.name}: there already", flush=True)
        if left:
            _check_space(folder, left)
        for archive in left:
            path = fetch(archive, store)
            sizes = unpack(path, store / path.stem, folder)
            write_json({"md5": archive.md5, "files": sizes}, _mark(store, archive))
            path.unlink()
            print(f"{archive.name}: verified, {len(sizes)} files", flush=True)


def fetch(archive: zenodo.Archive, store: Path) -> Path:
    """Download one archive into the folder ``store``, continuing where an earlier call stopped, and verify it."""
    pooch.get_logger().setLevel("WARNING")
    for _ in range(DOWNLOADS):
        try:
            return Path(
                pooch.retrieve(
                    archive.address, f"md5:{archive.md5}", archive.name, store, downloader=_Resuming(archive)
                )
            )
        except ValueError:  # another hash
            print(f"{archive.name}: does not match the MD5 of its record; downloading it again", flush=True)
    raise DataError(
        f"{archive.name}: {DOWNLOADS} downloads did not match the MD5 {archive.md5} of the record; try again later, or "
        "over another network"
    )


class _Resuming:
    """Download an archive for pooch, into a file next to it that a later attempt or call continues."""

    def __init__(self, archive: zenodo.Archive):
        self.archive = archive

    def __call__(self, address: str, output: str, _pooch) -> None:
        """Download to ``output``; the whole file may still have the wrong contents."""
        part = Path(output).with_name(f"{self.archive.name}.part")
        attempt = most = 0
        while (before := _length(part)) < self.archive.size:
            error: object = "the connection was closed early"
            try:
                self._append(address, part, before)
            except requests.RequestException as reason:
                error = reason
                if reason.response is not None and reason.response.status_code == 416:  # the server has another file
                    part.unlink(missing_ok=True)
            if (after := _length(part)) < self.archive.size:
                attempt, most = (0, after) if after > max(before, most) else (attempt, most)
                zenodo.wait(self.archive.name, attempt, error)
                attempt += 1
        part.replace(output)

    def _append(self, address: str, part: Path, start: int) -> None:
        """Add to the file ``part`` what the server sends from byte ``start`` on."""
        headers = zenodo.HEADERS | ({"Range": f"bytes={start}-"} if start else {})
        with requests.get(address, headers=headers, stream=True, timeout=zenodo.STALL) as answer:
            answer.raise_for_status()
            if answer.headers.get("Content-Type", "").startswith("text/html"):
                raise DataError(
                    f"{address}: sends a web page in place of the archive, as for a login or a captcha; try again over "
                    "another network, or download it by hand"
                )
            resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(
                f"bytes {start}-"
            )
            done = first = start if resumed else 0  # a server that ignores the range sends the whole file
            began = logged = time.monotonic()
            with open(part, "ab" if resumed else "wb") as sink:
                for block in answer.iter_content(_BLOCK):
                    sink.write(block)
                    done += len(block)
                    now = time.monotonic()
                    if now - logged >= 10:
                        rate = (done - first) / (now - began)
                        line = f"{self.archive.name}: {size(done)} of {size(self.archive.size)}, {size(rate)}/s"
                        print(f"{line}, {(self.archive.size - done) / rate:.0f} s left", flush=True)
                        logged = now
                    if done > self.archive.size:
                        return  # the hash will differ


def _check_space(folder: Path, left: list[zenodo.Archive]) -> None:
    """Print the required disk space, and raise an error if it is not available."""
    total, largest = sum(archive.size for archive in left), max(archive.size for archive in left)
    needed, free = round(UNPACKED * total) + largest, shutil.disk_usage(folder).free
    print(f"{len(left)} archive(s), {size(total)} to download; about {size(needed)} of disk needed, {size(free)} free")
    if needed > free:
        raise DataError(
            f"{folder}: {size(free)} free; expected about {size(needed)}; free some space, choose another folder, or "
            "fewer machine types with --machine"
        )


def _mark(store: Path, archive: zenodo.Archive) -> Path:
    return store / f"{archive.name}.json"


def _is_complete(store: Path, archive: zenodo.Archive, folder: Path) -> bool:
    """Tell whether this archive was unpacked before, and all its files are there with the right sizes."""
    try:
        mark = json.loads(_mark(store, archive).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in mark["files"]}
    except (OSError, ValueError):
        return False
    return mark["md5"] == archive.md5 and sizes == mark["files"]


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
