"""List systems that cannot distinguish clips, and problems that trainings reported, to be shown with the table."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import ensemble, scores
from asdlib.evaluation.rows import ROW_OF
from asdlib.metrics import UNIT
from asdlib.origin import BRANCHES
from asdlib.paths import RECORD, SINGLES, Run
from asdlib.records import read_records

FLAT = 1e-3
"""standard deviation within a section and domain, over the root mean square of the system's scores of the machine type,
below which scores do not vary

A thousandth is finer than the resolution of bfloat16 (1/256), in which networks may compute, so such clips are ranked
by rounding errors and not by their sound. Working systems lie above 0.01.
"""
COLUMNS = ["row", "system", "machine", "section", "domain", "note"]


def find_flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Find the systems whose scores of test clips do not vary within a section and domain.

    Args:
        frame: Score rows of any systems.

    Returns:
        Columns ``system, machine, section, domain, note``, one row per finding.
    """
    test = frame[frame["split"] == "test"]
    scale = test.assign(square=test["score"] ** 2).groupby(["system", "machine"], sort=False)["square"].mean() ** 0.5
    found = []
    for (system, *unit), part in test.groupby(["system", *UNIT], sort=False)["score"]:
        deviation, level = part.std(ddof=0), scale[system, unit[0]]
        if len(part) > 1 and (np.ptp(part) == 0 or deviation < FLAT * level):
            note = f"scores do not vary: standard deviation {deviation:.2g} at a level of {level:.2g}"
            found.append((system, *unit, note))
    return pd.DataFrame(found, columns=COLUMNS[1:])


def collect_notes(settings, machine: str) -> pd.DataFrame:
    """Collect the messages in the records of trainings and scorings; columns as in :func:`find_flat`."""
    run, found = Run.of(settings), []
    for system in SINGLES:
        found += _sentences(run.system(system, machine), system, machine, "")
    for branch in BRANCHES:
        for candidate in getattr(settings, f"{branch}_candidates"):
            name = f"{branch}/{candidate}"
            found += _sentences(run.system(branch, machine, candidate), name, machine, "")
            for folder in sorted(run.system(branch, machine).glob(f"[0-9][0-9]*/{candidate}")):
                found += _sentences(folder, name, machine, folder.parent.name)
    return pd.DataFrame(found, columns=COLUMNS[1:])


def _sentences(folder: Path, system: str, machine: str, section: str) -> list[tuple]:
    path = folder / RECORD
    found = [record.get("health", []) for record in read_records(path)] if path.is_file() else []
    sentences = dict.fromkeys(itertools.chain.from_iterable(found))
    return [(system, machine, section, "", sentence) for sentence in sentences]


def health(settings, frame: pd.DataFrame, machines: list[str]) -> pd.DataFrame:
    """Check all systems of a run: those of Table 1 and all candidates.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        frame: Score rows with the further columns ``row, selection`` (:func:`asdlib.evaluation.table1.read`).
        machines: Machine types of the run.

    Returns:
        Columns :data:`COLUMNS`; ``row`` is the row of Table 1 that shows the system, or empty.
    """
    parts = [find_flat(frame)]
    for machine in machines:
        parts += [find_flat(scores.read(ensemble.inputs(settings, machine))), collect_notes(settings, machine)]
    table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    rows = table["system"].map(
        lambda system: system.split("/", 2)[-1] if system.startswith("ensemble/") else ROW_OF.get(system, "")
    )
    table.insert(0, "row", rows.astype(object))
    return table[COLUMNS]


def sentences(table: pd.DataFrame) -> list[str]:
    """Format the findings as sentences, one per system and kind of note, with the places where it was found."""
    lines = []
    kinds = table.assign(kind=[note.partition(":")[0] for note in table["note"]])
    for (system, note), part in kinds.groupby(["system", "kind"], sort=False):
        shown = part["note"].iloc[0] if len(part) == 1 else note
        name = f"{part['row'].iloc[0]} ({system})" if part["row"].iloc[0] else system
        places = [" ".join(filter(None, place)) for place in part[["machine", "section", "domain"]].to_numpy()]
        lines.append(f"{name}, {', '.join(dict.fromkeys(places))}: {shown}.".replace("..", "."))
    return lines
