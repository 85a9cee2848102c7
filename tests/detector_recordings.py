"""Create recordings of a tiny machine, a hum in noise, and a profile of tiny networks that train in seconds."""

from pathlib import Path

import numpy as np
import soundfile
import yaml

RATE = 16_000
PROFILE = {
    "profile": "tiny",
    "title": "hums for tests",
    "device": "cpu",
    "precision": "float32",
    "data": {"held_out": 0.3},
    "autoencoder": {
        "features": {"n_fft": 512, "hop_length": 256, "n_mels": 24},
        "model": {"channels": 16, "heads": 2, "blocks": 1, "kernel": 3, "expansion": 2, "latent": 8},
        "specaugment": {"time_masks": 2, "frequency_masks": 1, "frequency_width": [0, 3]},
        "training": {"steps": 60, "warmup": 20, "batch_size": 8, "crop_frames": [20, 60]},
        "scorer": {"copies": 2, "variants": ["clip_signed", "median"]},
    },
    "classifier": {
        "features": {"n_fft": 512, "hop_length": 256, "n_mels": 32},
        "images": {"frames": 48, "windows": 2},
        "model": {"backbone": "test_resnet"},
        "batches": {"batch_size": 8},
        "training": {"steps": 8, "finetune_steps": 4},
    },
    "classifier_candidates": {"base": {}, "dataset": {"batches": {"negatives": "dataset"}}},
}


def hum(seed: int, seconds: float = 2.0, rate: int = RATE, pitch: float = 300.0, burst: tuple = ()) -> np.ndarray:
    """Return a hum in noise; ``burst`` is the start and end, in seconds, of an additional 5 kHz tone."""
    rng, time = np.random.default_rng(seed), np.arange(round(seconds * rate)) / rate
    wave = 0.1 * np.sin(2 * np.pi * pitch * time + rng.uniform(0, 6)) + 0.02 * rng.standard_normal(len(time))
    if burst:
        wave += 0.1 * np.sin(2 * np.pi * 5000 * time) * ((time >= burst[0]) & (time < burst[1]))
    return wave


def write(path: Path, wave: np.ndarray, rate: int = RATE) -> Path:
    """Write a 16-bit mono WAV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, subtype="PCM_16")
    return path


def normal(folder: Path, count: int, first: int = 0, **like) -> Path:
    """Write a folder of ``count`` hums."""
    for index in range(count):
        write(folder / f"day{index:03d}.wav", hum(first + index, **like))
    return folder


def profile(folder: Path) -> Path:
    """Write the settings of the tiny networks to a file."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(PROFILE), encoding="utf-8")
    return path
