"""Offer the code that built the book: as a download, and at its repository if the address of one is configured."""

import subprocess
from pathlib import Path

from asdlib import records

ARCHIVE = "asdlib.tar.gz"


def pack(folder: Path) -> str:
    """Write the committed files of the project as :data:`ARCHIVE`, and return a link to it; empty outside a checkout.

    Args:
        folder: Of the downloads.
    """
    commit = records.commit()
    if commit == "unknown":
        return ""
    command = ["git", "-c", "safe.directory=*", "archive", "--format=tar.gz", "--prefix=asdlib/", "HEAD"]
    checkout = Path(records.__file__).resolve().parents[1]  # which the folder of the run need not be
    packed = subprocess.run(command, cwd=checkout, capture_output=True, check=True).stdout
    (folder / ARCHIVE).write_bytes(packed)
    changes = ", without this copy's uncommitted changes" * commit.endswith("+changes")
    return f"{{download}}`{ARCHIVE} <downloads/{ARCHIVE}>` (commit `{commit.partition('+')[0]}`{changes})"


def where(url: str, archive: str) -> str:
    """Say where the code is.

    Args:
        url: Address of the repository, or empty.
        archive: Link to the archive, or empty.

    >>> where("https://x", "")
    '[Code of this book and of `asdlib`](https://x)'
    """
    found = [f"[Code of this book and of `asdlib`]({url})"] * bool(url)
    found += [f"code of this book and of `asdlib`: {archive}"] * bool(archive)
    return " · ".join(found) or "This copy of the book does not say where its code is: ask whoever gave it to you."
