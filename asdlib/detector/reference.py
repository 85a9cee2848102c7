"""Score normal clips with a detector at every length of a recording, as a reference for new recordings."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import scores
from asdlib.data.audio import Waveforms
from asdlib.detector import level, recordings, store
from asdlib.detector.calibration import STATISTICS
from asdlib.detector.cutting import folds
from asdlib.detector.description import Description
from asdlib.detector.localize import FrameStatistics
from asdlib.detector.networks import Window, measure_window
from asdlib.detector.recordings import MACHINE
from asdlib.detector.statistics import Bands, Statistics
from asdlib.features import mel_frequencies
from asdlib.units import FULL_SCALE

_GOLDEN = 0.6180339887  # spreads the starts of pieces evenly over their clips, however many clips there are
_FEW = 3  # minimum number of windows of changed conditions that show in which direction spectra changed


def write_reference(
    target: Path,
    nets: tuple[dict, dict],
    statistics: dict[tuple, Statistics],
    description: Description,
    rate: int,
    windows: Iterable[tuple[np.ndarray, pd.Series]],
    held_out: pd.DataFrame,
) -> None:
    """Score held-out windows at every length, and write the scores and the statistics of their frames.

    The scores and statistics of other sections and domains are kept.

    Args:
        target: Folder of the detector.
        nets: Autoencoders and classifiers, by candidate.
        statistics: Statistics of spectra, by section, domain and length.
        description: Description of the detector.
        rate: Sampling rate in Hz.
        windows: Samples, int16, and catalogue row of each held-out clip.
        held_out: Catalogue rows of the held-out clips.
    """
    bands, sizes = Bands(rate), description.samples(rate)
    values: dict[int, list[dict]] = {size: [] for size in sizes}
    frames: dict[tuple, list] = {}
    for number, (samples, clip) in enumerate(windows):
        for size in sizes:
            part = cut_piece(samples, size, number, rate, description.level)
            measured = measure_window(*nets, statistics, bands, Window(part, clip["section"], clip["domain"]))
            values[size].append(measured.scores)
            if measured.frames is not None:
                key = clip["section"], clip["domain"], size
                frames.setdefault(key, []).append((measured.frames, measured.errors))
    for size in sizes:
        _write_scores(target, size, held_out, pd.DataFrame(values[size]))
    if frames:
        _write_frames(target, frames, next(iter(nets[0].values())).step, rate)


def _write_scores(target: Path, size: int, held_out: pd.DataFrame, found: pd.DataFrame) -> None:
    """Write scores of held-out clips, a column per system, at one length; those of other sections and domains stay."""
    path = target / store.CALIBRATION / f"{size}.csv"
    parts = [scores.table(held_out, system, found[system]) for system in found]
    if path.is_file():
        before = scores.read(path)
        new = set(zip(held_out["section"], held_out["domain"], strict=True))
        stays = [key not in new for key in zip(before["section"], before["domain"], strict=True)]
        parts.insert(0, before[stays])
    path.parent.mkdir(exist_ok=True)
    scores.write(pd.concat(parts, ignore_index=True), path)


def _write_frames(target: Path, frames: dict[tuple, list], step: float, rate: int) -> None:
    """Write the statistics of frame scores and errors of an autoencoder with ``step`` seconds between frames."""
    _, errors = next(iter(frames.values()))[0]
    edges = mel_frequencies(errors.shape[1] + 2, rate / 2)
    found = {key: FrameStatistics.of(*zip(*some, strict=True), step, edges) for key, some in frames.items()}
    before = store.load_frames(target) if (target / store.FRAMES).is_file() else {}
    store.save_frames(before | found, target / store.FRAMES)


def cut_piece(samples: np.ndarray, size: int, number: int, rate: int, target: float | None) -> np.ndarray:
    """Cut ``size`` samples from clip ``number`` and bring them to the target level, like a recording of that length."""
    if len(samples) <= size:
        return samples
    first = round((number * _GOLDEN % 1) * (len(samples) - size))
    part = samples[first : first + size]
    if target is None:
        return part
    wave = part / FULL_SCALE
    return recordings.to_int16(wave, target - level.level(wave, rate))


def fit_statistics(
    waveforms: Waveforms, clips: pd.DataFrame, description: Description, rate: int
) -> dict[tuple, Statistics]:
    """Fit the statistics of each section, domain and length to the clips on which the networks are trained."""
    pieces, bands, result = _list_normal(waveforms.clips, clips), Bands(rate), {}
    pieces = pieces[pieces["split"] == "train"]
    for size in description.samples(rate):
        spectra = _compute_spectra(waveforms, pieces, size, description, bands)
        result |= {(*key, size): value for key, value in _fit(pieces, spectra, bands.step).items()}
    return result


def cross_fit(
    target: Path, waveforms: Waveforms, clips: pd.DataFrame, description: Description, rate: int, seed: int
) -> dict[tuple, Statistics]:
    """Fit the statistics to all clips, and write scores of the test clips by statistics fitted without them.

    A clip's score comes from statistics of the clips of other recordings (:func:`asdlib.detector.cutting.folds`), so
    all clips serve both purposes. New clips are scored by statistics of a few clips more, so their scores are a little
    lower, and false alarms rarer (Barber et al., *Predictive inference with the jackknife+*, 2021, bound such rates).

    Args:
        target: Folder of the detector.
        waveforms: The clips.
        clips: Rows of ``recordings.csv``.
        description: Description of the detector.
        rate: Sampling rate in Hz.
        seed: Seed of the random groups.

    Returns:
        The statistics by section, domain and length.
    """
    pieces, bands, result = _list_normal(waveforms.clips, clips), Bands(rate), {}
    pieces["fold"] = -1
    for _, own in pieces[pieces["split"] == "test"].groupby(["section", "domain"]):
        pieces.loc[own.index, "fold"] = folds(list(own["recording"]), seed)
    held_out = pieces[pieces["split"] == "test"]
    for size in description.samples(rate):
        spectra = _compute_spectra(waveforms, pieces, size, description, bands)
        found = {}
        for fold in sorted(held_out["fold"].unique()):
            fitted = _fit(pieces[pieces["fold"] != fold], spectra, bands.step)
            for row, clip in held_out[held_out["fold"] == fold].iterrows():
                own = fitted.get((clip["section"], clip["domain"]), fitted[clip["section"], "source"])
                found[row] = own.score(spectra[row], bands.step)
        table = pd.DataFrame.from_dict(found, orient="index").loc[held_out.index].add_prefix(f"{STATISTICS}/")
        _write_scores(target, size, held_out, table)
        result |= {(*key, size): value for key, value in _fit(pieces, spectra, bands.step).items()}
    return result


def _list_normal(table: pd.DataFrame, clips: pd.DataFrame) -> pd.DataFrame:
    """Return the machine's clips with ``split`` and ``recording`` of ``clips``, and ``source``, their row there."""
    own = clips[clips["machine"] == MACHINE].reset_index(names="source")
    columns = ["section", "domain", "clip"]
    known = own.set_index(columns)[["split", "recording", "source"]]
    return table.drop(columns="split").join(known, on=columns, validate="one_to_one")


def _compute_spectra(
    waveforms: Waveforms, pieces: pd.DataFrame, size: int, description: Description, bands: Bands
) -> dict[int, np.ndarray]:
    """Return the spectrum of a part of ``size`` samples of each clip that is as long, by row."""
    return {
        row: bands(cut_piece(samples, size, number, bands.rate, description.level))
        for number, row in enumerate(pieces.index)
        if len(samples := waveforms.read(row)) >= size
    }


def _fit(pieces: pd.DataFrame, spectra: dict[int, np.ndarray], step: float) -> dict[tuple[str, str], Statistics]:
    """Fit the statistics of each section and domain to those of its clips that have a spectrum."""
    result = {}
    able = pieces[pieces.index.isin(list(spectra))]
    for (section, domain), own in able.groupby(["section", "domain"]):  # source before target
        parts = [spectra[row] for row in own.index], own["source"].tolist(), step
        if domain == "source":
            result[section, domain] = Statistics.fit(*parts)
        elif len(own) >= _FEW:
            result[section, domain] = result[section, "source"].widen(*parts)
    return result
