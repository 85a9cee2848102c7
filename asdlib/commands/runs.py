"""Compare runs: over seeds, or one with another."""

import json

from asdlib.evaluation import ablations as gains
from asdlib.evaluation import seeds as repetitions
from asdlib.evaluation.compare import compare as compare_runs


def seeds(arguments) -> int:
    """Print Table 1 over seeds."""
    table = repetitions.over_seeds(arguments.runs)
    print(
        json.dumps({"figures": table.to_dict("records")}, indent=2) if arguments.json else repetitions.describe(table)
    )
    return 0


def ablations(arguments) -> int:
    """Print the effect of each changed setting over seeds."""
    print(gains.describe(gains.over_seeds(arguments.runs)))
    return 0


def compare(arguments) -> int:
    """Compare the tables of two runs, and return 1 if they differ."""
    comparison = compare_runs(arguments.first, arguments.second)
    print(comparison.describe())
    return 0 if comparison.identical else 1
