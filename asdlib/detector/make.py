"""Write the folder of a detector from its trained networks, and its model card."""

import shutil
import time
from pathlib import Path

import pandas as pd
from safetensors.numpy import save_file

from asdlib import atomic, paths, records
from asdlib.classifier import FILES, clip_outputs
from asdlib.classifier.reference_statistics import ReferenceStatistics
from asdlib.compute import resolve_compute
from asdlib.data.audio import Waveforms
from asdlib.detector import calibration, level, statistics, store
from asdlib.detector.card import card
from asdlib.detector.description import Description
from asdlib.detector.layout import Layout
from asdlib.detector.networks import CENTROIDS, NORMAL, SCORERS
from asdlib.detector.recordings import MACHINE
from asdlib.detector.reference import cross_fit, fit_statistics, write_reference
from asdlib.detector.store import Stored
from asdlib.messages import printable
from asdlib.seeds import derive
from asdlib.tables import write_table

COLUMNS = ["machine", "name", "section", "domain", "split", "recording", "start", "level"]
"""columns of ``recordings.csv``"""


def summarise_levels(clips: pd.DataFrame) -> dict[str, level.Learnt]:
    """Summarise the levels of the machine's clips by section and domain; one odd recording must not widen them."""
    own = clips[(clips["machine"] == MACHINE) & ~clips["odd"]]
    groups = own.groupby(["section", "domain"])["level"]
    return {"/".join(key): level.Learnt.of(values.to_numpy()) for key, values in groups}


def write(target: Path, settings, description: Description, layout: Layout, began: float) -> None:
    """Fill the folder of a detector from its trained networks in their run.

    Args:
        target: Folder to fill.
        settings: Settings of the run (:class:`asdlib.params.settings.Settings`).
        description: Description of the detector, without its record.
        layout: The clips.
        began: Start of the fit, by the monotonic clock.
    """
    for name in description.autoencoder:
        _copy_autoencoder(settings, name, target / "autoencoder" / name)
    for name in description.classifier:
        write_classifier(settings, name, description.codes, target / "classifier" / name)
    nets = store.open_networks(settings, description, target)
    waveforms = Waveforms.open(paths.Run.of(settings).data(MACHINE))
    clips = layout.clips.reset_index(drop=True)
    rate = settings.data.sample_rate
    if description.has_networks:
        fitted = fit_statistics(waveforms, clips, description, rate)
        held_out = waveforms.clips[waveforms.clips["split"] == "test"]
        windows = ((waveforms.read(row), clip) for row, clip in held_out.iterrows())
        write_reference(target, nets, fitted, description, rate, windows, held_out.reset_index(drop=True))
    else:
        fitted = cross_fit(target, waveforms, clips, description, rate, derive(settings.seed, "cross-fitting"))
    statistics.save(fitted, target / statistics.FILE)
    resolved = settings.resolved() | {"runs": "", "device": "auto"}
    resolved["data"] = resolved["data"] | {"root": ""}
    record = records.record(
        resolved,
        seed=settings.seed,
        device=resolve_compute(settings).describe(),
        data=waveforms.fingerprint,
        seconds=time.monotonic() - began,
        warnings=layout.warnings,
    )
    del record["settings"]  # settings.json holds them
    description = description.model_copy(update={"record": record})
    atomic.write_json(resolved, target / "settings.json")
    atomic.write_json(description.model_dump(mode="json"), target / "detector.json")
    listed = clips.assign(recording=[path.name for path in clips["recording"]])
    write_clips(listed, target)
    write_card(target, store.load(target), description)


def _copy_autoencoder(settings, candidate: str, folder: Path) -> None:
    """Copy network and Gaussians of a candidate from its run to ``folder``."""
    _copy(paths.Run.of(settings).system("autoencoder", MACHINE, candidate), folder, ["model.safetensors", SCORERS])


def write_classifier(settings, candidate: str, sections: list[str], folder: Path) -> None:
    """Write networks, centroids and reference statistics of a candidate of a run to ``folder``."""
    run = paths.Run.of(settings)
    for section in sections:
        source = run.system("classifier", MACHINE, candidate, section)
        _copy(source, folder / section, [name for name in FILES.values() if (source / name).is_file()])
    table, embedding = clip_outputs.read(settings, MACHINE, candidate)
    centroids = clip_outputs.select_centroids(table, embedding)
    save_file({"/".join(key): rows for key, rows in centroids.items()}, folder / CENTROIDS)
    options = settings.candidate("classifier", candidate).scorer
    ReferenceStatistics.fit(table, embedding, options).save(folder / NORMAL)


def _copy(source: Path, folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copyfile(source / name, folder / name)


def write_clips(clips: pd.DataFrame, target: Path) -> None:
    """Write ``recordings.csv`` of the detector in a folder; the columns of ``clips`` include :data:`COLUMNS`."""
    names = {column: clips[column].map(printable) for column in ("name", "recording")}  # names on disk may be anything
    write_table(clips[COLUMNS].assign(**names).round({"level": 2}), target / store.CLIPS)


def revise(target: Path, stored: Stored, description: Description) -> None:
    """Change the description of the detector in a folder, including its card."""
    store.revise(target, description)
    write_card(target, stored, description)


def write_card(target: Path, stored: Stored, description: Description) -> None:
    """Write the model card of the detector in a folder."""
    limits = calibration.calibrate(
        stored.reference, description.false_alarm_rate, stored.settings.ensemble.combinations[0]
    )
    whole = description.samples(stored.settings.data.sample_rate)[0]
    limits = {(section, domain): parts for (section, domain, samples), parts in limits.items() if samples == whole}
    atomic.write_text(card(description, stored.settings, stored.clips, limits), target / store.CARD)
