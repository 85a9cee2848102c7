"""What does the whole experiment cost? One machine type from waveforms to scores, then all of them by extrapolation.

A fixed cost and a cost per step of each training follow from two trainings of different lengths, whose steps are a
stated share of the paper's. Other candidates take as much longer as their networks did in the part *fast*; networks
that were not timed there are assumed to reach the base candidate's rate of operations.
"""

import contextlib
import io
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
import soundfile
import torch
import yaml
from gpu_table import Table, operations_counted
from measure import seconds

from asdlib import params, paths
from asdlib.autoencoder import scorer, train
from asdlib.classifier import clip_outputs
from asdlib.classifier import train as classifier_train
from asdlib.compute import Compute
from asdlib.data import audio, catalogue, file_names, plan
from asdlib.synthetic import dataset, faults

ROOT = Path(__file__).parents[1]
ASKED = ROOT / "params" / "slurm" / "config.yaml"
MACHINE = "fan"
CAPTURES = 6
"""steps of an autoencoder per step of a classifier: enough to have captured most lengths"""
SCORING = {"autoencoder": "autoencoder: scoring", "classifier": "classifier: embeddings of a section"}
"""what is timed next to a training, by branch"""


def write_clip(work: tuple[Path, params.Synthetic, int, str, str]) -> None:
    """Write one synthetic clip."""
    root, synthetic, rate, machine, path = work
    _, folder, file = path.split("/")
    soundfile.write(root / path, dataset.waveform(synthetic, rate, machine, file_names.parse(folder, file)), rate)


def make_clips(settings: params.Settings) -> pd.DataFrame:
    """Write the synthetic recordings of the settings with all cores, and return their catalogue."""
    data, root = settings.data, paths.project_root() / settings.data.root
    clips = catalogue.expected(data.synthetic, faults.fault)
    for path in clips["path"]:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    work = [(root, data.synthetic, data.sample_rate, *row) for row in clips[["machine", "path"]].to_numpy()]
    # Forked processes cannot use CUDA after their parent did, but need not import PyTorch again; these use numpy only.
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), multiprocessing.get_context("fork")) as pool:
        list(pool.map(write_clip, work, chunksize=32))
    return clips


def decode(settings: params.Settings) -> None:
    """Plan the run and decode the recordings, without shifted clips, which the paper's candidates do not use."""
    data, root, run = settings.data, paths.project_root() / settings.data.root, paths.Run.of(settings)
    clips = catalogue.select(catalogue.scan(root), data)
    plan.write(plan.derive_from(clips, data), settings)
    for machine, rows in clips.groupby("machine"):
        audio.decode(rows.reset_index(drop=True), root, run.data(machine), data)


def two_lengths(settings: params.Settings, key: str, steps: int, fit: Callable) -> tuple[float, float]:
    """Return the fixed seconds of a training, and the seconds per step, from trainings of ``steps`` and 3 ``steps``."""
    times = []
    for length in (steps, 3 * steps):
        # Settings are validated again, so that a candidate takes the changed length from its branch.
        changed = params.Settings.model_validate(params.merge(settings.resolved(), {key: length}))
        with contextlib.redirect_stdout(io.StringIO()):
            times.append(seconds(lambda changed=changed: fit(changed)))
    each = max(times[1] - times[0], 0.0) / (2 * steps)
    return max(times[0] - steps * each, 0.0), each


def run(table: Table, settings: params.Settings, compute: Compute, few: int) -> None:
    """Add all rows; classifiers are trained for ``few`` and for three times as many steps, autoencoders for more."""
    cost: dict[str, float] = {}
    run_folder = paths.Run.of(settings)

    def timed(name: str, do: Callable[[], object], unit: str = "s") -> None:
        began = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()):
            do()
        cost[name] = time.monotonic() - began
        table.add(name, cost[name], unit, "one machine type")

    def recordings() -> None:
        timed("making synthetic clips (not part of the experiment)", lambda: make_clips(settings))
        timed("decoding", lambda: decode(settings))
        clips = audio.Waveforms.open(run_folder.data(MACHINE)).clips
        count = {key: int((clips["split"] == key).sum()) for key in ("train", "test")}
        table.add("clips", len(clips), "clips", f"{count['train']} for training, {count['test']} for testing")

    def autoencoder() -> None:
        key, whole = "autoencoder.training.steps", settings.autoencoder.training.steps
        steps = CAPTURES * few  # in the first of which a CUDA graph is captured for each length of crops
        fixed, each = two_lengths(settings, key, steps, lambda changed: train.fit(changed, MACHINE, "base"))
        trained = params.Settings.model_validate(params.merge(settings.resolved(), {key: 3 * steps}))
        cost["autoencoder fixed"], cost["autoencoder step"] = fixed, each
        table.add("autoencoder: fixed part of a training", fixed, "s", f"{steps} and {3 * steps} of {whole} steps")
        table.add("autoencoder: a training of all steps", (fixed + whole * each) / 60, "min", "extrapolated")
        timed(SCORING["autoencoder"], lambda: scorer.score(trained, MACHINE, "base"))

    def classifier() -> None:
        options = settings.classifier.training
        whole, steps, tuning = options.steps + options.finetune_steps, few, max(few // 10, 2)
        fewer = params.Settings.model_validate(
            params.merge(settings.resolved(), {"classifier.training.finetune_steps": tuning})
        )
        key = "classifier.training.steps"

        def fit(changed: params.Settings) -> None:
            classifier_train.fit(changed, MACHINE, "00", "base")

        fixed, each = two_lengths(fewer, key, steps, fit)
        fixed = max(fixed - tuning * each, 0.0)
        cost["classifier fixed"], cost["classifier step"] = fixed, each
        table.add("classifier: fixed part of a training", fixed, "s", f"{steps} and {3 * steps} of {whole} steps")
        table.add("classifier: a training of all steps", (fixed + whole * each) / 60, "min", "extrapolated")
        trained = params.Settings.model_validate(params.merge(fewer.resolved(), {key: 3 * steps}))
        timed(
            SCORING["classifier"],
            lambda: clip_outputs.table(trained, MACHINE, "00", "base", compute),
        )

    table.attempt("recordings", recordings)
    table.attempt("autoencoder", autoencoder)
    table.attempt("classifier", classifier)
    table.attempt("the whole profile", lambda: whole_profile(table, settings, cost, run_folder))


def whole_profile(table: Table, settings: params.Settings, cost: dict[str, float], run: paths.Run) -> None:
    """Extrapolate to all candidates and machine types, next to what params/slurm asks for."""
    counted = operations_counted()
    total, longest = {}, {}
    for branch, scoring in SCORING.items():
        part = counted.loc[branch]
        each = cost[f"{branch} step"] * table.slower(settings, part, branch)
        training_seconds = cost[f"{branch} fixed"] + part["steps"] * each
        total[branch] = float((part["models"] * (training_seconds + cost[scoring])).sum()) / 3600
        longest[branch] = float(training_seconds.max()) / 60
        table.add(f"{branch}: all trainings and scores", total[branch], "GPU hours", "extrapolated")
    table.add("whole profile without baselines", sum(total.values()), "GPU hours", "extrapolated")
    asked = yaml.safe_load(ASKED.read_text(encoding="utf-8"))["set-resources"]
    for branch, minutes in longest.items():
        limit = asked[f"train_{branch}"]["runtime"]
        table.add(f"{branch}: longest training", minutes, "min", "params/slurm: runtime", at_most=limit)
    main = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    limit = asked["train_autoencoder"]["mem_mb"]
    table.add("main memory of this process, all parts", main, "MiB", "params/slurm: mem_mb of a job", at_most=limit)
    if torch.cuda.is_available():
        table.add("GPU memory", torch.cuda.max_memory_allocated() / 2**30, "GiB", "peak of this process")
    decoded = sum(file.stat().st_size for file in run.folder.glob("data/**/*") if file.is_file())
    models = {
        branch: sum(file.stat().st_size for file in (run.folder / branch).rglob("*") if file.is_file())
        for branch in ("autoencoder", "classifier")
    }
    disk = float(counted["models"].groupby("branch").sum().mul(pd.Series(models)).sum()) + 7 * 2 * decoded
    table.add("disk: decoded clips, models and scores", disk / 2**30, "GiB", "extrapolated to 7 machine types")
