"""Test volume and noise against the requested levels in dB, and Mixup against numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asdlib.classifier import augment


def clips(count: int, samples: int = 20_000) -> torch.Tensor:
    return (
        torch.randn(count, samples, generator=torch.Generator().manual_seed(0))
        * torch.linspace(0.01, 1, count)[:, None]
    )


def power(waveform: torch.Tensor) -> np.ndarray:
    return waveform.double().square().mean(1).numpy()


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=5))
def test_volume_changes_the_level_by_so_many_decibels(decibels):
    waveform = clips(len(decibels), 100)
    change = 10 * np.log10(power(augment.volume(waveform, torch.tensor(decibels))) / power(waveform))
    np.testing.assert_allclose(change, decibels, atol=1e-4)


def test_noise_has_the_signal_to_noise_ratio_asked_for():
    waveform, snr = clips(4), torch.tensor([0.0, 5.0, 20.0, torch.inf])
    noisy = augment.noise(waveform, snr, torch.Generator().manual_seed(1))
    measured = 10 * np.log10(power(waveform)[:3] / power(noisy - waveform)[:3])
    np.testing.assert_allclose(measured, snr[:3], atol=0.15)  # deviation of the power of 20,000 samples: 0.04 dB
    assert torch.equal(noisy[3], waveform[3])
    assert abs(np.corrcoef((noisy - waveform)[0], (noisy - waveform)[1])[0, 1]) < 0.03  # each clip its own noise


def test_noise_follows_its_generator_only():
    waveform, snr = clips(2), torch.tensor([5.0, 5.0])
    first, again, other = (augment.noise(waveform, snr, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_silence_stays_silent():
    silent = torch.zeros(1, 100)
    assert torch.equal(augment.noise(silent, torch.tensor([5.0]), torch.Generator()), silent)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.integers(0, 2**32))
def test_mixup_of_waveforms_and_labels(shares, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.standard_normal((2, len(shares), 7))
    share = np.array(shares)
    mixed = augment.mixup(*(torch.from_numpy(values) for values in (first, second, share))).numpy()
    np.testing.assert_allclose(mixed, [s * a + (1 - s) * b for s, a, b in zip(share, first, second, strict=True)])
    labels = augment.mixup(torch.ones(len(shares)), torch.zeros(len(shares)), torch.from_numpy(share))
    np.testing.assert_allclose(labels, share, rtol=1e-6)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_mixup_ends_are_exact(share):
    first, second = clips(2, 50), clips(2, 50).flip(0)
    mixed = augment.mixup(first, second, torch.full((2,), share))
    assert torch.equal(mixed, first if share else second)
