"""Open the decoded clips of a machine type, with the role of each in the run."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from asdlib import paths
from asdlib.data import held_out_split, plan
from asdlib.data.audio import Waveforms
from asdlib.data.held_out_split import HELD_OUT
from asdlib.errors import DataError
from asdlib.messages import suggest


@dataclass(frozen=True)
class MachineClips:
    """Clips of one machine type that are used in a run, with the role of each."""

    waveforms: Waveforms
    """all decoded clips of the machine type"""
    rows: np.ndarray
    """rows of ``waveforms.clips`` to use: all training clips, and the test clips of the planned sections"""
    sections: list[str]
    """sections with training clips, in order; all of them are trained on"""
    planned: list[str]
    """sections with labelled test clips, which are scored"""
    role: np.ndarray
    """role of each of ``rows``, as returned by :func:`asdlib.data.held_out_split.roles`"""

    @property
    def table(self) -> pd.DataFrame:
        """Catalogue rows of the clips to use, numbered from 0."""
        return self.waveforms.clips.iloc[self.rows].reset_index(drop=True)

    @property
    def scored(self) -> pd.DataFrame:
        """Catalogue rows of the score table; the index gives the position of each in ``rows``.

        These are test clips and held-out clips (:func:`asdlib.data.held_out_split.with_reference_clips`).
        """
        table = self.table[self.table["section"].isin(self.planned)]
        return held_out_split.with_reference_clips(table, self.role[table.index] == HELD_OUT)


def open_machine(settings, machine: str) -> MachineClips:
    """Open the decoded clips of a machine type that has systems in the run.

    Raises:
        asdlib.errors.DataError: The machine type is not in the plan of the run, or not decoded yet.
    """
    machines = plan.read(settings).machines
    if machine not in machines:
        hint = suggest(machine, machines)
        raise DataError(f"machine {machine!r} has no systems in the profile {settings.profile}{hint}")
    waveforms = Waveforms.open(paths.Run.of(settings).data(machine))
    clips, planned = waveforms.clips, list(machines[machine])
    train = clips["split"] == "train"
    rows = np.flatnonzero(train | clips["section"].isin(planned))
    role = held_out_split.roles(clips.iloc[rows], settings.data.held_out, settings.seed)
    return MachineClips(waveforms, rows, sorted(set(clips.loc[train, "section"])), planned, role)
