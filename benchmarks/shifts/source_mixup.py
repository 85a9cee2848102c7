"""Compare the paper's classifier with one that also mixes source clips with one another, in pairs of runs.

``source_mixup.py TABLE --pair SET WITHOUT WITH CANDIDATE ...``: ``WITHOUT`` and ``WITH`` are folders of runs of the
profile ``quick`` on the set ``SET`` with the same seed; the candidate ``base`` of the first is the paper's classifier,
the candidate ``CANDIDATE`` of the second differs from it in ``classifier.batches.source_mixup`` only. Several pairs of
a set differ in the seed. The table gets, per set, domain and score, both figures (harmonic mean of AUC and pAUC) and
*with* minus *without*, as means over seeds, with an interval over clips and the deviation over seeds. ``TABLE`` with
the suffix ``.record.json`` says what made it.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import paths, records, scores
from asdlib.atomic import read_json
from asdlib.data import plan
from asdlib.evaluation.bootstrap import Resampled, interval
from asdlib.params.settings import of_run
from asdlib.scores import CLIP

SCORES = ("w50_mean", "mahalanobis")
"""the paper's combination of posterior and distance, and our distance in the embedding"""
SEED = 0
"""of the resamples"""
DOMAINS = ("source", "target", "all")


def contrast(pairs: list[tuple[pd.DataFrame, pd.DataFrame]], p: float, count: int, confidence: float) -> pd.DataFrame:
    """Compare two systems over seeds on the same test clips.

    Args:
        pairs: Score tables of one system without and with Mixup of source clips, a pair per seed.
        p: Largest false positive rate of pAUC.
        count: Resamples.
        confidence: Of the intervals.

    Returns:
        ``domain, without, with, difference, low, high, deviation, seeds``, a row per domain; the deviation is NaN with
        one seed.
    """
    named = [
        frame[[*CLIP, "score"]].assign(row=f"{word} {number}", system="", selection="", fold="")
        for number, pair in enumerate(pairs)
        for word, frame in zip(("without", "with"), pair, strict=True)
    ]
    samples = Resampled(pd.concat(named), p, count, SEED)
    rows = []
    for domain in DOMAINS:
        by_seed = {
            word: np.array([samples.values((f"{word} {k}", ""), domain=domain) for k in range(len(pairs))])
            for word in ("without", "with")
        }
        leads = by_seed["with"] - by_seed["without"]
        value, low, high = interval(leads.mean(0), confidence)
        deviation = leads[:, 0].std(ddof=1) if len(pairs) > 1 else np.nan
        figures = [by_seed[word][:, 0].mean() for word in ("without", "with")]
        rows.append((domain, *figures, value, low, high, deviation, len(pairs)))
    columns = ["domain", "without", "with", "difference", "low", "high", "deviation", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--pair", nargs=4, action="append", required=True, metavar=("SET", "WITHOUT", "WITH", "NAME"))
    arguments, began = parser.parse_args(), time.monotonic()
    found: dict[tuple[str, str], list] = {}
    seeds: dict[str, list[int]] = {}
    fingerprints, commits = [], set()
    for name, without, mixing, candidate in arguments.pair:
        tables = []
        for folder, chosen in ((without, "base"), (mixing, candidate)):
            run = paths.Run(Path(folder))
            settings = of_run(run)
            (machine,) = plan.read(settings).machines
            table = scores.read(run.scores("classifier", machine, chosen))
            tables.append(table[table["split"] == "test"].assign(candidate=f"classifier/{chosen}/"))
            commits.add(read_json(run.system("classifier", machine, chosen) / paths.RECORD)["commit"])
            fingerprints.append(records.fingerprint(table.to_csv(index=False)))
        seeds.setdefault(name, []).append(settings.seed)
        for score in SCORES:
            pair = tuple(table[table["system"] == table["candidate"] + score] for table in tables)
            found.setdefault((name, score), []).append(pair)
    options = settings.evaluation
    parts = [
        contrast(pairs, options.p, options.bootstrap, options.confidence).assign(set=name, score=score)
        for (name, score), pairs in found.items()
    ]
    settings = {"profile": "quick", "sets": seeds, "p": options.p, "trained_at": sorted(commits)}
    record = records.record(
        settings, seed=SEED, device="CPU", data=records.fingerprint(fingerprints), seconds=time.monotonic() - began
    )
    frame = pd.concat(parts)
    frame[["set", "score", *frame.columns[:-2]]].to_csv(arguments.table, index=False, float_format="%.5f")
    arguments.table.with_suffix(".record.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
