"""Sphinx extension: tables with ``:widths:`` get them.

MyST marks every Markdown table as one of automatic widths, and that mark wins over the ``:widths:`` of the directive
around it.
"""

from docutils import nodes


def keep_widths(app, doctree):
    """Take the mark away where widths are given."""
    for table in doctree.findall(nodes.table):
        if "colwidths-given" in table["classes"]:
            table["classes"].remove("colwidths-auto")


def setup(app):
    app.connect("doctree-read", keep_widths)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
