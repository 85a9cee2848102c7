"""A detector of one's own machine: fitted to normal recordings, it judges new ones."""

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
from asdlib.detector import DetectorError, calibration, folder, networks, spans, store, train
from asdlib.detector.card import card
from asdlib.detector.judge import Judge, Verdict, systems
from asdlib.detector.recordings import MACHINE
from asdlib.detector.store import Facts, Stored


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
        """Write the detector as a folder, whole or not at all (:mod:`asdlib.detector.store`); it replaces a detector.

        Raises:
            DetectorError: Something else is there.
        """
        store.vacant(Path(path))
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
        return self._fitted().judge(path, section, changed)

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

    def _take(self, stored: Stored, place: Path) -> "Detector":
        self._state = Judge(stored, place)
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

    def _fitted(self) -> Judge:
        if not hasattr(self, "_state"):
            raise NotFittedError("this detector is not fitted; call fit, or Detector.load")
        return self._state


def _write(target: Path, settings, facts: Facts, clips: pd.DataFrame, began: float) -> None:
    """Fill a detector's folder from what its trainings left in their run."""
    for name in facts.autoencoder:
        networks.keep_autoencoder(settings, name, target / "autoencoder" / name)
    for name in facts.classifier:
        networks.keep_classifier(settings, name, facts.codes, target / "classifier" / name)
    nets = store.networks_of(settings, facts, target)
    waveforms = Waveforms.open(paths.Run.of(settings).data(MACHINE))
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
    step = next(iter(nets[0].values())).step
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
        if Path(given).is_file():
            return [Path(given)]
        return [path for files in folder.find(given).sections.values() for path in files]
    return [Path(path) for path in given]
