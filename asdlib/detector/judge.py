"""Judge recordings with the networks and thresholds of a detector.

This is apart from :mod:`asdlib.detector.detector`, which follows scikit-learn, so that the command ``score`` does not
wait for libraries that judging does not need, nor for PyTorch if the detector has ONNX files
(:mod:`asdlib.detector.runtime`).
"""

import dataclasses
from numbers import Real
from pathlib import Path

import numpy as np

from asdlib.data.quality import is_clipped
from asdlib.data.recording import Recording
from asdlib.detector import calibration, level, recordings, runtime, store
from asdlib.detector.calibration import ENSEMBLE, STATISTICS, Calibration, Standing
from asdlib.detector.localize import localize
from asdlib.detector.networks import Measurement, Window, measure_window
from asdlib.detector.response import Response
from asdlib.detector.statistics import Bands
from asdlib.detector.store import Stored
from asdlib.errors import DetectorError
from asdlib.units import FULL_SCALE

CLIPPING = "the recording is clipped, which may sound like a fault; record at a lower level"
"""note on a recording that reaches full scale in more than :data:`asdlib.data.quality.CLIPPED` of a window's samples"""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Result of judging one recording."""

    clip: str
    """path or name of the recording"""
    verdict: str
    """``normal``, ``anomaly``, ``level changed by x dB`` if the level is too far from what was learnt, or ``response
    changed by x dB`` if a recording sounds normal once a tilt of its spectrum, or the loss of high or
    of low frequencies, is removed"""
    score: float
    """score of the ensemble; higher is more anomalous, and about 0 and 1 are mean and deviation of normal clips"""
    threshold: float
    """score above which this recording is an anomaly; it depends on its length, and a little on its sound"""
    percentile: float | None
    """percentage of normal recordings that score lower; extrapolated above the scores of the held-out clips; None if
    the level or the response changed, since the score then says how far it changed, not how odd the machine sounds"""
    above: int
    """number of held-out normal clips, cut to the length of a window, that score lower"""
    normals: int
    """number of held-out normal clips"""
    anomaly: bool
    """whether the score exceeds the threshold"""
    level: float
    """dB above the level of the normal recordings that the detector learnt from"""
    level_spread: float
    """dB around this level within which 99 of 100 of their windows lay"""
    branches: dict[str, dict]
    """by branch: ``score``, ``threshold``, ``percentile``, and ``anomaly``: whether the branch caused the alarm"""
    spans: list[dict]
    """of an anomaly: ``start`` and ``end`` in seconds, ``frequencies`` as ranges in Hz, ``branch`` that found it"""
    nearest: dict | None
    """of an anomaly: ``recording`` and ``start`` of the most similar normal clip, if statistics know it"""
    note: str
    """what is wrong with the recording although it was judged: silence, clipping, or its header; usually empty"""
    held_out: dict[str, np.ndarray] = dataclasses.field(repr=False, compare=False)
    """scores of the held-out clips, ``(clips,)``, by branch and of the ensemble, as normalised with this recording"""

    def as_dict(self) -> dict:
        """Return plain values, for JSON, without ``held_out``."""
        values = dataclasses.asdict(self)
        del values["held_out"]
        return values


class Judge:
    """Judges recordings with the networks and thresholds of a detector or of a run (:mod:`asdlib.playground`).

    Args:
        stored: The networks, and the scores of normal clips.
        folder: Folder from which a detector was read; None for the networks of a run.
        rate: Intended rate of false alarms (default: the detector's own).
    """

    def __init__(self, stored: Stored, folder: Path | None = None, rate: float | None = None):
        self.stored, self.folder = stored, folder
        self.identity = runtime.identity(folder) if folder else ""
        self.by = stored.settings.ensemble.combinations[0]
        self.bands = Bands(stored.settings.data.sample_rate)
        self.level_limit = stored.description.level_limit
        self.set_rate(stored.description.false_alarm_rate if rate is None else rate)

    def set_rate(self, rate: float) -> None:
        """Set the thresholds for a rate of false alarms."""
        check_rate(rate)
        self.rate = rate
        self.limits = calibration.calibrate(self.stored.reference, rate, self.by)

    def set_level_limit(self, limit: float) -> None:
        """Set by how many dB levels may lie outside those that were learnt.

        Raises:
            DetectorError: It is no number above 0, or the detector has learnt levels as a part of the sound.
        """
        learnt = self.stored.description.level_limit
        if limit != learnt and not learnt:
            raise DetectorError(
                f"level_limit is {limit}, but this detector was fitted with 0, so that levels are a part of the sound; "
                "fit again"
            )
        check_limit(limit)
        if limit == 0 and learnt:
            raise DetectorError(
                "level_limit is 0; expected a number of dB above 0 (fit alone can make levels part of the sound)"
            )
        self.level_limit = limit

    def key(self, section: str, domain: str, samples: int) -> tuple[str, str, int]:
        """Return the key of a window's thresholds: those of its section's source clips if its domain has none."""
        own = section, domain, samples
        return own if own in self.stored.reference else (section, "source", samples)

    def score(self, window: Window) -> tuple[dict[str, Standing], Measurement]:
        """Return where a window stands by branch and by the ensemble, and from what that was computed."""
        stored = self.stored
        measured = measure_window(stored.autoencoders, stored.classifiers, stored.statistics, self.bands, window)
        reference = stored.reference[self.key(window.section, window.domain, len(window.samples))]
        combined = calibration.combine_branches(measured.scores, reference, self.by)
        standings = {name: Standing(score, Calibration(held, self.rate)) for name, (score, held) in combined.items()}
        return standings, measured

    def response(self, measured: Measurement, count: float) -> float | None:
        """Return the change of response, in dB, that explains a window which sounds odd; None if none does.

        Args:
            measured: What was measured of the window.
            count: Length of the recording in windows.
        """
        if measured.statistics is None or self.stored.description.level is None:
            return None
        window, target = measured.window, self.stored.description.level
        for change in Response.between(measured.spectrum, measured.statistics.mean_spectrum, self.bands):
            wave = change.undo(window.samples, self.bands) / FULL_SCALE
            samples = recordings.to_int16(wave, target - level.level(wave, self.bands.rate))
            standings, _ = self.score(dataclasses.replace(window, samples=samples))
            if standings[ENSEMBLE].excess(count) <= 0:
                return change.size
        return None

    def localize(self, measured: Measurement, begin: float) -> list[dict]:
        """Return the spans of an anomalous window that begins at ``begin``, in seconds of the recording.

        If the autoencoder finds none, or there is none, the statistics show the most unusual moment.
        """
        window, rate = measured.window, self.stored.settings.data.sample_rate
        samples = len(window.samples)
        found = []
        if measured.frames is not None:
            normal = self.stored.frames[self.key(window.section, window.domain, samples)]
            step = next(iter(self.stored.autoencoders.values())).step
            found = localize(measured.frames, measured.errors, normal, step, samples / rate, self.rate)
        found = [span | {"branch": "autoencoder"} for span in found]
        if not found and measured.statistics is not None:
            odd = measured.statistics.find_oddest(measured.spectrum, self.bands)
            end = min(odd.end, samples / rate)
            place = {"start": odd.start, "end": end, "frequencies": [[odd.low, odd.high]]}
            found = [place | {"branch": STATISTICS}]
        return [
            span | {"start": round(begin + span["start"], 3), "end": round(begin + span["end"], 3)} for span in found
        ]

    @classmethod
    def load(cls, folder: Path, rate: float | None = None) -> "Judge":
        """Read a detector from its folder; raise a :class:`DetectorError` if there is none, or it cannot be read."""
        return cls(store.load(folder), folder, rate)

    def judge(self, source: str | Path | tuple | Recording, section: str | None = None, changed: bool = False):
        """Judge one recording; see :meth:`asdlib.detector.detector.Detector.judge`."""
        description, rate = self.stored.description, self.stored.settings.data.sample_rate
        recording = recordings.open_recording(source, self.stored.settings.data)
        code, domain = self.section(source, section), "target" if changed else "source"
        seconds = recordings.fitting(recording.seconds, description.lengths)
        count = max(recording.seconds / seconds, 1.0)
        learnt = description.levels.get(f"{code}/{domain}", description.levels[f"{code}/source"])
        best: dict[bool, dict[str, Standing]] = {True: {}, False: {}}  # by whether level and response are as learnt
        found, changes, responses, worst, loudest = [], {True: [], False: []}, [], (-np.inf, None), -np.inf
        clipped = False
        for begin, wave in recordings.windows(recording, rate, seconds):
            own = level.level(wave, rate)
            loudest = max(loudest, own)
            clipped |= is_clipped(wave)
            change = own - learnt.median
            known = description.level is None or not learnt.exceeded(change, self.level_limit)
            gain = 0.0 if description.level is None else description.level - own
            standings, measured = self.score(Window(recordings.to_int16(wave, gain), code, domain))
            excess = {name: standing.excess(count) for name, standing in standings.items()}
            if known and excess[ENSEMBLE] > 0:
                response = self.response(measured, count)
                if response is not None:
                    responses.append(response)
                    known = False
            changes[known].append(change)
            for name, standing in standings.items():
                if name not in best[known] or excess[name] > best[known][name].excess(count):
                    best[known][name] = standing
            if known and excess[ENSEMBLE] > 0:
                found += self.localize(measured, begin)
                if excess[ENSEMBLE] > worst[0]:
                    worst = excess[ENSEMBLE], measured
        standings = best[True] or best[False]
        anomaly = bool(best[True]) and standings[ENSEMBLE].excess(count) > 0
        altered = not anomaly and bool(changes[False])
        if not altered:
            change = float(np.median(changes[True]))
            word = "anomaly" if anomaly else "normal"
        elif responses:
            change = float(np.median(changes[True] + changes[False]))
            word = f"response changed by {max(responses):.0f} dB"
        else:
            change = max(changes[False], key=abs)
            word = f"level changed by {change:+.0f} dB"
        silence = f"the recording is silent; {recording.advice_on_silence}"
        notes = [silence] if loudest < level.SILENT else [CLIPPING * clipped, recording.note]
        whole = standings[ENSEMBLE]
        return Verdict(
            clip=recording.name,
            verdict=word,
            score=whole.score,
            threshold=float(whole.normal.threshold(count)),
            percentile=None if altered else _rounded(whole.normal.percentile(whole.score, count)),
            above=whole.normal.count_below(whole.score),
            normals=len(whole.normal.scores),
            anomaly=bool(anomaly),
            level=round(change, 2),
            level_spread=learnt.spread,
            branches=_branches(standings, count, anomaly, altered),
            spans=found,
            nearest=self._nearest(worst[1]) if anomaly else None,
            held_out={name: standing.normal.scores for name, standing in standings.items()},
            note="; ".join(filter(None, notes)),
        )

    def _nearest(self, measured: Measurement) -> dict | None:
        if measured.statistics is None:
            return None
        clip = self.stored.clips.iloc[measured.statistics.find_nearest(measured.spectrum)]
        return {"recording": clip["recording"], "start": round(float(clip["start"]), 3)}

    def section(self, source: object, section: str | None) -> str:
        """Return the number, as two digits, of the section that a recording belongs to.

        Raises:
            DetectorError: The detector does not know the section.
        """
        names = self.stored.description.sections
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
        return self.stored.description.codes[names.index(section)]


def check_rate(rate: float) -> None:
    """Raise a :class:`DetectorError` if ``rate`` is not a rate of false alarms."""
    if not isinstance(rate, Real) or not 0 < rate < 1:
        raise DetectorError(f"false_alarm_rate is {rate!r}; expected a number between 0 and 1")


def check_limit(limit: float) -> None:
    """Raise a :class:`DetectorError` if ``limit`` is not by how many dB a level may lie outside those learnt."""
    if isinstance(limit, bool) or not isinstance(limit, Real) or not 0 <= limit < np.inf:
        raise DetectorError(f"level_limit is {limit!r}; expected a number of dB, or 0")


def _branches(standings: dict[str, Standing], count: float, anomaly: bool, altered: bool) -> dict[str, dict]:
    """Describe each branch; an alarm that none causes alone is attributed to the branch of the highest percentile."""
    found = {name: standing for name, standing in standings.items() if name != ENSEMBLE}
    percentiles = {name: _rounded(one.normal.percentile(one.score, count)) for name, one in found.items()}
    over = {name for name, one in found.items() if anomaly and one.excess(count) > 0}
    if anomaly and not over:
        over = {max(found, key=percentiles.__getitem__)}
    return {
        name: {
            "score": one.score,
            "threshold": float(one.normal.threshold(count)),
            "percentile": None if altered else percentiles[name],
            "anomaly": name in over,
        }
        for name, one in found.items()
    }


def _rounded(percentile: float) -> float:
    return round(percentile, 6)  # 30, not 30.000000000000004
