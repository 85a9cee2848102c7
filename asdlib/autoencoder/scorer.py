"""Turn reconstruction errors into one score per clip, as the scorer module of Sec. 2.1 does.

In the paper's order, the errors of the masked copies are first pooled by mean, maximum or median. A Gaussian per
section and domain over the error *vectors of frames* then gives each frame's negative log-likelihood, which is
post-processed over time. Each choice of pooling is a variant, and each variant counts as a system. Two variants are
extensions that the paper lacks (:mod:`asdlib.origin`): ``clip_signed`` averages the signed errors over time first and
then scores the clip's error vector with one Gaussian per section and domain; ``l1`` is the mean absolute error, a score
without a scorer.

The Gaussians are fitted on clips that the network did not learn from. These clips are also in the score table, since
normalisation and thresholds need normal clips. Their scores are cross-fitted (:func:`cross_fitted`), so that no clip is
scored by a Gaussian that it helped to fit.

PyTorch is imported only where it is used, because a detector scores with ONNX files without it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from asdlib import atomic, origin, paths, records, scores
from asdlib.data.machine_clips import open_machine
from asdlib.gaussian import Gaussian
from asdlib.pooling import pool

if TYPE_CHECKING:
    from asdlib.autoencoder.reconstruct import Reconstructor

CLIP_SIGNED, L1 = "clip_signed", "l1"
FOLDS = 5
"""folds of cross-fitting; fewer where a section has fewer held-out clips"""


@dataclass(frozen=True)
class Errors:
    """Reconstruction errors of clips, as needed by the scorers."""

    table: pd.DataFrame
    """catalogue rows of the clips, numbered from 0"""
    frames: list[dict[str, np.ndarray]]
    """errors of each clip, ``(frames, dims)`` for each of :func:`kinds`; empty for clips whose frames no scorer uses"""
    signed: np.ndarray
    """signed errors averaged over time, ``(clips, dims)``"""

    @classmethod
    def of(cls, table: pd.DataFrame, frames: Sequence[dict[str, np.ndarray]]) -> "Errors":
        """Average the signed errors of each clip; arguments as the attributes."""
        signed = np.stack([error["signed"].mean(0, dtype=np.float64) for error in frames])
        return cls(table.reset_index(drop=True), list(frames), signed)

    def take(self, chosen: np.ndarray) -> "Errors":
        """Select the clips where the mask ``chosen`` is true."""
        index = np.flatnonzero(chosen)
        return Errors(
            self.table.iloc[index].reset_index(drop=True), [self.frames[i] for i in index], self.signed[index]
        )


def score(settings, machine: str, candidate: str) -> pd.DataFrame:
    """Score the test clips and the held-out training clips of a machine type, and write the scores.

    Besides ``scores.csv``, this writes ``scorers.safetensors`` (the Gaussians over frames and over clips),
    ``bands.csv`` (mean error of each mel band in dB, by section, domain, split and label) and ``scores.json`` (the
    record) to the candidate's folder.

    Returns:
        The score table of all variants, systems ``autoencoder/<candidate>/<variant>``, in the order of the settings.
    """
    from asdlib.autoencoder.reconstruct import Reconstructor
    from asdlib.data import roles

    began = time.monotonic()
    clips, net = open_machine(settings, machine), Reconstructor.load(settings, machine, candidate)
    options, folder = net.branch.scorer, paths.Run.of(settings).system("autoencoder", machine, candidate)
    table, wanted = clips.table, kinds(options)
    planned = table["section"].isin(clips.planned).to_numpy()
    target = (table["domain"] == "target").to_numpy() & (table["split"] == "train").to_numpy()
    fitted = np.flatnonzero(planned & ((clips.role == roles.HELD_OUT) | target))
    known = Errors.of(table.iloc[fitted], list(net.errors(clips.rows[fitted], wanted)))
    means = {"signed": np.zeros((len(table), known.signed.shape[1])), "absolute": None}
    means["absolute"] = np.zeros_like(means["signed"])
    for index, error in zip(fitted, known.frames, strict=True):
        for kind, rows in means.items():
            rows[index] = error[kind].mean(0, dtype=np.float64)
    learn = np.flatnonzero(planned & (clips.role == roles.LEARN) & ~target)
    for index, error in zip(learn, net.errors(clips.rows[learn], ["signed", "absolute"]), strict=True):
        for kind, rows in means.items():
            rows[index] = error[kind].mean(0, dtype=np.float64)
    learnt = Errors(table.iloc[learn].reset_index(drop=True), [], means["signed"][learn])
    pseudo = pseudo_target_errors(settings, net, machine) if options.target_from == "shifted" else None
    gaussians = fit(known, learnt, options, pseudo)

    scored = clips.scored
    values = {variant: np.full(len(scored), np.nan) for variant in options.variants}
    held_out = (scored["split"] == "train").to_numpy()
    for (position, domain), found in cross_fitted(known, learnt, options, pseudo).items():
        place = held_out & (scored.index == fitted[position]) & (scored["domain"] == domain).to_numpy()
        for variant, value in found.items():
            values[variant][place] = value
    tests = np.flatnonzero(~held_out)
    for place, error in zip(tests, net.errors(clips.rows[scored.index[tests]], wanted), strict=True):
        row = scored.iloc[place]
        for kind, rows in means.items():
            rows[scored.index[place]] = error[kind].mean(0, dtype=np.float64)
        for variant, value in of_clip(error, gaussians, row["section"], row["domain"], options).items():
            values[variant][place] = value

    system = f"autoencoder/{candidate}"
    result = pd.concat([scores.table(scored, f"{system}/{name}", value) for name, value in values.items()])
    _save(gaussians, folder / "scorers.safetensors")
    deviation = net.model.deviation.cpu().numpy()
    shown = table[planned]
    bands = band_errors(shown, *(means[kind][planned] for kind in ("signed", "absolute")), deviation)
    with atomic.writing(folder / "bands.csv") as temporary:
        bands.to_csv(temporary, index=False, lineterminator="\n")
    record = records.record(
        settings.common() | settings.candidate("autoencoder", candidate).model_dump(mode="json"),
        seed=net.seed,
        device=net.compute.describe(),
        data=net.waveforms.fingerprint,
        seconds=time.monotonic() - began,
    )
    atomic.write_json(record, folder / "scores.json")
    scores.write(result.reset_index(drop=True), folder / "scores.csv")
    return result.reset_index(drop=True)


def fit(known: Errors, learnt: Errors, options, pseudo: Errors | None = None) -> dict[str, Gaussian]:
    """Fit all Gaussians that the variants need.

    Args:
        known: Held-out source clips and the target training clips, of all sections.
        learnt: Source clips that the network learnt from, for ``clip_signed``. A section has fewer held-out clips than
            there are dimensions, and means over time are hardly affected by overfitting.
        options: :class:`asdlib.params.autoencoder.AutoencoderScorer`.
        pseudo: Pseudo-target clips, if the target's Gaussians are to be fitted on them.

    Returns:
        The Gaussians by name: :func:`group_of` for frames, ``clip.<section>.<domain>`` for clips.
    """
    gaussians: dict[str, Gaussian] = {}
    for copies in _copy_poolings(options):
        kind = _kind(options, copies)
        shifted = _frames_by_section(pseudo, known, kind) if pseudo is not None else {}
        found = fit_frames(known.table, [error[kind] for error in known.frames], options, shifted)
        gaussians |= {_named(name, copies): gaussian for name, gaussian in found.items()}
    if CLIP_SIGNED in options.variants:
        table = pd.concat([known.table, learnt.table], ignore_index=True)
        signed = np.concatenate([known.signed, learnt.signed])
        means = {}
        if pseudo is not None:
            used = pseudo.table["clip"].isin(set(table["clip"]))  # without those derived from a left-out fold
            means = {
                section: pseudo.signed[rows] for section, rows in pseudo.table[used].groupby("section").groups.items()
            }
        gaussians |= fit_clips(table, signed, options.target_shift, means)
    return gaussians


def cross_fitted(
    known: Errors, learnt: Errors, options, pseudo: Errors | None = None
) -> dict[tuple[int, str], dict[str, float]]:
    """Score held-out clips with Gaussians that were fitted without them and the other clips of their fold.

    The arguments are those of :func:`fit`.

    Returns:
        The score in every variant, by position of the clip in ``known`` and by the domain as which it is scored: its
        own, ``source``, and ``target``, as a reference clip (:attr:`asdlib.data.machine_clips.MachineClips.scored`).
    """
    source = (known.table["domain"] == "source").to_numpy()
    fold = np.full(len(source), -1)
    for rows in known.table[source].groupby("section").groups.values():
        fold[rows] = np.arange(len(rows)) % min(FOLDS, len(rows))
    result = {}
    for left_out in range(fold.max() + 1):
        gaussians = fit(known.take(fold != left_out), learnt, options, pseudo)
        for position in np.flatnonzero(fold == left_out):
            for domain in scores.DOMAINS:
                section = known.table["section"].iat[position]
                result[position, domain] = of_clip(known.frames[position], gaussians, section, domain, options)
    return result


def kinds(options) -> list[str]:
    """Return the kinds of errors needed for scoring (:meth:`asdlib.autoencoder.reconstruct.Reconstructor.errors`)."""
    return sorted({"signed", "absolute", *(_kind(options, copies) for copies in _copy_poolings(options))})


def _copy_poolings(options) -> list[str]:
    """Return the poolings over copies that the variants use; the mean first, which the scores over time show."""
    frame_variants = [variant for variant in options.variants if variant not in (CLIP_SIGNED, L1)]
    return list(dict.fromkeys(["mean", *(_parts(variant)[1] for variant in frame_variants)]))


def _parts(variant: str) -> tuple[str, str]:
    """Split a variant into the poolings over time and over copies.

    >>> _parts("median_of_max"), _parts("median")
    (('median', 'max'), ('median', 'mean'))
    """
    pooling, _, copies = variant.partition("_of_")
    return pooling, copies or "mean"


def _kind(options, copies: str) -> str:
    return options.errors if copies == "mean" else f"{options.errors}.{copies}"


def _named(group: str, copies: str) -> str:
    return group if copies == "mean" else f"{group}.{copies}"


def _frames_by_section(pseudo: Errors, known: Errors, kind: str) -> dict[str, np.ndarray]:
    """Return the frames of pseudo-target clips derived from ``known`` clips, from which the network did not learn."""
    held_out = pseudo.table["clip"].isin(set(known.table["clip"])).to_numpy()
    return {
        section: np.concatenate([pseudo.frames[row][kind] for row in rows])
        for section, rows in pseudo.table[held_out].groupby("section").groups.items()
    }


def of_clip(
    error: dict[str, np.ndarray], gaussians: dict[str, Gaussian], section: str, domain: str, options
) -> dict[str, float]:
    """Score one clip in every variant, in the order of the settings, independently of other clips.

    Args:
        error: Errors of the clip, ``(frames, dims)`` for each of :func:`kinds`.
        gaussians: Gaussians of all sections and domains, as returned by :func:`load`.
        section: Section of the clip.
        domain: Domain of the clip, or the domain as which to score it.
        options: :class:`asdlib.params.autoencoder.AutoencoderScorer`.
    """
    frames = {
        copies: of_frames(error, gaussians, section, domain, options, copies) for copies in _copy_poolings(options)
    }
    values = {}
    for variant in options.variants:
        if variant == CLIP_SIGNED:
            signed = error["signed"].mean(0, dtype=np.float64)[None]
            values[variant] = float(gaussians[_clip(section, domain)].surprise(signed)[0])
        elif variant == L1:
            values[variant] = float(error["absolute"].mean(0, dtype=np.float64).mean())
        else:
            pooling, copies = _parts(variant)
            values[variant] = pool(frames[copies], pooling, options.top_share, options.percentile)
    return values


def of_frames(
    error: dict[str, np.ndarray], gaussians: dict[str, Gaussian], section: str, domain: str, options, copies="mean"
) -> np.ndarray:
    """Return each frame's negative log-likelihood, ``(frames,)``, with errors pooled over the copies by ``copies``."""
    gaussian = gaussians[_named(group_of(section, domain, options.groups), copies)]
    return gaussian.surprise(error[_kind(options, copies)])


def frame_scores(error, gaussians, section: str, domain: str, options) -> np.ndarray:
    """Return the frame scores to plot over time, ``(frames,)``, from errors averaged over the copies."""
    return of_frames(error, gaussians, section, domain, options)


def without_labels(options):
    """Return the scorer's settings with only the variant that a detector uses (:func:`asdlib.origin.first`)."""
    return options.model_copy(update={"variants": [origin.first("autoencoder", options.variants, origin.EXTENSION)]})


def group_of(section: str, domain: str, groups: str) -> str:
    """Return the name of the Gaussian that scores a clip's frames: ``00.source``, ``00`` or ``machine``."""
    return {"section_domain": f"{section}.{domain}", "section": section, "machine": "machine"}[groups]


def pseudo_target_errors(settings, net: "Reconstructor", machine: str) -> Errors | None:
    """Compute the errors of the pseudo-target clips (:mod:`asdlib.shift.shifted_clips`); None without such clips."""
    from asdlib.shift import shifted_clips

    found = shifted_clips.open_rows(settings, machine, net.sections)
    if found is None:
        return None
    waveforms, rows = found
    other = replace(net, waveforms=waveforms, rows=rows)
    return Errors.of(waveforms.clips.iloc[rows], list(other.errors(rows, kinds(net.branch.scorer))))


def fit_frames(
    table: pd.DataFrame, errors: Sequence[np.ndarray], options, shifted: Mapping[str, np.ndarray] = MappingProxyType({})
) -> dict[str, Gaussian]:
    """Fit the Gaussians over frame errors.

    The target domain's three clips have fewer frames than a covariance has parameters, and these are correlated. Their
    covariance is therefore shrunk towards the source's (:meth:`Gaussian.towards`), or pseudo-target clips are used
    instead. If a section has no target clips to fit on, its source Gaussian is used for the target domain.

    Args:
        table: Catalogue rows of the clips to fit on.
        errors: Their errors, ``(frames, dims)`` each.
        options: :class:`asdlib.params.autoencoder.AutoencoderScorer`.
        shifted: Errors of pseudo-target frames by section, ``(frames, dims)``, if the target is to be fitted on them.

    Returns:
        A Gaussian for each name that :func:`group_of` can return.
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
    """Fit the Gaussians of ``clip_signed`` over clips' mean signed errors, one per section and domain.

    The source Gaussian (Ledoit-Wolf) is fitted on the section's source clips. The target Gaussian is fitted on
    pseudo-target clips if there are any; otherwise it starts from the source Gaussian. It is then widened by the shift
    that the target training clips (still) show (:meth:`Gaussian.widened`).

    Args:
        table: Catalogue rows of training clips.
        signed: Mean signed errors of each clip, ``(clips, dims)``.
        target_shift: Weight of the shift.
        shifted_means: Mean signed errors of pseudo-target clips by section, ``(clips, dims)``.
    """
    result = {}
    source = table["domain"].eq("source").to_numpy()
    for section in sorted(set(table["section"])):
        here = table["section"].eq(section).to_numpy()
        gaussian = Gaussian.fit(signed[here & source])
        result[_clip(section, "source")] = gaussian
        if section in shifted_means:
            gaussian = Gaussian.fit(shifted_means[section])
        few = signed[here & ~source]
        result[_clip(section, "target")] = gaussian.widened(few, target_shift) if len(few) else gaussian
    return result


def _clip(section: str, domain: str) -> str:
    """Return the name of a Gaussian over clips, distinct from those over frames (:func:`group_of`)."""
    return f"clip.{section}.{domain}"


def band_errors(table: pd.DataFrame, signed: np.ndarray, absolute: np.ndarray, deviation: np.ndarray) -> pd.DataFrame:
    """Compute the mean error of each mel band in dB: ``section, domain, split, label, band, signed, absolute``."""
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
    with atomic.writing(path) as temporary:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)


def load(path: Path) -> dict[str, Gaussian]:
    """Load the Gaussians that :func:`score` wrote to ``scorers.safetensors``, by name."""
    arrays = load_file(path)
    names = sorted({name.rpartition("/")[0] for name in arrays})
    return {name: Gaussian(arrays[f"{name}/mean"], arrays[f"{name}/cholesky"]) for name in names}
