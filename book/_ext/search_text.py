"""Sphinx extension: the text of the pages as a script, so that search results can show their context.

Sphinx would fetch each page for that, which browsers refuse to a book that is read from disk.
``_static/search_text.js`` is read by the search page only.
"""

import json
from pathlib import Path

from docutils import nodes

LONGEST = 20_000
"""characters of a page that are kept"""


def collect(app, doctree, docname):
    """Keep the text of a page, without what is hidden in it and without what is not text."""
    if not hasattr(app.env, "book_text"):
        app.env.book_text = {}
    inner = [node for node in doctree.findall(nodes.TextElement) if isinstance(node.parent, nodes.TextElement)]
    doubled = {id(node) for node in inner}
    pieces = [
        node.astext()
        for node in doctree.findall(nodes.TextElement)
        if id(node) not in doubled and not isinstance(node, (nodes.literal_block, nodes.raw, nodes.comment))
    ]
    app.env.book_text[docname] = " ".join(" ".join(pieces).split())[:LONGEST]


def write(app, exception):
    """Write the script once all pages are there."""
    if exception is None and app.builder.name == "html":
        text = json.dumps(getattr(app.env, "book_text", {}), ensure_ascii=False, sort_keys=True)
        path = Path(app.outdir) / "_static" / "search_text.js"
        path.write_text(f"window.bookText = {text};\n", encoding="utf-8")


def setup(app):
    app.connect("doctree-resolved", collect)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
