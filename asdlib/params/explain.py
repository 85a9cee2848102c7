"""Explain every key of a profile next to it, in the words of its one definition: the docstring of the setting.

``python -m asdlib.params.explain`` renews the comments in ``params/paper.yaml``.
"""

import re
from collections.abc import Sequence

from asdlib import paths
from asdlib.params.settings import Settings
from asdlib.params.types import Strict
from asdlib.params.validation import kinds

_LINE = re.compile(r"(?P<indent> *)(?P<key>\w+):(?P<value>.*?)(?:  # .*)?")


def explain_profile(profile: str) -> str:
    """Return the text of a profile with the comment of each setting replaced by its description.

    >>> print(explain_profile("seed: 3  # old words\\nmobilenet:\\n  test_hop: 4"))
    seed: 3  # seed of everything random
    mobilenet:
      test_hop: 4  # frames between test windows
    """
    lines, parents = [], []
    for line in profile.split("\n"):
        match = _LINE.fullmatch(line)
        if match:
            parents = [*parents[: len(match["indent"]) // 2], match["key"]]
            words = description(parents)
            if words is not None:
                line = f"{match['indent']}{match['key']}:{match['value']}" + (f"  # {words}" if words else "")
        lines.append(line)
    return "\n".join(lines)


def description(keys: Sequence[str]) -> str | None:
    """Return what a setting means, on one line; empty for a group, and None for anything that is not a setting.

    >>> description(["evaluation", "confidence"])
    'confidence of the intervals'
    """
    model: type[Strict] | None = Settings
    for key in keys:
        field = model.model_fields.get(key) if model else None
        if field is None:
            return None
        model = next(iter(kinds(field.annotation)), None)
    words = " ".join((field.description or "").split())
    return re.sub(r":\w+:`~?([^`]*)`", r"\1", words).replace("``", "")


if __name__ == "__main__":
    path = paths.project_root() / "params" / "paper.yaml"
    path.write_text(explain_profile(path.read_text(encoding="utf-8")), encoding="utf-8")
