"""Test ArcFace and its gradient against its defining equation in float64, by angles."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from asdlib import params
from asdlib.classifier.arcface import ArcFace


def arcface(dimensions: int = 4, **options) -> ArcFace:
    torch.manual_seed(0)
    return ArcFace(dimensions, params.classifier.ArcFace(**options)).double()


def by_angles(criterion: ArcFace, embedding: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Compute the cross-entropy of s cos(theta + m) for the own class and s cos(theta) for the other."""
    angle = torch.acos(F.normalize(embedding, dim=1) @ F.normalize(criterion.directions, dim=1).T)
    margin = criterion.margin * F.one_hot(target, 2).double()
    return F.cross_entropy(criterion.scale * torch.cos(angle + margin), target)


@given(st.integers(0, 2**32), st.floats(1, 64), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_the_defining_equation(seed, scale, margin):
    criterion = arcface(scale=scale, margin=margin)
    embedding = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed)).double()
    cosine = F.normalize(embedding, dim=1) @ F.normalize(criterion.directions, dim=1).T
    embedding = embedding[(cosine > math.cos(math.pi - margin) + 1e-9).all(1)]  # where theta + m stays below pi
    if len(embedding):
        for target in (0, 1):
            label = torch.full((len(embedding),), target)
            expected = by_angles(criterion, embedding, label).item()
            assert criterion(embedding, label.double()).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_soft_labels_weigh_the_losses_of_both_classes():
    criterion = arcface()
    embedding = torch.randn(1, 4, generator=torch.Generator().manual_seed(3)).double()
    ends = [criterion(embedding, torch.tensor([y], dtype=torch.float64)).item() for y in (0.0, 1.0)]
    middle = criterion(embedding, torch.tensor([0.3], dtype=torch.float64)).item()
    assert middle == pytest.approx(0.7 * ends[0] + 0.3 * ends[1], rel=1e-12)


def test_the_gradient():
    criterion = arcface(scale=4.0)
    embedding = torch.randn(6, 4, generator=torch.Generator().manual_seed(5)).double().requires_grad_()
    label = torch.rand(6, generator=torch.Generator().manual_seed(6)).double()

    def loss(embedding, directions):
        return torch.func.functional_call(criterion, {"directions": directions}, (embedding, label))

    assert torch.autograd.gradcheck(loss, (embedding, criterion.directions))


@pytest.mark.parametrize("margin", [0.0, 0.5, 1.5])
def test_a_larger_angle_always_costs_more(margin):
    criterion = arcface(3, margin=margin)
    with torch.no_grad():
        criterion.directions.copy_(torch.eye(2, 3))
    angles = np.linspace(0.001, np.pi - 0.001, 300)  # from class 1's direction, at right angles to class 0's
    embedding = torch.tensor(np.stack([0 * angles, np.cos(angles), np.sin(angles)], axis=1))
    losses = [criterion(row[None], torch.ones(1).double()).item() for row in embedding]
    assert (np.diff(losses) > 0).all()


def test_length_does_not_matter():
    criterion = arcface()
    embedding, label = torch.randn(5, 4, generator=torch.Generator().manual_seed(1)).double(), torch.rand(5).double()
    torch.testing.assert_close(criterion(7 * embedding, label), criterion(embedding, label), rtol=1e-12, atol=0)


def test_not_in_the_precision_of_autocast():
    criterion = arcface(64).float()
    embedding, label = torch.randn(16, 64, generator=torch.Generator().manual_seed(2)), torch.ones(16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = criterion(embedding, label)
    expected = criterion.double()(embedding.double(), label.double()).item()
    assert loss.item() == pytest.approx(expected, rel=1e-5)  # bfloat16 is off by 1e-2
