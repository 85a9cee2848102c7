"""The official labels of evaluation clips, which were published after each challenge.

They lie beside the machine types, in the folders that the official evaluators keep them in::

    <root>/ground_truth_data/ground_truth_<machine>_section_<NN>_[<source|target>_]test.csv     0 normal, 1 anomaly
    <root>/ground_truth_domain/ground_truth_<machine>_section_<NN>_test.csv                     0 source, 1 target

with a clip and a number a line. The second kind is for 2022 to 2025, whose evaluation clips do not tell their domain.
DCASE2020 has one file for all, ``<root>/eval_data_list.csv``: a machine type alone in a line, then its clips, a line
each, with the name first and 0 or 1 third.
"""

import csv
import dataclasses
import re
from pathlib import Path

from asdlib.data.names import ClipName

KINDS = {"ground_truth_data": ("normal", "anomaly"), "ground_truth_domain": ("source", "target")}
"""folders, and what 0 and 1 in their files stand for"""
LIST_2020 = "eval_data_list.csv"
_ID = re.compile(r"id_(?P<section>\d{2})_(?P<number>\d+)\.wav")
_FILE = re.compile(r"ground_truth_(?P<machine>.+)_section_(?P<section>\d{2})_(?:(?P<domain>source|target)_)?test\.csv")
_NUMBER = re.compile(r"section_\d{2}_(?:(?:source|target)_)?(?:test_)?(?:(?:normal|anomaly)_)?(\d+)(?:_.*)?\.wav")

Key = tuple[str, str, str, str]
"""machine, section, domain (empty where names do not tell it), number"""


def read(root: Path) -> tuple[dict[str, dict[Key, str]], list[str]]:
    """What the ground truth below a data root says, by folder; and what of it cannot be used, a sentence each."""
    found: dict[str, dict[Key, str]] = {}
    problems = []
    for folder, words in KINDS.items():
        found[folder] = {}
        for path in sorted((root / folder).glob("ground_truth_*.csv")):
            match = _FILE.fullmatch(path.name)
            if not match:
                problems.append(f"{path}: expected ground_truth_<machine>_section_<NN>_test.csv; rename or remove it")
                continue
            try:
                rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
            except UnicodeDecodeError:
                rows = [[]]
            for row in rows:
                number = _NUMBER.fullmatch(row[0]) if len(row) == 2 and row[1] in ("0", "1") else None
                if not number:
                    problems.append(f"{path}: a line reads {','.join(row)!r}; expected a clip's name and 0 or 1")
                    break
                key = match["machine"], match["section"], match["domain"] or "", number[1]
                found[folder][key] = words[int(row[1])]
    if (root / LIST_2020).is_file():
        labels, odd = _read_2020(root / LIST_2020)
        found["ground_truth_data"] |= labels
        problems += odd
    return found, problems


def _read_2020(path: Path) -> tuple[dict[Key, str], list[str]]:
    """The labels of DCASE2020's evaluation clips, all of which are of the source domain, and what cannot be used."""
    labels, machine = {}, ""
    try:
        rows = [row for row in csv.reader(path.read_text(encoding="utf-8").splitlines()) if row]
    except UnicodeDecodeError:
        rows = [["", ""]]
    for row in rows:
        if len(row) == 1:
            machine = row[0]
            continue
        clip = _ID.fullmatch(row[0]) if machine and len(row) > 2 and row[2] in ("0", "1") else None
        if not clip:
            words = "a machine type alone, or below one a clip's name, any text and 0 or 1"
            return labels, [f"{path}: a line reads {','.join(row)!r}; expected {words}"]
        labels[machine, clip["section"], "source", clip["number"]] = KINDS["ground_truth_data"][int(row[2])]
    return labels, []


def complete(machine: str, name: ClipName, found: dict[str, dict[Key, str]]) -> ClipName:
    """``name`` with the label, and in the grammars of 2022 to 2025 the domain, that the ground truth gives it.

    Args:
        machine: Of the clip.
        name: What its file name says.
        found: Of :func:`read`.

    Returns:
        As it was if it is labelled, or the ground truth does not have it.
    """
    if name.label != "unknown":
        return name
    told = "" if name.grammar > 2021 else name.domain
    key = machine, name.section, told, name.number
    label = found["ground_truth_data"].get(key, name.label)
    domain = name.domain if told else found["ground_truth_domain"].get(key, name.domain)
    return dataclasses.replace(name, label=label, domain=domain)
