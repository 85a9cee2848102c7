"""The scorer module (Sec. 2.1): from reconstruction errors to one score a clip.

The paper's order: a Gaussian per section and domain over error *vectors of frames*, the negative log-likelihood as the
frame's score, then post-processing over time; each post-processing choice is a system of its own. Beside it stand two
scores that the paper lacks: ``clip_signed`` averages the signed errors over time first and then asks one Gaussian a
section, for the target domain widened by the shift that its few clips show, how unusual the clip's error vector is;
``l1`` is the mean absolute error, the score without a scorer.

PyTorch is imported where it is used: a detector's ONNX files are scored without it.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from asdlib import artefacts, paths, scores
from asdlib.autoencoder.pooling import pool
from asdlib.gaussian import Gaussian

if TYPE_CHECKING:
    from asdlib.autoencoder.reconstruct import Reconstructor

CLIP_SIGNED, L1 = "clip_signed", "l1"


def score(settings, machine: str, candidate: str) -> pd.DataFrame:
    """Score every clip of a machine type, training clips included, and write the scores.

    Beside ``scores.csv`` the candidate's folder then holds ``scorers.safetensors`` (the Gaussians over frames and over
    clips), ``bands.csv`` (mean error of each mel band in dB, by section, domain, split and label) and ``scores.json``
    (the record).

    Returns:
        The score table of all variants, systems ``autoencoder/<candidate>/<variant>``, in the order of the settings.
    """
    from asdlib.autoencoder import clips
    from asdlib.autoencoder.reconstruct import Reconstructor

    began = time.monotonic()
    net = Reconstructor.load(settings, machine, candidate)
    options, folder = net.branch.scorer, paths.Run.of(settings).system("autoencoder", machine, candidate)
    table = net.waveforms.clips.iloc[net.rows].reset_index(drop=True)
    seen = np.isin(net.role, [clips.SCORER, clips.BOTH])
    errors = [error[options.errors] for error in net.errors(net.rows[seen], [options.errors])]
    shifted, shifted_means = {}, {}
    if options.target_from == "pseudo_target":
        shifted, shifted_means = pseudo_target_errors(settings, net, machine, set(table["clip"][seen]))
    gaussians = fit_frames(table[seen], errors, options, shifted)

    values = {variant: np.zeros(len(table)) for variant in options.variants}
    means: dict[str, list[np.ndarray]] = {"signed": [], "absolute": []}  # over time, (clips, dims)
    for index, error in enumerate(net.errors(net.rows, kinds(options))):
        for kind, rows in means.items():
            rows.append(error[kind].mean(0, dtype=np.float64))
        found = of_frames(error, gaussians, table["section"][index], table["domain"][index], options)
        for variant, value in found.items():
            values[variant][index] = value
    signed, absolute = np.stack(means["signed"]), np.stack(means["absolute"])
    if CLIP_SIGNED in values:
        whole = fit_clips(table, signed, options.target_shift, shifted_means)
        values[CLIP_SIGNED] = score_clips(table, signed, whole)
        gaussians = gaussians | whole

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


def kinds(options) -> list[str]:
    """The errors that scoring needs (:meth:`asdlib.autoencoder.reconstruct.Reconstructor.errors`)."""
    return sorted({"signed", "absolute", options.errors})


def of_clip(
    error: dict[str, np.ndarray], gaussians: dict[str, Gaussian], section: str, domain: str, options
) -> dict[str, float]:
    """The score of one clip in every variant, in the order of the settings; it needs that clip only.

    Args:
        error: Of the clip, ``(frames, dims)`` for each of :func:`kinds`.
        gaussians: All that :func:`load` reads.
        section: Of the clip.
        domain: Of the clip.
        options: :class:`asdlib.params.AutoencoderScorer`.
    """
    values = of_frames(error, gaussians, section, domain, options)
    if CLIP_SIGNED in options.variants:
        signed = error["signed"].mean(0, dtype=np.float64)[None]
        values[CLIP_SIGNED] = float(gaussians[_clip(section, domain)].surprise(signed)[0])
    return {variant: values[variant] for variant in options.variants}


def of_frames(
    error: dict[str, np.ndarray], gaussians: dict[str, Gaussian], section: str, domain: str, options
) -> dict[str, float]:
    """As :func:`of_clip`, but only the variants that need no Gaussian over clips."""
    frames = gaussians[group_of(section, domain, options.groups)].surprise(error[options.errors])
    pooled = {
        variant: pool(frames, variant, options.top_share, options.percentile)
        for variant in options.variants
        if variant not in (CLIP_SIGNED, L1)
    }
    return pooled | ({L1: float(error["absolute"].mean(0, dtype=np.float64).mean())} if L1 in options.variants else {})


def group_of(section: str, domain: str, groups: str) -> str:
    """Name of the Gaussian that scores a clip's frames: ``00.source``, ``00`` or ``machine``."""
    return {"section_domain": f"{section}.{domain}", "section": section, "machine": "machine"}[groups]


def pseudo_target_errors(
    settings, net: "Reconstructor", machine: str, held_out: Collection[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Errors of the pseudo-target clips (:mod:`asdlib.data.pseudo_target`), by section.

    Args:
        settings: Of the run.
        net: The trained autoencoder.
        machine: Machine type.
        held_out: Names of the source clips that the autoencoder did not learn from.

    Returns:
        For each section that has some: the errors of all frames of those made of held-out clips, ``(frames, dims)``;
        and the signed errors of all, averaged over time, ``(clips, dims)``.
    """
    from asdlib.data import pseudo_target

    kind, frames, means = net.branch.scorer.errors, {}, {}
    found = pseudo_target.open_rows(settings, machine, net.sections)
    if found is None:
        return frames, means
    waveforms, rows = found
    other = replace(net, waveforms=waveforms, rows=rows)
    for row, error in zip(rows, other.errors(rows, sorted({kind, "signed"})), strict=True):
        clip = waveforms.clips.iloc[row]
        means.setdefault(clip["section"], []).append(error["signed"].mean(0, dtype=np.float64))
        if clip["clip"] in held_out:
            frames.setdefault(clip["section"], []).append(error[kind])
    return {key: np.concatenate(parts) for key, parts in frames.items()}, {key: np.stack(v) for key, v in means.items()}


def fit_frames(
    table: pd.DataFrame, errors: Sequence[np.ndarray], options, shifted: Mapping[str, np.ndarray] = MappingProxyType({})
) -> dict[str, Gaussian]:
    """The Gaussians over frame errors.

    The target domain's three clips give fewer frames than a covariance has parameters, and correlated ones: their
    covariance is drawn towards the source's (:meth:`Gaussian.towards`), or pseudo-target clips take their place. Where
    a section has no target clips to fit on, its source Gaussian stands in.

    Args:
        table: Catalogue rows of the clips to fit on.
        errors: Their errors, ``(frames, dims)`` each.
        options: :class:`asdlib.params.AutoencoderScorer`.
        shifted: Errors of pseudo-target frames by section, ``(frames, dims)``, where these are to be fitted.

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
        if section in shifted:
            result[f"{section}.target"] = Gaussian.fit(shifted[section])
        elif target is not None:
            result[f"{section}.target"] = source.towards(target, options.target_prior, options.target_centre)
        else:
            result[f"{section}.target"] = source
    return result


def fit_clips(
    table: pd.DataFrame,
    signed: np.ndarray,
    target_shift: float,
    shifted_means: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> dict[str, Gaussian]:
    """The Gaussians of ``clip_signed`` over clips' mean signed errors, one a section and domain.

    The source's (Ledoit-Wolf) is fitted on all source training clips of the section, those that the autoencoder learnt
    from too: a section's held-out clips alone are fewer than the dimensions, and a mean over time is hardly overfitted.
    The target's is fitted on pseudo-target clips, where there are some, else it is the same; and it is widened by the
    shift that the target training clips (still) show (:meth:`Gaussian.widened`).

    Args:
        table: Catalogue rows.
        signed: Of each row, ``(clips, dims)``.
        target_shift: Weight of the shift.
        shifted_means: Mean signed errors of pseudo-target clips by section, ``(clips, dims)``.
    """
    result = {}
    train, source = table["split"].eq("train").to_numpy(), table["domain"].eq("source").to_numpy()
    for section in sorted(set(table["section"])):
        here = table["section"].eq(section).to_numpy() & train
        gaussian = Gaussian.fit(signed[here & source])
        result[_clip(section, "source")] = gaussian
        if section in shifted_means:
            gaussian = Gaussian.fit(shifted_means[section])
        few = signed[here & ~source]
        result[_clip(section, "target")] = gaussian.widened(few, target_shift) if len(few) else gaussian
    return result


def score_clips(table: pd.DataFrame, signed: np.ndarray, gaussians: dict[str, Gaussian]) -> np.ndarray:
    """``clip_signed``: negative log-likelihood of a clip's mean signed error under its Gaussian (:func:`fit_clips`)."""
    result = np.zeros(len(table))
    for (section, domain), rows in table.groupby(["section", "domain"]).indices.items():
        result[rows] = gaussians[_clip(section, domain)].surprise(signed[rows])
    return result


def _clip(section: str, domain: str) -> str:
    """Name of a Gaussian over clips, beside those over frames (:func:`group_of`)."""
    return f"clip.{section}.{domain}"


def band_errors(table: pd.DataFrame, signed: np.ndarray, absolute: np.ndarray, deviation: np.ndarray) -> pd.DataFrame:
    """Mean error of each mel band in dB: ``section, domain, split, label, band, signed, absolute``."""
    keys, parts = ["section", "domain", "split", "label"], []
    for key, index in table.groupby(keys, sort=True).indices.items():
        parts.append(pd.DataFrame([key], columns=keys).loc[np.zeros(len(deviation), int)].reset_index(drop=True))
        parts[-1]["band"] = np.arange(len(deviation))
        for name, values in (("signed", signed), ("absolute", absolute)):
            parts[-1][name] = values[index][:, : len(deviation)].mean(0) * deviation
    return pd.concat(parts, ignore_index=True)


def _save(gaussians: dict[str, Gaussian], path: Path) -> None:
    arrays = {}
    for name, gaussian in gaussians.items():
        arrays |= {f"{name}/mean": gaussian.mean, f"{name}/cholesky": gaussian.cholesky}
    with artefacts.writing(path) as temporary:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)


def load(path: Path) -> dict[str, Gaussian]:
    """The Gaussians that :func:`score` wrote to ``scorers.safetensors``, by name."""
    arrays = load_file(path)
    names = sorted({name.rpartition("/")[0] for name in arrays})
    return {name: Gaussian(arrays[f"{name}/mean"], arrays[f"{name}/cholesky"]) for name in names}
