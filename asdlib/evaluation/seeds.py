"""Average Table 1 over several runs that differ only in the seed, a variation that intervals over clips do not cover.

The recordings stay the same (synthetic ones have a seed of their own); trainings, the halves of cross-fitting and the
resamples differ.

Differences and claims over several seeds concern the mean over seeds. Their intervals resample clips *and* seeds: all
runs share the resampled clips (and the first run's halves), and each resample also draws n - 1 of the n runs with
replacement. With n - 1 draws, the variance of their mean is an unbiased estimate of the effect of another set of seeds;
with n draws it would be too small. With two or three seeds the estimate is rough.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib.atomic import read_json
from asdlib.errors import ScoreError
from asdlib.evaluation import claims_extensions, claims_paper
from asdlib.evaluation.bootstrap import Key, Resampled
from asdlib.evaluation.table1 import KEYS, compute_differences, read_agreements, resample
from asdlib.params.settings import Settings, of_run
from asdlib.paths import Run
from asdlib.tables import read_table, write_table

OTHERWISE_EQUAL = ("seed", "runs")
"""settings in which the runs may differ; ``runs`` is their folder"""


class SeedResampled:
    """Mean over runs of every row in every resample of clips and runs, with the interface of :class:`.Resampled`."""

    def __init__(self, parts: list[Resampled], count: int, seed: int):
        """Join runs that share resamples and halves.

        Args:
            parts: Resampled rows, one per run.
            count: Number of resamples.
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
        """Average :meth:`.Resampled.values` over runs."""
        return self._mean([part.values(key, *where, **options) for part in self.parts])

    def difference(self, first: Key, second: Key, *where, **options) -> np.ndarray | None:
        """Average :meth:`.Resampled.difference` over runs."""
        return self._mean([part.difference(first, second, *where, **options) for part in self.parts])

    def deviation(self, key: Key) -> np.ndarray | None:
        """Average :meth:`.Resampled.deviation` over runs."""
        return self._mean([part.deviation(key) for part in self.parts])


def over_seeds(runs: Iterable[Path | str]) -> pd.DataFrame:
    """Compute mean and deviation of Table 1 over runs, and write ``table1_seeds.csv`` to the first run.

    ``table1_differences_seeds.csv``, ``claims_seeds.csv`` and ``claims_extensions_seeds.csv`` are written next to it:
    the same tables as without ``_seeds``, for the mean over the runs and with seeds as a level of the intervals.

    Args:
        runs: Run folders, two or more, with settings that differ only in the seed.

    Returns:
        Columns ``row, machine, domain, selection``, ``seeds`` (number of runs), ``mean`` and ``deviation`` (with
        n - 1), as fractions; figures that some run lacks are left out.

    Raises:
        ScoreError: A run is not finished, other settings differ, or two runs have the same seed.
    """
    runs = [Run(Path(run)) for run in runs]
    if len(runs) < 2:
        raise ScoreError(f"{len(runs)} run(s) found; a deviation over seeds needs two or more")
    tables, seeds, loaded = [], set(), []
    for run in runs:
        if not (run.table1.is_file() and run.settings.is_file()):
            raise ScoreError(
                f"{run.folder} is not a finished run: table1.csv or settings.json is missing; run make reproduce first"
            )
        refuse_other_settings(run, runs[0], seeds)
        loaded.append(of_run(run))
        seeds.add(loaded[-1].seed)
        tables.append(read_table(run.table1).set_index(KEYS)["value"])
    wide = pd.concat(tables, axis=1).dropna()
    result = pd.DataFrame({"seeds": len(runs), "mean": wide.mean(axis=1), "deviation": wide.std(axis=1, ddof=1)})
    result = result.reset_index()
    write_table(result, runs[0].over_seeds(runs[0].table1))
    _judge(runs[0], loaded)
    return result


def refuse_other_settings(run: Run, other: Run, seeds: set[int]) -> None:
    """Raise a :class:`ScoreError` if runs differ in other settings than the seed, or if the seed is in ``seeds``."""
    settings, others = read_json(run.settings), read_json(other.settings)
    different = [key for key in settings if key not in OTHERWISE_EQUAL and settings[key] != others.get(key)]
    if different:
        raise ScoreError(f"{run.folder}: {different[0]} differs from {other.folder}; only the seed may differ")
    if settings["seed"] in seeds:
        raise ScoreError(f"{run.folder}: another run already has seed {settings['seed']}; expected a different seed")


def _judge(first: Run, settings: list[Settings]) -> None:
    """Write the differences and the claims over seeds to the first run."""
    evaluation, seed = settings[0].evaluation, settings[0].seed
    samples = SeedResampled([resample(one, split_seed=seed) for one in settings], evaluation.bootstrap, seed)
    alike = pd.concat([read_agreements(one) for one in settings])
    tables = {
        first.differences: compute_differences(samples, evaluation.confidence),
        first.claims: claims_paper.judge(samples, alike, evaluation.confidence),
        first.claims_extensions: claims_extensions.judge(samples, evaluation.confidence),
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
