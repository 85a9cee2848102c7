"""Train one network per machine type, for all its sections and both domains, on the losses of both branches at once.

A batch holds as many normal clips as others. Some of the normal ones are mixed with a target clip of their section, as
in the paper's pseudo-target clips. The others are clips of other machine types, each mixed (Mixup) with one of the
batch's normal clips; they are labelled by how much of them is normal. If there is no other machine type, the network
learns from normal clips only, and the losses for outliers have no weight.
"""

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asdlib import batch_norm, paths, training
from asdlib.autoencoder import specaugment
from asdlib.autoencoder.batches import Batches, mix_power
from asdlib.autoencoder.train import masked_mean, noam
from asdlib.data import plan
from asdlib.data.audio import Waveforms, evenly_spaced
from asdlib.data.held_out_split import LEARN
from asdlib.features import LogMel, interior, log_mels
from asdlib.integrated.losses import SCALE, Balance, SectionArcFace, SectionDdcsad
from asdlib.integrated.model import Integrated, Output
from asdlib.paths import INTEGRATED
from asdlib.seeds import derive
from asdlib.stage import Stage


class Learner(nn.Module):
    """The network with what its losses learn: section directions, centroids and weights."""

    def __init__(self, settings, mels: int, sections: int, outliers: bool):
        super().__init__()
        self.settings = settings
        self.network = Integrated(settings.model, mels, sections)
        self.arcface = SectionArcFace(settings.model.embedding, sections)
        self.ddcsad = SectionDdcsad(settings.model.embedding, sections)
        shares = settings.training.shares.model_dump()
        if not outliers:
            shares |= {"outlier": 0.0, "ddcsad": 0.0}
        if sections == 1:
            shares["section"] = 0.0
        self.balance = Balance(shares)

    def losses(self, batch: "Batch", generator: torch.Generator) -> tuple[dict[str, Tensor], Tensor]:
        """Return the four losses of a batch by name, and the embeddings."""
        features = self.network.standardise(batch.decibel)
        masks = specaugment.gains(self.settings.specaugment, *features.shape, generator, features.device)
        own, count = batch.section, len(batch.section)
        output = self.network(features * masks, own, batch.valid)
        error = output.reconstruction.float() - self.network.target(features[:count], own)
        sections = batch.sections
        result = {
            "reconstruction": masked_mean(error.abs(), None if batch.valid is None else batch.valid[:count]),
            "outlier": F.binary_cross_entropy_with_logits(output.logit.float(), batch.label),
            "section": self.arcface(output.embedding[:count].float(), own),
            "ddcsad": self.ddcsad(output.embedding, sections, batch.label),
        }
        return result, output.embedding

    def posterior(self, output: Output, section: Tensor) -> Tensor:
        """Return the logit of the class outlier minus the log-probability of the section, ``(batch,)``, in float32."""
        log_section = F.log_softmax(SCALE * self.arcface.cosines(output.embedding.float()), 1)
        return -output.logit.float() - log_section.gather(1, section[:, None])[:, 0]


class Batch:
    """One training batch: normal clips, then outliers mixed with them.

    Args:
        normal: Normal batches.
        outliers: Batches of other machine types, or None.
        options: :class:`asdlib.params.integrated.IntegratedTraining`.
        generator: CPU generator for everything random.
    """

    def __init__(self, normal: Batches, outliers: Batches | None, options, generator: torch.Generator):
        half = options.batch_size // 2
        decibel, self.section, valid = normal.draw(half, options.crop_frames, options.target_share, generator)
        self.label = torch.ones(half, device=decibel.device)
        self.sections = self.section
        if outliers is not None:
            length = decibel.shape[1]
            other, _, padding = outliers.draw(half, (length, length), 0.0, generator)
            length = other.shape[1]  # shorter if all outliers are
            decibel, valid = decibel[:, :length], None if valid is None else valid[:, :length]
            rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
            share = torch.from_numpy(rng.beta(options.mixup, options.mixup, half)).float().clamp(1e-6, 1 - 1e-6)
            share = share.to(decibel.device)
            decibel = torch.cat([decibel, mix_power(other, decibel, share[:, None, None])])
            self.label = torch.cat([self.label, share])
            self.sections = torch.cat([self.section, self.section])
            if valid is not None or padding is not None:
                whole = torch.ones(half, length, dtype=torch.bool, device=decibel.device)
                both = [whole if part is None else part for part in (valid, padding)]
                valid = torch.cat([both[0], both[0] & both[1]])
        self.decibel, self.valid = decibel, valid


def fit(stage: Stage) -> tuple[Learner, pd.DataFrame, dict, float]:
    """Train the network of the stage's machine type, resuming an interrupted training.

    Returns:
        The trained network; the history, one row per step with ``step``, the weighted ``loss``, each loss and
        ``learning_rate``; the settings and data that the network depends on; and the seconds of earlier starts.
    """
    settings, machine, compute = stage.settings, stage.machine, stage.compute
    branch, clips, seed = settings.integrated, stage.clips, seed_of(settings, machine)
    options = branch.training
    log_mel = LogMel(branch.features, settings.data.sample_rate).to(compute.device)
    normal = Batches.load(clips.waveforms, clips.rows[clips.role == LEARN], clips.sections, log_mel)
    outliers, heard = other_machines(settings, machine, log_mel)
    torch.manual_seed(derive(seed, "weights"))
    learner = Learner(branch, branch.features.n_mels, len(clips.sections), outliers is not None).to(compute.device)
    network = learner.network
    network.set_statistics(normal.frames)

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        batch = Batch(normal, outliers, options, generator)
        losses, embedding = learner.losses(batch, generator)
        if step < options.balance_steps:
            learner.balance.observe(losses, network.shared())
        learner.ddcsad.observe(embedding.detach(), batch.sections, batch.label)
        return {"loss": learner.balance(losses)} | {name: value.detach() for name, value in losses.items()}

    optimizer = torch.optim.Adam(learner.parameters(), lr=options.learning_rate, fused=True)
    factor = noam(branch.model.channels, options.warmup, options.steps, options.cooldown)
    depends = {
        "machine": machine,
        "sections": clips.sections,
        **settings.common(),
        "data_fingerprint": clips.waveforms.fingerprint,
        "outliers": heard,
        **branch.model_dump(mode="json", exclude={"scorer"}),
    }

    def forward(generator: torch.Generator) -> object:
        return learner.losses(Batch(normal, outliers, options, generator), generator)

    with compute.any_length():
        history, earlier = training.train(
            learner,
            loss,
            optimizer,
            torch.optim.lr_scheduler.LambdaLR(optimizer, factor),
            steps=options.steps,
            seed=seed,
            **stage.resuming(depends),
        )
        batch_norm.refresh_batch_norm(learner, forward, compute, seed)
    return learner.eval(), history, depends, earlier


def seed_of(settings, machine: str) -> int:
    """Return the seed of the network of a machine type."""
    return derive(settings.seed, INTEGRATED, machine, settings.integrated.seed)


def other_machines(settings, machine: str, log_mel: LogMel) -> tuple[Batches | None, dict[str, str]]:
    """Load normal training clips of all other machine types, equally spaced, and the fingerprints of their data."""
    known, most = plan.read(settings), settings.integrated.training.outlier_clips
    frames, heard = [], {}
    for name in sorted({*known.machines, *known.outliers} - {machine}):
        waveforms = Waveforms.open(paths.Run.of(settings).data(name))
        rows = np.flatnonzero((waveforms.clips["split"] == "train") & (waveforms.clips["label"] == "normal"))
        rows = rows[evenly_spaced(len(rows), most)]
        frames += [interior(spectrum, log_mel) for spectrum in log_mels(waveforms, rows, log_mel)]
        heard[name] = waveforms.fingerprint
    if not frames:
        print(f"no machine type but {machine}: nothing is learnt from outliers", flush=True)
        return None, heard
    none = torch.zeros(len(frames), dtype=torch.long)
    lengths = torch.tensor([len(part) for part in frames])
    return Batches(torch.cat(frames), lengths, none, none.bool()), heard
