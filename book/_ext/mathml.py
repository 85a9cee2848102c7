"""Sphinx extension: LaTeX in the pages becomes MathML when the book is built.

Browsers typeset MathML themselves: no JavaScript, nothing to download, and screen readers read it. Set
``html_math_renderer`` to ``mathml``. What ``latex2mathml`` does not know it would print as it is; here that is a
warning, which fails the build.
"""

import re
from html import escape

from docutils.nodes import SkipNode
from latex2mathml.commands import MATRICES
from latex2mathml.converter import convert
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)
_LEFT_OVER = re.compile(r"<m\w+[^>]*>[^<]*(?:\\|&(?!#?\w+;))[^<]*<")  # a command or an alignment mark as text
_SPACES = {"negativethinmathspace": "-0.167em"}  # named widths, which browsers no longer know
_BEFORE = re.compile(r"(?<=</mi>|</mn>)(?=<mi>[a-z]{2,}</mi>)")  # log, cos and the like stand apart
_AFTER = re.compile(r"(<mi>[a-z]{2,}</mi>)(?=<m(?:i|n|sub|sup|frac|sqrt)\b)")  # them, but not from a bracket
_THIN = '<mspace width="0.167em" />'


class MathError(ValueError):
    """LaTeX that cannot become MathML."""


def mathml(latex: str, display: bool) -> str:
    """``latex`` as a ``<math>`` element that keeps the LaTeX as its alternative text.

    Raises:
        MathError: A command or environment is not known to latex2mathml.
    """
    latex = latex.strip()
    known = latex.replace("{aligned}", "{align*}")
    for environment in re.findall(r"\\begin\{([^}]*)\}", known):
        if f"\\{environment}" not in MATRICES:  # it would be left out without a word
            raise MathError(f"{latex!r}: latex2mathml does not know the environment {environment}")
    try:
        markup = convert(known, display="block" if display else "inline")
    except Exception as error:  # each of its errors is a class of its own, without a common base
        raise MathError(f"{latex!r}: {type(error).__name__}") from None
    left_over = _LEFT_OVER.search(markup)
    if left_over:
        raise MathError(f"{latex!r}: latex2mathml leaves {left_over.group()!r}")
    for name, width in _SPACES.items():
        markup = markup.replace(f'width="{name}"', f'width="{width}"')
    markup = _AFTER.sub(rf"\1{_THIN}", _BEFORE.sub(_THIN, markup))
    return markup.replace("<math ", f'<math alttext="{escape(latex, quote=True)}" ', 1)


def _markup(node, display: bool) -> str:
    try:
        return mathml(node.astext(), display)
    except MathError as error:
        logger.warning("mathematics: %s", error, location=node)
        return f"<code>{escape(node.astext())}</code>"


def inline(self, node) -> None:
    """Write a ``math`` node."""
    self.body.append(f'<span class="math">{_markup(node, display=False)}</span>')
    raise SkipNode


def block(self, node) -> None:
    """Write a ``math_block`` node, with its number and a link to it where it has a label."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(_markup(node, display=True))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
