"""List the stages of the experiment: notebook, rule of the Snakefile, parameters and branch of each.

A new stage is added here, as a rule in the ``Snakefile`` and as a notebook. The Snakefile, the book, the check of
notebook parameters, the tests and the benchmarks read this list.
"""

from dataclasses import dataclass
from typing import Literal

from asdlib.paths import Run


@dataclass(frozen=True)
class StageNotebook:
    """A stage of the experiment, which runs as one notebook per combination of its parameters."""

    name: str
    """name of the notebook, without suffix"""
    rule: str
    """rule of the Snakefile"""
    parameters: tuple[str, ...] = ()
    """parameters other than ``params`` and ``overrides``, which all stages have; wildcards of the rule"""
    branch: Literal["autoencoder", "classifier"] | None = None
    """branch to which the parameter ``candidate`` belongs"""

    @property
    def file(self) -> str:
        """Path of the notebook in the project's folder."""
        return f"notebooks/{self.name}.ipynb"

    def log(self, run: Run) -> str:
        """Return the path of the executed notebook, with the parameters as wildcards."""
        return str(run.notebook(self.name, *(f"{{{name}}}" for name in self.parameters)))


STAGES = (
    StageNotebook("01_data", "data"),
    StageNotebook("02_baselines", "baselines", ("machine",)),
    StageNotebook("03_train_autoencoder", "train_autoencoder", ("machine", "candidate"), "autoencoder"),
    StageNotebook("04_reconstruction_errors", "score_autoencoder", ("machine", "candidate"), "autoencoder"),
    StageNotebook("05_train_classifier", "train_classifier", ("machine", "section", "candidate"), "classifier"),
    StageNotebook("06_embeddings", "score_classifier", ("machine", "candidate"), "classifier"),
    StageNotebook("07_ensemble", "ensemble", ("machine",)),
    StageNotebook("08_table1", "table1"),
    StageNotebook("11_integrated", "integrated", ("machine",)),
)
EXPLORING = (StageNotebook("09_playground", "playground"), StageNotebook("10_your_machine", "your_machine"))
"""notebooks that only show something of a run; the workflow executes them, once each, if the data are synthetic"""
BY_RULE = {stage.rule: stage for stage in STAGES + EXPLORING}
BY_NAME = {stage.name: stage for stage in STAGES}
