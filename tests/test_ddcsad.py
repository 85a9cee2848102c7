"""Test DDCSAD and its gradient against its defining equation in float64, and its three rules for centroids."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asdlib import params
from asdlib.classifier import NORMAL, OUTLIER
from asdlib.classifier.ddcsad import Ddcsad

D = 5


def ddcsad(**options) -> Ddcsad:
    """Return a criterion in float64 with different centroids."""
    criterion = Ddcsad(D, params.classifier.Ddcsad(**options), epoch_steps=3).double()
    criterion.centroids = torch.randn(2, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return criterion


def draw(seed: int, batch: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, D)
    return torch.randn(shape, generator=generator).double(), torch.rand(batch, generator=generator).double()


@given(st.integers(0, 2**32), st.floats(0, 5), st.floats(0.01, 1))
@settings(max_examples=25, deadline=None)
def test_the_defining_equation(seed, eta, epsilon):
    criterion = ddcsad(eta=eta, epsilon=epsilon)
    embedding, label = draw(seed)
    total = 0.0
    for z, y in zip(embedding.numpy(), label.numpy(), strict=True):
        normal = sum((z[i] - criterion.centroids[NORMAL, i].item()) ** 2 for i in range(D)) / D
        outlier = sum((z[i] - criterion.centroids[OUTLIER, i].item()) ** 2 for i in range(D)) / D
        total += y * (normal + eta / (outlier + epsilon)) + (1 - y) * (outlier + eta / (normal + epsilon))
    assert criterion(embedding, label).item() == pytest.approx(total / len(label), rel=1e-12)


def test_the_gradient():
    criterion = ddcsad()
    embedding, label = draw(0)
    assert torch.autograd.gradcheck(criterion, (embedding.requires_grad_(), label.requires_grad_()))


@pytest.mark.parametrize(("y", "own"), [(1.0, NORMAL), (0.0, OUTLIER)])
def test_the_own_centroid_costs_less_than_the_other(y, own):
    criterion, label = ddcsad(), torch.tensor([y], dtype=torch.float64)
    line = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]  # from the own centroid to the other
    places = (1 - line) * criterion.centroids[own] + line * criterion.centroids[1 - own]
    assert (np.diff([criterion(place[None], label).item() for place in places]) > 0).all()


def test_fixed_centroids_are_the_class_means_of_the_initial_pass():
    criterion = ddcsad(centroids="fixed")
    batches = [draw(seed) for seed in range(3)]
    for batch in batches:
        criterion.collect(*batch)
    criterion.replace()
    z, y = (np.concatenate([part.numpy() for part in parts]) for parts in zip(*batches, strict=True))
    expected = np.stack([np.average(z, axis=0, weights=1 - y), np.average(z, axis=0, weights=y)])
    np.testing.assert_allclose(criterion.centroids.numpy(), expected, rtol=1e-12)
    criterion.observe(*draw(9))
    np.testing.assert_allclose(criterion.centroids.numpy(), expected, rtol=1e-12)


def test_moving_average():
    criterion = ddcsad(centroids="average", momentum=0.75)
    expected = criterion.centroids.numpy().copy()
    for seed in range(4):
        z, y = draw(seed)
        criterion.observe(z, y)
        means = np.stack([np.average(z, axis=0, weights=1 - y), np.average(z, axis=0, weights=y)])
        expected = 0.75 * expected + 0.25 * means
    np.testing.assert_allclose(criterion.centroids.numpy(), expected, rtol=1e-12)


def test_epoch_centroids_change_once_an_epoch():
    criterion = ddcsad(centroids="epoch")  # 3 steps an epoch
    start = criterion.centroids.clone()
    batches = [draw(seed) for seed in range(6)]
    for batch in batches[:2]:
        criterion.observe(*batch)
        assert torch.equal(criterion.centroids, start)
    for batch in batches[2:]:
        criterion.observe(*batch)
    z, y = (np.concatenate([part.numpy() for part in parts]) for parts in zip(*batches[3:], strict=True))
    np.testing.assert_allclose(criterion.centroids[NORMAL].numpy(), np.average(z, axis=0, weights=y), rtol=1e-12)


@pytest.mark.parametrize("rule", ["average", "epoch"])
def test_a_class_that_does_not_occur_keeps_its_centroid(rule):
    criterion = ddcsad(centroids=rule)
    before = criterion.centroids.clone()
    for seed in range(3):
        criterion.observe(draw(seed)[0], torch.ones(6, dtype=torch.float64))
    assert torch.equal(criterion.centroids[OUTLIER], before[OUTLIER])
    assert not torch.equal(criterion.centroids[NORMAL], before[NORMAL])


def test_centroids_are_in_checkpoints():
    criterion, other = ddcsad(centroids="epoch"), ddcsad(centroids="epoch")
    criterion.observe(*draw(0))  # in the middle of an epoch
    other.load_state_dict(criterion.state_dict())
    for seed in (1, 2):
        criterion.observe(*draw(seed))
        other.observe(*draw(seed))
    assert torch.equal(criterion.centroids, other.centroids)


def test_not_in_the_precision_of_autocast():
    criterion = Ddcsad(D, params.classifier.Ddcsad())
    criterion.centroids = 100 + torch.randn(2, D, generator=torch.Generator().manual_seed(0))
    embedding = criterion.centroids[[NORMAL] * 4] + 0.01
    with torch.autocast("cpu", dtype=torch.bfloat16):
        distance = criterion.distances(embedding)
    assert distance.dtype == torch.float32
    torch.testing.assert_close(
        distance[:, NORMAL], torch.full((4,), 1e-4), rtol=0.01, atol=0
    )  # bfloat16 gives 0 or 0.25


def test_the_weight_is_a_number_or_waits_to_be_balanced():
    assert ddcsad(weight=0.25).weight.item() == 0.25
    balanced = ddcsad(weight="balanced")
    assert balanced.weight.item() == 1.0
    balanced.weight.fill_(3.5)
    other = ddcsad(weight="balanced")
    other.load_state_dict(balanced.state_dict())  # a checkpoint or a model file holds it
    assert other.weight.item() == 3.5
