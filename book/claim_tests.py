"""What a test of the paper's claims is about: the rows that it compares, the paper's cells, and the candidates."""

import re
from dataclasses import dataclass

import numpy as np
import offered
from schematics import counted

from asdlib import params
from asdlib.ensemble.blocks import AE_ENSEMBLE, BC_ENSEMBLE, MAX, MIX
from asdlib.evaluation import paper
from asdlib.evaluation.claims_paper import ON_SEVERAL

COMPARED = re.compile(r"(.+?) minus (.+?), (?:each of them, )?(all machine types|[^ ,;]+)")
"""a test that compares a row with others on all machine types or one"""
GAINS = re.compile(r"gain of (.+) over (.+)")
"""one of the two terms of a test that compares the gains of two rows over others"""


@dataclass(frozen=True)
class Scope:
    """What a run covers of the paper: its machine types, and its settings, which have the candidates."""

    machines: tuple[str, ...]
    settings: params.Settings

    def words(self, test: str) -> str:
        """Name the machine types of the paper's cells that a test is compared with, unless the test names its own."""
        found = COMPARED.fullmatch(test)
        if (found and found[3] != "all machine types") or set(self.machines) == set(paper.MACHINES):
            return "in the paper's cells"
        return f"in the paper's cells ({', '.join(self.machines)})"

    def candidates(self, test: str) -> str:
        """Say what an ensemble that a test is about could choose from, here and in the paper; empty without one."""
        published = params.load("paper")
        both = MIX in test or MAX in test
        parts = []
        if both or AE_ENSEMBLE in test:
            offers = counted(len(offered.names(self.settings, "autoencoder")), "autoencoder")
            parts.append(f"{offers} to choose from (the paper: N up to {max(published.ensemble.sizes)})")
        if both or BC_ENSEMBLE in test:
            offers = counted(len(offered.names(self.settings, "classifier")), "classifier")
            here, there = (len(offered.backbones(one)) for one in (self.settings, published))
            parts.append(f"{offers} of {counted(here, 'backbone')} (the paper: {there} backbones)")
        return ", ".join(parts)


def printed(test: str, machines: tuple[str, ...]) -> float:
    """Return the effect of a test in the paper's cells of a run's machine types; NaN if the paper has none.

    The column ``paper`` of ``claims.csv`` is over all of the paper's machine types, whatever the run has.

    Args:
        test: As in ``claims.csv``.
        machines: Machine types of the run.
    """
    if f"lead of {MIX} over {MAX} {ON_SEVERAL}" in test:
        leads = [paper.value(MIX, machine) - paper.value(MAX, machine) for machine in machines]
        return float(np.sort(leads)[-2]) if len(leads) > 1 else np.nan
    if not (found := COMPARED.fullmatch(test)):
        return np.nan
    one, others, where = found.groups()
    machine = "all" if where == "all machine types" else where

    def lead(row: str, other: str) -> float:
        return paper.compared(row, machine, "all", machines) - paper.compared(other, machine, "all", machines)

    gains = [GAINS.fullmatch(words) for words in (one, others)]
    if all(gains):
        first, second = (lead(*gain.groups()) for gain in gains)
        return first - second
    return min(lead(one, other) for other in others.split(" and minus "))
