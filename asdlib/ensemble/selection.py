"""Make the paper's selection on all clips and on every resample of them at the same time (Sec. 2.3).

The paper states the unit of the choices in two ways: the N best models "for each machine and each domain", but the
combination "for each machine and each section". Here N and the combination are chosen per machine and domain. Only the
single model of the row BC, and the best candidates of BC ensemble, are chosen per section.

A bootstrap that keeps the selected systems measures the uncertainty of *these* systems, and not that of the procedure,
which would have selected others on other clips. Therefore every resample selects for itself: each clip counts as often
as the resample contains it. The first "resample" contains each clip once, which is the selection itself, so the
selection is implemented once.

Normalisation is not repeated: the constants that normalise a system's scores, and the ranks, are those of all clips in
every resample.
"""

from dataclasses import dataclass

import numpy as np

from asdlib.ensemble.blocks import BLOCKS, Block
from asdlib.ensemble.n_best import (
    Ensemble,
    Visible,
    best_ensemble,
    best_system,
    rank_candidates,
    section_ensemble,
    system_areas,
)
from asdlib.ensemble.normalisation import normalise
from asdlib.ensemble.systems import Pool
from asdlib.metrics import harmonic_mean
from asdlib.origin import BRANCHES


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
                reference = pool.groups[section, self.domain].reference
                ensemble = self.ensembles[row]
                result[row] = ensemble.scores(pool, columns)
                same = np.array_equal(columns, reference)
                normalised[row] = normalise(result[row], None if same else ensemble.scores(pool, reference))
        if len(normalised) == 2:
            result[block.mix] = np.mean(list(normalised.values()), axis=0)
            if block.maximum:
                first, second = normalised
                better = self.ensembles[first].values >= self.ensembles[second].values
                result[block.maximum] = np.where(better[:, None], result[first], result[second])
        return result


def select(autoencoder: Pool, classifier: Pool, settings, domain: str, units: dict[str, Visible]) -> Selection:
    """Choose for the rows of both blocks in one domain, in every resample (:func:`asdlib.ensemble.choices.choose`).

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
            parts[section], twins[section] = system_areas(pool, visible, p)
        whole = harmonic_mean(np.concatenate(list(parts.values()), axis=-1), axis=-1)
        together = np.unique(np.stack(list(twins.values())), axis=1, return_inverse=True)[1].ravel()
        for block in BLOCKS:
            one = block.eligible(settings, branch, pool.systems, single=True)
            several = block.eligible(settings, branch, pool.systems)
            if branch == "autoencoder":
                if one:
                    singles[block.single[branch]] = {"": best_system(whole, one)}
                if several:
                    order, counts = rank_candidates(whole, several, pool, together)
                    ensemble = best_ensemble(pool, units, order, counts, options.sizes, options.combinations, p)
                    ensembles[block.ensemble[branch]] = ensemble
                continue
            sections = {section: harmonic_mean(values, axis=-1) for section, values in parts.items()}
            if one:
                chosen = {section: best_system(values, one) for section, values in sections.items()}
                if any(where == domain and section not in units for section, where in pool.groups):
                    chosen[""] = best_system(whole, one)
                singles[block.single[branch]] = chosen
            if several:
                best = [rank_candidates(values, several, pool, twins[name]) for name, values in sections.items()]
                ensemble = section_ensemble(pool, units, best, options.classifier_best, p)
                ensembles[block.ensemble[branch]] = ensemble
    return Selection(domain, singles, ensembles)
