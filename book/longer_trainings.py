"""Parts of the classifier in the longer trainings of ``quick``, as ``benchmarks/shifts/longer.py`` stored them."""

from pathlib import Path

import pandas as pd
from missed import listed
from paired import verdict
from schematics import counted
from shifts import SETS
from stored_results import SHIFTS, read
from tables import data, effect, percent, table

from asdlib.atomic import read_json
from asdlib.evaluation.bootstrap import side

STORED = "longer"
SCORE, SEVERAL, FIRST = "w50_mean", "known", "base"
"""the paper's score, the set with several seeds, and the paper's classifier"""
PARTS = {
    "finetuning": ("Fine-tuning, target domain", "target"),
    "arcface": ("ArcFace next to DDCSAD", "all"),
    "source_mixup": ("Mixup of source clips (ours)", "all"),
}
"""what is compared in words, and the domain that decides; the first two are the paper's"""
EFFECT = ["difference", "low", "high"]


def read_deciding(folder: Path = SHIFTS) -> pd.DataFrame:
    """The rows by the paper's score in the domain that decides, in the order of the parts."""
    frame = read(folder / f"{STORED}.csv")
    frame = frame[(frame["score"] == SCORE) & (frame["domain"] == frame["part"].map(lambda part: PARTS[part][1]))]
    once = (frame["part"] != "finetuning") | (frame["candidate"] == FIRST) | (frame["set"] == SEVERAL)
    frame = frame[once]  # fine-tuning of variations only where there are several seeds
    return frame.sort_values("part", key=lambda part: part.map(list(PARTS).index), kind="stable")


def pages(folder: Path) -> dict[str, str]:
    """The generated file with its words and table."""
    frame = read_deciding(folder)
    commits = read_json(folder / f"{STORED}.record.json")["settings"]["trained_at"]
    caption = (
        "Parts of the classifier in runs of `quick`, by the paper's score: with minus without the part, in points. "
        "*Added to* is the candidate that gets it: `base` is the paper's classifier, `augmented` has noise, changes of "
        "volume and outliers of its own machine type (on another car, which is one section, of the other types). "
        "Intervals are over clips; ± is the deviation over seeds. Figures are harmonic means of AUC and pAUC, per "
        f"cent. Trained at commits `{', '.join(commits)}`.{data(f'downloads/shifts_{STORED}.csv')}"
    )
    rows = []
    for row, figures in zip(frame.itertuples(), frame[["without", "with"]].to_numpy(), strict=True):
        where = f"{SETS[row.set]}, {counted(row.seeds, 'seed')}"
        rows.append((PARTS[row.part][0], f"`{row.candidate}`", where, *map(percent, figures), with_deviation(row)))
    columns = ["Part", "Added to", "Set", "Without", "With", "Difference"]
    shown = table(pd.DataFrame(rows, columns=columns), caption, "longer-table", "lllrrr", "4 4 4 2 2 5")
    sentences = "\n".join(f"* {sentence(part, rows)}" for part, rows in frame.groupby("part", sort=False))
    return {f"generated/{STORED}.md": f"{sentences}\n\n{shown}"}


def with_deviation(row) -> str:
    """A difference with its interval, and its deviation if there are several seeds."""
    spread = "" if pd.isna(row.deviation) else f", ± {percent(row.deviation)}"
    return effect(row.difference, row.low, row.high) + spread


def sentence(part: str, rows: pd.DataFrame) -> str:
    """Say to which candidates on which sets a part is shown to gain, to lose or neither."""
    found: dict[int, list[str]] = {}
    sides = [side(low, high) for low, high in zip(rows["low"], rows["high"], strict=True)]
    for (which, name), same in rows.assign(side=sides).groupby(["side", "set"], sort=False):
        found.setdefault(which, []).append(f"*{SETS[name]}* ({listed([f'`{of}`' for of in same['candidate']])})")
    words = {1: "is shown to gain on", -1: "is shown to lose on", 0: "is not shown to change anything on"}
    parts = [f"{words[which]} {listed(found[which])}" for which in (1, -1, 0) if which in found]
    return f"**{PARTS[part][0]}** {listed(parts)}."


def difference_of(part: str) -> str:
    """The difference of a part on the set with several seeds, for the table of the paper's sentences; or a dash."""
    frame = read_deciding()
    found = frame[(frame["part"] == part) & (frame["set"] == SEVERAL) & (frame["candidate"] == FIRST)]
    return with_deviation(next(found.itertuples())) if len(found) else "–"


def values(folder: Path) -> dict[str, str]:
    """Which of the paper's parts hold in longer trainings, in words: their interval and their deviation allow it."""
    frame = read_deciding(folder)
    frame = frame[(frame["set"] == SEVERAL) & (frame["part"] != "source_mixup") & (frame["candidate"] == FIRST)]
    words = ("gain", "loss", "no shown effect")
    said = [
        f"{PARTS[row.part][0].partition(',')[0]} {effect(*[getattr(row, name) for name in EFFECT])}"
        f" ({verdict(row.low, row.high, words) if abs(row.difference) > row.deviation else words[2]})"
        for row in frame.itertuples()
    ]
    return {"parts": " and ".join(said), "seeds": counted(int(frame["seeds"].min()), "seed")}
