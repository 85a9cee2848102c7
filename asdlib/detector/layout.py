"""Lay out a user's recordings as a data folder in the form of DCASE2021, which every stage of this package can read.

The user's machine becomes one machine type, with its sub-folders as sections, and each folder of outliers becomes a
machine type of its own. A share of each section's clips is held out from all training as normal test clips, so that the
stages treat them like any unseen clip. Thresholds are set on them, so they share no sample with any other clip.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from asdlib import atomic
from asdlib.data.catalogue import file_states
from asdlib.data.file_names import ClipName
from asdlib.detector import level, recordings
from asdlib.detector.cutting import ENOUGH_TARGET, FEWEST, cut, held_out, window_seconds
from asdlib.detector.recordings import MACHINE
from asdlib.detector.sources import Recordings
from asdlib.detector.survey import FEW_FILES, Survey, odd, survey
from asdlib.errors import DataError
from asdlib.messages import summarise
from asdlib.seeds import derive

_COLUMNS = ["machine", "section", "name", "domain", "split", "recording", "start", "odd"]


@dataclasses.dataclass(frozen=True)
class Layout:
    """The clips of a data folder that was laid out."""

    clips: pd.DataFrame
    """one row per clip: ``machine``, ``section`` (two digits), ``name`` (the user's), ``domain``, ``split``,
    ``recording`` (the user's file), ``start`` (seconds in it), ``odd`` (unlike the others),
    ``clip``, ``folder``, ``level`` (dB re full scale)"""
    seconds: float
    """length of a window"""
    level: float | None
    """level to which all clips are brought, in dB re full scale; None if levels stay as they are"""
    warnings: list[str]
    """what was odd about the recordings, one sentence each"""


def lay_out(
    sources: Recordings,
    settings,
    false_alarm_rate: float,
    level_limit: float = level.LIMIT,
    statistics_only: bool = False,
) -> Layout:
    """Write recordings to ``settings.data.root`` as clips with file names of DCASE2021.

    Args:
        sources: The recordings, as found by :func:`asdlib.detector.sources.find`.
        settings: :class:`asdlib.params.settings.Settings`; the seed determines what is held out.
        false_alarm_rate: Rate for which the held-out clips must suffice, if there are enough.
        level_limit: 0 to leave levels as they are; otherwise all clips are brought to one level.
        statistics_only: Whether all clips that may set thresholds are test clips, since statistics are cross-fitted.

    Raises:
        AsdError: Recordings cannot be used (all are listed), or a section has too few clips.
    """
    root, rate = Path(settings.data.root), settings.data.sample_rate
    found, warnings = survey(sources, settings.data)
    seconds = window_seconds(sources, found)
    table, strange = _clips(sources, found, seconds, settings.seed, false_alarm_rate, statistics_only)
    if strange:
        warnings.append(
            f"{summarise(strange)}: unlike the other recordings; learnt, but not used for thresholds; remove it if "
            "this is no normal sound of the machine"
        )
    measured = [(level.level(wave, rate), level.peak(wave)) for wave in _waves(table, found, rate, seconds)]
    table["level"] = [value for value, _ in measured]
    target = None
    if level_limit:
        own = (table["machine"].eq(MACHINE) & ~table["odd"]).to_numpy()
        levels, peaks = np.array(measured).T
        target = level.target(levels[own], peaks[own])
    state = _state(sources) | {"rate": false_alarm_rate, "level_limit": level_limit, "alone": statistics_only}
    mark = root / "recordings.json"
    if not mark.is_file() or atomic.read_json(mark) != state:
        with atomic.writing(root, folder=True) as temporary:
            for row, wave in zip(table.itertuples(), _waves(table, found, rate, seconds), strict=True):
                place = temporary / row.machine / row.folder / row.clip
                place.parent.mkdir(parents=True, exist_ok=True)
                samples = recordings.to_int16(wave, 0.0 if target is None else target - row.level)
                soundfile.write(place, samples, rate, subtype="PCM_16")
            atomic.write_json(state, temporary / mark.name)
    return Layout(table, seconds, target, warnings)


def _clips(
    sources: Recordings,
    found: Mapping[Path, Survey],
    seconds: float,
    seed: int,
    false_alarm_rate: float,
    statistics_only: bool,
) -> tuple[pd.DataFrame, list[str]]:
    """List the clips, and describe odd recordings."""
    rows, strange, both = [], [], []
    for number, (name, files) in enumerate(sources.sections.items()):
        section = f"{number:02d}"
        for domain, given in (("source", files), ("target", sources.changed.get(name, []))):
            own = [path for path in given if path in found]
            unlike = odd(own, found)
            strange += [words for _, words in unlike]
            clips = cut(own, found, seconds, apart=len(own) < FEW_FILES)
            if domain == "source" and len(clips) < FEWEST:
                raise DataError(
                    f"section {name!r} has {len(clips)} normal clip(s) of {seconds:.1f} s; expected at least {FEWEST}, "
                    "better a hundred or more; record more, or leave the section out"
                )
            strangers = {path for path, _ in unlike}
            kept = strangers | {path for path in own if found[path].recording.seconds < recordings.NEARLY * seconds}
            able = [index for index, (path, _) in enumerate(clips) if path not in kept]
            held = np.zeros(len(clips), dtype=bool)
            draw = derive(seed, "calibration", section, domain)
            held[able] = held_out([clips[index][0] for index in able], domain, false_alarm_rate, draw)
            if domain == "source" or len(able) >= ENOUGH_TARGET:
                both += [len(rows) + index for index in able]
            rows += [
                (MACHINE, section, name, domain, "test" if out else "train", path, start, path in strangers)
                for (path, start), out in zip(clips, held, strict=True)
            ]
    for number, (name, files) in enumerate(sources.outliers.items()):
        clips = cut([path for path in files if path in found], found, seconds)
        rows += [(f"outlier{number:02d}", "00", name, "source", "train", path, start, False) for path, start in clips]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    index = table.groupby(["machine", "section", "domain", "split"]).cumcount()
    names = [
        ClipName(section, domain, split, "normal", f"{index:04d}")
        for section, domain, split, index in zip(table["section"], table["domain"], table["split"], index, strict=True)
    ]
    if statistics_only:  # the names stay those of a quarter, since the data stage wants clips of both kinds
        table.loc[both, "split"] = "test"
    return table.assign(clip=[name.file for name in names], folder=[name.folder for name in names]), strange


def _waves(table: pd.DataFrame, found: Mapping[Path, Survey], rate: int, seconds: float) -> Iterator[np.ndarray]:
    """Read the clips of a table, in order; those of a recording are neighbours."""
    for path, rows in itertools.groupby(table.itertuples(), key=lambda row: row.recording):
        times = [row.start for row in rows]
        yield from (wave for _, wave in recordings.windows(found[path].recording, rate, seconds, times))


def _state(sources: Recordings) -> dict:
    """Return names, sizes and times of all files, which decide whether an interrupted training may resume."""
    return {
        kind: {name: file_states(Path(), files) for name, files in group.items()}
        for kind, group in dataclasses.asdict(sources).items()
    }
