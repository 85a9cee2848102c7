"""Judge *Integrated* on the data sets of shifts by the test written down beforehand: ``one_model.py DATA RUNS OUT``.

``DATA`` and ``RUNS`` are what ``integrated.py --branches`` read and wrote. ``OUT/one_model.csv`` gets, per set and as
the mean over sets, the harmonic mean of AUC and pAUC of *Integrated*, of its parts and of what it is compared with: the
first autoencoder, the first classifier, the average of both (z-scores by held-out clips), the same two networks by the
four scores that *Integrated* has, and *Mahalanobis*; on *known*, of which the book has a run of the whole ensemble with
one seed, also *mix* and *mix+* without labels. ``difference`` is *Integrated* minus the system, with paired
intervals over clips and seeds: all systems of a draw see the same clips, the same in all sets, since these are made of
the same recordings, and a draw takes one seed of each set. ``OUT/one_model.record.json`` says what made it.
"""

import argparse
import json
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import params, records
from asdlib.baselines import mahalanobis
from asdlib.ensemble.normalisation import normalise
from asdlib.metrics import resampled_areas

DRAWS = 1000
KEYS = ["section", "domain", "split", "clip"]
INTEGRATED, BOTH, FOUR = "Integrated", "AE + BC", "AE + BC, four scores"
HEADS = (("AE", "clip_signed"), ("posterior", "mahalanobis"))
"""scores of both branches that correspond to the four of *Integrated*"""
ENSEMBLES = {"ensemble/fixed/AE+BC ensemble (mix)": "mix", "ensemble/fixed/mix+": "mix+"}
STORED = Path(__file__).parents[2] / "book" / "results" / "toycar" / "scores.csv"
"""scores of the whole ensemble on *known*"""
DOMAINS = {"source": ["source"], "target": ["target"], "all": ["source", "target"]}


def read(data: Path, runs: Path, name: str, seed: int) -> pd.DataFrame:
    """Return the scores of all systems on one set, a column per system, next to the clips and their labels."""
    changes = {"runs": str(runs / "runs"), "profile": f"{name}_{seed}", "seed": seed}
    settings = params.load("quick", changes | {"data.root": str((data / name).resolve())})
    tables = [pd.read_csv(runs / f"{name}_{seed}{part}.csv", dtype={"section": str}) for part in ("", "_branches")]
    tables.append(mahalanobis.run(settings, "ToyCar"))
    table = pd.concat(tables)
    systems = {
        "integrated": INTEGRATED,
        f"autoencoder/base/{settings.autoencoder.scorer.variants[0]}": "AE",
        f"classifier/base/{settings.classifier.scorer.variants[0]}": "BC",
        "mahalanobis": "Mahalanobis",
        "autoencoder/base/clip_signed": "clip_signed",
        "classifier/base/mahalanobis": "mahalanobis",
        "classifier/base/posterior": "posterior",
    }
    systems |= {system: system for system in table["system"].unique() if system.startswith("integrated/")}
    table = table[table["system"].isin(systems)]
    wide = table.pivot(index=KEYS, columns="system", values="score")[list(systems)].rename(columns=systems)
    if wide.isna().any(axis=None):
        raise SystemExit(f"{name}, seed {seed}: some system has no score for some clip")
    labels = table.drop_duplicates(KEYS).set_index(KEYS)["label"]
    wide = wide.assign(label=labels).reset_index()
    wide[BOTH] = wide[FOUR] = 0.0
    for _, rows in wide.groupby(["section", "domain"]).groups.items():
        part = wide.loc[rows]
        held_out = (part["split"] == "train").to_numpy()

        def mean(names: tuple[str, ...], part: pd.DataFrame = part, held_out: np.ndarray = held_out) -> np.ndarray:
            values = part[list(names)].to_numpy().T
            return normalise(values, values[:, held_out]).mean(0)

        wide.loc[rows, BOTH] = mean(("AE", "BC"))
        wide.loc[rows, FOUR] = np.mean([mean(names) for names in HEADS], axis=0)
    wide = wide.drop(columns=["clip_signed", "mahalanobis", "posterior"])
    return with_ensembles(wide) if name == "known" else wide


def with_ensembles(table: pd.DataFrame) -> pd.DataFrame:
    """Return the test clips with the scores of the whole ensemble, whose clips must be the same."""
    stored = pd.read_csv(STORED, dtype={"section": str}).rename(columns=ENSEMBLES)
    test = table[table["split"] == "test"]
    keys = [*KEYS, "label"]
    found = test.merge(stored[[*keys, *ENSEMBLES.values()]], on=keys, validate="one_to_one")
    if len(found) != len(test) or len(found) != (stored["split"] == "test").sum():
        raise SystemExit(f"{STORED}: other clips than those of the set known")
    return found


def areas(table: pd.DataFrame, system: str) -> dict[tuple[str, str], np.ndarray]:
    """Return AUC and pAUC per section and domain, ``(1 + draws, 2)``; the first draw has every clip once."""
    found = {}
    for (section, domain), rows in table[table["split"] == "test"].groupby(["section", "domain"]):
        labels = rows["label"].to_numpy()
        rng = np.random.default_rng([int(section), list(DOMAINS).index(domain)])
        weights = np.ones((1 + DRAWS, len(rows)), int)
        for label in ("normal", "anomaly"):
            place = np.flatnonzero(labels == label)
            weights[1:, place] = rng.multinomial(len(place), np.full(len(place), 1 / len(place)), DRAWS)
        found[section, domain] = resampled_areas(labels, rows[system].to_numpy(), weights, (1.0, 0.1))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("out", type=Path)
    arguments, began = parser.parse_args(), time.monotonic()
    cells = {}
    for path in sorted(arguments.runs.glob("*_branches.csv")):
        name, seed = re.fullmatch(r"(\w+)_(\d+)_branches", path.stem).groups()
        cells.setdefault(name, []).append(int(seed))
    values, fingerprints = {}, []
    for number, (name, seeds) in enumerate(cells.items()):
        tables = [read(arguments.data, arguments.runs, name, seed) for seed in seeds]
        fingerprints += [records.fingerprint(table.to_csv(index=False)) for table in tables]
        pick = np.random.default_rng([7, number]).integers(len(seeds), size=DRAWS)
        for system in tables[0].columns.difference([*KEYS, "label"], sort=False):
            by_seed = [areas(table, system) for table in tables]
            for domain, used in DOMAINS.items():
                pairs = [np.stack([v for (_, d), v in one.items() if d in used], axis=1) for one in by_seed]
                figures = np.array([1 / np.mean(1 / pair, axis=(1, 2)) for pair in pairs])  # (seeds, 1 + draws)
                drawn = figures[pick, 1 + np.arange(DRAWS)]
                values[system, name, domain] = np.append(figures[:, 0].mean(), drawn)
    systems = list(dict.fromkeys(system for system, _, _ in values))
    for system in systems:
        if any((system, name, "all") not in values for name in cells):
            continue
        for domain in DOMAINS:
            values[system, "mean", domain] = np.mean([values[system, name, domain] for name in cells], axis=0)
    rows = []
    for (system, name, domain), figure in values.items():
        difference = values[INTEGRATED, name, domain] - figure
        low, high = np.percentile(difference[1:], [2.5, 97.5])
        seeds = len(cells[name]) if name in cells else min(map(len, cells.values()))
        seeds = 1 if system in ENSEMBLES.values() else seeds
        rows.append((system, name, domain, figure[0], difference[0], low, high, seeds))
    columns = ["system", "set", "domain", "value", "difference", "low", "high", "seeds"]
    arguments.out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=columns).to_csv(arguments.out / "one_model.csv", index=False, float_format="%.5f")
    settings = {"profile": "quick", "sets": cells, "p": 0.1, "compared_with": systems}
    seconds = time.monotonic() - began
    record = records.record(
        settings, seed=0, device="CPU", data=records.fingerprint(fingerprints), seconds=seconds, draws=DRAWS
    )
    text = json.dumps(record, indent=1) + "\n"
    (arguments.out / "one_model.record.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
