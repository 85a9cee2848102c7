"""Read and write ``result.csv``, the official table of figures of every year, and compare it with our figures.

The block of a machine type contains its name, a header, one row per section (in 2021 per section and domain) and means;
rows of means over all machine types follow.
"""

import csv
import re
from pathlib import Path

import pandas as pd

from asdlib import scores
from asdlib.atomic import writing
from asdlib.challenge import rules
from asdlib.challenge.sources import File
from asdlib.data import lists
from asdlib.errors import ScoreError
from asdlib.metrics import UNIT, decisions, evaluable, harmonic_mean

FIGURES = {"auc": "AUC", "pauc": "pAUC", "precision": "precision", "recall": "recall", "f1": "F1 score"}
"""columns of our tables, and their names in the challenge"""
_NAMES = {re.sub(r"\W", "", words).lower(): name for name, words in FIGURES.items()}
_OVER_ALL = "over all machine types, sections, and domains"


# Reading --------------------------------------------------------------------------------------------------------------
def read(file: File) -> tuple[pd.DataFrame, int]:
    """Read the rows of an official ``result.csv`` of any year, without its means.

    Returns:
        Columns ``machine, section, domain``, then those of ``auc, pauc, precision, recall, f1`` that the file has. A
        figure that a year states once per section is repeated in the rows of both domains. And the largest number of
        decimal digits in the file.

    Raises:
        ScoreError: The file contains no section.
    """
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    machine, header, digits = "", [], 0
    for _, cells in lists.lines(file.read()):
        if len(cells) == 1:
            machine, header = cells[0], []
        elif cells[0].lower() in ("section", "id"):
            header = [_column(cell) for cell in cells]
        elif header and machine and (match := re.fullmatch(r"(?:id_|section_)?(\d{1,2})", cells[0])):
            row = dict(zip(header, cells, strict=False))
            stated = row.get(("domain", ""), "").lower()
            in_header = {domain for name, domain in row if name in FIGURES} - {""}
            domains = [stated] if stated in scores.DOMAINS else sorted(in_header) or ["source"]
            for (name, domain), text in row.items():
                if name in FIGURES and lists.is_number(text):
                    digits = max(digits, len(text.partition(".")[2]) if "e" not in text.lower() else 16)
                    for one in [domain] if domain else domains:
                        found.setdefault((machine, match[1].zfill(2), one), {})[name] = float(text)
    if not found:
        raise ScoreError(
            f"{file.where}: no section found; expected an official result.csv with {', '.join(FIGURES.values())}"
        )
    table = pd.DataFrame.from_dict(found, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=UNIT)
    table = table[[name for name in FIGURES if name in table]].reset_index().sort_values(UNIT, ignore_index=True)
    return table, digits


def _column(cell: str) -> tuple[str, str]:
    """Return the figure and the domain of a column, such as ``AUC (source)``."""
    words = cell.lower()
    domain = next((name for name in scores.DOMAINS if re.search(rf"\(\s*{name}\s*\)", words)), "")
    name = re.sub(r"\W", "", re.sub(r"\(.*\)", "", words))
    if "(all)" in words.replace(" ", "") or (name == "pauc" and domain):
        return "other", ""  # neither is part of the official score
    return _NAMES.get(name, name), domain


# Comparing ------------------------------------------------------------------------------------------------------------
def compare(file: File, frame: pd.DataFrame, year: int, p: float = 0.1) -> dict:
    """Compare a system's ``result.csv`` with the figures of its scores, and explain the differences.

    Args:
        file: The file ``result.csv``.
        frame: Labelled scores of the system (:mod:`asdlib.scores`).
        year: Year whose rule applies.
        p: Largest false positive rate of pAUC.

    Returns:
        ``file``; ``figures``, the number of compared AUC and pAUC; ``equal``, how many of them are the same to all
        digits of the file; ``largest_difference``; and ``explanation``, a sentence.
    """
    table, digits = read(file)
    published = _long(table, year)
    tolerance = 0.5 * 10.0**-digits + 1e-12
    other, words = rules.other_reading(frame, year, p)
    ours = _long(rules.figures(frame, year, p)[0], year)
    apart, elsewhere = ((published - table.reindex(published.index)).abs() for table in (ours, _long(other, year)))
    equal, also = apart <= tolerance, elsewhere <= tolerance
    if apart.isna().any():
        absent = " ".join(apart.index[apart.isna()][0][1:3])
        sentence = f"{file.name} has figures without scores here, such as those of {absent}"
    elif equal.all():
        sentence = f"all {len(equal)} AUC and pAUC of {file.name} equal ours to its {digits} digits"
    else:
        sentence = (
            f"{(~equal).sum()} of {len(equal)} AUC and pAUC of {file.name} differ from ours, by up to {apart.max():.4f}"
        )
        for name, mine in equal.groupby(level="figure"):
            theirs = also[mine.index]
            counts = f"all {len(mine)}" if mine.all() or theirs.all() else f"{mine.sum()} of {len(mine)}"
            words_here = "are equal" if mine.all() or not theirs.all() else f"are those of {words[name]}"
            words_here += f", {theirs.sum()} are those of {words[name]}" if not mine.all() and not theirs.all() else ""
            sentence += f"; {counts} {FIGURES[name]} {words_here}"
    return {
        "file": file.where,
        "figures": len(equal),
        "equal": int(equal.sum()),
        "largest_difference": float(apart.max()),
        "explanation": sentence,
    }


def _long(table: pd.DataFrame, year: int) -> pd.Series:
    """Stack AUC and pAUC by figure, machine, section and domain; from 2022 on there is one pAUC per section."""
    long = table.melt(UNIT, [name for name in ("auc", "pauc") if name in table], var_name="figure")
    if year >= 2022:
        long["domain"] = long["domain"].mask(long["figure"] == "pauc", "both")
    return long.drop_duplicates(["figure", *UNIT]).set_index(["figure", *UNIT])["value"]


# Writing --------------------------------------------------------------------------------------------------------------
def figures(decided: pd.DataFrame, year: int = 2021, p: float = 0.1) -> pd.DataFrame:
    """Compute AUC and pAUC by a year's rule, precision, recall and F1 score, of sections and domains with both labels.

    Args:
        decided: Test clips of one system with scores and decisions (:func:`asdlib.evaluation.decision.decide`).
        year: Year of the challenge.
        p: Largest false positive rate of pAUC.

    Returns:
        Columns ``machine, section, domain, auc, pauc, precision, recall, f1``.
    """
    decided = evaluable(decided)
    table, _ = rules.figures(decided, year, p)
    found = [
        dict(zip(UNIT, key, strict=True)) | decisions(group["label"], group["decision"])
        for key, group in decided.groupby(UNIT, sort=True)
    ]
    return table.merge(pd.DataFrame(found, columns=[*UNIT, "precision", "recall", "f1"]), on=UNIT)


def write(table: pd.DataFrame, path: Path, year: int = 2021) -> None:
    """Write the table of :func:`figures` as ``result.csv`` in the format of a year."""
    with writing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if year == 2020:
            _write_2020(writer, table)
        elif year == 2021:
            _write_2021(writer, table)
        else:
            _write_2022(writer, table)  # the same until 2025


def _write_2020(writer, table: pd.DataFrame) -> None:
    for machine, rows in table.groupby("machine", sort=True):
        writer.writerow([machine])
        writer.writerow(["id", "AUC", "pAUC"])
        writer.writerows([f"id_{row.section}", row.auc, row.pauc] for row in rows.sort_values("section").itertuples())
        writer.writerow(["Average", *rows[["auc", "pauc"]].mean().tolist()])
        writer.writerow([])


def _write_2021(writer, table: pd.DataFrame) -> None:
    for machine, rows in table.groupby("machine", sort=True):
        rows = rows.sort_values(["domain", "section"])  # the sections of the source first
        writer.writerow([machine])
        writer.writerow(["section", "domain", *FIGURES.values()])
        writer.writerows(rows[["section", "domain", *FIGURES]].astype(object).values.tolist())
        _write_means(writer, rows, "")
        writer.writerow([])
    writer.writerow(["", "", *FIGURES.values()])
    _write_means(writer, table, f" {_OVER_ALL}")
    writer.writerow([])


def _write_2022(writer, table: pd.DataFrame) -> None:
    each = [(name, domain) for name in ("precision", "recall", "f1") for domain in scores.DOMAINS]
    header = ["AUC (source)", "AUC (target)", "pAUC", *(f"{FIGURES[name]} ({domain})" for name, domain in each)]
    for machine, rows in table.groupby("machine", sort=True):
        writer.writerow([machine])
        writer.writerow(["section", *header])
        for section, part in rows.groupby("section", sort=True):
            by = part.set_index("domain").reindex(scores.DOMAINS)
            cells = [*by["auc"], part["pauc"].iloc[0], *(by.at[domain, name] for name, domain in each)]
            writer.writerow([section, *("" if pd.isna(cell) else cell for cell in cells)])
        writer.writerow(["", "", *FIGURES.values()])
        _write_means(writer, rows, "")
        writer.writerow([])
    writer.writerow(["", "", *FIGURES.values()])
    _write_means(writer, table, f" {_OVER_ALL}")
    for domain, rows in table.groupby("domain", sort=True):
        writer.writerow([f"{domain} harmonic mean {_OVER_ALL}", "", *harmonic_mean(rows[[*FIGURES]], axis=0).tolist()])
    writer.writerow([])
    writer.writerow(["official score", "", rules.score(table, 2022)])


def _write_means(writer, rows: pd.DataFrame, over: str) -> None:
    writer.writerow([f"arithmetic mean{over}", "", *rows[[*FIGURES]].mean().tolist()])
    writer.writerow([f"harmonic mean{over}", "", *harmonic_mean(rows[[*FIGURES]], axis=0).tolist()])
