"""Read the official score, decision and ground truth files of every year, and score tables next to them.

A line per clip holds its file name and its score, or 0 or 1 for a decision. The labels (from 2022 on also the domains)
of development clips stand in their names, those of evaluation clips in the ground truth that the organisers published.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from asdlib import scores
from asdlib.challenge import file_names, years
from asdlib.challenge.file_names import EXPECTED, GROUND_TRUTH, KINDS
from asdlib.challenge.sources import File, find, systems
from asdlib.data import ground_truth, lists
from asdlib.errors import AsdError, ScoreError
from asdlib.metrics import UNIT

CLIP = [*UNIT, "split", "clip"]
"""what names a clip"""
PLACE = ["machine", "section"]
"""what ground truth is published for"""
BESIDE = ("result.csv", "thresholds.csv")
"""files next to the scores that hold none"""
WORDS = {"label": ("normal", "anomaly"), "domain": ("source", "target")}
"""what 0 and 1 of a ground truth file stand for"""


@dataclass(frozen=True)
class Official:
    """What files hold, and which challenge they are of."""

    frame: pd.DataFrame
    """the columns of a score table, with ``decision`` for ``score`` where decisions were asked for; ``domain`` is empty
    where neither the clips' names nor the ground truth tell it"""
    year: int
    others: tuple[int, ...]
    """further years whose files look the same"""
    asked: bool
    """the year was given, not recognised"""
    results: dict[str, File]
    """the ``result.csv`` of each system that has one"""


def read(given: Iterable[Path | str], column: str = "score", year: int | None = None) -> Official:
    """Read official files, folders and archives of them, and score tables (:mod:`asdlib.scores`).

    The official files in and below a folder are one system, named after the folder; but where two are of the same
    machine type, section and domain, each folder that holds some is a system of its own. Score tables name their
    systems themselves, and one system may have several (one per machine type). Where two sources have the same clips of
    the same system, the path tells them apart. Ground truth labels the clips whose names do not say.

    Args:
        given: Files, folders and zip archives. In folders, other CSV files than official ones and score tables are left
            alone.
        column: ``score``, or ``decision`` for the 0 and 1 of the official ``decision_result_*`` files.
        year: Of the challenge; None to recognise it.

    Raises:
        ScoreError: A path holds no scores, a file is missing in a folder, is there twice, has other content than a
            name and a number per line, or is of another year than the others; or ground truth and scores are not of the
            same clips.
        ScoreError: A score table breaks the contract.
    """
    frames: dict[str, pd.DataFrame] = {}
    official: dict[str, System] = {}
    truths: list[tuple[str, File]] = []
    loose, results = defaultdict(list), {}
    for source in find(given):
        _refuse_odd_names(source.files)
        here = [file for file in source.files if _kind(file) == KINDS[column]]
        told = [(kind, file) for file in source.files if (kind := _truth(file))]
        tables = [file for file in source.files if _is_table(file, source.whole)] if column == "score" else []
        if source.whole and not (here or told or tables or source.again):
            raise ScoreError(f"{source.path}: no {column} file found; {EXPECTED}, or score tables")
        root = source.path.resolve()
        if source.whole:
            for parts, files in systems(here):
                official[str(root.joinpath(*parts))] = System("/".join(parts) or source.name, files, whole=True)
        else:
            loose[root.parent] += here
        truths += told
        for file in tables:
            frames[str(file.path.resolve())] = scores.read(file.path)
        results |= {_folder(file): file for file in source.files if file.name == "result.csv"}
    for folder, files in loose.items():
        for parts, part in systems(files):
            official.setdefault(str(folder.joinpath(*parts)), System("/".join(parts) or folder.name, [])).files.extend(
                part
            )
    if not official and not frames:
        more = ", or score tables" if column == "score" else ""
        raise ScoreError(f"no {column}s were given; expected {KINDS[column]} files, folders of them{more}")

    recognised, others = _recognise(official, truths, frames, year)
    for key, system in official.items():
        if system.whole:
            _complete(system.files, recognised)
        frames[key] = _read_clips(system.files, column, recognised).assign(system=system.name)
    frame = pd.concat([rows.assign(source=source) for source, rows in frames.items()], ignore_index=True)
    renamed = _tell_apart(frame)
    frame = _label(frame.drop(columns="source"), truths)
    result_files = {}
    for key, system in official.items():
        found = [results[folder] for folder in {_folder(file): None for file in system.files} if folder in results]
        if len(found) == 1:
            result_files[renamed.get((key, system.name), system.name)] = found[0]
    return Official(frame, recognised, others, year is not None, result_files)


@dataclass
class System:
    """The files of one system."""

    name: str
    files: list[File]
    whole: bool = False
    """a folder or an archive, in which nothing should be missing"""


def _kind(file: File) -> str:
    parsed = file_names.parse(file.name)
    return parsed.kind if parsed else ""


def _truth(file: File) -> str:
    """What a ground truth file tells: ``label``, ``domain``, or ``list`` for all of DCASE2020; else empty."""
    if ground_truth.LIST_2020.fullmatch(file.name):
        return "list"
    if _kind(file) != GROUND_TRUTH:
        return ""
    folder = file.path.resolve().parent.name if file.path else _folder(file).rpartition("/")[2]
    return "" if "attribute" in folder else "domain" if "domain" in folder else "label"


def _folder(file: File) -> str:
    return str(file.path.parent.resolve()) if file.path else file.where.rpartition("/")[0]


def _refuse_odd_names(files: Iterable[File]) -> None:
    odd = [file for file in files if file_names.looks_official(file.name) and not _kind(file)]
    if odd:
        raise ScoreError(f"{odd[0].where}: not the name of an official file; {EXPECTED}, or ground_truth_ likewise")


def _is_table(file: File, whole: bool) -> bool:
    if file.path is None or _kind(file) or _truth(file) or file.name in BESIDE:
        return False
    if not whole:
        return True  # asked for by name
    with open(file.path, encoding="utf-8-sig", errors="replace") as stream:
        return set(scores.COLUMNS) <= set(stream.readline().strip().replace('"', "").split(","))


def _recognise(
    official: dict[str, System], truths: list[tuple[str, File]], frames: dict[str, pd.DataFrame], asked: int | None
) -> tuple[int, tuple[int, ...]]:
    """The year of all files, and further years that they could be of."""
    if asked is not None:
        return asked, ()
    possible, sections, where, before = set(years.YEARS), set(), [], ""
    for file in (file for system in official.values() for file in system.files):
        name = file_names.parse(file.name)
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
        return 2021, ()  # score tables need not tell the year, and this project is about this one
    possible = years.named(where, possible) or years.named([file.where for _, file in truths], possible) or possible
    return years.single(possible, sections)


def _narrow(possible: set[int], mine: set[int], where: str, before: str) -> set[int]:
    if not possible & mine:
        raise ScoreError(
            f"{where}: these are scores of DCASE{_span(mine)}, but {before} is of DCASE{_span(possible)}; expected "
            "scores of one year (--year YEAR takes all as of that year)"
        )
    return possible & mine


def _span(possible: Iterable[int]) -> str:
    ordered = sorted(possible)
    return f"{ordered[0]}" if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"


def _complete(files: list[File], year: int) -> None:
    """Raise if a file is missing that belongs to the others of a folder."""
    names = [file_names.parse(file.name) for file in files]
    found: dict[str, dict[str, set[str]]] = {}
    for name in names:
        found.setdefault(name.machine, {}).setdefault(name.section, set()).add(name.domain)
    for machine, sections in found.items():
        domains = set().union(*sections.values())
        for section, there in sorted(sections.items()):
            for domain in sorted(domains - there):
                name = file_names.file_name(names[0].kind, year, machine, section, domain)
                raise ScoreError(
                    f"{_folder(files[0])}: {name} is missing, but other files of {machine} section {section} and of "
                    f"the domain {domain} are there; expected every section in every domain (or give the files singly)"
                )
    for machine, section in years.missing_sections(year, {machine: set(found[machine]) for machine in found}):
        domain = min(set().union(*found[machine].values()))
        name = file_names.file_name(names[0].kind, year, machine, section, domain)
        raise ScoreError(
            f"{_folder(files[0])}: {name} is missing, but files of the other sections or machine types are there; "
            "expected every section of every machine type (or give the files singly)"
        )


def _read_clips(files: list[File], column: str, year: int) -> pd.DataFrame:
    """The clips of one system's files."""
    rows = pd.concat([_read_pairs(file).assign(file=number) for number, file in enumerate(files)], ignore_index=True)
    names = pd.DataFrame([vars(file_names.parse(file.name)) for file in files]).loc[rows["file"]].reset_index(drop=True)
    parts = file_names.parse_clips(rows["clip"])

    def where(bad: pd.Series) -> str:
        return files[rows.loc[bad, "file"].iloc[0]].where

    twice = pd.concat([rows["file"], parts["key"]], axis=1).duplicated()
    if twice.any():
        clip = rows.loc[twice, "clip"].iloc[0]
        raise ScoreError(f"{where(twice)}: clip {clip} has more than one {column}; expected one")
    odd = ~rows["value"].isin([0, 1]) & (column == "decision")
    if odd.any():
        clip, value = rows.loc[odd, ["clip", "value"]].iloc[0]
        raise ScoreError(f"{where(odd)}: the decision of {clip} is {value:g}; expected 0 (normal) or 1 (anomaly)")
    for part in ("section", "domain"):
        odd = (parts[part] != "") & (names[part] != "") & (parts[part] != names[part])
        if odd.any():
            clip, found, expected = (
                rows.loc[odd, "clip"].iloc[0],
                parts.loc[odd, part].iloc[0],
                names.loc[odd, part].iloc[0],
            )
            raise ScoreError(
                f"{where(odd)}: clip {clip} is of the {part} {found}, but the name of the file says {expected}; "
                f"expected clips of one {part}"
            )
    kind = parts["bare"] + 2 * parts["id"]
    mixed = kind.groupby(rows["file"]).transform("nunique") > 1
    if mixed.any():
        file = rows["file"] == rows.loc[mixed, "file"].iloc[0]
        clips = rows.loc[file].groupby(kind, sort=False)["clip"].first().tolist()
        raise ScoreError(
            f"{where(mixed)}: holds {clips[0]} and {clips[1]}, which are not of one part of one challenge; expected "
            "development clips or evaluation clips"
        )
    _refuse_gaps(files, rows, parts, column)
    _refuse_cuts(files, rows, parts, year)
    return pd.DataFrame(
        {
            "machine": names["machine"],
            "section": names["section"],
            "domain": names["domain"].where(names["domain"] != "", parts["domain"]),
            "split": "test",
            "clip": rows["clip"],
            "label": parts["label"].where(parts["label"] != "", "unknown"),
            column: rows["value"],
        }
    )


def _refuse_gaps(files: list[File], rows: pd.DataFrame, parts: pd.DataFrame, column: str) -> None:
    """Raise if the development clips of a file are not numbered without a gap."""
    named = parts[(parts["number"] != "") & ~parts["bare"]]
    numbers = named["number"].astype(int)
    for (number, domain, label), mine in numbers.groupby(
        [rows.loc[named.index, "file"], named["domain"], named["label"]]
    ):
        if mine.max() - numbers.min() >= len(mine):
            lacking = sorted(set(range(numbers.min(), mine.max())) - set(mine))
            raise ScoreError(
                f"{files[number].where}: the {label} clip {lacking[0]:04d} of the {domain} domain has no {column}, "
                f"{len(lacking)} clip(s) in all; expected a {column} for every clip"
            )


def _refuse_cuts(files: list[File], rows: pd.DataFrame, parts: pd.DataFrame, year: int) -> None:
    """Raise if a file lacks clips that the others of the system have: those of a domain and label, or of DCASE2022."""
    kinds = (parts["domain"] + " " + parts["label"]).where(parts["label"] != "")
    held = kinds.groupby(rows["file"]).agg(lambda kind: frozenset(kind.dropna()))
    names = [file_names.parse(file.name) for file in files]
    official = [any(name.machine in part for part in years.PARTS[year]) for name in names]
    for number, mine in held.items():
        name = names[number]
        peers = [held[k] for k, other in enumerate(names) if official[number] or other.machine == name.machine]
        domains = {kind.split()[0] for kind in mine if " " in kind.strip()}
        peers += [frozenset(kind for kind in kinds if kind.split()[0] in domains) for kinds in held]
        lacking = sorted(kind for kind in frozenset().union(*peers) - mine if kind.startswith(name.domain) and mine)
        if lacking:
            raise ScoreError(
                f"{files[number].where}: no {lacking[0]} clips, which other files of the system have; expected the "
                "scores of all clips"
            )
    sizes = rows.groupby("file").size()
    most = sizes.mode().iloc[0]
    for number, size in sizes.items():
        if year == 2022 and official[number] and size < most == years.CLIPS_2022:
            raise ScoreError(
                f"{files[number].where}: {size} clips have a score; expected {most}, as every section of DCASE2022 has "
                "and the other files hold"
            )


def _read_pairs(file: File) -> pd.DataFrame:
    clips, values = [], []
    for number, cells in lists.lines(file.read()):
        try:
            clip, value = cells
            value = float(value)
        except ValueError:
            if not clips and number == 1 and lists.is_header(cells):
                continue
            clip, value = "", math.nan
        if not clip or not math.isfinite(value):
            found = ",".join(cells)
            found = found if len(found) < 120 else found[:120] + "..."
            raise ScoreError(f"{file.where}, line {number}: found {found!r}; expected a file name and a finite number")
        clips.append(lists.base_name(clip))
        values.append(value)
    if not clips:
        raise ScoreError(f"{file.where}: the file is empty; expected a file name and a number per line")
    return pd.DataFrame({"clip": clips, "value": values})


def _tell_apart(frame: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Name systems by their path where two sources have the same clips of a system of the same name."""
    renamed = {}
    clash = set(frame.loc[frame.duplicated(["system", *CLIP]), "system"])
    for (source, system), rows in frame.groupby(["source", "system"]).groups.items() if clash else []:
        if system in clash:
            renamed[source, system] = f"{source}:{system}" if Path(source).suffix.lower() == ".csv" else source
            frame.loc[rows, "system"] = renamed[source, system]
    return renamed


def _label(frame: pd.DataFrame, truths: list[tuple[str, File]]) -> pd.DataFrame:
    """``frame`` with labels and domains of the ground truth where the names of the clips do not tell them.

    As in the official evaluator, a file of ground truth must have the very clips that were scored.

    Raises:
        ScoreError: They are not the same clips; or two files of ground truth, or one and the names of the clips,
            contradict each other.
    """
    if not truths:
        return frame
    test = frame[frame["split"] == "test"]
    parts = file_names.parse_clips(test["clip"])
    units = test.groupby(PLACE).groups | test.groupby(UNIT).groups
    known: dict[tuple, tuple[File, dict[str, int], dict[str, str]]] = {}
    for what, unit, file, clips, values in _truth_files(truths):
        if unit in units:
            keys = file_names.parse_clips(pd.Series(clips))["key"]
            mine, names = dict(zip(keys, values, strict=True)), dict(zip(keys, clips, strict=True))
            other = known.setdefault((what, unit), (file, mine, names))
            if other[1] != mine:
                raise ScoreError(
                    f"{file.where}: contradicts {other[0].where}; expected one ground truth; remove one of them"
                )
    for (what, unit), (file, values, names) in known.items():
        for system, rows in test.loc[units[unit]].groupby("system", sort=False).groups.items():
            scored = parts.loc[rows, "key"]
            odd = values.keys() ^ set(scored)
            if odd:
                key = min(odd)
                which = "score" if key in values else what
                clip = names.get(key) or frame.loc[scored.index[scored == key][0], "clip"]
                raise ScoreError(
                    f"{file.where}: clip {clip} has no {which}, {len(odd)} clip(s) in all (scores of {system}); "
                    "expected the same clips in scores and ground truth"
                )
            told, before = scored.map(values).map(dict(enumerate(WORDS[what]))), frame.loc[rows, what]
            named = parts.loc[rows, what] if what == "domain" else before.replace("unknown", "")
            against = (named != "") & (named != told)
            if against.any():
                clip = frame.loc[against.index[against][0], "clip"]
                raise ScoreError(
                    f"{file.where}: says that {clip} is {told[against].iloc[0]}, but it is {named[against].iloc[0]} by "
                    "its name or table; expected the ground truth of these clips"
                )
            frame.loc[rows, what] = told
    return frame


def _truth_files(truths: list[tuple[str, File]]) -> Iterator[tuple[str, tuple[str, ...], File, list[str], list[int]]]:
    """What each file of ground truth tells, by unit: what, unit, file, clips, zeros and ones."""
    for kind, file in truths:
        try:
            if kind == "list":
                listed = ground_truth.listed_2020(file.read())
            else:
                listed = [("", clip, value) for clip, value in ground_truth.values(file.read())]
        except AsdError as error:
            raise ScoreError(f"{file.where}: {error}") from None
        rows = pd.DataFrame(listed, columns=["machine", "clip", "value"])
        twice = rows.duplicated(["machine", "clip"])
        if twice.any():
            raise ScoreError(f"{file.where}: clip {rows.loc[twice, 'clip'].iloc[0]} is listed twice; expected once")
        if kind != "list":
            name = file_names.parse(file.name)
            yield kind, name.unit if name.domain else name.unit[:2], file, rows["clip"].tolist(), rows["value"].tolist()
            continue
        for unit, part in rows.groupby(["machine", rows["clip"].str.extract(r"id_(\d+)_", expand=False)]):
            yield "label", unit, file, part["clip"].tolist(), part["value"].tolist()
