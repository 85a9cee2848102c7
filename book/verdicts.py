"""The page of claims: the paper's sentences, the verdict first, on this run and on stored real data side by side."""

from pathlib import Path

import pandas as pd
from tables import BLANK, effect, table

from asdlib.evaluation.claims import BASIS, MULTIPLICITY, NOT_RUN

WORDS = {"holds": "✔ holds", "contradicted": "✘ contradicted", "undecided": "? undecided", "not run": "– not run"}
"""the four verdicts, with a mark that does not need colour"""


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
            "Real score files": _on_systems(item.claim, systems),
            "Test and effect in this run": _tested(item),
            "Rests on": _basis(item),
        }
        for item in frame.itertuples()
    ]
    caption = (
        "The paper's sentences, judged on the paper's rows. Effects in percentage points (correlations times 100), "
        f"with their intervals; of several leads the decisive one. {MULTIPLICITY}"
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
    """Both tables of claims over runs that differ in the seed only, or that there are none."""
    tables = ((run.claims, "claims-seeds", of_one_run), (run.claims_extensions, "extensions-seeds", extensions))
    found = [(run.over_seeds(path), name, show) for path, name, show in tables if run.over_seeds(path).is_file()]
    parts = [show(read(path), name) for path, name, show in found]
    return "\n\n".join(parts) or "There is one seed: no verdict of this run says what another training would change."


def read(path: Path) -> pd.DataFrame:
    """A table of claims; empty cells of words are empty words."""
    frame = pd.read_csv(path)
    return frame.fillna(dict.fromkeys(frame.select_dtypes(exclude="number").columns, ""))


def _tested(item) -> str:
    """What was measured and its effect, or why there is none; the effect by the paper's selection and in its cells."""
    if pd.isna(item.effect):
        return f"{item.test}: {item.reason}"
    others = {"selected as in the paper": item.development, "in the paper's cells": item.paper}
    nan = float("nan")
    more = [f"{words} {effect(value, nan, nan)}" for words, value in others.items() if not pd.isna(value)]
    return "; ".join([f"{item.test}: **{effect(item.effect, item.low, item.high)}**", *more])


def _on_systems(claim: str, systems: pd.DataFrame) -> str:
    """The verdict on other people's systems for each year, and for each part where they differ."""
    judged = systems[systems["selection"].isin(["cross-fitted", "none"])]
    keys = judged["claim"].str.strip("“”").str.split(" […]", regex=False).str[0]
    lines = []
    for year, part in judged[[key in claim for key in keys]].groupby("year", sort=False):
        by = part.drop_duplicates(["part", "verdict"])
        words = list(dict.fromkeys(by["verdict"]))
        if len(words) == 1:
            lines.append(f"{marked(words[0])} ({year})")
        else:
            lines += [
                f"{marked(item.verdict)} ({', '.join(filter(None, (str(year), item.part)))})"
                for item in by.itertuples()
            ]
    return "<br>".join(lines) or marked(NOT_RUN)


def _basis(item) -> str:
    """On how much a verdict rests."""
    numbers = [getattr(item, name, float("nan")) for name in BASIS]
    if pd.isna(numbers[0]) or numbers[0] == 0:
        return BLANK
    pairs = zip(numbers, ("clip", "section", "seed"), strict=True)
    return ", ".join(f"{count:.0f} {word}{'' if count == 1 else 's'}" for count, word in pairs if not pd.isna(count))
