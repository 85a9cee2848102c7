"""Measure parts of the classifier in trainings that are longer than those of the ablations: in runs of ``quick``.

``longer.py TABLE --run SET RUN ... --pair PART SET RUN CANDIDATE OTHER CANDIDATE ...``: ``RUN`` and ``OTHER`` are
folders of runs of the profile ``quick`` on the set ``SET``; several runs of a set differ in the seed. In one run are
compared fine-tuning (the scores of each of the paper's candidates after and before it) and ArcFace (the candidates
``augmented_arcface`` and ``augmented``). A pair compares the candidate of ``OTHER`` with that of ``RUN``, which differs
from it in the part ``PART`` only and has the same seed. The table gets, per part, candidate, set, score and domain,
both figures (harmonic mean of AUC and pAUC) and *with* minus *without*, as means over seeds, with an interval over
clips and the deviation over seeds. ``TABLE`` with the suffix ``.record.json`` says what made it.
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
BEFORE = {"w50_mean": "source_model", "mahalanobis": "source_mahalanobis"}
"""the same scores before fine-tuning"""
MIXUP, ARCFACE, FINETUNING = PARTS = "source_mixup", "arcface", "finetuning"
SEED = 0
"""of the resamples"""
DOMAINS = ("source", "target", "all")


def contrast(pairs: list[tuple[pd.DataFrame, pd.DataFrame]], p: float, count: int, confidence: float) -> pd.DataFrame:
    """Compare two systems over seeds on the same test clips.

    Args:
        pairs: Score tables of a system without and with a part, a pair per seed.
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


def read_scores(run: paths.Run, candidate: str) -> tuple[pd.DataFrame, str]:
    """Return the test clips' scores by a candidate of the classifier, and the commit that trained it."""
    (machine,) = plan.read(of_run(run)).machines
    table = scores.read(run.scores("classifier", machine, candidate))
    table = table[table["split"] == "test"].assign(variant=table["system"].str.rpartition("/")[2])
    return table, read_json(run.system("classifier", machine, candidate) / paths.RECORD)["commit"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--run", nargs=2, action="append", default=[], metavar=("SET", "RUN"))
    names = ("PART", "SET", "RUN", "CANDIDATE", "OTHER", "CANDIDATE")
    parser.add_argument("--pair", nargs=len(names), action="append", default=[], metavar=names)
    arguments, began = parser.parse_args(), time.monotonic()
    compared = [(part, name, (run, of), (other, to)) for part, name, run, of, other, to in arguments.pair]
    for name, run in arguments.run:
        settings = of_run(paths.Run(Path(run)))
        papers = [of for of in settings.classifier_candidates if settings.candidate("classifier", of).origin == "paper"]
        compared += [(FINETUNING, name, (run, of), (run, of)) for of in papers]
        compared.append((ARCFACE, name, (run, "augmented"), (run, "augmented_arcface")))
    found: dict[tuple[str, str, str, str], list] = {}
    seeds: dict[str, set[int]] = {}
    fingerprints, commits = [], set()
    for part, name, *two in compared:
        if part not in PARTS:
            parser.error(f"{part} is no part; expected one of {', '.join(PARTS)}")
        tables = []
        for folder, candidate in two:
            run = paths.Run(Path(folder))
            table, commit = read_scores(run, candidate)
            tables.append(table)
            commits.add(commit)
            fingerprints.append(records.fingerprint(table.to_csv(index=False)))
            settings = of_run(run)
            seeds.setdefault(name, set()).add(settings.seed)
        for score in SCORES:
            without = BEFORE[score] if part == FINETUNING else score
            pair = tuple(table[table["variant"] == word] for table, word in zip(tables, (without, score), strict=True))
            found.setdefault((part, two[0][1], name, score), []).append(pair)
    options = settings.evaluation
    parts = [
        contrast(pairs, options.p, options.bootstrap, options.confidence).assign(
            part=part, candidate=candidate, set=name, score=score
        )
        for (part, candidate, name, score), pairs in found.items()
    ]
    record = records.record(
        {"profile": "quick", "sets": {k: sorted(v) for k, v in seeds.items()}, "trained_at": sorted(commits)},
        seed=SEED,
        device="CPU",
        data=records.fingerprint(fingerprints),
        seconds=time.monotonic() - began,
    )
    frame = pd.concat(parts)
    frame[["part", "candidate", "set", "score", *frame.columns[:-4]]].to_csv(
        arguments.table, index=False, float_format="%.5f"
    )
    arguments.table.with_suffix(".record.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
