"""Store what the book's chapter on shifts shows: ``scorers.py TABLE [TABLE ...] --out book/results/shifts``.

``TABLE`` are ``scores.csv.gz`` of :mod:`compare`. ``figures.csv`` gets the harmonic mean of AUC and pAUC of each scorer
(a candidate for the source and one for the target domain) per set and domain, its mean over sets, and the difference to
the better of the two plain Mahalanobis references, with paired bootstrap intervals over clips (and seeds, where there
are several). ``record.json`` says what made it.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import records
from asdlib.metrics import resampled_areas
from asdlib.tables import read_table

CHOICE = ("known", "unit_a", "room")
"""sets that the scorer was chosen on"""
CONFIRMED = "confirmation"
"""name of the mean over the sets that took no part in the choice"""
DRAWS = 1000
CARS = {"unit_a": {0: 0, 1: 1}, "unit_b": {0: 1, 1: 0}}
"""car by domain (source, target) of the sets with one section; elsewhere a section is a car"""
BARS = ("Mahalanobis", "Mahalanobis, source clips")
WIDER = (*BARS, "Time mean, all clips")
"""bars that include a plain scorer on the feature that the chosen one uses"""
ON_MEAN = "mean, source clips"
RULES = "tolerant, moved, shift"
SCORERS = {
    "Mahalanobis": ("mean and deviation, all clips",) * 2,
    "Mahalanobis, source clips": ("mean and deviation, source clips",) * 2,
    "Mahalanobis (shift)": ("mean and deviation, all clips", "mean and deviation, shift"),
    "Time mean, all clips": ("mean, all clips",) * 2,
    "Quantiles, all clips": ("quantiles, all clips",) * 2,
    "GWRP, all clips": ("GWRP 0.99, all clips",) * 2,
    "Frame differences, all clips": ("frame differences, all clips",) * 2,
    "Modulation, all clips": ("modulation, all clips",) * 2,
    "Offset": (ON_MEAN, "mean, offset"),
    "Moved": (ON_MEAN, "mean, moved"),
    "Frames' scale": (ON_MEAN, "mean, frames"),
    "CORAL": (ON_MEAN, "mean, CORAL"),
    "Mixup": (ON_MEAN, "mean, mixup"),
    "Nearest": (ON_MEAN, "mean, nearest 1"),
    "Nearest, rescaled": (ON_MEAN, "mean, nearest 1, rescaled"),
    "Widened": (ON_MEAN, "mean, widened 0.3"),
    "Tolerant": (ON_MEAN, "mean, tolerant"),
    "Estimated shift": (ON_MEAN, "mean, shift"),
    "Weighed, equal": (ON_MEAN, "mean, weighed by left-out clips, temperature none"),
    "Weighed, temperature 1": (ON_MEAN, "mean, weighed by left-out clips, temperature 1"),
    "Weighed, temperature 1/4": (ON_MEAN, "mean, weighed by left-out clips, temperature 1/4"),
    "Weighed, best only": (ON_MEAN, "mean, weighed by left-out clips, temperature 0"),
    "Minimum of two": (ON_MEAN, "mean, minimum of tolerant and shift"),
    "Minimum": (ON_MEAN, f"mean, minimum of {RULES}"),
    "Minimum with penalty": (ON_MEAN, f"mean, minimum of {RULES} with penalty"),
    "Best by left-out clips": (ON_MEAN, f"mean, best of {RULES} by left-out clips"),
    "Mahalanobis (target)": (ON_MEAN, f"mean, unanimous or minimum of {RULES}"),
    "Quantiles, minimum": ("quantiles, source clips", f"quantiles, minimum of {RULES}"),
}


def units(part: pd.DataFrame, candidate: str, name: str, domain: int) -> np.ndarray:
    """AUC and pAUC of each section, ``(1 + draws, sections, 2)``; the first with every clip once."""
    found = []
    for section, rows in part.groupby("section"):
        labels = rows["label"].to_numpy()
        car = CARS.get(name, {}).get(domain, int(section))  # the sets share their clips, and so do their draws
        rng, weights = np.random.default_rng([car, domain]), np.ones((1 + DRAWS, len(rows)), int)
        for label in ("normal", "anomaly"):
            place = np.flatnonzero(labels == label)
            weights[1:, place] = rng.multinomial(len(place), np.full(len(place), 1 / len(place)), DRAWS)
        found.append(resampled_areas(labels, rows[candidate].to_numpy(), weights, (1.0, 0.1)))
    return np.stack(found, axis=1)


def figures(scores: pd.DataFrame) -> dict[tuple[str, str, str], np.ndarray]:
    """Figure of each scorer, set and domain under the draws, ``(1 + draws,)``; a draw takes one seed of each set."""
    result = {}
    for number, (name, part) in enumerate(scores.groupby("set", sort=False)):
        seeds = sorted(part["seed"].unique())
        pick = np.random.default_rng([7, number]).integers(len(seeds), size=DRAWS)
        for scorer, candidates in SCORERS.items():
            by_seed = []
            for seed in seeds:
                here = part[part["seed"] == seed]
                pairs = [
                    units(here[here["domain"] == domain], candidate, name, place)
                    for place, (domain, candidate) in enumerate(zip(("source", "target"), candidates, strict=True))
                ]
                by_seed.append([1 / np.mean(1 / x, axis=(1, 2)) for x in (*pairs, np.concatenate(pairs, axis=1))])
            by_seed = np.array(by_seed)  # (seeds, domains, 1 + draws)
            drawn = np.stack([by_seed[seed, :, 1 + k] for k, seed in enumerate(pick)], axis=1)
            values = np.concatenate([by_seed[:, :, :1].mean(0), drawn], axis=1)
            result |= {(scorer, name, domain): values[k] for k, domain in enumerate(("source", "target", "all"))}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments, began = parser.parse_args(), time.monotonic()
    scores = pd.concat([read_table(path) for path in arguments.tables])
    found = figures(scores)
    sets = list(dict.fromkeys(scores["set"]))
    means = {"mean": sets, CONFIRMED: [name for name in sets if name not in CHOICE]}
    rows = []
    for name in (*sets, *means):
        for domain in ("source", "target", "all"):
            members = means.get(name, [name])
            bars = [
                np.mean([found[_bar(found, one, domain, among), one, domain] for one in members], axis=0)
                for among in (BARS, WIDER)
            ]
            for scorer in SCORERS:
                values = np.mean([found[scorer, one, domain] for one in members], axis=0)
                row = [scorer, name, domain, values[0]]
                for bar in bars:
                    difference = values - bar
                    row += [difference[0], *np.percentile(difference[1:], [2.5, 97.5])]
                rows.append(row)
    arguments.out.mkdir(parents=True, exist_ok=True)
    columns = ["scorer", "set", "domain", "value", "over_bar", "low", "high", "over_wider", "wider_low", "wider_high"]
    pd.DataFrame(rows, columns=columns).to_csv(arguments.out / "figures.csv", index=False, float_format="%.5f")
    settings = {
        "held_out": 0.2,
        "features": {"n_fft": 1024, "hop_length": 512, "n_mels": 128},
        "p": 0.1,
        "chosen_on": CHOICE,
        "scorers": SCORERS,
        "seeds": {name: sorted(map(int, part["seed"].unique())) for name, part in scores.groupby("set")},
    }
    data = records.fingerprint(scores.drop(columns="clip").round(4).to_csv(index=False))
    seconds = time.monotonic() - began
    record = records.record(settings, seed=0, device="CPU", data=data, seconds=seconds, draws=DRAWS)
    (arguments.out / "record.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _bar(found: dict, name: str, domain: str, among: tuple[str, ...]) -> str:
    return max(among, key=lambda scorer: found[scorer, name, domain][0])


if __name__ == "__main__":
    main()
