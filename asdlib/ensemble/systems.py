"""Arrange the scores of the systems that an ensemble may choose from, on one machine's clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from asdlib.ensemble.combine import combine_best, rank
from asdlib.ensemble.normalisation import normalise
from asdlib.errors import ScoreError

KEYS = ["section", "domain", "split", "clip"]


@dataclass(frozen=True)
class Group:
    """The clips of one section and domain, as columns of a pool."""

    columns: np.ndarray
    """training and test clips"""
    reference: np.ndarray
    """clips whose scores define mean, variance and ranks"""


@dataclass(frozen=True)
class Pool:
    """Scores of one branch's systems: row k belongs to ``systems[k]``, column i to row i of ``clips``."""

    systems: list[str]
    """``<branch>/<candidate>/<variant>``, in the order of the settings"""
    clips: pd.DataFrame
    """columns machine, section, domain, split, clip, label"""
    groups: dict[tuple[str, str], Group]
    """groups with test clips, by section and domain"""
    scores: np.ndarray
    """(systems, clips), without normalisation"""
    normalised: np.ndarray
    """(systems, clips), each group normalised by its reference; zero outside the groups"""

    @classmethod
    def of(cls, frame: pd.DataFrame, reference: str) -> "Pool":
        """Build a pool from the score table of all systems of a branch and one machine.

        Args:
            frame: Rows of all systems (:mod:`asdlib.scores`).
            reference: ``test`` to normalise by the test clips of the section and domain, as in the paper; ``train`` to
                normalise by the rows of the split ``train``, which no system was trained on.

        Raises:
            ScoreError: The systems did not score the same clips, or there are no reference clips.
        """
        systems = list(dict.fromkeys(frame["system"]))
        wide = frame.pivot(index=KEYS, columns="system", values="score")[systems].sort_index()
        if wide.isna().any(axis=None):
            system = wide.columns[wide.isna().any()][0]
            where = ", ".join(wide.index[wide[system].isna()][0])
            raise ScoreError(
                f"{system} has no score for {where}, which other systems of the pool have; score them on the same clips"
            )
        clips = frame.drop_duplicates(KEYS).set_index(KEYS).loc[wide.index, ["machine", "label"]].reset_index()
        groups = _groups(clips, reference)
        scores = np.ascontiguousarray(wide.to_numpy(dtype=np.float64).T)
        normalised = np.zeros_like(scores)
        for group in groups.values():
            both = np.union1d(group.columns, group.reference)
            normalised[:, both] = normalise(scores[:, both], scores[:, group.reference])
        return cls(systems, clips, groups, scores, normalised)

    @cached_property
    def ranked(self) -> np.ndarray:
        """Rank of each normalised score among its group's reference clips (:func:`.rank`); zero outside the groups."""
        result = np.zeros_like(self.scores)
        for group in self.groups.values():
            both = np.union1d(group.columns, group.reference)
            result[:, both] = rank(self.normalised[:, both], self.normalised[:, group.reference])
        return result

    @cached_property
    def branch(self) -> str:
        """Branch that the systems belong to."""
        return self.systems[0].partition("/")[0]

    def ensembles(self, members: np.ndarray, by: str, sizes: Sequence[int], columns: np.ndarray) -> np.ndarray:
        """Combine the scores of the first N of some systems, for every N of ``sizes``.

        Args:
            members: Indices of systems, shape (..., systems).
            by: Name of the combination.
            sizes: The numbers of systems.
            columns: Clips to score.

        Returns:
            Shape (..., len(sizes), columns).
        """
        if by == "ranking":
            return combine_best(self.ranked[members[..., None], columns], "average", sizes)
        return combine_best(self.normalised[members[..., None], columns], by, sizes)

    def ensemble(self, members: list[int], by: str, columns: np.ndarray) -> np.ndarray:
        """Combine the scores of all of ``members``; arguments as in :meth:`ensembles`, shape (columns,)."""
        return self.ensembles(np.asarray(members), by, [len(members)], columns)[0]


def _groups(clips: pd.DataFrame, reference: str) -> dict[tuple[str, str], Group]:
    test = clips["split"] == "test"
    groups = {}
    for section, domain in dict.fromkeys(zip(clips["section"][test], clips["domain"][test], strict=True)):
        columns = (clips["section"] == section) & (clips["domain"] == domain)
        used = columns & (test if reference == "test" else ~test)
        if not used.any():
            raise ScoreError(
                f"section {section}, {domain} domain, has no scored training clips; normalising by training scores "
                "needs clips that no system was trained on (normalising by test scores needs none)"
            )
        groups[section, domain] = Group(np.flatnonzero(columns), np.flatnonzero(used))
    return groups
