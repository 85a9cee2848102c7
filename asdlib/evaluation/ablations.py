"""Measure the gain of each part of the system with candidates that change one setting, over seeds (Sec. 2 and 3).

A run of the profile ``ablations`` holds candidates that each change one setting of the branch's first candidate. Runs
of several seeds give a mean and a deviation over trainings; the interval is over clips, of the difference averaged over
the seeds, paired: the same resampled clips for both sides and for all seeds.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import origin, params, scores
from asdlib.data import plan
from asdlib.errors import ScoreError
from asdlib.evaluation.bootstrap import Resampled, interval
from asdlib.evaluation.seeds import OTHERWISE_EQUAL
from asdlib.paths import Run
from asdlib.tables import write_table

BRANCHES = ("autoencoder", "classifier")
DOMAINS = ("source", "target", "all")
ALSO_AGAINST = {"source_mahalanobis": "mahalanobis"}
"""variants of the first candidate that are compared with another than the paper's: what fine-tuning gains by it"""
COLUMNS = ["branch", "candidate", "variant", "than", "change", "domain"]
FIGURES = ["seeds", "value", "deviation", "difference", "difference_deviation", "low", "high"]


def paper_variant(branch: str, variants: list[str]) -> str:
    """Return the first of the paper's variants (:mod:`asdlib.origin`)."""
    return origin.first(branch, variants, origin.PAPER)


def over_seeds(runs: Iterable[Path | str]) -> pd.DataFrame:
    """Compare candidates over runs that differ in the seed only; written to the first as ``ablations.csv``.

    Args:
        runs: Run folders in which all candidates are scored (``python -m asdlib reproduce scores``).

    Returns:
        A row for each comparison and domain (``source``, ``target``, ``all``; all machine types). Columns: ``branch``;
        ``candidate`` and ``variant``, which are compared with the system ``than`` (``candidate/variant``); ``change``,
        the settings that the candidate changes; ``seeds``, how many; ``value``, ``deviation`` (n - 1), mean and
        standard deviation over seeds of the harmonic mean of AUC and pAUC; ``difference`` and
        ``difference_deviation``, the same of what it has over ``than``; ``low`` and ``high``, of the mean difference
        over resampled clips. Fractions. Every other candidate is compared with the first by the settings' first
        variant and by the paper's, every other variant of the first candidate with its paper's variant.

    Raises:
        ScoreError: A run is missing or not scored, settings differ in something else, or a seed comes twice.
    """
    runs = [Run(Path(run)) for run in runs]
    first = _settings(runs[0])
    resampled: dict[int, Resampled] = {}
    for run in runs:
        settings = _settings(run)
        odd = [key for key in type(first).model_fields if getattr(settings, key) != getattr(first, key)]
        odd = [key for key in odd if key not in OTHERWISE_EQUAL]
        if odd:
            raise ScoreError(f"{run.folder}: {odd[0]} is not as in {runs[0].folder}; expected another seed only")
        if settings.seed in resampled:
            raise ScoreError(f"{run.folder}: seed {settings.seed} is among the runs already; expected another")
        # The resamples are those of the first seed for all, so that differences are paired over seeds, too.
        evaluation = settings.evaluation
        resampled[settings.seed] = Resampled(_scores(run, settings), evaluation.p, evaluation.bootstrap, first.seed)
    rows = []
    for branch, candidate, variant, than in comparisons(first):
        keys = [(f"{branch}/{name}", "") for name in (f"{candidate}/{variant}", than)]
        for domain in DOMAINS:
            one = np.stack([part.values(keys[0], domain=domain) for part in resampled.values()])
            less = one - np.stack([part.values(keys[1], domain=domain) for part in resampled.values()])
            difference, low, high = interval(less.mean(0), first.evaluation.confidence)
            spread = [np.std(part[:, 0], ddof=1) if len(runs) > 1 else np.nan for part in (one, less)]
            what = (branch, candidate, variant, than, change(first, branch, candidate), domain)
            rows.append((*what, len(runs), one[:, 0].mean(), spread[0], difference, spread[1], low, high))
    table = pd.DataFrame(rows, columns=[*COLUMNS, *FIGURES])
    write_table(table, runs[0].ablations)
    return table


def comparisons(settings) -> Iterator[tuple[str, str, str, str]]:
    """Branch, candidate, variant and what it is compared with, as :func:`over_seeds` says."""
    for branch in BRANCHES:
        base, *others = getattr(settings, f"{branch}_candidates")
        variants = settings.candidate(branch, base).scorer.variants
        paper = paper_variant(branch, variants)
        for variant in variants:
            if variant != paper:
                yield branch, base, variant, f"{base}/{ALSO_AGAINST.get(variant, paper)}"
        for candidate in others:
            for variant in dict.fromkeys([variants[0], paper]):
                yield branch, candidate, variant, f"{base}/{variant}"


def change(settings, branch: str, candidate: str) -> str:
    """Format the settings that a candidate changes, as ``model.latent: 8 (else 32)``."""
    base = getattr(settings, branch).model_dump(mode="json")

    def leaves(values: dict, old: dict, where: str) -> Iterator[str]:
        for key, value in values.items():
            if isinstance(value, dict):
                yield from leaves(value, old[key], f"{where}{key}.")
            else:
                yield f"{where}{key}: {json.dumps(value)} (else {json.dumps(old[key])})".replace('"', "")

    return "; ".join(leaves(getattr(settings, f"{branch}_candidates")[candidate], base, ""))


def _settings(run: Run):
    if not run.settings.is_file():
        raise ScoreError(f"{run.folder}: no run; `python -m asdlib reproduce scores --profile ablations` makes one")
    return params.Settings.model_validate_json(run.settings.read_text(encoding="utf-8"))


def _scores(run: Run, settings) -> pd.DataFrame:
    """Return all candidates' scores, with each system as a separate row that selects nothing."""
    machines = plan.read(settings).machines
    files = [
        run.scores(branch, machine, candidate)
        for machine in machines
        for branch in BRANCHES
        for candidate in getattr(settings, f"{branch}_candidates")
    ]
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise ScoreError(f"{missing[0]}: not scored; `python -m asdlib reproduce scores` with its settings does it")
    return scores.read(files).assign(row=lambda frame: frame["system"], selection="", fold="")


def describe(table: pd.DataFrame) -> str:
    """Format the comparisons over all domains as text, in percentage points."""
    lines = [f"differences over all domains in points, mean over {table['seeds'].max()} seed(s), interval over clips"]
    for item in table[table["domain"] == "all"].itertuples():
        effect = f"{100 * item.difference:+6.2f} ({100 * item.low:+.2f} to {100 * item.high:+.2f})"
        lines.append(f"{item.branch:12}{item.candidate + '/' + item.variant:36}{effect}  than {item.than}")
    return "\n".join(lines)
