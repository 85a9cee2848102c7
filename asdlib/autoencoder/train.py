"""Training of the autoencoder (Sec. 2.1 and 3.1): one model a machine type, over all its sections and both domains."""

import math
import time

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_model
from torch import Tensor

from asdlib import artefacts, checkpoints, data, paths, training
from asdlib.autoencoder import specaugment
from asdlib.autoencoder.model import Autoencoder
from asdlib.data import pseudo_target, roles
from asdlib.data.audio import Waveforms
from asdlib.features import LogMel, interior, log_mels

_CHECKED_BATCHES = 4
"""batches on which a trained network is checked"""
_QUIET = 1e-3  # dB; a band that never changes is not divided by nearly nothing


def fit(settings, machine: str, candidate: str) -> pd.DataFrame:
    """Train one candidate for one machine type and write its folder.

    The folder (``run.system("autoencoder", machine, candidate)``) holds ``model.safetensors``, ``history.csv``,
    ``clips.csv`` (which training clip was for what) and ``record.json``. A training that was interrupted goes on.

    Returns:
        The history: one row a step with ``step``, ``loss`` (mean over elements, standardised log-mel) and
        ``learning_rate``.
    """
    began = time.monotonic()
    branch, run = settings.candidate("autoencoder", candidate), paths.Run.of(settings)
    options, compute = branch.training, training.compute(settings)
    clips = data.open_machine(settings, machine)
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
        shifted = pseudo_target.open_rows(settings, machine, sections, without=held_out)
    batches = Batches.load(waveforms, learn, sections, log_mel, shifted)
    model.deviation, model.mean = torch.std_mean(batches.frames, dim=0)
    model.deviation.clamp_(min=_QUIET)

    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate, fused=True)
    factor = noam(branch.model.channels, options.warmup, options.steps, options.cooldown)
    # A checkpoint of another device, or of other pseudo-target clips, would give other bits.
    facts = stored | {"compute": compute.describe(), "pseudo_target": shifted[0].fingerprint if shifted else None}
    checkpoint = run.checkpoint("autoencoder", machine, candidate, "train", facts)
    history = training.train(
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
    with artefacts.writing(run.system("autoencoder", machine, candidate), folder=True) as folder:
        save_model(model, str(folder / "model.safetensors"))
        history.to_csv(folder / "history.csv", index=False, lineterminator="\n")
        used = table[["section", "domain", "clip"]].assign(role=clips.role)
        used[used["role"] != ""].to_csv(folder / "clips.csv", index=False, lineterminator="\n")
        seconds = time.monotonic() - began + history.attrs[training.BEFORE]
        record = artefacts.record(
            stored,
            seed=seed,
            device=compute.describe(),
            data=waveforms.fingerprint,
            seconds=seconds,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            explained_share=explained,
            health=health(explained),
        )
        artefacts.write_json(record, folder / "record.json")
    checkpoints.finish(checkpoint)
    return history


@torch.inference_mode()
def explained_share(model: Autoencoder, batches: "Batches", branch, compute, seed: int) -> float:
    """Return how much smaller the training error is, at inference, than that of the mean spectrum: 1 is perfect.

    At most 0 means that the network has learnt nothing: predicting each band's mean would be as good.
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
    """Return what is wrong with a trained autoencoder, one sentence each; empty for one that has learnt something."""
    if explained > 0:
        return []
    return [f"the network reconstructs its own training clips no better than their mean spectrum ({explained:.2f})"]


def loss(model: Autoencoder, batches: "Batches", branch, generator: torch.Generator) -> Tensor:
    """The loss of one step; all of it is drawn from ``generator``, on the CPU, and computed on the model's device."""
    options = branch.training
    crops, section, valid = batches.draw(options.batch_size, options.crop_frames, options.pseudo_target, generator)
    features = model.standardise(crops)
    gains = specaugment.gains(branch.specaugment, *features.shape, generator).to(features.device, non_blocking=True)
    error = model(features * gains, section, valid).float() - model.target(features, section)
    return masked_mean(error.abs() if options.loss == "l1" else error.square(), valid)


def masked_mean(values: Tensor, valid: Tensor | None) -> Tensor:
    """Mean of ``values`` (batch, frames, dims) over the frames that are not padding; ``valid`` (batch, frames)."""
    if valid is None:
        return values.mean()
    return (values.mean(2) * valid).sum() / valid.sum()


def stored_settings(settings, machine: str, candidate: str, sections: list[str], fingerprint: str) -> dict:
    """All that a trained model depends on: what a checkpoint and a model folder belong to."""
    options = settings.candidate("autoencoder", candidate)
    branch = options.model_dump(mode="json", exclude={"scorer", "origin"})
    if options.training.pseudo_target and options.training.pseudo_target_by == "shift":
        branch["shifted_clips"] = settings.data.pseudo_target.model_dump(mode="json")
    return {
        "machine": machine,
        "sections": sections,
        **settings.common(),
        "data_fingerprint": fingerprint,
        **branch,
    }


def noam(channels: int, warmup: int, steps: int, cooldown: float):
    """Learning rate of step 0, 1, ...: ``channels^-0.5 min(t^-0.5, t warmup^-1.5)`` with t = step + 1 (Vaswani et al.).

    Over the last share ``cooldown`` of ``steps`` it also falls linearly to zero: short trainings gain by it, the paper
    has none.
    """
    last = max(round(cooldown * steps), 1)

    def factor(step: int) -> float:
        time = step + 1
        return channels**-0.5 * min(time**-0.5, time * warmup**-1.5) * min((steps - step) / last, 1.0)

    return factor


class Batches:
    """The log-mel frames (dB) of the training clips, one tensor on the device, and random crops of them.

    Args:
        frames: All clips one after the other, ``(frames, mels)``.
        lengths: Frames of each clip.
        section: Index of each clip's section.
        target: Whether each clip is of the target domain.
        shifted: How many of the clips, the last ones, are pseudo-target clips.
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
        """Compute the log-mel of the clips ``rows``, and of pseudo-target clips (with their rows), once."""
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
        """Draw a batch of random crops, all of one random length; a clip that is shorter is taken whole and padded.

        Clips are drawn uniformly with replacement: of three target clips among 200 a batch of 64 holds one on average.

        Args:
            size: Clips.
            crop_frames: Range of the crops' length, from and to.
            pseudo_target: Share of the crops that are pseudo-target: of pseudo-target clips, if there are some, else
                :meth:`mixed`.
            generator: CPU generator that everything is drawn from.

        Returns:
            Log-mel in dB, ``(size, frames, mels)``; section indices ``(size,)``; and which frames are no padding,
            ``(size, frames)``, or None if all are.
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
        padding = None if valid.all() else valid.to(decibel.device, non_blocking=True)
        return decibel, section.to(decibel.device, non_blocking=True), padding

    def mixed(self, decibel: Tensor, section: Tensor, generator: torch.Generator) -> Tensor:
        """Pseudo-target: the power of each crop averaged with that of a random target clip of its section.

        The target clip's weight is uniform in 0 to 1. Crops of a section without target clips stay as they are. The
        paper does this for its classifier (Sec. 2.2, Mixup of waveforms), not for its autoencoder.
        """
        candidates = self.target & (self.section == section[:, None])  # (crops, clips)
        weight = torch.rand(len(section), generator=generator).clamp(1e-6, 1 - 1e-6)
        lottery = torch.rand(candidates.shape, generator=generator).masked_fill(~candidates, -1.0)
        other = self._crop(lottery.argmax(1), decibel.shape[1], generator)
        weight = torch.where(candidates.any(1), weight, 0.0).to(decibel.device)[:, None, None]
        nepers = math.log(10) / 10  # of power, a dB
        return torch.logaddexp(decibel * nepers + torch.log1p(-weight), other * nepers + weight.log()) / nepers

    def _crop(self, clips: Tensor, length: int, generator: torch.Generator) -> Tensor:
        """A random crop of each of ``clips``, ``(clips, length, mels)``; a shorter clip's last frame is repeated."""
        room = (self.lengths[clips] - length + 1).clamp(min=1)
        offset = (torch.rand(len(clips), generator=generator, dtype=torch.float64) * room).long()
        within = torch.minimum(offset[:, None] + torch.arange(length), self.lengths[clips][:, None] - 1)
        index = self.starts[clips][:, None] + within
        return self.frames[index.to(self.frames.device, non_blocking=True)]
