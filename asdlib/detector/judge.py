"""Judging recordings with a fitted detector.

Apart from :mod:`asdlib.detector.detector`, which follows scikit-learn: a cold start of ``score`` waits for no library
that judging does not need, and not for PyTorch either if the detector has ONNX files (:mod:`asdlib.detector.runtime`).
"""

import dataclasses
from pathlib import Path

import numpy as np

from asdlib.data.audio import Waveforms
from asdlib.detector import DetectorError, calibration, networks, recordings, spans, store
from asdlib.detector.calibration import ENSEMBLE
from asdlib.detector.store import Stored


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a detector says of one recording."""

    clip: str
    """the recording, as it was named"""
    score: float
    """of both branches together; higher is more anomalous, about 0 and 1 are mean and deviation of normal clips"""
    percentile: float
    """per cent of normal recordings that score lower"""
    anomaly: bool
    """whether the score exceeds the threshold"""
    branches: dict[str, dict]
    """``score``, ``percentile`` and ``anomaly`` of each branch alone: which of them objected"""
    spans: list[dict]
    """of an anomaly: ``start`` and ``end`` in seconds, ``frequencies`` as ranges in Hz"""
    threshold: float
    """of the score, for a recording of this length"""

    def as_dict(self) -> dict:
        """All but the threshold as plain values, for JSON."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key != "threshold"}


class Judge:
    """A fitted detector's networks and thresholds, which judge recordings.

    Args:
        stored: What :func:`asdlib.detector.store.load` gives.
        folder: Where it lies.
    """

    def __init__(self, stored: Stored, folder: Path):
        self.stored, self.folder = stored, folder
        self.by = stored.settings.ensemble.combinations[0]
        self.limits = calibration.limits(stored.reference, stored.facts.false_alarm_rate, self.by)
        self.step = next(iter(stored.autoencoders.values())).step

    def key(self, section: str, domain: str) -> tuple[str, str]:
        """Whose thresholds a clip takes: those of its section's source clips where its own domain has none."""
        return (section, domain) if (section, domain) in self.limits else (section, "source")

    def measure(self, window: Waveforms) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
        """Scores by branch and of the ensemble; frame scores and signed errors of the first autoencoder."""
        values, frames, errors = systems(self.stored.autoencoders, self.stored.classifiers, window)
        clip = window.clips.iloc[0]
        reference = self.stored.reference[self.key(clip["section"], clip["domain"])]
        combined = calibration.ensemble(values, reference, self.by)
        return {name: float(value[0]) for name, value in combined.items()}, frames, errors

    def spans(self, section: str, domain: str, frames, errors, begin: float, samples: int, whole: bool) -> list[dict]:
        """The spans of one window, in seconds of the recording."""
        usual, rate = self.stored.usual[self.key(section, domain)], self.stored.settings.data.sample_rate
        found = spans.find(frames, errors, usual, self.step, samples / rate, rate, whole)
        return [
            span | {"start": round(begin + span["start"], 3), "end": round(begin + span["end"], 3)} for span in found
        ]

    @classmethod
    def load(cls, folder: Path) -> "Judge":
        """Read a detector; :class:`DetectorError` if there is none, or it cannot be read."""
        return cls(store.load(folder), folder)

    def judge(self, path: str | Path, section: str | None = None, changed: bool = False) -> Verdict:
        """As :meth:`asdlib.detector.detector.Detector.judge`, which this does."""
        facts, settings = self.stored.facts, self.stored.settings
        total = recordings.duration(path, settings.data)
        code, domain = self._section(Path(path), section), "target" if changed else "source"
        if total < facts.seconds / 2:
            raise recordings.RecordingError(
                f"{path}: {total:.2f} s long; the thresholds are for clips of {facts.seconds:.2f} s; expected at least "
                "half of that"
            )
        count = len(recordings.begins(path, settings.data, facts.seconds))
        limits = self.limits[self.key(code, domain)]
        thresholds = {name: limit.threshold(count) for name, limit in limits.items()}
        best: dict[str, float] = {}
        found = []
        for begin, samples in recordings.windows(path, settings.data, facts.seconds):
            values, frames, errors = self.measure(networks.alone(samples, code, domain))
            for name, value in values.items():
                best[name] = max(best.get(name, -np.inf), value)
            over = {name: value > thresholds[name] for name, value in values.items()}
            if over[ENSEMBLE]:
                found += self.spans(code, domain, frames, errors, begin, len(samples), over["autoencoder"])
        parts = {
            name: {
                "score": value,
                "percentile": round(limits[name].percentile(value, count), 6),  # 30, not 30.000000000000004
                "anomaly": bool(value > thresholds[name]),
            }
            for name, value in best.items()
        }
        both = parts.pop(ENSEMBLE)
        return Verdict(str(path), **both, branches=parts, spans=found, threshold=thresholds[ENSEMBLE])

    def _section(self, path: Path, section: str | None) -> str:
        names = self.stored.facts.sections
        if section is None:
            section = names[0] if len(names) == 1 else path.resolve().parent.name
        if section not in names:
            raise DetectorError(
                f"{path}: section {section!r} is not known; this detector has {', '.join(names)}; name one "
                "(--section), or keep the recordings in folders of these names"
            )
        return f"{names.index(section):02d}"


def systems(autoencoders: dict, classifiers: dict, window: Waveforms) -> tuple[dict, np.ndarray, np.ndarray]:
    """The score of each candidate, and the first autoencoder's frame scores and signed errors."""
    measured = {f"autoencoder/{name}": net(window) for name, net in autoencoders.items()}
    values = {system: value for system, (value, _, _) in measured.items()}
    _, frames, errors = next(iter(measured.values()))
    return values | {f"classifier/{name}": net(window) for name, net in classifiers.items()}, frames, errors
