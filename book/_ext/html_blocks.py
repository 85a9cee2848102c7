"""Sphinx extension: ``{html-table}`` and ``{html-figure}``, captioned and numbered, whose content is HTML.

Table 1 has heads that span columns, several numbers in a cell, and columns that can be sorted; a plot that answers has
points that name and play their clips; Markdown has none of these. The caption is the argument. The content of
``{html-table}`` is the table's ``<thead>`` and ``<tbody>``, that of ``{html-figure}`` is whatever it shows.
"""

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


class Html(SphinxDirective):
    """A node that holds the caption and the HTML as it is."""

    required_arguments, final_argument_whitespace, has_content = 1, True, True
    option_spec = {"name": directives.unchanged, "class": directives.class_option}  # noqa: RUF012 (of docutils)

    def run(self):
        caption, messages = self.state.inline_text(self.arguments[0], self.lineno)
        content = nodes.raw("", "\n".join(self.content), format="html")
        node = self.hold(caption, content, self.options.get("class", []))
        self.add_name(node)
        self.set_source_info(node)
        return [node, *messages]


class HtmlTable(Html):
    """A table, its caption above."""

    def hold(self, caption, content, classes):
        return nodes.table("", nodes.title("", "", *caption), content, classes=classes)


class HtmlFigure(Html):
    """A figure, its caption below."""

    def hold(self, caption, content, classes):
        return nodes.figure("", content, nodes.caption("", "", *caption), classes=classes)


def setup(app):
    app.add_directive("html-table", HtmlTable)
    app.add_directive("html-figure", HtmlFigure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
