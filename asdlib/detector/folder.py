"""From a user's folders of normal recordings to a data folder that every stage of this package can read.

The user's machine becomes one machine type, its sub-folders the sections, and each folder of outliers a machine type of
its own. A share of each section's clips is held out from all training: as normal test clips, so that the stages treat
them like any unseen clip. Thresholds are set on them.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import AsdError, artefacts, training
from asdlib.data import wav
from asdlib.data.catalogue import listed
from asdlib.data.names import ClipName
from asdlib.detector.recordings import LONGEST, MACHINE, RecordingError, begins, duration, windows

FEWEST = 8
"""normal clips that a section must have"""
HELD_OUT = 0.25
"""share of a section's clips that no training sees, for the thresholds"""
ENOUGH_TARGET = 20
"""clips of changed conditions from which on a share of them is held out, too"""
FEW_FILES = 8
"""recordings below which their last parts are held out in place of whole recordings"""


@dataclasses.dataclass(frozen=True)
class Recordings:
    """The wav files that a detector learns from, by name of their section or folder."""

    sections: dict[str, list[Path]]
    changed: dict[str, list[Path]]
    """recordings of changed conditions (the target domain), by section"""
    outliers: dict[str, list[Path]]


def find(
    normal: Path | str | Sequence[Path | str],
    changed: Path | str | None = None,
    outliers: Iterable[Path | str] = (),
) -> Recordings:
    """Find the wav files.

    Args:
        normal: A folder of wav files, or of sub-folders of them (sections); or a list of files, one section.
        changed: A folder of recordings under changed conditions, with sub-folders as in ``normal`` if that has any.
        outliers: Folders of normal recordings of anything else; each counts as one machine type.

    Raises:
        RecordingError: A folder is missing or empty, or has both files and sub-folders, or a section is not known, or
            a recording is given for two uses.
    """
    if isinstance(normal, str | Path):
        sections = _sections(Path(normal))
    else:
        sections = {"all": [Path(path) for path in normal]}
        if not sections["all"]:
            raise RecordingError("no recordings given; expected wav files, or a folder of them")
    shifted = _sections(Path(changed)) if changed is not None else {}
    if shifted and len(sections) == len(shifted) == 1:
        shifted = dict(zip(sections, shifted.values(), strict=True))
    unknown = sorted(set(shifted) - set(sections))
    if unknown:
        raise RecordingError(
            f"{changed}: {unknown[0]!r} is no section of {normal}; expected sub-folders named {', '.join(sections)}"
        )
    others = {}
    for place in map(Path, outliers):
        files = sorted(path for path in _folder(place).rglob("*") if path.suffix.lower() == ".wav")
        if not files:
            raise RecordingError(f"{place}: no wav file in it; expected normal recordings of another machine")
        others[str(place)] = files
    uses: dict[Path, str] = {}
    for use, group in (("normal", sections), ("changed", shifted), ("outlier", others)):
        for path in (path for files in group.values() for path in files):
            before = uses.setdefault(path.resolve(), use)
            if before != use:
                raise RecordingError(
                    f"{path}: given as {before} and as {use}; expected one of them; leave it out of one"
                )
    return Recordings(sections, shifted, others)


def lay_out(recordings: Recordings, settings, false_alarm_rate: float) -> pd.DataFrame:
    """Write the recordings to ``settings.data.root`` as clips with the file names of DCASE2021.

    Args:
        recordings: Of :func:`find`.
        settings: :class:`asdlib.params.Settings`; its seed draws what is held out.
        false_alarm_rate: That the held-out clips must suffice for, if there are enough.

    Returns:
        One row a clip: ``machine, section`` (two digits), ``name`` (the user's), ``domain, split, clip``, ``recording``
        (the user's file), ``start`` (seconds in it).  ``attrs["seconds"]`` is the length of a window.

    Raises:
        AsdError: Recordings that cannot be used, all listed; or a section with too few clips.
    """
    root = Path(settings.data.root)
    seconds = window_seconds(recordings, settings.data)
    rows = []
    for number, (name, files) in enumerate(recordings.sections.items()):
        section = f"{number:02d}"
        for domain, given in (("source", files), ("target", recordings.changed.get(name, []))):
            clips = [(path, place) for path in given for place in begins(path, settings.data, seconds)]
            if domain == "source" and len(clips) < FEWEST:
                raise RecordingError(
                    f"section {name!r} has {len(clips)} normal clip(s) of {seconds:.1f} s; expected at least {FEWEST}, "
                    "better a hundred or more; record more, or leave the section out"
                )
            seed = training.derive(settings.seed, "calibration", section, domain)
            held = held_out([path for path, _ in clips], domain, false_alarm_rate, seed)
            rows += [
                (MACHINE, section, name, domain, "test" if out else "train", path, place)
                for (path, place), out in zip(clips, held, strict=True)
            ]
    for number, (name, files) in enumerate(recordings.outliers.items()):
        for path in files:
            rows += [
                (f"outlier{number:02d}", "00", name, "source", "train", path, place)
                for place in begins(path, settings.data, seconds)
            ]
    table = pd.DataFrame(rows, columns=["machine", "section", "name", "domain", "split", "recording", "start"])
    number = table.groupby(["machine", "section", "domain", "split"]).cumcount()
    names = [
        ClipName(section, domain, split, "normal", f"{index:04d}")
        for section, domain, split, index in zip(table["section"], table["domain"], table["split"], number, strict=True)
    ]
    table = table.assign(clip=[name.file for name in names], folder=[name.folder for name in names])
    table.attrs["seconds"] = seconds
    state = _state(recordings)
    mark = root / "recordings.json"
    if mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == state:
        return table
    with artefacts.writing(root, folder=True) as temporary:
        for path, part in table.groupby("recording", sort=False):
            for (_, samples), row in zip(windows(path, settings.data, seconds), part.itertuples(), strict=True):
                place = temporary / row.machine / row.folder / row.clip
                place.parent.mkdir(parents=True, exist_ok=True)
                wav.write(place, samples, settings.data.sample_rate)
        artefacts.write_json(state, temporary / mark.name)
    return table


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


def window_seconds(recordings: Recordings, data) -> float:
    """The length of a window: the median recording of the machine, or :data:`~.recordings.LONGEST` if that is shorter.

    Raises:
        AsdError: All recordings that cannot be used, in one message.
    """
    lengths, problems = [], []
    for files in (*recordings.sections.values(), *recordings.changed.values(), *recordings.outliers.values()):
        for path in files:
            try:
                lengths.append(duration(path, data))
            except AsdError as error:
                problems.append(str(error))
    if problems:
        raise RecordingError(listed("recordings that cannot be used", problems))
    normal = sum(len(files) for files in recordings.sections.values())
    return min(float(np.median(lengths[:normal])), LONGEST)


def _sections(folder: Path) -> dict[str, list[Path]]:
    files = _wavs(_folder(folder))
    inner = {place.name: _wavs(place) for place in sorted(folder.iterdir()) if place.is_dir()}
    inner = {name: paths for name, paths in inner.items() if paths}
    if files and inner:
        raise RecordingError(
            f"{folder}: wav files and sub-folders with wav files ({', '.join(inner)}); expected either files, one "
            "section, or sub-folders, one a section; move the files"
        )
    if len(inner) > 100:
        raise RecordingError(f"{folder}: {len(inner)} sub-folders with wav files; expected at most 100 sections")
    if not files and not inner:
        raise RecordingError(f"{folder}: no wav file in it or in its sub-folders; expected normal recordings")
    return inner or {folder.resolve().name: files}


def _wavs(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".wav" and path.is_file())


def _folder(folder: Path) -> Path:
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "no such folder"
        raise RecordingError(f"{folder}: {found}; expected a folder of wav files")
    return folder


def _state(recordings: Recordings) -> dict:
    """Names, sizes and times of all files: whether a training that was interrupted may go on."""
    return {
        kind: {name: [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in files] for name, files in group.items()}
        for kind, group in dataclasses.asdict(recordings).items()
    }
