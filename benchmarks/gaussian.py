"""Benchmark the Gaussian scorer on the frames of 1,000 clips against scipy's logpdf."""

from pathlib import Path

import numpy as np
import torch
from measure import compare, matrix_rate
from scipy.stats import multivariate_normal

from asdlib.gaussian import Gaussian

CLIPS, FRAMES, DIMS, SECTIONS = 1000, 313, 128, 3


def run(folder: Path) -> list[dict]:
    """Compare over sections; the limit is the rate of matrix products in float64."""
    rng = np.random.default_rng(0)
    errors = rng.standard_normal((CLIPS * FRAMES, DIMS), dtype=np.float32)
    gaussians = [Gaussian.fit(errors[start::40] * (1 + start)) for start in range(SECTIONS)]
    parts = np.array_split(errors, SECTIONS)
    clips = [part for section in parts for part in np.array_split(section, CLIPS // SECTIONS)]
    owner = np.repeat(np.arange(SECTIONS), CLIPS // SECTIONS)

    def ours():
        for clip, index in zip(clips, owner, strict=True):
            gaussians[index].negative_log_likelihood(clip)

    def reference():
        for gaussian, part in zip(gaussians, parts, strict=True):
            multivariate_normal.logpdf(part, gaussian.mean, gaussian.covariance)

    return [
        compare(
            f"Gaussian scorer, {CLIPS} clips of {FRAMES} frames of {DIMS}, {SECTIONS} sections",
            ours,
            reference,
            by="scipy multivariate_normal.logpdf",
            goal=1.5,
            limit=lambda: matrix_rate(torch.float64),
            amount=len(errors) * DIMS * DIMS,
        )
    ]
