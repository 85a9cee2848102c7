"""Evaluate, combine and export score files."""

import json

from asdlib.challenge import combine as ensembles
from asdlib.challenge import evaluate as figures
from asdlib.challenge import export as files


def evaluate(arguments) -> int:
    """Print the official figures of score files."""
    result = figures.evaluate(
        arguments.paths, decisions=arguments.decisions, year=arguments.year, compare=arguments.compare
    )
    print(json.dumps(result, indent=2) if arguments.json else figures.describe(result))
    return 0


def combine(arguments) -> int:
    """Write the score files of an ensemble."""
    ensembles.combine(
        arguments.paths, normalise=arguments.normalise, by=arguments.by, out=arguments.out, year=arguments.year
    )
    print(arguments.out)
    return 0


def export(arguments) -> int:
    """Write a run's scores, decisions and results as official files."""
    files.export(arguments.run, arguments.out, arguments.threshold, arguments.per, arguments.year)
    print(arguments.out)
    return 0
