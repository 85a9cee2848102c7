"""List the choices by test labels, as the paper makes them, or by the settings, and apply them (Sec. 2.3).

A choice uses only the labels of visible clips: all labelled test clips (``development``), half of them
(``cross-fitted``) or none (``fixed``). :mod:`asdlib.ensemble.blocks` defines from which systems a row may choose.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from asdlib.ensemble.blocks import BLOCKS, Block
from asdlib.ensemble.n_best import Ensemble, Visible
from asdlib.ensemble.selection import Selection, select
from asdlib.ensemble.systems import Pool
from asdlib.origin import BRANCHES


@dataclass(frozen=True)
class Choice:
    """Choice of the systems for one row in one domain of a machine."""

    row: str
    domain: str
    section: str
    """section that the choice applies to; empty for all sections of the machine"""
    members: tuple[str, ...]
    """systems, or for mix and max the names of rows"""
    combination: str
    """empty for one system"""
    value: float
    """harmonic mean of AUC and pAUC on the visible clips; NaN if there are none"""


def split_halves(clips: pd.DataFrame, seed: int) -> np.ndarray:
    """Split every section's and domain's labelled test clips into two halves, each label evenly.

    Returns:
        ``first``, ``second`` or the empty string (training and unlabelled clips, and sections with fewer than two
        clips of a label), shape (clips,).
    """
    half = np.full(len(clips), "", dtype=object)
    labelled = clips[(clips["split"] == "test") & (clips["label"] != "unknown")].reset_index(names="row")
    for (machine, section, domain), group in labelled.groupby(["machine", "section", "domain"]):
        generator = np.random.default_rng([seed, *f"{machine}/{section}/{domain}".encode()])
        strata = [group["row"].to_numpy()[group["label"] == label] for label in ("normal", "anomaly")]
        if min(map(len, strata)) < 2:
            continue
        for rows in strata:
            shuffled = generator.permutation(rows)
            half[shuffled[::2]], half[shuffled[1::2]] = "first", "second"
    return half.astype(str)


def choose(autoencoder: Pool, classifier: Pool, settings, visible: np.ndarray) -> list[Choice]:
    """Make the paper's choices on the visible labelled test clips, for each block of rows.

    * ``AE``: the best system per domain; ``AE ensemble``: the best N and combination of the N best candidates per
      domain, each by its best variant.
    * ``BC``: the best system per section and domain, since there is one model per section. ``BC ensemble``: the N best
      candidates of each section, N x S in total, averaged on every section; a system that is among the best of several
      sections counts several times (our reading: a model of one section cannot score another section's clips, but a
      model with its settings can).
    * ``mix``: the average of the two normalised ensembles; ``max``: the better of the two per domain.

    Two candidates that assign the same scores to the visible clips are the same network, and only the first counts. The
    rows of the extensions do the same with all systems, including the paper's.

    A domain without a section with both labels visible gets no choices; a section without labels gets the classifier
    that is best over the sections with labels.

    Args:
        autoencoder: Pool of the autoencoder branch.
        classifier: Pool of the classifier branch, on the same clips.
        settings: :class:`asdlib.params.settings.Settings`.
        visible: Clips whose labels may be used, shape (clips,).
    """
    labels = autoencoder.clips["label"].to_numpy()
    visible = visible & (labels != "unknown")
    choices = []
    for domain in domains(autoencoder):
        units = {}
        for (section, where), group in autoencoder.groups.items():
            columns = group.columns[visible[group.columns]]
            if where == domain and len(set(labels[columns])) == 2:
                units[section] = Visible(columns, np.ones((1, len(columns)), dtype=np.int64))
        if units:
            selection = select(autoencoder, classifier, settings, domain, units)
            pools = dict(zip(BRANCHES, (autoencoder, classifier), strict=True))
            choices += [choice for block in BLOCKS for choice in _choices(selection, block, pools)]
    return choices


def _choices(selection: Selection, block: Block, pools: dict[str, Pool]) -> list[Choice]:
    """List the choices of a selection for the rows of one block, on all clips that it used."""
    choices, domain, ensembles = [], selection.domain, []
    for branch in BRANCHES:
        systems = pools[branch].systems
        for section, (members, values) in selection.singles.get(block.single[branch], {}).items():
            choices.append(Choice(block.single[branch], domain, section, (systems[members[0]],), "", float(values[0])))
        row = block.ensemble[branch]
        if row in selection.ensembles:
            ensemble = selection.ensembles[row]
            names = tuple(systems[k] for k in ensemble.members[0, : ensemble.sizes[0]])
            choices.append(
                Choice(row, domain, "", names, ensemble.combinations[ensemble.by[0]], float(ensemble.values[0]))
            )
            ensembles.append(choices[-1])
    if len(ensembles) == 2:
        choices.append(Choice(block.mix, domain, "", tuple(choice.row for choice in ensembles), "average", np.nan))
        if block.maximum:
            better = max(ensembles, key=lambda choice: choice.value)
            choices.append(Choice(block.maximum, domain, "", (better.row,), "", better.value))
    return choices


def defaults(autoencoder: Pool, classifier: Pool, settings) -> list[Choice]:
    """Make the choices of the selection ``fixed``, without labels and test clips; there is no ``max``.

    Each candidate is represented by its first variant of the block (:meth:`.Block.defaults`). Autoencoders are combined
    by the first combination, classifiers by their average. Of candidates that assign the same scores to a domain's
    reference clips, only the first counts. Both pools must be normalised by training scores to be independent of the
    test clips.
    """
    choices = []
    for domain in domains(autoencoder):
        for block in BLOCKS:
            ensembles = []
            for branch, pool in zip(BRANCHES, (autoencoder, classifier), strict=True):
                single = block.defaults(settings, branch, pool.systems, single=True)
                if single:
                    choices.append(Choice(block.single[branch], domain, "", (pool.systems[single[0]],), "", np.nan))
                several = _without_twins(pool, domain, block.defaults(settings, branch, pool.systems))
                if several:
                    by = settings.ensemble.combinations[0] if branch == "autoencoder" else "average"
                    names = tuple(pool.systems[k] for k in several)
                    choices.append(Choice(block.ensemble[branch], domain, "", names, by, np.nan))
                    ensembles.append(block.ensemble[branch])
            if len(ensembles) == 2:
                choices.append(Choice(block.mix, domain, "", tuple(ensembles), "average", np.nan))
    return choices


def _without_twins(pool: Pool, domain: str, members: list[int]) -> list[int]:
    """Keep only the first of members that assign the same scores to the domain's training clips."""
    columns = [group.columns for (_, where), group in pool.groups.items() if where == domain]
    columns = np.concatenate(columns)
    columns = columns[(pool.clips["split"].to_numpy() == "train")[columns]]
    if not len(columns):
        return members
    kept: dict[bytes, int] = {}
    for k in members:
        kept.setdefault(pool.scores[k, columns].tobytes(), k)
    return list(kept.values())


def apply(choices: list[Choice], autoencoder: Pool, classifier: Pool) -> dict[str, np.ndarray]:
    """Compute the scores of the chosen rows, shape (clips,) each; NaN for clips of domains without a choice."""
    pools = dict(zip(BRANCHES, (autoencoder, classifier), strict=True))
    chosen = {choice.row for choice in choices}
    rows = {row: np.full(len(autoencoder.clips), np.nan) for block in BLOCKS for row in block.rows if row in chosen}
    for domain in domains(autoencoder):
        selection = _as_selection([choice for choice in choices if choice.domain == domain], domain, pools)
        for (section, where), group in autoencoder.groups.items():
            for block in BLOCKS if where == domain else ():
                for row, scores in selection.scores(block, pools, section, group.columns).items():
                    if row in rows:  # `fixed` has no maximum
                        rows[row][group.columns] = scores[0]
    return rows


def _as_selection(choices: list[Choice], domain: str, pools: dict[str, Pool]) -> Selection:
    """Convert choices in one domain to the selection that they describe, on all clips."""
    selection = Selection(domain, {}, {})
    for choice, block, branch in itertools.product(choices, BLOCKS, BRANCHES):
        value = np.array([choice.value])
        if choice.row == block.single[branch]:
            system = np.array([pools[branch].systems.index(choice.members[0])])
            selection.singles.setdefault(choice.row, {})[choice.section] = system, value
        elif choice.row == block.ensemble[branch]:
            members = np.array([[pools[branch].systems.index(name) for name in choice.members]])
            size, by = np.array([members.size]), np.array([0])
            selection.ensembles[choice.row] = Ensemble(members, size, by, [choice.combination], value)
    return selection


def domains(pool: Pool) -> list[str]:
    """Return the domains in which the machine has test clips."""
    return list(dict.fromkeys(domain for _, domain in pool.groups))
