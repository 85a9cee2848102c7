"""Read YAML by the rules of version 1.2, in which 010 is ten, no is text and 1e-3 is a number.

Numbers keep the text from which they were read, because a section or a machine type may look like one: 00, 001.
"""

import re
from typing import Any, ClassVar

import yaml


class Integer(int):
    """Whole number written differently than Python would write it, with its original ``text``."""


class Float(float):
    """Number written differently than Python would write it, with its original ``text``."""


class Loader(yaml.SafeLoader):
    """Loader for YAML 1.2's core schema that forbids duplicate keys, of which plain YAML silently keeps the last.

    PyYAML follows YAML 1.1, where 010 is 8, 1:30 is 90, 1e-3 and 0o10 are text, no is false, and 2021-01-01 is a date.
    """

    yaml_implicit_resolvers: ClassVar[dict] = {}

    def compose_node(self, parent, index):
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.CollectionNode) and node.end_mark is None:  # an alias inside what it stands for
            raise yaml.composer.ComposerError(problem="an alias of what contains it", problem_mark=node.start_mark)
        return node

    def construct_mapping(self, node, deep=False):
        keys = []
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":  # what it brings gives way to the keys written here
                continue
            keys.append(self.construct_object(key))
            if keys[-1] in keys[:-1]:
                raise yaml.constructor.ConstructorError(problem=f"{keys[-1]!r} twice", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


def _integer(loader: Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    base = {"0o": 8, "0x": 16}.get(text.lstrip("+-")[:2], 10)
    return _as_written(Integer(text.replace("0o", "").replace("0x", ""), base), int, text)


def _float(loader: Loader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node)
    return _as_written(Float(re.sub(r"\.(?=inf|nan)", "", text.lower())), float, text)


def _as_written(number: Any, kind: type, text: str) -> Any:
    number.text = text
    return kind(number) if repr(number) == text else number


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
Loader.add_constructor("tag:yaml.org,2002:int", _integer)
Loader.add_constructor("tag:yaml.org,2002:float", _float)


def portable(value: Any) -> Any:
    """Convert ``value`` to what JSON can pass to other processes.

    Numbers that may be names, 001 or 1e3, become text, which settings that are numbers accept. In a mapping only 001
    does, because the overrides of candidates are kept, and compared, as they are given.
    """
    if isinstance(value, list):
        return ["null" if item is None else portable(item) for item in value]
    if isinstance(value, dict):
        return {key: _in_mapping(item) for key, item in value.items()}
    return value.text if isinstance(value, Integer | Float) else value


def _in_mapping(value: Any) -> Any:
    if isinstance(value, Integer):
        return value.text if re.fullmatch(r"0[0-9]+", value.text) else int(value)
    return float(value) if isinstance(value, Float) else portable(value)
