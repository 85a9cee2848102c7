"""Waveform batch to log-mel, on any device."""

import librosa
import numpy as np
import torch
from torch import Tensor, nn

FLOOR = 1e-10  # power below which log-mel stays at -100 dB, as librosa's power_to_db


class LogMel(nn.Module):
    """Log-mel spectrogram in dB, equal to librosa's ``melspectrogram`` and ``power_to_db`` (``top_db=None``).

    Hann window, centred frames, Slaney mel filters, power 2. 10 s at 16 kHz with hop 512 give 313 frames.

    Shape:
        input ``(batch, samples)``, float in -1 to 1; output ``(batch, 1 + samples // hop_length, n_mels)`` in dB.
    """

    def __init__(self, settings, sample_rate: int):
        super().__init__()
        self.n_fft, self.hop_length, self.n_mels = settings.n_fft, settings.hop_length, settings.n_mels
        mel = librosa.filters.mel(sr=sample_rate, n_fft=self.n_fft, n_mels=self.n_mels)  # (mels, bins)
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)
        self.register_buffer("mel", torch.from_numpy(np.ascontiguousarray(mel.T)), persistent=False)

    def frames(self, samples: int) -> int:
        """Frames of a clip of ``samples`` samples."""
        return 1 + samples // self.hop_length

    @torch.autocast("cpu", enabled=False)
    @torch.autocast("cuda", enabled=False)
    def forward(self, waveform: Tensor) -> Tensor:
        spectrum = torch.stft(
            waveform.float(), self.n_fft, self.hop_length, window=self.window, pad_mode="constant", return_complex=True
        )  # (batch, bins, frames)
        power = torch.view_as_real(spectrum).square().sum(-1)
        return 10 * torch.log10((power.transpose(1, 2) @ self.mel).clamp(min=FLOOR))  # (batch, frames, mels)
