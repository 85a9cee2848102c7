"""The scorer module (Sec. 2.1): from reconstruction errors to one score a clip.

The paper's order: a Gaussian per section and domain over error *vectors of frames*, the negative log-likelihood as the
frame's score, then post-processing over time; each post-processing choice is a system of its own. Beside it stand two
scores that the paper lacks: ``clip_signed`` averages the signed errors over time first and then asks one Gaussian a
section, for the target domain widened by the shift that its few clips show, how unusual the clip's error vector is;
``l1`` is the mean absolute error, the score without a scorer.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from asdlib import AsdError, artefacts, paths, scores
from asdlib.autoencoder import clips
from asdlib.autoencoder.gaussian import Gaussian
from asdlib.autoencoder.pooling import pool
from asdlib.autoencoder.reconstruct import Reconstruction, Reconstructor
from asdlib.data.audio import Waveforms

CLIP_SIGNED, L1 = "clip_signed", "l1"


class ScorerError(AsdError):
    """Scorers that are missing, or a clip that is not there."""


def score(settings, machine: str, candidate: str) -> pd.DataFrame:
    """Score every clip of a machine type, training clips included, and write the scores.

    Beside ``scores.csv`` the candidate's folder then holds ``scorers.safetensors`` (the Gaussians), ``bands.csv`` (mean
    error of each mel band in dB, by section, domain, split and label) and ``scores.json`` (the record).

    Returns:
        The score table of all variants, systems ``autoencoder/<candidate>/<variant>``, in the order of the settings.
    """
    began = time.monotonic()
    net = Reconstructor.load(settings, machine, candidate)
    options, folder = net.branch.scorer, paths.Run.of(settings).system("autoencoder", machine, candidate)
    table = net.waveforms.clips.iloc[net.rows].reset_index(drop=True)
    seen = np.isin(net.role, [clips.SCORER, clips.BOTH])
    errors = [error[options.errors] for error in net.errors(net.rows[seen], [options.errors])]
    gaussians = fit_frames(table[seen], errors, options)

    values = {variant: np.zeros(len(table)) for variant in options.variants}
    means: dict[str, list[np.ndarray]] = {"signed": [], "absolute": []}  # over time, (clips, dims)
    kinds = sorted({"signed", "absolute", options.errors})
    for index, error in enumerate(net.errors(net.rows, kinds)):
        for kind, rows in means.items():
            rows.append(error[kind].mean(0, dtype=np.float64))
        group = group_of(table["section"][index], table["domain"][index], options.groups)
        frames = gaussians[group].surprise(error[options.errors])
        for variant in set(values) - {CLIP_SIGNED, L1}:
            values[variant][index] = pool(frames, variant, options.top_share, options.percentile)
    signed, absolute = np.stack(means["signed"]), np.stack(means["absolute"])
    if L1 in values:
        values[L1] = absolute.mean(1)
    if CLIP_SIGNED in values:
        values[CLIP_SIGNED] = score_clips(table, signed, options.target_shift)

    system = f"autoencoder/{candidate}"
    result = pd.concat([scores.table(table, f"{system}/{name}", value) for name, value in values.items()])
    _save(gaussians, folder / "scorers.safetensors")
    deviation = net.model.deviation.cpu().numpy()
    with artefacts.writing(folder / "bands.csv") as temporary:
        band_errors(table, signed, absolute, deviation).to_csv(temporary, index=False, lineterminator="\n")
    record = artefacts.record(
        settings.candidate("autoencoder", candidate).model_dump(mode="json"),
        seed=net.seed,
        device=net.compute.describe(),
        data=net.waveforms.fingerprint,
        seconds=time.monotonic() - began,
    )
    artefacts.write_json(record, folder / "scores.json")
    scores.write(result.reset_index(drop=True), folder / "scores.csv")
    return result.reset_index(drop=True)


def group_of(section: str, domain: str, groups: str) -> str:
    """Name of the Gaussian that scores a clip's frames: ``00.source``, ``00`` or ``machine``."""
    return {"section_domain": f"{section}.{domain}", "section": section, "machine": "machine"}[groups]


def fit_frames(table: pd.DataFrame, errors: Sequence[np.ndarray], options) -> dict[str, Gaussian]:
    """The Gaussians over frame errors.

    The target domain's three clips give fewer frames than a covariance has parameters, and correlated ones: their
    covariance is drawn towards the source's (:meth:`Gaussian.towards`). Where a section has no target clips to fit on,
    its source Gaussian stands in.

    Args:
        table: Catalogue rows of the clips to fit on.
        errors: Their errors, ``(frames, dims)`` each.
        options: :class:`asdlib.params.AutoencoderScorer`.

    Returns:
        A Gaussian for each name that :func:`group_of` can give.
    """

    def frames(**where: str) -> np.ndarray | None:
        chosen = np.all([table[column] == value for column, value in where.items()], axis=0)
        parts = [error for error, use in zip(errors, np.broadcast_to(chosen, len(errors)), strict=True) if use]
        return np.concatenate(parts) if parts else None

    if options.groups == "machine":
        return {"machine": Gaussian.fit(frames())}
    result = {}
    for section in sorted(set(table["section"])):
        if options.groups == "section":
            result[section] = Gaussian.fit(frames(section=section))
            continue
        source = Gaussian.fit(frames(section=section, domain="source"))
        target = frames(section=section, domain="target")
        result[f"{section}.source"] = source
        result[f"{section}.target"] = (
            source if target is None else source.towards(target, options.target_prior, options.target_centre)
        )
    return result


def score_clips(table: pd.DataFrame, signed: np.ndarray, target_shift: float) -> np.ndarray:
    """``clip_signed``: negative log-likelihood of a clip's mean signed error under its section's Gaussian.

    The Gaussian (Ledoit-Wolf) is fitted on all source training clips of the section, those that the autoencoder learnt
    from too: a section's held-out clips alone are fewer than the dimensions, and a mean over time is hardly overfitted.
    For the target domain it is widened by the shift that the target training clips show (:meth:`Gaussian.widened`).

    Args:
        table: Catalogue rows.
        signed: ``(clips, dims)``.
        target_shift: Weight of the shift.
    """
    result = np.zeros(len(table))
    train, source = table["split"].eq("train").to_numpy(), table["domain"].eq("source").to_numpy()
    for section in sorted(set(table["section"])):
        here = table["section"].eq(section).to_numpy()
        gaussian = Gaussian.fit(signed[here & train & source])
        result[here & source] = gaussian.surprise(signed[here & source])
        shifted = signed[here & train & ~source]
        if len(shifted):
            gaussian = gaussian.widened(shifted, target_shift)
        result[here & ~source] = gaussian.surprise(signed[here & ~source])
    return result


def band_errors(table: pd.DataFrame, signed: np.ndarray, absolute: np.ndarray, deviation: np.ndarray) -> pd.DataFrame:
    """Mean error of each mel band in dB: ``section, domain, split, label, band, signed, absolute``."""
    keys, parts = ["section", "domain", "split", "label"], []
    for key, index in table.groupby(keys, sort=True).indices.items():
        parts.append(pd.DataFrame([key], columns=keys).loc[np.zeros(len(deviation), int)].reset_index(drop=True))
        parts[-1]["band"] = np.arange(len(deviation))
        for name, values in (("signed", signed), ("absolute", absolute)):
            parts[-1][name] = values[index][:, : len(deviation)].mean(0) * deviation
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class Inspection:
    """One clip through autoencoder and scorer."""

    spectra: Reconstruction
    """input, masked input, reconstruction and error, dB"""
    frame_scores: np.ndarray
    """negative log-likelihood of each frame's errors, nats, ``(frames,)``"""
    waveform: np.ndarray
    """int16, ``(samples,)``"""
    sample_rate: int
    """Hz"""


def inspect(settings, machine: str, candidate: str, clip: pd.Series, waveforms: Waveforms | None = None) -> Inspection:
    """Look at one clip.

    Args:
        settings: Of the run.
        machine: Machine type.
        candidate: Name of the candidate, scored before (:func:`score`).
        clip: A row with ``split`` and ``clip``, of the catalogue or of a score table.
        waveforms: Where the clip is; None for those of the run.

    Raises:
        ScorerError: There are no scorers, or no such clip.
    """
    net = Reconstructor.load(settings, machine, candidate)
    net = net if waveforms is None else replace(net, waveforms=waveforms)
    path = paths.Run.of(settings).system("autoencoder", machine, candidate) / "scorers.safetensors"
    if not path.is_file():
        raise ScorerError(f"{path}: no scorers; run notebook 04_reconstruction_errors for it, or make reproduce")
    table = net.waveforms.clips
    found = np.flatnonzero((table["split"] == clip["split"]) & (table["clip"] == clip["clip"]))
    if len(found) == 0:
        raise ScorerError(f"{machine} has no {clip['split']} clip {clip['clip']!r}; take one from its score table")
    row, options = int(found[0]), net.branch.scorer
    error = next(net.errors([row], [options.errors]))[options.errors]
    gaussian = _load(path)[group_of(table["section"].iat[row], table["domain"].iat[row], options.groups)]
    return Inspection(net.example(row), gaussian.surprise(error), net.waveforms.read(row), net.sample_rate)


def typical(table: pd.DataFrame, section: str, domain: str, label: str) -> pd.Series:
    """The test clip with the median score among those of a section, domain and label: neither the best nor the worst.

    Args:
        table: Scores of one system.
    """
    same = (table["section"] == section) & (table["domain"] == domain) & (table["label"] == label)
    chosen = table[same & (table["split"] == "test")].sort_values(["score", "clip"])
    if chosen.empty:
        raise ScorerError(f"section {section} has no {label} test clip of the {domain} domain; choose another")
    return chosen.iloc[len(chosen) // 2]


def _save(gaussians: dict[str, Gaussian], path: Path) -> None:
    arrays = {}
    for name, gaussian in gaussians.items():
        arrays |= {f"{name}/mean": gaussian.mean, f"{name}/cholesky": gaussian.cholesky}
    with artefacts.writing(path) as temporary:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)


def _load(path: Path) -> dict[str, Gaussian]:
    arrays = load_file(path)
    names = sorted({name.rpartition("/")[0] for name in arrays})
    return {name: Gaussian(arrays[f"{name}/mean"], arrays[f"{name}/cholesky"]) for name in names}
