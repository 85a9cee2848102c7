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

from asdlib import origin, scores
from asdlib.data import plan
from asdlib.errors import ScoreError
from asdlib.evaluation.bootstrap import Resampled, interval
from asdlib.evaluation.seeds import refuse_other_settings
from asdlib.origin import BRANCHES
from asdlib.params.settings import of_run
from asdlib.params.validation import flatten
from asdlib.paths import Run
from asdlib.tables import write_table

DOMAINS = ("source", "target", "all")
ALSO_AGAINST = {"source_mahalanobis": "mahalanobis"}
"""variants of the first candidate that are compared with another than the paper's, to show the gain of fine-tuning"""
COLUMNS = ["branch", "candidate", "variant", "than", "change", "domain"]
FIGURES = ["seeds", "value", "deviation", "difference", "difference_deviation", "low", "high"]


def over_seeds(runs: Iterable[Path | str]) -> pd.DataFrame:
    """Compare candidates over runs that differ only in the seed, and write ``ablations.csv`` to the first run.

    Every other candidate is compared with the first candidate, both by the first of the paper's variants and by the
    first of the extensions' (:func:`asdlib.origin.first`). Every variant of the first candidate is compared with that
    of the paper, whose own row, with differences of zero, holds the figures of the reference.

    Args:
        runs: Run folders in which all candidates are scored (``python -m asdlib reproduce scores``).

    Returns:
        One row per comparison and domain (``source``, ``target``, ``all``), over all machine types. Columns:
        ``branch``; ``candidate`` and ``variant``, which are compared with the system ``than`` (``candidate/variant``);
        ``change``, the settings that the candidate changes; ``seeds``, the number of seeds; ``value`` and
        ``deviation`` (n - 1), mean and standard deviation over seeds of the harmonic mean of AUC and pAUC;
        ``difference`` and ``difference_deviation``, the same for the difference from ``than``; ``low`` and ``high``,
        the interval of the mean difference over resampled clips. All numbers are fractions.

    Raises:
        ScoreError: A run is missing or not scored, other settings differ, or two runs have the same seed.
    """
    runs = [Run(Path(run)) for run in runs]
    first = _settings(runs[0])
    resampled: dict[int, Resampled] = {}
    for run in runs:
        settings = _settings(run)
        refuse_other_settings(run, runs[0], set(resampled))
        # The resamples are those of the first seed for all, so that differences are paired over seeds, too.
        evaluation = settings.evaluation
        resampled[settings.seed] = Resampled(_scores(run, settings), evaluation.p, evaluation.bootstrap, first.seed)
    rows = []
    for branch, candidate, variant, than in comparisons(first):
        keys = [(f"{branch}/{name}", "") for name in (f"{candidate}/{variant}", than)]
        for domain in DOMAINS:
            one = np.stack([part.values(keys[0], domain=domain) for part in resampled.values()])
            lead = one - np.stack([part.values(keys[1], domain=domain) for part in resampled.values()])
            difference, low, high = interval(lead.mean(0), first.evaluation.confidence)
            spread = [np.std(part[:, 0], ddof=1) if len(runs) > 1 else np.nan for part in (one, lead)]
            compared = (branch, candidate, variant, than, change(first, branch, candidate), domain)
            rows.append((*compared, len(runs), one[:, 0].mean(), spread[0], difference, spread[1], low, high))
    table = pd.DataFrame(rows, columns=[*COLUMNS, *FIGURES])
    write_table(table, runs[0].ablations)
    return table


def comparisons(settings) -> Iterator[tuple[str, str, str, str]]:
    """Yield branch, candidate, variant and the system to compare with, as described in :func:`over_seeds`."""
    for branch in BRANCHES:
        base, *others = getattr(settings, f"{branch}_candidates")
        variants = settings.candidate(branch, base).scorer.variants
        paper, ours = (origin.first(branch, variants, whose) for whose in (origin.PAPER, origin.EXTENSION))
        for variant in variants:
            yield branch, base, variant, f"{base}/{ALSO_AGAINST.get(variant, paper)}"
        for candidate in others:
            for variant in dict.fromkeys([paper, ours]):
                yield branch, candidate, variant, f"{base}/{variant}"


def change(settings, branch: str, candidate: str) -> str:
    """Format the settings that a candidate changes, as ``model.latent: 8 (else 32)``; its origin is none of them."""
    base = flatten(getattr(settings, branch).model_dump(mode="json"))
    changed = flatten(getattr(settings, f"{branch}_candidates")[candidate])
    changed.pop("origin", None)
    parts = [f"{key}: {json.dumps(value)} (else {json.dumps(base[key])})" for key, value in changed.items()]
    return "; ".join(parts).replace('"', "")


def _settings(run: Run):
    if not run.settings.is_file():
        command = "python -m asdlib reproduce scores --profile ablations"
        raise ScoreError(f"{run.folder} is not a run folder; create one with `{command}`")
    return of_run(run)


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
        command = "python -m asdlib reproduce scores"
        raise ScoreError(f"{missing[0]} does not exist; score the run with `{command}` and its settings")
    return scores.read(files).assign(row=lambda frame: frame["system"], selection="", fold="")


def describe(table: pd.DataFrame) -> str:
    """Format the comparisons over all domains as text, in percentage points."""
    lines = [f"differences over all domains in points, mean over {table['seeds'].max()} seed(s), interval over clips"]
    for item in table[table["domain"] == "all"].itertuples():
        effect = f"{100 * item.difference:+6.2f} ({100 * item.low:+.2f} to {100 * item.high:+.2f})"
        lines.append(f"{item.branch:12}{item.candidate + '/' + item.variant:36}{effect}  than {item.than}")
    return "\n".join(lines)
