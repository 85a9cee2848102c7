"""Listen to every recording once before anything is learnt: copies, shared samples, silence, and odd recordings."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asdlib.data.quality import is_clipped, summarise_notes
from asdlib.data.recording import Recording
from asdlib.detector import level, overlap, recordings, statistics
from asdlib.detector.sources import Recordings
from asdlib.errors import AsdError, DataError
from asdlib.messages import list_problems, summarise

FEW_FILES = 8
"""number of recordings below which none of them can be called odd, and parts of each are held out"""
ODD = 8.0
"""distance from the median, in robust standard deviations averaged over bands, from which on a recording is odd"""
ODD_SHARE = 0.05
"""share of a section's recordings above which they are not exceptions but another way in which the machine sounds"""
_QUIETER = 40.0  # dB below the median at which a recording contains no sound of the machine
_FAINT = 0.5  # dB, the smallest robust standard deviation


@dataclass(frozen=True)
class Survey:
    """What is known about a recording after reading it once."""

    recording: Recording
    """the recording, closed; its samples can be read again"""
    level: float
    """dB re full scale"""
    spectrum: np.ndarray
    """mean of each mel band in dB, at one level"""
    shared: np.ndarray
    """times, in seconds, at which it contains samples of an earlier recording"""
    earlier: Path | None
    """that recording; also one of which it is a copy that shares no sample"""
    clipped: bool


def survey(sources: Recordings, data) -> tuple[dict[Path, Survey], list[str]]:
    """Read every recording once.

    Args:
        sources: The recordings.
        data: Settings (:class:`asdlib.params.data.Data`).

    Returns:
        The findings, by recording, without recordings that must not be learnt: silent ones, and copies of others. And
        warnings, one sentence each.

    Raises:
        DataError: Recordings cannot be used (all are listed), or one shares samples with another of another use or
            section.
    """
    opened = _open_all(sources, data)
    seen, alike, bands = overlap.Seen(), overlap.Fingerprints(), statistics.Bands(data.sample_rate)
    advice, notes = "", []
    role, found, copies, cuts, same, doubtful, silent, clipped = {}, {}, [], [], [], [], [], []
    groups = (sources.sections, sources.changed, sources.outliers)
    for use, group in zip(("normal", "changed", "outlier"), groups, strict=True):
        for name, path in ((name, path) for name, files in group.items() for path in files):
            role[path] = use, name
            one = _listen(path, opened[path], data.sample_rate, bands, seen, alike)
            if one is None:
                silent.append(path.name)
                advice = opened[path].advice_on_silence
                continue
            if one.clipped:
                clipped.append(path.name)
            if one.recording.note:
                notes.append((path.name, one.recording.note))
            if one.earlier is None:
                found[path] = one
                continue
            if role[one.earlier] != (use, name):
                if not len(one.shared):
                    doubtful.append(
                        f"{path.name} ({use}, {name}) of {one.earlier.name} ({', '.join(role[one.earlier])})"
                    )
                    found[path] = one
                    continue
                raise DataError(
                    f"{path} ({use}, {name}) contains samples of {one.earlier} ({', '.join(role[one.earlier])}); "
                    "expected recordings that share none; leave out one of them"
                )
            pair = f"{path.name} of {one.earlier.name}"
            if not len(one.shared):
                same.append(pair)
            elif _covers(one.shared, one.recording.seconds):
                copies.append(pair)
            else:
                cuts.append(pair)
                found[path] = one
    if not any(path in found for files in sources.sections.values() for path in files):
        raise DataError(f"there is no recording to learn from: all are silent; {advice}")
    warnings = [
        (silent, f"silent; left out; {advice}"),
        (copies, "contains the same samples; left out, since no clip may count twice"),
        (same, "the same sound, amplified or encoded again; left out, since no clip may count twice"),
        (doubtful, "the same sound as in another section or use, it seems; kept; if it is, leave one of them out"),
        (clipped, "clipped, which may sound like a fault; used all the same; record at a lower level"),
        (cuts, "shares samples; the shared parts of the later one are left out"),
    ]
    return found, [f"{summarise(names)}: {words}" for names, words in warnings if names] + summarise_notes(notes)


def odd(files: Sequence[Path], found: dict[Path, Survey]) -> list[tuple[Path, str]]:
    """Find the few recordings of a section that differ from all others.

    Thresholds would be useless if such a recording set them: one silent clip scored a thousand times as high as any
    other. What is usual is measured by medians, so that odd recordings do not make themselves usual.

    Args:
        files: Recordings of a section and domain.
        found: Findings of :func:`survey`.

    Returns:
        Each odd recording with a description of how it differs.
    """
    if len(files) < FEW_FILES:
        return []
    values = np.stack([np.append(found[path].spectrum, found[path].level) for path in files])
    centre = np.median(values, axis=0)
    deviation = np.maximum(1.4826 * np.median(np.abs(values - centre), axis=0), _FAINT)
    away = np.abs(values - centre) / deviation
    spectral = np.sqrt(np.square(away[:, :-1]).mean(1))
    change = values[:, -1] - centre[-1]
    result = [
        (path, f"{path.name} (level {change[index]:+.0f} dB, spectrum {spectral[index]:.0f} deviations off)")
        for index, path in enumerate(files)
        if spectral[index] > ODD or change[index] < -_QUIETER
    ]
    return result if len(result) <= max(ODD_SHARE * len(files), 1) else []


def _open_all(sources: Recordings, data) -> dict[Path, Recording]:
    """Examine the header of every recording; raise one :class:`DataError` for all that cannot be used."""
    opened, problems = {}, []
    for group in (sources.sections, sources.changed, sources.outliers):
        for path in itertools.chain.from_iterable(group.values()):
            try:
                opened[path] = recordings.open_recording(path, data)
                opened[path].close()
            except AsdError as error:
                problems.append(str(error))
    if problems:
        raise DataError(list_problems("recordings that cannot be used", problems))
    return opened


def _listen(
    path: Path,
    recording: Recording,
    rate: int,
    bands: statistics.Bands,
    seen: overlap.Seen,
    alike: overlap.Fingerprints,
) -> Survey | None:
    """Survey one recording; return None if it is silent."""
    levels, spectra, hashes, places, begins, full = [], [], [], [], None, False
    block = round(recordings.LONGEST * recording.sample_rate)
    with recording:
        for first in range(0, recording.frames, block):
            # Blocks overlap so that no run of samples between two of them is missed.
            overlapping = min(block + overlap.RUN - 1, recording.frames - first)
            wave = recording.waveform(first, overlapping)
            full |= is_clipped(wave)
            some, where = overlap.anchors(wave)
            hashes.append(some)
            places.append(where + first)
            wave = recordings.resample(wave[:block], recording.sample_rate, rate)
            if len(wave) < bands.size:
                continue
            levels.append(level.level(wave, rate))
            spectrum = bands(recordings.to_int16(wave, level.TARGETS[1] - levels[-1]))
            spectra.append(spectrum.mean(0))
            begins = spectrum if len(spectra) == 1 else begins
    own = float(np.median(levels))
    if own < level.SILENT:
        return None
    earlier, shared = seen.add(path, np.concatenate(hashes), np.concatenate(places))
    twin = alike.add(path, begins)
    if earlier is None:
        earlier = twin
    return Survey(recording, own, np.median(spectra, axis=0), shared / recording.sample_rate, earlier, full)


def _covers(shared: np.ndarray, seconds: float) -> bool:
    """Tell whether shared samples leave no second of a recording free."""
    gaps = np.diff(np.concatenate([[0.0], np.sort(shared), [seconds]]))
    return bool(gaps.max() < recordings.SHORTEST)
