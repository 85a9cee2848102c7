"""Score the target domain by several hypotheses of the shift, none of which needs to be right: our own reference.

A clip is the mean over time of its log-mel, nothing else. In the source domain its score is the Mahalanobis distance
from the section's source clips. A few target clips cannot show how normal target clips vary, so there are three
hypotheses of what they may be like:

* *tolerant*: like source clips, but differences such as any of the machine type's target clips show, in any of its
  sections, do not count. It assumes no cause, and is the only one that looks at other sections;
* *moved*: like source clips plus a constant, whose posterior follows from a prior (an unknown offset as large as the
  differences) and the target clips;
* *shift*: like source clips to which the estimated physical shift was applied (:mod:`asdlib.shift.physical`).

Each hypothesis is fitted without each of the target clips in turn, and gives the density of the one left out. If the
same hypothesis is the best for all of them, it alone scores the target domain. Otherwise a clip is as unusual as its
best explanation makes it: its score is the smallest of the three distances, as z-scores by what held-out source clips
would be under the hypothesis. ``LOG.md`` (2026-11-26) has the alternatives that were tried, and on which data this was
chosen.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from asdlib import scores
from asdlib.baselines.files import write
from asdlib.compute import resolve_compute
from asdlib.data.held_out_split import HELD_OUT, LEARN
from asdlib.features import LogMel, log_mels
from asdlib.gaussian import Gaussian
from asdlib.seeds import derive
from asdlib.shift import shifted_clips
from asdlib.stage import Stage

SYSTEM, SMALLEST = "mahalanobis_target", "smallest"


@dataclass(frozen=True)
class Hypothesis:
    """What normal target clips are like."""

    gaussian: Gaussian
    reference: np.ndarray
    """held-out source clips as they would be in the target domain, ``(clips, dims)``"""

    def score(self, vectors: np.ndarray) -> np.ndarray:
        """Return Mahalanobis distances in deviations of the reference clips' distances from their mean."""
        known = self.gaussian.distance(self.reference)
        return (self.gaussian.distance(vectors) - known.mean()) / max(known.std(), 1e-12)


def tolerant(source: Gaussian, differences: np.ndarray, diagonal: float) -> Gaussian:
    """Widen the source's Gaussian by the scatter S of differences: its covariance plus S + ``diagonal`` diag(S).

    Args:
        source: Gaussian of the section's source clips.
        differences: Target clips of all sections, minus the mean of their own section's source clips.
        diagonal: Weight of the diagonal, which allows for directions that few clips do not show.
    """
    scatter = differences.T @ differences / len(differences)
    return Gaussian.of(source.mean, source.covariance + scatter + diagonal * np.diag(np.diag(scatter)))


def move(source: Gaussian, target: np.ndarray, weight: float) -> Gaussian:
    """Move the source's Gaussian by an unknown offset: the posterior predictive, given a few target clips.

    The offset's prior is normal with mean 0 and covariance D = ``weight`` (S + diag S), where S is the scatter of the
    target clips around the source's mean. A target clip is a source clip plus the offset.
    """
    offset = target - source.mean
    scatter = offset.T @ offset / len(offset)
    prior = weight * (scatter + np.diag(np.diag(scatter)))
    gain = np.linalg.solve(prior + source.covariance / len(target), prior).T
    return Gaussian.of(source.mean + gain @ offset.mean(0), source.covariance + prior - gain @ prior)


def hypotheses(
    learn: np.ndarray,
    held_out: np.ndarray,
    target: np.ndarray,
    elsewhere: np.ndarray,
    shifted: tuple[np.ndarray, np.ndarray] | None,
    settings,
) -> dict[str, Hypothesis]:
    """Fit all hypotheses of a section's target domain.

    Args:
        learn: Source clips, ``(clips, dims)``.
        held_out: Held-out source clips.
        target: Target clips, at least one.
        elsewhere: Differences of the other sections' target clips, possibly none.
        shifted: Clips of ``learn`` and of ``held_out`` after the estimated shift; None without an estimate.
        settings: :class:`asdlib.params.baselines.Mahalanobis`.
    """
    source = Gaussian.fit(learn)
    differences = np.concatenate([target - source.mean, elsewhere])
    offset = move(source, target, settings.target_shift)
    result = {
        "tolerant": Hypothesis(tolerant(source, differences, settings.tolerance), held_out),
        "moved": Hypothesis(offset, held_out + offset.mean - source.mean),
    }
    if shifted is not None:
        carried = Gaussian.fit(shifted[0]).widened(target, settings.target_shift)
        result["shift"] = Hypothesis(carried, shifted[1])
    return result


def agree_on_hypothesis(densities: dict[str, list[float]]) -> str | None:
    """Return the hypothesis with the largest density for every left-out clip; None if there is no such one.

    >>> agree_on_hypothesis({"a": [1.0, 2.0], "b": [0.0, 1.0]}), agree_on_hypothesis({"a": [1.0, 0.0], "b": [0.0, 1.0]})
    ('a', None)
    """
    names = list(densities)
    best = np.argmax([densities[name] for name in names], axis=0)
    return names[best[0]] if len(best) and (best == best[0]).all() else None


def run(settings, machine: str) -> pd.DataFrame:
    """Fit and score all sections of a machine type, and write the system's folder.

    The record says which hypothesis each section uses (``hypothesis``): one, or the ``smallest`` score of all.

    Returns:
        The score table: distances in the source domain, z-scores of distances in the target domain.

    Raises:
        DataError: The machine type has no systems in this run.
        ScoreError: A clip's log-mel is not finite.
    """
    baseline, compute = settings.mahalanobis, resolve_compute(settings)
    stage = Stage(settings, SYSTEM, machine, compute=compute)
    opened = stage.clips
    clips, scored = opened.table, opened.scored
    log_mel = LogMel(baseline.features, settings.data.sample_rate).to(compute.device)
    vectors = time_means(opened.waveforms, opened.rows, log_mel)
    scores.finite(clips, vectors, "the log-mel")
    shifted = shifted_clips.open_rows(settings, machine, opened.planned)
    places = {section: Places.of(clips, opened.role, section) for section in sorted(set(clips["section"]))}
    differences = {
        section: vectors[place.target] - vectors[place.learn].mean(0)
        for section, place in places.items()
        if len(place.target) and len(place.learn)
    }
    score, model, chosen = np.empty(len(scored)), {}, {}
    for section in opened.planned:
        place, rows = places[section], (scored["section"] == section).to_numpy()
        used = {"source": Hypothesis(Gaussian.fit(vectors[place.learn]), vectors[place.held_out])}
        score[rows] = used["source"].gaussian.distance(vectors[scored.index[rows]])
        if len(place.target):
            elsewhere = [candidates for other, candidates in differences.items() if other != section]
            elsewhere = np.concatenate(elsewhere or [np.empty((0, vectors.shape[1]))])
            candidates, best = _choose(settings, opened, section, place, vectors, elsewhere, shifted, log_mel)
            target = {name: one for name, one in candidates.items() if best in (None, name)}
            chosen[section], rows = best or SMALLEST, rows & (scored["domain"] == "target").to_numpy()
            score[rows] = np.min([one.score(vectors[scored.index[rows]]) for one in target.values()], axis=0)
            used |= target
        for name, one in used.items():
            model |= one.gaussian.arrays(f"{section}.{name}.")

    table = scores.table(scored, SYSTEM, score)
    depends = {"machine": machine, "sections": opened.planned, **settings.common(), **baseline.model_dump(mode="json")}
    data = opened.waveforms.fingerprint
    with stage.writing(depends, seed=settings.seed, data=data, hypothesis=chosen) as folder:
        write(folder, table, {name: torch.from_numpy(array) for name, array in model.items()})
    return table


@dataclass(frozen=True)
class Places:
    """Training clips of a section, as positions in the machine type's clips."""

    learn: np.ndarray
    held_out: np.ndarray
    target: np.ndarray

    @classmethod
    def of(cls, clips: pd.DataFrame, role: np.ndarray, section: str) -> "Places":
        """Find them by the role of each clip (:func:`asdlib.data.held_out_split.roles`)."""
        own, source = clips["section"].eq(section).to_numpy(), clips["domain"].eq("source").to_numpy()
        learn, held_out = (np.flatnonzero(own & source & (role == name)) for name in (LEARN, HELD_OUT))
        return cls(learn, held_out, np.flatnonzero(own & ~source & (role == LEARN)))


def _choose(settings, opened, section: str, place: Places, vectors, elsewhere, shifted, log_mel: LogMel):
    """Fit the hypotheses of a section, and let each of its target clips, left out in turn, judge them.

    Returns:
        The hypotheses, and the name of the one that is best for all left-out clips, or None.
    """
    learn, held_out, baseline = vectors[place.learn], vectors[place.held_out], settings.mahalanobis
    carried = _shifted_vectors(shifted, section, opened.table, (place.learn, place.held_out), log_mel)
    candidates = hypotheses(learn, held_out, vectors[place.target], elsewhere, carried, baseline)
    densities = {name: [] for name in candidates}
    for left_out in place.target if len(place.target) > 1 else []:
        few = place.target[place.target != left_out]
        again = _shift_without(settings, opened, section, place.learn, few, log_mel) if carried else None
        for name, one in hypotheses(learn, held_out, vectors[few], elsewhere, again, baseline).items():
            densities[name].append(-one.gaussian.negative_log_likelihood(vectors[[left_out]])[0])
    return candidates, agree_on_hypothesis(densities)


def time_means(waveforms, rows: np.ndarray, log_mel: LogMel) -> np.ndarray:
    """Compute the mean over time of clips' log-mel, ``(clips, mels)``, in float64."""
    return np.stack([spectrum.double().mean(0).cpu().numpy() for spectrum in log_mels(waveforms, rows, log_mel)])


def _shifted_vectors(shifted, section: str, clips: pd.DataFrame, parts: tuple, log_mel: LogMel):
    """Return the shifted clips of each of ``parts`` (rows of ``clips``); None if there are none."""
    if shifted is None:
        return None
    found = [shifted_clips.rows_made_from(shifted, section, clips["clip"].iloc[part]) for part in parts]
    return tuple(time_means(shifted[0], rows, log_mel) for rows in found) if all(map(len, found)) else None


def _shift_without(settings, opened, section: str, learn: np.ndarray, target: np.ndarray, log_mel: LogMel):
    """Estimate the shift from some of the target clips, and return shifted clips as :func:`_shifted_vectors` does.

    The shift is applied only to clips to learn from, since densities need no reference clips.
    """
    machine = opened.table["machine"].iat[0]
    seed = derive(settings.seed, "pseudo-target", machine, section)
    rows = (opened.rows[some] for some in (learn, target, learn))
    _, carried = shifted_clips.apply_estimated_shift(settings, opened.waveforms, *rows, seed)
    spectra = (log_mel(torch.from_numpy(np.float32(clip))[None].to(log_mel.window.device))[0] for clip in carried)
    return np.stack([spectrum.double().mean(0).cpu().numpy() for spectrum in spectra]), np.empty((0, log_mel.n_mels))
