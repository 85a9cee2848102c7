"""Train the classifier of one section: on the source domain, then fine-tuning for the target domain (Sec. 2.2)."""

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from asdlib import atomic, checkpoints, paths, records, training
from asdlib.atomic import writing
from asdlib.classifier import FILES, STAGES
from asdlib.classifier.batches import Batch, Batches, held_out_clips, normalisation
from asdlib.classifier.model import Classifier, parameters


def fit(settings, machine: str, section: str, candidate: str) -> pd.DataFrame:
    """Train one section's classifier and write its run folder atomically.

    The folder holds ``source.safetensors`` (after source training), ``target.safetensors`` (after fine-tuning; not if
    the section has no target training clips or ``finetune_steps`` is 0), ``history.csv`` and ``record.json``. Each
    stage resumes from its own checkpoint, and the finished first stage is kept while the second one runs.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        machine: Positive machine type.
        section: Positive section.
        candidate: Name in ``classifier_candidates``.

    Returns:
        One row per step: ``stage`` (one of :data:`asdlib.classifier.STAGES`), ``step``, the losses, ``learning_rate``
        (of the backbone).

    Raises:
        asdlib.errors.AsdError: Clips or weights are missing, or the training diverged.
    """
    began = time.monotonic()
    branch, run, compute = (
        settings.candidate("classifier", candidate),
        paths.Run.of(settings),
        training.compute(settings),
    )
    batches = Batches.open(settings, candidate, machine, section, compute.device)
    what, data = recipe(settings, machine, section, candidate), records.fingerprint(batches.fingerprint)
    facts = what | {"data": data, "compute": compute.describe()}
    seed = training.derive(settings.seed, "classifier", machine, section, branch.seed)
    source, target = (
        run.checkpoint("classifier", machine, candidate, f"{section}.{stage}", facts) for stage in ("source", "target")
    )

    def stage(name: str, draw: Callable[[torch.Generator], Batch], steps: int, factor: float, checkpoint: Path):
        rates = branch.training.backbone_learning_rate * factor, branch.training.head_learning_rate * factor
        optimizer = torch.optim.Adam(model.groups(*rates), fused=True)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=list(rates), total_steps=steps)

        def loss(step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
            batch = draw(generator)
            return model.losses(batch.waveform, batch.label)

        history, earlier = training.train(
            model,
            loss,
            optimizer,
            scheduler,
            steps=steps,
            seed=training.derive(seed, name),
            compute=compute,
            checkpoint=checkpoint,
            settings=facts,
        )
        seen = training.derive(seed, name)
        training.refresh_batch_norm(model, lambda generator: model(draw(generator).waveform), compute, seen)
        return history.assign(stage=name)[["stage", *history.columns]], earlier

    torch.manual_seed(training.derive(seed, "weights"))
    statistics = normalisation(batches.normal.waveforms, held_out_clips(settings, machine))
    model = Classifier(branch, settings.data.sample_rate, statistics, batches.epoch_steps).to(compute.device)
    if not checkpoints.is_finished(source):
        target.unlink(missing_ok=True)  # belongs to a source training by other code
        if not source.is_file():
            initialise(model, batches, compute, seed, branch.ddcsad.weight == "balanced")
    history, earlier = stage(STAGES[0], batches.source, branch.training.steps, 1.0, source)
    models = {FILES[STAGES[0]]: _tensors(model)}
    if batches.target is None:
        print(f"section {section} of {machine} has no target training clips: no fine-tuning", flush=True)
    elif branch.training.finetune_steps:
        steps, factor = branch.training.finetune_steps, branch.training.finetune_factor
        tuning, more = stage(STAGES[1], batches.finetuning, steps, factor, target)
        earlier += more
        history = pd.concat([history, tuning], ignore_index=True)
        models[FILES[STAGES[1]]] = _tensors(model)
    record = records.record(
        what,
        seed=seed,
        device=compute.describe(),
        data=data,
        seconds=time.monotonic() - began + earlier,
        precision=compute.precision,
        parameters=parameters(model),
        pretrained=branch.model.pretrained,
    )
    with writing(run.system("classifier", machine, candidate, section), folder=True) as folder:
        for name, tensors in models.items():
            save_file(tensors, folder / name)
        history.to_csv(folder / "history.csv", index=False, lineterminator="\n")
        atomic.write_json(record, folder / "record.json")
    if not settings.keep_finished:
        for checkpoint in (source, target):
            checkpoints.finished(checkpoint).unlink(missing_ok=True)
    return history


def recipe(settings, machine: str, section: str, candidate: str) -> dict:
    """Return the settings that a trained model depends on; those of the scorer may change without a new training."""
    branch = settings.candidate("classifier", candidate).model_dump(mode="json", exclude={"scorer", "origin"})
    del branch["images"]["windows"]
    return {
        "classifier": branch,
        **settings.common(),
        "machine": machine,
        "section": section,
    }


@torch.no_grad()
def initialise(model: Classifier, batches: Batches, compute: training.Compute, seed: int, balanced: bool) -> None:
    """Set the centroids to the class means of one epoch, before the first step, and set the weight of DDCSAD.

    Args:
        model: The network with its initial weights.
        batches: Source of the section's batches.
        compute: Device and precision.
        seed: Seed of the batches.
        balanced: Whether to set the weight so that DDCSAD is as large as the cross-entropy over this epoch.
    """
    model.train()
    outputs = []
    for index in range(batches.epoch_steps):
        batch = batches.source(training.generator(seed, "centroids", index))
        torch.manual_seed(training.derive(seed, "centroids dropout", index))
        with compute.autocast():
            output = model(batch.waveform)
        model.ddcsad.collect(output.embedding, batch.label)
        outputs.append((output, batch.label))
    model.ddcsad.replace()
    if balanced:
        entropy = sum(F.binary_cross_entropy_with_logits(output.logit, label) for output, label in outputs)
        ddcsad = sum(model.ddcsad(output.embedding, label) for output, label in outputs)
        model.ddcsad.weight = (entropy / ddcsad).float()


def _tensors(model: Classifier) -> dict[str, torch.Tensor]:
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in model.state_dict().items()
    }
