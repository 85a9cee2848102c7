"""Score normal clips with a detector at every length of a recording, as a reference for new recordings."""

from collections.abc import Iterable
from pathlib import Path

import librosa
import numpy as np
import pandas as pd

from asdlib import scores
from asdlib.data.audio import Waveforms
from asdlib.detector import level, recordings, store
from asdlib.detector.facts import Facts
from asdlib.detector.localize import FrameStatistics
from asdlib.detector.networks import Window, measure_window
from asdlib.detector.recordings import MACHINE
from asdlib.detector.statistics import Bands, Statistics

_GOLDEN = 0.6180339887  # spreads the starts of pieces evenly over their clips, however many clips there are
_FEW = 3  # minimum number of windows of changed conditions that show in which direction spectra changed


def write_reference(
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
            part = cut_piece(samples, size, number, rate, facts.level)
            measured = measure_window(*nets, usual, bands, Window(part, clip["section"], clip["domain"]))
            values[size].append(measured.scores)
            if measured.frames is not None:
                key = clip["section"], clip["domain"], size
                frames.setdefault(key, []).append((measured.frames, measured.errors))
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
    if frames:
        _write_frames(target, frames, next(iter(nets[0].values())).step, rate)


def _write_frames(target: Path, frames: dict[tuple, list], step: float, rate: int) -> None:
    """Write the statistics of frame scores and errors of an autoencoder with ``step`` seconds between frames."""
    _, errors = next(iter(frames.values()))[0]
    edges = librosa.mel_frequencies(errors.shape[1] + 2, fmin=0, fmax=rate / 2)
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
    wave = part / -float(np.iinfo(np.int16).min)
    return recordings.to_int16(wave, target - level.level(wave, rate))


def fit_statistics(waveforms: Waveforms, clips: pd.DataFrame, facts: Facts, rate: int) -> dict[tuple, Statistics]:
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
            spectrum = bands(cut_piece(samples, size, number, rate, facts.level))
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
