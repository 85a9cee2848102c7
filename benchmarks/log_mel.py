"""Log-mel of 10-s clips, against librosa."""

from pathlib import Path

import librosa
import numpy as np
import torch
from measure import compare, copy_rate

from asdlib import params
from asdlib.features import LogMel

CLIPS, SAMPLES, RATE = 100, 160_000, 16_000


def run(folder: Path) -> list[dict]:
    """Compare at the sizes of both branches; the limit is copying what is read and written."""
    waveform = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (CLIPS, SAMPLES)).astype(np.float32))
    return [of(waveform, *sizes) for sizes in ((128, 512), (256, 256))]


def of(waveform: torch.Tensor, mels: int, hop: int) -> dict:
    """Compare for one number of mel bands."""
    log_mel = LogMel(params.Features(n_fft=1024, hop_length=hop, n_mels=mels), RATE)
    written = log_mel(waveform)

    def reference():
        for clip in waveform.numpy():
            power = librosa.feature.melspectrogram(y=clip, sr=RATE, n_fft=1024, hop_length=hop, n_mels=mels)
            librosa.power_to_db(power, top_db=None)

    return compare(
        f"log-mel {mels}, hop {hop}, {CLIPS} clips of 10 s",
        lambda: log_mel(waveform),
        reference,
        by="librosa melspectrogram and power_to_db",
        goal=1.5,
        limit=copy_rate,
        amount=waveform.nbytes + written.nbytes,
    )
