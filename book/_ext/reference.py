"""Sphinx extension: how the API reference shows the settings.

The constructor of a settings class takes every field by keyword, and each field is documented below it, so the
signature would only repeat them. Types are shown as they are read (``int``), without the checks behind them.
"""

from types import ModuleType
from typing import get_type_hints

import asdlib.detector.store  # noqa: F401  before autodoc imports it as a type checker would, which pydantic cannot do
from asdlib import params
from asdlib.params.types import Strict


def without_fields(app, what, name, thing, options, signature, returns):
    """Drop the signature of settings classes."""
    if what == "class" and issubclass(thing, Strict):
        return "", None
    return None


def plain_types(app):
    """Annotate the fields of settings classes with their bare types."""
    modules = [value for value in vars(params).values() if isinstance(value, ModuleType)]
    for model in [model for module in modules for model in vars(module).values()]:
        if isinstance(model, type) and issubclass(model, Strict):
            hints = get_type_hints(model)
            model.__annotations__.update({name: hints[name] for name in model.__annotations__})


def without_routing(app, what, name, thing, skip, options):
    """Leave out what scikit-learn adds to estimators, such as ``set_fit_request``: it refers to its own pages."""
    return True if name.startswith("set_") and name.endswith("_request") else None


def without_sources(app):
    """Leave modules without source, such as ``builtins``, out of the list of sources, where their links are dead."""
    modules = getattr(app.env, "_viewcode_modules", {})
    for name in [name for name, found in modules.items() if not found]:
        del modules[name]
    return []


def setup(app):
    app.connect("autodoc-skip-member", without_routing)
    app.connect("html-collect-pages", without_sources, priority=100)  # before the sources are listed
    app.connect("autodoc-process-signature", without_fields)
    app.connect("builder-inited", plain_types)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
