"""Compare scorers without a network on data sets with different kinds of shift.

    python benchmarks/shifts/compare.py FEATURES OUT --sets known unit_a room --seeds 0 1 2

``OUT/scores.csv.gz`` gets the scores of all test clips (one column per candidate), and ``OUT/figures.csv`` the harmonic
mean of AUC and pAUC per set, seed and candidate, in the domain that the candidate is for.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from candidates import Section, source_scores, target_scores
from clip_features import HELD_OUT

from asdlib.data import held_out_split
from asdlib.metrics import areas, harmonic_mean
from asdlib.tables import read_table

KEYS = ("mean", "dev", "q10", "q50", "q90", "gwrp99", "gwrp95", "difference", "modulation", "within")


def sections(folder: Path, name: str, seed: int) -> Iterator[tuple[Section, dict[str, pd.DataFrame], dict]]:
    """Sections of a data set with the rows of their test clips by domain, and those clips' features by domain."""
    clips = read_table(folder / f"{name}.csv", as_text=True)
    found = dict(np.load(folder / f"{name}.npz"))
    shift = folder / f"{name}_shift_{seed}.npz"
    made = dict(np.load(shift)) if shift.exists() else {}
    role, result = held_out_split.roles(clips, HELD_OUT, seed), []

    def pick(rows: np.ndarray) -> dict:
        return {key: found[key][rows] for key in KEYS}

    for section, part in clips.groupby("section"):
        rows, train = part.index.to_numpy(), part["split"].eq("train").to_numpy()
        source = part["domain"].eq("source").to_numpy()
        known = rows[train & source]
        learn = role[known] == held_out_split.LEARN
        pseudo = {}
        for key, values in made.items():
            which, without, feature = key.split("/")
            if which == section and feature != "shift":
                without = without if without == "none" else int(without)
                pseudo.setdefault(without, {})[feature] = (values[learn], values[~learn])
        one = Section(section, pick(known[learn]), pick(known[~learn]), pick(rows[train & ~source]), pseudo, [], seed)
        tests = {domain: rows[~train & part["domain"].eq(domain).to_numpy()] for domain in ("source", "target")}
        result.append((one, {d: clips.loc[t] for d, t in tests.items()}, {d: pick(t) for d, t in tests.items()}))
    for one, _, _ in result:
        one.others = [other for other, _, _ in result if other is not one]
    yield from result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    figures, tables = [], []
    for name in arguments.sets:
        for seed in arguments.seeds:
            units = {}
            for section, rows, tests in sections(arguments.features, name, seed):
                for domain, function in (("source", source_scores), ("target", target_scores)):
                    keys = rows[domain][["section", "domain", "label", "clip"]]
                    scores = dict(function(section, tests[domain]))
                    tables.append(keys.assign(set=name, seed=seed, **scores))
                    for candidate, score in scores.items():
                        pair = areas(keys["label"].to_numpy(), score, (1.0, 0.1))
                        units.setdefault((domain, candidate), []).append(pair)
            figures += [(name, seed, *key, float(harmonic_mean(np.array(pairs)))) for key, pairs in units.items()]
            print(f"{name} {seed}", flush=True)
            pd.DataFrame(figures, columns=["set", "seed", "domain", "candidate", "value"]).to_csv(
                arguments.out / "figures.csv", index=False, float_format="%.5f"
            )
    pd.concat(tables).to_csv(arguments.out / "scores.csv.gz", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
