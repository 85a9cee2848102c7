"""Write the folder of a detector: from its trained networks, or with thresholds set on new recordings."""

import datetime
import itertools
import time
from collections.abc import Iterable
from pathlib import Path

import librosa
import numpy as np
import pandas as pd

from asdlib import atomic, paths, records, scores, training
from asdlib.data.audio import Waveforms
from asdlib.detector import calibration, collect, level, recordings, statistics, store
from asdlib.detector.card import card
from asdlib.detector.cutting import FEWEST, cut
from asdlib.detector.facts import Facts
from asdlib.detector.judge import Judge
from asdlib.detector.layout import Layout
from asdlib.detector.localize import FrameStatistics
from asdlib.detector.networks import Window, measure_window
from asdlib.detector.recordings import MACHINE
from asdlib.detector.sources import Recordings
from asdlib.detector.statistics import Bands, Statistics
from asdlib.detector.store import Stored
from asdlib.detector.survey import odd, survey
from asdlib.errors import DetectorError
from asdlib.messages import summarise

COLUMNS = ["machine", "name", "section", "domain", "split", "recording", "start", "level"]
"""columns of ``recordings.csv``"""
_GOLDEN = 0.6180339887  # spreads the starts of pieces evenly over their clips, however many clips there are
_FEW = 3  # minimum number of windows of changed conditions that show in which direction spectra changed


def levels(clips: pd.DataFrame) -> dict[str, level.Learnt]:
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
    usual = _statistics(waveforms, clips, facts, settings.data.sample_rate)
    statistics.save(usual, target / statistics.FILE)
    held_out = waveforms.clips[waveforms.clips["split"] == "test"]
    windows = ((waveforms.read(row), clip) for row, (_, clip) in zip(held_out.index, held_out.iterrows(), strict=True))
    _reference(target, nets, usual, facts, settings.data.sample_rate, windows, held_out.reset_index(drop=True))
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
    usual, bands = stored.statistics, Bands(data.sample_rate)
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
    facts = facts.model_copy(update={"record": record, "levels": facts.levels | levels(clips)})
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
    _reference(target, nets, stored.statistics, facts, data.sample_rate, windows, table)
    kept = stored.clips
    replaced = kept["section"].isin(set(clips["section"])) & kept["domain"].eq(domain) & kept["split"].eq("test")
    kept = kept.assign(split=kept["split"].mask(replaced, "replaced"))  # keeps the numbers of the rows
    pd.concat([kept, clips])[COLUMNS].round({"level": 2}).to_csv(target / store.CLIPS, index=False, lineterminator="\n")
    store.revise(target, facts)
    _write_card(target, store.load(target), facts)


def revise(target: Path, stored: Stored, facts: Facts) -> None:
    """Change the description of the detector in a folder, including its card."""
    store.revise(target, facts)
    _write_card(target, stored, facts)


def _write_card(target: Path, stored: Stored, facts: Facts) -> None:
    limits = calibration.calibrate(stored.reference, facts.false_alarm_rate, stored.settings.ensemble.combinations[0])
    whole = facts.samples(stored.settings.data.sample_rate)[0]
    limits = {(section, domain): parts for (section, domain, samples), parts in limits.items() if samples == whole}
    (target / store.CARD).write_text(card(facts, stored.settings, stored.clips, limits), encoding="utf-8")


def _reference(
    target: Path,
    nets: tuple[dict, dict],
    usual: dict,
    facts: Facts,
    rate: int,
    windows: Iterable[tuple[np.ndarray, pd.Series]],
    held_out: pd.DataFrame,
) -> None:
    """Score held-out windows at every length, and write the scores and the statistics of their frames.

    The scores and statistics of other sections and domains are kept.

    Args:
        target: Folder of the detector.
        nets: Autoencoders and classifiers, by candidate.
        usual: Statistics of spectra, by section, domain and length.
        facts: Description of the detector.
        rate: Sampling rate in Hz.
        windows: Samples, int16, and catalogue row of each held-out clip.
        held_out: Catalogue rows of the held-out clips.
    """
    bands, sizes = Bands(rate), facts.samples(rate)
    values: dict[int, list[dict]] = {size: [] for size in sizes}
    frames: dict[tuple, list] = {}
    for number, (samples, clip) in enumerate(windows):
        for size in sizes:
            part = piece(samples, size, number, rate, facts.level)
            measured = measure_window(*nets, usual, bands, Window(part, clip["section"], clip["domain"]))
            values[size].append(measured.scores)
            key = clip["section"], clip["domain"], size
            frames.setdefault(key, []).append((measured.frames, measured.errors))
    step = next(iter(nets[0].values())).step
    for size in sizes:
        found, path = pd.DataFrame(values[size]), target / store.CALIBRATION / f"{size}.csv"
        parts = [scores.table(held_out, system, found[system]) for system in found]
        if path.is_file():
            before = scores.read(path)
            new = set(zip(held_out["section"], held_out["domain"], strict=True))
            stays = [key not in new for key in zip(before["section"], before["domain"], strict=True)]
            parts.insert(0, before[stays])
        path.parent.mkdir(exist_ok=True)
        scores.write(pd.concat(parts, ignore_index=True), path)
    first = next(iter(frames.values()))[0][1]
    edges = librosa.mel_frequencies(first.shape[1] + 2, fmin=0, fmax=rate / 2)
    found = {key: FrameStatistics.of(*zip(*some, strict=True), step, edges) for key, some in frames.items()}
    before = store.load_frames(target) if (target / store.FRAMES).is_file() else {}
    store.save_frames(before | found, target / store.FRAMES)


def piece(samples: np.ndarray, size: int, number: int, rate: int, target: float | None) -> np.ndarray:
    """Cut ``size`` samples from clip ``number`` and bring them to the target level, like a recording of that length."""
    if len(samples) <= size:
        return samples
    first = round((number * _GOLDEN % 1) * (len(samples) - size))
    part = samples[first : first + size]
    if target is None:
        return part
    wave = part / -float(np.iinfo(np.int16).min)
    return recordings.to_int16(wave, target - level.level(wave, rate))


def _statistics(waveforms: Waveforms, clips: pd.DataFrame, facts: Facts, rate: int) -> dict[tuple, Statistics]:
    """Fit the statistics of each section, domain and length to the clips on which the networks are trained."""
    bands, result = Bands(rate), {}
    rows = {
        key: row for row, key in clips[clips["machine"] == MACHINE][["section", "clip"]].apply(tuple, axis=1).items()
    }
    table = waveforms.clips
    train = table[(table["split"] == "train") & (table["label"] == "normal")]
    for size in facts.samples(rate):
        spectra: dict[tuple, list] = {}
        for number, (row, clip) in enumerate(train.iterrows()):
            samples = waveforms.read(row)
            if len(samples) < size:
                continue
            spectrum = bands(piece(samples, size, number, rate, facts.level))
            own = spectra.setdefault((clip["section"], clip["domain"]), [])
            own.append((spectrum, rows[clip["section"], clip["clip"]]))
        for (section, domain), parts in spectra.items():
            if domain == "source":
                result[section, domain, size] = Statistics.fit(*zip(*parts, strict=True), bands.step)
        for (section, domain), parts in spectra.items():
            if domain == "target" and len(parts) >= _FEW:
                changed, indices = zip(*parts, strict=True)
                result[section, domain, size] = result[section, "source", size].widen(changed, indices, bands.step)
    return result
