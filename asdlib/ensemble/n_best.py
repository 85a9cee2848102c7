"""Select the N best models, their number N and their combination, in every resample of the clips (Sec. 2.3).

The first "resample" contains each clip once, so its choice is the selection itself (:mod:`asdlib.ensemble.selection`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from asdlib.ensemble.blocks import candidate_of
from asdlib.ensemble.systems import Pool
from asdlib.metrics import areas, harmonic_mean, resampled_areas

CHUNK = 64
"""number of resamples whose ensembles are computed at once, which limits the memory"""


@dataclass(frozen=True)
class Visible:
    """Clips of one section and domain whose labels may be used."""

    columns: np.ndarray
    """columns of the pool, shape (clips,)"""
    weights: np.ndarray
    """how often each resample contains each of them, shape (resamples, clips)"""


@dataclass(frozen=True)
class Ensemble:
    """The ensemble chosen for one row of the table, in every resample."""

    members: np.ndarray
    """indices of systems, best first, shape (resamples, most)"""
    sizes: np.ndarray
    """number of members, shape (resamples,)"""
    by: np.ndarray
    """index of the combination, shape (resamples,)"""
    combinations: list[str]
    """names of the combinations"""
    values: np.ndarray
    """harmonic mean of AUC and pAUC on the visible clips, shape (resamples,)"""

    def scores(self, pool: Pool, columns: np.ndarray) -> np.ndarray:
        """Return the ensemble's scores of clips in every resample, shape (resamples, clips)."""
        result = np.empty((len(self.sizes), len(columns)))
        for size, by in set(zip(self.sizes.tolist(), self.by.tolist(), strict=True)):
            for rows in _chunks(np.flatnonzero((self.sizes == size) & (self.by == by))):
                result[rows] = pool.ensembles(self.members[rows, :size], self.combinations[by], [size], columns)[:, 0]
        return result


def system_areas(pool: Pool, visible: Visible, p: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute AUC and pAUC, (systems, resamples, 2), and a number that systems of equal scores share, (systems,)."""
    labels = pool.clips["label"].to_numpy()[visible.columns]
    distinct, twins = np.unique(pool.scores[:, visible.columns], axis=0, return_inverse=True)
    pairs = np.stack([resampled_areas(labels, scores, visible.weights, (1.0, p)) for scores in distinct])
    return pairs[twins.ravel()], twins.ravel()


def best_system(values: np.ndarray, systems: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Find the best of some systems in every resample (the first of equals), and its value."""
    best = np.asarray(systems)[np.argmax(values[systems], axis=0)]
    return best, np.take_along_axis(values, best[None], axis=0)[0]


def rank_candidates(
    values: np.ndarray, systems: list[int], pool: Pool, twins: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rank the candidates in every resample, best first, each by its best variant.

    Args:
        values: Values of every system, shape (systems, resamples).
        systems: Systems that may be chosen.
        pool: Their pool.
        twins: A number that systems of equal scores share, shape (systems,).

    Returns:
        Indices of systems, shape (resamples, candidates), with duplicates of better systems at the end, and
        the number of distinct systems, shape (resamples,).
    """
    candidates: dict[str, list[int]] = {}
    for k in systems:
        candidates.setdefault(candidate_of(pool.systems[k]), []).append(k)
    best, tops = (
        np.stack(parts) for parts in zip(*(best_system(values, own) for own in candidates.values()), strict=True)
    )
    members = np.take_along_axis(best, np.argsort(-tops, axis=0, kind="stable"), axis=0)
    numbers = twins[members]
    twin = np.zeros(members.shape, dtype=bool)
    for place in range(1, len(members)):
        twin[place] = (numbers[:place] == numbers[place]).any(axis=0)
    members = np.take_along_axis(members, np.argsort(twin, axis=0, kind="stable"), axis=0)
    return members.T, (~twin).sum(axis=0)


def best_ensemble(pool, units, order, counts, sizes, combinations, p) -> Ensemble:
    """Choose N and the combination of the N best candidates in every resample.

    Sizes above the number of candidates are left out. If no size of the settings fits, all candidates are used.
    """
    resamples = len(order)
    chosen_size, chosen_by = np.zeros(resamples, dtype=int), np.zeros(resamples, dtype=int)
    best_value = np.full(resamples, -np.inf)
    fits = np.array([[size <= count for size in sizes] for count in range(order.shape[1] + 1)])
    limits = np.where(fits[counts].any(axis=1), np.minimum(counts, max(sizes)), counts)
    for limit in np.unique(limits):
        here = [size for size in sizes if size <= limit] or [int(limit)]
        for rows in _chunks(np.flatnonzero(limits == limit)):
            for number, by in enumerate(combinations):
                parts = []
                for visible in units.values():
                    labels = pool.clips["label"].to_numpy()[visible.columns]
                    vectors = pool.ensembles(order[rows][:, : max(here)], by, here, visible.columns)
                    parts += areas(labels, vectors, (1.0, p), visible.weights[rows][:, None])
                values = harmonic_mean(np.stack(parts, axis=-1), axis=-1)  # (resamples, sizes)
                top = values.argmax(axis=1)
                value = np.take_along_axis(values, top[:, None], axis=1)[:, 0]
                better = value > best_value[rows]  # the first of equals
                best_value[rows[better]] = value[better]
                chosen_size[rows[better]] = np.asarray(here)[top[better]]
                chosen_by[rows[better]] = number
    return Ensemble(order[:, : chosen_size.max()], chosen_size, chosen_by, list(combinations), best_value)


def section_ensemble(pool, units, best, count, p) -> Ensemble:
    """Average the best candidates of each section, in every resample."""
    members = np.concatenate([order[:, :count] for order, _ in best], axis=1)
    there = [np.arange(order.shape[1])[:count] < distinct[:, None] for order, distinct in best]
    there = np.concatenate(there, axis=1)
    members = np.take_along_axis(members, np.argsort(~there, axis=1, kind="stable"), axis=1)  # twins last
    sizes = there.sum(axis=1)
    ensemble = Ensemble(members, sizes, np.zeros(len(sizes), dtype=int), ["average"], np.full(len(sizes), np.nan))
    values = []
    for visible in units.values():
        labels = pool.clips["label"].to_numpy()[visible.columns]
        values += areas(labels, ensemble.scores(pool, visible.columns), (1.0, p), visible.weights)
    return replace(ensemble, values=harmonic_mean(np.stack(values, axis=-1), axis=-1))


def _chunks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]
