"""Measure how time and memory grow with clips, machine types and systems: ``python benchmarks/growth.py``.

Every measurement runs in a separate process, so that the peak of resident memory is that of the measurement, including
libraries and mapped pages of the recordings. Recordings are noise; all machine types of the second subject share one
file, which each maps separately. Writes ``book/results/growth.csv``, which the book's cost page draws.
"""

import dataclasses
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import selection
import soundfile
import torch

from asdlib import atomic, params, records, training
from asdlib.baselines.mahalanobis import summary
from asdlib.classifier.batches import Batches
from asdlib.classifier.positives_and_negatives import group_clips
from asdlib.compute import resolve_compute
from asdlib.data import audio
from asdlib.ensemble.choices import choose
from asdlib.ensemble.combine import COMBINATIONS
from asdlib.evaluation import paper
from asdlib.features import LogMel, log_mels

SECONDS, RATE = 10, 16_000
CLIPS, MACHINES, SYSTEMS = (300, 1000, 3000), (1, 3, 7), (10, 30, 100)
BATCHES = 100
REPEATS = 3


def main() -> None:
    """Measure all subjects, alternating sizes so that other load slows all of them alike, and write the table."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record(folder, max(CLIPS))
        for repeat in range(REPEATS):
            for work, do, sizes in (
                ("clips of a machine type: decoding, log-mel", clips, CLIPS),
                (f"machine types of {max(CLIPS):,} clips: {BATCHES} batches of a classifier", machines, MACHINES),
                ("systems of a branch: choice of the ensembles", systems, SYSTEMS),
            ):
                for size in sizes:
                    seconds, peak = measure_in_process(do, folder, size)
                    rows.append((work, size, repeat, seconds, peak))
                    print(f"{work}, {size}: {seconds:.2f} s, {peak / 2**30:.2f} GiB", flush=True)
    compute = resolve_compute(params.Settings(profile="benchmark", title="Benchmarks"))
    table = pd.DataFrame(rows, columns=["work", "size", "repeat", "seconds", "peak_bytes"])
    table = table.assign(device=compute.describe(), commit=records.commit())
    path = Path(__file__).parents[1] / "book" / "results" / "growth.csv"
    with atomic.writing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g", lineterminator="\n")
    print(path)


def measure_in_process(do: Callable[[Path, int], float], folder: Path, size: int) -> tuple[float, int]:
    """Measure the seconds of the work, and the peak of resident memory in bytes of a process that does nothing else."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as workers:
        return workers.apply(_measured, (do, folder, size))


def _measured(do: Callable[[Path, int], float], folder: Path, size: int) -> tuple[float, int]:
    torch.set_num_threads(1)
    seconds = do(folder, size)
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def record(folder: Path, count: int) -> None:
    """Write ``count`` WAV files of noise."""
    (folder / "wav").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, SECONDS * RATE)
    for clip in range(count):
        soundfile.write(folder / "wav" / f"{clip:05d}.wav", np.roll(noise, clip), RATE, "PCM_16")


def catalogue(count: int) -> pd.DataFrame:
    """Return catalogue rows of the first ``count`` files, three per section in the target domain."""
    names = [f"{clip:05d}.wav" for clip in range(count)]
    clips = pd.DataFrame({"clip": names, "path": [f"wav/{name}" for name in names]})
    clips["section"] = [f"{clip % 3:02d}" for clip in range(count)]
    clips["domain"] = np.where(clips.index < 9, "target", "source")
    return clips.assign(machine="fan", split="train", label="normal", attributes="")


def clips(folder: Path, size: int) -> float:
    """Decode the clips and compute mean and deviation of their log-mel, like the row Mahalanobis."""
    decoded = folder / f"decoded{size}"
    shutil.rmtree(decoded, ignore_errors=True)  # of the previous repeat
    began = time.perf_counter()
    audio.decode(catalogue(size), folder, decoded, params.Data(root=str(folder)))
    waveforms = audio.Waveforms.open(decoded)
    log_mel = LogMel(params.Features(), RATE)
    np.stack([summary(spectrum) for spectrum in log_mels(waveforms, range(size), log_mel)])
    return time.perf_counter() - began


def machines(folder: Path, size: int) -> float:
    """Draw batches of 64 windows, outliers from all machine types."""
    parts = []
    for name in paper.MACHINES[:size]:
        waveforms = audio.Waveforms.open(folder / f"decoded{max(CLIPS)}")
        parts += group_clips(dataclasses.replace(waveforms, clips=waveforms.clips.assign(machine=name)))
    branch = params.Classifier(features={"hop_length": 512, "n_mels": 128}, images={"frames": 64})
    batches = Batches(branch, parts, paper.MACHINES[0], "00")
    began = time.perf_counter()
    for step in range(BATCHES):
        batches.source(training.generator(0, step))
    return time.perf_counter() - began


def systems(folder: Path, size: int) -> float:
    """Choose the ensembles of the best 3, 5, 10 and 20 among ``size`` systems of each branch, as in the paper."""
    generator = np.random.default_rng(0)
    ensemble = {"sizes": [3, 5, 10, 20], "combinations": list(COMBINATIONS)}
    settings = selection.settings(size, ensemble)
    pools = selection.pool("autoencoder", generator, size), selection.pool("classifier", generator, size)
    visible = np.ones(len(pools[0].clips), dtype=bool)
    began = time.perf_counter()
    choose(*pools, settings, visible)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
