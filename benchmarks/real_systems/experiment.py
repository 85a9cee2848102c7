"""Measure the gain of ensembles of real systems: ``experiment.py REALDATA OUT`` writes tables.

Ensembles of the N best of many systems, of two families of systems, and of all systems are chosen in several ways and
reported on the clips that each way leaves for it; every choice is repeated in every resample of the clips. The plan,
written before the experiment, is in ``LOG.md``; the chapter "Ensembles of real systems" shows the tables.
"""

import argparse
import itertools
import json
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from ensemble_claims import claims
from ensemble_methods import CLASSIFIER, FAMILIES, INLIER, INLIER_2021, evaluate_cell
from ensemble_summary import Summary, effects, figures, growth, reduced_offers, stability
from ensemble_systems import SEED, Systems, arrange

from asdlib import atomic, records
from asdlib.challenge import files, rules


def read(realdata: Path, year: int, count: int) -> tuple[Systems, pd.DataFrame]:
    """Read the development systems of a year, and their origins."""
    folder = realdata / ("dcase2021_scores" if year == 2021 else f"dcase{year}_development")
    frame = files.read([folder], year=year).frame
    names = list(dict.fromkeys(frame["system"]))
    if year == 2021:
        origin = dict.fromkeys(names, "benlin131020/dcase2021_task2_mobilenetv2_pytorch")
        origin["official_ae_rerun"] = "yokaji/dcase2021_task2_baseline_ae"
        family = {name: INLIER if name in INLIER_2021 else CLASSIFIER for name in names}
    else:
        origin = pd.read_csv(folder / "systems.csv").set_index("folder")["origin"].to_dict()
        family = {name: FAMILIES.get(origin[name].partition("/")[0], CLASSIFIER) for name in names}
        origin = {name: f"liuyoude/DCASE2022Task2-Record/{path}" for name, path in origin.items()}
    families = {kind: [name for name in names if family[name] == kind] for kind in (INLIER, CLASSIFIER)}
    systems = arrange(frame, year, families, count)
    score = {name: rules.figures(part, year)[1] for name, part in frame.groupby("system")}
    table = pd.DataFrame(
        {"year": year, "system": names, "family": map(family.get, names), "origin": map(origin.get, names)}
    )
    return systems, table.assign(official_score=table["system"].map(score))


def run(realdata: Path, out: Path, count: int = 1000, jobs: int = 2) -> None:
    """Run the experiment and write its tables to ``out``."""
    started, tables = time.monotonic(), {}
    for year in (2022, 2021):
        systems, about = read(realdata, year, count)
        with ProcessPoolExecutor(jobs) as pool:
            cells = pool.map(evaluate_cell, itertools.repeat(systems), systems.cells)
            results = {}
            for cell, result in zip(systems.cells, cells, strict=True):
                results[cell] = result
                print(f"{year} | {' '.join(cell)} done after {time.monotonic() - started:.0f} s", flush=True)
        summary, total = Summary(results), len(systems.names)
        pairs = pd.concat([r.pairs.assign(machine=c[0], domain=c[1]) for c, r in results.items()])
        mean = pairs.groupby(["first", "second"], as_index=False)[["correlation", "gain", "gap"]].mean()
        for name in ("first", "second"):
            mean[name] = [systems.names[k] for k in mean[name]]
        parts = {
            "systems": about.drop(columns="year"),
            "figures": figures(summary),
            "effects": effects(summary, total),
            "growth": growth(summary, total),
            "offered": reduced_offers(summary),
            "stability": stability(summary, total),
            "claims": claims(summary, systems),
            "pairs": mean,
        }
        for name, table in parts.items():
            tables.setdefault(name, []).append(table.assign(year=year))
    out.mkdir(parents=True, exist_ok=True)
    for name, parts in tables.items():
        table = pd.concat(parts, ignore_index=True)
        table = table[["year", *table.columns.drop("year")]]
        with atomic.writing(out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    record = {
        "resamples": count,
        "seed": SEED,
        "commit": records.commit(),
        "seconds": round(time.monotonic() - started),
    }
    record |= {"date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "machines": len(summary.machines)}
    with atomic.writing(out / "record.json") as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Parse the command line and run the experiment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("realdata", type=Path, help="folder that contains dcase2022_development and dcase2021_scores")
    parser.add_argument("out", type=Path, help="folder for the tables, for example book/results/real_systems")
    parser.add_argument("--resamples", type=int, default=1000, help="resamples of the clips (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="number of processes (default: %(default)s)")
    arguments = parser.parse_args()
    run(arguments.realdata, arguments.out, arguments.resamples, arguments.jobs)


if __name__ == "__main__":
    main()
