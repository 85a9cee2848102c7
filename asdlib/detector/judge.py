"""Judging recordings with a fitted detector.

Apart from :mod:`asdlib.detector.detector`, which follows scikit-learn: a cold start of ``score`` waits for no library
that judging does not need, and not for PyTorch either if the detector has ONNX files (:mod:`asdlib.detector.runtime`).
"""

import dataclasses
from pathlib import Path

import numpy as np

from asdlib.data.audio import Waveforms
from asdlib.data.recording import Recording
from asdlib.detector import calibration, level, networks, recordings, runtime, spans, store
from asdlib.detector.calibration import ENSEMBLE, STATISTICS
from asdlib.detector.statistics import Bands
from asdlib.detector.store import Stored
from asdlib.errors import DetectorError


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a detector says of one recording."""

    clip: str
    """the recording, as it was named"""
    verdict: str
    """``normal``, ``anomaly`` or, where the level is too far from what was learnt, ``level changed by x dB``"""
    score: float
    """of all branches together; higher is more anomalous, about 0 and 1 are mean and deviation of normal clips"""
    threshold: float
    """above this a recording of this length is an anomaly"""
    percentile: float
    """per cent of normal recordings that score lower; beyond the held-out clips their tail is extrapolated"""
    above: int
    """how many of the held-out normal clips, cut to the length of a window, score lower"""
    normals: int
    """how many held-out normal clips there are"""
    anomaly: bool
    """whether the score exceeds the threshold"""
    level: float
    """dB above the level of the normal recordings that were learnt from"""
    branches: dict[str, dict]
    """``score`` and ``percentile`` of each branch alone, and ``anomaly``: whether it caused the alarm, if any"""
    spans: list[dict]
    """of an anomaly: ``start`` and ``end`` in seconds, ``frequencies`` as ranges in Hz, ``branch``, which says so"""
    nearest: dict | None
    """of an anomaly: ``recording`` and ``start`` of the normal clip that sounds most alike"""
    note: str
    """what is wrong with the header of the file although all samples were read; usually empty"""

    def as_dict(self) -> dict:
        """Return plain values, for JSON."""
        return dataclasses.asdict(self)


class Judge:
    """A fitted detector's networks and thresholds, which judge recordings.

    Args:
        stored: What :func:`asdlib.detector.store.load` gives.
        folder: Folder that it was read from.
        rate: Rate of false alarms to aim at (default: the detector's own).
    """

    def __init__(self, stored: Stored, folder: Path, rate: float | None = None):
        self.stored, self.folder = stored, folder
        self.identity = runtime.identity(folder)
        self.by = stored.settings.ensemble.combinations[0]
        self.step = next(iter(stored.autoencoders.values())).step
        self.bands = Bands(stored.settings.data.sample_rate)
        self.set_rate(stored.facts.false_alarm_rate if rate is None else rate)

    def set_rate(self, rate: float) -> None:
        """Set thresholds for another rate of false alarms."""
        check_rate(rate)
        self.rate = rate
        self.limits = calibration.limits(self.stored.reference, rate, self.by)

    def key(self, section: str, domain: str, samples: int) -> tuple[str, str, int]:
        """Return whose thresholds a window takes: its section's source clips' where its own domain has none."""
        own = section, domain, samples
        return own if own in self.limits else (section, "source", samples)

    def measure(self, window: Waveforms) -> tuple[dict[str, float], "Heard"]:
        """Return the scores of a window by branch and of the ensemble, and what shows where it is unusual."""
        heard = hear(self.stored.autoencoders, self.stored.classifiers, self.stored.statistics, self.bands, window)
        clip = window.clips.iloc[0]
        reference = self.stored.reference[self.key(clip["section"], clip["domain"], len(window.samples))]
        combined = calibration.ensemble(heard.scores, reference, self.by)
        return {name: float(value[0]) for name, value in combined.items()}, heard

    def spans(self, heard: "Heard", begin: float, anomalous: bool) -> list[dict]:
        """Return the spans of one window, in seconds of the recording; an anomalous one has one at least."""
        clip, samples = heard.window.clips.iloc[0], len(heard.window.samples)
        rate = self.stored.settings.data.sample_rate
        usual = self.stored.usual[self.key(clip["section"], clip["domain"], samples)]
        found = spans.find(heard.frames, heard.errors, usual, self.step, samples / rate, self.rate)
        found = [span | {"branch": "autoencoder"} for span in found]
        if not found and anomalous:
            odd = heard.statistics.oddest(heard.spectrum, self.bands)
            end = min(odd.end, samples / rate)
            place = {"start": odd.start, "end": end, "frequencies": [[odd.low, odd.high]]}
            found = [place | {"branch": STATISTICS}]
        return [
            span | {"start": round(begin + span["start"], 3), "end": round(begin + span["end"], 3)} for span in found
        ]

    @classmethod
    def load(cls, folder: Path, rate: float | None = None) -> "Judge":
        """Read a detector; :class:`DetectorError` if there is none, or it cannot be read."""
        return cls(store.load(folder), folder, rate)

    def judge(self, source: str | Path | tuple | Recording, section: str | None = None, changed: bool = False):
        """As :meth:`asdlib.detector.detector.Detector.judge`, which this does."""
        facts, rate = self.stored.facts, self.stored.settings.data.sample_rate
        recording = recordings.open_recording(source, self.stored.settings.data)
        code, domain = self.section(source, section), "target" if changed else "source"
        seconds = recordings.fitting(recording.seconds, facts.lengths)
        count = max(recording.seconds / seconds, 1.0)
        limits = self.limits[self.key(code, domain, round(seconds * rate))]
        thresholds = {name: limit.threshold(count) for name, limit in limits.items()}
        learnt = facts.levels.get(f"{code}/{domain}", facts.levels[f"{code}/source"])
        best: dict[bool, dict[str, float]] = {True: {}, False: {}}  # by whether the level is as learnt
        found, changes, worst = [], {True: [], False: []}, (-np.inf, None)
        for begin, wave in recordings.windows(recording, rate, seconds):
            own = level.level(wave, rate)
            change = own - learnt.median
            known = facts.level is None or not learnt.exceeded(change, facts.level_limit)
            changes[known].append(change)
            gain = 0.0 if facts.level is None else facts.level - own
            values, heard = self.measure(networks.alone(recordings.to_int16(wave, gain), code, domain))
            for name, value in values.items():
                best[known][name] = max(best[known].get(name, -np.inf), value)
            if known and values[ENSEMBLE] > thresholds[ENSEMBLE]:
                found += self.spans(heard, begin, True)
                if values[ENSEMBLE] > worst[0]:
                    worst = values[ENSEMBLE], heard
        values = best[True] or best[False]
        anomaly = bool(best[True]) and values[ENSEMBLE] > thresholds[ENSEMBLE]
        if anomaly or not changes[False]:
            change = float(np.median(changes[True]))
            word = "anomaly" if anomaly else "normal"
        else:
            change = max(changes[False], key=abs)
            word = f"level changed by {change:+.0f} dB"
        limit = limits[ENSEMBLE]
        return Verdict(
            clip=recording.name,
            verdict=word,
            score=values[ENSEMBLE],
            threshold=float(thresholds[ENSEMBLE]),
            percentile=_rounded(limit.percentile(values[ENSEMBLE], count)),
            above=limit.above(values[ENSEMBLE]),
            normals=len(limit.scores),
            anomaly=bool(anomaly),
            level=round(change, 2),
            branches=_branches(values, thresholds, limits, count, anomaly),
            spans=found,
            nearest=self._nearest(worst[1]) if anomaly else None,
            note=recording.note,
        )

    def _nearest(self, heard: "Heard") -> dict:
        clip = self.stored.clips.iloc[heard.statistics.closest(heard.spectrum)]
        return {"recording": clip["recording"], "start": round(float(clip["start"]), 3)}

    def section(self, source: object, section: str | None) -> str:
        """Return the number, as two digits, of the section that a recording belongs to.

        Raises:
            DetectorError: It is not known.
        """
        names = self.stored.facts.sections
        name = source.name if isinstance(source, Recording) else "array" if isinstance(source, tuple) else source
        if section is None:
            folder = Path(source).resolve().parent.name if isinstance(source, str | Path) else None
            section = names[0] if len(names) == 1 else folder
        if section not in names:
            found = "not given" if section is None else f"{section!r} is not known"
            raise DetectorError(
                f"{name}: section {found}; this detector has {', '.join(names)}; name one "
                "(--section), or keep the recordings in folders of these names"
            )
        return f"{names.index(section):02d}"


@dataclasses.dataclass(frozen=True)
class Heard:
    """What the networks and statistics say of one window."""

    window: Waveforms
    scores: dict[str, float]
    """by system, ``<branch>/<candidate>``"""
    frames: np.ndarray
    """frame scores of the first autoencoder, (frames,)"""
    errors: np.ndarray
    """its signed errors, (frames, mels)"""
    spectrum: np.ndarray
    """log-mel spectrum in dB, (frames, bands)"""
    statistics: object
    """:class:`asdlib.detector.statistics.Statistics` that it is compared with"""


def hear(autoencoders: dict, classifiers: dict, statistics: dict, bands: Bands, window: Waveforms) -> Heard:
    """Score a window by every candidate and by the statistics of its section, domain and length."""
    measured = {f"autoencoder/{name}": net(window) for name, net in autoencoders.items()}
    values = {system: value for system, (value, _, _) in measured.items()}
    _, frames, errors = next(iter(measured.values()))
    values |= {f"classifier/{name}": net(window) for name, net in classifiers.items()}
    clip, samples = window.clips.iloc[0], len(window.samples)
    own = clip["section"], clip["domain"], samples
    usual = statistics[own] if own in statistics else statistics[(clip["section"], "source", samples)]
    spectrum = bands(window.samples)
    values |= {f"{STATISTICS}/{name}": value for name, value in usual.scores(spectrum, bands.step).items()}
    return Heard(window, values, frames, errors, spectrum, usual)


def check_rate(rate: float) -> None:
    """Raise :class:`DetectorError` for what is no rate of false alarms."""
    if not 0 < rate < 1:
        raise DetectorError(f"false_alarm_rate is {rate}; expected a number between 0 and 1")


def _branches(values: dict, thresholds: dict, limits: dict, count: float, anomaly: bool) -> dict[str, dict]:
    """Describe each branch; of an alarm that none would have given alone, the branch of the highest percentile."""
    names = [name for name in values if name != ENSEMBLE]
    percentiles = {name: _rounded(limits[name].percentile(values[name], count)) for name in names}
    over = {name for name in names if anomaly and values[name] > thresholds[name]}
    if anomaly and not over:
        over = {max(names, key=percentiles.__getitem__)}
    return {name: {"score": values[name], "percentile": percentiles[name], "anomaly": name in over} for name in names}


def _rounded(percentile: float) -> float:
    return round(percentile, 6)  # 30, not 30.000000000000004
