"""Table 1 over several runs that differ in the seed only: what the intervals over clips do not cover.

The recordings stay the same (synthetic ones have a seed of their own); trainings, the halves of cross-fitting and the
resamples differ.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from asdlib.evaluation.bootstrap import EvaluationError
from asdlib.evaluation.table1 import KEYS, write_csv
from asdlib.paths import Run
from asdlib.tables import read_table

OTHERWISE_EQUAL = ("seed", "runs")
"""settings in which the runs may differ; ``runs`` is where they lie"""


def over_seeds(runs: Iterable[Path | str]) -> pd.DataFrame:
    """Mean and standard deviation of every figure of Table 1 over runs, written to the first as ``table1_seeds.csv``.

    Args:
        runs: Run folders, two or more, with settings that differ in the seed only.

    Returns:
        Columns ``row, machine, domain, selection``, ``seeds`` (how many), ``mean`` and ``deviation`` (with n - 1), as
        fractions; figures that some run lacks are left out.

    Raises:
        EvaluationError: A run is not finished, or settings differ in something else, or do not differ in the seed.
    """
    runs = [Run(Path(run)) for run in runs]
    if len(runs) < 2:
        raise EvaluationError(f"{len(runs)} run(s) given; a deviation over seeds needs two or more")
    tables, seeds, first = [], [], None
    for run in runs:
        if not (run.table1.is_file() and run.settings.is_file()):
            raise EvaluationError(f"{run.folder}: no finished run; make reproduce makes table1.csv and settings.json")
        settings = {"compile": False} | json.loads(run.settings.read_text(encoding="utf-8"))  # added later
        first = first or settings
        odd = [key for key in settings if key not in OTHERWISE_EQUAL and settings[key] != first.get(key)]
        if odd:
            raise EvaluationError(f"{run.folder}: {odd[0]} is not as in {runs[0].folder}; expected another seed only")
        if settings["seed"] in seeds:
            raise EvaluationError(f"{run.folder}: seed {settings['seed']} is among the runs already; expected another")
        seeds.append(settings["seed"])
        tables.append(read_table(run.table1).set_index(KEYS)["value"])
    wide = pd.concat(tables, axis=1).dropna()
    result = pd.DataFrame({"seeds": len(runs), "mean": wide.mean(axis=1), "deviation": wide.std(axis=1, ddof=1)})
    result = result.reset_index()
    write_csv(result, runs[0].seeds)
    return result


def describe(table: pd.DataFrame) -> str:
    """The figures of all machine types and domains, as text in per cent."""
    total = table[(table["machine"] == "all") & (table["domain"] == "all")]
    lines = [f"all machine types and domains, mean and standard deviation over {table['seeds'].max()} seeds"]
    for item in total.itertuples():
        lines.append(f"{item.row:22}{item.selection:14}{100 * item.mean:7.2f} ± {100 * item.deviation:.2f}")
    return "\n".join(lines)
