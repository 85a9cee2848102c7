"""The page of claims: the paper's sentences, the verdict first, on this run and on stored real data side by side."""

from pathlib import Path

import pandas as pd
from tables import BLANK, effect, table

from asdlib.evaluation import verdict

WORDS = {"holds": "✔ holds", "contradicted": "✘ contradicted", "undecided": "? undecided", "not run": "– not run"}
"""the four verdicts, with a mark that does not need colour"""
EACH = ", each of them, "
"""what stands in the test of a sentence that needs several leads"""


def four_words(frame: pd.DataFrame) -> pd.DataFrame:
    """The table of claims with one of the four verdicts in each row.

    Stored tables of earlier versions know three: "does not hold", and "cannot be tested here" for what is undecided as
    well as for what was not run.
    """
    words = frame["verdict"].replace("does not hold", "contradicted")
    measured = frame["effect"].notna()
    old = words == "cannot be tested here"
    words = words.mask(old & measured, "undecided").mask(old & ~measured, "not run")
    return frame.assign(verdict=words)


def merged(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The claims, duplicates merged: rows that test the same sentence, and leads that another sentence needs together.

    Returns:
        Groups of rows. The first row of a group carries the sentence; where a sentence asks for several leads
        ("better than both"), the first row is that conjunction and the others are the leads.
    """
    frame = frame.reset_index(drop=True)
    head = {}
    for item in frame.itertuples():
        if EACH in item.test:
            leads, where = item.test.split(EACH)
            row, *others = leads.split(" minus ")
            tests = {f"{row} minus {other.removesuffix(' and')}, {where}" for other in others}
            head |= dict.fromkeys(frame.index[frame["test"].isin(tests)], item.claim)
    sentences = [head.get(index, claim) for index, claim in frame["claim"].items()]
    groups = [part for _, part in frame.groupby(sentences, sort=False)]
    return [part.sort_values("test", key=lambda test: ~test.str.contains(EACH), kind="stable") for part in groups]


def marked(word: str) -> str:
    """A verdict with its mark, in its colour."""
    return f'<span class="verdict {word.replace(" ", "-")}">{WORDS.get(word, word)}</span>'


def counts(frame: pd.DataFrame) -> str:
    """How many sentences got which verdict, in words: "2 hold, 1 is contradicted, ..."."""
    found = pd.Series([group.iloc[0]["verdict"] for group in merged(four_words(frame))]).value_counts()
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
    there = four_words(stored).set_index("test")["verdict"]
    rows = []
    for group in merged(four_words(frame)):
        head = group.iloc[0]
        quotes = dict.fromkeys(f"“{item.claim}” ({item.source})" for item in group.itertuples())
        cars = there.get(head["test"], "not run")
        rows.append(
            {
                "This run": marked(head["verdict"]),
                "Real toy cars": marked(cars),
                "Real score files": _on_systems(group["claim"], systems),
                "The paper says": "<br>".join(quotes),
                "Tested as: effect in this run": "<br>".join(_tested(item) for item in group.itertuples()),
                "Rests on": _basis(*head.reindex(verdict.BASIS)),
            }
        )
    caption = (
        "The paper's sentences, judged on the paper's rows. Effects in percentage points (correlations times 100) with "
        "intervals; of a sentence that needs several leads the smallest one is shown first."
    )
    return table(pd.DataFrame(rows), caption, f"{name}-table", "", "3 3 4 7 8 3")


def _tested(item) -> str:
    """What was measured, its effect, the reason where there is none, and the effect in the paper's own cells."""
    test = item.test.removesuffix(", all machine types").replace(" less ", " minus ")
    found = item.reason if pd.isna(item.effect) else f"**{effect(item.effect, item.low, item.high)}**"
    own = "" if pd.isna(item.paper) else f"; in the paper's cells {effect(item.paper, float('nan'), float('nan'))}"
    return f"{test}: {found}{own}"


def _on_systems(claims_: pd.Series, systems: pd.DataFrame) -> str:
    """The verdict on other people's systems, for each year; its parts where they differ."""
    chosen = four_words(systems[systems["selection"].isin(["cross-fitted", "none"])])
    keys = chosen["claim"].str.strip("“”").str.split(r" […]", regex=False).str[0]
    same = chosen[[any(key in claim for claim in claims_) for key in keys]]
    lines = []
    for year, part in same.groupby("year", sort=False):
        by = part.drop_duplicates(["part", "verdict"])
        words = list(dict.fromkeys(by["verdict"]))
        if len(words) == 1:
            lines.append(f"{marked(words[0])} ({year})")
        else:
            lines += [
                f"{marked(item.verdict)} ({year}{f', {item.part}' * bool(item.part)})" for item in by.itertuples()
            ]
    return "<br>".join(lines) or marked("not run")


def extensions(frame: pd.DataFrame, name: str = "extensions") -> str:
    """What our extensions gain: verdict, statement, effect."""
    rows = [
        {
            "Verdict": marked(item.verdict),
            "Statement": item.claim,
            "Tested as: effect": _tested(item),
            "Rests on": _basis(*(getattr(item, column, float("nan")) for column in verdict.BASIS)),
        }
        for item in four_words(frame).itertuples()
    ]
    caption = "What our extensions gain; effects in percentage points, with intervals."
    return table(pd.DataFrame(rows), caption, f"{name}-table", "", "3 6 8 3")


def of_one_run(frame: pd.DataFrame, name: str) -> str:
    """The paper's sentences with the verdicts of one run only, for pages of stored runs and for several seeds."""
    rows = []
    for group in merged(four_words(frame)):
        head = group.iloc[0]
        quotes = dict.fromkeys(f"“{item.claim}” ({item.source})" for item in group.itertuples())
        tested = "<br>".join(_tested(item) for item in group.itertuples())
        basis = _basis(*head.reindex(verdict.BASIS))
        rows.append((marked(head["verdict"]), "<br>".join(quotes), tested, basis))
    columns = ["Verdict", "The paper says", "Tested as: effect", "Rests on"]
    caption = "The paper's sentences, judged on the paper's rows; effects in percentage points, with intervals."
    return table(pd.DataFrame(rows, columns=columns), caption, f"{name}-table", "", "3 6 8 3")


def over_seeds(run) -> str:
    """Both tables of claims over runs that differ in the seed only, or that there are none."""
    parts = []
    for path, name, show in (
        (run.claims, "claims-seeds", of_one_run),
        (run.claims_extensions, "extensions-seeds", extensions),
    ):
        if run.over_seeds(path).is_file():
            parts.append(show(pd.read_csv(run.over_seeds(path)), name))
    return "\n\n".join(parts) or "There is one seed: no verdict of this run says what another training would change."


def read(path: Path) -> pd.DataFrame:
    """A stored table of claims; empty cells of words are empty words."""
    frame = pd.read_csv(path)
    return frame.fillna(dict.fromkeys(frame.select_dtypes(exclude="number").columns, ""))


def _basis(clips: float, sections: float, seeds: float) -> str:
    """On how much a verdict rests."""
    if pd.isna(clips):
        return BLANK
    plural = [
        f"{count:.0f} {word}{'' if count == 1 else 's'}"
        for count, word in ((clips, "clip"), (sections, "section"), (seeds, "seed"))
    ]
    return ", ".join(plural)
