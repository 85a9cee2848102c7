"""Read the official labels of evaluation clips, which were published after each challenge.

They are next to the machine types, in the same folders as in the official evaluators::

    <root>/ground_truth_data/ground_truth_<machine>_section_<NN>_[<source|target>_]test.csv     0 normal, 1 anomaly
    <root>/ground_truth_domain/ground_truth_<machine>_section_<NN>_test.csv                     0 source, 1 target

with one clip and one number per line. The second kind is for 2022 to 2025, whose evaluation clips do not state their
domain.
DCASE2020 has one file for all, ``<root>/eval_data_list.csv`` (or ``eval_data_list_2020.csv`` and the like): a machine
type alone on a line, then its clips, one per line, with the name first and 0 or 1 last.
"""

import dataclasses
import re
from pathlib import Path

from asdlib.data import lists
from asdlib.data.file_names import ClipName
from asdlib.errors import AsdError

KINDS = {"ground_truth_data": ("normal", "anomaly"), "ground_truth_domain": ("source", "target")}
"""folders, and what 0 and 1 in their files stand for"""
LIST_2020 = re.compile(r"eval_data_list.*\.csv", re.IGNORECASE)
"""names of the list of DCASE2020"""
_ID = re.compile(r"id_(?P<section>\d{2})_(?P<number>\d+)\.wav")
_FILE = re.compile(r"ground_truth_(?P<machine>.+)_section_(?P<section>\d{2})_(?:(?P<domain>source|target)_)?test\.csv")
_NUMBER = re.compile(r"section_\d{2}_(?:(?:source|target)_)?(?:test_)?(?:(?:normal|anomaly)_)?(\d+)(?:_.*)?\.wav")

Key = tuple[str, str, str, str]
"""machine, section, domain (empty where names do not tell it), number"""


def read(root: Path) -> tuple[dict[str, dict[Key, str]], list[str]]:
    """Read the ground truth below a data root, by folder, and return it with problems, one sentence each."""
    labels: dict[str, dict[Key, str]] = {folder: {} for folder in KINDS}
    problems = []
    for folder, words in KINDS.items():
        for path in sorted((root / folder).glob("ground_truth_*.csv")):
            match = _FILE.fullmatch(path.name)
            if not match:
                problems.append(f"{path}: expected ground_truth_<machine>_section_<NN>_test.csv; rename or remove it")
                continue
            try:
                for clip, value in values(path.read_bytes()):
                    number = _NUMBER.fullmatch(clip)
                    if not number:
                        raise AsdError(f"a line reads '{clip},{value}'; expected a clip's name and 0 or 1")
                    labels[folder][match["machine"], match["section"], match["domain"] or "", number[1]] = words[value]
            except AsdError as error:
                problems.append(f"{path}: {error}")
    for path in sorted(path for path in root.glob("*.csv") if LIST_2020.fullmatch(path.name)):
        try:
            for machine, clip, value in listed_2020(path.read_bytes()):
                match = _ID.fullmatch(clip)
                key = machine, match["section"], "source", match["number"]
                labels["ground_truth_data"][key] = KINDS["ground_truth_data"][value]
        except AsdError as error:
            problems.append(f"{path}: {error}")
    return labels, problems


def values(content: bytes) -> list[tuple[str, int]]:
    """Parse the clips of one file of ground truth, each with its 0 or 1.

    Raises:
        AsdError: A line other than a header contains something else.
    """
    result = []
    for number, cells in lists.lines(content):
        if len(cells) == 2 and cells[1] in ("0", "1", "0.0", "1.0"):
            result.append((lists.base_name(cells[0]), int(cells[1][0])))
        elif number > 1 or not lists.is_header(cells):
            raise AsdError(f"a line reads {','.join(cells)!r}; expected a clip's name and 0 or 1")
    return result


def listed_2020(content: bytes) -> list[tuple[str, str, int]]:
    """Parse the machine type, name and label (0 or 1) of each evaluation clip of DCASE2020.

    Raises:
        AsdError: A line, other than a header, is neither a machine type nor a clip with its label.
    """
    result, machine = [], ""
    for number, cells in lists.lines(content):
        if len(cells) == 1 and not lists.is_recording(cells[0]):
            machine = cells[0]
        elif machine and len(cells) > 2 and cells[-1] in ("0", "1") and _ID.fullmatch(lists.base_name(cells[0])):
            result.append((machine, lists.base_name(cells[0]), int(cells[-1])))
        elif number > 1 or not lists.is_header(cells):
            words = "a machine type alone or, below one, a clip's name, any text, and 0 or 1"
            raise AsdError(f"a line reads {','.join(cells)!r}; expected {words}")
    return result


def complete(machine: str, name: ClipName, labels: dict[str, dict[Key, str]]) -> ClipName:
    """Add the label from the ground truth to ``name``, and also the domain in the grammars of 2022 to 2025.

    Args:
        machine: Machine type of the clip.
        name: Contents of its file name.
        labels: Ground truth, as returned by :func:`read`.

    Returns:
        The completed name, or ``name`` unchanged if it is labelled or missing from the ground truth.
    """
    if name.label != "unknown":
        return name
    told = "" if name.grammar > 2021 else name.domain
    key = machine, name.section, told, name.number
    label = labels["ground_truth_data"].get(key, name.label)
    domain = name.domain if told else labels["ground_truth_domain"].get(key, name.domain)
    return dataclasses.replace(name, label=label, domain=domain)
