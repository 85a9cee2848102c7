"""Train the autoencoder (Sec. 2.1 and 3.1), one model per machine type over all its sections and both domains."""

import pandas as pd
import torch
from safetensors.torch import save_model
from torch import Tensor

from asdlib import batch_norm, training
from asdlib.autoencoder import specaugment
from asdlib.autoencoder.batches import Batches
from asdlib.autoencoder.model import Autoencoder
from asdlib.compute import resolve_compute
from asdlib.data.held_out_split import HELD_OUT, LEARN
from asdlib.features import LogMel
from asdlib.paths import CLIPS, HISTORY, MODEL
from asdlib.seeds import derive
from asdlib.shift import shifted_clips
from asdlib.stage import Stage
from asdlib.tables import write_table

_CHECKED_BATCHES = 4
"""number of batches on which to check a trained network"""


def fit(settings, machine: str, candidate: str) -> pd.DataFrame:
    """Train one candidate for one machine type and write its folder.

    The folder (``run.system("autoencoder", machine, candidate)``) holds ``model.safetensors``, ``history.csv``,
    ``clips.csv`` (the role of each training clip) and ``record.json``. An interrupted training is resumed.

    Returns:
        The history: one row per step with ``step``, ``loss`` (mean over elements, standardised log-mel) and
        ``learning_rate``.
    """
    branch, compute = settings.candidate("autoencoder", candidate), resolve_compute(settings)
    stage, options = Stage(settings, "autoencoder", machine, candidate, compute=compute), branch.training
    clips = stage.clips
    waveforms, sections, table = clips.waveforms, clips.sections, clips.table
    stored = stored_settings(settings, machine, candidate, sections, waveforms.fingerprint)
    learn = clips.rows[clips.role == LEARN]
    seed = derive(settings.seed, "autoencoder", machine, branch.seed)

    torch.manual_seed(derive(seed, "weights"))
    model = Autoencoder(branch.model, branch.features.n_mels, len(sections)).to(compute.device)
    log_mel = LogMel(branch.features, settings.data.sample_rate).to(compute.device)
    shifted = None
    if options.pseudo_target and options.pseudo_target_by == "shift":
        held_out = table["clip"][clips.role == HELD_OUT]
        shifted = shifted_clips.open_rows(settings, machine, sections, without=held_out)
    batches = Batches.load(waveforms, learn, sections, log_mel, shifted)
    model.set_statistics(batches.frames)

    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate, fused=True)
    factor = noam(branch.model.channels, options.warmup, options.steps, options.cooldown)
    belongs_to = stored | {"shifted_clips_fingerprint": shifted[0].fingerprint if shifted else None}
    whole = loss(model, batches, branch)
    with compute.any_length():
        history, earlier = training.train(
            model,
            whole,
            optimizer,
            torch.optim.lr_scheduler.LambdaLR(optimizer, factor),
            steps=options.steps,
            seed=seed,
            **stage.resuming(belongs_to),
        )
        batch_norm.refresh_batch_norm(model, lambda generator: whole(0, generator), compute, seed)
        explained = explained_share(model, batches, branch, compute, seed)
    about = {
        "parameters": training.count_parameters(model),
        "explained_share": explained,
        "health": health(explained),
    }
    with stage.writing(stored, seed=seed, data=waveforms.fingerprint, earlier=earlier, **about) as folder:
        save_model(model, str(folder / MODEL))
        write_table(history, folder / HISTORY)
        used = table[["section", "domain", "clip"]].assign(role=clips.role)
        write_table(used[used["role"] != ""], folder / CLIPS)
    return history


@torch.inference_mode()
def explained_share(model: Autoencoder, batches: Batches, branch, compute, seed: int) -> float:
    """Return the share by which the network's error on training clips is smaller than that of the mean spectrum.

    The error is measured at inference. 1 is perfect; 0 or less means that the network has learnt nothing, since
    predicting each band's mean would be as good.
    """
    model.eval()
    error, trivial = 0.0, 0.0
    for index in range(_CHECKED_BATCHES):
        crops, section, valid = batches.draw(
            branch.training.batch_size, branch.training.crop_frames, 0.0, training.generator(seed, "check", index)
        )
        features = model.standardise(crops)
        with compute.autocast():
            output = model(features, section, valid)
        mels = features.shape[-1]
        error += masked_mean((output[..., :mels].float() - features).abs(), valid).item()
        trivial += masked_mean(features.abs(), valid).item()
    return 1 - error / trivial


def health(explained: float) -> list[str]:
    """Return problems of a trained autoencoder, one sentence each; empty if it has learnt something."""
    if explained > 0:
        return []
    return [f"the network reconstructs its own training clips no better than their mean spectrum ({explained:.2f})"]


def loss(model: Autoencoder, batches: Batches, branch) -> training.Loss:
    """Return the loss of a step on the model's device, with everything random drawn from its CPU generator."""
    options = branch.training

    def draw(step: int, generator: torch.Generator) -> tuple[Tensor | None, ...]:
        crops, section, valid = batches.draw(options.batch_size, options.crop_frames, options.pseudo_target, generator)
        return crops, section, valid, specaugment.gains(branch.specaugment, *crops.shape, generator, crops.device)

    def compute(crops: Tensor, section: Tensor, valid: Tensor | None, gains: Tensor) -> dict[str, Tensor]:
        features = model.standardise(crops)
        error = model(features * gains, section, valid).float() - model.target(features, section)
        return {"loss": masked_mean(error.abs() if options.loss == "l1" else error.square(), valid)}

    return training.Loss(draw, compute)


def masked_mean(values: Tensor, valid: Tensor | None) -> Tensor:
    """Average ``values`` (batch, frames, dims) over the frames that are not padding; ``valid`` is (batch, frames)."""
    if valid is None:
        return values.mean()
    return (values.mean(2) * valid).sum() / valid.sum()


def stored_settings(settings, machine: str, candidate: str, sections: list[str], fingerprint: str) -> dict:
    """Return all settings that a trained model depends on, to be compared with those of checkpoints and models."""
    options = settings.candidate("autoencoder", candidate)
    branch = options.model_dump(mode="json", exclude={"scorer", "origin"})
    if options.training.pseudo_target and options.training.pseudo_target_by == "shift":
        branch["shifted_clips"] = settings.data.shifted.model_dump(mode="json")
    return {
        "machine": machine,
        "sections": sections,
        **settings.common(),
        "data_fingerprint": fingerprint,
        **branch,
    }


def noam(channels: int, warmup: int, steps: int, cooldown: float):
    """Return the factor on the learning rate as a function of the step, after Vaswani et al.

    It is ``channels^-0.5 min(t^-0.5, t warmup^-1.5)`` with t = step + 1. Over the last share ``cooldown`` of ``steps``
    it also falls linearly to zero, which helps short trainings; the paper has no such phase.
    """
    last = max(round(cooldown * steps), 1)

    def factor(step: int) -> float:
        time = step + 1
        return channels**-0.5 * min(time**-0.5, time * warmup**-1.5) * min((steps - step) / last, 1.0)

    return factor
