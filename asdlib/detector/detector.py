"""A detector of one's own machine: fitted to normal recordings, it judges new ones."""

import dataclasses
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.exceptions import NotFittedError

from asdlib import artefacts, data, paths, scores, training
from asdlib.data.audio import Waveforms
from asdlib.detector import calibration, folder, networks, recordings, spans, store, train
from asdlib.detector.calibration import ENSEMBLE
from asdlib.detector.card import card
from asdlib.detector.store import DetectorError, Facts, Stored


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


class Detector(OutlierMixin, BaseEstimator):
    """Detects anomalous sound of a machine after hearing only normal sound of it.

    Follows scikit-learn's conventions for outlier detectors, with recordings (wav files) as samples: the *lower* what
    :meth:`score_samples` returns, the more abnormal, and :meth:`predict` returns 1 for normal and -1 for anomalous.

    Args:
        profile: Settings of the networks: the name of a file in ``params/``, or a path to one.
        false_alarm_rate: That the thresholds aim at, for one window.
        overrides: Settings to change, as in :func:`asdlib.params.load`.

    Attributes:
        sections_: Names of the sections.
        card_: The model card, Markdown.
        held_out_: Scores of the held-out clips, a row a clip and branch: ``section, domain, branch, score``.

    .. code-block:: python

        detector = asdlib.Detector().fit("pump/normal", outliers=["fan/normal"])
        detector.save("pump.detector")
        verdict = asdlib.Detector.load("pump.detector").judge("today.wav")
    """

    def __init__(self, profile: str | Path = "quick", false_alarm_rate: float = 0.1, overrides: dict | None = None):
        self.profile = profile
        self.false_alarm_rate = false_alarm_rate
        self.overrides = overrides

    # Making -----------------------------------------------------------------------------------------------------------
    def fit(
        self,
        X: str | Path | Sequence[str | Path],
        y: None = None,
        *,
        changed: str | Path | None = None,
        outliers: Iterable[str | Path] = (),
        work: str | Path | None = None,
        jobs: int = 1,
    ) -> "Detector":
        """Train both branches on normal recordings and set thresholds on some that are held out.

        Args:
            X: A folder of wav files; or of sub-folders of them, each a section (one particular machine, say); or a list
                of files.
            y: Not used.
            changed: Folder of a few recordings under changed conditions, with the same sub-folders if ``X`` has some.
            outliers: Folders of normal recordings of anything else, from which the classifiers learn what the machine
                does not sound like. Without any, and with one section, there is no classifier branch.
            work: Folder for what is half done, so that an interrupted call goes on; a temporary one by default.
            jobs: Networks trained at a time. With more than one, a script needs ``if __name__ == "__main__":``.

        Raises:
            asdlib.AsdError: Recordings or settings that cannot be used.
        """
        began = time.monotonic()
        if not 0 < self.false_alarm_rate < 1:
            raise DetectorError(f"false_alarm_rate is {self.false_alarm_rate}; expected a number between 0 and 1")
        heard = folder.find(X, changed, outliers)
        place = Path(work if work is not None else tempfile.mkdtemp(prefix="asdlib-"))
        if work is None:
            weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        settings = train.settings(self.profile, self.overrides or {}, place)
        settings = train.settings(
            self.profile, self.overrides or {}, place / artefacts.fingerprint([settings.resolved(), repr(heard)])
        )
        clips = folder.lay_out(heard, settings, self.false_alarm_rate)
        data.prepare(settings)
        chosen, missing = train.candidates(settings, heard)
        facts = Facts(
            format=store.FORMAT,
            sections=list(heard.sections),
            seconds=clips.attrs["seconds"],
            false_alarm_rate=self.false_alarm_rate,
            missing=missing,
            outliers=list(heard.outliers),
            record={},
            **chosen,
        )
        train.train(settings, chosen, facts.codes, jobs)
        made = Path(settings.runs) / "made"
        with artefacts.writing(made, folder=True) as target:
            _write(target, settings, facts, clips, began)
        self._take(store.load(made), made)
        return self

    def save(self, path: str | Path) -> None:
        """Write the detector as a folder, whole or not at all (:mod:`asdlib.detector.store`)."""
        with artefacts.writing(path, folder=True) as target:
            shutil.copytree(self._fitted().folder, target, dirs_exist_ok=True)

    @classmethod
    def load(cls, path: str | Path) -> "Detector":
        """Read a detector; safe for one from a stranger, since nothing in it is executed.

        Raises:
            DetectorError: There is none, or it cannot be read.
        """
        stored = store.load(Path(path))
        return cls(false_alarm_rate=stored.facts.false_alarm_rate)._take(stored, Path(path))

    # Judging ----------------------------------------------------------------------------------------------------------
    def judge(self, path: str | Path, section: str | None = None, changed: bool = False) -> Verdict:
        """Judge one recording of any length; nothing else is looked at.

        Args:
            path: A wav file.
            section: Name of its section; by default the only one, or the one named like the file's folder.
            changed: Whether it was recorded under the changed conditions of :meth:`fit`.

        Raises:
            asdlib.AsdError: A recording that cannot be used, or a section that is not known.
        """
        state = self._fitted()
        facts, settings = state.stored.facts, state.stored.settings
        total = recordings.duration(path, settings.data)
        code, domain = self._section(Path(path), section), "target" if changed else "source"
        if total < facts.seconds / 2:
            raise recordings.RecordingError(
                f"{path}: {total:.2f} s long; the thresholds are for clips of {facts.seconds:.2f} s; expected at least "
                "half of that"
            )
        count = len(recordings.begins(path, settings.data, facts.seconds))
        limits = state.limits[state.key(code, domain)]
        thresholds = {name: limit.threshold(count) for name, limit in limits.items()}
        best: dict[str, float] = {}
        found = []
        for begin, samples in recordings.windows(path, settings.data, facts.seconds):
            values, frames, errors = state.measure(networks.alone(samples, code, domain))
            for name, value in values.items():
                best[name] = max(best.get(name, -np.inf), value)
            over = {name: value > thresholds[name] for name, value in values.items()}
            if over[ENSEMBLE]:
                found += state.spans(code, domain, frames, errors, begin, len(samples), over["autoencoder"])
        parts = {
            name: {
                "score": value,
                "percentile": limits[name].percentile(value, count),
                "anomaly": bool(value > thresholds[name]),
            }
            for name, value in best.items()
        }
        both = parts.pop(ENSEMBLE)
        return Verdict(str(path), **both, branches=parts, spans=found, threshold=thresholds[ENSEMBLE])

    def score_samples(self, X: str | Path | Sequence[str | Path]) -> np.ndarray:
        """Minus the anomaly score of each recording, ``(recordings,)``: the lower, the more abnormal."""
        return np.array([-self.judge(path).score for path in _files(X)])

    def decision_function(self, X: str | Path | Sequence[str | Path]) -> np.ndarray:
        """Threshold minus anomaly score of each recording, ``(recordings,)``: negative for anomalies."""
        verdicts = [self.judge(path) for path in _files(X)]
        return np.array([verdict.threshold - verdict.score for verdict in verdicts])

    def predict(self, X: str | Path | Sequence[str | Path]) -> np.ndarray:
        """1 for each normal recording, -1 for each anomalous one, ``(recordings,)``."""
        return np.array([-1 if self.judge(path).anomaly else 1 for path in _files(X)])

    def _section(self, path: Path, section: str | None) -> str:
        names = self._fitted().stored.facts.sections
        if section is None:
            section = names[0] if len(names) == 1 else path.resolve().parent.name
        if section not in names:
            raise DetectorError(
                f"{path}: section {section!r} is not known; this detector has {', '.join(names)}; name one "
                "(--section), or keep the recordings in folders of these names"
            )
        return f"{names.index(section):02d}"

    def _take(self, stored: Stored, place: Path) -> "Detector":
        self._state = State(stored, place)
        self.sections_ = stored.facts.sections
        self.held_out_ = pd.DataFrame(
            [
                (self.sections_[int(section)], domain, branch, score)
                for (section, domain), parts in self._state.limits.items()
                for branch, limit in parts.items()
                for score in limit.scores
            ],
            columns=["section", "domain", "branch", "score"],
        )
        self.card_ = (place / "card.md").read_text(encoding="utf-8")
        return self

    def _fitted(self) -> "State":
        if not hasattr(self, "_state"):
            raise NotFittedError("this detector is not fitted; call fit, or Detector.load")
        return self._state


class State:
    """A fitted detector's networks and thresholds."""

    def __init__(self, stored: Stored, place: Path):
        self.stored, self.folder = stored, place
        self.by = stored.settings.ensemble.combinations[0]
        self.limits = calibration.limits(stored.reference, stored.facts.false_alarm_rate, self.by)
        self.step = next(iter(stored.autoencoders.values())).net.log_mel.hop_length / stored.settings.data.sample_rate

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


def systems(autoencoders: dict, classifiers: dict, window: Waveforms) -> tuple[dict, np.ndarray, np.ndarray]:
    """The score of each candidate, and the first autoencoder's frame scores and signed errors."""
    measured = {f"autoencoder/{name}": net(window) for name, net in autoencoders.items()}
    values = {system: value for system, (value, _, _) in measured.items()}
    _, frames, errors = next(iter(measured.values()))
    return values | {f"classifier/{name}": net(window) for name, net in classifiers.items()}, frames, errors


def _write(target: Path, settings, facts: Facts, clips: pd.DataFrame, began: float) -> None:
    """Fill a detector's folder from what its trainings left in their run."""
    for name in facts.autoencoder:
        networks.keep_autoencoder(settings, name, target / "autoencoder" / name)
    for name in facts.classifier:
        networks.keep_classifier(settings, name, facts.codes, target / "classifier" / name)
    nets = store.networks_of(settings, facts, target)
    waveforms = Waveforms.open(paths.Run.of(settings).data(folder.MACHINE))
    rows, values, seen = np.flatnonzero(waveforms.clips["split"] == "test"), [], []
    for row in rows:
        clip = waveforms.clips.iloc[row]
        found, *frames = systems(*nets, networks.alone(waveforms.read(row), clip["section"], clip["domain"]))
        values.append(found)
        seen.append(frames)
    held_out = waveforms.clips.iloc[rows].reset_index(drop=True)
    measured = pd.DataFrame(values)
    table = pd.concat([scores.table(held_out, system, measured[system]) for system in measured], ignore_index=True)
    scores.write(table, target / "calibration.csv")
    step = next(iter(nets[0].values())).net.log_mel.hop_length / settings.data.sample_rate
    usual = {}
    for key, index in held_out.groupby(["section", "domain"]).indices.items():
        frames, errors = zip(*(seen[i] for i in index), strict=True)
        usual[key] = spans.Usual.of(frames, errors, facts.false_alarm_rate, step)
    store.save_usual(usual, target / "usual.safetensors")
    resolved = settings.resolved() | {"runs": "", "device": "auto"}
    resolved["data"] = resolved["data"] | {"root": ""}
    made = artefacts.record(
        resolved,
        seed=settings.seed,
        device=training.compute(settings).describe(),
        data=waveforms.fingerprint,
        seconds=time.monotonic() - began,
    )
    del made["settings"]  # in a file of its own
    facts = facts.model_copy(update={"record": made})
    artefacts.write_json(resolved, target / "settings.json")
    artefacts.write_json(facts.model_dump(mode="json"), target / "detector.json")
    listed = clips.assign(recording=[path.name for path in clips["recording"]])
    columns = ["machine", "name", "section", "domain", "split", "recording", "start"]
    listed[columns].to_csv(target / "recordings.csv", index=False, lineterminator="\n")
    limits = calibration.limits(store.references(table), facts.false_alarm_rate, settings.ensemble.combinations[0])
    (target / "card.md").write_text(card(facts, settings, clips, limits), encoding="utf-8")


def _files(given: str | Path | Sequence[str | Path]) -> list[Path]:
    if isinstance(given, str | Path):
        return [path for files in folder.find(given).sections.values() for path in files]
    return [Path(path) for path in given]
