"""Test SpecAugment and input dropout: what is masked, how often, and from which seed."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from asdlib.autoencoder import masked_copies, specaugment
from asdlib.params import SpecAugment

PAPER = SpecAugment()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def runs(row: torch.Tensor) -> list[int]:
    """Return the lengths of the runs of true values."""
    return [len(list(group)) for value, group in itertools.groupby(row.tolist()) if value]


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 60),
    st.integers(0, 8),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 2**31),
)
def test_stripes_are_as_many_and_as_wide_as_asked(batch, length, count, low, more, seed):
    width = (low, low + more)
    masks = specaugment.stripes(batch, length, count, width, generator(seed))
    assert masks.shape == (batch, length) and masks.dtype == torch.bool
    for row in masks:
        assert len(runs(row)) <= count
        assert row.sum() <= count * width[1]
        assert row.sum() >= min(low, length) * (count > 0)
        if count == 1:
            assert len(runs(row)) <= 1  # one stretch, whole inside the axis
            assert min(width[0], length) <= row.sum() <= min(width[1], length)


def test_widths_and_places_are_uniform():
    masks = specaugment.stripes(30_000, 12, 1, (1, 4), generator())
    widths = masks.sum(1)
    assert chisquare(torch.bincount(widths)[1:].numpy()).pvalue > 1e-3
    for width in range(1, 5):
        starts = masks[widths == width].int().argmax(1)
        counts = np.bincount(starts.numpy(), minlength=13 - width)
        assert len(counts) == 13 - width  # every place that fits, none other
        assert chisquare(counts).pvalue > 1e-3


def test_gains_are_stripes_times_dropout():
    gains = specaugment.gains(PAPER, 40, 300, 128, generator())
    assert gains.shape == (40, 300, 128)
    assert set(gains.unique().tolist()) == {0.0, 1.25}
    dead_frames, dead_bands = (gains == 0).all(2), (gains == 0).all(1)
    open_places = ~(dead_frames[:, :, None] | dead_bands[:, None, :])
    kept = (gains > 0)[open_places].double().mean()
    assert abs(kept - 0.8) < 0.005  # 40 * 300 * 128 draws, half of them open: 8 standard errors
    assert 0.3 < dead_frames.double().mean() < 0.5  # 1 - (1 - 3 / 300)^48 = 0.38
    assert 0.1 < dead_bands.double().mean() < 0.25  # 1 - (1 - 5 / 128)^5 = 0.18


def test_time_masks_hide_the_same_share_of_short_crops_and_whole_clips():
    """Training crops of 100 frames and clips of 313 at inference; the expected share is 1 - (1 - 3 / 313)^50 = 0.38."""
    only_time = SpecAugment(frequency_masks=0, dropout=0.0)
    share = {}
    for frames in (100, 200, 313, 626):
        hidden = (specaugment.gains(only_time, 2000, frames, 1, generator(frames)) == 0).double().mean((1, 2))
        share[frames] = hidden.mean().item()
        assert share[frames] == pytest.approx(1 - (1 - 3 / 313) ** 50, abs=0.012)  # 8 standard errors, and edges
    assert max(share.values()) - min(share.values()) < 0.015


def test_the_number_of_time_masks_follows_the_length():
    """Masks of width 1, whose number can be counted where they are few: 4 in 40 frames, so 1 in 10 and none in 4."""
    few = SpecAugment(time_masks=4, clip_frames=40, time_width=(1, 1), frequency_masks=0, dropout=0.0)
    for frames, count in ((4, 0), (10, 1), (20, 2), (80, 8)):
        hidden = (specaugment.gains(few, 500, frames, 1, generator()) == 0).sum((1, 2))
        assert hidden.max() == count and hidden.min() >= min(count, 1)


def test_nothing_masked_when_all_is_off():
    off = SpecAugment(time_masks=0, frequency_masks=0, dropout=0.0)
    assert torch.equal(specaugment.gains(off, 2, 5, 7, generator()), torch.ones(2, 5, 7))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**40), st.text(max_size=20), st.integers(1, 5), st.integers(1, 5))
def test_copies_depend_on_seed_clip_and_number_only(seed, clip, few, more):
    masks = SpecAugment(time_masks=3, frequency_masks=1)
    first = masked_copies.draw_gains(masks, clip, few, 40, 16, seed)
    assert first.shape == (few, 40, 16)
    longer = masked_copies.draw_gains(masks, clip, few + more, 40, 16, seed)
    assert torch.equal(longer[:few], first)
    assert len(longer.flatten(1).unique(dim=0)) == few + more  # no two copies alike
    assert not torch.equal(masked_copies.draw_gains(masks, clip + "x", few, 40, 16, seed), first)
    assert not torch.equal(masked_copies.draw_gains(masks, clip, few, 40, 16, seed + 1), first)
