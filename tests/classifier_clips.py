"""Create tiny clips for the classifier's tests: a different tone for each machine, section and domain."""

import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from asdlib import params
from asdlib.data.audio import Waveforms
from asdlib.prepare import prepare_clips

RATE = 16_000


def waveforms(counts: dict[tuple[str, str, str], int], samples=1000, value=None) -> Waveforms:
    """Create decoded normal training clips of one machine type in memory.

    Args:
        counts: Clips for each (machine, section, domain).
        samples: Length of a clip, or a function from its number to it.
        value: Function from (machine, section, domain) to the constant that its clips hold; noise if none.
    """
    rng, rows, parts = np.random.default_rng(0), [], []
    for key, count in counts.items():
        for number in range(count):
            length = samples(number) if callable(samples) else samples
            noise = rng.integers(-9000, 9000, length)
            parts.append((noise if value is None else np.full(length, value(*key))).astype(np.int16))
            rows.append([*key, "train", "normal", f"{'_'.join(key)}_{number}.wav", length])
    clips = pd.DataFrame(rows, columns=["machine", "section", "domain", "split", "label", "clip", "samples"])
    clips["start"] = np.cumsum([0, *clips["samples"][:-1]])
    return Waveforms(clips, np.concatenate(parts), "made up")


def project(folder: Path, further: tuple[tuple[str, str], ...] = (), changes=None, **classifier) -> params.Settings:
    """Write and decode recordings in ``folder``: fan with two sections, and valve as outliers; return the settings.

    Section 01 of fan has no target training clips. Anomalies have a further tone.

    Args:
        folder: Where everything lies.
        further: Machine types and sections that have training clips only.
        changes: Settings to change, outside ``classifier``.
        classifier: The same, of ``classifier``.
    """

    plan = [("train", "source", "normal", 6), ("train", "target", "normal", 2)]
    plan += [(f"{domain}_test", domain, label, 2) for domain in ("source", "target") for label in ("normal", "anomaly")]
    for machine, section in (("fan", "00"), ("fan", "01"), ("valve", "00"), *further):
        for place, domain, label, count in plan:
            if (machine == "valve" or (machine, section) in further) and place != "train":
                continue
            if section == "01" and domain == "target":
                continue
            for number in range(count):
                name = f"section_{section}_{domain}_{place.split('_')[-1]}_{label}_{number:04d}.wav"
                path = folder / "data" / machine / place / name
                path.parent.mkdir(parents=True, exist_ok=True)
                rng = np.random.default_rng(zlib.crc32(f"{machine}{name}".encode()))
                time = np.arange(4000 + 500 * number) / RATE  # clips of unequal length
                pitch = {"00": 500, "01": 1500, "02": 800}[section] * (3 if machine == "valve" else 1)
                tone = np.sin(2 * np.pi * pitch * time) + (label == "anomaly") * np.sin(2 * np.pi * 5000 * time)
                soundfile.write(path, 0.2 * tone + 0.05 * rng.standard_normal(len(time)), RATE, subtype="PCM_16")
    values = {
        "features": {"n_fft": 256, "hop_length": 128, "n_mels": 32},
        "images": {"frames": 32, "windows": 3},
        "model": {"backbone": "test_resnet"},
        "batches": {"batch_size": 8},
        "training": {"steps": 6, "finetune_steps": 4},
        "scorer": {"batch_size": 3},
    }
    tiny = {"profile": "tiny", "title": "tones", "runs": str(folder / "runs"), "precision": "float32", "device": "cpu"}
    tiny |= {"data": {"root": str(folder / "data"), "held_out": 0.34}, "classifier": params.merge(values, classifier)}
    settings = params.Settings.model_validate(params.merge(tiny, changes or {}))
    prepare_clips(settings)
    return settings
