"""Compute what notebook 01 shows of the clips: a normal next to an anomalous one, and average spectra."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from asdlib import paths
from asdlib.data import plan
from asdlib.data.audio import Waveforms
from asdlib.features import LogMel, log_mels, mel_frequencies
from asdlib.units import FULL_SCALE

AVERAGED = 100
"""largest number of clips of a section, domain, split and label whose spectra are averaged"""


@dataclass(frozen=True)
class Example:
    """A clip to look at and listen to."""

    title: str
    """label, followed by the attributes if the file name has any"""
    rate: int
    """sampling rate in Hz"""
    waveform: np.ndarray
    """shape ``(samples,)``, in -1 to 1"""
    decibel: np.ndarray
    """log-mel, shape ``(frames, mels)``"""


def pairs(settings) -> dict[str, tuple[Example, Example]]:
    """Choose a normal and an anomalous source test clip from the first section of each machine type with systems.

    The anomalous one is not typical: it is the one whose average spectrum, level aside, lies farthest from that of the
    normal clips. The normal one is the nearest.
    """
    result = {}
    for machine, sections in plan.read(settings).machines.items():
        waveforms, log_mel = _open(settings, machine)
        test = _test_clips(waveforms, sections[0])
        test = test[test["domain"] == test["domain"].min()]  # the source, where there is one
        chosen = _nearest_and_farthest(test, waveforms, log_mel)
        result[f"{machine}, section {sections[0]}"] = tuple(
            _example(waveforms, log_mel, row, settings.data.sample_rate) for row in chosen
        )
    return result


def across_domains(settings, machine: str) -> list[Example]:
    """Choose clips that let one compare the shift with a fault, from the first section of a machine type.

    Returns:
        A normal source clip and a normal target clip, each the nearest to the average of its kind, and the anomalous
        source clip that is the farthest from that of the source, as in :func:`pairs`. Clips of a domain or label that
        the section lacks are left out.
    """
    waveforms, log_mel = _open(settings, machine)
    test = _test_clips(waveforms, plan.read(settings).machines[machine][0])
    chosen = {}
    for domain, part in test.groupby("domain"):
        if not (part["label"] == "normal").any():
            continue
        nearest, farthest = _nearest_and_farthest(part, waveforms, log_mel)
        chosen[domain] = nearest
        if domain == "source" and test["label"].at[farthest] == "anomaly":
            chosen["fault"] = farthest
    examples = []
    for name in ("source", "target", "fault"):
        if name in chosen:
            example = _example(waveforms, log_mel, chosen[name], settings.data.sample_rate)
            where = "source" if name == "fault" else name
            examples.append(replace(example, title=f"{where}: {example.title}"))
    return examples


def _test_clips(waveforms: Waveforms, section: str) -> pd.DataFrame:
    """The labelled test clips of a section."""
    clips = waveforms.clips
    return clips[(clips["section"] == section) & (clips["split"] == "test") & (clips["label"] != "unknown")]


def _nearest_and_farthest(test: pd.DataFrame, waveforms: Waveforms, log_mel: LogMel) -> tuple[int, int]:
    """Rows of the normal clip nearest to the normal clips' average spectrum, level aside, and of the farthest other."""
    average = np.stack([spectrum.mean(0).cpu().numpy() for spectrum in log_mels(waveforms, test.index, log_mel)])
    average -= average.mean(axis=1, keepdims=True)
    normal = (test["label"] == "normal").to_numpy()
    distance = np.abs(average - average[normal].mean(0)).mean(1)
    chosen = np.where(normal, distance, np.inf).argmin(), np.where(normal, -np.inf, distance).argmax()
    return tuple(int(test.index[row]) for row in chosen)


def spectra(settings) -> pd.DataFrame:
    """Compute average spectra of the sections with systems, each of up to :data:`AVERAGED` clips, equally spaced.

    Args:
        settings: The run's settings; the log-mel is the autoencoder's.

    Returns:
        ``machine, section, domain, split, label, frequency`` (centre of the mel band in Hz) and ``level`` (mean over
        frames and clips, in dB).
    """
    tables = []
    for machine, sections in plan.read(settings).machines.items():
        waveforms, log_mel = _open(settings, machine)
        frequency = mel_frequencies(log_mel.n_mels + 2, settings.data.sample_rate / 2)[1:-1]
        planned = waveforms.clips[waveforms.clips["section"].isin(sections)]
        for (section, domain, split, label), group in planned.groupby(["section", "domain", "split", "label"]):
            rows = group.index[np.unique(np.linspace(0, len(group) - 1, AVERAGED).astype(int))]
            level = np.mean([spectrum.mean(0).cpu().numpy() for spectrum in log_mels(waveforms, rows, log_mel)], axis=0)
            keys = {"machine": machine, "section": section, "domain": domain, "split": split, "label": label}
            tables.append(pd.DataFrame({**keys, "frequency": frequency, "level": level}))
    return pd.concat(tables, ignore_index=True)


def differences(spectra: pd.DataFrame) -> pd.DataFrame:
    """Compute distances between average spectra of test clips: mean absolute difference over mel bands, in dB.

    There is one row per machine type and section: ``shift`` (target against source, normal clips), ``fault, source``
    and ``fault, target`` (anomalous against normal clips).
    """
    test = spectra[spectra["split"] == "test"]
    wide = test.pivot(index=["machine", "section", "frequency"], columns=["domain", "label"], values="level")
    compared = {
        "shift": (("target", "normal"), ("source", "normal")),
        "fault, source": (("source", "anomaly"), ("source", "normal")),
        "fault, target": (("target", "anomaly"), ("target", "normal")),
    }
    there = {name: pair for name, pair in compared.items() if set(pair) <= set(wide.columns)}
    apart = pd.DataFrame({name: (wide[first] - wide[second]).abs() for name, (first, second) in there.items()})
    return apart.groupby(level=["machine", "section"]).mean()


def _open(settings, machine: str) -> tuple[Waveforms, LogMel]:
    waveforms = Waveforms.open(paths.Run.of(settings).data(machine))
    return waveforms, LogMel(settings.autoencoder.features, settings.data.sample_rate)


def _example(waveforms: Waveforms, log_mel: LogMel, row: int, rate: int) -> Example:
    clip = waveforms.clips.loc[row]
    title = clip["label"] + (f" ({clip['attributes'].replace('_', ' ')})" if clip["attributes"] else "")
    (decibel,) = log_mels(waveforms, [row], log_mel)
    return Example(title, rate, waveforms.read(row) / FULL_SCALE, decibel.cpu().numpy())
