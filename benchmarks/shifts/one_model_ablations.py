"""Train *Integrated* without each of its parts on the demonstration's clips: ``one_model_ablations.py DATA RUNS OUT``.

``DATA`` holds the demonstration's recordings (they are made if it is empty), ``RUNS`` gets the runs, which are resumed.
``OUT/one_model_ablations.csv`` gets, over all machine types, sections and domains, the harmonic mean of AUC and pAUC,
the mean over seeds, and *Integrated* minus the ablation with paired intervals over clips and seeds. Two encoders of
fewer channels, one per head, have about as many parameters as the shared one.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from one_model import DRAWS, INTEGRATED, KEYS, areas

from asdlib import params, paths, prepare, records
from asdlib.atomic import read_json
from asdlib.ensemble.normalisation import normalise
from asdlib.integrated.run import run
from asdlib.shift import shifted_clips
from asdlib.tables import read_table

EMBEDS_NOT = {"outlier": 0.0, "section": 0.0, "ddcsad": 0.0}
SMALLER = {"channels": 44}
"""of each of two encoders, instead of 64: about half of the parameters"""
ABLATIONS = {
    INTEGRATED: {},
    "without the reconstruction head": {"training": {"shares": {"reconstruction": 0.0}}},
    "without the embedding head": {"training": {"shares": EMBEDS_NOT}},
    "without DDCSAD": {"training": {"shares": {"ddcsad": 0.0}}},
    "without ArcFace": {"training": {"shares": {"section": 0.0}}},
    "one copy of each clip": {"scorer": {"copies": 1}},
    "small, embedding only": {"model": SMALLER, "training": {"shares": {"reconstruction": 0.0}}},
    "small, reconstruction only": {"model": SMALLER, "training": {"shares": EMBEDS_NOT}},
}
PAIR, SEPARATE = ("small, embedding only", "small, reconstruction only"), "two encoders, one per head"


def scores(data: Path, runs: Path, machine: str, seed: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the scores of each ablation, one column each, and the number of its parameters."""
    columns, sizes = {}, {}
    for number, (name, changes) in enumerate(ABLATIONS.items()):
        changes = {"data.root": str(data.resolve()), "runs": str(runs / f"{number}"), "seed": seed, "threads": 1} | (
            {"integrated": changes} if changes else {}
        )
        settings = params.load("demo", changes | {"profile": f"seed{seed}"})
        folder = paths.Run.of(settings).system(paths.INTEGRATED, machine)
        if not (folder / paths.RECORD).is_file():
            prepare.prepare_clips(settings)
            run(settings, machine)
        table = read_table(folder / paths.SCORES)
        columns[name] = table.set_index(KEYS)["score"]
        sizes[name] = read_json(folder / paths.RECORD)["parameters"]
    wide = pd.DataFrame(columns).assign(label=table.set_index(KEYS)["label"]).reset_index()
    for _, rows in wide.groupby(["section", "domain"]).groups.items():
        values = wide.loc[rows, list(PAIR)].to_numpy().T
        wide.loc[rows, SEPARATE] = normalise(values, values[:, wide.loc[rows, "split"] == "train"]).mean(0)
    return wide.drop(columns=list(PAIR)), sizes | {SEPARATE: sum(sizes.pop(name) for name in PAIR)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--machines", nargs="+", default=["fan", "valve"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments, began = parser.parse_args(), time.monotonic()
    shifted_clips.make = lambda *_: False  # nothing here uses them
    pairs: dict[str, list[list[np.ndarray]]] = {}
    for seed in arguments.seeds:
        for values in pairs.values():
            values.append([])
        for number, machine in enumerate(arguments.machines):
            table, sizes = scores(arguments.data, arguments.runs, machine, seed)
            for system in table.columns.difference([*KEYS, "label"], sort=False):
                here = pairs.setdefault(system, [[]])
                here[-1] += areas(table, system, number).values()
        print(f"seed {seed}", flush=True)
    pick = np.random.default_rng(7).integers(len(arguments.seeds), size=DRAWS)
    figures = {}
    for system, by_seed in pairs.items():
        by_draw = np.array([1 / np.mean(1 / np.stack(values, 1), axis=(1, 2)) for values in by_seed])
        figures[system] = np.append(by_draw[:, 0].mean(), by_draw[pick, 1 + np.arange(DRAWS)])
    rows = []
    for system, figure in figures.items():
        difference = figures[INTEGRATED] - figure
        low, high = np.percentile(difference[1:], [2.5, 97.5])
        rows.append((system, sizes[system], figure[0], difference[0], low, high))
    arguments.out.mkdir(parents=True, exist_ok=True)
    columns = ["system", "parameters", "value", "difference", "low", "high"]
    pd.DataFrame(rows, columns=columns).to_csv(
        arguments.out / "one_model_ablations.csv", index=False, float_format="%.5f"
    )
    settings = {"profile": "demo", "seeds": arguments.seeds, "machines": arguments.machines, "ablations": ABLATIONS}
    seconds = time.monotonic() - began
    record = records.record(settings, seed=0, device="CPU", data="synthetic", seconds=seconds, draws=DRAWS)
    text = json.dumps(record, indent=1) + "\n"
    (arguments.out / "one_model_ablations.record.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
