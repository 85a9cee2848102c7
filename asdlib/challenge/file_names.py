"""Parse and format the names of the official files and of the clips in them.

======== ================================================================= =======================================
2020     ``anomaly_score_<machine>_id_<NN>.csv``                           all clips are of the source domain
2021     ``anomaly_score_<machine>_section_<NN>_<source|target>_test.csv``
2022     ``anomaly_score_<machine>_section_<NN>.csv``                      both domains in one file
2023 on  ``anomaly_score_<machine>_section_<NN>_test.csv``                 both domains in one file
======== ================================================================= =======================================

``decision_result_...`` and ``ground_truth_...`` likewise. The official baselines of 2023 on put the name of the data
set before the machine type, and their seed and settings at the end:
``anomaly_score_DCASE2023T2bearing_section_00_test_seed13711_id(0_)_Eval.csv``.
"""

import re
from dataclasses import dataclass

import pandas as pd

KINDS = {"score": "anomaly_score", "decision": "decision_result"}
"""official files of each column"""
GROUND_TRUTH = "ground_truth"
EXPECTED = (
    "expected anomaly_score_<machine>_id_<NN>.csv (2020), "
    "anomaly_score_<machine>_section_<NN>_<source|target>_test.csv (2021), "
    "or anomaly_score_<machine>_section_<NN>.csv or ..._<NN>_test.csv (2022 to 2025)"
)
_OFFICIAL = re.compile(
    r"(?P<kind>anomaly_score|decision_result|ground_truth)_(?:DCASE(?P<year>20\d\d)T2)?(?P<machine>.+)_"
    r"(?P<unit>section|id)_(?P<section>\d{2,})(?:_(?P<domain>source|target))?(?:_test)?(?P<variant>_seed.*)?\.csv",
    re.IGNORECASE,
)
_CLIP = (
    r"^(?:section_(?P<section>\d+)_(?:(?P<domain>source|target)_)?(?:(?:train|test)_)?(?:(?P<label>normal|anomaly)_)?"
    r"(?P<number>\d+)|(?:(?P<label_2020>normal|anomaly)_)?id_(?P<section_2020>\d+)_(?P<number_2020>\d+))(?:_.*|\..*)?$"
)


@dataclass(frozen=True)
class OfficialName:
    """Parts of the name of an official file."""

    kind: str
    """``anomaly_score``, ``decision_result`` or ``ground_truth``"""
    machine: str
    section: str
    """two digits; in 2020 the machine ID"""
    domain: str
    """``source`` or ``target``; empty if one file contains both"""
    years: frozenset[int]
    """years whose files have names like this"""
    variant: str
    """suffix of a baseline, such as ``seed13711_id(0_)``; empty for others"""

    @property
    def unit(self) -> tuple[str, str, str]:
        """Machine type, section and domain, for which a system has one file."""
        return self.machine, self.section, self.domain


def parse(name: str) -> OfficialName | None:
    """Parse the name of a file; None if it is not the name of an official file."""
    match = _OFFICIAL.fullmatch(name)
    if not match:
        return None
    if match["unit"].lower() == "id":
        years, domain = {2020}, "source"
    elif match["domain"]:
        years, domain = {2021}, match["domain"].lower()
    else:
        years, domain = {2022, 2023, 2024, 2025}, ""
    if match["year"]:
        years &= {int(match["year"])}
    variant = (match["variant"] or "").strip("_")
    return OfficialName(match["kind"].lower(), match["machine"], match["section"], domain, frozenset(years), variant)


def looks_official(name: str) -> bool:
    """Return whether a file seems to be official: its name begins like one and ends with .csv."""
    return name.lower().startswith((*KINDS.values(), GROUND_TRUTH)) and name.lower().endswith(".csv")


def file_name(kind: str, year: int, machine: str, section: str, domain: str = "") -> str:
    """Format the name that the organisers of a year ask for.

    >>> file_name("anomaly_score", 2021, "fan", "00", "target")
    'anomaly_score_fan_section_00_target_test.csv'
    >>> file_name("decision_result", 2020, "fan", "02")
    'decision_result_fan_id_02.csv'
    """
    if year == 2020:
        return f"{kind}_{machine}_id_{section}.csv"
    if year == 2021:
        return f"{kind}_{machine}_section_{section}_{domain}_test.csv"
    return f"{kind}_{machine}_section_{section}{'_test' if year > 2022 else ''}.csv"


def parse_clips(clips: pd.Series) -> pd.DataFrame:
    """Parse the names of clips.

    Args:
        clips: File names.

    Returns:
        Columns ``section, domain, label, number``, empty if a name does not contain them; ``id``, whether it is a name
        of DCASE2020; ``bare``, whether it is the name of a clip without a label; and ``key``, which is the same for two
        spellings of such a clip (``section_00_0001.wav`` and ``section_00_test_0001_.wav``), and the name itself for
        any other.
    """
    parts = clips.str.extract(_CLIP).fillna("")
    parts["domain"] = parts["domain"].where(parts["number_2020"] == "", "source")
    parts["id"] = parts["number_2020"] != ""
    for name in ("section", "label", "number"):
        parts[name] += parts.pop(f"{name}_2020")
    parts["bare"] = (parts["number"] != "") & (parts["label"] == "")
    key = parts["section"] + "/" + parts["domain"] + "/" + parts["number"].str.lstrip("0")
    parts["key"] = key.where(parts["bare"], clips)
    words = clips.str.extract(r"_(normal|anomaly)(?:_|\.)", expand=False).fillna("")  # names of no challenge
    parts["label"] = parts["label"].where(parts["number"] != "", words)
    return parts
