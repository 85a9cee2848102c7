"""Define the settings in ``params/*.yaml``, typed, documented and strictly validated.

The defaults below are the paper's settings where the paper states them, and ours where it does not (the book's page of
deviations lists those). ``params/paper.yaml`` spells out all of them; the other profiles list only what they change.
An unknown key, a wrong type or a value out of range raises an error with the key's full name.
"""

import difflib
import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from asdlib import AsdError, paths


def _number(value: Any) -> Any:
    if isinstance(value, bool):  # Python would count true as 1
        raise ValueError(f"expected a number, found {json.dumps(value)}")
    return value


def _text(value: Any) -> Any:
    """Restore text that YAML reads as a number or null, as it was written: section 00, machine type 001 or null."""
    if isinstance(value, _Integer | _Float):
        return value.text
    return str(value) if type(value) in (int, float) else "null" if value is None else value


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f"expected a list, found {json.dumps(value)}; write [{value}]")
    return value


def _expanded(value: str) -> str:
    return os.path.expanduser(value)


class _Integer(int):
    """Whole number written differently than Python would write it, with its original ``text``."""


class _Float(float):
    """Number written differently than Python would write it, with its original ``text``."""


Positive = Annotated[int, BeforeValidator(_number), Field(gt=0)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=0)]
PositiveFloat = Annotated[float, BeforeValidator(_number), Field(gt=0)]
Fraction = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Section = Annotated[str, BeforeValidator(_text), StringConstraints(pattern=r"^\d{2}$")]
Machine = Annotated[str, BeforeValidator(_text)]
Machines = Annotated[list[Machine], BeforeValidator(_listed)]
Sections = Annotated[list[Section], BeforeValidator(_listed)]
Folder = Annotated[str, AfterValidator(_expanded)]


def _ordered(pair: tuple) -> tuple:
    if pair[0] > pair[1]:
        raise ValueError(f"the range {list(pair)} runs backwards; expected [smallest, largest]")
    return pair


Range = Annotated[tuple[Count, Count], AfterValidator(_ordered)]
Combination = Literal["average", "median", "maximum", "ranking"]
Pooling = Literal["median", "mean", "max", "top_k", "percentile", "upper_mean"]
CopyPooling = Literal["mean", "max", "median"]
FRAME_VARIANTS = tuple(
    pooling + ("" if copies == "mean" else f"_of_{copies}")
    for copies in get_args(CopyPooling)
    for pooling in get_args(Pooling)
)
"""scores from frame Gaussians, by their pooling over time: ``median_of_max`` is the median over time, with errors
pooled over copies by the maximum"""
Variant = Literal[(*FRAME_VARIANTS, "clip_signed", "l1")]
PseudoTargetBy = Literal["mixup", "shift"]
TargetFrom = Literal["clips", "pseudo_target"]
Origin = Literal["paper", "extension"]
WindowPooling = Literal["mean", "median", "max", "upper_mean"]
MIXED_VARIANTS = tuple(f"w{weight}_{pooling}" for weight in (50, 25, 75) for pooling in get_args(WindowPooling))
"""weight w of the posterior in per cent, and pooling of windows: ``w50_mean`` weighs posterior and distance equally"""
ClassifierVariant = Literal[
    (*MIXED_VARIANTS, "posterior", "distance", "source_model", "mahalanobis", "source_mahalanobis")
]


class ParamsError(AsdError):
    """Raised for invalid settings; the message names the file and each key."""


class Strict(BaseModel):
    """Base of all settings: forbids unknown keys, is immutable, and uses attribute docstrings as descriptions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


# Data -----------------------------------------------------------------------------------------------------------------
class Synthetic(Strict):
    """The embedded demonstration data (:mod:`asdlib.data.synthetic`), which must never be called DCASE2021."""

    seed: Count = 0
    """seed of the recordings"""
    machines: Machines = ["ToyCar", "ToyTrain", "fan", "gearbox", "pump", "slider", "valve"]
    """machine types, out of the seven of DCASE2021"""
    sections: Sections = ["00", "01", "02"]
    """sections of each machine type"""
    duration: PositiveFloat = 10.0
    """length of a clip in seconds"""
    train_source: Positive = 1000
    """normal training clips per section in the source domain"""
    train_target: Count = 3
    """normal training clips per section in the target domain"""
    test_normal: Positive = 100
    """normal test clips per section and domain"""
    test_anomaly: Positive = 100
    """anomalous test clips per section and domain"""
    snr: float = 6.0
    """level of the machine over the factory background in the source domain, in dB"""


class PseudoTarget(Strict):
    """Source training clips carried through the shift that the target clips show (:mod:`asdlib.data.shift`)."""

    clips: Annotated[int, BeforeValidator(_number), Field(ge=2)] = 200
    """maximum number per section"""
    jitter: Annotated[float, Field(ge=0)] = 2.0
    """standard deviation of the background's level from clip to clip, in dB"""


class Data(Strict):
    """Location of the clips and choice of those to use."""

    root: Folder = "data/dcase2021"
    """folder of the data set: ``<root>/<machine>/{train,source_test,target_test}/*.wav``"""
    synthetic: Synthetic | None = None
    """create the synthetic demonstration in <root>; null for existing recordings"""
    machines: Machines | None = None
    """machine types to build systems for; null for all that have test clips (the others serve as outliers)"""
    sections: Sections | None = None
    """sections to use; null for all"""
    sample_rate: Positive = 16_000
    """sampling rate that every clip must have, in Hz"""
    channels: Literal["refuse", "first", "mean"] = "refuse"
    """what to do with a clip that has more than one channel"""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """share of each section's source training clips that no network learns from; scorers, normalisation and thresholds
    use them"""
    pseudo_target: PseudoTarget = PseudoTarget()
    """source training clips carried through the shift that the target clips show"""
    anomalies: bool = True
    """whether a section needs anomalous test clips; false for a detector of your own machine, which has none"""


class Features(Strict):
    """Log-mel settings, named as in librosa; power in dB."""

    n_fft: Positive = 1024
    """FFT points"""
    hop_length: Positive = 512
    """samples between frames"""
    n_mels: Positive = 128
    """mel bands"""


# Baselines (Sec. 3.1, rows 1 and 2, and the reference row) -----------------------------------------------------------
class FrameAutoencoder(Strict):
    """The official autoencoder baseline: dense layers on 5 stacked frames."""

    features: Features = Features()
    frames: Positive = 5
    """number of frames stacked into one input vector"""
    hidden: Positive = 128
    """units of the hidden layers"""
    bottleneck: Positive = 8
    """units of the narrowest layer"""
    epochs: Positive = 100
    """passes over all frame vectors of a machine"""
    batch_size: Positive = 512
    """frame vectors per step"""
    learning_rate: PositiveFloat = 1.0e-3
    """learning rate of Adam"""


class MobileNet(Strict):
    """The official classification baseline: MobileNetV2 that distinguishes sections."""

    features: Features = Features()
    frames: Positive = 64
    """frames of a window"""
    train_hop: Positive = 8
    """frames between training windows"""
    test_hop: Positive = 1
    """frames between test windows"""
    width: PositiveFloat = 0.5
    """width multiplier of MobileNetV2"""
    epochs: Positive = 20
    """passes over all training windows of a machine"""
    batch_size: Positive = 32
    """windows per step"""
    learning_rate: PositiveFloat = 1.0e-5
    """learning rate of Adam"""
    published_formula: bool = False
    """whether to score with the misplaced parenthesis of the official code, log((1 - p) - log p)"""


class Mahalanobis(Strict):
    """Reference row that the paper lacks: distance of a clip's log-mel mean and deviation over time."""

    features: Features = Features()
    target_shift: Annotated[float, Field(ge=0)] = 0.1
    """weight of the shift that the target clips still show compared with pseudo-target clips; 0 ignores it"""


# Autoencoder (Sec. 2.1) -----------------------------------------------------------------------------------------------
class AutoencoderModel(Strict):
    """The sequence-level, section-aware Conformer autoencoder."""

    channels: Positive = 144
    """width of the Conformer blocks"""
    heads: Positive = 4
    """attention heads"""
    blocks: Positive = 4
    """Conformer blocks of the encoder, and again of the decoder"""
    kernel: Positive = 31
    """frames that the depthwise convolution sees (odd)"""
    expansion: Positive = 4
    """feed-forward width over channels"""
    latent: Count = 64
    """bottleneck units per frame; 0 for no bottleneck"""
    dropout: Fraction = 0.1
    """dropout rate inside the blocks"""
    section_input: bool = True
    """section ID as a constant last column of the input"""
    section_embedding: Literal["none", "concatenate", "add"] = "none"
    """learned section embedding at the bottleneck"""
    section_regression: bool = True
    """regress the section ID as one more output column"""

    @model_validator(mode="after")
    def _fits(self):
        if self.channels % self.heads:
            raise ValueError(f"channels ({self.channels}) must be a multiple of heads ({self.heads})")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel ({self.kernel}) must be odd, so that a frame stays in the middle")
        return self


class SpecAugment(Strict):
    """Masking and dropout of the input, in training and at inference."""

    time_masks: Count = 50
    """time masks per clip of ``clip_frames`` frames; other lengths get proportionally as many, so that training crops
    and clips at inference hide the same share"""
    clip_frames: Positive = 313
    """frames of the clip that ``time_masks`` is meant for: 10 s at a hop of 512"""
    time_width: Range = (1, 5)
    """range of the width of a time mask in frames"""
    frequency_masks: Count = 5
    """frequency masks per clip"""
    frequency_width: Range = (0, 10)
    """range of the width of a frequency mask in mel bands"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """dropout rate of the input"""


class AutoencoderTraining(Strict):
    """Optimisation of the autoencoder."""

    steps: Positive = 50_000
    """optimiser steps"""
    warmup: Positive = 8_000
    """steps until the Noam schedule peaks"""
    learning_rate: PositiveFloat = 1.0
    """factor on the Noam schedule channels^-0.5 min(t^-0.5, t warmup^-1.5)"""
    cooldown: Fraction = 0.0
    """share of steps at the end over which the learning rate also falls linearly to zero (for short profiles)"""
    batch_size: Positive = 64
    """clips per step"""
    crop_frames: Range = (100, 300)
    """range of the length of the random training crops in frames"""
    loss: Literal["l1", "l2"] = "l1"
    """element-wise reconstruction error"""
    pseudo_target: Fraction = 0.0
    """share of the training crops that are pseudo-target"""
    pseudo_target_by: PseudoTargetBy = "mixup"
    """pseudo-target crops by Mixup of power with a target clip of their section, or by the estimated shift"""


class AutoencoderScorer(Strict):
    """Conversion of reconstruction errors to one score per clip."""

    copies: Positive = 10
    """number of differently masked copies of a clip at inference"""
    masking: bool = True
    """whether to apply SpecAugment and input dropout at inference; false reconstructs the plain input once"""
    errors: Literal["absolute", "signed", "squared"] = "absolute"
    """element-wise error that the frame Gaussians model"""
    groups: Literal["section_domain", "section", "machine"] = "section_domain"
    """units that have a separate Gaussian each"""
    target_from: TargetFrom = "clips"
    """what the target's Gaussians are fitted on: the few target clips, or pseudo-target clips"""
    target_prior: Annotated[float, Field(ge=0)] = 300.0
    """weight of the section's source covariance in the target's, in frames; 0 uses the target clips alone"""
    target_centre: Literal["own", "source"] = "own"
    """mean of the target's Gaussian: of its own few clips, or of the section's source clips"""
    target_shift: Annotated[float, Field(ge=0)] = 1.0
    """weight of the shift that the target clips (still) show, in the target covariance of clip_signed; 0 ignores it"""
    variants: Annotated[list[Variant], Field(min_length=1)] = [*FRAME_VARIANTS, "clip_signed", "l1"]
    """post-processing, each one system: pooling over time, ``_of_max`` or ``_of_median`` where the copies' errors are
    not averaged; without labels the first of the paper's is used, and the first of the extensions in the rows with a
    plus"""
    top_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """share of the frames that top_k averages"""
    percentile: Annotated[float, Field(ge=0, le=100)] = 90.0
    """percentile of the frames"""
    batch_size: Positive = 16
    """clips per step at inference, not counting the copies"""

    @model_validator(mode="after")
    def _each_once(self):
        if len(set(self.variants)) < len(self.variants):
            raise ValueError(f"variants ({', '.join(self.variants)}) must name each variant once")
        return self


def _is_the_papers(branch, **departs: bool) -> None:
    """Raise an error if a branch has ``origin: paper`` but adds to the paper's method or leaves out a part of it.

    Args:
        branch: Settings of the branch.
        departs: By setting (``section__key``), whether its value is not the paper's method.
    """
    for name, found in departs.items():
        if found and branch.origin == "paper":
            section, _, key = name.partition("__")
            value = json.dumps(getattr(getattr(branch, section), key))
            raise ValueError(
                f"{section}.{key} is {value}, which is not the paper's method; also set origin: extension, or remove "
                f"{section}.{key}"
            )


class Autoencoder(Strict):
    """Sec. 2.1: the autoencoder branch."""

    features: Features = Features()
    model: AutoencoderModel = AutoencoderModel()
    specaugment: SpecAugment = SpecAugment()
    training: AutoencoderTraining = AutoencoderTraining()
    scorer: AutoencoderScorer = AutoencoderScorer()
    origin: Origin = "paper"
    """whether this is the paper's method, smaller settings allowed, or an extension of ours (:mod:`asdlib.origin`)"""
    seed: Count = 0
    """added to the run's seed: candidates may differ in nothing else"""

    @model_validator(mode="after")
    def _origin_fits(self):
        _is_the_papers(
            self,
            training__pseudo_target=self.training.pseudo_target > 0,
            scorer__target_from=self.scorer.target_from == "pseudo_target",
            scorer__masking=not self.scorer.masking,
            scorer__groups=self.scorer.groups != "section_domain",
        )
        return self


# Binary classification (Sec. 2.2) -------------------------------------------------------------------------------------
class ClassifierModel(Strict):
    """A timm backbone, time-frequency average as embedding, and one logit."""

    backbone: str = "resnet34"
    """name of a timm model"""
    pretrained: bool | str = False
    """ImageNet weights: false, true (downloaded by timm) or a local safetensors file"""
    dropout: Fraction = 0.2
    """dropout rate before the fully connected layer"""


class ClassifierImages(Strict):
    """Windows of the log-mel that the backbone sees."""

    frames: Positive = 256
    """frames per window; windows have random positions in training"""
    windows: Positive = 10
    """number of equally spaced windows at inference, which the score variants pool"""


class Ddcsad(Strict):
    """Deep double-centroids semi-supervised anomaly detection; its equation is reconstructed (deviations page)."""

    weight: Annotated[float, Field(ge=0)] | Literal["balanced"] = "balanced"
    """weight of the loss, 0 turns it off; ``balanced`` makes it as large as the cross-entropy over an epoch of batches
    before the first step, a rule that needs no labels"""
    eta: Annotated[float, Field(ge=0)] = 1.0
    """weight of the push from the other class's centroid"""
    epsilon: PositiveFloat = 0.1
    """added to the distance that is pushed, so that eta / epsilon bounds the push of one clip"""
    centroids: Literal["fixed", "epoch", "average"] = "average"
    """class means of an initial pass, of every epoch, or their moving average"""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """momentum of the moving average"""


class ArcFace(Strict):
    """Additive angular margin loss on normal against outlier."""

    weight: Annotated[float, Field(ge=0)] = 0.0
    """weight of the loss; 0 turns it off"""
    scale: PositiveFloat = 30.0
    """scale s"""
    margin: Annotated[float, Field(ge=0, lt=3.1416)] = 0.5
    """margin m in radians"""


class ClassifierBatches(Strict):
    """Contents of a mini-batch and its augmentation."""

    batch_size: Annotated[int, Field(gt=0, multiple_of=2)] = 64
    """clips per step, normal and outlier 1:1"""
    negatives: Literal["all", "machine", "dataset"] = "all"
    """outliers: other sections and machines, other sections only (if there are some), or those of the same data set"""
    mixup: Annotated[float, Field(ge=0)] = 0.2
    """alpha of Mixup's Beta(alpha, alpha) on waveforms; 0 turns it off"""
    noise: Fraction = 0.0
    """probability of added Gaussian noise"""
    noise_snr: Annotated[tuple[float, float], AfterValidator(_ordered)] = (5.0, 20.0)
    """range of the level of the clip over the noise, in dB"""
    volume: Fraction = 0.0
    """probability of a volume change"""
    volume_range: Annotated[float, Field(ge=0)] = 10.0
    """largest volume change up or down, in dB"""
    target_clips: Count = 16
    """target and pseudo-target clips per fine-tuning step"""
    pseudo_target_by: PseudoTargetBy = "mixup"
    """pseudo-target clips by Mixup of target and source clips (the paper), or by the estimated shift"""
    target_negatives: bool = True
    """whether fine-tuning also uses outliers of the target domain, so that the domain does not reveal the class"""

    @model_validator(mode="after")
    def _fits(self):
        if self.target_clips > self.batch_size // 2:
            raise ValueError(
                f"target_clips ({self.target_clips}) must be at most half of batch_size ({self.batch_size}), "
                "the number of normal clips"
            )
        return self


class ClassifierTraining(Strict):
    """Optimisation of the classifier."""

    steps: Positive = 8_000
    """steps on the source domain"""
    finetune_steps: Count = 800
    """steps of fine-tuning for the target domain"""
    head_learning_rate: PositiveFloat = 1.0e-3
    """peak of OneCycleLR for the fully connected layer (and ArcFace)"""
    backbone_learning_rate: PositiveFloat = 5.0e-4
    """peak of OneCycleLR for the convolutions"""
    finetune_factor: PositiveFloat = 1.0
    """factor on both learning rates in fine-tuning"""


class ClassifierScorer(Strict):
    """Conversion of posterior and distance to one score per clip."""

    target_from: TargetFrom = "clips"
    """what target clips are compared with: the section's own clips (held out for logit and distance, learnt for
    Mahalanobis), or pseudo-target clips"""
    target_shift: Annotated[float, Field(ge=0)] = 0.1
    """weight of the shift that the target clips still show next to pseudo-target clips, in Mahalanobis distances"""
    variants: Annotated[list[ClassifierVariant], Field(min_length=1)] = [*get_args(ClassifierVariant)]
    """scores (:mod:`asdlib.classifier.scorer`), each one system; without labels the first of the paper's is used, and
    the first of the extensions in the rows with a plus"""
    centroids: Literal["clips", "training"] = "clips"
    """class means of the training clips as they are, or the loss's (of augmented and mixed batches)"""
    batch_size: Positive = 16
    """clips per step at inference"""

    @model_validator(mode="after")
    def _each_once(self):
        if len(set(self.variants)) < len(self.variants):
            raise ValueError(f"variants ({', '.join(self.variants)}) must name each variant once")
        return self


class Classifier(Strict):
    """Sec. 2.2: the binary classification branch, one model per section."""

    features: Features = Features(hop_length=256, n_mels=256)
    images: ClassifierImages = ClassifierImages()
    model: ClassifierModel = ClassifierModel()
    ddcsad: Ddcsad = Ddcsad()
    arcface: ArcFace = ArcFace()
    batches: ClassifierBatches = ClassifierBatches()
    training: ClassifierTraining = ClassifierTraining()
    scorer: ClassifierScorer = ClassifierScorer()
    origin: Origin = "paper"
    """whether this is the paper's method, smaller settings allowed, or an extension of ours (:mod:`asdlib.origin`)"""
    seed: Count = 0
    """added to the run's seed: candidates may differ in nothing else"""

    @model_validator(mode="after")
    def _origin_fits(self):
        _is_the_papers(
            self,
            batches__pseudo_target_by=self.batches.pseudo_target_by == "shift",
            batches__mixup=self.batches.mixup == 0,
            scorer__target_from=self.scorer.target_from == "pseudo_target",
            ddcsad__weight=self.ddcsad.weight == 0,
            training__finetune_steps=self.training.finetune_steps == 0,
        )
        return self


# Ensembles and evaluation (Sec. 2.3 and 3) ----------------------------------------------------------------------------
class Ensemble(Strict):
    """Sec. 2.3."""

    sizes: Annotated[list[Positive], Field(min_length=1)] = [3, 5, 10, 20]
    """N of the N best autoencoder candidates, each by its best variant; larger ones than there are candidates are left
    out"""
    combinations: Annotated[list[Combination], Field(min_length=1)] = ["average", "median", "maximum", "ranking"]
    """ways to combine scores; the first is the one used without labels"""
    classifier_best: Positive = 2
    """N best classifier candidates per section, each by its best variant"""
    normalise: Literal["test", "train"] = "test"
    """by what the rows that select normalise scores to mean 0 and variance 1: the test clips (the paper) or the
    held-out training clips (can score one clip), as the fixed rows always do"""


class Evaluation(Strict):
    """Sec. 3."""

    p: Annotated[float, Field(gt=0, le=1)] = 0.1
    """largest false positive rate of pAUC"""
    bootstrap: Count = 1000
    """number of resamples for the intervals; 0 for no intervals"""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """confidence of the intervals"""
    decision_quantile: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """quantile of the training scores' gamma distribution above which a clip is called anomalous"""


class Settings(Strict):
    """One profile: the whole experiment."""

    profile: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """name of the run folder"""
    title: str
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
    """named overrides of ``autoencoder``; the first is the one used without labels"""
    classifier: Classifier = Classifier()
    classifier_candidates: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)] = {"base": {}}
    """named overrides of ``classifier``; the first is the one used without labels"""
    ensemble: Ensemble = Ensemble()
    evaluation: Evaluation = Evaluation()

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
                f"{branch} candidate {name!r} is not in the profile {self.profile}{_nearest(name, candidates)}"
            )
        base = getattr(self, branch)
        where = f"{branch}_candidates.{name}"
        return _validated(type(base), merged(base.model_dump(mode="json"), candidates[name]), where)

    def common(self) -> dict[str, Any]:
        """Settings outside its own that every trained or fitted system depends on; its record holds them.

        Which clips are held out follows from the run's seed and the share.
        """
        return {"run_seed": self.seed, "sample_rate": self.data.sample_rate, "held_out": self.data.held_out}

    def trained_as(self, branch: Literal["autoencoder", "classifier"], name: str) -> str:
        """Return the candidate whose models ``name`` uses: the first with equal settings apart from the scorer."""
        other = {"scorer", "origin"}  # have no effect on the training
        same = self.candidate(branch, name).model_dump(exclude=other)
        candidates = getattr(self, f"{branch}_candidates")
        return next(one for one in candidates if self.candidate(branch, one).model_dump(exclude=other) == same)

    def resolved(self) -> dict:
        """Return all settings as plain JSON values, including defaults."""
        return json.loads(self.model_dump_json())


# Reading --------------------------------------------------------------------------------------------------------------
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
        known = paths.home() / "params"
        path = (known if known.is_dir() else Path(__file__).parent / "profiles") / f"{path}.yaml"
    elif not path.is_file():
        path = paths.home() / path
    if not path.is_file():
        known = sorted(other.stem for other in path.parent.glob("*.yaml"))
        raise ParamsError(f"{path}: no such file; profiles in that folder: {', '.join(known) or 'none'}")
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(values, dict):
        raise ParamsError(f"{path}: expected a mapping of settings, found {type(values).__name__}")
    return _validated(Settings, merged(values, overrides or {}), path)


def section(name: str | int) -> str:
    """Return a section as text of two digits, even if ``papermill -p section 00`` turned it into a number.

    >>> section("01"), section(0)
    ('01', '00')
    """
    return f"{name:02d}" if isinstance(name, int) and not isinstance(name, bool) else name


def value(text: str) -> Any:
    """Read one setting as it would be read from a profile, for ``--set KEY=VALUE``.

    Raises:
        ParamsError: The text is not YAML.
    """
    try:
        return _portable(yaml.load(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise ParamsError(f"{text!r}: not valid YAML ({' '.join(str(error).split())})") from None


def _portable(value: Any) -> Any:
    """Convert ``value`` to what JSON can pass to other processes, with 001, which may be a name, as text."""
    if isinstance(value, list):
        return [
            "null" if item is None else item.text if isinstance(item, _Float) else _portable(item) for item in value
        ]
    if isinstance(value, dict):
        return {key: _portable(item) for key, item in value.items()}
    if isinstance(value, _Integer):
        return value.text if re.fullmatch(r"0[0-9]+", value.text) else int(value)
    return float(value) if isinstance(value, _Float) else value


class _Loader(yaml.SafeLoader):
    """Loader for YAML 1.2's core schema that forbids duplicate keys, of which plain YAML silently keeps the last.

    PyYAML follows YAML 1.1, where 010 is 8, 1:30 is 90, 1e-3 and 0o10 are text, no is false, and 2021-01-01 is a date.
    """

    yaml_implicit_resolvers: ClassVar[dict] = {}

    def construct_mapping(self, node, deep=False):
        keys = []
        for key, _ in node.value:
            keys.append(self.construct_object(key))
            if keys[-1] in keys[:-1]:
                raise yaml.constructor.ConstructorError(problem=f"{keys[-1]!r} twice", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    base = {"0o": 8, "0x": 16}.get(text.lstrip("+-")[:2], 10)
    return _as_written(_Integer(text.replace("0o", "").replace("0x", ""), base), int, text)


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node)
    return _as_written(_Float(re.sub(r"\.(?=inf|nan)", "", text.lower())), float, text)


def _as_written(number: Any, kind: type, text: str) -> Any:
    number.text = text
    return kind(number) if repr(number) == text else number


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


def merged(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` updated with ``overrides``, which may have nested or dotted keys; both stay unchanged."""
    result = dict(values)
    for key, value in overrides.items():
        head, _, rest = str(key).partition(".")
        if rest:
            value = {rest: value}
        below = result.get(head)
        result[head] = merged(below if isinstance(below, dict) else {}, value) if isinstance(value, dict) else value
    return result


def _validated(model: type[Strict], values: dict[str, Any], where: str | Path):
    try:
        return model.model_validate(values)
    except ParamsError as error:  # from a candidate
        raise ParamsError("\n".join(f"{where}: {line}" for line in str(error).splitlines())) from None
    except ValidationError as error:
        raise ParamsError("\n".join(f"{where}: {_sentence(model, item)}" for item in error.errors())) from None


def _sentence(model: type[Strict], item: dict) -> str:
    """Format a pydantic error as a sentence that names the key, the value found and the remedy."""
    location = [str(part) for part in item["loc"]]
    key = ".".join(location)
    if item["type"] == "extra_forbidden":
        return f"unknown key {key!r}{_nearest(location[-1], _keys(model, location[:-1]))}"
    if item["type"] == "missing":
        return f"the key {key!r} is missing; add it"
    found = "" if item["type"] == "value_error" else f", found {json.dumps(item['input'], default=str)}"
    message = item["msg"].removeprefix("Value error, ")
    return f"{key}: {message}{found}" if key else message


def _keys(model: type[Strict], location: list[str]) -> list[str]:
    for part in location:
        field = model.model_fields.get(part)
        inner = _kinds(field.annotation) if field else []
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)


def _kinds(annotation: Any) -> list[type[Strict]]:
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [kind for part in getattr(annotation, "__args__", ()) for kind in _kinds(part)]


def _nearest(name: str, known) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; expected one of {', '.join(known)}" if known else ""
