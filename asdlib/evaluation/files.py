"""The challenge's own files in and out (DCASE2021 Task 2).

``anomaly_score_<machine>_section_<NN>_<domain>_test.csv`` and ``decision_result_...`` hold a line a clip, without
header: file name and score, or file name and 0 or 1. ``result.csv`` holds a block a machine type. The labels of
development clips stand in their names, those of evaluation clips in ``ground_truth_...`` files of the same shape.
"""

import csv
import math
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from asdlib import AsdError, scores
from asdlib.artefacts import writing
from asdlib.evaluation.metrics import UNIT, decisions, evaluable, harmonic_mean, sections

_NAME = re.compile(
    r"(?P<kind>anomaly_score|decision_result|ground_truth)_(?P<machine>.+)_section_(?P<section>\d{2})_"
    r"(?P<domain>source|target)_test\.csv"
)
FIGURES = ["AUC", "pAUC", "precision", "recall", "F1 score"]


class OfficialError(AsdError):
    """Score files that cannot be used; the message names the file, what was found and what was expected."""


# Reading --------------------------------------------------------------------------------------------------------------
def read(given: Iterable[Path | str]) -> pd.DataFrame:
    """The score rows of official files, of folders that hold some, and of score tables (:mod:`asdlib.scores`).

    The files of one folder are one system, named after the folder; where two have one name, the path goes before it.
    ``ground_truth_*`` files among them label the clips
    whose names do not say; ``decision_result_*`` files are not needed and left out.

    Raises:
        OfficialError: A path holds no scores, or a file has other content than a name and a number a line.
        ScoreError: A score table breaks the contract.
    """
    official: dict[Path, list[Path]] = {}
    sources, truths = {}, []
    for file in [file for path in dict.fromkeys(map(Path, given)) for file in _files(path)]:
        match = _NAME.fullmatch(file.name)
        if not match:
            sources[file] = scores.read(file)
        elif match["kind"] == "anomaly_score":
            official.setdefault(file.parent.resolve(), []).append(file)
        elif match["kind"] == "ground_truth":
            truths.append(file)
    for folder, files in official.items():
        rows = pd.concat([_read_scores(file) for file in dict.fromkeys(files)], ignore_index=True)
        sources[folder] = scores.check(rows.assign(system=folder.name)[scores.COLUMNS], folder)
    if not sources:
        raise OfficialError("no scores were given; expected official score files, folders of them, or score tables")
    names = [name for source in sources.values() for name in source["system"].unique()]
    for path, source in sources.items():
        clash = source["system"].map(names.count) > 1
        source.loc[clash, "system"] = f"{path}:" + source.loc[clash, "system"]
    frame = pd.concat(list(sources.values()), ignore_index=True)
    return _labelled(frame, truths) if truths else frame


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if _NAME.fullmatch(file.name)]
        if not any(not file.name.startswith("decision_result") for file in files):
            raise OfficialError(
                f"{path}: no official score file found; expected anomaly_score_<machine>_section_<NN>_<source|target>"
                "_test.csv (or give the score table itself)"
            )
        return files
    if not path.is_file():
        raise OfficialError(f"{path}: no such file or folder; expected official score files or a score table")
    return [] if path.name == "result.csv" else [path]


def _read_scores(file: Path) -> pd.DataFrame:
    match = _NAME.fullmatch(file.name)
    rows = _read_pairs(file)
    label = rows["clip"].str.extract(r"_(normal|anomaly)(?:_|\.)", expand=False).fillna("unknown")
    return rows.rename(columns={"value": "score"}).assign(
        machine=match["machine"], section=match["section"], domain=match["domain"], split="test", label=label
    )


def _read_pairs(file: Path) -> pd.DataFrame:
    rows = []
    with open(file, encoding="utf-8", errors="replace", newline="") as stream:
        reader = csv.reader(stream)
        for line in filter(None, reader):
            try:
                clip, value = line[0], float(line[1] if len(line) == 2 else "")
            except ValueError:
                clip, value = "", math.nan
            if not clip or not math.isfinite(value):
                where, found = f"{file}, line {reader.line_num}", ",".join(line)
                raise OfficialError(f"{where}: found {found!r}; expected a file name and a finite number")
            rows.append((clip, value))
    if not rows:
        raise OfficialError(f"{file}: the file is empty; expected a file name and a number a line")
    return pd.DataFrame(rows, columns=["clip", "value"])


def _labelled(frame: pd.DataFrame, truths: list[Path]) -> pd.DataFrame:
    """``frame`` with the labels of the ground truth files where a clip's label is unknown."""
    known = {}
    for file in truths:
        machine = _NAME.fullmatch(file.name)["machine"]
        for clip, value in _read_pairs(file).itertuples(index=False):
            if value not in (0, 1):
                raise OfficialError(f"{file}: the label of {clip} is {value}; expected 0 (normal) or 1 (anomaly)")
            known[machine, clip] = ("normal", "anomaly")[int(value)]
    rows = zip(frame["machine"], frame["clip"], frame["label"], strict=True)
    return frame.assign(label=[known.get(row[:2], row[2]) if row[2] == "unknown" else row[2] for row in rows])


# Writing --------------------------------------------------------------------------------------------------------------
def write_scores(frame: pd.DataFrame, folder: Path) -> None:
    """Write ``anomaly_score_*.csv`` for the test clips of one system's score table."""
    _write_pairs(frame, "anomaly_score", "score", folder)


def write_decisions(decided: pd.DataFrame, folder: Path) -> None:
    """Write ``decision_result_*.csv``; ``decided`` as :func:`asdlib.evaluation.decision.decide` gives it."""
    _write_pairs(decided, "decision_result", "decision", folder)


def _write_pairs(frame: pd.DataFrame, kind: str, column: str, folder: Path) -> None:
    test = frame[frame["split"] == "test"]
    for (machine, section, domain), group in test.groupby(UNIT, sort=True):
        with writing(folder / f"{kind}_{machine}_section_{section}_{domain}_test.csv") as temporary:
            pairs = group.sort_values("clip")[["clip", column]]
            pairs.to_csv(temporary, header=False, index=False, lineterminator="\n")


def results(decided: pd.DataFrame, p: float = 0.1) -> pd.DataFrame:
    """AUC, pAUC, precision, recall and F1 score of every machine, section and domain that has both labels.

    Args:
        decided: Test clips of one system with scores and decisions (:func:`asdlib.evaluation.decision.decide`).
        p: Largest false positive rate of pAUC.

    Returns:
        Columns ``machine, section, domain, auc, pauc, precision, recall, f1``.
    """
    decided = evaluable(decided)
    table = sections(decided, p).drop(columns="system")
    found = [
        dict(zip(UNIT, key, strict=True)) | decisions(group["label"], group["decision"])
        for key, group in decided.groupby(UNIT, sort=True)
    ]
    return table.merge(pd.DataFrame(found, columns=[*UNIT, "precision", "recall", "f1"]), on=UNIT)


def write_results(table: pd.DataFrame, path: Path) -> None:
    """Write the official ``result.csv`` from the table of :func:`results`."""
    figures = ["auc", "pauc", "precision", "recall", "f1"]
    with writing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for machine, rows in table.groupby("machine", sort=True):
            rows = rows.sort_values(["domain", "section"])  # the sections of the source first
            writer.writerow([machine])
            writer.writerow(["section", "domain", *FIGURES])
            writer.writerows(rows[["section", "domain", *figures]].astype(object).values.tolist())
            _write_means(writer, rows[figures], ("arithmetic mean", "harmonic mean"))
            writer.writerow([])
        writer.writerow(["", "", *FIGURES])
        over = "over all machine types, sections, and domains"
        _write_means(writer, table[figures], (f"arithmetic mean {over}", f"harmonic mean {over}"))
        writer.writerow([])


def _write_means(writer, figures: pd.DataFrame, names: tuple[str, str]) -> None:
    writer.writerow([names[0], "", *figures.mean().tolist()])
    writer.writerow([names[1], "", *harmonic_mean(figures, axis=0).tolist()])


def read_results(path: Path | str) -> pd.DataFrame:
    """The rows of an official ``result.csv``, as :func:`results` gives them; means are left out."""
    rows, machine = [], None
    with open(path, encoding="utf-8", newline="") as stream:
        for line in csv.reader(stream):
            if len([cell for cell in line if cell]) == 1:
                machine = line[0]
            elif len(line) == 7 and line[1] in scores.DOMAINS:
                rows.append((machine, *line[:2], *map(float, line[2:])))
    if not rows:
        raise OfficialError(f"{path}: no section found; expected an official result.csv with {', '.join(FIGURES)}")
    names = ["machine", "section", "domain", "auc", "pauc", "precision", "recall", "f1"]
    return pd.DataFrame(rows, columns=names).sort_values(names[:3], ignore_index=True)
