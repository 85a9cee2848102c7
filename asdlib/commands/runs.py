"""Compare runs: over seeds, or one with another."""

import json

from asdlib.evaluation import ablations as gains
from asdlib.evaluation import compare as comparisons
from asdlib.evaluation import seeds as repetitions


def seeds(given) -> int:
    """Print Table 1 over seeds."""
    table = repetitions.over_seeds(given.runs)
    print(json.dumps({"figures": table.to_dict("records")}, indent=2) if given.json else repetitions.describe(table))
    return 0


def ablations(given) -> int:
    """Print the effect of each changed setting over seeds."""
    print(gains.describe(gains.over_seeds(given.runs)))
    return 0


def compare(given) -> int:
    """Print how the tables of a run differ from those of another one."""
    comparison = comparisons.compare(given.first, given.second)
    print(comparison.describe())
    return 0 if comparison.identical else 1
