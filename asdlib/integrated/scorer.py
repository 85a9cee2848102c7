"""Score clips with the one network of a machine type: both heads, each z-scored by held-out clips, averaged.

Every clip is masked several times (Sec. 2.1), and each copy is encoded once. Four scores come from that:

* ``frame_error``: the paper's negative log-likelihood of error frames, median over time;
* ``clip_error``: the same of the clip's mean signed error;
* ``embedding``: the Mahalanobis distance of the mean embedding from the section's training clips;
* ``posterior``: logit of the class outlier minus the log-probability of the section that the clip claims to belong to.

Errors are averaged to one score, embedding and posterior to another, and these two to the clip's score, so that both
heads count the same. A head whose losses have no weight is left out. Held-out clips are scored by Gaussians that were
fitted without them, and set mean and deviation of each score, per section and domain.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch.nn.utils.rnn import pad_sequence

from asdlib import params, scores
from asdlib.autoencoder import section_domain_gaussians as error_gaussians
from asdlib.autoencoder.frame_to_clip_scores import score_clip
from asdlib.autoencoder.masked_copies import draw_gains
from asdlib.autoencoder.scorer import mask_keys
from asdlib.autoencoder.section_domain_gaussians import Errors
from asdlib.data.held_out_split import HELD_OUT, LEARN
from asdlib.data.machine_clips import MachineClips
from asdlib.features import LogMel, interior, log_mels
from asdlib.gaussian import Gaussian
from asdlib.integrated.train import Learner, seed_of
from asdlib.paths import INTEGRATED
from asdlib.stage import Stage

PARTS = {"frame_error": "errors", "clip_error": "errors", "embedding": "embedding", "posterior": "embedding"}
"""scores of a clip, and the head that each comes from"""


@dataclass(frozen=True)
class Heard:
    """Outputs of the network for clips."""

    errors: Errors
    """reconstruction errors under the section that each clip claims to belong to"""
    embedding: np.ndarray
    """mean over the copies, ``(clips, dims)``"""
    posterior: np.ndarray
    """mean over the copies, ``(clips,)``"""


@dataclass(frozen=True)
class Scored:
    """Scores of the rows of :attr:`asdlib.data.machine_clips.MachineClips.scored`, and what they are made of."""

    table: pd.DataFrame
    """score table of the system"""
    parts: pd.DataFrame
    """z-score of each of :data:`PARTS` that is used, one row per row of the table"""
    embeddings: pd.DataFrame
    """clips of the planned sections with their embeddings, columns ``e0`` and so on"""


def score(learner: Learner, stage: Stage) -> Scored:
    """Score the test clips and the held-out clips of the stage's machine type with its trained network."""
    settings, machine, clips = stage.settings, stage.machine, stage.clips
    branch, table, scored = settings.integrated, clips.table, clips.scored
    log_mel = LogMel(branch.features, settings.data.sample_rate).to(stage.compute.device)
    wanted = np.flatnonzero(table["section"].isin(clips.planned))
    place = np.full(len(table), -1)
    place[wanted] = np.arange(len(wanted))
    heard = listen(learner, clips, wanted, log_mel, stage.compute, seed_of(settings, machine))
    options = params.AutoencoderScorer(variants=["median", "clip_signed"], target_shift=branch.scorer.target_shift)
    values = raw(heard, clips.role[wanted], place[scored.index], scored, options)
    held_out = (scored["split"] == "train").to_numpy()
    heads = heads_of(learner)
    parts = {name: z_scores(value, scored, held_out) for name, value in values.items() if PARTS[name] in heads}
    fused = np.mean([np.mean([parts[name] for name in parts if PARTS[name] == head], 0) for head in heads], 0)
    shown = table.iloc[wanted][["section", "domain", "split", "label", "clip"]].reset_index(drop=True)
    embeddings = pd.concat([shown, pd.DataFrame(heard.embedding).add_prefix("e")], axis=1)
    return Scored(scores.table(scored, INTEGRATED, fused), pd.DataFrame(parts), embeddings)


def heads_of(learner: Learner) -> list[str]:
    """Return the heads that have learnt something: ``errors``, ``embedding`` or both."""
    used = dict(zip(learner.balance.names, (learner.balance.shares > 0).tolist(), strict=True))
    embeds = used["outlier"] or used["section"] or used["ddcsad"]
    return [head for head, there in (("errors", used["reconstruction"]), ("embedding", embeds)) if there]


@torch.inference_mode()
def listen(learner: Learner, clips: MachineClips, which: np.ndarray, log_mel: LogMel, compute, seed: int) -> Heard:
    """Run masked copies of clips (positions ``which`` in ``clips.rows``) through the network."""
    branch, network, table = learner.settings, learner.network, clips.table.iloc[which].reset_index(drop=True)
    decibels = log_mels(clips.waveforms, clips.rows[which], log_mel)
    index = torch.tensor([clips.sections.index(name) for name in table["section"]], device=log_mel.window.device)
    frames, embeddings, posteriors = [], [], []
    copies, size = branch.scorer.copies, branch.scorer.batch_size
    for first in range(0, len(which), size):
        some = table.iloc[first : first + size]
        features = [network.standardise(interior(next(decibels), log_mel)) for _ in range(len(some))]
        masks = [
            draw_gains(branch.specaugment, name, copies, *part.shape, seed)
            for name, part in zip(mask_keys(some), features, strict=True)
        ]
        masked = [part * mask.to(part.device) for part, mask in zip(features, masks, strict=True)]
        lengths = [len(part) for part in features for _ in range(copies)]
        batch = pad_sequence([copy for clip in masked for copy in clip], batch_first=True)
        valid = None
        if min(lengths) < batch.shape[1]:
            valid = torch.arange(batch.shape[1], device=batch.device) < batch.new_tensor(lengths)[:, None]
        section = index[first : first + size].repeat_interleave(copies)
        with compute.autocast():
            output = network(batch, section, valid)
        embedding = output.embedding.float()
        posterior = learner.posterior(output, section)
        embeddings.append(embedding.view(len(some), copies, -1).mean(1).cpu().numpy())
        posteriors.append(posterior.view(len(some), copies).mean(1).cpu().numpy())
        reconstruction = output.reconstruction.float().view(len(some), copies, *output.reconstruction.shape[1:])
        for row, part in enumerate(features):
            own = index[first + row][None]
            error = reconstruction[row, :, : len(part)] - network.target(part[None], own)
            frames.append({"signed": error.mean(0).cpu().numpy(), "absolute": error.abs().mean(0).cpu().numpy()})
    heard = Heard(Errors.of(table, frames), np.concatenate(embeddings).astype(np.float64), np.concatenate(posteriors))
    scores.finite(table, heard.embedding, "the embedding")
    scores.finite(table, heard.errors.signed, "the reconstruction error")
    return heard


def raw(heard: Heard, role: np.ndarray, which: np.ndarray, scored: pd.DataFrame, options) -> dict[str, np.ndarray]:
    """Compute the scores named in :data:`PARTS`, out-of-sample for held-out clips.

    Args:
        heard: Output for all clips.
        role: Role of each of them.
        which: For each row of ``scored``, the position of its clip in ``heard``.
        scored: Rows to score, with the domain as which each is scored.
        options: :class:`asdlib.params.autoencoder.AutoencoderScorer` of the two scores of errors.
    """
    table = heard.errors.table
    target = ((table["domain"] == "target") & (table["split"] == "train")).to_numpy()
    fitted = (role == HELD_OUT) | target
    known = heard.errors.take(fitted)
    learnt = heard.errors.take((role == LEARN) & ~target)
    gaussians = error_gaussians.fit(known, learnt, options)
    crossed = error_gaussians.cross_fit(known, learnt, options)
    position = np.cumsum(fitted) - 1
    values = {name: np.full(len(scored), np.nan) for name in PARTS}
    distances = {}
    for section in sorted(set(scored["section"])):
        own = (table["section"] == section).to_numpy() & (role == LEARN)
        distances[section] = Gaussian.fit(heard.embedding[own])
    for row, (clip, section, domain, split) in enumerate(
        zip(which, scored["section"], scored["domain"], scored["split"], strict=True)
    ):
        if split == "train":
            found = crossed[position[clip], domain]
        else:
            found = score_clip(heard.errors.frames[clip], gaussians, section, domain, options)
        values["frame_error"][row], values["clip_error"][row] = found["median"], found["clip_signed"]
        values["embedding"][row] = distances[section].distance(heard.embedding[[clip]])[0]
        values["posterior"][row] = heard.posterior[clip]
    return values


def z_scores(values: np.ndarray, scored: pd.DataFrame, held_out: np.ndarray) -> np.ndarray:
    """Return z-scores by the mean and deviation of the held-out clips of each section and domain."""
    result = np.empty(len(values))
    for rows in scored.reset_index(drop=True).groupby(["section", "domain"]).groups.values():
        rows = np.asarray(rows)
        reference = values[rows][held_out[rows]]
        result[rows] = (values[rows] - reference.mean()) / max(reference.std(), 1e-12)
    return result
