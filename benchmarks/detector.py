"""Benchmark the ensemble of a detector on one clip, its first answer from a cold start, and imports.

The networks have the sizes of the profile ``detector``; they are trained for two steps only, which does not change the
time of scoring.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from measure import compare

from asdlib import Detector
from asdlib.detector import onnx

CLIPS, SECONDS, RATE = 12, 10, 16_000
TWO_STEPS = {
    "autoencoder.training.steps": 2,
    "autoencoder.training.warmup": 1,
    "classifier.training.steps": 2,
}


def run(folder: Path) -> list[dict]:
    """Judge a clip of 10 s repeatedly in one process, and once per process."""
    rng, time = np.random.default_rng(0), np.arange(SECONDS * RATE) / RATE
    for section, pitch in (("one", 300), ("two", 400)):
        (folder / "normal" / section).mkdir(parents=True)
        for clip in range(CLIPS):
            wave = 0.1 * np.sin(2 * np.pi * pitch * time + clip) + rng.normal(0, 0.03, len(time))
            soundfile.write(folder / "normal" / section / f"{clip:02d}.wav", wave, RATE, "PCM_16")
    place, clip = folder / "machine.detector", folder / "normal" / "one" / "00.wav"
    Detector("detector", overrides=TWO_STEPS).fit(folder / "normal").save(place)
    exported = shutil.copytree(place, folder / "exported.detector")
    onnx.export(exported)
    detector = Detector.load(place)
    stored = detector._fitted().stored.description
    size = f"{len(stored.autoencoder)} autoencoders and {len(stored.classifier)} classifiers"

    def command(*words: str):
        return lambda: subprocess.run([sys.executable, *words], check=False, stdout=subprocess.DEVNULL)

    return [
        compare(
            f"a clip of {SECONDS} s through the mix ensemble, {size}",
            lambda: detector.judge(clip),
            SECONDS,
            by="its own length",
            goal=20,
        ),
        *(
            compare(
                f"the first answer of `python -m asdlib score`, from a cold start, {words}",
                command("-m", "asdlib", "score", str(fitted), str(clip)),
                3,
                by="3 s",
                goal=1,
            )
            for words, fitted in (("by PyTorch", place), ("by ONNX files", exported))
        ),
        compare("`import asdlib`", command("-c", "import asdlib"), 0.3, by="0.3 s", goal=1),
        compare("`python -m asdlib --help`", command("-m", "asdlib", "--help"), 0.3, by="0.3 s", goal=1),
    ]
