"""Label the mel bands of a log-mel spectrogram with the frequencies of their centres, in figures and players alike."""

import numpy as np
from matplotlib.axis import Axis

from asdlib.features import mel_frequencies

LABEL = "frequency (Hz)"
"""of every axis of mel bands"""
HERTZ = (500, 1000, 2000, 4000, 8000, 16000)
"""frequencies to label, as far as the bands reach: lower ones would touch in small panels"""


def places(bands: int, sample_rate: int) -> dict[int, float]:
    """Return where round frequencies lie among mel bands, in units of a band from the centre of the lowest.

    The uppermost band has its centre one step of the mel scale below half the sampling rate. That frequency itself, if
    it is round, is labelled at the upper edge of the uppermost band, half a step too low.

    Args:
        bands: Number of mel bands.
        sample_rate: Sampling rate of the clips in Hz.

    >>> {hertz: round(place, 1) for hertz, place in places(128, 16_000).items()}
    {500: 20.4, 1000: 41.8, 2000: 70.5, 4000: 99.3, 8000: 127.5}
    """
    steps = mel_frequencies(bands + 2, sample_rate / 2)
    shown = [hertz for hertz in HERTZ if steps[1] <= hertz <= sample_rate / 2]
    found = np.interp(shown, steps, np.arange(-1.0, bands + 1))
    return {hertz: min(float(place), bands - 0.5) for hertz, place in zip(shown, found, strict=True)}


def label(axis: Axis, bands: int, sample_rate: int, lowest: float = 0.5) -> None:
    """Put ticks in Hz on an axis of mel bands; the words next to it are up to the figure (:data:`LABEL`).

    Args:
        axis: The ``xaxis`` or ``yaxis`` of axes on which the bands are equally wide.
        bands: Number of mel bands.
        sample_rate: Sampling rate of the clips in Hz.
        lowest: Where the centre of the lowest band lies: 0.5 in an image that begins at zero.
    """
    found, limits = places(bands, sample_rate), axis.get_view_interval()
    axis.set_ticks([lowest + place for place in found.values()], [words(hertz) for hertz in found])
    axis.axes.set(**{f"{axis.axis_name}lim": limits})


def words(hertz: int, space: str = "") -> str:
    """Write a frequency briefly, with ``space`` after the number.

    >>> words(500), words(2000), words(2000, " ") + "Hz"
    ('500', '2k', '2 kHz')
    """
    return f"{hertz / 1000:g}{space}k" if hertz >= 1000 else f"{hertz}{space}"
