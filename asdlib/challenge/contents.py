"""Read the clips in official score and decision files, and refuse incomplete files.

Each line contains a clip's file name and its score, or 0 or 1 for a decision.
"""

import math

import pandas as pd

from asdlib.challenge import file_names, years
from asdlib.challenge.sources import File
from asdlib.data import lists
from asdlib.errors import ScoreError


def read_clips(files: list[File], column: str, year: int) -> pd.DataFrame:
    """Read the clips of one system's files and refuse invalid or incomplete files."""
    rows = pd.concat([_read_pairs(file).assign(file=number) for number, file in enumerate(files)], ignore_index=True)
    names = pd.DataFrame([vars(file.official) for file in files]).loc[rows["file"]].reset_index(drop=True)
    parts = file_names.parse_clips(rows["clip"])

    def where(bad: pd.Series) -> str:
        return files[rows.loc[bad, "file"].iloc[0]].where

    repeated = pd.concat([rows["file"], parts["key"]], axis=1).duplicated()
    if repeated.any():
        clip = rows.loc[repeated, "clip"].iloc[0]
        raise ScoreError(f"{where(repeated)}: clip {clip} has more than one {column}; expected one")
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
                f"{where(odd)}: clip {clip} is of the {part} {found}, but the name of the file says "
                f"{expected}; expected clips of one {part}"
            )
    kind = parts["bare"] + 2 * parts["id"]
    mixed = kind.groupby(rows["file"]).transform("nunique") > 1
    if mixed.any():
        file = rows["file"] == rows.loc[mixed, "file"].iloc[0]
        clips = rows.loc[file].groupby(kind, sort=False)["clip"].first().tolist()
        raise ScoreError(
            f"{where(mixed)}: contains {clips[0]} and {clips[1]}, which are from different parts of the challenge "
            "or from different challenges; expected development clips or evaluation clips"
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


def refuse_missing_files(files: list[File], year: int) -> None:
    """Raise a :class:`ScoreError` if a file is missing that the other files of a folder imply."""
    names = [file.official for file in files]
    found: dict[str, dict[str, set[str]]] = {}
    for name in names:
        found.setdefault(name.machine, {}).setdefault(name.section, set()).add(name.domain)
    for machine, sections in found.items():
        domains = set().union(*sections.values())
        for section, there in sorted(sections.items()):
            for domain in sorted(domains - there):
                name = file_names.file_name(names[0].kind, year, machine, section, domain)
                raise ScoreError(
                    f"{files[0].folder}: {name} is missing, but other files of {machine} section {section} and of the "
                    f"domain {domain} exist; expected every section in every domain (or pass the files one by one)"
                )
    for machine, section in years.missing_sections(year, {machine: set(found[machine]) for machine in found}):
        domain = min(set().union(*found[machine].values()))
        name = file_names.file_name(names[0].kind, year, machine, section, domain)
        raise ScoreError(
            f"{files[0].folder}: {name} is missing, but files of the other sections or machine types exist; expected "
            "every section of every machine type (or pass the files one by one)"
        )


def _refuse_gaps(files: list[File], rows: pd.DataFrame, parts: pd.DataFrame, column: str) -> None:
    """Raise a :class:`ScoreError` if the numbers of a file's development clips have a gap."""
    named = parts[(parts["number"] != "") & ~parts["bare"]]
    numbers = named["number"].astype(int)
    for (number, domain, label), mine in numbers.groupby(
        [rows.loc[named.index, "file"], named["domain"], named["label"]]
    ):
        if mine.max() - numbers.min() >= len(mine):
            missing = sorted(set(range(numbers.min(), mine.max())) - set(mine))
            raise ScoreError(
                f"{files[number].where}: the {label} clip {missing[0]:04d} of the {domain} domain has no {column}, "
                f"{len(missing)} clip(s) in total; expected a {column} for every clip"
            )


def _refuse_cuts(files: list[File], rows: pd.DataFrame, parts: pd.DataFrame, year: int) -> None:
    """Raise a :class:`ScoreError` if a file lacks clips that other files of the system have.

    These are all clips of a domain and label, or in DCASE2022 any clips.
    """
    kinds = (parts["domain"] + " " + parts["label"]).where(parts["label"] != "")
    held = kinds.groupby(rows["file"]).agg(lambda kind: frozenset(kind.dropna()))
    names = [file.official for file in files]
    official = [any(name.machine in part for part in years.PARTS[year]) for name in names]
    for number, mine in held.items():
        name = names[number]
        peers = [held[k] for k, other in enumerate(names) if official[number] or other.machine == name.machine]
        domains = {kind.split()[0] for kind in mine if " " in kind.strip()}
        peers += [frozenset(kind for kind in kinds if kind.split()[0] in domains) for kinds in held]
        missing = sorted(kind for kind in frozenset().union(*peers) - mine if kind.startswith(name.domain) and mine)
        if missing:
            raise ScoreError(
                f"{files[number].where}: no {missing[0]} clips, which other files of the system have; expected the "
                "scores of all clips"
            )
    sizes = rows.groupby("file").size()
    most = sizes.mode().iloc[0]
    for number, size in sizes.items():
        if year == 2022 and official[number] and size < most == years.CLIPS_2022:
            raise ScoreError(
                f"{files[number].where}: {size} clips have a score; expected {most} as in the other files, since every "
                "section of DCASE2022 has that many"
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
