"""Evaluate, combine and export score files."""

import json

from asdlib.challenge import combine as ensembles
from asdlib.challenge import evaluate as figures
from asdlib.challenge import export as files


def evaluate(given) -> int:
    """Print the official figures of score files."""
    result = figures.evaluate(given.paths, decisions=given.decisions, year=given.year, compare=given.compare)
    print(json.dumps(result, indent=2) if given.json else figures.describe(result))
    return 0


def combine(given) -> int:
    """Write the score files of an ensemble."""
    ensembles.combine(given.paths, normalise=given.normalise, by=given.by, out=given.out, year=given.year)
    print(given.out)
    return 0


def export(given) -> int:
    """Write a run's scores, decisions and results as official files."""
    files.export(given.run, given.out, given.threshold, given.per, given.year)
    print(given.out)
    return 0
