"""Label clips by the ground truth files that the organisers published."""

from collections.abc import Iterator

import pandas as pd

from asdlib.challenge import file_names
from asdlib.challenge.file_names import GROUND_TRUTH
from asdlib.challenge.sources import File
from asdlib.data import ground_truth
from asdlib.errors import AsdError, ScoreError
from asdlib.metrics import UNIT

PLACE = ["machine", "section"]
"""keys of one ground truth file"""
WORDS = {"label": ground_truth.KINDS["ground_truth_data"], "domain": ground_truth.KINDS["ground_truth_domain"]}
"""meaning of 0 and 1 in a ground truth file"""


def truth_kind(file: File) -> str:
    """Return the kind of a ground truth file: ``label``, ``domain``, ``list`` for all of DCASE2020, or empty."""
    if ground_truth.LIST_2020.fullmatch(file.name):
        return "list"
    if file.kind != GROUND_TRUTH:
        return ""
    folder = file.path.resolve().parent.name if file.path else file.folder.rpartition("/")[2]
    return "" if "attribute" in folder else "domain" if "domain" in folder else "label"


def label_clips(frame: pd.DataFrame, truths: list[tuple[str, File]]) -> pd.DataFrame:
    """Set labels and domains from the ground truth where the names of the clips do not contain them.

    As in the official evaluator, a ground truth file must list exactly the clips that were scored.

    Raises:
        ScoreError: The clips differ, or two ground truth files, or one and the names of the clips, contradict each
            other.
    """
    if not truths:
        return frame
    test = frame[frame["split"] == "test"]
    parts = file_names.parse_clips(test["clip"])
    units = test.groupby(PLACE).groups | test.groupby(UNIT).groups
    known: dict[tuple, tuple[File, dict[str, int], dict[str, str]]] = {}
    for kind, unit, file, clips, values in _truth_files(truths):
        if unit in units:
            keys = file_names.parse_clips(pd.Series(clips))["key"]
            mine, names = dict(zip(keys, values, strict=True)), dict(zip(keys, clips, strict=True))
            other = known.setdefault((kind, unit), (file, mine, names))
            if other[1] != mine:
                raise ScoreError(
                    f"{file.where}: this contradicts {other[0].where}; expected one ground truth, so remove one of them"
                )
    for (kind, unit), (file, values, names) in known.items():
        for system, rows in test.loc[units[unit]].groupby("system", sort=False).groups.items():
            scored = parts.loc[rows, "key"]
            odd = values.keys() ^ set(scored)
            if odd:
                key = min(odd)
                which = "score" if key in values else kind
                clip = names.get(key) or frame.loc[scored.index[scored == key][0], "clip"]
                raise ScoreError(
                    f"{file.where}: clip {clip} has no {which}, {len(odd)} clip(s) in total (scores of {system}); "
                    "expected the same clips in scores and ground truth"
                )
            values_here, before = scored.map(values).map(dict(enumerate(WORDS[kind]))), frame.loc[rows, kind]
            named = parts.loc[rows, kind] if kind == "domain" else before.replace("unknown", "")
            against = (named != "") & (named != values_here)
            if against.any():
                clip = frame.loc[against.index[against][0], "clip"]
                raise ScoreError(
                    f"{file.where}: {clip} is {values_here[against].iloc[0]} here, but {named[against].iloc[0]} by its "
                    "name or table; expected the ground truth of these clips"
                )
            frame.loc[rows, kind] = values_here
    return frame


def _truth_files(truths: list[tuple[str, File]]) -> Iterator[tuple[str, tuple[str, ...], File, list[str], list[int]]]:
    """Yield the contents of each ground truth file by unit: kind, unit, file, clips, zeros and ones."""
    for kind, file in truths:
        try:
            if kind == "list":
                listed = ground_truth.listed_2020(file.read())
            else:
                listed = [("", clip, value) for clip, value in ground_truth.values(file.read())]
        except AsdError as error:
            raise ScoreError(f"{file.where}: {error}") from None
        rows = pd.DataFrame(listed, columns=["machine", "clip", "value"])
        repeated = rows.duplicated(["machine", "clip"])
        if repeated.any():
            raise ScoreError(f"{file.where}: clip {rows.loc[repeated, 'clip'].iloc[0]} is listed twice; expected once")
        if kind != "list":
            name = file.official
            yield kind, name.unit if name.domain else name.unit[:2], file, rows["clip"].tolist(), rows["value"].tolist()
            continue
        for unit, part in rows.groupby(["machine", rows["clip"].str.extract(r"id_(\d+)_", expand=False)]):
            yield "label", unit, file, part["clip"].tolist(), part["value"].tolist()
