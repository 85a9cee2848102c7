"""Judge *Integrated* on the data sets of shifts by the test written down beforehand.

``one_model.py TABLE SET=RUN ...``: ``RUN`` is the folder of a run of the profile ``quick`` with its ensembles on the
set ``SET``; several runs of a set differ in the seed. The file ``TABLE`` (``one_model.csv``, or ``one_model_more.csv``
for sets that the plan does not judge) gets, per set and as the mean over sets, the harmonic mean of AUC and pAUC of
*Integrated*, of its parts and of what it is compared with: the first autoencoder, the paper's classifier (the candidate
``--classifier``, which was ``plain`` in runs of ``quick`` before 28 November 2026), the average of both (z-scores by
held-out clips), the same two networks by the four scores that *Integrated* has, the ensembles *mix* and *mix+* without
labels, the official autoencoder and Mahalanobis distances. ``difference`` is *Integrated* minus the system,
``over_baseline`` the system minus the official autoencoder, with paired intervals over clips and seeds: all systems of
a draw see the same clips, and a draw takes one seed of each set. The mean over sets takes the clips of all sets for the
same, as they are in sets with the same sections. ``TABLE`` with the suffix ``.record.json`` says what made it.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import params, paths, records, scores
from asdlib.atomic import read_json
from asdlib.data import plan
from asdlib.ensemble.normalisation import normalise
from asdlib.integrated.run import PARTS
from asdlib.metrics import resampled_areas
from asdlib.params.settings import of_run
from asdlib.tables import read_table

DRAWS = 1000
KEYS = ["section", "domain", "split", "clip"]
INTEGRATED, BOTH, FOUR, BASELINE = "Integrated", "AE + BC", "AE + BC, four scores", "Baseline (AE)"
HEADS = (("AE", "clip_signed"), ("posterior", "mahalanobis"))
"""scores of both branches that correspond to the four of *Integrated*"""
NAMES = {
    "integrated": INTEGRATED,
    "frame_autoencoder": BASELINE,
    "mahalanobis": "Mahalanobis",
    "mahalanobis_target": "Mahalanobis (target)",
    "ensemble/fixed/AE+BC ensemble (mix)": "mix",
    "ensemble/fixed/mix+": "mix+",
}
"""rows of Table 1 that select nothing by labels, by system"""
DOMAINS = {"source": ["source"], "target": ["target"], "all": ["source", "target"]}


def read(run: paths.Run, settings: params.Settings, machine: str, classifier: str) -> pd.DataFrame:
    """Return the scores of all systems of a run, a column per system, next to the clips and their labels."""
    folders = [(name, None) for name in paths.SINGLES]
    folders += [("autoencoder", "base"), ("classifier", classifier), ("ensemble", None)]
    table = scores.read([run.scores(name, machine, candidate) for name, candidate in folders])
    parts = read_table(run.system(paths.INTEGRATED, machine) / PARTS)
    names = [name for name in parts if name not in scores.COLUMNS]
    frames = [parts[KEYS].assign(system=f"integrated/{name}", score=parts[name]) for name in names]
    systems = NAMES | {
        f"autoencoder/base/{settings.autoencoder.scorer.variants[0]}": "AE",
        f"classifier/{classifier}/{settings.classifier.scorer.variants[0]}": "BC",
        "autoencoder/base/clip_signed": "clip_signed",
        f"classifier/{classifier}/mahalanobis": "mahalanobis",
        f"classifier/{classifier}/posterior": "posterior",
    }
    systems |= {f"integrated/{name}": f"integrated/{name}" for name in names}
    scored = pd.concat([table, *frames])
    wide = scored[scored["system"].isin(systems)].pivot(index=KEYS, columns="system", values="score")
    wide = wide[list(systems)].rename(columns=systems)
    if wide.loc[(slice(None), slice(None), "test")].isna().any(axis=None):
        raise SystemExit(f"{run.folder}: some system has no score for some test clip")
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
    return wide.drop(columns=["clip_signed", "mahalanobis", "posterior"])


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
    parser.add_argument("table", type=Path)
    parser.add_argument("--classifier", default="base", help="candidate that is the paper's classifier")
    parser.add_argument("runs", nargs="+", metavar="SET=RUN")
    arguments, began = parser.parse_args(), time.monotonic()
    runs: dict[str, list[paths.Run]] = {}
    for name, _, folder in (text.partition("=") for text in arguments.runs):
        runs.setdefault(name, []).append(paths.Run(Path(folder)))
    values, seeds, fingerprints, commits = {}, {}, [], set()
    for number, (name, some) in enumerate(runs.items()):
        tables = []
        for run in some:
            settings = of_run(run)
            seeds.setdefault(name, []).append(settings.seed)
            (machine,) = plan.read(settings).machines
            tables.append(read(run, settings, machine, arguments.classifier))
            commits |= {read_json(path)["commit"] for path in run.folder.glob(f"*/{machine}/**/{paths.RECORD}")}
        fingerprints += [records.fingerprint(table.to_csv(index=False)) for table in tables]
        pick = np.random.default_rng([7, number]).integers(len(some), size=DRAWS)
        for system in tables[0].columns.difference([*KEYS, "label"], sort=False):
            by_seed = [areas(table, system) for table in tables]
            for domain, used in DOMAINS.items():
                pairs = [np.stack([v for (_, d), v in one.items() if d in used], axis=1) for one in by_seed]
                figures = np.array([1 / np.mean(1 / pair, axis=(1, 2)) for pair in pairs])  # (seeds, 1 + draws)
                drawn = figures[pick, 1 + np.arange(DRAWS)]
                values[system, name, domain] = np.append(figures[:, 0].mean(), drawn)
    systems = list(dict.fromkeys(system for system, _, _ in values))
    for system in systems:
        for domain in DOMAINS:
            values[system, "mean", domain] = np.mean([values[system, name, domain] for name in runs], axis=0)
    fewest = min(map(len, runs.values()))
    rows = []
    for (system, name, domain), figure in values.items():
        differences = [values[INTEGRATED, name, domain] - figure, figure - values[BASELINE, name, domain]]
        effects = [effect for item in differences for effect in (item[0], *np.percentile(item[1:], [2.5, 97.5]))]
        rows.append((system, name, domain, figure[0], *effects, len(runs.get(name, [])) or fewest))
    columns = ["system", "set", "domain", "value", "difference", "low", "high"]
    columns += ["over_baseline", "baseline_low", "baseline_high", "seeds"]
    settings = {"profile": "quick", "sets": seeds, "p": 0.1, "compared_with": systems, "trained_at": sorted(commits)}
    settings["classifier"] = arguments.classifier
    seconds = time.monotonic() - began
    record = records.record(
        settings, seed=0, device="CPU", data=records.fingerprint(fingerprints), seconds=seconds, draws=DRAWS
    )
    pd.DataFrame(rows, columns=columns).to_csv(arguments.table, index=False, float_format="%.5f")
    text = json.dumps(record, indent=1) + "\n"
    arguments.table.with_suffix(".record.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
