"""Results as MyST tables: Table 1, the audit of the printed one, the claims. Only differences are computed."""

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pandas as pd
import stored_results
from captions import title_and_notes

from asdlib.errors import AsdError
from asdlib.evaluation import health, paper
from asdlib.evaluation.render import typeset
from asdlib.plots import style

BLANK = "–"
NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.(\d+))?(?![\w.])")
"""a number in a cell, and its digits after the point"""
VERDICTS = {True: "yes", False: "**no**"}


def table(frame: pd.DataFrame, caption: str, name: str = "", align: str = "", widths: str = "") -> str:
    """A data frame of texts as a captioned, numbered MyST table; columns that are empty throughout are left out.

    Args:
        frame: What it shows.
        caption: In Markdown. Its first sentence stands above the table, the others as notes below it.
        name: What ``{numref}`` calls it.
        align: A letter (l, r, c) a column; left if there is none.
        widths: Relative widths of the columns of a table of words, for example ``2 1 3``; numbers need none.

    Raises:
        AsdError: Numbers of one column, which is aligned to the right, differ in their digits after the point.
    """
    rules = {"l": ":--", "r": "--:", "c": ":-:"}
    _check_formats(frame, align, caption)
    kept = [number for number in range(frame.shape[1]) if not len(frame) or (frame.iloc[:, number] != BLANK).any()]
    align = "".join((align or "l" * frame.shape[1])[number] for number in kept)
    widths = " ".join(widths.split()[number] for number in kept) if widths else ""
    frame = frame.iloc[:, kept]
    lines = [list(frame.columns), [rules[letter] for letter in align]]
    lines += [[typeset(str(cell)).replace("|", "\\|").replace("\n", " ") for cell in row] for row in frame.to_numpy()]
    rows = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    options = {":name:": name, ":class:": "words" if widths else "numbers" * ("r" in align), ":widths:": widths}
    head = "\n".join(f"{option} {value}" for option, value in options.items() if value)
    title, notes = title_and_notes(typeset(caption))
    return f":::{{table}} {title}\n{head}\n\n{rows}\n:::\n{notes}"


def _check_formats(frame: pd.DataFrame, align: str, caption: str) -> None:
    for name, letter, (_, cells) in zip(frame.columns, align, frame.items(), strict=False):
        numbers = NUMBER.findall(" ".join(map(str, cells))) if letter == "r" else []
        if len({len(digits) for digits in numbers}) > 1:
            raise AsdError(
                f"the table {caption[:60]!r}: the numbers of the column {name!r} differ in their digits after "
                "the point; give all of them as many (tables.percent, tables.effect and tables.column do)"
            )


def data(path: str) -> str:
    """A link to the data of a table or figure, to end its caption with.

    >>> data("downloads/claims.csv")
    ' <small>{download}`Data <downloads/claims.csv>`.</small>'
    """
    return f" <small>{{download}}`Data <{path}>`.</small>"


def day(date: str) -> str:
    """A date as people write it.

    >>> day("2026-11-27T01:59:43+00:00")
    '27 November 2026'
    """
    return f"{datetime.fromisoformat(date):%-d %B %Y}"


def column(values: Iterable[float], digits: int = 3) -> list[str]:
    """The numbers of a column with as many digits after the point as the largest needs to have ``digits`` in all.

    >>> column([3.2487, 19.476, float("nan")]), column([1664, 8.5])
    (['3.2', '19.5', '–'], ['1,664', '8'])
    """
    values = list(values)
    largest = max((abs(value) for value in values if not pd.isna(value)), default=0.0)
    after = max(digits - len(f"{largest:.0f}"), 0)
    return [BLANK if pd.isna(value) else f"{value:,.{after}f}" for value in values]


def percent(value: float, low: float = float("nan"), high: float = float("nan")) -> str:
    """A fraction in per cent, with its interval if there is one."""
    if pd.isna(value):
        return BLANK
    text = f"{100 * value:.2f}"
    return text if pd.isna(low) else f"{text} ({percent(low)} to {percent(high)})"


def signed(value: float) -> str:
    """A difference of fractions in percentage points, with its sign."""
    return BLANK if pd.isna(value) else typeset(f"{100 * value:+.2f}")


# Audit ----------------------------------------------------------------------------------------------------------------
def audit() -> str:
    """The printed column "all" next to what the printed cells give."""
    frame = paper.audit()
    shown = pd.DataFrame(
        {
            "Method": frame["row"],
            "Printed": frame["printed"].map(percent),
            "All 14 cells": frame["from_cells"].map(percent),
            "Difference": frame["difference"].map(signed),
            "Rounding explains": frame["rounding"].map(lambda value: f"±{percent(value)}"),
            "Consistent": frame["consistent"].map(VERDICTS),
            "Without the toys": frame["without_toys"].map(percent),
            "Explains it": frame["explained"].map(VERDICTS),
            "Source": frame["source"].map(percent),
            "Target": frame["target"].map(percent),
        }
    )
    caption = (
        "Harmonic means of the printed cells next to the printed column “all”, per cent; *without the toys* are the "
        "ten cells that are not of ToyCar or ToyTrain."
    )
    return table(shown, caption, "audit-table", "l" + "r" * 4 + "crc" + "rr")


def larger() -> str:
    """The row *max* next to the two ensembles, cell by cell."""
    frame = paper.larger_of_ensembles()
    shown = frame[["machine", "domain"]].rename(columns=str.capitalize)
    for column in frame.columns[2:5]:
        shown[column] = frame[column].map(percent)
    shown["Larger of the two"] = frame["is_larger"].map(VERDICTS)
    return table(
        shown, "The printed row *max* and the two rows from which it is taken, per cent.", "max-table", "llrrrc"
    )


def rerun(sections: pd.DataFrame) -> str:
    """Another run of the official autoencoder on DCASE2021, by our metric, next to the paper's first row."""
    frame = paper.compare_first_row(sections)
    shown = frame[["machine", "domain"]].rename(columns=str.capitalize)
    shown["Published rerun"], shown["Printed"] = frame["value"].map(percent), frame["paper"].map(percent)
    shown["Difference"] = frame["difference"].map(signed)
    caption = (
        "The official autoencoder, trained by somebody else, and the printed *Baseline (AE)*, all from cells; per cent."
    )
    apart = frame[frame["machine"] != "all"].set_index(["machine", "domain"])["difference"]
    most = apart.abs().idxmax()
    words = (
        f"The cells differ by {100 * apart.abs().mean():.2f} points on average, and by {signed(apart[most])} points at "
        f"most ({' '.join(most)})."
    )
    return table(shown, caption, "rerun-table", "llrrr") + f"\n{words}\n"


def colours() -> str:
    """What each colour means in every figure of the book."""
    words = {
        "normal": "a normal clip", "anomaly": "an anomalous clip", "outlier": "an outlier; a baseline",
        "source": "the source domain", "target": "the target domain", "autoencoder": "the autoencoder branch",
        "classifier": "the classifier branch", "ensemble": "both branches together",
    }  # fmt: skip
    swatch = '<span class="swatch" style="background:{}"></span>'
    rows = [(swatch.format(style.COLOURS[name]), meaning) for name, meaning in words.items()]
    return table(pd.DataFrame(rows, columns=["Colour", "Means"]), "The colours of the figures.", "colours-table")


# Decisions and health -------------------------------------------------------------------------------------------------
def false_alarms(frame: pd.DataFrame, name: str = "false-alarms-table") -> str:
    """Rates of false alarms, aimed at, stated and measured: how often inside by row, then every section and domain."""
    stated = frame[frame["inside"].isin(["yes", "no"])]
    if stated.empty:
        return "No section has reference clips of the source domain, so no interval can be stated."
    counts = [
        (row, len(part), int((part["inside"] == "yes").sum()), percent(part["false_alarms"].mean()))
        for row, part in stated.groupby("row", sort=False)
    ]
    columns = ["Row (*fixed*)", "Sections", "Inside the stated interval", "Mean rate, %"]
    summary = table(
        pd.DataFrame(counts, columns=columns),
        "Source domain: in how many sections the measured rate of false alarms lies inside the stated interval.",
        f"{name}-counts",
        "lrrr",
    )
    shown = frame[["row", "machine", "section", "domain"]].rename(columns=str.capitalize)
    shown["Aimed at"] = frame["aim"].map(percent)
    shown["Stated"] = [
        f"{percent(item.stated_low)} to {percent(item.stated_high)}" if item.inside else "no promise"
        for item in frame.itertuples()
    ]
    shown["Measured"] = frame["false_alarms"].map(percent)
    shown["Inside"] = frame["inside"].map({"yes": "yes", "no": "**no**"}).fillna(BLANK)
    shown["Reference clips"], shown["Normal clips"] = frame["reference_clips"], frame["normal_clips"]
    shown["Hits"] = frame["recall"].map(percent)
    caption = (
        "Every section and domain: the rate of false alarms that is aimed at, the interval stated for it, and the rate "
        "measured on normal test clips; the share of anomalies found (hits); per cent."
    )
    whole = table(shown, caption, name, "llllrrrlrrr")
    return f"{summary}\n\n::::{{dropdown}} Every section and domain\n{whole}::::\n"


def health_notes(frame: pd.DataFrame) -> str:
    """A warning that lists the systems that cannot tell clips apart, and what trainings noticed; or that none was."""
    lines = health.sentences(frame)
    if not lines:
        return "No system of this run gives all clips the same score, and no training raised a warning."
    listed = re.sub(r"(\d)%", r"\1 %", "\n".join(f"* {line}" for line in lines))
    return f":::{{warning}}\nRows and systems that do not work in this run:\n\n{listed}\n:::\n"


def effect(value: float, low: float, high: float) -> str:
    """A difference of fractions in percentage points, with its interval if there is one."""
    return signed(value) + ("" if pd.isna(low) else f" ({signed(low)} to {signed(high)})")


# Reliability ----------------------------------------------------------------------------------------------------------
def reliability(path: Path) -> str:
    """What the tests that try to break the project counted (``make reliability``), kept in ``book/results``."""
    frame = stored_results.read(path)
    files, what = frame["test"].str.extract(r"(\w+)\.py::")[0], frame["what"]
    shown = pd.DataFrame(
        {
            "Tried": what.str[:1].str.upper() + what.str[1:],
            "Value": [f"{value:,.0f}" if value == round(value) else f"{value:.2g}" for value in frame["value"]],
        }
    )
    parts = [
        table(shown[files == file], f"Figures of `tests/{file}.py`.", f"reliability-{file}", "ll", "6 1")
        for file in dict.fromkeys(files)
    ]
    made = " and ".join(dict.fromkeys("commit `" + frame["commit"] + "` on " + frame["date"]))
    return "\n".join([*parts, f"Counted by the tests themselves at {made}."])
