"""Reading the challenge's own files (DCASE2021 Task 2), and score tables beside them.

``anomaly_score_<machine>_section_<NN>_<domain>_test.csv`` and ``decision_result_...`` hold a line a clip, without
header: file name and score, or file name and 0 or 1. The labels of development clips stand in their names, those of
evaluation clips in ``ground_truth_...`` files of the same shape. ``result.csv`` holds figures, a block a machine type.
"""

import csv
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from asdlib import AsdError, scores
from asdlib.evaluation.metrics import UNIT

CLIP = [*UNIT, "split", "clip"]
"""what names a clip"""
FIGURES = ["AUC", "pAUC", "precision", "recall", "F1 score"]
KINDS = {"score": "anomaly_score", "decision": "decision_result"}
"""columns, and the official files that hold them"""
_NAME = re.compile(
    r"(?P<kind>anomaly_score|decision_result|ground_truth)_(?P<machine>.+)_section_(?P<section>\d{2})_"
    r"(?P<domain>source|target)_test\.csv"
)
_EXPECTED = "expected anomaly_score_<machine>_section_<NN>_<source|target>_test.csv"


class OfficialError(AsdError):
    """Score files that cannot be used; the message names the file, what was found and what was expected."""


def read(given: Iterable[Path | str], column: str = "score") -> pd.DataFrame:
    """The rows of official files, of folders that hold some, and of score tables (:mod:`asdlib.scores`).

    The official files in and below a folder are one system, named after the folder; but where two have the same name,
    each folder that holds some is a system of its own. Score tables name their systems themselves, and one system may
    have several (one a machine type). Where two sources have the same clips of the same system, the path tells them
    apart. ``ground_truth_*`` files label the clips whose names do not say.

    Args:
        given: Files and folders. In folders, other CSV files than official ones and score tables are left alone.
        column: ``score``, or ``decision`` for the 0 and 1 of the official ``decision_result_*`` files.

    Returns:
        The columns of a score table, with ``column`` for ``score``.

    Raises:
        OfficialError: A path holds no scores, a domain of a section is missing in a folder, a file has other content
            than a name and a number a line, or ground truth and scores are not of the same clips.
        ScoreError: A score table breaks the contract.
    """
    official: dict[Path, list[Path]] = defaultdict(list)
    names: dict[Path, str] = {}
    tables, truths = [], []
    for path in map(Path, given):
        found = _found(path)
        here = [file for file in found if _kind(file) == KINDS[column]]
        if path.is_dir():
            apart = len({file.name for file in here}) < len(here)
            for file in here:
                folder = file.parent if apart else path
                official[folder.resolve()].append(file)
                names.setdefault(folder.resolve(), folder.relative_to(path).as_posix() if folder != path else "")
        else:
            for file in here:
                official[file.parent.resolve()].append(file)
        truths += [file for file in found if _kind(file) == "ground_truth"]
        tables += [file for file in found if not _kind(file) and column == "score"]
    sources = {}
    for folder, files in official.items():
        files = {file.resolve(): file for file in files}.values()
        if folder in names:
            _complete(folder, files)
        rows = pd.concat([_read_clips(file, column) for file in files], ignore_index=True)
        sources[str(folder)] = rows.assign(system=names.get(folder) or folder.name)
    for file in {file.resolve(): file for file in tables}.values():
        sources[str(file)] = scores.read(file)
    if not sources:
        more = ", or score tables" if column == "score" else ""
        raise OfficialError(f"no {column}s were given; expected {KINDS[column]} files, folders of them{more}")
    frame = pd.concat([rows.assign(source=source) for source, rows in sources.items()], ignore_index=True)
    clash = set(frame.loc[frame.duplicated(["system", *CLIP]), "system"])
    for (source, system), rows in frame.groupby(["source", "system"]).groups.items() if clash else []:
        if system in clash:
            frame.loc[rows, "system"] = source if Path(source).is_dir() else f"{source}:{system}"
    return _labelled(frame.drop(columns="source"), truths)


def _kind(file: Path) -> str:
    """Which official file it is; empty for a score table."""
    match = _NAME.fullmatch(file.name)
    return match["kind"] if match else ""


def _found(path: Path) -> list[Path]:
    """The official files and score tables that a path stands for."""
    if not path.exists():
        raise OfficialError(f"{path}: no such file or folder; expected official score files or a score table")
    files = sorted(path.rglob("*.csv")) if path.is_dir() else [path]
    odd = [file for file in files if file.name.startswith(("anomaly_score", "ground_truth")) and not _kind(file)]
    if odd:
        raise OfficialError(f"{odd[0]}: not the name of an official file; {_EXPECTED}, or ground_truth_ likewise")
    if path.is_dir():
        files = [file for file in files if _kind(file) or _is_table(file)]
        if all(_kind(file) == "decision_result" for file in files):
            raise OfficialError(f"{path}: no score file found; {_EXPECTED}, or score tables")
    return [file for file in files if file.name != "result.csv"]


def _is_table(file: Path) -> bool:
    with open(file, encoding="utf-8-sig", errors="replace") as stream:
        return set(scores.COLUMNS) <= set(stream.readline().strip().replace('"', "").split(","))


def _complete(folder: Path, files: Iterable[Path]) -> None:
    """Raise if a machine type has a section in one domain only, but another section in both: then a file is missing."""
    found = [_NAME.fullmatch(file.name) for file in files]
    for machine in dict.fromkeys(match["machine"] for match in found):
        here = [match for match in found if match["machine"] == machine]
        there = {(match["section"], match["domain"]) for match in here}
        for section in sorted({match["section"] for match in here}):
            for domain in sorted({match["domain"] for match in here}):
                if (section, domain) not in there:
                    name = f"{here[0]['kind']}_{machine}_section_{section}_{domain}_test.csv"
                    raise OfficialError(
                        f"{folder}: {name} is missing, but other files of {machine} section {section} and of the "
                        f"domain {domain} are there; expected every section in every domain (or give the files singly)"
                    )


def _read_clips(file: Path, column: str) -> pd.DataFrame:
    match = _NAME.fullmatch(file.name)
    rows = _read_pairs(file)
    twice = rows["clip"].duplicated()
    if twice.any():
        raise OfficialError(f"{file}: clip {rows.loc[twice, 'clip'].iloc[0]} has more than one {column}; expected one")
    if column == "decision":
        _binary(rows, file, "decision")
    label = rows["clip"].str.extract(r"_(normal|anomaly)(?:_|\.)", expand=False).fillna("unknown")
    return rows.rename(columns={"value": column}).assign(
        machine=match["machine"], section=match["section"], domain=match["domain"], split="test", label=label
    )


def _read_pairs(file: Path) -> pd.DataFrame:
    rows = []
    with open(file, encoding="utf-8-sig", errors="replace", newline="") as stream:
        reader = csv.reader(stream)
        for line in filter(None, reader):
            try:
                clip, value = line[0].strip(), float(line[1] if len(line) == 2 else "")
            except ValueError:
                clip, value = "", math.nan
            if not clip or not math.isfinite(value):
                where, found = f"{file}, line {reader.line_num}", ",".join(line)
                raise OfficialError(f"{where}: found {found!r}; expected a file name and a finite number")
            rows.append((clip, value))
    if not rows:
        raise OfficialError(f"{file}: the file is empty; expected a file name and a number a line")
    return pd.DataFrame(rows, columns=["clip", "value"])


def _binary(rows: pd.DataFrame, file: Path, what: str) -> None:
    odd = rows[~rows["value"].isin([0, 1])]
    if len(odd):
        clip, value = odd.iloc[0][["clip", "value"]]
        raise OfficialError(f"{file}: the {what} of {clip} is {value:g}; expected 0 (normal) or 1 (anomaly)")


def _labelled(frame: pd.DataFrame, truths: Iterable[Path]) -> pd.DataFrame:
    """``frame`` with the labels of the ground truth files where a clip's label is unknown.

    As in the official evaluator, a file of ground truth must have the very clips that were scored.
    """
    parts = dict(list(frame[frame["split"] == "test"].groupby(UNIT))) if truths else {}
    for file in truths:
        unit = tuple(_NAME.fullmatch(file.name)[key] for key in UNIT)
        if unit not in parts:
            continue
        rows = _read_pairs(file)
        _binary(rows, file, "label")
        known = dict(zip(rows["clip"], rows["value"].map({0: "normal", 1: "anomaly"}), strict=True))
        for system, part in parts[unit].groupby("system", sort=False):
            odd = known.keys() ^ set(part["clip"])
            if odd:
                clip, which = min(odd), "no score" if min(odd) in known else "no label"
                raise OfficialError(f"{file}: clip {clip} has {which}, {len(odd)} clip(s) in all (scores of {system}); "
                                    "expected the same clips in scores and ground truth")  # fmt: skip
            unlabelled = part.index[part["label"] == "unknown"]
            frame.loc[unlabelled, "label"] = part.loc[unlabelled, "clip"].map(known)
    return frame


def read_results(path: Path | str) -> pd.DataFrame:
    """The rows of an official ``result.csv``: columns ``machine, section, domain, auc, pauc, precision, recall, f1``.

    Its means are left out.
    """
    rows, machine = [], None
    with open(path, encoding="utf-8-sig", newline="") as stream:
        for line in csv.reader(stream):
            if len([cell for cell in line if cell]) == 1:
                machine = line[0]
            elif len(line) == 7 and line[1] in scores.DOMAINS:
                rows.append((machine, *line[:2], *map(float, line[2:])))
    if not rows:
        raise OfficialError(f"{path}: no section found; expected an official result.csv with {', '.join(FIGURES)}")
    names = ["machine", "section", "domain", "auc", "pauc", "precision", "recall", "f1"]
    return pd.DataFrame(rows, columns=names).sort_values(names[:3], ignore_index=True)
