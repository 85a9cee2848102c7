"""Tell positive examples, the normal clips of a section, from negative ones, other normal clips (Sec. 2.2)."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from asdlib.data.audio import Waveforms
from asdlib.data.held_out_split import HELD_OUT
from asdlib.data.machine_clips import open_machine
from asdlib.errors import ModelError

DATASETS = {"MIMII DUE": ("fan", "gearbox", "pump", "slider", "valve"), "ToyADMOS2": ("ToyCar", "ToyTrain")}
"""machine types of DCASE2021 by the data set from which they come"""


@dataclass(frozen=True)
class Clips:
    """Normal training clips of one machine type, section and domain."""

    machine: str
    section: str
    domain: str
    waveforms: Waveforms
    rows: np.ndarray
    """rows of ``waveforms``"""


def group_clips(waveforms: Waveforms, without: Collection[str] = ()) -> list[Clips]:
    """Group the normal training clips of a machine type, except those named ``without``, by section and domain."""
    clips = waveforms.clips
    chosen = clips[(clips["split"] == "train") & (clips["label"] == "normal") & ~clips["clip"].isin(without)]
    return [
        Clips(*key, waveforms, part.index.to_numpy()) for key, part in chosen.groupby(["machine", "section", "domain"])
    ]


def held_out_clips(settings, machine: str) -> set[str]:
    """Return the names of a machine type's training clips that no network learns from (:mod:`.held_out_split`)."""
    clips = open_machine(settings, machine)
    return set(clips.table["clip"][clips.role == HELD_OUT])


def split(
    clips: list[Clips], machine: str, section: str, machines: Collection[str]
) -> tuple[dict[str, Clips], list[Clips]]:
    """Split normal clips into the positive examples of a section, by domain, and its negative examples.

    Args:
        clips: Normal training clips of all machine types.
        machine: The positive machine type.
        section: The positive section.
        machines: Machine types of the negatives (:func:`choose_machines`).

    Raises:
        ModelError: The section has no source clips.
    """
    own = {part.domain: part for part in clips if (part.machine, part.section) == (machine, section)}
    if "source" not in own:
        raise ModelError(
            f"section {section} of {machine} has no normal source training clips; add some, or exclude the section "
            "with data.sections"
        )
    others = [part for part in clips if part.machine in machines and (part.machine, part.section) != (machine, section)]
    return own, others


def choose_machines(negatives: str, machine: str, clips: list[Clips]) -> list[str]:
    """Return the machine types, including ``machine``, whose clips are used for a choice of negatives.

    If ``negatives`` is ``machine`` for a machine type with one section, which leaves no negatives, all are used.

    Args:
        negatives: ``all``, ``machine`` or ``dataset``.
        machine: The positive machine type.
        clips: All clips that may be used.

    Raises:
        ModelError: ``dataset`` was chosen for a machine type that belongs to neither data set.
    """
    known = sorted({part.machine for part in clips})
    sections = {part.section for part in clips if (part.machine, part.domain) == (machine, "source")}
    if negatives == "all" or (negatives == "machine" and len(sections) < 2):
        return known
    if negatives == "machine":
        return [machine]
    for members in DATASETS.values():
        if machine in members:
            return [name for name in known if name in members]
    raise ModelError(
        f"classifier.batches.negatives is 'dataset', but {machine} is in none of their machine types "
        f"({', '.join(name for members in DATASETS.values() for name in members)}); use all or machine"
    )


class Negatives:
    """Source of outliers, drawn by machine type first, then by section, domain and clip, each uniformly.

    Machine types with many sections or clips therefore do not dominate smaller ones.

    Args:
        clips: Clips to draw from.
    """

    def __init__(self, clips: list[Clips]):
        self.clips = clips
        tree: dict[str, dict[str, list[Clips]]] = {}
        for part in clips:
            tree.setdefault(part.machine, {}).setdefault(part.section, []).append(part)
        self._tree = [list(sections.values()) for sections in tree.values()]

    def draw(self, rng: np.random.Generator) -> Clips:
        """Draw a machine type, section and domain."""
        chosen = self._tree
        while isinstance(chosen, list):
            chosen = chosen[rng.integers(len(chosen))]
        return chosen
