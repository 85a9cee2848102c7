"""Sphinx extension: lines break where a reader expects it, in every page and caption, whatever made it.

* A number and its "%" stay together.
* Names of code may break after a dot, slash, underscore, equals sign or comma, and nowhere inside a word.

This is done to the finished HTML of a page, since text, substitutions, HTML tables and outputs of notebooks meet only
there. Blocks of code, scripts, drawings and tags stay as they are.
"""

import re

LEFT = re.compile(r"(?s)(<pre.*?</pre>|<script.*?</script>|<style.*?</style>|<svg.*?</svg>|<math.*?</math>)")
CODE = re.compile(r"(?s)(<code.*?</code>)")
TAG = re.compile(r"(<[^>]*>)")
PERCENT = re.compile(r"(?<=\d)((?:<[^>]*>)*)\s((?:<[^>]*>)*%)")
"""a space between a digit and "%", which tags may surround"""
WITHIN = re.compile(r"(?<=[\w)\]])([./_=,]+)(?=[\w(\[])")
"""where a name of code may break"""


def typeset(body: str) -> str:
    """The HTML of a page with unbreakable per cent and breakable names.

    >>> typeset("<b>81.05</b> % of <code><span>a_b.c</span></code>")
    '<b>81.05</b>&#160;% of <code><span>a_<wbr>b.<wbr>c</span></code>'
    """
    parts = LEFT.split(body)
    parts[::2] = [_text(part) for part in parts[::2]]
    return "".join(parts)


def _text(body: str) -> str:
    parts = CODE.split(body)
    parts[::2] = [PERCENT.sub(r"\1&#160;\2", part) for part in parts[::2]]
    for number in range(1, len(parts), 2):
        pieces = TAG.split(parts[number])
        pieces[::2] = [WITHIN.sub(r"\1<wbr>", piece) for piece in pieces[::2]]
        parts[number] = "".join(pieces)
    return "".join(parts)


def page(app, pagename, templatename, context, doctree):
    """Set the body of a page."""
    if context.get("body"):
        context["body"] = typeset(context["body"])


def setup(app):
    app.connect("html-page-context", page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
