"""Keep a run's Table 1 where the book finds it without the recordings: ``python book/store.py toycar``.

``book/results/<name>/`` gets ``table1.csv``, a figure of it, ``table1_seeds.csv`` if the run has other seeds beside it,
``claims.csv`` and ``record.json``: settings, commits and devices of the run's trainings, date and processor time.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import pandas as pd
from assemble import there

from asdlib import AsdError, params, paths
from asdlib.artefacts import write_json
from asdlib.paths import Run
from asdlib.plots import evaluation, style

RESULTS = Path(__file__).parent / "results"


def store(profile: str, name: str) -> Path:
    """Copy what the book shows of a finished run to ``book/results/<name>`` and return that folder.

    Raises:
        AsdError: The run is not there, or not finished.
    """
    run = Run(paths.home() / params.load(profile).runs / profile)
    settings = json.loads(there(run.settings).read_text(encoding="utf-8"))
    table = pd.read_csv(there(run.table1))
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(run.folder.glob("*/**/record.json"))]
    folder = RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run.table1, folder / "table1.csv")
    shutil.copyfile(there(run.claims), folder / "claims.csv")
    (folder / run.seeds.name).unlink(missing_ok=True)
    if run.seeds.is_file():
        shutil.copyfile(run.seeds, folder / run.seeds.name)
    style.use()
    total = table[(table["machine"] == "all") & (table["domain"] == "all")].fillna({"selection": ""})
    evaluation.intervals(total).savefig(folder / "table1.png")
    facts = {
        "title": settings["title"],
        "profile": profile,
        "machines": [name for name in dict.fromkeys(table.dropna(subset=["value"])["machine"]) if name != "all"],
        "commit": ", ".join(sorted({record["commit"] for record in records})),
        "device": "; ".join(sorted({record["device"] for record in records})),
        "date": max(record["date"] for record in records),
        "hours": sum(record["wall_seconds"] for record in records) / 3600,
        "settings": settings,
    }
    write_json(facts, folder / "record.json")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="quick", help="name of a file in params/ (default: quick)")
    parser.add_argument("name", help="folder below book/results")
    given = parser.parse_args()
    try:
        print(store(given.profile, given.name))
    except AsdError as error:
        sys.exit(f"error: {error}")
