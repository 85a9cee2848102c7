"""Benchmark log-mel spectrograms of 10-s clips against librosa."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import librosa
import numpy as np
import torch
from measure import compare, copy_rate

from asdlib import params
from asdlib.features import LogMel

CLIPS, SAMPLES, RATE = 500, 160_000, 16_000


def run(folder: Path) -> list[dict]:
    """Compare at the sizes of both branches; the limit is copying the inputs and outputs."""
    waveform = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (CLIPS, SAMPLES)).astype(np.float32))
    cores = [1, 2] if len(os.sched_getaffinity(0)) > 1 else [1]
    return [of(waveform, *sizes, threads) for sizes in ((128, 512), (256, 256)) for threads in cores]


def of(waveform: torch.Tensor, mels: int, hop: int, threads: int) -> dict:
    """Compare for one number of mel bands; each thread processes its share of the clips, librosa uses one thread."""
    log_mel = LogMel(params.Features(n_fft=1024, hop_length=hop, n_mels=mels), RATE)
    halves = waveform.chunk(threads)
    written = log_mel(waveform)

    def ours():
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(log_mel, halves))

    def reference():
        for clip in waveform.numpy():
            power = librosa.feature.melspectrogram(y=clip, sr=RATE, n_fft=1024, hop_length=hop, n_mels=mels)
            librosa.power_to_db(power, top_db=None)

    return compare(
        f"log-mel {mels}, hop {hop}, {CLIPS} clips of 10 s, {threads} thread{'s' if threads > 1 else ''}",
        ours,
        reference,
        by="librosa melspectrogram and power_to_db",
        goal=(1.5, 2.5)[threads - 1],
        limit=copy_rate,
        amount=waveform.nbytes + written.nbytes,
    )
