"""Show audio players under spectrograms; the book's script adds a playhead and lets one player play at a time."""

import base64
import html
import io
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import soundfile
from IPython.display import HTML

from asdlib.data.inspection import Example
from asdlib.plots import mel_axis
from asdlib.plots.style import SPECTROGRAM


def players(examples: Sequence[Example], seconds: float = 5.0) -> HTML:
    """Show one player per clip, all amplified alike, under log-mel spectrograms on one decibel scale.

    Next to each spectrogram stand the frequencies of its mel bands. Their places are written into the page, since a
    notebook has no style sheet of the book.

    Args:
        examples: Clips to hear.
        seconds: How much of each clip is played, from its beginning.
    """
    shown = [_beginning(example, seconds) for example in examples]
    peak = max(np.abs(wave).max() for wave, _ in shown) or 1.0
    low, high = np.percentile(np.concatenate([decibel.ravel() for _, decibel in shown]), [1, 99.9])
    blocks = []
    for example, (wave, decibel) in zip(examples, shown, strict=True):
        title = html.escape(example.title, quote=True)
        picture, sound = _picture(decibel, low, high), _flac(0.9 * wave / peak, example.rate)
        blocks.append(
            f'<figure class="player"><figcaption>{title.replace("_", "_<wbr>")}</figcaption>'
            '<div class="picture" style="position: relative; margin-left: 3.7em">'
            f'<img style="display: block" alt="Log-mel spectrogram: {title}" '
            f'src="data:image/png;base64,{picture}"><span></span>'
            f"{_frequencies(decibel.shape[1], example.rate)}</div>"
            f'<audio controls preload="metadata" aria-label="{title}" src="data:audio/flac;base64,{sound}"></audio>'
            "</figure>"
        )
    return HTML(f'<div class="players">{"".join(blocks)}</div>')


def _beginning(example: Example, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    share = min(1.0, seconds * example.rate / len(example.waveform))
    return (
        example.waveform[: round(share * len(example.waveform))],
        example.decibel[: max(1, round(share * len(example.decibel)))],
    )


def _picture(decibel: np.ndarray, low: float, high: float) -> str:
    """A spectrogram as PNG in base64, a pixel per frame and band."""
    buffer = io.BytesIO()
    plt.imsave(buffer, decibel.T, cmap=SPECTROGRAM, vmin=low, vmax=high, origin="lower", format="png")
    return base64.b64encode(buffer.getvalue()).decode()


def _frequencies(bands: int, rate: int) -> str:
    """The axis of a spectrogram: each frequency at its height, to the left of the picture."""
    marks = [
        f'<small style="position: absolute; right: 100%; bottom: {100 * (place + 0.5) / bands:.1f}%; '
        f'transform: translateY(50%); white-space: nowrap">{mel_axis.words(hertz, " ")}Hz –</small>'
        for hertz, place in mel_axis.places(bands, rate).items()
    ]
    return f'<div class="hertz" aria-hidden="true">{"".join(marks)}</div>'


def _flac(wave: np.ndarray, rate: int) -> str:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, rate, format="FLAC", subtype="PCM_16")
    return base64.b64encode(buffer.getvalue()).decode()
