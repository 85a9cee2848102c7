"""Sec. 2.1: settings of the autoencoder branch."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from asdlib.params.data import Features
from asdlib.params.types import (
    FRAME_VARIANTS,
    Branch,
    Count,
    Fraction,
    Positive,
    PositiveFloat,
    PseudoTargetBy,
    Range,
    Strict,
    TargetFrom,
    Variant,
    require_papers_method,
    unique,
)


class ConformerModel(Strict):
    """Size of a Conformer encoder and decoder."""

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
    dropout: Fraction = 0.1
    """dropout rate inside the blocks"""

    @model_validator(mode="after")
    def _fits(self):
        if self.channels % self.heads:
            raise ValueError(f"channels ({self.channels}) must be a multiple of heads ({self.heads})")
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel ({self.kernel}) must be odd, so that a frame stays in the middle")
        return self


class AutoencoderModel(ConformerModel):
    """The sequence-level, section-aware Conformer autoencoder."""

    latent: Count = 64
    """bottleneck units per frame; 0 for no bottleneck"""
    section_input: bool = True
    """section ID as a constant last column of the input"""
    section_embedding: Literal["none", "concatenate", "add"] = "none"
    """learned section embedding at the bottleneck"""
    section_regression: bool = True
    """regress the section ID as one more output column"""


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


class NoamTraining(Strict):
    """Number of steps, and learning rate."""

    steps: Positive = 50_000
    """optimiser steps"""
    warmup: Positive = 8_000
    """steps until the Noam schedule peaks"""
    learning_rate: PositiveFloat = 1.0
    """factor on the Noam schedule channels^-0.5 min(t^-0.5, t warmup^-1.5)"""
    cooldown: Fraction = 0.0
    """share of steps at the end over which the learning rate also falls linearly to zero (for short profiles)"""


class AutoencoderTraining(NoamTraining):
    """Optimisation of the autoencoder."""

    batch_size: Positive = 64
    """clips per step"""
    crop_frames: Range = (100, 300)
    """range of the length of the random training crops in frames"""
    loss: Literal["l1", "l2"] = "l1"
    """element-wise reconstruction error"""
    pseudo_target: Fraction = 0.0
    """share of the training crops that are pseudo-target crops, made as ``pseudo_target_by`` says"""
    pseudo_target_by: PseudoTargetBy = "mixup"
    """how pseudo-target crops are made: by Mixup of power with a target clip of their section, or from shifted clips"""


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
    """what the target's Gaussians are fitted on: the few target clips, or shifted clips"""
    target_prior: Annotated[float, Field(ge=0)] = 300.0
    """weight of the section's source covariance in the target's, in frames; 0 uses the target clips alone"""
    target_centre: Literal["own", "source"] = "own"
    """mean of the target's Gaussian: of its own few clips, or of the section's source clips"""
    target_shift: Annotated[float, Field(ge=0)] = 1.0
    """weight of the shift that the target clips (still) show, in the target covariance of clip_signed; 0 ignores it"""
    variants: Annotated[list[Variant], Field(min_length=1), AfterValidator(unique)] = [
        *FRAME_VARIANTS,
        "clip_signed",
        "l1",
    ]
    """post-processing, each one system: pooling over time, ``_of_max`` or ``_of_median`` where the copies' errors are
    not averaged; the selection *fixed* uses the first of the paper's, and in the rows with a plus the first of the
    extensions"""
    top_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """share of the frames that top_k averages"""
    percentile: Annotated[float, Field(ge=0, le=100)] = 90.0
    """percentile of the frames"""
    batch_size: Positive = 16
    """clips per step at inference, not counting the copies"""


class Autoencoder(Branch):
    """Sec. 2.1: the autoencoder branch."""

    features: Features = Features()
    model: AutoencoderModel = AutoencoderModel()
    specaugment: SpecAugment = SpecAugment()
    training: AutoencoderTraining = AutoencoderTraining()
    scorer: AutoencoderScorer = AutoencoderScorer()

    @model_validator(mode="after")
    def _origin_fits(self):
        require_papers_method(
            self,
            training__pseudo_target=self.training.pseudo_target > 0,
            scorer__target_from=self.scorer.target_from == "shifted",
            scorer__masking=not self.scorer.masking,
            scorer__groups=self.scorer.groups != "section_domain",
            scorer__errors=self.scorer.errors == "signed",
            scorer__target_centre=self.scorer.target_centre != "own",
            specaugment__time_masks=self.specaugment.time_masks == 0,
            specaugment__frequency_masks=self.specaugment.frequency_masks == 0,
            specaugment__dropout=self.specaugment.dropout == 0,
            model__section_regression=not self.model.section_regression and self.model.section_embedding == "none",
        )
        return self
