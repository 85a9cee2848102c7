"""Make the paper's selection on all clips and on every resample of them at the same time (Sec. 2.3).

A bootstrap that keeps the selected systems measures the uncertainty of *these* systems, and not that of the procedure,
which would have selected others on other clips. Therefore every resample selects for itself: each clip counts as often
as the resample contains it. The first "resample" contains each clip once, which is the selection itself, so the
selection is implemented once.

Normalisation is not repeated: the constants that normalise a system's scores, and the ranks, are those of all clips in
every resample.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from asdlib.ensemble.blocks import BLOCKS, BRANCHES, Block, candidate_of
from asdlib.ensemble.pool import Group, Pool
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
                result[rows] = _combined(pool, self.members[rows, :size], self.combinations[by], [size], columns)[:, 0]
        return result


@dataclass(frozen=True)
class Selection:
    """All choices in one domain, in every resample."""

    domain: str
    singles: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]
    """by row and section (empty for all of the machine): index of the system and its value, shape (resamples,) each"""
    ensembles: dict[str, Ensemble]
    """by row"""

    def scores(self, block: Block, pools: dict[str, Pool], section: str, columns: np.ndarray) -> dict[str, np.ndarray]:
        """Return every row's scores of clips of one section in every resample, shape (resamples, clips) each.

        Args:
            block: Block of rows.
            pools: Pool of each branch.
            section: Section of the clips.
            columns: Columns of the clips in the pools.
        """
        result, normalised = {}, {}
        for branch, pool in pools.items():
            chosen = self.singles.get(block.single[branch], {})
            if chosen:
                members = chosen[section if section in chosen else ""][0]
                result[block.single[branch]] = pool.scores[members[:, None], columns]
            row = block.ensemble[branch]
            if row in self.ensembles:
                group = pool.groups[section, self.domain]
                result[row] = self.ensembles[row].scores(pool, columns)
                normalised[row] = _normalised(self.ensembles[row], pool, group, columns, result[row])
        if len(normalised) == 2:
            result[block.mix] = np.mean(list(normalised.values()), axis=0)
            if block.maximum:
                first, second = normalised
                better = self.ensembles[first].values >= self.ensembles[second].values
                result[block.maximum] = np.where(better[:, None], result[first], result[second])
        return result


def _normalised(ensemble: Ensemble, pool: Pool, group: Group, columns: np.ndarray, scores: np.ndarray) -> np.ndarray:
    same = np.array_equal(columns, group.reference)
    reference = scores if same else ensemble.scores(pool, group.reference)
    constant = np.ptp(reference, axis=-1, keepdims=True) == 0
    deviation = np.where(constant, 1.0, reference.std(axis=-1, keepdims=True))
    return (scores - reference.mean(axis=-1, keepdims=True)) / deviation


def select(autoencoder: Pool, classifier: Pool, settings, domain: str, units: dict[str, Visible]) -> Selection:
    """Choose for the rows of both blocks in one domain, in every resample (:func:`asdlib.ensemble.select.choose`).

    Args:
        autoencoder: Pool of the autoencoder branch.
        classifier: Pool of the classifier branch, on the same clips.
        settings: :class:`asdlib.params.settings.Settings`.
        domain: ``source`` or ``target``.
        units: Visible clips of each section; each resample contains both labels of each.
    """
    singles, ensembles = {}, {}
    p, options = settings.evaluation.p, settings.ensemble
    for branch, pool in zip(BRANCHES, (autoencoder, classifier), strict=True):
        parts, twins = {}, {}
        for section, visible in units.items():
            parts[section], twins[section] = _single_areas(pool, visible, p)
        whole = harmonic_mean(np.concatenate(list(parts.values()), axis=-1), axis=-1)
        together = np.unique(np.stack(list(twins.values())), axis=1, return_inverse=True)[1].ravel()
        for block in BLOCKS:
            one = block.eligible(settings, branch, pool.systems, single=True)
            several = block.eligible(settings, branch, pool.systems)
            if branch == "autoencoder":
                if one:
                    singles[block.single[branch]] = {"": _best(whole, one)}
                if several:
                    order, counts = _ranked(whole, several, pool, together)
                    found = _best_ensemble(pool, units, order, counts, options.sizes, options.combinations, p)
                    ensembles[block.ensemble[branch]] = found
                continue
            sections = {section: harmonic_mean(values, axis=-1) for section, values in parts.items()}
            if one:
                chosen = {section: _best(values, one) for section, values in sections.items()}
                if any(where == domain and section not in units for section, where in pool.groups):
                    chosen[""] = _best(whole, one)
                singles[block.single[branch]] = chosen
            if several:
                best = [_ranked(values, several, pool, twins[name]) for name, values in sections.items()]
                found = _section_ensemble(pool, units, best, options.classifier_best, p)
                ensembles[block.ensemble[branch]] = found
    return Selection(domain, singles, ensembles)


def _single_areas(pool: Pool, visible: Visible, p: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute AUC and pAUC, (systems, resamples, 2), and a number that systems of equal scores share, (systems,)."""
    labels = pool.clips["label"].to_numpy()[visible.columns]
    distinct, twins = np.unique(pool.scores[:, visible.columns], axis=0, return_inverse=True)
    found = np.stack([resampled_areas(labels, scores, visible.weights, (1.0, p)) for scores in distinct])
    return found[twins.ravel()], twins.ravel()


def _best(values: np.ndarray, systems: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Find the best of some systems in every resample (the first of equals), and its value."""
    best = np.asarray(systems)[np.argmax(values[systems], axis=0)]
    return best, np.take_along_axis(values, best[None], axis=0)[0]


def _ranked(values: np.ndarray, systems: list[int], pool: Pool, twins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    best, tops = (np.stack(parts) for parts in zip(*(_best(values, own) for own in candidates.values()), strict=True))
    members = np.take_along_axis(best, np.argsort(-tops, axis=0, kind="stable"), axis=0)
    numbers = twins[members]
    twin = np.zeros(members.shape, dtype=bool)
    for place in range(1, len(members)):
        twin[place] = (numbers[:place] == numbers[place]).any(axis=0)
    members = np.take_along_axis(members, np.argsort(twin, axis=0, kind="stable"), axis=0)
    return members.T, (~twin).sum(axis=0)


def _best_ensemble(pool, units, order, counts, sizes, combinations, p) -> Ensemble:
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
                    vectors = _combined(pool, order[rows][:, : max(here)], by, here, visible.columns)
                    parts += areas(labels, vectors, (1.0, p), visible.weights[rows][:, None])
                values = harmonic_mean(np.stack(parts, axis=-1), axis=-1)  # (resamples, sizes)
                top = values.argmax(axis=1)
                value = np.take_along_axis(values, top[:, None], axis=1)[:, 0]
                better = value > best_value[rows]  # the first of equals
                best_value[rows[better]] = value[better]
                chosen_size[rows[better]] = np.asarray(here)[top[better]]
                chosen_by[rows[better]] = number
    return Ensemble(order[:, : chosen_size.max()], chosen_size, chosen_by, list(combinations), best_value)


def _section_ensemble(pool, units, best, count, p) -> Ensemble:
    """Average the best candidates of each section, in every resample."""
    members = np.concatenate([order[:, :count] for order, _ in best], axis=1)
    there = [np.arange(order.shape[1])[:count] < distinct[:, None] for order, distinct in best]
    there = np.concatenate(there, axis=1)
    members = np.take_along_axis(members, np.argsort(~there, axis=1, kind="stable"), axis=1)  # twins last
    sizes = there.sum(axis=1)
    found = Ensemble(members, sizes, np.zeros(len(sizes), dtype=int), ["average"], np.full(len(sizes), np.nan))
    values = []
    for visible in units.values():
        labels = pool.clips["label"].to_numpy()[visible.columns]
        values += areas(labels, found.scores(pool, visible.columns), (1.0, p), visible.weights)
    return Ensemble(members, sizes, found.by, found.combinations, harmonic_mean(np.stack(values, axis=-1), axis=-1))


def _combined(pool: Pool, members: np.ndarray, by: str, sizes: list[int], columns: np.ndarray) -> np.ndarray:
    """Combine the scores of the first N members for every N of ``sizes``: shape (resamples, sizes, clips)."""
    source = pool.ranked if by == "ranking" else pool.normalised
    chosen = source[members[:, :, None], columns]
    if by == "median":
        return np.stack([np.median(chosen[:, :size], axis=1) for size in sizes], axis=1)
    rows = np.asarray(sizes) - 1
    if by == "maximum":
        return np.maximum.accumulate(chosen, axis=1)[:, rows]
    return np.cumsum(chosen, axis=1)[:, rows] / (rows[:, None] + 1)


def _chunks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]
