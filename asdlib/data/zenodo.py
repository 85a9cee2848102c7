"""Look up archives in records of Zenodo, and wait for servers that are busy."""

import json
import re
import time
import urllib.parse
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import requests

from asdlib.data.unpack import AGAIN
from asdlib.errors import DataError

ADDRESS = "https://zenodo.org"
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
HEADERS = {"User-Agent": "asdlib", "Accept-Encoding": "identity"}
_RETRIED = (408, 416, 425, 429)  # client errors that may pass
_REMEDIES = {
    401: "it asks for a login; download the archives by hand",
    403: "it refuses this network or this many requests; try again later, over another network, or by hand",
    410: "the record was deleted; look for its successor on Zenodo",
}


@dataclass(frozen=True)
class Archive:
    """One zip file of a Zenodo record."""

    name: str
    address: str
    size: int
    """bytes"""
    md5: str


def archives(record: int, names: list[str], address: str = ADDRESS) -> list[Archive]:
    """Look up the archives ``names`` in a record: their addresses, sizes and MD5s."""
    where = f"{address.rstrip('/')}/api/records/{record}"
    by_hand = f"download it by hand from {address.rstrip('/')}/records/{record}"
    if urllib.parse.urlsplit(where).scheme not in ("http", "https"):
        raise DataError(f"{address}: not an address to download from; expected https://...")
    for attempt in range(RETRIES + 1):
        try:
            answer = requests.get(where, headers=HEADERS, timeout=STALL)
            answer.raise_for_status()
            break
        except requests.RequestException as error:
            wait(where, attempt, error)
    try:
        entries = _entries(json.loads(answer.content))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"{where}: the answer is no record with a list of files; check the address, or try again later: Zenodo may "
            "be under maintenance"
        ) from None
    found = []
    for name in names:
        close = [key for key in entries if key.endswith(name)]  # another version of a record may add a prefix
        if name not in entries and len(close) != 1:
            there = ", ".join(map(str, entries)) or "no files"
            raise DataError(f"{where}: has no {name}; it has {there}; check --machine and --address, or {by_hand}")
        key = name if name in entries else close[0]
        entry = entries[key]
        length = str(entry.get("size", entry.get("filesize")))
        md5 = str(entry.get("checksum")).lower().removeprefix("md5:")
        if not re.fullmatch("[1-9][0-9]*", length) or not re.fullmatch("[0-9a-f]{32}", md5):
            raise DataError(
                f"{where}: states no size or MD5 of {name}; expected both to verify it; try again later, or {by_hand}"
            )
        found.append(Archive(name, _link(entry, where, key), int(length), md5))
    return found


def wait(subject: str, attempt: int, error: object) -> None:
    """Wait before the next attempt: as long as the server asks, or longer each time.

    Raises:
        DataError: The server's answer will not change, the server asks for too long, or it was the last attempt.
    """
    response = getattr(error, "response", None)
    asked = 0.0
    if response is not None:
        code, error = response.status_code, f"{response.status_code} {response.reason}"
        if code < 500 and code not in _RETRIED:
            remedy = _REMEDIES.get(code, "check the address")
            raise DataError(f"{response.url}: the server answers {error}; {remedy}") from None
        asked = _retry_after(response.headers.get("Retry-After", ""))
    if asked > PATIENCE:
        raise DataError(f"{subject}: the server asks to wait {_in_words(asked)} ({error}); later, {AGAIN}")
    if attempt >= RETRIES:
        raise DataError(f"{subject}: gave up after {attempt + 1} attempts ({error}); check the network; {AGAIN}")
    seconds = min(max(PAUSE * 2**attempt, asked), LONGEST_PAUSE)
    print(f"{subject}: {error}; trying again in {seconds:.0f} s", flush=True)
    time.sleep(seconds)


def _in_words(seconds: float) -> str:
    """Format a long wait.

    >>> _in_words(1800), _in_words(7200), _in_words(864_000)
    ('30 minutes', '2 hours', '10 days')
    """
    for unit, size in (("days", 86_400), ("hours", 3600)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"


def _retry_after(header: str) -> float:
    """Return the seconds that a server asks to wait, given as a number or as a date."""
    try:
        return float(header) if header.isdecimal() else parsedate_to_datetime(header).timestamp() - time.time()
    except ValueError:
        return 0.0


def _entries(record: dict) -> dict[str, dict]:
    """Return the files of a record by name, in any of the forms in which Zenodo has listed them.

    These are a list of objects with ``key`` (or ``filename``), or an object whose ``entries`` are such a list or are
    named.
    """
    files = record["files"]
    files = files["entries"] if isinstance(files, dict) else files
    named = files.items() if isinstance(files, dict) else [(e.get("key") or e.get("filename"), e) for e in files]
    return {name: dict(entry) for name, entry in named if name}


def _link(entry: dict, where: str, name: str) -> str:
    """Return the address of a file's content: the record's link if it leads to the same server, else the usual one."""
    links, here = entry.get("links"), urllib.parse.urlsplit(where)
    links = links if isinstance(links, dict) else {}
    link = str(links.get("content") or links.get("self") or "")
    there = urllib.parse.urlsplit(link)
    same = (there.scheme, there.netloc) == (here.scheme, here.netloc)
    return link if same else f"{where}/files/{urllib.parse.quote(name)}/content"
