"""Word messages: lists of problems, numbers of files, the known name that is most similar to an unknown one."""

import difflib
from collections.abc import Iterable
from pathlib import Path

LISTED = 20
"""number of problems that an error lists; it only counts the others"""


def list_problems(head: str, problems: list[str]) -> str:
    """Format one problem unchanged, or several under a heading: at most :data:`LISTED`, then the number of others."""
    if len(problems) == 1:
        return problems[0]
    more = [f"... and {len(problems) - LISTED} more"] if len(problems) > LISTED else []
    return "\n  ".join([f"{head} ({len(problems)}):", *problems[:LISTED], *more])


def summarise(items: Iterable[object], at_most: int = 3) -> str:
    """Format the number of items and the first of them.

    >>> summarise(["a.wav", "b.wav", "c.wav", "d.wav"])
    '4 (a.wav, b.wav, c.wav, ...)'
    """
    items = [str(item) for item in items]
    return f"{len(items)} ({', '.join(items[:at_most])}{', ...' if len(items) > at_most else ''})"


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the most similar known name, if there is one, and all names.

    >>> suggest("fann", ["fan", "pump"]), suggest("x", ["fan", "pump"])
    ("; did you mean 'fan'? There are fan, pump", '; expected one of fan, pump')
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? There are" if close else "expected one of"
    return f"; {hint} {', '.join(known)}" if known else ""


def printable(path: Path | str) -> str:
    """Format a path with undecodable bytes and unprintable characters escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in str(path)
    )
