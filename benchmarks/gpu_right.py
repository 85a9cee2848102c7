"""Is a GPU right? Compare it with the CPU in float64, with itself, and with itself interrupted."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from gpu_jobs import SECTIONS, Job, autoencoder_job, classifier_job, noise_clips
from gpu_table import Table
from torch import Tensor, nn

from asdlib import params, training
from asdlib.autoencoder import specaugment
from asdlib.autoencoder.model import Autoencoder
from asdlib.autoencoder.train import masked_mean
from asdlib.baselines import frame_autoencoder, mobilenet
from asdlib.classifier.batches import Batches
from asdlib.classifier.model import Classifier
from asdlib.classifier.positives_and_negatives import group_clips
from asdlib.classifier.windows import samples_of
from asdlib.compute import Compute
from asdlib.features import LogMel

CLIPS = 8
"""clips of a batch that the CPU computes in float64 too"""
CPU = torch.device("cpu")
LIMITS = {"float32": (10, 1e-5), "bfloat16": (3, 1e-3), "compiled": (10, 1e-5)}
"""largest relative difference: so many times that of the CPU in the same precision, and at least the second number

How far rounding carries depends on the network: batch norm over few values enlarges it.
"""
MOST = 0.5
"""what rounding may change by more is not compared; a result of zero would have a difference of 1"""


@dataclasses.dataclass(frozen=True)
class Case:
    """A network with inputs, and a function that returns its output and loss for them."""

    name: str
    build: Callable[[], nn.Module]
    inputs: list[Tensor]
    run: Callable[..., tuple[Tensor, Tensor]]


def cases(settings: params.Settings) -> list[Case]:
    """Return all networks at the sizes of the settings, without dropout, whose masks differ between devices."""
    branch = settings.candidate("autoencoder", "base")
    size, mels = branch.model.model_copy(update={"dropout": 0.0}), branch.features.n_mels
    frames, draw = branch.training.crop_frames[0], torch.Generator().manual_seed(0)
    features = torch.randn(CLIPS, frames, mels, generator=draw)
    section = torch.arange(CLIPS) % len(SECTIONS)
    valid = torch.arange(frames) < torch.linspace(frames / 2, frames, CLIPS)[:, None]

    def reconstruct(model: nn.Module, features: Tensor, section: Tensor, *valid: Tensor) -> tuple[Tensor, Tensor]:
        target = model.target(features, section)
        output = model(features, section, *valid).to(target.dtype)
        kept = output * valid[0][..., None] if valid else output
        return kept, masked_mean((output - target).abs(), *(valid or [None]))

    def classify(model: nn.Module, waveform: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        return model(waveform).embedding, model.losses(waveform, label)["loss"]

    def autoencoder() -> nn.Module:
        return Autoencoder(size, mels, len(SECTIONS))

    result = [
        Case("autoencoder", autoencoder, [features, section], reconstruct),
        Case("autoencoder, clips of unequal length", autoencoder, [features, section, valid], reconstruct),
    ]
    for name in settings.classifier_candidates:
        options = settings.candidate("classifier", name)
        options = options.model_copy(update={"model": options.model.model_copy(update={"dropout": 0.0})})
        waveform = torch.randn(CLIPS, samples_of(options), generator=draw) / 10
        label = (torch.arange(CLIPS) % 2).float()

        def build(options=options) -> nn.Module:
            return Classifier(options, settings.data.sample_rate, (0.0, 0.1))

        result.append(Case(f"classifier {options.model.backbone}", build, [waveform, label], classify))
    options = settings.frame_autoencoder
    vectors = torch.randn(64, options.frames * options.features.n_mels, generator=draw)

    def baseline() -> nn.Module:
        return frame_autoencoder.network(vectors.shape[1], options.hidden, options.bottleneck)

    def squared(model: nn.Module, vectors: Tensor) -> tuple[Tensor, Tensor]:
        output = model(vectors).to(vectors.dtype)
        return output, nn.functional.mse_loss(output, vectors)

    images = torch.randn(CLIPS, 3, settings.mobilenet.frames, settings.mobilenet.features.n_mels, generator=draw)

    def logits(model: nn.Module, images: Tensor, section: Tensor) -> tuple[Tensor, Tensor]:
        output = model(images).to(images.dtype)
        return output, nn.functional.cross_entropy(output, section)

    def inverted() -> nn.Module:
        return mobilenet.network(len(SECTIONS), settings.mobilenet.width)

    result.append(Case("frame autoencoder", baseline, [vectors], squared))
    result.append(Case("MobileNetV2", inverted, [images, section], logits))
    return result


def outcome(case: Case, device: torch.device, dtype=torch.float32, precision="float32", backend=None) -> dict:
    """Return output, loss and gradient of one training batch, in float64 on the CPU."""
    torch.manual_seed(0)
    model = case.build().to(device, dtype).train()
    if backend:
        model.forward = torch.compile(model.forward, backend=backend)
    inputs = [part.to(device, dtype if part.is_floating_point() else None) for part in case.inputs]
    with Compute(device, precision, 1).autocast():
        output, loss = case.run(model, *inputs)
    loss.backward()
    gradient = torch.cat([value.grad.flatten() for value in model.parameters() if value.grad is not None])
    parts = {"output": output, "loss": loss, "gradient": gradient}
    return {name: value.detach().double().cpu() for name, value in parts.items()}


def apart(found: Tensor, reference: Tensor) -> float:
    """Return the norm of the difference over the norm of the reference."""
    return float((found - reference).norm() / reference.norm())


def networks(table: Table, settings: params.Settings, compute: Compute, backend: str) -> None:
    """Compare each network in float32 with the CPU in float64, and bfloat16 and compiled with float32."""

    def compare(case: Case, kind: str, pair: tuple[dict, dict], cpu: tuple[dict, dict], other: str) -> None:
        factor, least = LIMITS[kind]
        for part in ("output", "loss", "gradient"):
            difference, rounding = (apart(one[part], two[part]) for one, two in (pair, cpu))
            limit = max(factor * rounding, least)
            what = f"{case.name}: {part}, {kind}"
            if limit > MOST:
                table.add(
                    what, difference, "relative", other, verdict=f"not compared: rounding may change it by {limit:.2g}"
                )
            else:
                table.add(what, difference, "relative", other, at_most=limit)

    def eager(case: Case) -> None:
        exact, single = outcome(case, CPU, torch.float64), outcome(case, CPU)
        found, low = outcome(case, compute.device), outcome(case, compute.device, precision="bfloat16")
        compare(case, "float32", (found, exact), (single, exact), "CPU, float64")
        half = outcome(case, CPU, precision="bfloat16")
        compare(case, "bfloat16", (low, found), (half, single), "same device, float32")
        known[case.name] = found, (single, exact)

    def compiled(case: Case) -> None:
        reference, cpu = known[case.name]
        found = outcome(case, compute.device, backend=backend)
        compare(case, "compiled", (found, reference), cpu, "same device, float32")

    known, chosen = {}, cases(settings)
    for case in chosen:
        table.attempt(case.name, lambda case=case: eager(case))
    for case in chosen:  # last, because compiling takes up to minutes
        table.attempt(f"{case.name}, compiled", lambda case=case: compiled(case))


def trainings(
    table: Table, settings: params.Settings, compute: Compute, folder: Path, steps: int, seconds: float
) -> None:
    """Train twice, with an interruption, and without CUDA graphs: all must end with the same bits."""
    rate = settings.data.sample_rate
    clips = noise_clips(20, round(seconds * rate), rate)
    jobs: dict[str, Callable[[], Job]] = {"autoencoder": lambda: autoencoder_job(settings, clips, compute)}
    for name in settings.classifier_candidates:
        backbone = settings.candidate("classifier", name).model.backbone
        jobs[f"classifier {backbone}"] = lambda name=name: classifier_job(settings, name, clips, compute)

    def trained(make: Callable[[], Job], dies_at: int | None = None, compute=compute) -> dict[str, Tensor]:
        job, file = make(), folder / "right.pt"
        if dies_at is not None:
            original = job.loss

            def dying(step: int, generator: torch.Generator) -> tuple[Tensor | None, ...]:
                if step == dies_at:
                    raise KeyboardInterrupt
                return original.draw(step, generator)

            job.loss = dataclasses.replace(original, draw=dying)
            try:
                job.train(steps, compute, file, seconds=0.0)
            except KeyboardInterrupt:
                job = make()
        job.train(steps, compute, file)
        return {name: value.cpu() for name, value in job.module.state_dict().items()}

    for name, make in jobs.items():

        def repeat(name=name, make=make) -> None:
            first = trained(make)
            others = {"again": trained(make), "resumed": trained(make, steps // 2)}
            if compute.graphs:
                others["without CUDA graphs"] = trained(make, compute=dataclasses.replace(compute, eager=True))
            for how, other in others.items():
                odd = sum(not torch.equal(first[key], other[key]) for key in first)
                what = f"{name}: tensors with other bits when trained {how}, {steps} steps"
                table.add(what, odd, "tensors", f"{len(first)} tensors, {compute.precision}", at_most=0)

        table.attempt(f"{name}: the same bits", repeat)
        table.attempt(f"{name}: no wait", lambda name=name, make=make: no_wait(table, name, make(), compute))


def no_wait(table: Table, name: str, job: Job, compute: Compute) -> None:
    """Let CUDA refuse everything that makes the CPU wait for the device in a training step."""
    if compute.device.type != "cuda":
        table.skip(f"{name}: steps that wait for the device", "needs CUDA")
        return
    optimizer = torch.optim.Adam(job.module.parameters(), lr=1e-4, fused=True)

    def step(number: int) -> None:
        with compute.autocast():
            loss = job.loss(number, training.generator(0, number))["loss"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(job.module.parameters(), float("inf"))
        optimizer.step()

    job.module.train()
    step(0)  # the first step sets up libraries
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    table.add(f"{name}: operations in a step that wait for the device", 0, "operations", at_most=0)


def batches(table: Table, settings: params.Settings, compute: Compute) -> None:
    """Compare what a batch is made of with that on the CPU."""
    branch, rate = settings.candidate("autoencoder", "base"), settings.data.sample_rate
    shape = 4, branch.training.crop_frames[1], branch.features.n_mels
    device = compute.device

    def masks(device: torch.device, rate: float) -> Tensor:
        chosen = branch.specaugment.model_copy(update={"dropout": rate})
        return specaugment.gains(chosen, *shape, training.generator(0, "masks"), device).cpu()

    table.add("masks that differ", int((masks(device, 0.0) != masks(CPU, 0.0)).sum()), "values", "CPU", at_most=0)
    # A device draws the elements that dropout removes with its own generator, so only their number is compared.
    kept = [int((masks(where, 0.1) != 0).sum()) for where in (device, CPU)]
    table.add("values that dropout keeps", kept[0] / kept[1] - 1, "relative", "CPU", at_most=0.01)
    options = settings.candidate("classifier", "base")
    clips = noise_clips(8, samples_of(options) + 1000, rate)
    for mixup, limit in ((0.0, 0.0), (0.2, 1e-6)):
        chosen = options.batches.model_copy(update={"mixup": mixup, "volume": 0.0, "noise": 0.0})
        changed = options.model_copy(update={"batches": chosen})

        def draw(device: torch.device, changed=changed) -> Tensor:
            source = Batches(changed, group_clips(clips), "fan", "00", device)
            return source.finetuning(training.generator(0, "batch")).waveform.cpu()

        difference = float((draw(device) - draw(CPU)).abs().max())
        what = "windows with Mixup" if mixup else "windows"
        table.add(f"{what}: largest difference", difference, "of full scale", "CPU", at_most=limit)
    waveform = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (4, 4 * rate))).float()
    for name, features in (("autoencoder", branch.features), ("classifier", options.features)):
        log_mel = LogMel(features, rate)
        exact, found = log_mel(waveform), log_mel.to(device)(waveform.to(device)).cpu()
        table.add(
            f"log-mel of the {name}: largest difference", float((found - exact).abs().max()), "dB", "CPU", at_most=0.01
        )


def run(table: Table, settings: params.Settings, compute: Compute, folder: Path, tiny: bool) -> None:
    """Add all rows of this part."""
    table.attempt("batches", lambda: batches(table, settings, compute))
    trainings(table, settings, compute, folder, steps=6 if tiny else 20, seconds=2.0 if tiny else 10.0)
    # Without a C++ compiler or minutes to spare, the tiny run compiles with the graph's eager backend.
    networks(table, settings, compute, "aot_eager" if tiny else "inductor")
