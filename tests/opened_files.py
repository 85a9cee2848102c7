"""Count how often Python opens files, in any way."""

import collections
import contextlib
import os
import sys

_counts: list[collections.Counter] = []


def _hook(event: str, arguments: tuple) -> None:
    if event == "open" and _counts and isinstance(arguments[0], str | bytes | os.PathLike):
        _counts[-1][os.path.basename(os.fsdecode(arguments[0]))] += 1


sys.addaudithook(_hook)  # cannot be removed; it does nothing outside of :func:`opened_files`


@contextlib.contextmanager
def opened_files():
    """Count openings by file name, except those by C libraries that receive a path."""
    _counts.append(collections.Counter())
    try:
        yield _counts[-1]
    finally:
        _counts.pop()
