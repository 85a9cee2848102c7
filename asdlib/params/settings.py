"""Define a profile, and read it from ``params/*.yaml``."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, StringConstraints, model_validator

from asdlib import paths
from asdlib.atomic import read_json
from asdlib.errors import ParamsError
from asdlib.messages import suggest
from asdlib.params.autoencoder import Autoencoder
from asdlib.params.baselines import FrameAutoencoder, Mahalanobis, MobileNet
from asdlib.params.classifier import Classifier
from asdlib.params.data import Data
from asdlib.params.ensemble import Ensemble, Evaluation
from asdlib.params.integrated import Integrated
from asdlib.params.types import Count, Folder, Name, Positive, Strict, Text
from asdlib.params.validation import merge, validate
from asdlib.params.yaml12 import Loader, portable


class Settings(Strict):
    """One profile: the whole experiment."""

    profile: Annotated[Text, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """name of the run folder"""
    title: Text
    """description of the data for the first line of the book's pages"""
    runs: Folder = "runs"
    """parent folder of the run folders"""
    seed: Count = 0
    """seed of everything random"""
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = "auto"
    """auto, cpu, cuda or cuda:N"""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto uses bfloat16 where the hardware multiplies it faster"""
    threads: Positive = 1
    """CPU threads per job"""
    compile: bool = False
    """whether to compile networks with PyTorch's compiler for training, which takes up to a minute per network; results
    then differ in their bits, and again if a training was interrupted and its batches differ in size"""
    data: Data = Data()
    frame_autoencoder: FrameAutoencoder = FrameAutoencoder()
    mobilenet: MobileNet = MobileNet()
    mahalanobis: Mahalanobis = Mahalanobis()
    autoencoder: Autoencoder = Autoencoder()
    autoencoder_candidates: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)] = {"base": {}}
    """named overrides of ``autoencoder``; the selection *fixed* uses all, and the first for the row *AE*"""
    classifier: Classifier = Classifier()
    classifier_candidates: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)] = {"base": {}}
    """named overrides of ``classifier``; the selection *fixed* uses all, and the first for the row *BC*"""
    integrated: Integrated = Integrated()
    ensemble: Ensemble = Ensemble()
    evaluation: Evaluation = Evaluation()
    checkpoint_seconds: Annotated[float, Field(ge=0, exclude=True)] = 60.0
    """seconds between checkpoints of a training; shorter on machines that may be preempted, no effect on results"""
    keep_finished: Annotated[bool, Field(exclude=True)] = False
    """whether to keep finished trainings next to their checkpoints, which the workflow does until its end: Snakemake
    removes the outputs of a job that was killed before Snakemake noted its end, even complete ones"""

    @model_validator(mode="after")
    def _candidates_fit(self):
        for branch in ("autoencoder", "classifier"):
            for name in getattr(self, f"{branch}_candidates"):
                self.candidate(branch, name)
        return self

    def candidate(self, branch: Literal["autoencoder", "classifier"], name: str) -> Autoencoder | Classifier:
        """Return the branch's settings with the overrides of candidate ``name``.

        Raises:
            ParamsError: There is no such candidate.
        """
        candidates = getattr(self, f"{branch}_candidates")
        if name not in candidates:
            raise ParamsError(
                f"{branch} candidate {name!r} is not in the profile {self.profile}{suggest(name, candidates)}"
            )
        base = getattr(self, branch)
        where = f"{branch}_candidates.{name}"
        return validate(type(base), merge(base.model_dump(mode="json"), candidates[name]), where)

    def common(self) -> dict[str, Any]:
        """Return the settings outside its own on which each trained or fitted system depends; its record contains them.

        Which clips are held out follows from the run's seed and the share.
        """
        return {"run_seed": self.seed, "sample_rate": self.data.sample_rate, "held_out": self.data.held_out}

    def trained_as(self, branch: Literal["autoencoder", "classifier"], name: str) -> str:
        """Return the candidate whose models ``name`` uses: the first with equal settings apart from the scorer."""
        other = {"scorer", "origin"}  # have no effect on the training
        same = self.candidate(branch, name).model_dump(exclude=other)
        candidates = getattr(self, f"{branch}_candidates")
        return next(one for one in candidates if self.candidate(branch, one).model_dump(exclude=other) == same)

    def shortest_clips(self) -> dict[str, int]:
        """Return the minimum number of samples of a clip for each stage that has one, by the name of its setting."""
        baselines = {"frame_autoencoder": self.frame_autoencoder, "mobilenet": self.mobilenet}
        return {
            f"{name}.frames": (baseline.frames - 1) * baseline.features.hop_length
            for name, baseline in baselines.items()
        }

    def resolved(self) -> dict:
        """Return all settings as plain JSON values, including defaults."""
        return json.loads(self.model_dump_json())


def load(path: str | Path, overrides: dict[str, Any] | None = None) -> Settings:
    """Read ``params/<profile>.yaml``.

    Args:
        path: The YAML file (relative to the working directory or the project), or the bare name of a profile in the
            project's ``params/`` or, outside a project, among those shipped with the package.
        overrides: Settings to change, nested or with dotted names (``{"autoencoder.training.steps": 100}``).

    Raises:
        ParamsError: The file is missing or not YAML, or keys or values are invalid; the message names each of them.
    """
    path = Path(path).expanduser()
    if path.suffix not in (".yaml", ".yml"):
        known = paths.project_root() / "params"
        path = (known if known.is_dir() else Path(__file__).parents[1] / "profiles") / f"{path}.yaml"
    elif not path.is_file():
        path = paths.project_root() / path
    if not path.is_file():
        known = sorted(other.stem for other in path.parent.glob("*.yaml"))
        raise ParamsError(f"{path}: no such file; profiles in that folder: {', '.join(known) or 'none'}")
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ParamsError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(values, dict):
        raise ParamsError(f"{path}: expected a mapping of settings, found {type(values).__name__}")
    return validate(Settings, merge(values, overrides or {}), path)


def of_run(run: paths.Run) -> Settings:
    """Return the settings of a run, with the folder where it lies now.

    Raises:
        ParamsError: They are not those of this version.
    """
    folder = run.folder.resolve()
    values = read_json(run.settings) | {"runs": str(folder.parent), "profile": folder.name}
    return validate(Settings, values, run.settings)


def section(name: str | int) -> str:
    """Return a section as text of two digits, even if ``papermill -p section 00`` turned it into a number.

    >>> section("01"), section(0)
    ('01', '00')
    """
    return f"{name:02d}" if isinstance(name, int) and not isinstance(name, bool) else name


def assignments(pairs: list[str]) -> dict[str, Any]:
    """Read overrides from the values of ``--set``, each ``KEY=VALUE``.

    >>> assignments(["seed=1", "data.sections=[00]"])
    {'seed': 1, 'data.sections': ['00']}
    """
    overrides = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise ParamsError(f"--set {pair}: expected KEY=VALUE, for example --set seed=1")
        overrides[key] = value(text)
    return overrides


def value(text: str) -> Any:
    """Read one setting as it would be read from a profile, for ``--set KEY=VALUE``.

    Raises:
        ParamsError: The text is not YAML.
    """
    try:
        return portable(yaml.load(text, Loader=Loader))
    except (yaml.YAMLError, RecursionError) as error:
        raise ParamsError(f"{text!r}: not valid YAML ({' '.join(str(error).split())})") from None
