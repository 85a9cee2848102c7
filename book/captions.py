"""A table's caption, of which one sentence stands above the table and the rest below it."""

import re

SENTENCE = re.compile(r"(.+?(?<!\bSec)\.) +((?!<small>).+)", re.DOTALL)
"""a caption's first sentence, and the others unless they are only a link to the data"""
CLAUSE = re.compile(r"((?:\S+ +){3}.+?)[:;] +(.+)", re.DOTALL)
"""of a first sentence, what stands before a colon or semicolon, and what after it"""
LONG = 24
"""words of a first sentence that is split"""


def title_and_notes(caption: str) -> tuple[str, str]:
    """The first sentence of a table's caption, or its main clause if it is long, and the rest as a block of notes.

    >>> title_and_notes("Scores of a clip (Sec. 2). A dash: not run.")
    ('Scores of a clip (Sec. 2).', '\\n:::{div} notes\\nA dash: not run.\\n:::\\n')
    """
    parts = SENTENCE.fullmatch(caption)
    title, notes = parts.groups() if parts else (caption, "")
    clauses = CLAUSE.fullmatch(title) if len(title.split()) > LONG else None
    if clauses:
        title = f"{clauses[1]}."
        notes = f"{clauses[2][0].upper()}{clauses[2][1:]} {notes}".rstrip()
    return title, f"\n:::{{div}} notes\n{notes}\n:::\n" if notes else ""
