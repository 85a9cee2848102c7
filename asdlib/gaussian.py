"""Gaussians with full covariance in float64, for the scorer module of Sec. 2.1 and all Mahalanobis distances."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular

from asdlib.errors import ScoreError


@dataclass(frozen=True)
class Gaussian:
    """Multivariate normal distribution that stores its covariance as a Cholesky factor."""

    mean: np.ndarray
    """(dims,)"""
    cholesky: np.ndarray
    """(dims, dims), lower triangle L with covariance L L'"""

    @classmethod
    def of(cls, mean: np.ndarray, covariance: np.ndarray) -> "Gaussian":
        """Build a Gaussian from mean and covariance.

        Raises:
            ScoreError: Mean or covariance contain NaN or infinity, which no ridge would fix.
        """
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise ScoreError(
                "the mean or covariance of a Gaussian scorer contains NaN or infinity; expected finite errors; check "
                "the training of the model"
            )
        ridge, identity = 0.0, np.eye(len(mean))
        scale = max(float(np.trace(covariance)) / len(mean), np.finfo(np.float64).tiny)
        while True:
            try:
                return cls(np.asarray(mean, np.float64), np.linalg.cholesky(covariance + ridge * identity))
            except np.linalg.LinAlgError:
                ridge = max(10 * ridge, 1e-12 * scale)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> "Gaussian":
        """Restore a Gaussian from what :meth:`arrays` returned."""
        return cls(arrays[f"{prefix}mean"], arrays[f"{prefix}cholesky"])

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Return the arrays to store in a safetensors file, named ``<prefix>mean`` and ``<prefix>cholesky``."""
        stored = {"mean": self.mean, "cholesky": self.cholesky}
        return {f"{prefix}{name}": np.ascontiguousarray(array) for name, array in stored.items()}

    @classmethod
    def fit(cls, errors: np.ndarray) -> "Gaussian":
        """Fit sample mean and Ledoit-Wolf covariance to ``errors``, shape ``(samples, dims)``.

        Ledoit and Wolf's shrinkage (towards a multiple of the identity) is optimal for independent samples. Frames of
        one clip are not independent, so for frames it shrinks too little rather than too much.
        """
        from sklearn.covariance import ledoit_wolf  # takes a second to import; scoring with stored Gaussians needs none

        errors = np.asarray(errors, np.float64)
        covariance = ledoit_wolf(errors)[0] if np.isfinite(errors).all() else np.full([errors.shape[1]] * 2, np.nan)
        return cls.of(errors.mean(0), covariance)

    @property
    def covariance(self) -> np.ndarray:
        """(dims, dims)"""
        return self.cholesky @ self.cholesky.T

    def towards(self, errors: np.ndarray, weight: float, centre: str) -> "Gaussian":
        """Fit a Gaussian to few ``errors``, with this one as prior of the covariance.

        The new covariance is the weighted average of this Gaussian's, counted as ``weight`` samples, and the scatter of
        ``errors`` around their mean: the mean of an inverse Wishart posterior, up to its constant.

        Args:
            errors: ``(samples, dims)``.
            weight: Weight of this covariance, in samples; 0 uses ``errors`` only (:meth:`fit`).
            centre: ``own`` takes the mean of ``errors``, ``source`` this Gaussian's mean.
        """
        errors = np.asarray(errors, np.float64)
        own = Gaussian.fit(errors)
        mean = own.mean if centre == "own" else self.mean
        if weight == 0:
            return Gaussian(mean, own.cholesky)
        scatter = np.cov(errors.T, bias=True).reshape(len(mean), len(mean))
        count = len(errors)
        return Gaussian.of(mean, (weight * self.covariance + count * scatter) / (weight + count))

    def widened(self, shifted: np.ndarray, weight: float) -> "Gaussian":
        """Widen this Gaussian to allow for an unknown shift, estimated from a few ``shifted`` samples.

        A shifted sample is modelled as a sample of this Gaussian plus an independent normal shift with mean 0 and
        covariance D, so the covariances add. D is the scatter S of ``shifted`` around this mean, shrunk half-way to its
        diagonal: S + diag(S), up to ``weight``. Directions in which all of ``shifted`` deviate then count for little.

        Args:
            shifted: ``(samples, dims)``.
            weight: Weight of the shift's covariance; 0 changes nothing.
        """
        offset = np.asarray(shifted, np.float64) - self.mean
        scatter = offset.T @ offset / len(offset)
        return Gaussian.of(self.mean, self.covariance + weight * (scatter + np.diag(np.diag(scatter))))

    def distance(self, samples: np.ndarray) -> np.ndarray:
        """Return the Mahalanobis distance of each sample, ``(samples, dims)`` to ``(samples,)``."""
        return np.sqrt(self._squared(samples))

    @cached_property
    def _whitening(self) -> np.ndarray:
        """Inverse of ``cholesky``; one matrix product per clip is faster than solving a triangular system per clip."""
        return solve_triangular(self.cholesky, np.eye(len(self.mean)), lower=True)

    def _squared(self, samples: np.ndarray) -> np.ndarray:
        white = np.subtract(samples, self.mean, dtype=np.float64) @ self._whitening.T
        return np.einsum("ij,ij->i", white, white)

    def negative_log_likelihood(self, errors: np.ndarray) -> np.ndarray:
        """Return the negative log-likelihood of each sample in nats, ``(samples, dims)`` to ``(samples,)``."""
        half_log_det = np.log(np.diag(self.cholesky)).sum()
        return 0.5 * self._squared(errors) + half_log_det + 0.5 * len(self.mean) * np.log(2 * np.pi)
