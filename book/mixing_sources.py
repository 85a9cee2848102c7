"""What Mixup of source clips, which the paper does not have, does to its classifier, as stored from pairs of runs."""

from pathlib import Path

import pandas as pd
from schematics import counted
from shifts import SETS
from stored_results import read
from tables import data, effect, percent, table

from asdlib.atomic import read_json
from asdlib.evaluation.bootstrap import side

STORED = "source_mixup"
"""table that ``benchmarks/shifts/source_mixup.py`` wrote"""
PAPER = "w50_mean"
"""the score that decides"""


def pages(folder: Path) -> dict[str, str]:
    """The generated file with its words and table."""
    frame = read(folder / f"{STORED}.csv")
    commits = read_json(folder / f"{STORED}.record.json")["settings"]["trained_at"]
    caption = (
        "The first classifier of `quick` with Mixup of source clips minus the paper's without it, in points with "
        "intervals over clips; ± is the deviation over seeds. Harmonic mean of AUC and pAUC, per cent. "
        f"Trained at commits `{', '.join(commits)}`.{data(f'downloads/shifts_{STORED}.csv')}"
    )
    rows = []
    for (name, score), part in frame.groupby(["set", "score"], sort=False):
        by = part.set_index("domain")
        whole = by.loc["all"]
        seeds = counted(int(whole["seeds"]), "seed")
        spread = "" if pd.isna(whole["deviation"]) else f", ± {percent(whole['deviation'])}"
        leads = [effect(*by.loc[domain, ["difference", "low", "high"]]) for domain in ("source", "target", "all")]
        figures = [percent(whole[word]) for word in ("without", "with")]
        rows.append((f"{SETS[name]}, {seeds}", f"`{score}`", *figures, *leads[:2], leads[2] + spread))
    columns = ["Set", "Score", "Without, all", "With, all", "Source", "Target", "All"]
    shown = table(pd.DataFrame(rows, columns=columns), caption, "source-mixup-table", "llrrrrr", "4 3 2 2 4 4 5")
    return {f"generated/{STORED}.md": f"{sentence(frame)}\n\n{shown}"}


def sentence(frame: pd.DataFrame) -> str:
    """Say on which sets Mixup of source clips is shown to gain, to lose or neither, by the paper's score over all."""
    whole = frame[(frame["domain"] == "all") & (frame["score"] == PAPER)]
    found: dict[int, list[str]] = {}
    for item in whole.itertuples():
        found.setdefault(side(item.low, item.high), []).append(f"*{SETS[item.set]}*")
    words = {1: "is shown to gain", -1: "is shown to lose", 0: "is not shown to change anything"}
    parts = [f"it {words[which]} on {' and '.join(found[which])}" for which in (1, -1, 0) if which in found]
    return f"By the paper's score over all domains, {', and '.join(parts)}."
