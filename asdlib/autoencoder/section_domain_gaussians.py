"""Fit the Gaussians of the scorer module (Sec. 2.1) to the reconstruction errors of clips.

Those of the source domain are fitted on clips that the network did not learn from, as the paper says. Those of the
target domain use the few target clips, which the network did learn from: with three clips, holding one out would leave
two. The held-out clips are also in the score table, since normalisation and thresholds need normal clips. Their scores
are cross-fitted (:func:`cross_fit`), so that no clip is scored by a Gaussian that it helped to fit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from asdlib import scores
from asdlib.autoencoder.frame_to_clip_scores import (
    CLIP_SIGNED,
    clip_gaussian,
    copy_poolings,
    error_kind,
    frame_gaussian,
    score_clip,
)
from asdlib.gaussian import Gaussian

FOLDS = 5
"""folds of cross-fitting; fewer where a section has fewer held-out clips"""


@dataclass(frozen=True)
class Errors:
    """Reconstruction errors of clips, as needed by the scorers."""

    table: pd.DataFrame
    """catalogue rows of the clips, numbered from 0"""
    frames: list[dict[str, np.ndarray]]
    """errors of each clip, ``(frames, dims)`` for each of :func:`.error_kinds`; empty if no scorer uses
    the clip's frames"""
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


def fit(known: Errors, learnt: Errors, options, shifted: Errors | None = None) -> dict[str, Gaussian]:
    """Fit all Gaussians that the variants need.

    Args:
        known: Held-out source clips and the target training clips, of all sections.
        learnt: Source clips that the network learnt from, for ``clip_signed``. A section has fewer held-out clips than
            there are dimensions, and means over time are hardly affected by overfitting.
        options: :class:`asdlib.params.autoencoder.AutoencoderScorer`.
        shifted: Shifted clips (:mod:`asdlib.shift.shifted_clips`), if the target's Gaussians are to be fitted on them.

    Returns:
        The Gaussians by name (:func:`.frame_gaussian` for frames,
        :func:`.clip_gaussian` for clips).
    """
    gaussians: dict[str, Gaussian] = {}
    for copies in copy_poolings(options):
        kind = error_kind(options, copies)
        frames = _frames_by_section(shifted, known, kind) if shifted is not None else {}
        errors = [error[kind] for error in known.frames]
        gaussians |= fit_frames(known.table, errors, options, frames, copies)
    if CLIP_SIGNED in options.variants:
        table = pd.concat([known.table, learnt.table], ignore_index=True)
        signed = np.concatenate([known.signed, learnt.signed])
        means = {}
        if shifted is not None:
            used = shifted.table["clip"].isin(set(table["clip"]))  # without those derived from a left-out fold
            means = {
                section: shifted.signed[rows] for section, rows in shifted.table[used].groupby("section").groups.items()
            }
        gaussians |= fit_clips(table, signed, options.target_shift, means)
    return gaussians


def cross_fit(
    known: Errors, learnt: Errors, options, shifted: Errors | None = None
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
        gaussians = fit(known.take(fold != left_out), learnt, options, shifted)
        for position in np.flatnonzero(fold == left_out):
            for domain in scores.DOMAINS:
                section = known.table["section"].iat[position]
                result[position, domain] = score_clip(known.frames[position], gaussians, section, domain, options)
    return result


def fit_frames(
    table: pd.DataFrame,
    errors: Sequence[np.ndarray],
    options,
    shifted: Mapping[str, np.ndarray] = MappingProxyType({}),
    copies: str = "mean",
) -> dict[str, Gaussian]:
    """Fit the Gaussians over frame errors.

    The target domain's three clips have fewer frames than a covariance has parameters, and these are correlated. Their
    covariance is therefore shrunk towards the source's (:meth:`Gaussian.towards`), or shifted clips are used instead.
    If a section has no target clips to fit on, its source Gaussian is used for the target domain.

    Args:
        table: Catalogue rows of the clips to fit on.
        errors: Their errors, ``(frames, dims)`` each.
        options: :class:`asdlib.params.autoencoder.AutoencoderScorer`.
        shifted: Errors of shifted clips' frames by section, ``(frames, dims)``, if the target is to be fitted on them.
        copies: How the errors were pooled over the copies, which is part of the names.

    Returns:
        A Gaussian for each name that :func:`.frame_gaussian` can return.
    """

    def frames(**where: str) -> np.ndarray | None:
        chosen = np.all([table[column] == value for column, value in where.items()], axis=0)
        parts = [error for error, use in zip(errors, np.broadcast_to(chosen, len(errors)), strict=True) if use]
        return np.concatenate(parts) if parts else None

    if options.groups == "machine":
        return {frame_gaussian("", "", options, copies): Gaussian.fit(frames())}
    result = {}
    for section in sorted(set(table["section"])):
        names = {domain: frame_gaussian(section, domain, options, copies) for domain in scores.DOMAINS}
        if options.groups == "section":
            result[names["source"]] = Gaussian.fit(frames(section=section))
            continue
        source = Gaussian.fit(frames(section=section, domain="source"))
        target = frames(section=section, domain="target")
        result[names["source"]] = source
        if section in shifted:
            result[names["target"]] = Gaussian.fit(shifted[section])
        elif target is not None:
            result[names["target"]] = source.towards(target, options.target_prior, options.target_centre)
        else:
            result[names["target"]] = source
    return result


def fit_clips(
    table: pd.DataFrame,
    signed: np.ndarray,
    target_shift: float,
    shifted_means: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> dict[str, Gaussian]:
    """Fit the Gaussians of ``clip_signed`` over clips' mean signed errors, one per section and domain.

    The source Gaussian (Ledoit-Wolf) is fitted on the section's source clips. The target Gaussian is fitted on
    shifted clips if there are any; otherwise it starts from the source Gaussian. It is then widened by the shift
    that the target training clips (still) show (:meth:`Gaussian.widened`).

    Args:
        table: Catalogue rows of training clips.
        signed: Mean signed errors of each clip, ``(clips, dims)``.
        target_shift: Weight of the shift.
        shifted_means: Mean signed errors of shifted clips by section, ``(clips, dims)``.
    """
    result = {}
    source = table["domain"].eq("source").to_numpy()
    for section in sorted(set(table["section"])):
        here = table["section"].eq(section).to_numpy()
        gaussian = Gaussian.fit(signed[here & source])
        result[clip_gaussian(section, "source")] = gaussian
        if section in shifted_means:
            gaussian = Gaussian.fit(shifted_means[section])
        few = signed[here & ~source]
        result[clip_gaussian(section, "target")] = gaussian.widened(few, target_shift) if len(few) else gaussian
    return result


def _frames_by_section(shifted: Errors, known: Errors, kind: str) -> dict[str, np.ndarray]:
    """Return the frames of shifted clips derived from ``known`` clips, from which the network did not learn."""
    held_out = shifted.table["clip"].isin(set(known.table["clip"])).to_numpy()
    return {
        section: np.concatenate([shifted.frames[row][kind] for row in rows])
        for section, rows in shifted.table[held_out].groupby("section").groups.items()
    }
