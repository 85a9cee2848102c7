"""Show stored results of *Integrated*, which ``benchmarks/shifts/one_model_ablations.py`` wrote."""

import json
from pathlib import Path

import pandas as pd
from tables import BLANK, day, effect, percent, table

ABLATIONS = "one_model_ablations"


def pages(folder: Path) -> dict[str, str]:
    """Generated tables by file name."""
    rows = [
        [row.system, f"{row.parameters:,}", percent(row.value), effect(row.difference, row.low, row.high)]
        for row in pd.read_csv(folder / f"{ABLATIONS}.csv").itertuples()
    ]
    rows[0][-1] = BLANK
    columns = ["Network", "Parameters", "All", "*Integrated* minus it (points)"]
    caption = (
        "*Integrated* without each of its parts: harmonic mean of AUC and pAUC over machine types, sections and "
        "domains, mean over seeds, per cent; differences are paired over clips and seeds, with 95 % intervals."
    )
    text = table(pd.DataFrame(rows, columns=columns), caption, "one-model-ablations", "lrrr")
    return {"generated/one_model_ablations.md": text}


def values(folder: Path) -> dict[str, str]:
    """Texts for prose: seeds, commit and date of the ablations, and what each head adds."""
    frame = pd.read_csv(folder / f"{ABLATIONS}.csv").set_index("system")
    record = json.loads((folder / f"{ABLATIONS}.record.json").read_text(encoding="utf-8"))
    texts = {
        "seeds": str(len(record["settings"]["seeds"])),
        "commit": record["commit"],
        "day": day(record["date"]),
    }
    heads = {"embedding": "without the reconstruction head", "errors": "without the embedding head"}
    for key, system in heads.items():
        row = frame.loc[system]
        texts[key] = effect(row["difference"], row["low"], row["high"])
    return texts
