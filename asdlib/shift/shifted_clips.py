"""Make shifted clips from source training clips, by applying the shift that the few target clips show.

They are stored decoded, in the same format as a machine type's own clips, so that they can be read in the same way.
Each has the name of the source clip from which it was made, and its ``domain`` is target.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import atomic, paths, records
from asdlib.data import held_out_split, plan
from asdlib.data.audio import Waveforms, evenly_spaced
from asdlib.data.held_out_split import LEARN
from asdlib.errors import DataError
from asdlib.paths import CLIPS, RECORD, SHIFTED, SHIFTS, WAVEFORMS
from asdlib.seeds import derive
from asdlib.shift import physical
from asdlib.stage import Stage
from asdlib.tables import read_table, write_table
from asdlib.units import FULL_SCALE


def make(settings, machine: str) -> bool:
    """Make the shifted clips of a machine type; return False if this was done before and nothing has changed.

    Writes ``waveforms.npy`` and ``clips.csv`` as :func:`asdlib.data.audio.decode` does, ``shifts.csv``, which holds the
    estimated :class:`asdlib.shift.physical.Shift` of each section, and ``record.json``, whole or not at all. A section
    without target training clips, or with fewer than two source clips to learn from, gets none. The shift is
    applied to held-out clips too, but it is estimated without them (:mod:`asdlib.data.held_out_split`).

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        machine: A machine type whose clips are decoded.
    """
    stage, options, run = Stage(settings), settings.data.shifted, paths.Run.of(settings)
    waveforms, folder = Waveforms.open(run.data(machine)), run.shifted(machine)
    wanted = {"seed": settings.seed, "sample_rate": settings.data.sample_rate, "held_out": settings.data.held_out}
    wanted |= options.model_dump(mode="json")
    before = _record(folder)
    if before and (before["settings"], before["source_fingerprint"]) == (wanted, waveforms.fingerprint):
        return False
    clips = waveforms.clips
    role = held_out_split.roles(clips, settings.data.held_out, settings.seed)
    kind = waveforms.samples.dtype  # as fine as the clips from which they are made
    tables, samples, shifts = [clips.iloc[:0]], [np.zeros(0, kind)], []
    train = clips[(clips["split"] == "train") & (clips["label"] == "normal")]
    for section, part in train.groupby("section"):
        source, target = (part.index[part["domain"] == domain] for domain in ("source", "target"))
        learn = source[role[source] == LEARN]
        if len(learn) < 2 or not len(target):
            continue
        rows = source[evenly_spaced(len(source), options.clips)]
        seed = derive(settings.seed, "pseudo-target", machine, section)
        shift, changed = apply_estimated_shift(settings, waveforms, learn, target, rows, seed)
        shifts.append({"section": section} | shift.as_dict())
        changed = [clip * FULL_SCALE for clip in changed]
        samples += [(np.rint(clip) if kind == np.int16 else clip).astype(kind) for clip in changed]
        tables.append(clips.loc[rows].assign(domain="target", path="", samples=[len(clip) for clip in changed]))
    table, samples = pd.concat(tables, ignore_index=True), np.concatenate(samples)
    table["start"] = table["samples"].cumsum() - table["samples"]
    data = records.fingerprint([wanted, waveforms.fingerprint, shifts])
    about = {"seed": settings.seed, "data": data, "source_fingerprint": waveforms.fingerprint}
    with stage.writing(wanted, folder=folder, **about) as temporary:
        np.save(temporary / WAVEFORMS, samples)
        write_table(table, temporary / CLIPS)
        write_table(pd.DataFrame(shifts, columns=["section", *physical.NAMES]), temporary / SHIFTS)
    return True


def apply_estimated_shift(
    settings, waveforms: Waveforms, learn: np.ndarray, target: np.ndarray, rows: np.ndarray, seed: int
) -> tuple[physical.Shift, list[np.ndarray]]:
    """Estimate the shift of a section, and apply it to clips.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        waveforms: Decoded clips of the machine type.
        learn: Rows of the source clips that the shift is estimated from; equally spaced ones are used.
        target: Rows of the target clips that it is estimated from.
        rows: Rows of the source clips to which to apply it.
        seed: Seed of the section's backgrounds.

    Returns:
        The shift, and samples in -1 to 1 of each of ``rows``.
    """
    rate, jitter = settings.data.sample_rate, settings.data.shifted.jitter
    learn = learn[evenly_spaced(len(learn), physical.CLIPS)]
    known, few = ([waveforms.read(row) / FULL_SCALE for row in some] for some in (learn, target))
    shift, front, names = (
        physical.estimate(known, few, rate, jitter, seed),
        physical.Front(rate),
        waveforms.clips["clip"],
    )
    changed = [
        physical.apply(shift, waveforms.read(row) / FULL_SCALE, front, jitter, derive(seed, names.iat[row]))
        for row in rows
    ]
    return shift, changed


def open_clips(settings, machine: str) -> Waveforms:
    """Open the shifted clips of a machine type.

    Raises:
        DataError: They have not been made.
    """
    folder = paths.Run.of(settings).shifted(machine)
    if not _record(folder):
        raise DataError(f"{folder}: no shifted clips; run notebook 01_data, or make reproduce")
    return Waveforms.open(folder)


def open_rows(
    settings, machine: str, sections: Collection[str], without: Collection[str] = ()
) -> tuple[Waveforms, np.ndarray] | None:
    """Open the shifted clips of some sections, except those made from the clips named in ``without``.

    Returns:
        The clips and the rows to use; None if there are none.
    """
    waveforms = open_clips(settings, machine)
    clips = waveforms.clips
    rows = np.flatnonzero(clips["section"].isin(sections) & ~clips["clip"].isin(without))
    return (waveforms, rows) if len(rows) else None


def rows_made_from(shifted: tuple[Waveforms, np.ndarray], section: str, names: Collection[str]) -> np.ndarray:
    """Return the rows of a section's shifted clips (:func:`open_rows`) that were made from the clips ``names``."""
    waveforms, rows = shifted
    clips = waveforms.clips.iloc[rows]
    return rows[((clips["section"] == section) & clips["clip"].isin(names)).to_numpy()]


def all_shifts(settings) -> pd.DataFrame:
    """Return the estimated shifts of a run, indexed by ``machine`` and ``section``; columns as in :func:`shifts`."""
    machines = plan.read(settings).machines
    return pd.concat([shifts(settings, machine).assign(machine=machine) for machine in machines]).set_index(
        ["machine", "section"]
    )


def shifts(settings, machine: str) -> pd.DataFrame:
    """Return the estimated shift of each section, columns ``section`` and :data:`asdlib.shift.physical.NAMES`."""
    open_clips(settings, machine)
    return read_table(paths.Run.of(settings).shifted(machine) / SHIFTS)


def _record(folder: Path) -> dict | None:
    whole = all((folder / name).is_file() for name in SHIFTED)
    return atomic.read_json(folder / RECORD) if whole else None
