"""Compute log-mel spectrograms from waveforms, on any device."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from asdlib.units import FULL_SCALE

FLOOR = 1e-10
"""power below which log-mel stays at -100 dB, as in librosa's ``power_to_db``"""


def mel_frequencies(count: int, highest: float) -> np.ndarray:
    """Return ``count`` frequencies in Hz from 0 to ``highest``, equally spaced on Slaney's mel scale.

    The scale is linear up to 1 kHz (15 mel) and logarithmic above: a factor of 6.4 takes 27 mel.

    >>> mel_frequencies(4, 1000.0).round(1).tolist()
    [0.0, 333.3, 666.7, 1000.0]
    """
    width, knee, step = 200.0 / 3, 1000.0, np.log(6.4) / 27.0
    top = highest / width if highest < knee else knee / width + np.log(highest / knee) / step
    mels = np.linspace(0.0, top, count)
    return np.where(mels < knee / width, width * mels, knee * np.exp(step * (mels - knee / width)))


def mel_filters(sample_rate: int, n_fft: int, n_mels: int) -> np.ndarray:
    """Return triangular mel filters of equal area, ``(mels, bins)`` in float32.

    They are those of ``librosa.filters.mel``, which needs a compiler of its own (numba) that takes a second to import
    and lags behind new versions of numpy.
    """
    edges = mel_frequencies(n_mels + 2, sample_rate / 2)
    distance = edges[:, None] - np.fft.rfftfreq(n_fft, 1 / sample_rate)
    width = np.diff(edges)[:, None]
    triangles = np.minimum(-distance[:-2] / width[:-1], distance[2:] / width[1:])
    filters = np.maximum(0, triangles).astype(np.float32)
    return (filters * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


class LogMel(nn.Module):
    """Compute the log-mel spectrogram in dB, as librosa's ``melspectrogram`` and ``power_to_db`` (``top_db=None``) do.

    Hann window, centred frames (zeros beyond the ends), Slaney mel filters, power 2. 10 s at 16 kHz with hop 512 give
    313 frames. A clip's result does not depend on the other clips in the batch.

    Shape:
        input ``(batch, samples)``, float in -1 to 1; output ``(batch, 1 + samples // hop_length, n_mels)`` in dB.

    >>> from asdlib.params import Features
    >>> LogMel(Features(), sample_rate=16_000)(torch.zeros(2, 160_000)).shape
    torch.Size([2, 313, 128])
    """

    def __init__(self, settings, sample_rate: int):
        super().__init__()
        self.n_fft, self.hop_length, self.n_mels = settings.n_fft, settings.hop_length, settings.n_mels
        mel = mel_filters(sample_rate, self.n_fft, self.n_mels)
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)
        self.register_buffer("mel", torch.from_numpy(np.ascontiguousarray(mel.T)), persistent=False)
        # Mel filters are zero almost everywhere. Multiplying each quarter of the filters only with the bins that it
        # needs costs a third of the full product.
        self.quarters = []
        for mels in torch.arange(self.n_mels).chunk(4):
            bins = self.mel[:, mels].sum(1).nonzero()
            first, last = (int(bins.min()), int(bins.max())) if len(bins) else (0, 0)
            self.quarters.append((slice(first, last + 1), slice(int(mels[0]), int(mels[-1]) + 1)))

    def frames(self, samples: int) -> int:
        """Return the number of frames of a clip of ``samples`` samples."""
        return 1 + samples // self.hop_length

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(self, waveform: Tensor) -> Tensor:
        waveform = waveform.float()
        if waveform.device.type == "cpu":  # one clip at a time fits into the cache, which is several times faster
            return torch.stack([self._decibel(clip) for clip in waveform])
        return self._decibel(waveform)

    def _decibel(self, waveform: Tensor) -> Tensor:
        padded = nn.functional.pad(waveform, (self.n_fft // 2, self.n_fft // 2))
        spectrum = torch.fft.rfft(padded.unfold(-1, self.n_fft, self.hop_length) * self.window)  # (..., frames, bins)
        power = spectrum.real.square() + spectrum.imag.square()
        mel = torch.cat([power[..., bins] @ self.mel[bins, mels] for bins, mels in self.quarters], dim=-1)
        return 10 * torch.log10(mel.clamp(min=FLOOR))


def interior(spectrum: Tensor, log_mel: LogMel) -> Tensor:
    """Drop the frames whose window reaches beyond the clip, where it sees zeros that no inner frame contains.

    Args:
        spectrum: Log-mel spectrogram of a whole clip, ``(frames, mels)``.
        log_mel: The front-end that computed it.

    Returns:
        ``(frames - 2 edge, mels)``, or the unchanged spectrum if no frame would be left. With 1024 FFT points and a
        hop of 512, only the first and the last frame are dropped.
    """
    edge = edge_frames(log_mel)
    return spectrum[edge:-edge] if len(spectrum) > 2 * edge else spectrum


def edge_frames(log_mel: LogMel) -> int:
    """Return how many frames at each end of a clip have windows that reach beyond it."""
    return -(-(log_mel.n_fft // 2) // log_mel.hop_length)


def log_mels(waveforms, rows: Sequence[int], log_mel: LogMel) -> Iterator[Tensor]:
    """Compute the log-mel spectrograms of decoded clips, one by one in the order of ``rows``.

    Args:
        waveforms: The machine's clips (:class:`asdlib.data.audio.Waveforms`).
        rows: Clips to process, as row numbers of ``waveforms.clips``.
        log_mel: The front-end, on the device to compute on.

    Yields:
        As :func:`spectrograms`.
    """
    return spectrograms(waveforms.read_each(rows), log_mel)


def spectrograms(clips: Iterable[np.ndarray], log_mel: LogMel, batch: int = 32) -> Iterator[Tensor]:
    """Compute the log-mel spectrograms of waveforms, one by one and in their order; they may differ in length.

    Args:
        clips: Waveforms ``(samples,)`` in units of 1/32768, int16 or float32.
        log_mel: The front-end, on the device to compute on.
        batch: Number of clips on the device at a time.

    Yields:
        ``(frames, mels)`` in dB, on the device of ``log_mel``.
    """
    clips = iter(clips)
    while chunk := list(itertools.islice(clips, batch)):
        for _, equal in itertools.groupby(chunk, key=len):
            pcm = torch.from_numpy(np.stack(list(equal)))
            yield from log_mel(pcm.to(log_mel.window.device) / FULL_SCALE)
