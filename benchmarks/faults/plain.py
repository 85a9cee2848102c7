"""Two detectors of some thirty lines, of the kind that an engineer would write first."""

import numpy as np
from scipy.spatial import cKDTree

from asdlib.detector.statistics import Bands
from asdlib.gaussian import Gaussian

NEIGHBOUR_FRAMES = 0.3  # seconds averaged per frame


class Plain:
    """Mahalanobis distance of the mean log-mel spectrum, and nearest neighbours of frames.

    Args:
        waves: Normal recordings, float64.
        rate: Sampling rate in Hz.
    """

    def __init__(self, waves: list[np.ndarray], rate: int):
        self.bands = Bands(rate)
        spectra = [self.spectrum(wave) for wave in waves]
        self.gaussian = Gaussian.fit(np.stack([spectrum.mean(0) for spectrum in spectra]))
        frames = np.concatenate([self.frames(spectrum) for spectrum in spectra])
        self.scale = frames.std(0)
        self.tree = cKDTree(frames / self.scale)

    def spectrum(self, wave: np.ndarray) -> np.ndarray:
        """Return the log-mel spectrum of a wave, ``(frames, bands)``."""
        return self.bands(wave * 2**15)

    def frames(self, spectrum: np.ndarray) -> np.ndarray:
        """Return the spectrum averaged over parts of :data:`NEIGHBOUR_FRAMES`."""
        width = max(round(NEIGHBOUR_FRAMES / self.bands.step), 1)
        return spectrum[: len(spectrum) // width * width].reshape(-1, width, spectrum.shape[1]).mean(1)

    def score(self, wave: np.ndarray) -> dict[str, float]:
        """Return the scores of a recording: the distance of its mean, and the mean distance of its frames."""
        spectrum = self.spectrum(wave)
        distance, _ = self.tree.query(self.frames(spectrum) / self.scale)
        return {
            "plain/Mahalanobis": float(self.gaussian.distance(spectrum.mean(0)[None])[0]),
            "plain/nearest neighbour": float(distance.mean()),
        }
