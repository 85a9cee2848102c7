"""Score clips with the one network of a machine type: both heads, each z-scored by held-out clips, averaged.

Every clip is masked several times (Sec. 2.1), and each copy is encoded once. Four scores come from that:

* ``frames``: the paper's negative log-likelihood of error frames, median over time (:mod:`asdlib.autoencoder.scorer`);
* ``clip``: the same of the clip's mean signed error;
* ``embedding``: the Mahalanobis distance of the mean embedding from the section's training clips;
* ``posterior``: logit of the class outlier minus the log-probability of the section that the clip claims to be of.

Errors are averaged to one score, embedding and posterior to another, and these two to the clip's score, so that both
heads count the same. A head whose losses have no weight is left out. Held-out clips are scored by Gaussians that were
fitted without them, and set mean and deviation of each score, per section and domain.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from safetensors.torch import load_model
from torch.nn.utils.rnn import pad_sequence

from asdlib import atomic, params, paths, records, scores, training
from asdlib.autoencoder import scorer as errors_scorer
from asdlib.autoencoder import specaugment
from asdlib.autoencoder.scorer import Errors
from asdlib.data import roles
from asdlib.data.machine_clips import MachineClips, open_machine
from asdlib.errors import ModelError
from asdlib.features import LogMel, interior, log_mels
from asdlib.gaussian import Gaussian
from asdlib.integrated.losses import SCALE
from asdlib.integrated.train import SYSTEM, Learner, other_machines, recipe

PARTS = {"frames": "errors", "clip": "errors", "embedding": "embedding", "posterior": "embedding"}
"""scores of a clip, and the head that each comes from"""


@dataclass(frozen=True)
class Heard:
    """What the network says of clips."""

    errors: Errors
    """reconstruction errors under the section that each clip claims to be of"""
    embedding: np.ndarray
    """mean over the copies, ``(clips, dims)``"""
    posterior: np.ndarray
    """mean over the copies, ``(clips,)``"""


def score(settings, machine: str) -> pd.DataFrame:
    """Score the test clips and the held-out clips of a machine type, and write the rest of the system's folder.

    ``scores.csv`` and ``record.json`` are those of every system; ``parts.csv`` holds the z-scores that were averaged
    (columns of :data:`PARTS` that are used), one row per row of ``scores.csv``, and ``embeddings.csv`` the embeddings.

    Raises:
        ModelError: The network does not exist, or was trained with other settings or data.
    """
    began, branch, compute = time.monotonic(), settings.integrated, training.compute(settings)
    clips, log_mel = open_machine(settings, machine), LogMel(branch.features, settings.data.sample_rate)
    log_mel = log_mel.to(compute.device)
    folder, seed = paths.Run.of(settings).system(SYSTEM, machine), _seed(settings, machine)
    learner, trained = restore(settings, machine, clips, log_mel)
    used = learner.balance.shares > 0
    names = dict(zip(learner.balance.names, used.tolist(), strict=True))
    heads = {"errors": names["reconstruction"], "embedding": names["outlier"] or names["section"] or names["ddcsad"]}
    table, scored = clips.table, clips.scored
    wanted = np.flatnonzero(table["section"].isin(clips.planned))
    place = np.full(len(table), -1)
    place[wanted] = np.arange(len(wanted))
    heard = listen(learner, clips, wanted, log_mel, compute, seed)
    role = clips.role[wanted]
    values = raw(heard, role, place[scored.index], scored, params.AutoencoderScorer(
        variants=["median", "clip_signed"], target_shift=branch.scorer.target_shift
    ))
    held_out = (scored["split"] == "train").to_numpy()
    parts = {name: standardised(value, scored, held_out) for name, value in values.items() if heads[PARTS[name]]}
    fused = pd.DataFrame(parts).T.groupby(PARTS).mean().mean()
    result = scores.table(scored, SYSTEM, fused.to_numpy())
    record = records.record(
        trained | {"scorer": branch.scorer.model_dump(mode="json")},
        seed=seed,
        device=compute.describe(),
        data=clips.waveforms.fingerprint,
        seconds=time.monotonic() - began,
    )
    keys = result.drop(columns=["system", "score"])
    embedding = pd.DataFrame(heard.embedding).add_prefix("e")
    shown = table.iloc[wanted][["section", "domain", "split", "label", "clip"]].reset_index(drop=True)
    for name, frame in (("parts.csv", keys.assign(**parts)), ("embeddings.csv", pd.concat([shown, embedding], axis=1))):
        with atomic.writing(folder / name) as temporary:
            frame.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
    scores.write(result, folder / "scores.csv")
    atomic.write_json(record, folder / "record.json")
    return result


def restore(settings, machine: str, clips: MachineClips, log_mel: LogMel) -> tuple[Learner, dict]:
    """Load the network of a machine type and the settings that it was trained with."""
    folder = paths.Run.of(settings).system(SYSTEM, machine)
    again = "run notebook 11_integrated to train it, or make reproduce"
    if not (folder / "training.json").is_file():
        raise ModelError(f"{folder}: no trained network; {again}")
    stored = json.loads((folder / "training.json").read_text(encoding="utf-8"))["settings"]
    wanted = recipe(settings, machine, clips.sections, clips.waveforms.fingerprint, stored.get("outliers"))
    odd = [key for key in wanted if stored.get(key) != wanted[key]]
    if odd:
        raise ModelError(
            f"{folder}: the network was trained with {odd[0]}: {json.dumps(stored.get(odd[0]))}, but the settings now "
            f"have {json.dumps(wanted[odd[0]])}; restore the settings of the training, or {again}"
        )
    branch, device = settings.integrated, log_mel.window.device
    learner = Learner(branch, branch.features.n_mels, len(clips.sections), bool(stored["outliers"]))
    load_model(learner, str(folder / "model.safetensors"))
    return learner.to(device).eval(), stored


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
        names = ["/".join(row) for row in some[["section", "split", "clip"]].to_numpy()]
        masks = [
            specaugment.copies(branch.specaugment, name, copies, *part.shape, seed)
            for name, part in zip(names, features, strict=True)
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
        log_section = F.log_softmax(SCALE * learner.arcface.cosines(embedding), 1).gather(1, section[:, None])[:, 0]
        posterior = -output.logit.float() - log_section
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
    fitted = (role == roles.HELD_OUT) | target
    known = heard.errors.take(fitted)
    learnt = heard.errors.take((role == roles.LEARN) & ~target)
    gaussians = errors_scorer.fit(known, learnt, options)
    crossed = errors_scorer.cross_fitted(known, learnt, options)
    position = np.cumsum(fitted) - 1
    values = {name: np.full(len(scored), np.nan) for name in PARTS}
    distances = {}
    for section in sorted(set(scored["section"])):
        own = (table["section"] == section).to_numpy() & (role == roles.LEARN)
        distances[section] = Gaussian.fit(heard.embedding[own])
    for row, (clip, section, domain, split) in enumerate(
        zip(which, scored["section"], scored["domain"], scored["split"], strict=True)
    ):
        if split == "train":
            found = crossed[position[clip], domain]
        else:
            found = errors_scorer.of_clip(heard.errors.frames[clip], gaussians, section, domain, options)
        values["frames"][row], values["clip"][row] = found["median"], found["clip_signed"]
        values["embedding"][row] = distances[section].distance(heard.embedding[[clip]])[0]
        values["posterior"][row] = heard.posterior[clip]
    return values


def standardised(values: np.ndarray, scored: pd.DataFrame, held_out: np.ndarray) -> np.ndarray:
    """Return z-scores by the mean and deviation of the held-out clips of each section and domain."""
    result = np.empty(len(values))
    for rows in scored.reset_index(drop=True).groupby(["section", "domain"]).groups.values():
        rows = np.asarray(rows)
        reference = values[rows][held_out[rows]]
        result[rows] = (values[rows] - reference.mean()) / max(reference.std(), 1e-12)
    return result


def _seed(settings, machine: str) -> int:
    return training.derive(settings.seed, SYSTEM, machine, settings.integrated.seed)
