"""Create a tiny run for the autoencoder's tests: one machine type with target clips shorter than its source clips."""

from pathlib import Path

import numpy as np
import soundfile

from asdlib import params
from asdlib.prepare import prepare_clips

PROFILE = {
    "profile": "tiny",
    "title": "tones for tests",
    "device": "cpu",
    "precision": "float32",
    "data": {"held_out": 0.34},
    "autoencoder": {
        "features": {"n_fft": 256, "hop_length": 128, "n_mels": 12},
        "model": {"channels": 8, "heads": 2, "blocks": 1, "kernel": 3, "expansion": 2, "latent": 4},
        "specaugment": {"time_masks": 2, "frequency_masks": 1, "frequency_width": [0, 3]},
        "training": {"steps": 4, "warmup": 2, "batch_size": 4, "crop_frames": [8, 20]},
        "scorer": {"copies": 3, "batch_size": 4},
    },
}


def settings(folder: Path, **overrides) -> params.Settings:
    """Return the settings of the tiny run in ``folder``; in overrides, two underscores stand for a dot."""
    values = params.merge(PROFILE, {"runs": str(folder / "runs"), "data.root": str(folder / "data")})
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    return params.Settings.model_validate(params.merge(values, changes))


def make(folder: Path) -> params.Settings:
    """Write and decode the recordings, and return the settings."""
    rng = np.random.default_rng(0)
    counts = {("train", "normal"): {"source": 6, "target": 2}, ("test", "normal"): {"source": 3, "target": 3}}
    counts["test", "anomaly"] = counts["test", "normal"]
    for section in ("00", "01"):
        for (split, label), domains in counts.items():
            for domain, count in domains.items():
                place = folder / "data" / "fan" / ("train" if split == "train" else f"{domain}_test")
                place.mkdir(parents=True, exist_ok=True)
                time = np.arange(4000 if domain == "source" else 3500) / 16_000
                for index in range(count):
                    pitch = (400 + 200 * int(section)) * (1.5 if label == "anomaly" else 1)
                    wave = 0.2 * np.sin(2 * np.pi * pitch * time) + 0.05 * rng.standard_normal(len(time))
                    name = f"section_{section}_{domain}_{split}_{label}_{index:04d}.wav"
                    soundfile.write(place / name, wave, 16_000, subtype="PCM_16")
    made = settings(folder)
    prepare_clips(made)
    return made
