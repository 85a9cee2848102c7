"""Compare Table 1 and the claims of two runs, or of a run and stored tables, and list what may explain differences."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib.atomic import read_json
from asdlib.errors import ScoreError
from asdlib.evaluation.table1 import KEYS
from asdlib.params.validation import flatten
from asdlib.paths import RECORD
from asdlib.tables import read_table

TABLES = {"table1.csv": KEYS, "claims.csv": ["test"], "claims_extensions.csv": ["test"]}
"""compared tables, and the columns that identify their rows"""
WITHOUT_EFFECT = ("profile", "title", "runs", "data.root")
"""settings that only name things; other recordings have other fingerprints"""
SHOWN = 20
"""largest number of different cells and settings that are listed"""


@dataclass(frozen=True)
class Comparison:
    """Differences between two sets of tables."""

    first: Path
    second: Path
    cells: dict[str, int]
    """number of compared cells of each table"""
    different: pd.DataFrame
    """one row per different cell: ``table``, ``cell`` (its row and column), ``first``, ``second`` (texts, empty where a
    table has no such cell) and ``difference`` (second minus first; NaN for text)"""
    skipped: tuple[str, ...]
    """tables that only one of both has"""
    causes: tuple[str, ...]
    """differences between the records that may explain those between the tables"""

    @property
    def identical(self) -> bool:
        return self.different.empty

    def describe(self) -> str:
        """Format the comparison as text."""
        counts = ", ".join(f"{count} cells of {name}" for name, count in self.cells.items())
        notes = [f"{name} was not compared, since only one of both has it." for name in self.skipped]
        if self.identical:
            return "\n".join([f"identical: {counts}", *notes])
        lines = [f"{len(self.different)} cells differ ({counts} compared); the largest differences first:"]
        order = {name: number for number, name in enumerate(self.cells)}
        ordered = self.different.assign(
            order=self.different["table"].map(order), size=-self.different["difference"].abs()
        )
        ordered = ordered.sort_values(["order", "size"], kind="stable")
        for item in ordered.head(SHOWN).itertuples():
            change = f" ({item.difference:+.6g})" if np.isfinite(item.difference) else ""
            lines.append(f"  {item.table}, {item.cell}: {item.first or 'nothing'} / {item.second or 'nothing'}{change}")
        if len(ordered) > SHOWN:
            lines.append(f"  and {len(ordered) - SHOWN} more")
        lines += ["Possible causes, as recorded:", *(f"  {cause}" for cause in self.causes[:SHOWN])]
        if len(self.causes) > SHOWN:
            lines.append(f"  and {len(self.causes) - SHOWN} more")
        if not self.causes:
            lines.append("  none: settings, seed, devices, versions, commits and data agree where both record them")
        return "\n".join([*lines, *notes])


def compare(first: Path, second: Path) -> Comparison:
    """Compare the tables of two folders cell by cell.

    Args:
        first: Run folder, folder of stored tables (as in ``book/results``), or a file such as ``table1.csv``.
        second: The same, to compare with.

    Raises:
        ScoreError: A path does not exist, has no Table 1, or a file is not such a table.
    """
    tables = [_find_tables(path) for path in (first, second)]
    shared = [name for name in TABLES if name in tables[0] and name in tables[1]]
    if not shared:
        raise ScoreError(f"{first} and {second} have no table in common; expected two runs, or a run and its tables")
    cells, parts = {}, []
    for name in shared:
        both = pd.concat([_read_cells(each[name], TABLES[name]) for each in tables], axis=1, keys=["first", "second"])
        cells[name] = len(both)
        parts.append(_differences(both.fillna("")).assign(table=name))
    different = pd.concat(parts, ignore_index=True)[["table", "cell", "first", "second", "difference"]]
    skipped = tuple(name for name in TABLES if (name in tables[0]) != (name in tables[1]))
    folders = [path.parent if path.is_file() else path for path in (first, second)]
    return Comparison(first, second, cells, different, skipped, tuple(_causes(*map(_read_records, folders))))


def _find_tables(path: Path) -> dict[str, Path]:
    if path.is_file():
        name = next((name for name in TABLES if path.name == name), None)
        if name is None:
            raise ScoreError(f"{path}: expected a file named {', '.join(TABLES)}, or a folder with table1.csv")
        return {name: path}
    if not (path / "table1.csv").is_file():
        raise ScoreError(f"{path} has no table1.csv; expected a finished run or a folder of stored tables")
    return {name: path / name for name in TABLES if (path / name).is_file()}


def _read_cells(path: Path, keys: list[str]) -> pd.Series:
    """Read a table as one text per cell, indexed by a description of the cell."""
    try:
        table = read_table(path, as_text=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ScoreError(f"{path}: not a table ({' '.join(str(error).split())}); expected CSV") from None
    missing = [key for key in keys if key not in table]
    if missing:
        raise ScoreError(f"{path}: the column(s) {', '.join(missing)} are missing; expected a table of {path.name}")
    if table.duplicated(keys).any():
        raise ScoreError(f"{path}: two rows have the same {', '.join(keys)}; expected one row for each")
    rows = [", ".join(filter(None, values)) for values in table[keys].itertuples(index=False)]
    cells = table.drop(columns=keys).set_axis(rows).stack()
    return cells.set_axis([f"{row}: {column}" for row, column in cells.index])


def _differences(both: pd.DataFrame) -> pd.DataFrame:
    """List the cells that differ in text and, where both are numbers, also in value."""
    both = both[both["first"] != both["second"]]
    numbers = both.apply(pd.to_numeric, errors="coerce")
    change = numbers["second"] - numbers["first"]
    return both.assign(difference=change)[change != 0].rename_axis("cell").reset_index()


def _read_records(folder: Path) -> dict[str, set[str]]:
    """Collect what the records in a folder say, as texts by subject."""
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob(RECORD)):
        record = read_json(path)
        place = "" if path.parent == folder else f" of {path.parent.relative_to(folder).as_posix()}"
        if place.startswith(" of data/"):
            found[f"data{place}"] = {record["data_fingerprint"]}
        for subject in ("commit", "device"):
            found.setdefault(subject, set()).update(filter(None, _split(record.get(subject, ""), subject)))
        for package, version in record.get("versions", {}).items():
            found.setdefault(f"version of {package}", set()).add(version)
    settings = folder / "settings.json"
    if settings.is_file():
        values = read_json(settings)
    elif (folder / RECORD).is_file():
        values = read_json(folder / RECORD).get("settings", {})
    else:
        values = {}
    values = flatten(values, candidates=True)
    return found | {f"setting {key}": {json.dumps(values[key])} for key in values if key not in WITHOUT_EFFECT}


def _split(text: str, subject: str) -> list[str]:
    """Split the entries of a stored record, which lists all commits and devices of its run, without bare CPUs."""
    return [part for part in text.split(", " if subject == "commit" else "; ") if part != "CPU"]


def _causes(first: dict[str, set[str]], second: dict[str, set[str]]) -> Iterator[str]:
    """List the subjects that differ; a setting counts if one side lacks it, anything else only if both record it."""
    settings = all(any(key.startswith("setting ") for key in side) for side in (first, second))
    for key in dict.fromkeys([*first, *second]):
        one, other = first.get(key, set()), second.get(key, set())
        comparable = (one and other) or (settings and key.startswith("setting "))
        if one != other and comparable:
            yield f"{key}: {', '.join(sorted(one)) or 'none'} / {', '.join(sorted(other)) or 'none'}"
