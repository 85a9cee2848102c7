"""Sec. 3.1: settings of the official baselines (rows 1 and 2), and of our reference row."""

from typing import Annotated

from pydantic import Field

from asdlib.params.data import Features
from asdlib.params.types import Positive, PositiveFloat, Strict


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
    """weight of the shift that the target clips still show compared with shifted clips; 0 ignores it"""
    tolerance: Annotated[float, Field(ge=0)] = 0.3
    """weight of single bands in the target clips' differences, which the row Mahalanobis (target) does not count"""
