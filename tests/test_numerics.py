"""Test that NaN and infinity are reported where they arise (for losses, see test_training)."""

import numpy as np
import pytest
import torch
from autoencoder_run import make

from asdlib.autoencoder import scorer, train
from asdlib.errors import ScoreError
from asdlib.gaussian import Gaussian


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_gaussian_of_numbers_that_are_not_finite(value):
    errors = np.random.default_rng(0).normal(size=(30, 4))
    gaussian = Gaussian.fit(errors)
    errors[7, 2] = value
    for fit in (
        lambda: Gaussian.fit(errors),
        lambda: Gaussian.of(np.zeros(4), np.full((4, 4), value)),
        lambda: Gaussian.of(errors[7], np.eye(4)),
        lambda: gaussian.towards(errors, 3.0, "own"),
        lambda: gaussian.widened(errors, 1.0),
    ):
        with pytest.raises(ScoreError, match="contains NaN or infinity"), np.errstate(all="ignore"):
            fit()


@pytest.mark.slow
def test_a_reconstruction_that_is_not_finite_names_the_clip(tmp_path):
    tiny = make(tmp_path)
    train.fit(tiny, "fan", "base")
    clips, net = scorer.open_trained(tiny, "fan", "base")
    with torch.no_grad():
        next(net.model.parameters()).fill_(float("nan"))
    with pytest.raises(ScoreError, match=r"clip 00/\w+/section_00_\w+\.wav: the signed reconstruc"):
        next(scorer.clip_errors(net, clips.waveforms, clips.rows[:1], clips.sections, ["signed"]))
