"""The networks that the benchmark of the autoencoder compares."""

import sys
from pathlib import Path

import pytest
import torch

from asdlib import params
from asdlib.autoencoder.model import Autoencoder

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))
import conformer


@pytest.mark.parametrize("profile", ["paper", "quick"])
def test_both_networks_of_the_benchmark_are_compared_on_the_mel_bands(profile):
    size = params.load(profile).autoencoder.model
    batch, section = torch.randn(2, 20, conformer.MELS), torch.zeros(2, dtype=torch.int64)
    with torch.no_grad():
        ours = Autoencoder(size, conformer.MELS, 3)(batch, section)
        plain = conformer.plain_network(size)(batch)
    assert ours.shape[-1] == conformer.MELS + size.section_regression, "the section is a further column"
    changed = ours.clone()
    changed[..., conformer.MELS :] += 1
    for output in (ours, changed):
        expected = (ours[..., : conformer.MELS] - batch).abs().mean().item()
        assert conformer.loss(output, batch).item() == pytest.approx(expected)
    assert conformer.loss(plain, batch).item() == pytest.approx((plain - batch).abs().mean().item())
