"""Arrange the scores of many systems on one challenge's clips for the search of ensembles (:mod:`ensemble_search`).

A *cell* is a machine type and domain, as in Table 1. Its units are the machine type's sections, whose clips are
normalised and evaluated together: in 2021 the clips of the domain, from 2022 on those of both domains, of which the
cell's AUC counts only the normal clips of its own domain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ensemble_search import Unit

from asdlib.ensemble.choices import split_halves
from asdlib.errors import ScoreError
from asdlib.evaluation.bootstrap import resamples

Cell = tuple[str, str]
"""machine type and domain"""
SEED = 0
"""seed of the resamples and of the halves"""


@dataclass(frozen=True)
class Systems:
    """Scores of all systems, and the resamples of the clips that they share."""

    year: int
    names: tuple[str, ...]
    families: dict[str, np.ndarray]
    """indices of the systems of each family"""
    cells: dict[Cell, list[Unit]]
    raw: dict[Cell, list[Unit]]
    """the same without normalisation"""
    weights: dict[Cell, list[np.ndarray]]
    """how often each resample contains each clip of each unit, (1 + resamples, clips); the first row is all ones"""
    first: dict[Cell, list[np.ndarray]]
    """whether each clip of each unit is in the first half, (clips,)"""

    @property
    def machines(self) -> list[str]:
        return list(dict.fromkeys(machine for machine, _ in self.cells))


def arrange(frame: pd.DataFrame, year: int, families: Mapping[str, Sequence[str]], count: int) -> Systems:
    """Arrange score rows.

    Args:
        frame: Labelled test clips of all systems (:mod:`asdlib.scores`), with all domains known.
        year: Year of the challenge.
        families: Names of the systems of each family.
        count: Number of resamples; clips are drawn with replacement within section, domain, label and half.

    Raises:
        ScoreError: The systems did not score the same clips.
    """
    names = tuple(dict.fromkeys(name for family in families.values() for name in family))
    cells: dict[Cell, list[Unit]] = {}
    raw: dict[Cell, list[Unit]] = {}
    weights: dict[Cell, list[np.ndarray]] = {}
    first: dict[Cell, list[np.ndarray]] = {}
    for (machine, section), part in frame.groupby(["machine", "section"], sort=True):
        wide = part.pivot(index=["domain", "clip", "label"], columns="system", values="score").sort_index()
        if wide[list(names)].isna().any(axis=None):
            raise ScoreError(
                f"the systems did not score the same clips of {machine} section {section}; expected the same"
            )
        clips = wide.index.to_frame(index=False).assign(machine=machine, section=section, split="test")
        half, anomaly = split_halves(clips, SEED), (clips["label"] == "anomaly").to_numpy()
        strata = clips["domain"].to_numpy(dtype=str)
        strata = np.char.add(np.char.add(strata, clips["label"].to_numpy(dtype=str)), half)
        drawn = resamples(strata, count, [SEED, *f"{machine}/{section}".encode()]).astype(np.int16)
        scores = wide[list(names)].to_numpy(dtype=np.float64).T
        for domain in sorted(clips["domain"].unique()):
            own = (clips["domain"] == domain).to_numpy()
            used = own if year <= 2021 else np.ones_like(own)
            for kept, target in ((False, cells), (True, raw)):
                unit = Unit.of(scores[:, used], anomaly[used], own[used], kept)
                target.setdefault((machine, domain), []).append(unit)
            weights.setdefault((machine, domain), []).append(drawn[:, used])
            first.setdefault((machine, domain), []).append(half[used] == "first")
    index = {family: np.array([names.index(name) for name in members]) for family, members in families.items()}
    return Systems(year, names, index, cells, raw, weights, first)


def restrict(units: Sequence[Unit], systems: np.ndarray) -> list[Unit]:
    """Restrict units to some of the systems."""
    return [Unit(unit.scores[systems], unit.ranks[systems], unit.anomaly, unit.counted) for unit in units]
