"""Recordings (Sec. 3.1), from a folder of WAV files to decoded clips.

Imports inside the functions keep :mod:`asdlib.data.catalogue` light, which the Snakefile imports at every parse.
"""

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from asdlib import paths
from asdlib.data import catalogue, names, roles

if TYPE_CHECKING:
    from asdlib.data.audio import Waveforms

DECODED = ("clips.csv", "waveforms.npy", "record.json")
"""files of a decoded machine type (:func:`asdlib.data.audio.decode`)"""
PSEUDO_TARGET = ("clips.csv", "waveforms.npy", "shifts.csv", "record.json")
"""files of the pseudo-target clips of a machine type (:func:`asdlib.data.pseudo_target.make`)"""
FEW = 5  # test clips of a kind
GROUPS = ["machine", "section", "domain", "split", "label"]


def shortest(settings) -> dict[str, int]:
    """Return the minimum number of samples of a clip for each stage that has one, by the name of its setting."""
    baselines = {"frame_autoencoder": settings.frame_autoencoder, "mobilenet": settings.mobilenet}
    return {
        f"{name}.frames": (baseline.frames - 1) * baseline.features.hop_length for name, baseline in baselines.items()
    }


def prepare(settings, needed: dict[str, int] | None = None) -> pd.DataFrame:
    """Prepare the clips of a run: synthesise (if set), catalogue, check and decode them, and make pseudo-target clips.

    Args:
        settings: :class:`asdlib.params.Settings`.
        needed: Minimum number of samples of a clip, as returned by :func:`shortest`.

    Returns:
        The catalogue of all machine types in the run, including outliers.

    Raises:
        asdlib.data.catalogue.DataError: The data cannot be used; all problems are listed together.
    """
    from asdlib.data import audio, pseudo_target

    data, run = settings.data, paths.Run.of(settings)
    root = paths.home() / data.root
    if data.synthetic:
        from asdlib.data import synthetic

        synthetic.write(root, data.synthetic, data.sample_rate)
    clips = catalogue.select(catalogue.scan(root), data)
    plan = catalogue.planned(clips, data)
    machines = [*plan.machines, *plan.outliers]
    clips = clips[clips["machine"].isin(machines)].reset_index(drop=True)
    audio.refuse(audio.check_headers(clips, root, data, needed))
    for machine in machines:
        began = time.monotonic()
        rows = clips[clips["machine"] == machine].reset_index(drop=True)
        done = audio.decode(rows, root, run.data(machine), data)
        role = f"sections {', '.join(plan.machines[machine])}" if machine in plan.machines else "outliers only"
        how = f"decoded in {time.monotonic() - began:.1f} s" if done else "decoded before"
        print(f"{machine}: {len(rows)} clips, {role}, {how}", flush=True)
        for warning in audio.warnings(run.data(machine)):
            print(f"warning: {warning}", flush=True)
        if machine in plan.machines:
            pseudo_target.make(settings, machine)
    return clips


@dataclasses.dataclass(frozen=True)
class MachineClips:
    """Clips of one machine type that are used in a run, with the role of each."""

    waveforms: "Waveforms"
    """all decoded clips of the machine type"""
    rows: np.ndarray
    """rows of ``waveforms.clips`` to use: all training clips, and the test clips of the planned sections"""
    sections: list[str]
    """sections with training clips, in order; all of them are trained on"""
    planned: list[str]
    """sections with labelled test clips, which are scored"""
    role: np.ndarray
    """role of each of ``rows``, as returned by :func:`asdlib.data.roles.roles`"""

    @property
    def table(self) -> pd.DataFrame:
        """Catalogue rows of the clips to use, numbered from 0."""
        return self.waveforms.clips.iloc[self.rows].reset_index(drop=True)

    @property
    def scored(self) -> pd.DataFrame:
        """Catalogue rows of the score table; the index gives the position of each in ``rows``.

        These are the test clips, the held-out training clips and, if the section has target clips, the held-out clips
        again with the domain ``target``. The latter are reference clips that are scored like target clips, since three
        target training clips are too few to estimate a variance. Every score in the table is thus out-of-sample.
        """
        table = self.table[self.table["section"].isin(self.planned)]
        held_out = table[self.role[table.index] == roles.HELD_OUT]
        target = held_out["section"].isin(table.loc[table["domain"] == "target", "section"])
        return pd.concat([table[table["split"] == "test"], held_out, held_out[target].assign(domain="target")])


def open_machine(settings, machine: str) -> MachineClips:
    """Open the decoded clips of a machine type that has systems in the run.

    Raises:
        asdlib.data.catalogue.DataError: The machine type is not in the plan of the run, or not decoded yet.
    """
    from asdlib.data import audio

    machines = catalogue.plan(settings).machines
    if machine not in machines:
        hint = catalogue.nearest(machine, machines)
        raise catalogue.DataError(f"machine {machine!r} has no systems in the profile {settings.profile}{hint}")
    waveforms = audio.Waveforms.open(paths.Run.of(settings).data(machine))
    clips, planned = waveforms.clips, list(machines[machine])
    train = clips["split"] == "train"
    rows = np.flatnonzero(train | clips["section"].isin(planned))
    role = roles.roles(clips.iloc[rows], settings.data.held_out, settings.seed)
    return MachineClips(waveforms, rows, sorted(set(clips.loc[train, "section"])), planned, role)


def counts(clips: pd.DataFrame) -> pd.DataFrame:
    """Count the clips by machine type, section, domain, split and label."""
    return clips.groupby(GROUPS).size().rename("clips").reset_index()


def check(root: Path, data, needed: dict[str, int] | None = None) -> dict:
    """Read every clip of a folder and report contents and problems.

    Args:
        root: The data root.
        data: Settings (:class:`asdlib.params.Data`): sample rate, channels, machines and sections.
        needed: Minimum number of samples of a clip, as returned by :func:`shortest`.

    Returns:
        ``root``; ``usable``; ``clips``, their number; ``counts``, one record per machine type, section, domain, split
        and label, with the ``clips`` found and the approximate number in ``dcase2021``, including missing groups;
        ``machines`` that would get systems, with their sections; ``outliers``; ``problems``, one sentence each, empty
        if the folder can be used; ``warnings``, one sentence each.

    Raises:
        asdlib.data.catalogue.DataError: ``data`` names a machine type or section that does not exist.
    """
    from asdlib.data import audio
    from asdlib.data.doubts import named
    from asdlib.data.quality import suspected_anomalies

    clips, problems, unused = catalogue.walk(root)
    plan, warnings = catalogue.Plan({}, []), []
    if len(clips):
        clips = catalogue.select(clips, data)
        plan, lacking = catalogue.assess(clips, data)
        unreadable, warnings = audio.check(clips, root, data, needed)
        problems += lacking + unreadable
        train = clips.loc[clips["split"] == "train", "path"]
        if suspected := suspected_anomalies(train):
            warnings.append(f"{named(suspected)}: training clips must be normal; move anomalous ones to a test folder")
    few = [
        f"{' '.join(row[key] for key in GROUPS)}: {row['clips']}"
        for row in compared(clips)
        if row["section"] in plan.machines.get(row["machine"], ()) and row["split"] == "test" and 0 < row["clips"] < FEW
    ]
    if few:
        warnings.append(f"{named(few)}: an AUC of fewer than {FEW} clips says little; add some")
    if unused:
        warnings.append(f"{named(map(catalogue.shown, unused))}: not used; expected wav files in {names.EXPECTED}")
    return {
        "root": str(root),
        "usable": not problems,
        "clips": len(clips),
        "counts": compared(clips),
        "machines": plan.machines,
        "outliers": plan.outliers,
        "problems": problems,
        "warnings": warnings,
    }


def compared(clips: pd.DataFrame) -> list[dict]:
    """Compare the number of clips per machine type, section, domain, split and label with that in DCASE2021.

    There is one record per group. Every section has its six groups of DCASE2021, including those without clips.
    """
    found = {tuple(row[key] for key in GROUPS): row["clips"] for row in counts(clips).to_dict("records")}
    groups = {(*section, *group) for section in {key[:2] for key in found} for group in catalogue.DCASE2021}
    return [
        dict(zip(GROUPS, key, strict=True))
        | {"clips": int(found.get(key, 0)), "dcase2021": catalogue.DCASE2021.get(key[2:])}
        for key in sorted(groups | set(found))
    ]


def describe(report: dict) -> str:
    """Format a report of :func:`check` as readable lines."""
    lines = [f"{report['root']}: {report['clips']} clips"]
    for row in report["counts"]:
        usual = f" (DCASE2021: about {row['dcase2021']})" if row["dcase2021"] else ""
        lines.append(f"  {' '.join(row[key] for key in GROUPS)}: {row['clips']}{usual}")
    lines += [f"  {machine}: sections {', '.join(sections)}" for machine, sections in report["machines"].items()]
    lines += [f"  outliers only: {', '.join(report['outliers'])}"] if report["outliers"] else []
    lines += [f"warning: {warning}" for warning in report["warnings"]]
    lines += [f"problem: {problem}" for problem in report["problems"]] or ["no problems: the data can be used"]
    return "\n".join(lines)
