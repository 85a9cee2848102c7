"""Detect anomalous sounds of your own machine, after learning from normal recordings only."""

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

from asdlib import atomic
from asdlib.detector import level, make, recalibrate, sources, store
from asdlib.detector.calibration import ENSEMBLE
from asdlib.detector.inputs import list_recordings, write_files
from asdlib.detector.judge import Judge, Verdict, check_limit, check_rate
from asdlib.detector.store import Stored
from asdlib.detector.train import fit_detector
from asdlib.errors import DetectorError


class Detector(OutlierMixin, BaseEstimator):
    """Detects anomalous sounds of a machine after learning from normal recordings only.

    Follows scikit-learn's conventions for outlier detectors, with recordings as samples: the *lower* a value of
    :meth:`score_samples`, the more abnormal, and :meth:`predict` returns 1 for normal and -1 for anomalous. A recording
    is the path of an audio file, or a pair of samples and sampling rate.

    Args:
        profile: Settings of the networks: the name of a file in ``params/``, the path of one, or all settings as a
            dictionary, which a loaded detector has.
        false_alarm_rate: Intended rate of false alarms, for one window. It can be set at any time.
        overrides: Settings to change, as in :func:`asdlib.params.settings.load`.
        level_limit: By how many dB the level of a recording may lie outside the range that was learnt. Within the limit
            the level does not matter; beyond it the verdict is that the level changed. 0 makes level and response a
            part of the sound.
        statistics_only: Whether :meth:`fit` trains no network. The detector then consists of statistics of the spectrum
            (:mod:`asdlib.detector.statistics`), is fitted in less than a minute, and all clips set its thresholds.

    Attributes:
        sections_: Names of the sections.
        card_: The model card, Markdown.
        held_out_: Scores of the held-out clips, normalised by themselves, one row per clip and branch: ``section,
            domain, branch, score``.
        warnings_: Warnings about the recordings, one sentence each (after :meth:`fit`).

    .. code-block:: python

        detector = asdlib.Detector().fit("pump/normal", outliers=["fan/normal"])
        detector.save("pump.detector")
        verdict = asdlib.Detector.load("pump.detector").judge("today.wav")
    """

    def __init__(
        self,
        profile: str | Path | dict = "detector",
        false_alarm_rate: float = 0.1,
        overrides: dict | None = None,
        level_limit: float = level.LIMIT,
        statistics_only: bool = False,
    ):
        self.profile = profile
        self.false_alarm_rate = false_alarm_rate
        self.overrides = overrides
        self.level_limit = level_limit
        self.statistics_only = statistics_only

    @property
    def false_alarm_rate(self) -> float:
        """Intended rate of false alarms."""
        return self._rate

    @false_alarm_rate.setter
    def false_alarm_rate(self, rate: float) -> None:
        if hasattr(self, "_state"):
            self._state.set_rate(rate)
        self._rate = rate

    @property
    def level_limit(self) -> float:
        """By how many dB levels may lie outside those that were learnt."""
        return self._level_limit

    @level_limit.setter
    def level_limit(self, limit: float) -> None:
        if hasattr(self, "_state"):
            self._state.set_level_limit(limit)
        self._level_limit = limit

    # Making -----------------------------------------------------------------------------------------------------------
    def fit(
        self,
        X: str | Path | Sequence,
        y: None = None,
        *,
        changed: str | Path | None = None,
        outliers: Iterable[str | Path] | str | Path | None = None,
        work: str | Path | None = None,
        jobs: int = 1,
        ignore_names: bool = False,
    ) -> "Detector":
        """Train both branches, or statistics alone, on normal recordings and set thresholds on some that are held out.

        Args:
            X: A folder of recordings; or of sub-folders of them, each a section (one particular machine, say); or a
                list of files, or of pairs of samples and sampling rate.
            y: Not used.
            changed: Folder of a few recordings under changed conditions, with the same sub-folders as ``X``, if any.
            outliers: Folders of normal recordings of other machines, which the classifiers use as negative examples.
                Without any, and with one section, there is no classifier branch.
            work: Folder for intermediate results, so that an interrupted call resumes; a temporary one by default.
            jobs: Number of networks trained at the same time. With more than one, a script needs
                ``if __name__ == "__main__":``.
            ignore_names: Also learn from recordings whose names say that they are anomalous.

        Raises:
            asdlib.errors.AsdError: Recordings or settings cannot be used.
        """
        began = time.monotonic()
        check_rate(self.false_alarm_rate)
        check_limit(self.level_limit)
        outliers = [outliers] if isinstance(outliers, str | Path) else list(outliers or ())
        if self.statistics_only and outliers:
            raise DetectorError(
                "outliers were given, which only networks learn from, and statistics_only, which trains no network; "
                "leave one of them out"
            )
        place = Path(work).expanduser() if work is not None else self._temporary_folder()
        recordings = sources.find(write_files(X, place / "arrays"), changed, outliers, ignore_names)
        folder, self.warnings_ = fit_detector(
            recordings,
            place,
            jobs,
            began,
            profile=self.profile,
            false_alarm_rate=self.false_alarm_rate,
            overrides=self.overrides,
            level_limit=self.level_limit,
            statistics_only=self.statistics_only,
        )
        return self._take(store.load(folder), folder)

    def calibrate(
        self, X: str | Path | Sequence, *, section: str | None = None, changed: bool = False, ignore_names: bool = False
    ) -> "Detector":
        """Set thresholds, and the usual level, on new normal recordings; nothing is trained.

        Args:
            X: Normal recordings as for :meth:`fit`, none of which trained this detector: a folder, with sub-folders if
                it has several sections, or a list.
            section: Section of all of them (default: their folders' names, or the only section).
            changed: Whether they were recorded under the changed conditions.
            ignore_names: As in :meth:`fit`.

        Raises:
            asdlib.errors.AsdError: Recordings cannot be used or are too few, or the section is unknown.
        """
        judge = self._fitted()
        place = self._temporary_folder()
        recordings = sources.find(write_files(X, place / "arrays"), trust=ignore_names)
        if section is not None or len(judge.stored.description.sections) == 1:
            files = [path for group in recordings.sections.values() for path in group]
            recordings = sources.Recordings({section or judge.stored.description.sections[0]: files}, {}, {})
        store.copy(judge.folder, judge.identity, place / "made")
        recalibrate.calibrate(judge, place / "made", recordings, changed)
        return self._take(store.load(place / "made"), place / "made")

    def save(self, path: str | Path) -> None:
        """Write the detector as a folder, whole or not at all (:mod:`asdlib.detector.store`); it replaces a detector.

        Raises:
            DetectorError: Something else is there; or the folder that this detector was loaded from has gone.
        """
        path = Path(path).expanduser()
        store.check_vacant(path)
        with atomic.writing(path, folder=True) as target:
            judge = self._fitted()
            store.copy(judge.folder, judge.identity, target)
            changed = {"false_alarm_rate": judge.rate, "level_limit": judge.level_limit}
            description = judge.stored.description.model_copy(update=changed)
            if description != judge.stored.description:
                make.revise(target, judge.stored, description)

    @classmethod
    def load(cls, path: str | Path) -> "Detector":
        """Read a detector, safely even if it comes from a stranger, since nothing in it is executed.

        Raises:
            DetectorError: There is none, or it cannot be read.
        """
        path = Path(path).expanduser()
        stored = store.load(path)
        rate, limit = stored.description.false_alarm_rate, stored.description.level_limit
        alone = not stored.description.has_networks
        loaded = cls(stored.settings.resolved(), rate, level_limit=limit, statistics_only=alone)
        return loaded._take(stored, path)

    def _temporary_folder(self) -> Path:
        """Create a folder that is deleted together with this object."""
        folder = Path(tempfile.mkdtemp(prefix="asdlib-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def __getstate__(self) -> dict:
        """Include the files, so that a copied or pickled detector does not depend on the folder of the original."""
        state = {"params": self.get_params(deep=False)}
        if hasattr(self, "_state"):
            files = store.read_files(self._state.folder, self._state.identity)
            state["files"] = {f"detector/{name}": content for name, content in files.items()}
        return state

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state["params"])
        if "files" in state:
            place, rate, limit = self._temporary_folder(), self.false_alarm_rate, self.level_limit
            store.write_files(state["files"], place)
            self._take(store.load(place / "detector"), place / "detector")
            self.false_alarm_rate, self.level_limit = rate, limit

    # Judging ----------------------------------------------------------------------------------------------------------
    def judge(self, source: str | Path | tuple, section: str | None = None, changed: bool = False) -> Verdict:
        """Judge one recording of at least a second, independently of all others.

        Args:
            source: Path of an audio file, or a pair: samples (floating-point with full scale 1, or integers) and
                sampling rate in Hz.
            section: Name of its section; by default the only one, or the one named like the file's folder.
            changed: Whether it was recorded under the changed conditions of :meth:`fit`.

        Raises:
            asdlib.errors.AsdError: The recording cannot be used, or the section is unknown.
        """
        (source,) = list_recordings([source], None)  # refuses samples without a rate
        return self._fitted().judge(source, section, changed)

    def score_samples(self, X: str | Path | Sequence, sample_rate: int | None = None) -> np.ndarray:
        """Return minus the anomaly score of each recording, ``(recordings,)``: the lower, the more abnormal.

        Thresholds differ between sections, and between recordings of one window and of several. So that one
        :attr:`offset_` serves all, the score of a recording is shifted by the difference of its threshold from that of
        one window of the first section.

        Args:
            X: A folder, a file, or a list of files, of pairs of samples and sampling rate, or of arrays of samples.
            sample_rate: Sampling rate of arrays of samples, in Hz.
        """
        verdicts = self._verdicts(X, sample_rate)
        return np.array([verdict.threshold - verdict.score for verdict in verdicts]) + self.offset_

    def decision_function(self, X: str | Path | Sequence, sample_rate: int | None = None) -> np.ndarray:
        """Return ``score_samples(X) - offset_``, ``(recordings,)``: negative for anomalies.

        The arguments are those of :meth:`score_samples`.
        """
        return self.score_samples(X, sample_rate) - self.offset_

    def predict(self, X: str | Path | Sequence, sample_rate: int | None = None) -> np.ndarray:
        """Return 1 for each normal recording and -1 for each anomalous one, ``(recordings,)``.

        The arguments are those of :meth:`score_samples`.
        """
        return np.array([-1 if verdict.anomaly else 1 for verdict in self._verdicts(X, sample_rate)])

    @property
    def offset_(self) -> float:
        """Minus the threshold of one window of the first section, among the held-out clips alone."""
        judge = self._fitted()
        samples = judge.stored.description.samples(judge.stored.settings.data.sample_rate)[0]
        return -float(judge.limits[judge.stored.description.codes[0], "source", samples][ENSEMBLE].threshold())

    def _verdicts(self, X, sample_rate: int | None) -> list[Verdict]:
        return [self.judge(source) for source in list_recordings(X, sample_rate)]

    def _take(self, stored: Stored, place: Path) -> "Detector":
        self._state = Judge(stored, place)
        self._rate, self._level_limit = self._state.rate, self._state.level_limit
        self.sections_ = stored.description.sections
        whole = stored.description.samples(stored.settings.data.sample_rate)[0]
        self.held_out_ = pd.DataFrame(
            [
                (self.sections_[int(section)], domain, branch, score)
                for (section, domain, samples), parts in self._state.limits.items()
                if samples == whole
                for branch, limit in parts.items()
                for score in limit.scores
            ],
            columns=["section", "domain", "branch", "score"],
        )
        self.card_ = (place / store.CARD).read_text(encoding="utf-8")
        return self

    def _fitted(self) -> Judge:
        if not hasattr(self, "_state"):
            raise NotFittedError("this detector is not fitted; call fit, or Detector.load")
        return self._state
