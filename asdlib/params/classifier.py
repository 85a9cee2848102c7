"""Sec. 2.2: settings of the binary classification branch."""

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from asdlib.params.data import Features
from asdlib.params.types import (
    Branch,
    ClassifierVariant,
    Count,
    Fraction,
    Positive,
    PositiveFloat,
    PseudoTargetBy,
    Strict,
    TargetFrom,
    ordered,
    require_papers_method,
    unique,
)


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

    batch_size: Annotated[Positive, Field(multiple_of=2)] = 64
    """clips per step, normal and outlier 1:1"""
    negatives: Literal["all", "machine", "dataset"] = "all"
    """outliers: other sections and machines, other sections only (if there are some), or those of the same data set"""
    mixup: Annotated[float, Field(ge=0)] = 0.2
    """alpha of Mixup's Beta(alpha, alpha) on waveforms; 0 turns it off"""
    source_mixup: bool = False
    """whether source clips are also mixed with one another; the paper names Mixup for pseudo-target clips only"""
    noise: Fraction = 0.0
    """probability of added Gaussian noise"""
    noise_snr: Annotated[tuple[float, float], AfterValidator(ordered)] = (5.0, 20.0)
    """range of the level of the clip over the noise, in dB"""
    volume: Fraction = 0.0
    """probability of a volume change"""
    volume_range: Annotated[float, Field(ge=0)] = 10.0
    """largest volume change up or down, in dB"""
    target_share: Annotated[float, Field(ge=0, le=0.5)] = 0.25
    """share of target and pseudo-target clips in a fine-tuning step, half of which is normal clips: 16 of 64 clips"""
    pseudo_target_by: PseudoTargetBy = "mixup"
    """how pseudo-target clips are made: by Mixup of target and source clips (the paper), or as shifted clips"""
    target_negatives: bool = True
    """whether fine-tuning also uses outliers of the target domain, so that the domain does not reveal the class"""

    @property
    def target_clips(self) -> int:
        """Number of target and pseudo-target clips per fine-tuning step."""
        return round(self.target_share * self.batch_size)


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
    Mahalanobis), or shifted clips"""
    target_shift: Annotated[float, Field(ge=0)] = 0.1
    """weight of the shift that the target clips still show compared with shifted clips, in Mahalanobis distances"""
    variants: Annotated[list[ClassifierVariant], Field(min_length=1), AfterValidator(unique)] = [
        *get_args(ClassifierVariant)
    ]
    """scores (:mod:`asdlib.classifier.scorer`), each one system; the selection *fixed* uses the first of the paper's,
    and in the rows with a plus the first of the extensions"""
    centroids: Literal["clips", "training"] = "clips"
    """class means of the training clips as they are, or the loss's (of augmented and mixed batches)"""
    batch_size: Positive = 16
    """clips per step at inference"""


class Classifier(Branch):
    """Sec. 2.2: the binary classification branch, one model per section."""

    features: Features = Features(hop_length=256, n_mels=256)
    images: ClassifierImages = ClassifierImages()
    model: ClassifierModel = ClassifierModel()
    ddcsad: Ddcsad = Ddcsad()
    arcface: ArcFace = ArcFace()
    batches: ClassifierBatches = ClassifierBatches()
    training: ClassifierTraining = ClassifierTraining()
    scorer: ClassifierScorer = ClassifierScorer()

    @model_validator(mode="after")
    def _origin_fits(self):
        require_papers_method(
            self,
            batches__pseudo_target_by=self.batches.pseudo_target_by == "shift",
            batches__mixup=self.batches.mixup == 0,
            batches__target_share=self.batches.target_share == 0,
            scorer__target_from=self.scorer.target_from == "shifted",
            ddcsad__weight=self.ddcsad.weight == 0,
            training__finetune_steps=self.training.finetune_steps == 0,
        )
        return self
