"""The systems that an ensemble may choose from, on one machine's clips."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from asdlib.ensemble.combine import EnsembleError, combine_best, normalise

KEYS = ["section", "domain", "split", "clip"]


@dataclass(frozen=True)
class Group:
    """The clips of one section and domain, as columns of a pool."""

    columns: np.ndarray
    """training and test clips"""
    reference: np.ndarray
    """the clips whose scores set mean, variance and ranks"""


@dataclass(frozen=True)
class Pool:
    """Scores of one branch's systems: row k belongs to ``systems[k]``, column i to row i of ``clips``."""

    systems: list[str]
    """``<branch>/<candidate>/<variant>``, in the order of the settings"""
    clips: pd.DataFrame
    """columns machine, section, domain, split, clip, label"""
    groups: dict[tuple[str, str], Group]
    """by section and domain, those that have test clips"""
    scores: np.ndarray
    """(systems, clips), as the systems gave them"""
    normalised: np.ndarray
    """(systems, clips), each group by its reference; zero outside the groups"""

    @classmethod
    def of(cls, frame: pd.DataFrame, reference: str) -> "Pool":
        """A pool from the score table of all systems of a branch and one machine.

        Args:
            frame: The rows of all systems (:mod:`asdlib.scores`).
            reference: ``test``: mean and variance of the section's and domain's test clips, as the paper has it;
                ``train``: of the section's training clips of both domains, since three target clips have no variance
                to speak of.

        Raises:
            EnsembleError: The systems did not score the same clips, or there are no reference clips.
        """
        systems = list(dict.fromkeys(frame["system"]))
        wide = frame.pivot(index=KEYS, columns="system", values="score")[systems].sort_index()
        if wide.isna().any(axis=None):
            system = wide.columns[wide.isna().any()][0]
            where = ", ".join(wide.index[wide[system].isna()][0])
            raise EnsembleError(
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

    @property
    def defaults(self) -> list[int]:
        """The first variant of each candidate: the systems that are used without labels."""
        first = {system.rsplit("/", 1)[0]: k for k, system in reversed(list(enumerate(self.systems)))}
        return sorted(first.values())

    def ensemble(self, members: list[int], by: str, group: Group, columns: np.ndarray | None = None, sizes=None):
        """Combined scores of a group's clips.

        Args:
            members: Indices of systems, best first.
            by: The combination.
            group: Its reference clips set the ranks.
            columns: Which clips; None for all of the group.
            sizes: None for all members, shape (clips,); else the N first members for every N, (len(sizes), clips).
        """
        chosen = self.normalised[members]
        columns = group.columns if columns is None else columns
        scores = combine_best(chosen[:, columns], by, sizes or [len(members)], chosen[:, group.reference])
        return scores if sizes else scores[0]

    def normalised_ensemble(self, members: list[int], by: str, group: Group) -> np.ndarray:
        """As :meth:`ensemble`, normalised once more, so that two ensembles can be averaged."""
        reference = self.ensemble(members, by, group, group.reference)
        return normalise(self.ensemble(members, by, group), reference)


def _groups(clips: pd.DataFrame, reference: str) -> dict[tuple[str, str], Group]:
    test = clips["split"] == "test"
    groups = {}
    for section, domain in dict.fromkeys(zip(clips["section"][test], clips["domain"][test], strict=True)):
        inside = clips["section"] == section
        columns = inside & (clips["domain"] == domain)
        used = columns & test if reference == "test" else inside & ~test
        if not used.any():
            raise EnsembleError(
                f"section {section} has no scored training clips; normalising by training scores needs some "
                "(normalising by test scores does without)"
            )
        groups[section, domain] = Group(np.flatnonzero(columns), np.flatnonzero(used))
    return groups
