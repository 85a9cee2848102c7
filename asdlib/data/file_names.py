"""Parse and format file names of DCASE Task 2.

* 2021: ``section_NN_<source|target>_<train|test>_<normal|anomaly>_NNNN[_attributes].wav`` in the folders ``train``,
  ``source_test`` and ``target_test`` of a machine type;
* 2022 to 2025: the same, with attributes, in ``train`` and ``test``;
* evaluation data: the same without the label; from 2022 on without the domain, too, ``section_NN_NNNN.wav`` or
  ``section_NN_test_NNNN.wav`` in ``test``: such clips count as source unless the ground truth
  (:mod:`asdlib.data.ground_truth`) says otherwise;
* 2020: ``<normal|anomaly>_id_NN_NNNNNNNN.wav`` in ``train`` and ``test``: the ID is the section, all are source.
"""

import re
from dataclasses import dataclass
from typing import Literal

from asdlib.errors import DataError

MACHINES = ("ToyCar", "ToyTrain", "fan", "gearbox", "pump", "slider", "valve")
"""The machine types of DCASE2021."""

FOLDERS = {"train": "train", "test": "test", "source_test": "test", "target_test": "test"}
"""Folders of a machine type that contain clips, and their split."""

EXPECTED = (
    "<machine>/{train,source_test,target_test}/section_NN_<source|target>_<train|test>_<normal|anomaly>_NNNN.wav "
    "(or, as in DCASE2020, <machine>/{train,test}/<normal|anomaly>_id_NN_NNNNNNNN.wav)"
)

_SECTION = re.compile(
    r"section_(?P<section>[0-9]{2})_(?P<domain>source|target)_(?P<split>train|test)"
    r"(?:_(?P<label>normal|anomaly))?_(?P<number>[0-9]+)(?:_(?P<attributes>[^/\n]*))?\.wav"
)
_BARE = re.compile(r"section_(?P<section>[0-9]{2})_(?P<test>test_)?(?P<number>[0-9]+)\.wav")
_ID = re.compile(r"(?:(?P<label>normal|anomaly)_)?id_(?P<section>[0-9]{2})_(?P<number>[0-9]+)\.wav")


@dataclass(frozen=True)
class ClipName:
    """Contents of a clip's name.

    >>> name = parse("source_test", "section_00_source_test_anomaly_0007.wav")
    >>> name.section, name.domain, name.split, name.label
    ('00', 'source', 'test', 'anomaly')
    >>> name.folder, name.file
    ('source_test', 'section_00_source_test_anomaly_0007.wav')
    """

    section: str
    """two digits"""
    domain: Literal["source", "target"]
    split: Literal["train", "test"]
    label: Literal["normal", "anomaly", "unknown"]
    number: str
    """digits, as written"""
    attributes: str = ""
    """what follows the number, for example ``car_A1_spd_28V``"""
    grammar: Literal[2020, 2021, 2022, 2025] = 2021
    """the challenge whose grammar the name follows; 2022 and 2025 only where it differs from 2021"""

    @property
    def file(self) -> str:
        """File name of the clip."""
        label = () if self.label == "unknown" else (self.label,)
        if self.grammar == 2020:
            return "_".join([*label, "id", self.section, self.number]) + ".wav"
        if self.grammar in (2022, 2025):
            return (
                "_".join(["section", self.section, *(["test"] if self.grammar == 2025 else []), self.number]) + ".wav"
            )
        attributes = (self.attributes,) if self.attributes else ()
        return "_".join(["section", self.section, self.domain, self.split, *label, self.number, *attributes]) + ".wav"

    @property
    def folder(self) -> str:
        """Folder of the clip in DCASE2021 or, for another grammar, in its challenge."""
        return f"{self.domain}_test" if self.split == "test" and self.grammar == 2021 else self.split


_RESERVED = ("all",)  # stands for all machine types in Table 1
_GRAPH = set("{}*?[].\\")  # characters with a meaning in patterns and in names of executed notebooks


def check_machine(machine: str) -> None:
    """Raise :class:`DataError` unless a folder's name can be the name of a machine type."""
    if machine in _RESERVED or not machine.isprintable() or _GRAPH & set(machine):
        raise DataError(
            f"the folder of a machine type is called {machine!r}; expected printable characters other than "
            f"{' '.join(sorted(_GRAPH))}, and not {', '.join(_RESERVED)}; rename it"
        )


def parse(folder: str, file: str) -> ClipName:
    """Parse a file name and the name of its folder.

    Raises:
        DataError: The name does not fit the grammar, contradicts its folder, or calls a training clip anything
            but normal; or it contains line breaks, control characters or bytes that are not text.
    """
    if not file.isprintable():
        raise DataError("the name contains unprintable characters; expected a plain name; rename the file")
    if folder not in FOLDERS:
        raise DataError(f"the folder is {folder!r}; expected one of {', '.join(FOLDERS)}")
    if match := _SECTION.fullmatch(file):
        parts = match.groupdict()
        name = ClipName(**{**parts, "label": parts["label"] or "unknown", "attributes": parts["attributes"] or ""})
    elif match := _ID.fullmatch(file):
        parts = match.groupdict()
        name = ClipName(
            parts["section"], "source", FOLDERS[folder], parts["label"] or "unknown", parts["number"], grammar=2020
        )
    elif match := _BARE.fullmatch(file):
        grammar = 2025 if match["test"] else 2022
        name = ClipName(match["section"], "source", "test", "unknown", match["number"], grammar=grammar)
        if folder != "test":
            raise DataError(f"the name tells no domain, the folder is {folder}; expected it in test")
    else:
        raise DataError("the name does not fit section_NN_<source|target>_<train|test>_<normal|anomaly>_NNNN.wav")
    if folder not in (name.split, f"{name.domain}_{name.split}"):
        raise DataError(f"the name says {name.domain} {name.split}, the folder says {folder}; move or rename it")
    if name.split == "train" and name.label != "normal":
        raise DataError(f"a training clip with the label {name.label}; expected normal: training clips are normal ones")
    return name
