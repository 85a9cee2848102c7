"""Set the thresholds of a detector on new normal recordings."""

import datetime
import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib.data.file_names import ClipName
from asdlib.detector import calibration, level, recordings, statistics, store
from asdlib.detector.calibration import ENSEMBLE
from asdlib.detector.card import CALIBRATION
from asdlib.detector.cutting import FEWEST, cut
from asdlib.detector.judge import Judge
from asdlib.detector.make import COLUMNS, summarise_levels, write_card, write_clips
from asdlib.detector.recordings import MACHINE
from asdlib.detector.reference import write_reference
from asdlib.detector.sources import Recordings
from asdlib.detector.store import Stored
from asdlib.detector.survey import odd, survey
from asdlib.errors import DetectorError
from asdlib.messages import summarise


def calibrate(judge: Judge, target: Path, sources: Recordings, changed: bool) -> None:
    """Set the thresholds and levels of a copy of a detector on new normal recordings.

    Args:
        judge: The detector.
        target: Folder of the copy.
        sources: New recordings, by section.
        changed: Whether they were recorded under the changed conditions.

    Raises:
        asdlib.errors.AsdError: The recordings cannot be used, or too few remain of them.
    """
    stored, domain = judge.stored, "target" if changed else "source"
    description, data = stored.description, stored.settings.data
    rows, waves = _new_windows(judge, sources, domain)
    clips = pd.DataFrame(rows, columns=COLUMNS)
    record = description.record | {
        "calibrated": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "calibrated_on": len(clips),
    }
    description = description.model_copy(
        update={"record": record, "levels": description.levels | summarise_levels(clips.assign(odd=False))}
    )
    names = [
        ClipName(section, domain, "test", "normal", f"{index:04d}").file
        for index, section in enumerate(clips["section"])
    ]
    table = clips.assign(clip=names, label="normal", attributes="")
    windows = [(samples, row) for samples, (_, row) in zip(waves, table.iterrows(), strict=True)]
    nets = stored.autoencoders, stored.classifiers
    write_reference(target, nets, stored.statistics, description, data.sample_rate, windows, table)
    kept = stored.clips  # all rows stay: statistics know clips by their number
    here = kept["section"].isin(set(clips["section"])) & kept["domain"].eq(domain)
    # Statistics alone were cross-fitted, so they have learnt from what first set their thresholds.
    split = kept["split"].mask(here & kept["split"].eq("test"), "replaced" if description.has_networks else "train")
    kept = kept.assign(split=split.mask(here & split.eq(CALIBRATION), "replaced"))
    write_clips(pd.concat([kept, clips.assign(split=CALIBRATION)]), target)
    store.revise(target, description)
    revised = store.load(target)
    _warn_of_alarms(judge, revised, clips, domain)
    write_card(target, revised, description)


def _new_windows(judge: Judge, sources: Recordings, domain: str) -> tuple[list[tuple], list[np.ndarray]]:
    """Cut the new recordings into windows that the detector has not learnt from, and say what is left out.

    Returns:
        A row of ``recordings.csv`` for each window, and its samples, int16, at the detector's level.
    """
    stored = judge.stored
    description, data = stored.description, stored.settings.data
    found, warnings = survey(sources, data)
    for warning in warnings:
        print(f"warning: {warning}", flush=True)
    rows, waves, learnt = [], [], []
    fitted, bands = stored.statistics, statistics.Bands(data.sample_rate)
    for name, files in sources.sections.items():
        code = judge.section(files[0], name)
        own = [path for path in files if path in found]
        unlike = {path for path, _ in odd(own, found)}
        if unlike:
            print(
                f"warning: {summarise(path.name for path in unlike)}: unlike the other recordings; left out",
                flush=True,
            )
        places = cut([path for path in own if path not in unlike], found, description.seconds)
        for path, group in itertools.groupby(places, key=lambda place: place[0]):
            times = [time for _, time in group]
            for begin, wave in recordings.windows(found[path].recording, data.sample_rate, description.seconds, times):
                if len(wave) < recordings.NEARLY * description.seconds * data.sample_rate:
                    continue
                own_level = level.level(wave, data.sample_rate)
                gain = 0.0 if description.level is None else description.level - own_level
                samples = recordings.to_int16(wave, gain)
                keys = [(code, kind, len(samples)) for kind in ("source", "target")]
                if any(key in fitted and fitted[key].has_learnt(bands(samples)) for key in keys):
                    learnt.append(path.name)
                    continue
                rows.append((MACHINE, name, code, domain, "test", path.name, begin, own_level))
                waves.append(samples)
        if learnt:
            print(
                f"warning: {summarise(dict.fromkeys(learnt))}: the detector was trained on these, so thresholds set on "
                "them would be too low; left out",
                flush=True,
            )
            learnt.clear()
        count = sum(row[2] == code for row in rows)
        if count < FEWEST:
            raise DetectorError(
                f"section {name!r} has {count} new normal clip(s) of {description.seconds:.1f} s; expected at least "
                f"{FEWEST}; record more"
            )
    return rows, waves


def _warn_of_alarms(judge: Judge, revised: Stored, clips: pd.DataFrame, domain: str) -> None:
    """Name the new clips that were anomalies before the calibration: they may be no normal ones, or not this machine's.

    Args:
        judge: The detector before the calibration.
        revised: The detector after it.
        clips: Rows of the new clips, in the order of their scores.
        domain: Conditions of all of them.
    """
    samples = revised.description.samples(revised.settings.data.sample_rate)[0]
    for code, own in clips.groupby("section", sort=False):
        key = judge.key(code, domain, samples)
        new = revised.reference[code, domain, samples]
        above = []
        for row, recording in enumerate(own["recording"]):
            scores = {system: values[row] for system, values in new.items()}
            score, held = calibration.combine_branches(scores, judge.stored.reference[key], judge.by)[ENSEMBLE]
            if score > calibration.Calibration(held, judge.rate).threshold():
                above.append(recording)
        if above:
            print(
                f"warning: of {len(own)} new clips of section {own['name'].iloc[0]!r}, {summarise(above)} were above "
                "the threshold so far, and now count as normal; if they are not normal, or come from another machine, "
                "remove them and calibrate again",
                flush=True,
            )
