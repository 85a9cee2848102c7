"""Read the official score and decision files of every year with their ground truth, and score tables next to them.

The labels (from 2022 on also the domains) of development clips are in their names, those of evaluation clips in the
ground truth that the organisers published.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from asdlib import scores
from asdlib.challenge import file_names, years
from asdlib.challenge.contents import read_clips, refuse_missing_files
from asdlib.challenge.file_names import EXPECTED, KINDS
from asdlib.challenge.labels import PLACE, label_clips, truth_kind
from asdlib.challenge.sources import File, find, separate_systems
from asdlib.errors import ScoreError
from asdlib.metrics import UNIT

CLIP = [*UNIT, "split", "clip"]
"""keys of a clip"""
NOT_SCORES = ("result.csv", "thresholds.csv")
"""files next to the scores that contain none"""


@dataclass(frozen=True)
class Official:
    """Contents of official files, and their challenge."""

    frame: pd.DataFrame
    """columns of a score table, with ``decision`` instead of ``score`` if decisions were requested; ``domain`` is empty
    where neither the clips' names nor the ground truth contain it"""
    year: int
    others: tuple[int, ...]
    """further years whose files look the same"""
    asked: bool
    """whether the year was given, not recognised"""
    results: dict[str, File]
    """``result.csv`` of each system that has one"""


def read(paths: Iterable[Path | str], column: str = "score", year: int | None = None) -> Official:
    """Read official files, folders and archives of them, and score tables (:mod:`asdlib.scores`).

    The official files in and below a folder are one system, named after the folder; but if two files are of the same
    machine type, section and domain, each folder with official files is a separate system. Score tables name their
    systems, and one system may have several tables (one per machine type). If two sources have the same clips of the
    same system, systems are named by their paths. Ground truth labels the clips whose names have no label.

    Args:
        paths: Files, folders and zip archives. In folders, CSV files other than official ones and score tables are
            ignored.
        column: ``score``, or ``decision`` for the 0 and 1 of the official ``decision_result_*`` files.
        year: Year of the challenge; None to recognise it.

    Raises:
        ScoreError: A path contains no scores; a file is missing in a folder, exists twice, contains anything but a name
            and a number per line, or is of another year than the others; ground truth and scores are not of the same
            clips; or a score table is invalid.
    """
    frames: dict[str, pd.DataFrame] = {}
    official: dict[str, System] = {}
    truths: list[tuple[str, File]] = []
    loose, results = defaultdict(list), {}
    for source in find(paths):
        _refuse_odd_names(source.files)
        here = [file for file in source.files if file.kind == KINDS[column]]
        ground_truth = [(kind, file) for file in source.files if (kind := truth_kind(file))]
        tables = [file for file in source.files if _is_table(file, source.whole)] if column == "score" else []
        if source.whole and not (here or ground_truth or tables or source.repeated):
            raise ScoreError(f"{source.path}: no {column} file found; {EXPECTED}, or score tables")
        root = source.path.resolve()
        if source.whole:
            for parts, files in separate_systems(here):
                official[str(root.joinpath(*parts))] = System("/".join(parts) or source.name, files, whole=True)
        else:
            loose[root.parent] += here
        truths += ground_truth
        for file in tables:
            frames[str(file.path.resolve())] = _refuse_contradictions(scores.read(file.path), file.where)
        results |= {file.folder: file for file in source.files if file.name == "result.csv"}
    for folder, files in loose.items():
        for parts, part in separate_systems(files):
            name = "/".join(parts) or folder.name
            official.setdefault(str(folder.joinpath(*parts)), System(name, [])).files.extend(part)
    if not official and not frames:
        more = ", or score tables" if column == "score" else ""
        raise ScoreError(f"no {column}s found; expected {KINDS[column]} files, folders of them{more}")

    recognised, others = _recognise(official, truths, frames, year)
    for key, system in official.items():
        if system.whole:
            refuse_missing_files(system.files, recognised)
        frames[key] = read_clips(system.files, column, recognised).assign(system=system.name)
    frame = pd.concat([rows.assign(source=source) for source, rows in frames.items()], ignore_index=True)
    renamed = _rename_clashes(frame)
    frame = label_clips(frame.drop(columns="source"), truths)
    result_files = {}
    for key, system in official.items():
        found = [results[folder] for folder in {file.folder: None for file in system.files} if folder in results]
        if len(found) == 1:
            result_files[renamed.get((key, system.name), system.name)] = found[0]
    return Official(frame, recognised, others, year is not None, result_files)


@dataclass
class System:
    """The files of one system."""

    name: str
    files: list[File]
    whole: bool = False
    """whether it is a folder or an archive, which must be complete"""


def _refuse_odd_names(files: Iterable[File]) -> None:
    odd = [file for file in files if file_names.looks_official(file.name) and not file.kind]
    if odd:
        raise ScoreError(f"{odd[0].where}: not the name of an official file; {EXPECTED}, or ground_truth_ likewise")


def _is_table(file: File, whole: bool) -> bool:
    if file.path is None or file.kind or truth_kind(file) or file.name in NOT_SCORES:
        return False
    if not whole:
        return True  # named explicitly
    with open(file.path, encoding="utf-8-sig", errors="replace") as stream:
        return set(scores.COLUMNS) <= set(stream.readline().strip().replace('"', "").split(","))


def _refuse_contradictions(table: pd.DataFrame, where: str) -> pd.DataFrame:
    named = file_names.parse_clips(table["clip"])["label"]
    odd = (named != "") & (table["label"] != "unknown") & (named != table["label"])
    if odd.any():
        row = table[odd].iloc[0]
        raise ScoreError(
            f"{where}: clip {row['clip']} is {row['label']} here, but {named[odd].iloc[0]} by its name; {odd.sum()} "
            "clip(s) in total; correct the labels"
        )
    return table


def _recognise(
    official: dict[str, System], truths: list[tuple[str, File]], frames: dict[str, pd.DataFrame], asked: int | None
) -> tuple[int, tuple[int, ...]]:
    """Recognise the year of all files, and further years that they may be of."""
    if asked is not None:
        return asked, ()
    possible, sections, where, before = set(years.YEARS), set(), [], ""
    for file in (file for system in official.values() for file in system.files):
        name = file.official
        mine = years.candidates(name.years, name.machine, name.section)
        possible = _narrow(possible, mine, file.where, before)
        sections.add(name.section)
        where.append(file.where)
        before = before or file.where
    for source, frame in frames.items():
        for (machine, section), part in frame[frame["split"] == "test"].groupby(PLACE):
            grammar = years.grammar_of_clips(part["clip"])
            if grammar:
                possible = _narrow(possible, years.candidates(grammar, machine, section), source, before)
            sections.add(section)
        where.append(source)
        before = before or source
    if not official and 2021 in possible:
        return 2021, ()  # score tables may not reveal the year; this project is about 2021
    for places in (where, [file.where for _, file in truths]):
        possible = years.years_in_names(places, possible) or possible
    return years.single(possible, sections)


def _narrow(possible: set[int], mine: set[int], where: str, before: str) -> set[int]:
    if not possible & mine:
        raise ScoreError(
            f"{where}: these are scores of DCASE{_span(mine)}, but {before} is of DCASE{_span(possible)}; expected "
            "scores of one year (--year YEAR treats all files as files of that year)"
        )
    return possible & mine


def _span(possible: Iterable[int]) -> str:
    ordered = sorted(possible)
    return f"{ordered[0]}" if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def _rename_clashes(frame: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Name systems by their path if two sources have the same clips of a system of the same name."""
    renamed = {}
    clash = set(frame.loc[frame.duplicated(["system", *CLIP]), "system"])
    for (source, system), rows in frame.groupby(["source", "system"]).groups.items() if clash else []:
        if system in clash:
            renamed[source, system] = f"{source}:{system}" if Path(source).suffix.lower() == ".csv" else source
            frame.loc[rows, "system"] = renamed[source, system]
    return renamed
