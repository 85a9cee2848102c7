"""Sphinx extension: terms of the glossary show their definition as a tooltip (citations have one already)."""

from docutils import nodes

GLOSSARY = "basics"
"""the page with the glossary"""


def definitions(env) -> dict[str, str]:
    """The definition of each term, by the identifier of the term."""
    if GLOSSARY not in env.found_docs:
        return {}
    found = {}
    for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        meaning = next(item.findall(nodes.definition)).astext().replace("\n", " ")
        for term in item.findall(nodes.term):
            found |= dict.fromkeys(term["ids"], meaning)
    return found


def explain(app, doctree, docname):
    """Give references to terms a title, which browsers show on hover and screen readers read."""
    if not hasattr(app, "_book_meanings"):
        app._book_meanings = definitions(app.env)
    for node in doctree.findall(nodes.reference):
        target = node.get("refid") or node.get("refuri", "").rpartition("#")[2]
        if target in app._book_meanings:
            node["reftitle"] = app._book_meanings[target]
            node["classes"].append("explained")


def setup(app):
    app.connect("doctree-resolved", explain)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
