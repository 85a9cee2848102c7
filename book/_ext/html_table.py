"""Sphinx extension: ``{html-table}``, a captioned, numbered table whose rows are HTML.

Table 1 has heads that span columns, several numbers in a cell, and columns that can be sorted; Markdown has none of
these. The directive takes the caption as its argument and the table's ``<thead>`` and ``<tbody>`` as its content.
"""

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


class HtmlTable(SphinxDirective):
    """A table node that holds the caption and the rows as they are."""

    required_arguments, final_argument_whitespace, has_content = 1, True, True
    option_spec = {"name": directives.unchanged, "class": directives.class_option}  # noqa: RUF012 (of docutils)

    def run(self):
        caption, messages = self.state.inline_text(self.arguments[0], self.lineno)
        rows = nodes.raw("", "\n".join(self.content), format="html")
        table = nodes.table("", nodes.title("", "", *caption), rows, classes=self.options.get("class", []))
        self.add_name(table)
        self.set_source_info(table)
        return [table, *messages]


def setup(app):
    app.add_directive("html-table", HtmlTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
