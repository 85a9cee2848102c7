"""Define the paths of all artefacts of a run, in one place.

A run folder is ``runs/<profile>/``::

    settings.json                                   the resolved settings of the whole run
    plan.json                                       its machine types and sections
    data/<machine>/                                 clips.csv, waveforms.npy (catalogue and decoded clips)
    shifted/<machine>/                              the same for shifted clips, and shifts.csv
    <system>/<machine>/                             model and scores of a system without candidates (the baselines)
    autoencoder/<machine>/<candidate>/              model.safetensors, history.csv, scores.csv, ...
    classifier/<machine>/<section>/<candidate>/     source.safetensors, target.safetensors, history.csv, ...
    classifier/<machine>/<candidate>/               scores.csv, embeddings.csv (all sections of the machine)
    ensemble/<machine>/                             scores.csv, choices.csv
    checkpoints/                                    states to resume trainings from, until the workflow has ended
    notebooks/                                      the executed notebooks
    table1.csv, values.json, claims.csv, ...        results that the book reads

Candidate names begin with a letter and sections are two digits, so they cannot collide.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from asdlib.records import fingerprint

HOME = "ASDLIB_HOME"
"""environment variable that names the project's folder"""

RECORD = "record.json"
"""what made the files next to it (:mod:`asdlib.records`)"""
SCORES = "scores.csv"
"""score table of one system and machine type (:mod:`asdlib.scores`)"""
MODEL = "model.safetensors"
HISTORY = "history.csv"
"""training history, one row per step"""
CLIPS, WAVEFORMS = "clips.csv", "waveforms.npy"
BANDS = "bands.csv"
"""an autoencoder's mean error of each mel band"""
SHIFTS = "shifts.csv"
"""estimated domain shift of each section"""
CHOICES, AGREEMENT = "choices.csv", "agreement.csv"
"""what the ensembles chose, and how alike their candidates rank the clips"""
FINISHED = ".done.pt"
"""suffix of the file that keeps a finished training (:mod:`asdlib.checkpoints`)"""

DECODED = (CLIPS, WAVEFORMS, RECORD)
"""files of a decoded machine type (:func:`asdlib.data.audio.decode`)"""
SHIFTED = (CLIPS, WAVEFORMS, SHIFTS, RECORD)
"""files of the shifted clips of a machine type (:func:`asdlib.shift.shifted_clips.make`)"""
BASELINES = ("frame_autoencoder", "mobilenet", "mahalanobis", "mahalanobis_shift", "mahalanobis_target")
INTEGRATED = "integrated"
SINGLES = (*BASELINES, INTEGRATED)
"""systems without candidates, each a row of Table 1"""


def project_root() -> Path:
    """Return the project's folder, to which relative paths in the settings refer.

    This is ``ASDLIB_HOME`` if set, else the nearest folder at or above the working directory that contains ``params/``
    (so that a notebook finds the run from ``notebooks/`` as well as from the top), else the working directory.
    """
    if os.environ.get(HOME):
        return Path(os.environ[HOME]).expanduser()
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if _has_profiles(folder)), here)


def _has_profiles(folder: Path) -> bool:
    """Return whether ``folder/params`` holds profiles, and is not the package :mod:`asdlib.params`."""
    return (folder / "params").is_dir() and not (folder / "params" / "__init__.py").exists()


@dataclass(frozen=True)
class Run:
    """Folder of one run, with a method or property for the path of each artefact in it."""

    folder: Path

    @classmethod
    def of(cls, settings) -> "Run":
        """Return the run that belongs to ``settings``, in ``settings.runs / settings.profile``."""
        return cls(project_root() / settings.runs / settings.profile)

    @property
    def settings(self) -> Path:
        return self.folder / "settings.json"

    @property
    def plan(self) -> Path:
        """Machine types and sections of the run (:mod:`asdlib.data.plan`)."""
        return self.folder / "plan.json"

    @property
    def table1(self) -> Path:
        return self.folder / "table1.csv"

    @property
    def differences(self) -> Path:
        """Paired differences between the rows of Table 1."""
        return self.folder / "table1_differences.csv"

    def over_seeds(self, path: Path) -> Path:
        """Return the path of a table's counterpart over runs that differ only in the seed; not every run has it.

        :mod:`asdlib.evaluation.seeds` writes them.
        """
        return path.with_name(f"{path.stem}_seeds{path.suffix}")

    @property
    def ablations(self) -> Path:
        """Effects of changed settings (:mod:`asdlib.evaluation.ablations`); only runs of ablation profiles have it."""
        return self.folder / "ablations.csv"

    @property
    def values(self) -> Path:
        return self.folder / "values.json"

    @property
    def claims(self) -> Path:
        return self.folder / "claims.csv"

    @property
    def claims_extensions(self) -> Path:
        """Gains of our extensions, tested in the same way as the paper's claims."""
        return self.folder / "claims_extensions.csv"

    @property
    def false_alarms(self) -> Path:
        """Intended, stated and measured rates of false alarms (:mod:`asdlib.evaluation.false_alarms`)."""
        return self.folder / "false_alarms.csv"

    @property
    def health(self) -> Path:
        """Systems that cannot tell clips apart (:mod:`asdlib.evaluation.health`)."""
        return self.folder / "health.csv"

    @property
    def detector(self) -> Path:
        """Return the folder of the detector that notebook 10 makes of the demonstration's recordings."""
        return self.folder / "detector"

    def shown(self, stage: str) -> Path:
        """Return the path of the mark that a notebook without a result of its own was executed."""
        return self.folder / "notebooks" / f"{stage}.done"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def data(self, machine: str) -> Path:
        """Return the folder of a machine's catalogue (``clips.csv``) and decoded clips (``waveforms.npy``)."""
        return self.folder / "data" / machine

    def shifted(self, machine: str) -> Path:
        """Return the folder of a machine's shifted clips (:mod:`asdlib.shift.shifted_clips`)."""
        return self.folder / "shifted" / machine

    def system(self, system: str, machine: str, candidate: str | None = None, section: str | None = None) -> Path:
        """Return the folder of one trained system; only the classifier's models have a ``section``."""
        parts = [part for part in (system, machine, section, candidate) if part is not None]
        return self.folder.joinpath(*parts)

    def scores(self, system: str, machine: str, candidate: str | None = None) -> Path:
        """Return the path of one system's score table (see :mod:`asdlib.scores`)."""
        return self.system(system, machine, candidate) / SCORES

    def checkpoint(self, system: str, machine: str, candidate: str | None, stage: str, settings: dict) -> Path:
        """Return the checkpoint of a training of this stage; each set of settings has its own file."""
        parts = [part for part in (system, machine, candidate, stage, fingerprint(settings)) if part is not None]
        return self.checkpoints / (".".join(parts) + ".pt")

    def notebook(self, stage: str, *parts: str) -> Path:
        """Return the path of an executed notebook, e.g. ``notebooks/04_reconstruction_errors.fan.base.ipynb``."""
        return self.folder / "notebooks" / (".".join([stage, *parts]) + ".ipynb")
