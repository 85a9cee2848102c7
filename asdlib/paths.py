"""Where an artefact of a run lies: the one place that knows.

A run folder is ``runs/<profile>/``::

    settings.json                                   the resolved settings of the whole run
    data/<machine>/                                 clips.csv, waveforms.npy (the catalogue and the decoded clips)
    pseudo_target/<machine>/                        the same for pseudo-target clips, shifts.csv
    <system>/<machine>/                             model and scores of a system without candidates (the baselines)
    autoencoder/<machine>/<candidate>/              model.safetensors, history.csv, scores.csv, ...
    classifier/<machine>/<section>/<candidate>/     source.safetensors, target.safetensors, history.csv, ...
    classifier/<machine>/<candidate>/               scores.csv, embeddings.csv (all sections of the machine)
    ensemble/<machine>/                             scores.csv, choices.csv
    checkpoints/                                    what trainings go on from, until the graph has ended
    notebooks/                                      the executed notebooks
    table1.csv, values.json, claims.csv, ...        what the book reads

Candidate names begin with a letter and sections are two digits, so the two never meet.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from asdlib.artefacts import fingerprint

HOME = "ASDLIB_HOME"
FINISHED = ".done.pt"
"""ending of what a training reached at its end (:func:`asdlib.checkpoints.finished`)"""
KEEP_FINISHED = "ASDLIB_KEEP_FINISHED"
"""environment variable of the jobs of a graph, which keep that until the graph has ended

Snakemake removes the outputs of a job that was killed before it noted the job's end, also those that were whole.
"""
BASELINES = ("frame_autoencoder", "mobilenet", "mahalanobis", "mahalanobis_shift")


def home() -> Path:
    """The project's folder, from which relative paths in the settings count.

    ``ASDLIB_HOME`` if set, else the nearest folder at or above the working directory that has ``params/`` (so that a
    notebook finds the run from ``notebooks/`` as well as from the top), else the working directory.
    """
    if os.environ.get(HOME):
        return Path(os.environ[HOME]).expanduser()
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "params").is_dir()), here)


@dataclass(frozen=True)
class Run:
    """The folder of one run, with a method or property for each artefact in it."""

    folder: Path

    @classmethod
    def of(cls, settings) -> "Run":
        """The run folder that belongs to ``settings`` (``settings.runs / settings.profile``)."""
        return cls(home() / settings.runs / settings.profile)

    @property
    def settings(self) -> Path:
        return self.folder / "settings.json"

    @property
    def table1(self) -> Path:
        return self.folder / "table1.csv"

    @property
    def differences(self) -> Path:
        """Paired differences of the rows of Table 1."""
        return self.folder / "table1_differences.csv"

    @property
    def seeds(self) -> Path:
        """Table 1 over runs that differ in the seed only (:mod:`asdlib.evaluation.seeds`); not every run has it."""
        return self.folder / "table1_seeds.csv"

    def over_seeds(self, path: Path) -> Path:
        """The companion of one of this run's tables over runs that differ in the seed only; not every run has it."""
        return path.with_name(f"{path.stem}_seeds{path.suffix}")

    @property
    def ablations(self) -> Path:
        """What each changed setting does (:mod:`asdlib.evaluation.ablations`); only runs of such a profile have it."""
        return self.folder / "ablations.csv"

    @property
    def values(self) -> Path:
        return self.folder / "values.json"

    @property
    def claims(self) -> Path:
        return self.folder / "claims.csv"

    @property
    def claims_extensions(self) -> Path:
        """What our extensions gain, judged as the paper's claims are."""
        return self.folder / "claims_extensions.csv"

    @property
    def false_alarms(self) -> Path:
        """Rates of false alarms: aimed at, stated and measured (:mod:`asdlib.evaluation.false_alarms`)."""
        return self.folder / "false_alarms.csv"

    @property
    def health(self) -> Path:
        """Systems that cannot tell clips apart (:mod:`asdlib.evaluation.health`)."""
        return self.folder / "health.csv"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def data(self, machine: str) -> Path:
        """Folder of a machine's catalogue (``clips.csv``) and decoded clips (``waveforms.npy``)."""
        return self.folder / "data" / machine

    def pseudo_target(self, machine: str) -> Path:
        """Folder of a machine's pseudo-target clips (:mod:`asdlib.data.pseudo_target`)."""
        return self.folder / "pseudo_target" / machine

    def system(self, system: str, machine: str, candidate: str | None = None, section: str | None = None) -> Path:
        """Folder of one trained system; ``section`` only for the classifier's models."""
        parts = [part for part in (system, machine, section, candidate) if part is not None]
        return self.folder.joinpath(*parts)

    def scores(self, system: str, machine: str, candidate: str | None = None) -> Path:
        """The score table of one system (see :mod:`asdlib.scores`)."""
        return self.system(system, machine, candidate) / "scores.csv"

    def checkpoint(self, system: str, machine: str, candidate: str | None, stage: str, settings: dict) -> Path:
        """Where a training of this stage keeps its state; other settings have another file."""
        parts = [part for part in (system, machine, candidate, stage, fingerprint(settings)) if part is not None]
        return self.checkpoints / (".".join(parts) + ".pt")

    def notebook(self, stage: str, *parts: str) -> Path:
        """An executed notebook, for example ``notebooks/04_reconstruction_errors.fan.base.ipynb``."""
        return self.folder / "notebooks" / (".".join([stage, *parts]) + ".ipynb")
