"""Is a GPU fast? Steps per second next to a plain recipe, where the time goes, memory, log-mel and scoring."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import torch
from gpu_jobs import Job, autoencoder_job, classifier_job, noise_clips, plain_autoencoder_rate, plain_classifier_rate
from gpu_table import Table
from measure import matrix_rate, seconds
from torch.profiler import ProfilerActivity, profile

from asdlib import params, training
from asdlib.autoencoder.model import Autoencoder
from asdlib.autoencoder.reconstruction_errors import TrainedAutoencoder
from asdlib.classifier.model import Classifier, TrainedClassifier
from asdlib.compute import Compute
from asdlib.data.audio import Waveforms
from asdlib.features import LogMel, log_mels

GOALS = {"autoencoder": 3.0, "classifier": 2.0}
"""how many times as many steps per second as the plain recipe"""
LARGEST = 4096
"""clips of the largest batch that is tried"""


def steps_per_second(
    table: Table,
    name: str,
    job: Job,
    plain: float,
    compute: Compute,
    folder: Path,
    steps: int,
    limit: float,
    tiny: bool,
) -> None:
    """Add the speed of a training next to the plain recipe's and the rate of a matrix product (``limit``)."""
    goal = GOALS[name.partition(" ")[0]]
    rate = job.rate(steps, compute, folder)
    table.add(f"{name}: plain recipe", plain, "steps/s")
    table.add(f"{name}: ours", rate, "steps/s", compute.precision)
    table.add(f"{name}: ours over plain", rate / plain, "times", "plain recipe", at_least=None if tiny else goal)
    share = job.operations() * rate / limit
    table.add(f"{name}: share of a large matrix product's rate", share, "of 1", f"{limit / 1e12:.3g} TFLOP/s")
    drawing = seconds(lambda: [job.loss.draw(step, training.generator(0, step)) for step in range(5)]) / 5
    table.add(f"{name}: drawing a batch", 1e3 * drawing, "ms", f"{1e3 / rate:.1f} ms per step", at_most=1e3 / rate)
    if compute.device.type == "cuda":
        eager = dataclasses.replace(compute, eager=True)
        one_by_one = job.rate(steps, eager, folder)
        table.add(f"{name}: ours without CUDA graphs", one_by_one, "steps/s", f"{rate:.3g} steps/s with them")
        table.attempt(f"{name}: where time goes", lambda: where(table, name, job, eager, folder))
        table.attempt(f"{name}: memory", lambda: memory(table, name, job, compute, folder))


def where(table: Table, name: str, job: Job, compute: Compute, folder: Path) -> None:
    """Add what the profiler saw per step without CUDA graphs: kernels, launches, copies, and time without work."""
    steps = 10
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        took = seconds(lambda: job.train(steps, compute, folder / "where.pt"))
    events = found.key_averages()
    device = [event for event in events if event.device_type == torch.autograd.DeviceType.CUDA]
    copies = sum(event.self_device_time_total for event in device if event.key.startswith(("Memcpy", "Memset")))
    kernels = sum(event.self_device_time_total for event in device) - copies
    launches = sum(event.count for event in events if "LaunchKernel" in event.key)
    table.add(f"{name}: kernels", kernels / steps / 1e3, "ms per step")
    table.add(f"{name}: copies", copies / steps / 1e3, "ms per step")
    table.add(f"{name}: launches", launches / steps, "per step, without CUDA graphs")
    table.add(f"{name}: time without work while profiled", 1 - (kernels + copies) / 1e6 / took, "of 1")


def memory(table: Table, name: str, job: Job, compute: Compute, folder: Path) -> None:
    """Add the peak of memory, and by how much it grows in as many steps again."""
    held = []
    torch.cuda.reset_peak_memory_stats()
    for _ in range(2):
        job.train(30, compute, folder / "memory.pt")
        held.append(torch.cuda.max_memory_allocated())
    table.add(f"{name}: peak memory", held[1] / 2**30, "GiB")
    table.add(f"{name}: growth of the peak in 30 more steps", held[1] / held[0] - 1, "of 1", at_most=0.05)


def largest_batch(table: Table, settings: params.Settings, clips: Waveforms, compute: Compute) -> None:
    """Add the largest power of two of clips that fits into the device's memory in a training step."""
    for name in ("autoencoder", "classifier"):
        base, fits = getattr(settings, name), 0
        size = 64
        while size <= LARGEST:
            if name == "autoencoder":
                changed = base.model_copy(update={"training": base.training.model_copy(update={"batch_size": size})})
            else:
                changed = base.model_copy(update={"batches": base.batches.model_copy(update={"batch_size": size})})
            bigger = settings.model_copy(update={name: changed})
            make = autoencoder_job if name == "autoencoder" else lambda s, c, d: classifier_job(s, "base", c, d)
            try:
                job = make(bigger, clips, compute)
                with compute.autocast():
                    loss = job.loss(0, training.generator(0))["loss"]
                loss.backward()
            except torch.OutOfMemoryError:
                break
            finally:
                job = loss = None
                torch.cuda.empty_cache()
            fits, size = size, 2 * size
        table.add(f"{name} base: largest batch that fits", fits, "clips", f"{LARGEST} is the largest tried")


def inference(table: Table, settings: params.Settings, clips: Waveforms, compute: Compute) -> None:
    """Add log-mel spectrograms and scores in clips per second."""
    rows, rate = np.arange(len(clips)), settings.data.sample_rate
    branch, options = settings.candidate("autoencoder", "base"), settings.candidate("classifier", "base")
    for features in (branch.features, options.features):
        log_mel = LogMel(features, rate).to(compute.device)
        work = f"log-mel with {features.n_mels} bands, hop {features.hop_length}"
        took = min(seconds(lambda log_mel=log_mel: list(log_mels(clips, rows, log_mel))) for _ in range(2))
        table.add(work, len(rows) / took, "clips/s", f"clips of {clips.clips['samples'].iat[0] / rate:g} s")
    autoencoder = TrainedAutoencoder(
        settings=branch,
        compute=compute,
        model=Autoencoder(branch.model, branch.features.n_mels, 3).to(compute.device).eval(),
        log_mel=LogMel(branch.features, rate).to(compute.device),
        seed=0,
        sample_rate=rate,
    )
    kinds, keys = ["signed", "absolute", "absolute.max", "absolute.median"], list(clips.clips["clip"])
    took = seconds(lambda: list(autoencoder.errors(clips.read_each(rows), [0] * len(rows), keys, kinds)))
    table.add("reconstruction errors", len(rows) / took, "clips/s", f"{autoencoder.copies} masked copies of each")
    classifier = TrainedClassifier(options, Classifier(options, rate, (0.0, 0.03)).to(compute.device).eval(), compute)
    took = seconds(lambda: classifier.outputs(clips.read_each(rows)))
    table.add("classifier's embeddings", len(rows) / took, "clips/s", f"{options.images.windows} windows of each")


def run(table: Table, settings: params.Settings, compute: Compute, folder: Path, tiny: bool) -> None:
    """Add all rows of this part, the most important first."""
    device, rate = compute.device, settings.data.sample_rate
    steps = 8 if tiny else 120
    limit = matrix_rate(torch.bfloat16 if not tiny else torch.float32, 256 if tiny else 8192, device)
    table.add("a large matrix product", limit / 1e12, "TFLOP/s", "bfloat16, 8192" if not tiny else "float32, 256")
    clips = noise_clips(8 if tiny else 60, (2 if tiny else 10) * rate, rate)

    def autoencoder() -> None:
        branch = settings.candidate("autoencoder", "base")
        plain = plain_autoencoder_rate(branch, steps // 2, device)
        job = autoencoder_job(settings, clips, compute)
        steps_per_second(table, "autoencoder base", job, plain, compute, folder, steps, limit, tiny)

    def classifier(candidate: str) -> None:
        branch = settings.candidate("classifier", candidate)
        plain = plain_classifier_rate(branch, rate, steps // 2, device)
        job, name = classifier_job(settings, candidate, clips, compute), f"classifier {branch.model.backbone}"
        steps_per_second(table, name, job, plain, compute, folder, steps, limit, tiny)

    table.attempt("autoencoder base", autoencoder)
    first, *others = settings.classifier_candidates
    table.attempt(f"classifier {first}", lambda: classifier(first))
    table.attempt("log-mel and scores", lambda: inference(table, settings, clips, compute))
    for candidate in reversed(others):
        table.attempt(f"classifier {candidate}", lambda candidate=candidate: classifier(candidate))
    table.attempt("all trainings of the profile paper", lambda: table.all_trainings(settings))
    if device.type != "cuda":
        table.skip("CUDA graphs, the compiler, profiles, memory and the largest batch", "needs CUDA")
        return
    table.attempt("largest batch", lambda: largest_batch(table, settings, clips, compute))
    compiled = dataclasses.replace(compute, compile=True)
    for name in ("classifier", "autoencoder"):

        def compiler(name=name) -> None:
            make = autoencoder_job if name == "autoencoder" else lambda s, c, d: classifier_job(s, "base", c, d)
            job, began = make(settings, clips, compute), time.monotonic()
            found = job.rate(steps, compiled, folder)
            table.add(f"{name} base: ours, compiled", found, "steps/s", f"{time.monotonic() - began:.0f} s in all")

        table.attempt(f"{name} base, compiled", compiler)
