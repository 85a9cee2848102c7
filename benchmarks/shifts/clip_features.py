"""Compute what a simple reference may know of a clip, once per data set, so that scorers can be compared quickly.

    python benchmarks/shifts/clip_features.py DATA OUT --sets known unit_a room --seeds 0 1 2

``DATA/<set>/`` are folders in the layout of DCASE2021. ``OUT/<set>.npz`` holds one array per feature,
``OUT/<set>_shift_<seed>.npz`` the same features of shifted clips, once by every target clip and once without each.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch

from asdlib.data import file_names, held_out_split
from asdlib.data.audio import evenly_spaced
from asdlib.features import LogMel, interior
from asdlib.params import Features
from asdlib.seeds import derive
from asdlib.shift import physical

RATE, HELD_OUT, JITTER = 16_000, 0.2, 2.0
GROUPS, OCTAVES = 16, (0.25, 0.5, 1, 2, 4, 8, 16)
MACHINE = "ToyCar"


def describe(decibel: np.ndarray) -> dict[str, np.ndarray]:
    """Summarise a log-mel spectrogram ``(frames, mels)`` in dB by several vectors."""
    ordered = np.sort(decibel, axis=0)[::-1]
    rank = np.arange(len(decibel))
    found = {"mean": decibel.mean(0), "dev": decibel.std(0)}
    for percent in (10, 50, 90):
        found[f"q{percent}"] = np.percentile(decibel, percent, axis=0)
    for r in (0.99, 0.95):
        weight = r**rank
        found[f"gwrp{round(100 * r)}"] = weight @ ordered / weight.sum()
    found["difference"] = np.abs(np.diff(decibel, axis=0)).mean(0)
    found["modulation"] = modulation(decibel)
    found["within"] = np.cov(decibel.T, bias=True)
    return found


def modulation(decibel: np.ndarray) -> np.ndarray:
    """Log power of how groups of mel bands vary in time, per octave of the rate, ``(frames, mels)`` to ``(96,)``."""
    grouped = decibel.reshape(len(decibel), GROUPS, -1).mean(2)
    grouped = (grouped - grouped.mean(0)) * np.hanning(len(grouped))[:, None]
    power = np.abs(np.fft.rfft(grouped, axis=0)) ** 2
    rate = np.fft.rfftfreq(len(grouped), 512 / RATE)
    parts = [power[(rate >= low) & (rate < high)].mean(0) for low, high in itertools.pairwise(OCTAVES)]
    return 10 * np.log10(np.concatenate(parts) + 1e-3)


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def features_of(waves: list[np.ndarray], log_mel: LogMel) -> dict[str, np.ndarray]:
    rows = [
        describe(interior(log_mel(torch.from_numpy(np.float32(w))[None])[0], log_mel).double().numpy()) for w in waves
    ]
    return {key: np.stack([row[key] for row in rows]).astype(np.float32) for key in rows[0]}


def catalogue(folder: Path) -> pd.DataFrame:
    rows = []
    for path in sorted((folder / MACHINE).glob("*/*.wav")):
        name = file_names.parse(path.parent.name, path.name)
        rows.append((name.section, name.domain, name.split, name.label, path.name, str(path)))
    return pd.DataFrame(rows, columns=["section", "domain", "split", "label", "clip", "path"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="*", type=int, default=[])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    log_mel, front = LogMel(Features(), RATE), physical.Front(RATE)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.sets:
        clips = catalogue(arguments.data / name)
        if not (arguments.out / f"{name}.npz").exists():
            began = time.time()
            found = features_of([read(path) for path in clips["path"]], log_mel)
            np.savez(arguments.out / f"{name}.npz", **found)
            clips.drop(columns="path").to_csv(arguments.out / f"{name}.csv", index=False)
            print(f"{name}: {len(clips)} clips, {time.time() - began:.0f} s", flush=True)
        for seed in arguments.seeds:
            if (arguments.out / f"{name}_shift_{seed}.npz").exists():
                continue
            began, result = time.time(), {}
            role = held_out_split.roles(clips, HELD_OUT, seed)
            for section, part in clips[clips["split"] == "train"].groupby("section"):
                source, target = (part.index[part["domain"] == domain] for domain in ("source", "target"))
                learn = source[role[source] == held_out_split.LEARN]
                known = learn[evenly_spaced(len(learn), physical.CLIPS)]
                waves = {row: read(clips["path"][row]) for row in [*source, *target]}
                stage = derive(seed, "pseudo-target", MACHINE, section)
                for without in ("none", *range(len(target))):
                    few = [waves[row] for k, row in enumerate(target) if k != without]
                    shift = physical.estimate([waves[row] for row in known], few, RATE, JITTER, stage)
                    made = [
                        physical.apply(shift, waves[row], front, JITTER, derive(stage, clips["clip"][row]))
                        for row in source
                    ]
                    for key, values in features_of(made, log_mel).items():
                        if key != "within":
                            result[f"{section}/{without}/{key}"] = values
                    result[f"{section}/{without}/shift"] = np.array(list(shift.as_dict().values()))
                    print(f"{name} {seed} {section} {without}: {shift}, {time.time() - began:.0f} s", flush=True)
            np.savez(arguments.out / f"{name}_shift_{seed}.npz", **result)


if __name__ == "__main__":
    main()
