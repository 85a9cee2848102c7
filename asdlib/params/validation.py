"""Validate settings, and say what is wrong with a key in one sentence."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from asdlib.errors import ParamsError
from asdlib.messages import suggest
from asdlib.params.types import Strict


def merge(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` updated with ``overrides``, which may have nested or dotted keys; both stay unchanged."""
    for given in (values, overrides):
        if not isinstance(given, dict):
            raise ParamsError(f"overrides are {given!r}; expected a dictionary, for example {{'seed': 1}}")
    result = dict(values)
    for key, value in overrides.items():
        head, _, rest = str(key).partition(".")
        if rest:
            value = {rest: value}
        below = result.get(head)
        result[head] = merge(below if isinstance(below, dict) else {}, value) if isinstance(value, dict) else value
    return result


def flatten(values: dict[str, Any], candidates: bool = False, prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one level with dotted names, which begin with ``prefix``.

    Args:
        values: Settings as plain values.
        candidates: Whether to flatten the named overrides of candidates, too, rather than return them as dictionaries.
        prefix: Text before each name.

    >>> flatten({"seed": 1, "data": {"root": "data", "shifted": {}}, "classifier_candidates": {"base": {}}})
    {'seed': 1, 'data.root': 'data', 'data.shifted': {}, 'classifier_candidates': {'base': {}}}
    """
    result = {}
    for key, value in values.items():
        if isinstance(value, dict) and value and (candidates or not key.endswith("_candidates")):
            result |= flatten(value, candidates, f"{prefix}{key}.")
        else:
            result[prefix + key] = value
    return result


def validate(model: type[Strict], values: dict[str, Any], where: str | Path):
    """Validate settings; the messages of :class:`ParamsError` begin with ``where``, one line per mistake."""
    try:
        return model.model_validate(values)
    except ParamsError as error:  # from a candidate
        raise ParamsError("\n".join(f"{where}: {line}" for line in str(error).splitlines())) from None
    except ValidationError as error:
        raise ParamsError("\n".join(f"{where}: {_sentence(model, item)}" for item in error.errors())) from None


def _sentence(model: type[Strict], item: dict) -> str:
    """Format a pydantic error as a sentence that names the key, the value found and the remedy."""
    location = [str(part) for part in item["loc"]]
    key = ".".join(location)
    if item["type"] == "extra_forbidden":
        return f"unknown key {key!r}{suggest(location[-1], _keys(model, location[:-1]))}"
    if item["type"] == "missing":
        return f"the key {key!r} is missing; add it"
    found = "" if item["type"] == "value_error" else f", found {json.dumps(item['input'], default=str)}"
    message = item["msg"].removeprefix("Value error, ")
    return f"{key}: {message}{found}" if key else message


def _keys(model: type[Strict], location: list[str]) -> list[str]:
    for part in location:
        field = model.model_fields.get(part)
        inner = kinds(field.annotation) if field else []
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)


def kinds(annotation: Any) -> list[type[Strict]]:
    """Return the groups of settings that the type of a field allows."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [kind for part in getattr(annotation, "__args__", ()) for kind in kinds(part)]
