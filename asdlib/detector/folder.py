"""From a user's folders of normal recordings to a data folder that every stage of this package can read.

The user's machine becomes one machine type, its sub-folders the sections, and each folder of outliers a machine type of
its own. A share of each section's clips is held out from all training: as normal test clips, so that the stages treat
them like any unseen clip. Thresholds are set on them, so they share no sample with any other clip.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from asdlib import atomic, training
from asdlib.data import catalogue
from asdlib.data.anomaly_names import suspected_anomalies
from asdlib.data.names import ClipName
from asdlib.detector import level, overlap, recordings, sources, statistics
from asdlib.detector.recordings import LONGEST, MACHINE
from asdlib.detector.sources import named
from asdlib.errors import AsdError, DataError

FEWEST = 8
"""normal clips that a section must have"""
HELD_OUT = 0.25
"""share of a section's clips that no training sees, for the thresholds"""
ENOUGH_TARGET = 20
"""clips of changed conditions from which on a share of them is held out, too"""
FEW_FILES = 8
"""recordings below which their last parts are held out in place of whole recordings"""
ODD = 8.0
"""deviations from the median, in robust standard deviations averaged over bands, from which on a recording is odd"""
ODD_SHARE = 0.05
"""share of a section's recordings above which they are no exceptions but another way in which the machine sounds"""
_QUIETER = 40.0  # dB below the median at which a recording holds no sound of the machine
_FAINT = 0.5  # dB, at least, of a robust standard deviation


@dataclasses.dataclass(frozen=True)
class Recordings:
    """The recordings that a detector learns from, by name of their section or folder."""

    sections: dict[str, list[Path]]
    changed: dict[str, list[Path]]
    """recordings of changed conditions (the target domain), by section"""
    outliers: dict[str, list[Path]]


def find(
    normal: Path | str | Sequence[Path | str],
    changed: Path | str | None = None,
    outliers: Iterable[Path | str] | Path | str = (),
    trust: bool = False,
) -> Recordings:
    """Find the recordings.

    Args:
        normal: A folder of recordings, or of sub-folders of them (sections); or a list of files, one section.
        changed: A folder of recordings under changed conditions, with sub-folders as in ``normal`` if that has any.
        outliers: Folders of normal recordings of anything else, or one such folder; each counts as one machine type.
        trust: Take recordings for normal whatever their names say.

    Raises:
        DataError: A folder is missing or empty, or has both files and sub-folders, or a section is not known, or
            a recording is given twice, or names say that recordings are anomalous.
    """
    if isinstance(normal, str | Path):
        sections = _sections(Path(normal))
    else:
        sections = {"all": [Path(path) for path in normal]}
        if not sections["all"]:
            raise DataError("no recordings given; expected files, or a folder of them")
    shifted = _sections(Path(changed)) if changed is not None else {}
    if shifted and len(sections) == len(shifted) == 1:
        shifted = dict(zip(sections, shifted.values(), strict=True))
    unknown = sorted(set(shifted) - set(sections))
    if unknown:
        raise DataError(
            f"{changed}: {unknown[0]!r} is no section of {normal}; expected sub-folders named {', '.join(sections)}"
        )
    folders = [outliers] if isinstance(outliers, str | Path) else outliers
    others = {str(place): sources.below(place) for place in map(Path, folders)}
    if not trust:
        _check_names(sections, normal if isinstance(normal, str | Path) else None)
        _check_names(shifted, changed)
    uses: dict[Path, tuple[str, str]] = {}
    for use, group in (("normal", sections), ("changed", shifted), ("outlier", others)):
        for name, files in group.items():
            for path in files:
                before = uses.setdefault(path.resolve(), (use, name))
                if before[0] != use:
                    raise DataError(
                        f"{path}: given as {before[0]} and as {use}; expected one of them; leave it out of one"
                    )
                if before[1] != name:
                    raise DataError(
                        f"{path}: given twice, with {before[1]} and with {name}; expected folders that do not overlap; "
                        "leave out one of them"
                    )
    return Recordings(sections, shifted, others)


def _check_names(group: dict[str, list[Path]], top: Path | str | None) -> None:
    """Raise :class:`DataError` if names say that recordings are not normal."""
    told = suspected_anomalies([path for files in group.values() for path in files], top)
    if told:
        raise DataError(
            f"recordings that are to be learnt as normal may be anomalous: {named(told)}; a detector that learns them "
            "does not find them; move them elsewhere and fit without them, or, if all of them are normal, give "
            "--ignore-names (ignore_names=True)"
        )


@dataclasses.dataclass(frozen=True)
class Survey:
    """What is known of a recording after listening to it once."""

    level: float
    """dB re full scale"""
    spectrum: np.ndarray
    """mean in dB of each mel band, without the level"""
    places: np.ndarray
    """seconds at which it holds samples of an earlier recording"""
    earlier: Path | None
    """that recording"""


def survey(recordings_: Recordings, data) -> tuple[dict[Path, Survey], list[str]]:
    """Listen to every recording once.

    Returns:
        What was found, by recording, without those that must not be learnt from: silent ones, and copies of others. And
        what the user should know, a sentence each.

    Raises:
        DataError: A recording shares samples with one of another use or section.
    """
    seen, bands = overlap.Seen(), statistics.Bands(data.sample_rate)
    role, found, copies, cuts, silent = {}, {}, [], [], []
    groups = (recordings_.sections, recordings_.changed, recordings_.outliers)
    for use, group in zip(("normal", "changed", "outlier"), groups, strict=True):
        for name, files in group.items():
            for path in files:
                role[path] = use, name
                one = _listen(path, data, bands, seen)
                if one is None:
                    silent.append(path)
                    continue
                if one.earlier is not None and role[one.earlier] != (use, name):
                    raise DataError(
                        f"{path} ({use}, {name}) holds samples of {one.earlier} ({', '.join(role[one.earlier])}); "
                        "expected recordings that share none; leave out one of them"
                    )
                found[path] = one
                if one.earlier is not None:
                    whole = len(one.places) and _covers(one.places, sources.open_recording(path, data).seconds)
                    (copies if whole else cuts).append(f"{path.name} of {one.earlier.name}")
                    if whole:
                        del found[path]
    sentences = []
    if silent:
        sentences.append(f"{named(path.name for path in silent)}: silent; left out; check the microphone")
    if copies:
        sentences.append(f"{named(copies)}: holds the same samples; left out, since no clip may count twice")
    if cuts:
        sentences.append(f"{named(cuts)}: shares samples; the shared parts are left out of the later one")
    return found, sentences


def _listen(path: Path, data, bands: statistics.Bands, seen: overlap.Seen) -> Survey | None:
    """Survey one recording; None if it is silent."""
    recording = recordings.opened(path, data)
    levels, spectra, hashes, places = [], [], [], []
    block = round(LONGEST * recording.rate)
    for first in range(0, recording.frames, block):
        # Blocks share so many samples that no run is missed between them.
        wave = recording.read(first, min(block + 31, recording.frames - first))
        some, where = overlap.anchors(wave)
        hashes.append(some)
        places.append(where + first)
        wave = recordings.resampled(wave[:block], recording.rate, data.sample_rate)
        if len(wave) < bands.size:
            continue
        levels.append(level.level(wave, data.sample_rate))
        spectra.append(bands(recordings.to_int16(wave, level.TARGETS[1] - levels[-1])).mean(0))
    own = float(np.median(levels))
    if own < level.SILENT:
        return None
    earlier, shared = seen.add(path, np.concatenate(hashes), np.concatenate(places))
    return Survey(own, np.median(spectra, axis=0), shared / recording.rate, earlier)


def _covers(places: np.ndarray, seconds: float) -> bool:
    """Say whether shared places leave no second of a recording free."""
    gaps = np.diff(np.concatenate([[0.0], np.sort(places), [seconds]]))
    return bool(gaps.max() < recordings.SHORTEST)


def odd(files: Sequence[Path], found: dict[Path, Survey]) -> list[tuple[Path, str]]:
    """Find the few recordings of a section that are unlike all others, each with how.

    Their thresholds would be useless if such a recording set them: one silent clip scored a thousand times as high as
    any other. Robust: what is usual is measured by medians, so odd recordings do not make themselves usual.
    """
    if len(files) < FEW_FILES:
        return []
    values = np.stack([np.append(found[path].spectrum, found[path].level) for path in files])
    centre = np.median(values, axis=0)
    deviation = np.maximum(1.4826 * np.median(np.abs(values - centre), axis=0), _FAINT)
    away = np.abs(values - centre) / deviation
    spectral = np.sqrt(np.square(away[:, :-1]).mean(1))
    quiet = centre[-1] - values[:, -1] > _QUIETER
    result = []
    for index, path in enumerate(files):
        change = values[index, -1] - centre[-1]
        if spectral[index] > ODD or quiet[index]:
            result.append(
                (path, f"{path.name} (level {change:+.0f} dB, spectrum {spectral[index]:.0f} deviations off)")
            )
    return result if len(result) <= max(ODD_SHARE * len(files), 1) else []


def lay_out(heard: Recordings, settings, false_alarm_rate: float, level_limit: float = level.LIMIT) -> pd.DataFrame:
    """Write the recordings to ``settings.data.root`` as clips with the file names of DCASE2021.

    Args:
        heard: Of :func:`find`.
        settings: :class:`asdlib.params.settings.Settings`; its seed draws what is held out.
        false_alarm_rate: Rate that the held-out clips must suffice for, if there are enough.
        level_limit: 0 to leave levels as they are; otherwise every clip is brought to one level.

    Returns:
        One row per clip: ``machine, section`` (two digits), ``name`` (the user's), ``domain, split, clip``,
        ``recording`` (the user's file), ``start`` (seconds in it), ``level`` (dB re full scale). ``attrs``:
        ``seconds``, length of a window; ``target``, the level of all clips, or None; ``warnings``, sentences.

    Raises:
        AsdError: Recordings that cannot be used, all listed; or a section with too few clips.
    """
    root, data = Path(settings.data.root), settings.data
    check_all(heard, data)
    found, warnings = survey(heard, data)
    seconds = window_seconds(heard, found, data)
    rows, strange = [], []
    for number, (name, files) in enumerate(heard.sections.items()):
        section = f"{number:02d}"
        for domain, given in (("source", files), ("target", heard.changed.get(name, []))):
            own = [path for path in given if path in found]
            unlike = odd(own, found)
            strange += [words for _, words in unlike]
            clips = cut(own, found, data, seconds, apart=len(own) < FEW_FILES)
            if domain == "source" and len(clips) < FEWEST:
                raise DataError(
                    f"section {name!r} has {len(clips)} normal clip(s) of {seconds:.1f} s; expected at least {FEWEST}, "
                    "better a hundred or more; record more, or leave the section out"
                )
            seed = training.derive(settings.seed, "calibration", section, domain)
            aside = {path for path, _ in unlike} | {
                path for path in own if recordings.opened(path, data).seconds < recordings.NEARLY * seconds
            }
            held = _held_out(clips, aside, domain, false_alarm_rate, seed)
            rows += [
                (MACHINE, section, name, domain, "test" if out else "train", path, place)
                for (path, place), out in zip(clips, held, strict=True)
            ]
    for number, (name, files) in enumerate(heard.outliers.items()):
        clips = cut([path for path in files if path in found], found, data, seconds)
        rows += [(f"outlier{number:02d}", "00", name, "source", "train", path, place) for path, place in clips]
    if strange:
        warnings.append(
            f"{named(strange)}: unlike the other recordings; learnt from, but no threshold is set by it; remove it if "
            "this is no normal sound of the machine"
        )
    table = pd.DataFrame(rows, columns=["machine", "section", "name", "domain", "split", "recording", "start"])
    number = table.groupby(["machine", "section", "domain", "split"]).cumcount()
    names = [
        ClipName(section, domain, split, "normal", f"{index:04d}")
        for section, domain, split, index in zip(table["section"], table["domain"], table["split"], number, strict=True)
    ]
    table = table.assign(clip=[name.file for name in names], folder=[name.folder for name in names])
    state = _state(heard) | {"rate": false_alarm_rate, "level_limit": level_limit}
    mark = root / "recordings.json"
    measured = _measure(table, data, seconds)
    table["level"] = [value for value, _ in measured]
    own = table["machine"].eq(MACHINE).to_numpy()
    target = None
    if level_limit:
        levels, peaks = np.array(measured).T
        target = level.target(levels[own], peaks[own])
    table.attrs |= {"seconds": seconds, "target": target, "warnings": warnings}
    if mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == state:
        return table
    with atomic.writing(root, folder=True) as temporary:
        for row, wave in zip(table.itertuples(), _waves(table, data, seconds), strict=True):
            place = temporary / row.machine / row.folder / row.clip
            place.parent.mkdir(parents=True, exist_ok=True)
            samples = recordings.to_int16(wave, 0.0 if target is None else target - row.level)
            soundfile.write(place, samples, data.sample_rate, subtype="PCM_16")
        atomic.write_json(state, temporary / mark.name)
    return table


def _waves(table: pd.DataFrame, data, seconds: float) -> Iterable[np.ndarray]:
    """Read the clips of a table, in order; those of a recording are neighbours."""
    for path, part in itertools.groupby(table.itertuples(), key=lambda row: row.recording):
        recording = recordings.opened(path, data)
        places = [row.start for row in part]
        yield from (wave for _, wave in recordings.windows(recording, data.sample_rate, seconds, places))


def _measure(table: pd.DataFrame, data, seconds: float) -> list[tuple[float, float]]:
    """Level and peak of each clip, in dB re full scale."""
    return [(level.level(wave, data.sample_rate), level.peak(wave)) for wave in _waves(table, data, seconds)]


def cut(
    files: Sequence[Path], found: dict[Path, Survey], data, seconds: float, apart: bool = False
) -> list[tuple[Path, float]]:
    """Windows of recordings, without those that hold samples of an earlier recording."""
    result = []
    for path in files:
        shared = found[path].places
        for begin in recordings.begins(recordings.opened(path, data), seconds, apart):
            if not ((shared >= begin) & (shared < begin + seconds)).any():
                result.append((path, begin))
    return result


def _held_out(clips: list, aside: set[Path], domain: str, rate: float, seed: int) -> np.ndarray:
    """Apply :func:`held_out` to the clips of all recordings but those ``aside``, which training keeps."""
    result = np.zeros(len(clips), dtype=bool)
    able = [index for index, (path, _) in enumerate(clips) if path not in aside]
    result[able] = held_out([clips[index][0] for index in able], domain, rate, seed)
    return result


def held_out(files: Sequence[Path], domain: str, false_alarm_rate: float, seed: int) -> np.ndarray:
    """Which clips no training sees: a quarter, or as many as the false-alarm rate needs, up to half.

    Whole recordings at random, since windows of one recording are alike; where there are only a few recordings, the
    last part of each. Of few recordings of changed conditions none is held out.

    Args:
        files: The recording of each clip.
        domain: ``source`` or ``target``.
        false_alarm_rate: Its inverse, less one, is the fewest clips that can bound it.
        seed: Of the draw.
    """
    result = np.zeros(len(files), dtype=bool)
    if domain == "target" and len(files) < ENOUGH_TARGET:
        return result
    wanted = min(max(round(HELD_OUT * len(files)), int(np.ceil(1 / false_alarm_rate)) - 1), len(files) // 2)
    order = {path: None for path in files}
    positions = {path: np.array([i for i, other in enumerate(files) if other == path]) for path in order}
    if len(order) < FEW_FILES:
        for index in positions.values():
            share = round(wanted * len(index) / len(files))
            result[index[len(index) - share :]] = True
        return result
    paths = list(order)
    for choice in np.random.default_rng(seed).permutation(len(paths)):
        if result.sum() >= wanted:
            break
        result[positions[paths[choice]]] = True
    return result


def window_seconds(heard: Recordings, found: dict[Path, Survey], data) -> float:
    """Return the length of a window: of the median recording of the machine, :data:`~.recordings.LONGEST` at most.

    Of a section with few recordings the last parts are held out, so that a quarter of a recording must be a window, and
    together they must give enough windows.
    """
    own = [path for files in heard.sections.values() for path in files if path in found]
    if not own:
        raise DataError("no recording can be learnt from: all are silent; check the microphone")
    longest = LONGEST
    for files in heard.sections.values():
        lengths = [recordings.opened(path, data).seconds for path in files if path in found]
        if 0 < len(lengths) < FEW_FILES:
            part = min(HELD_OUT * float(np.median(lengths)), sum(lengths) / (2 * FEWEST))
            longest = min(longest, max(part, recordings.SHORTEST))
    return min(float(np.median([recordings.opened(path, data).seconds for path in own])), longest)


def check_all(heard: Recordings, data) -> None:
    """Raise :class:`DataError` with all recordings that cannot be used, in one message."""
    problems = []
    for group in (heard.sections, heard.changed, heard.outliers):
        for path in itertools.chain.from_iterable(group.values()):
            try:
                recordings.opened(path, data)
            except AsdError as error:
                problems.append(str(error))
    if problems:
        raise DataError(catalogue.listed("recordings that cannot be used", problems))


def _sections(folder: Path) -> dict[str, list[Path]]:
    files = sources.listed(folder)
    inner = {place.name: sources.listed(place) for place in sorted(folder.iterdir()) if place.is_dir()}
    inner = {name: paths for name, paths in inner.items() if paths and not name.startswith(".")}
    if files and inner:
        raise DataError(
            f"{folder}: recordings and sub-folders with recordings ({', '.join(inner)}); expected either files, one "
            "section, or sub-folders, one per section; move the files"
        )
    if len(inner) > 100:
        raise DataError(f"{folder}: {len(inner)} sub-folders with recordings; expected at most 100 sections")
    if not files and not inner:
        raise DataError(f"{folder}: no recording in it or in its sub-folders; {sources.contents(folder)}")
    return inner or {folder.resolve().name: files}


def _state(recordings: Recordings) -> dict:
    """Return names, sizes and times of all files, which decide whether an interrupted training may resume."""
    return {
        kind: {name: [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in files] for name, files in group.items()}
        for kind, group in dataclasses.asdict(recordings).items()
    }
