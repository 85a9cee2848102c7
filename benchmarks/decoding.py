"""Benchmark decoding the WAV files of a machine type to one array, against soundfile in a plain loop."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from measure import compare, seconds

from asdlib import params
from asdlib.data import audio

CLIPS, SECONDS, RATE = 1000, 10, 16_000


def run(folder: Path) -> list[dict]:
    """Compare; the limit is the rate of only reading the files."""
    root, data = folder / "wav", params.Data(root=str(folder))
    root.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, SECONDS * RATE)
    for clip in range(CLIPS):
        soundfile.write(root / f"section_00_source_train_normal_{clip:04d}.wav", np.roll(noise, clip), RATE, "PCM_16")
    names = sorted(path.name for path in root.iterdir())
    clips = pd.DataFrame({"clip": names, "path": [f"wav/{name}" for name in names]})
    clips = clips.assign(machine="fan", section="00", domain="source", split="train", label="normal", attributes="")

    def ours():
        shutil.rmtree(folder / "fan", ignore_errors=True)
        audio.decode(clips, folder, folder / "fan", data)

    def reference():
        array = np.lib.format.open_memmap(folder / "all.npy", "w+", np.int16, (CLIPS, SECONDS * RATE))
        for row, name in enumerate(names):
            array[row] = soundfile.read(root / name, dtype="int16")[0]
        array.flush()

    def limit():
        return 1 / seconds(lambda: [(root / name).read_bytes() for name in names])

    work = f"{CLIPS} wav files of {SECONDS} s to a memory-mapped array, with all checks"
    return [compare(work, ours, reference, by="soundfile.read in a loop, flushed", goal=1, limit=limit, amount=1)]
