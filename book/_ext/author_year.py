"""Sphinx extension: entries of the bibliography are labelled as the text cites them, by author and year.

Works of the same first author and year have a letter in the field ``year`` of ``references.bib``.
"""

from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style
from pybtex.style.labels import BaseLabelStyle


class AuthorYearLabels(BaseLabelStyle):
    """Labels such as "Ruff et al. 2020"."""

    def format_labels(self, sorted_entries):
        """Give the label of each entry."""
        for entry in sorted_entries:
            names = [" ".join(person.prelast_names + person.last_names) for person in entry.persons["author"]]
            several = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
            yield f"{several} {entry.fields['year']}".replace("{", "").replace("}", "")


class AuthorYear(Style):
    """The plain style with labels by author and year."""

    default_label_style = AuthorYearLabels


def setup(app):
    register_plugin("pybtex.style.formatting", "author_year", AuthorYear)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
