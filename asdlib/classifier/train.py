"""Train the classifier of one section: on the source domain, then fine-tuning for the target domain (Sec. 2.2)."""

import pandas as pd
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from asdlib import batch_norm, checkpoints, records, training
from asdlib.classifier import FILES, STAGES
from asdlib.classifier.batches import Batches
from asdlib.classifier.model import Classifier
from asdlib.classifier.positives_and_negatives import held_out_clips
from asdlib.classifier.waveform_normalisation import measure_normalisation
from asdlib.compute import Compute, resolve_compute
from asdlib.paths import HISTORY
from asdlib.seeds import derive
from asdlib.stage import Stage
from asdlib.tables import write_table


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
    branch, compute = settings.candidate("classifier", candidate), resolve_compute(settings)
    stage = Stage(settings, "classifier", machine, candidate, section, compute)
    batches = Batches.open(settings, candidate, machine, section, compute.device)
    wanted, data = recipe(settings, machine, section, candidate), records.fingerprint(batches.fingerprint)
    seed = derive(settings.seed, "classifier", machine, section, branch.seed)
    source, target = (stage.resuming(wanted | {"data": data}, part) for part in ("source", "target"))

    torch.manual_seed(derive(seed, "weights"))
    statistics = measure_normalisation(batches.normal.waveforms, held_out_clips(settings, machine))
    model = Classifier(branch, settings.data.sample_rate, statistics, batches.epoch_steps).to(compute.device)
    if not checkpoints.is_finished(source["checkpoint"]):
        target["checkpoint"].unlink(missing_ok=True)  # belongs to a source training by other code
        if not source["checkpoint"].is_file():
            initialise(model, batches, compute, seed, branch.ddcsad.weight == "balanced")
    history, earlier = train_stage(model, batches, STAGES[0], branch, seed, source)
    models = {FILES[STAGES[0]]: _tensors(model)}
    if batches.target is None:
        print(f"section {section} of {machine} has no target training clips: no fine-tuning", flush=True)
    elif branch.training.finetune_steps:
        tuning, more = train_stage(model, batches, STAGES[1], branch, seed, target)
        earlier += more
        history = pd.concat([history, tuning], ignore_index=True)
        models[FILES[STAGES[1]]] = _tensors(model)
    about = {
        "precision": compute.precision,
        "parameters": training.count_parameters(model),
        "pretrained": branch.model.pretrained,
    }
    with stage.writing(wanted, seed=seed, data=data, earlier=earlier, **about) as folder:
        for name, tensors in models.items():
            save_file(tensors, folder / name)
        write_table(history, folder / HISTORY)
    return history


def train_stage(
    model: Classifier, batches: Batches, name: str, branch, seed: int, resuming: dict
) -> tuple[pd.DataFrame, float]:
    """Train a network in one stage, on the source domain or for the target domain.

    Args:
        model: The network, which is changed.
        batches: Source of the section's batches.
        name: Stage, of :data:`asdlib.classifier.STAGES`.
        branch: :class:`asdlib.params.classifier.Classifier`.
        seed: Seed of the training.
        resuming: Device and checkpoint, as returned by :meth:`asdlib.stage.Stage.resuming`.

    Returns:
        The history, with the column ``stage``, and the seconds that earlier starts took.
    """
    options, draw, steps, factor = branch.training, batches.source, branch.training.steps, 1.0
    if name == STAGES[1]:
        draw, steps, factor = batches.finetuning, options.finetune_steps, options.finetune_factor
    rates = options.backbone_learning_rate * factor, options.head_learning_rate * factor
    optimizer = torch.optim.Adam(model.groups(*rates), fused=True)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=list(rates), total_steps=steps)

    seed = derive(seed, name)
    history, earlier = training.train(
        model,
        training.Loss(lambda step, generator: draw(generator)[:2], model.losses),
        optimizer,
        scheduler,
        steps=steps,
        seed=seed,
        **resuming,
    )
    batch_norm.refresh_batch_norm(model, lambda generator: model(draw(generator).waveform), resuming["compute"], seed)
    return history.assign(stage=name)[["stage", *history.columns]], earlier


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
def initialise(model: Classifier, batches: Batches, compute: Compute, seed: int, balanced: bool) -> None:
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
        torch.manual_seed(derive(seed, "centroids dropout", index))
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
