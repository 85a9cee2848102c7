"""Average Table 1 over several runs that differ only in the seed, which the intervals over clips do not cover.

The recordings stay the same (synthetic ones have a seed of their own); trainings, the halves of cross-fitting and the
resamples differ.

Differences and claims over several seeds are of the mean over them. Their intervals resample clips *and* seeds: all
runs share the resampled clips (and the first run's halves), and each resample also draws runs, one fewer than there
are, with replacement. So many drawn, the variance of their mean is an unbiased estimate of what another set of seeds
would change; as many as there are would give too little of it. With two or three seeds it is a rough one.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import params
from asdlib.errors import ScoreError
from asdlib.evaluation import claims
from asdlib.evaluation.bootstrap import Key, Resampled
from asdlib.evaluation.table1 import KEYS, agreements, paired, resampled
from asdlib.paths import Run
from asdlib.tables import read_table, write_table

OTHERWISE_EQUAL = ("seed", "runs")
"""settings in which the runs may differ; ``runs`` is where they lie"""


class SeedResampled:
    """The mean over runs of every row in every resample of clips and runs; used as one :class:`.Resampled` is."""

    def __init__(self, parts: list[Resampled], count: int, seed: int):
        """Put runs together that share resamples and halves.

        Args:
            parts: One per run.
            count: Resamples.
            seed: Seed of the draws of runs.
        """
        self.parts = parts
        self.seeds = len(parts)
        self.keys, self.folded, self.units = parts[0].keys, parts[0].folded, parts[0].units
        self.machines, self.basis = parts[0].machines, parts[0].basis
        generator = np.random.default_rng([seed, *b"seeds"])
        draws = generator.multinomial(self.seeds - 1, np.full(self.seeds, 1 / self.seeds), size=count)
        self._shares = np.concatenate([np.full((1, self.seeds), 1 / self.seeds), draws / (self.seeds - 1)])

    def _mean(self, figures: list[np.ndarray | None]) -> np.ndarray | None:
        if any(figure is None for figure in figures):
            return None
        return np.sum(self._shares * np.stack(figures, axis=1), axis=1)

    def values(self, key: Key, *where, **options) -> np.ndarray | None:
        """Return the same as :meth:`.Resampled.values`, over runs."""
        return self._mean([part.values(key, *where, **options) for part in self.parts])

    def difference(self, first: Key, second: Key, *where, **options) -> np.ndarray | None:
        """Return the same as :meth:`.Resampled.difference`, over runs."""
        return self._mean([part.difference(first, second, *where, **options) for part in self.parts])

    def deviation(self, key: Key) -> np.ndarray | None:
        """Return the same as :meth:`.Resampled.deviation`, over runs."""
        return self._mean([part.deviation(key) for part in self.parts])


def over_seeds(runs: Iterable[Path | str]) -> pd.DataFrame:
    """Mean and standard deviation of every figure of Table 1 over runs, written to the first as ``table1_seeds.csv``.

    Next to it, ``table1_differences_seeds.csv``, ``claims_seeds.csv`` and ``claims_extensions_seeds.csv`` are what
    those without ``_seeds`` are for one run, of the mean over the runs and with seeds as a level of the intervals.

    Args:
        runs: Run folders, two or more, with settings that differ in the seed only.

    Returns:
        Columns ``row, machine, domain, selection``, ``seeds`` (how many), ``mean`` and ``deviation`` (with n - 1), as
        fractions; figures that some run lacks are left out.

    Raises:
        ScoreError: A run is not finished, or settings differ in something else, or do not differ in the seed.
    """
    runs = [Run(Path(run)) for run in runs]
    if len(runs) < 2:
        raise ScoreError(f"{len(runs)} run(s) given; a deviation over seeds needs two or more")
    tables, seeds, first, loaded = [], [], None, []
    for run in runs:
        if not (run.table1.is_file() and run.settings.is_file()):
            raise ScoreError(f"{run.folder}: no finished run; make reproduce makes table1.csv and settings.json")
        settings = {"compile": False} | json.loads(run.settings.read_text(encoding="utf-8"))  # added later
        first = first or settings
        odd = [key for key in settings if key not in OTHERWISE_EQUAL and settings[key] != first.get(key)]
        if odd:
            raise ScoreError(f"{run.folder}: {odd[0]} is not as in {runs[0].folder}; expected another seed only")
        if settings["seed"] in seeds:
            raise ScoreError(f"{run.folder}: seed {settings['seed']} is among the runs already; expected another")
        seeds.append(settings["seed"])
        loaded.append(_settings(run, settings))
        tables.append(read_table(run.table1).set_index(KEYS)["value"])
    wide = pd.concat(tables, axis=1).dropna()
    result = pd.DataFrame({"seeds": len(runs), "mean": wide.mean(axis=1), "deviation": wide.std(axis=1, ddof=1)})
    result = result.reset_index()
    write_table(result, runs[0].seeds)
    _judge(runs[0], loaded)
    return result


def _settings(run: Run, values: dict) -> params.Settings:
    """The settings of a run, with the folder in which it lies now."""
    folder = run.folder.resolve()
    return params.Settings.model_validate(values | {"runs": str(folder.parent), "profile": folder.name})


def _judge(first: Run, settings: list[params.Settings]) -> None:
    """Write the differences and the claims over seeds to the first run."""
    evaluation, seed = settings[0].evaluation, settings[0].seed
    samples = SeedResampled([resampled(one, split_seed=seed) for one in settings], evaluation.bootstrap, seed)
    alike = pd.concat([agreements(one) for one in settings])
    tables = {
        first.differences: paired(samples, evaluation.confidence),
        first.claims: claims.judge(samples, alike, evaluation.confidence),
        first.claims_extensions: claims.judge_extensions(samples, evaluation.confidence),
    }
    for path, table in tables.items():
        write_table(table, first.over_seeds(path))


def describe(table: pd.DataFrame) -> str:
    """Format the figures over all machine types and domains as text, in per cent."""
    total = table[(table["machine"] == "all") & (table["domain"] == "all")]
    lines = [f"all machine types and domains, mean and standard deviation over {table['seeds'].max()} seeds"]
    for item in total.itertuples():
        lines.append(f"{item.row:22}{item.selection:14}{100 * item.mean:7.2f} ± {100 * item.deviation:.2f}")
    return "\n".join(lines)
