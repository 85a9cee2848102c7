"""Write the folder of a detector: from its trained networks, or with thresholds set on new recordings."""

import datetime
import itertools
import time
from pathlib import Path

import pandas as pd

from asdlib import atomic, paths, records, training
from asdlib.data.audio import Waveforms
from asdlib.detector import calibration, collect, level, recordings, statistics, store
from asdlib.detector.calibration import ENSEMBLE
from asdlib.detector.card import card
from asdlib.detector.cutting import FEWEST, cut
from asdlib.detector.facts import Facts
from asdlib.detector.judge import Judge
from asdlib.detector.layout import Layout
from asdlib.detector.recordings import MACHINE
from asdlib.detector.reference import fit_statistics, write_reference
from asdlib.detector.sources import Recordings
from asdlib.detector.store import Stored
from asdlib.detector.survey import odd, survey
from asdlib.errors import DetectorError
from asdlib.messages import summarise

COLUMNS = ["machine", "name", "section", "domain", "split", "recording", "start", "level"]
"""columns of ``recordings.csv``"""


def summarise_levels(clips: pd.DataFrame) -> dict[str, level.Learnt]:
    """Summarise the levels of the machine's clips by section and domain."""
    own = clips[clips["machine"] == MACHINE]
    groups = own.groupby(["section", "domain"])["level"]
    return {"/".join(key): level.Learnt.of(values.to_numpy()) for key, values in groups}


def write(target: Path, settings, facts: Facts, layout: Layout, began: float) -> None:
    """Fill the folder of a detector from its trained networks in their run.

    Args:
        target: Folder to fill.
        settings: Settings of the run (:class:`asdlib.params.settings.Settings`).
        facts: Description of the detector, without its record.
        layout: The clips.
        began: Start of the fit, by the monotonic clock.
    """
    for name in facts.autoencoder:
        collect.copy_autoencoder(settings, name, target / "autoencoder" / name)
    for name in facts.classifier:
        collect.write_classifier(settings, name, facts.codes, target / "classifier" / name)
    nets = store.open_networks(settings, facts, target)
    waveforms = Waveforms.open(paths.Run.of(settings).data(MACHINE))
    clips = layout.clips.reset_index(drop=True)
    usual = fit_statistics(waveforms, clips, facts, settings.data.sample_rate)
    statistics.save(usual, target / statistics.FILE)
    held_out = waveforms.clips[waveforms.clips["split"] == "test"]
    windows = ((waveforms.read(row), clip) for row, (_, clip) in zip(held_out.index, held_out.iterrows(), strict=True))
    write_reference(target, nets, usual, facts, settings.data.sample_rate, windows, held_out.reset_index(drop=True))
    resolved = settings.resolved() | {"runs": "", "device": "auto"}
    resolved["data"] = resolved["data"] | {"root": ""}
    record = records.record(
        resolved,
        seed=settings.seed,
        device=training.compute(settings).describe(),
        data=waveforms.fingerprint,
        seconds=time.monotonic() - began,
        warnings=layout.warnings,
    )
    del record["settings"]  # settings.json holds them
    facts = facts.model_copy(update={"record": record})
    atomic.write_json(resolved, target / "settings.json")
    atomic.write_json(facts.model_dump(mode="json"), target / "detector.json")
    listed = clips.assign(recording=[path.name for path in clips["recording"]])
    listed[COLUMNS].round({"level": 2}).to_csv(target / store.CLIPS, index=False, lineterminator="\n")
    _write_card(target, store.load(target), facts)


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
    facts, data = stored.facts, stored.settings.data
    found, warnings = survey(sources, data)
    for warning in warnings:
        print(f"warning: {warning}", flush=True)
    rows, waves, learnt = [], [], []
    usual, bands = stored.statistics, statistics.Bands(data.sample_rate)
    for name, files in sources.sections.items():
        code = judge.section(files[0], name)
        own = [path for path in files if path in found]
        unlike = {path for path, _ in odd(own, found)}
        if unlike:
            print(
                f"warning: {summarise(path.name for path in unlike)}: unlike the other recordings; left out",
                flush=True,
            )
        places = cut([path for path in own if path not in unlike], found, facts.seconds)
        for path, group in itertools.groupby(places, key=lambda place: place[0]):
            times = [time for _, time in group]
            for begin, wave in recordings.windows(found[path].recording, data.sample_rate, facts.seconds, times):
                if len(wave) < recordings.NEARLY * facts.seconds * data.sample_rate:
                    continue
                own_level = level.level(wave, data.sample_rate)
                gain = 0.0 if facts.level is None else facts.level - own_level
                samples = recordings.to_int16(wave, gain)
                keys = [(code, kind, len(samples)) for kind in ("source", "target")]
                if any(key in usual and usual[key].has_learnt(bands(samples)) for key in keys):
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
                f"section {name!r} has {count} new normal clip(s) of {facts.seconds:.1f} s; expected at least "
                f"{FEWEST}; record more"
            )
    clips = pd.DataFrame(rows, columns=COLUMNS)
    record = facts.record | {
        "calibrated": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "calibrated_on": len(clips),
    }
    facts = facts.model_copy(update={"record": record, "levels": facts.levels | summarise_levels(clips)})
    table = clips.assign(
        clip=[
            f"section_{row.section}_{domain}_test_normal_{index:04d}.wav"
            for index, row in enumerate(clips.itertuples())
        ],
        label="normal",
        attributes="",
    )
    windows = [(samples, row) for samples, (_, row) in zip(waves, table.iterrows(), strict=True)]
    nets = stored.autoencoders, stored.classifiers
    write_reference(target, nets, stored.statistics, facts, data.sample_rate, windows, table)
    kept = stored.clips
    replaced = kept["section"].isin(set(clips["section"])) & kept["domain"].eq(domain) & kept["split"].eq("test")
    kept = kept.assign(split=kept["split"].mask(replaced, "replaced"))  # keeps the numbers of the rows
    pd.concat([kept, clips])[COLUMNS].round({"level": 2}).to_csv(target / store.CLIPS, index=False, lineterminator="\n")
    store.revise(target, facts)
    revised = store.load(target)
    _warn_of_alarms(judge, revised, clips, domain)
    _write_card(target, revised, facts)


def _warn_of_alarms(judge: Judge, revised: Stored, clips: pd.DataFrame, domain: str) -> None:
    """Name the new clips that were anomalies before the calibration: they may be no normal ones, or not this machine's.

    Args:
        judge: The detector before the calibration.
        revised: The detector after it.
        clips: Rows of the new clips, in the order of their scores.
        domain: Conditions of all of them.
    """
    samples = revised.facts.samples(revised.settings.data.sample_rate)[0]
    for code, own in clips.groupby("section", sort=False):
        key = judge.key(code, domain, samples)
        new = revised.reference[code, domain, samples]
        scores = calibration.combine_branches(new, judge.stored.reference[key], judge.by)[ENSEMBLE]
        above = own["recording"][scores > judge.limits[key][ENSEMBLE].threshold()]
        if len(above):
            print(
                f"warning: of {len(own)} new clips of section {own['name'].iloc[0]!r}, {summarise(above)} were above "
                "the threshold so far, and now count as normal; if they are not normal, or come from another machine, "
                "remove them and calibrate again",
                flush=True,
            )


def revise(target: Path, stored: Stored, facts: Facts) -> None:
    """Change the description of the detector in a folder, including its card."""
    store.revise(target, facts)
    _write_card(target, stored, facts)


def _write_card(target: Path, stored: Stored, facts: Facts) -> None:
    limits = calibration.calibrate(stored.reference, facts.false_alarm_rate, stored.settings.ensemble.combinations[0])
    whole = facts.samples(stored.settings.data.sample_rate)[0]
    limits = {(section, domain): parts for (section, domain, samples), parts in limits.items() if samples == whole}
    (target / store.CARD).write_text(card(facts, stored.settings, stored.clips, limits), encoding="utf-8")
