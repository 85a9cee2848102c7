"""Sec. 4: settings of the one network per machine type that replaces the ensemble, an extension of ours."""

from typing import Annotated

from pydantic import Field

from asdlib.params.autoencoder import ConformerModel, NoamTraining, SpecAugment
from asdlib.params.data import Features
from asdlib.params.types import Count, Fraction, Positive, PositiveFloat, Range, Strict


class IntegratedModel(ConformerModel):
    """A Conformer encoder with a head that reconstructs and a head that embeds."""

    latent: Positive = 64
    """bottleneck units per frame of the reconstruction head"""
    embedding: Positive = 128
    """length of an embedding"""


class Shares(Strict):
    """Share of each loss in the gradient of the encoder; 0 turns a loss off, and its head's scores with it."""

    reconstruction: Annotated[float, Field(ge=0)] = 1.0
    """mean absolute error of the log-mel and the section's code (Sec. 2.1)"""
    outlier: Annotated[float, Field(ge=0)] = 1.0
    """binary cross-entropy, normal against outlier, with Mixup (Sec. 2.2)"""
    section: Annotated[float, Field(ge=0)] = 0.5
    """ArcFace over the sections"""
    ddcsad: Annotated[float, Field(ge=0)] = 0.3
    """DDCSAD with one centroid per section and one for outliers"""


class IntegratedTraining(NoamTraining):
    """Optimisation of all losses at once; there is no fine-tuning."""

    batch_size: Annotated[Positive, Field(multiple_of=2)] = 64
    """clips per step, normal and outlier 1:1"""
    target_share: Fraction = 0.25
    """share of the normal clips that are mixed with a target clip of their section"""
    mixup: PositiveFloat = 0.2
    """alpha of the Beta(alpha, alpha) by which outliers are mixed with normal clips"""
    crop_frames: Range = (100, 300)
    """range of the length of the random training crops in frames"""
    outlier_clips: Positive = 500
    """maximum number of training clips of each other machine type"""
    balance_steps: Positive = 100
    """first steps, over which the weights of the losses are set by the norms of their gradients, and then frozen"""
    shares: Shares = Shares()


class IntegratedScorer(Strict):
    """Scores of both heads, each z-scored by held-out training clips, averaged."""

    copies: Positive = 4
    """number of differently masked copies of a clip at inference"""
    batch_size: Positive = 16
    """clips per step at inference, not counting the copies"""
    target_shift: Annotated[float, Field(ge=0)] = 1.0
    """weight of the shift that the target clips show, in the target covariance of the clip's mean error"""


class Integrated(Strict):
    """One network per machine type, for all sections and both domains."""

    features: Features = Features()
    model: IntegratedModel = IntegratedModel()
    specaugment: SpecAugment = SpecAugment()
    training: IntegratedTraining = IntegratedTraining()
    scorer: IntegratedScorer = IntegratedScorer()
    seed: Count = 0
    """added to the run's seed"""
