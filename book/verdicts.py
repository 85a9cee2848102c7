"""The page of claims: the paper's sentences, the verdict first, on this run and on stored real data side by side."""

import re
from pathlib import Path

import pandas as pd
from tables import BLANK, effect, table

from asdlib.evaluation.claims import BASIS, MULTIPLICITY, NOT_RUN, UNDECIDED

WORDS = {"holds": "✔ holds", "contradicted": "✘ contradicted", "undecided": "? undecided", "not run": "– not run"}
"""the four verdicts, with a mark that does not need colour"""


ON_SYSTEMS = {
    "AE ensemble minus AE, all machine types": ("chosen ensemble minus best single", "inlier models"),
    "BC ensemble minus BC, all machine types": ("chosen ensemble minus best single", "classifiers"),
    "AE+BC ensemble (mix) minus AE ensemble and minus BC ensemble, each of them, all machine types": (
        "mix minus the ensemble",
        "",
    ),
    "AE+BC ensemble (mix) minus Baseline (AE) and minus Baseline (MobileNetV2), each of them, all machine types": (
        "mix minus the official AE",
        "",
    ),
    "standard deviation over sections: BC minus BC ensemble": (
        "deviation over sections, best single minus chosen ensemble",
        "classifiers",
    ),
    "AE+BC ensemble (mix) minus AE+BC ensemble (max), all machine types": ("mix minus max", ""),
    "lead of AE+BC ensemble (mix) over AE+BC ensemble (max) on at least two machine types; the second largest is "
    "shown": (
        "mix minus max by machine type",
        "",
    ),
    "rank correlation of candidates of one approach minus that of candidates of both, within a label; interval over "
    "sections, domains and labels": ("rank correlation within families minus across", ""),
}
"""test of a claim on a run, and the same test on other people's systems: its name and part, or every part"""


def marked(word: str) -> str:
    """A verdict with its mark."""
    return f'<span class="verdict {word.replace(" ", "-")}">{WORDS[word]}</span>'


def counts(frame: pd.DataFrame) -> str:
    """How many sentences got which verdict, in words: "2 hold, 1 is contradicted, ..."."""
    found = frame["verdict"].value_counts()
    verbs = {
        "holds": ("holds", "hold"),
        "contradicted": ("is contradicted", "are contradicted"),
        "undecided": ("is undecided", "are undecided"),
        "not run": ("was not run", "were not run"),
    }
    parts = [f"{found.get(word, 0)} {one if found.get(word, 0) == 1 else many}" for word, (one, many) in verbs.items()]
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def claims(frame: pd.DataFrame, stored: pd.DataFrame, systems: pd.DataFrame, name: str = "claims") -> str:
    """The paper's sentences with their verdicts on this run, on real toy cars and on real score files.

    Args:
        frame: ``claims.csv`` of this run.
        stored: That of the stored run on toy cars.
        systems: The stored claims on other people's systems, all years.
        name: What ``{numref}`` calls the table begins with it.
    """
    there = stored.set_index("test")["verdict"]
    rows = [
        {
            "This run": marked(item.verdict),
            "The paper says": f"“{item.claim}” ({item.source})",
            "Real toy cars": marked(there.get(item.test, NOT_RUN)),
            "Real score files": _on_systems(item.test, systems),
            "Test and effect in this run": _tested(item),
            "Rests on": _basis(item),
        }
        for item in frame.itertuples()
    ]
    caption = (
        "The paper's sentences, judged on the paper's rows. Effects in percentage points (correlations times 100), "
        "with their intervals; of several leads the decisive one. *Real score files*: the verdict of the same test on "
        f"other people's systems, by year; *not run* where there is no such test. {MULTIPLICITY}"
    )
    return table(pd.DataFrame(rows), caption, f"{name}-table", "", "3 7 3 4 8 3")


def of_one_run(frame: pd.DataFrame, name: str) -> str:
    """The paper's sentences with the verdicts of one run only, for pages of stored runs and for several seeds."""
    rows = [
        (marked(item.verdict), f"“{item.claim}” ({item.source})", _tested(item), _basis(item))
        for item in frame.itertuples()
    ]
    columns = ["Verdict", "The paper says", "Test and effect", "Rests on"]
    caption = f"The paper's sentences, judged on the paper's rows; effects in percentage points. {MULTIPLICITY}"
    return table(pd.DataFrame(rows, columns=columns), caption, f"{name}-table", "", "3 6 8 3")


def extensions(frame: pd.DataFrame, name: str = "extensions") -> str:
    """What our extensions gain: verdict, statement, effect."""
    rows = [(marked(item.verdict), item.claim, _tested(item), _basis(item)) for item in frame.itertuples()]
    columns = ["Verdict", "Statement", "Test and effect", "Rests on"]
    caption = "What our extensions gain; effects in percentage points, with their intervals."
    return table(pd.DataFrame(rows, columns=columns), caption, f"{name}-table", "", "3 6 8 3")


def over_seeds(run) -> str:
    """Both tables of claims over runs that differ in the seed only; nothing if there is one seed."""
    tables = ((run.claims, "claims-seeds", of_one_run), (run.claims_extensions, "extensions-seeds", extensions))
    found = [(run.over_seeds(path), name, show) for path, name, show in tables if run.over_seeds(path).is_file()]
    parts = [show(read(path), name) for path, name, show in found]
    return "\n\n".join(parts)


def read(path: Path) -> pd.DataFrame:
    """A table of claims; empty cells of words are empty words."""
    frame = pd.read_csv(path)
    return frame.fillna(dict.fromkeys(frame.select_dtypes(exclude="number").columns, ""))


def _tested(item) -> str:
    """What was measured and its effect, or why there is none; also by the paper's selection and in its cells."""
    if pd.isna(item.effect):
        return f"{item.test}: {item.reason}"
    others = {"selected as in the paper": item.development, "in the paper's cells": item.paper}
    nan = float("nan")
    more = [f"{words} {effect(value, nan, nan)}" for words, value in others.items() if not pd.isna(value)]
    if item.verdict == UNDECIDED and (item.low > 0 or item.high < 0):  # the interval does not say why
        more.append(re.sub(r"(\d)%", r"\1 %", item.reason))
    return "; ".join([f"{item.test}: **{effect(item.effect, item.low, item.high)}**", *more])


def _on_systems(test: str, systems: pd.DataFrame) -> str:
    """The verdict of the same test on other people's systems for each year, and for each part where they differ."""
    if test not in ON_SYSTEMS:
        return marked(NOT_RUN)
    name, only = ON_SYSTEMS[test]
    judged = systems[systems["selection"].isin(["cross-fitted", "none"]) & (systems["test"] == name)]
    judged = judged[judged["part"] == only] if only else judged
    lines = []
    for year, part in judged.groupby("year", sort=False):
        one = part["verdict"].nunique() == 1
        for item in (part.head(1) if one else part).itertuples():
            lines.append(f"{marked(item.verdict)} ({', '.join([str(year), *[item.part] * (not one)])})")
    return "<br>".join(lines)


def _basis(item) -> str:
    """On how much a verdict rests."""
    numbers = [getattr(item, name, float("nan")) for name in BASIS]
    if pd.isna(numbers[0]) or numbers[0] == 0:
        return BLANK
    pairs = zip(numbers, ("clip", "section", "seed"), strict=True)
    return ", ".join(f"{count:.0f} {word}{'' if count == 1 else 's'}" for count, word in pairs if not pd.isna(count))
