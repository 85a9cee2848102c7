"""Train the autoencoder (Sec. 2.1 and 3.1), one model per machine type over all its sections and both domains."""

import math
import time

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_model
from torch import Tensor

from asdlib import atomic, checkpoints, paths, records, training
from asdlib.autoencoder import specaugment
from asdlib.autoencoder.model import Autoencoder
from asdlib.data import roles
from asdlib.data.audio import Waveforms
from asdlib.data.machine_clips import open_machine
from asdlib.features import LogMel, interior, log_mels
from asdlib.shift import shifted_clips

_CHECKED_BATCHES = 4
"""number of batches on which to check a trained network"""
_QUIET = 1e-3  # dB; minimum deviation, so that a band that never changes is not divided by almost zero


def fit(settings, machine: str, candidate: str) -> pd.DataFrame:
    """Train one candidate for one machine type and write its folder.

    The folder (``run.system("autoencoder", machine, candidate)``) holds ``model.safetensors``, ``history.csv``,
    ``clips.csv`` (the role of each training clip) and ``record.json``. An interrupted training is resumed.

    Returns:
        The history: one row per step with ``step``, ``loss`` (mean over elements, standardised log-mel) and
        ``learning_rate``.
    """
    began = time.monotonic()
    branch, run = settings.candidate("autoencoder", candidate), paths.Run.of(settings)
    options, compute = branch.training, training.compute(settings)
    clips = open_machine(settings, machine)
    waveforms, sections, table = clips.waveforms, clips.sections, clips.table
    stored = stored_settings(settings, machine, candidate, sections, waveforms.fingerprint)
    learn = clips.rows[clips.role == roles.LEARN]
    seed = training.derive(settings.seed, "autoencoder", machine, branch.seed)

    torch.manual_seed(training.derive(seed, "weights"))
    model = Autoencoder(branch.model, branch.features.n_mels, len(sections)).to(compute.device)
    log_mel = LogMel(branch.features, settings.data.sample_rate).to(compute.device)
    shifted = None
    if options.pseudo_target and options.pseudo_target_by == "shift":
        held_out = table["clip"][clips.role == roles.HELD_OUT]
        shifted = shifted_clips.open_rows(settings, machine, sections, without=held_out)
    batches = Batches.load(waveforms, learn, sections, log_mel, shifted)
    model.deviation, model.mean = torch.std_mean(batches.frames, dim=0)
    model.deviation.clamp_(min=_QUIET)

    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate, fused=True)
    factor = noam(branch.model.channels, options.warmup, options.steps, options.cooldown)
    # Resuming from a checkpoint of another device or other pseudo-target clips would not be bit-for-bit reproducible.
    facts = stored | {"compute": compute.describe(), "pseudo_target": shifted[0].fingerprint if shifted else None}
    checkpoint = run.checkpoint("autoencoder", machine, candidate, "train", facts)
    history, earlier = training.train(
        model,
        lambda step, generator: {"loss": loss(model, batches, branch, generator)},
        optimizer,
        torch.optim.lr_scheduler.LambdaLR(optimizer, factor),
        steps=options.steps,
        seed=seed,
        compute=compute,
        checkpoint=checkpoint,
        settings=facts,
    )
    training.refresh_batch_norm(model, lambda generator: loss(model, batches, branch, generator), compute, seed)
    explained = explained_share(model, batches, branch, compute, seed)
    with atomic.writing(run.system("autoencoder", machine, candidate), folder=True) as folder:
        save_model(model, str(folder / "model.safetensors"))
        history.to_csv(folder / "history.csv", index=False, lineterminator="\n")
        used = table[["section", "domain", "clip"]].assign(role=clips.role)
        used[used["role"] != ""].to_csv(folder / "clips.csv", index=False, lineterminator="\n")
        seconds = time.monotonic() - began + earlier
        record = records.record(
            stored,
            seed=seed,
            device=compute.describe(),
            data=waveforms.fingerprint,
            seconds=seconds,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            explained_share=explained,
            health=health(explained),
        )
        atomic.write_json(record, folder / "record.json")
    if not settings.keep_finished:
        checkpoints.finished(checkpoint).unlink(missing_ok=True)
    return history


@torch.inference_mode()
def explained_share(model: Autoencoder, batches: "Batches", branch, compute, seed: int) -> float:
    """Return the share by which the network's error on training clips is smaller than that of the mean spectrum.

    The error is measured at inference. 1 is perfect; 0 or less means that the network has learnt nothing, since
    predicting each band's mean would be as good.
    """
    model.eval()
    found, trivial = 0.0, 0.0
    for index in range(_CHECKED_BATCHES):
        crops, section, valid = batches.draw(
            branch.training.batch_size, branch.training.crop_frames, 0.0, training.generator(seed, "check", index)
        )
        features = model.standardise(crops)
        with compute.autocast():
            output = model(features, section, valid)
        mels = features.shape[-1]
        found += masked_mean((output[..., :mels].float() - features).abs(), valid).item()
        trivial += masked_mean(features.abs(), valid).item()
    return 1 - found / trivial


def health(explained: float) -> list[str]:
    """Return problems of a trained autoencoder, one sentence each; empty if it has learnt something."""
    if explained > 0:
        return []
    return [f"the network reconstructs its own training clips no better than their mean spectrum ({explained:.2f})"]


def loss(model: Autoencoder, batches: "Batches", branch, generator: torch.Generator) -> Tensor:
    """Compute the loss of one step on the model's device, with everything random drawn from the CPU ``generator``."""
    options = branch.training
    crops, section, valid = batches.draw(options.batch_size, options.crop_frames, options.pseudo_target, generator)
    features = model.standardise(crops)
    gains = specaugment.gains(branch.specaugment, *features.shape, generator, features.device)
    error = model(features * gains, section, valid).float() - model.target(features, section)
    return masked_mean(error.abs() if options.loss == "l1" else error.square(), valid)


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


class Batches:
    """Log-mel frames (dB) of the training clips in one tensor on the device, from which random crops are drawn.

    Args:
        frames: Frames of all clips, concatenated, ``(frames, mels)``.
        lengths: Number of frames of each clip.
        section: Index of each clip's section.
        target: Whether each clip belongs to the target domain.
        shifted: Number of pseudo-target clips, which come last.
    """

    def __init__(self, frames: Tensor, lengths: Tensor, section: Tensor, target: Tensor, shifted: int = 0):
        self.frames, self.lengths, self.section, self.target = frames, lengths, section, target
        self.starts = lengths.cumsum(0) - lengths
        self.recorded = len(lengths) - shifted

    @classmethod
    def load(
        cls,
        waveforms: Waveforms,
        rows: np.ndarray,
        sections: list[str],
        log_mel: LogMel,
        shifted: tuple[Waveforms, np.ndarray] | None = None,
    ) -> "Batches":
        """Compute the log-mel spectrograms of the clips ``rows``, and of pseudo-target clips (with their rows)."""
        both = [(waveforms, rows), shifted] if shifted else [(waveforms, rows)]
        parts = [interior(part, log_mel) for clips, some in both for part in log_mels(clips, some, log_mel)]
        table = pd.concat([clips.clips.iloc[some] for clips, some in both])
        section = torch.tensor([sections.index(name) for name in table["section"]])
        target = torch.from_numpy(table["domain"].eq("target").to_numpy(copy=True))
        lengths = torch.tensor([len(part) for part in parts])
        return cls(torch.cat(parts), lengths, section, target, len(shifted[1]) if shifted else 0)

    def draw(
        self, size: int, crop_frames: tuple[int, int], pseudo_target: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Draw a batch of random crops of one random length; shorter clips are taken whole and padded.

        Clips are drawn uniformly with replacement. With three target clips among 200, a batch of 64 contains one of
        them on average.

        Args:
            size: Number of crops.
            crop_frames: Range of the crops' length, from and to.
            pseudo_target: Share of pseudo-target crops, which are taken from pseudo-target clips if there are any, and
                otherwise :meth:`mixed`.
            generator: CPU generator for everything random.

        Returns:
            Log-mel in dB, ``(size, frames, mels)``; section indices ``(size,)``; and a mask of the frames that are not
            padding, ``(size, frames)``, or None without padding.
        """
        chosen = torch.randint(self.recorded, (size,), generator=generator)
        pseudo, shifted = round(pseudo_target * size), len(self.lengths) - self.recorded
        if pseudo and shifted:
            chosen[:pseudo] = self.recorded + torch.randint(shifted, (pseudo,), generator=generator)
        length = int(torch.randint(crop_frames[0], crop_frames[1] + 1, (1,), generator=generator))
        length = min(length, int(self.lengths.max()))
        decibel, section = self._crop(chosen, length, generator), self.section[chosen]
        if pseudo and not shifted:
            decibel = torch.cat([self.mixed(decibel[:pseudo], section[:pseudo], generator), decibel[pseudo:]])
        valid = torch.arange(length) < self.lengths[chosen][:, None]
        padding = None if valid.all() else training.to_device(valid, decibel.device)
        return decibel, training.to_device(section, decibel.device), padding

    def mixed(self, decibel: Tensor, section: Tensor, generator: torch.Generator) -> Tensor:
        """Make pseudo-target crops by averaging the power of each crop with that of a target clip of its section.

        The target clip is random, and its weight uniform in 0 to 1. Crops of a section without target clips are left
        unchanged. The paper does this for its classifier (Sec. 2.2, Mixup of waveforms), not for its autoencoder.
        """
        candidates = self.target & (self.section == section[:, None])  # (crops, clips)
        weight = torch.rand(len(section), generator=generator).clamp(1e-6, 1 - 1e-6)
        lottery = torch.rand(candidates.shape, generator=generator).masked_fill(~candidates, -1.0)
        other = self._crop(lottery.argmax(1), decibel.shape[1], generator)
        weight = training.to_device(torch.where(candidates.any(1), weight, 0.0), decibel.device)[:, None, None]
        nepers = math.log(10) / 10  # natural logarithm of power per dB
        return torch.logaddexp(decibel * nepers + torch.log1p(-weight), other * nepers + weight.log()) / nepers

    def _crop(self, clips: Tensor, length: int, generator: torch.Generator) -> Tensor:
        """Crop each of ``clips`` at random, ``(clips, length, mels)``; the last frame of shorter clips is repeated."""
        room = (self.lengths[clips] - length + 1).clamp(min=1)
        offset = (torch.rand(len(clips), generator=generator, dtype=torch.float64) * room).long()
        within = torch.minimum(offset[:, None] + torch.arange(length), self.lengths[clips][:, None] - 1)
        index = self.starts[clips][:, None] + within
        return self.frames[training.to_device(index, self.frames.device)]
