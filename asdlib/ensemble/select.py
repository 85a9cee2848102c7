"""Choosing systems, N and the combination by their test labels, as the paper does; and without labels (Sec. 2.3).

A choice looks only at the clips that it is given: all labelled test clips (``development``), half of them
(``cross-fitted``) or none (``fixed``).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from asdlib.ensemble.pool import Pool
from asdlib.evaluation.metrics import areas, harmonic_mean

AE, BC = "AE", "BC"
AE_ENSEMBLE, BC_ENSEMBLE = "AE ensemble", "BC ensemble"
MIX, MAX = "AE+BC ensemble (mix)", "AE+BC ensemble (max)"
ROWS = (AE, BC, AE_ENSEMBLE, BC_ENSEMBLE, MIX, MAX)
"""rows of Table 1 that choose, named as printed"""


@dataclass(frozen=True)
class Choice:
    """What makes one row in one domain of a machine."""

    row: str
    domain: str
    section: str
    """the section that it is for; empty for all sections of the machine"""
    members: tuple[str, ...]
    """systems, or for mix and max the names of rows"""
    combination: str
    """empty for one system"""
    value: float
    """harmonic mean of AUC and pAUC on the clips that were looked at; NaN if none were"""


def halves(clips: pd.DataFrame, seed: int) -> np.ndarray:
    """Split every section's and domain's labelled test clips in two, equally many of each label in both.

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


def choose(autoencoder: Pool, classifier: Pool, settings, looked: np.ndarray) -> list[Choice]:
    """The paper's choices on the labelled test clips where ``looked`` (clips,) is true.

    * ``AE``: the best system per domain; ``AE ensemble``: the best N and combination of the N best systems per domain.
    * ``BC``: the best system per section and domain, since there is one model a section. ``BC ensemble``: the N best
      systems of each section, N x S in all, averaged on every section; a system that is among the best of several
      sections counts as often (our reading: a model of one section cannot score another's clips, but its settings can).
    * ``mix``: the average of the two normalised ensembles; ``max``: per domain the better of the two.

    A domain in which ``looked`` holds no section with both labels gets no choices; a section without labels gets the
    classifier that is best over the sections that have some.

    Args:
        autoencoder: Pool of the autoencoder branch.
        classifier: Pool of the classifier branch, on the same clips.
        settings: :class:`asdlib.params.Settings`.
        looked: Clips whose labels may be used, shape (clips,).
    """
    labels = autoencoder.clips["label"].to_numpy()
    looked = looked & (labels != "unknown")
    choices = []
    for domain in _domains(autoencoder):
        units = {}
        for (section, where), group in autoencoder.groups.items():
            columns = group.columns[looked[group.columns]]
            if where == domain and len(set(labels[columns])) == 2:
                units[section] = columns
        if units:
            task = _Task(domain, units, settings.evaluation.p)
            first = _choose_autoencoder(autoencoder, task, settings.ensemble)
            second = _choose_classifier(classifier, task, settings.ensemble)
            ensembles = (first[-1], second[-1])
            better = max(ensembles, key=lambda choice: choice.value)
            mix = Choice(MIX, domain, "", (AE_ENSEMBLE, BC_ENSEMBLE), "average", np.nan)
            choices += [*first, *second, mix, Choice(MAX, domain, "", (better.row,), "", better.value)]
    return choices


@dataclass(frozen=True)
class _Task:
    """One domain's sections and the clips of each whose labels may be used."""

    domain: str
    units: dict[str, np.ndarray]
    p: float

    def value(self, pool: Pool, scores: Callable, sections: Iterable[str] | None = None) -> np.ndarray:
        """Harmonic mean of AUC and pAUC over sections; ``scores(group, columns)`` has shape (..., columns)."""
        parts = []
        for section in sections or self.units:
            columns = self.units[section]
            vectors = scores(pool.groups[section, self.domain], columns)
            parts += areas(pool.clips["label"].to_numpy()[columns], vectors, (1.0, self.p))
        return harmonic_mean(np.stack(parts, axis=-1), axis=-1)

    def singles(self, pool: Pool, sections: Iterable[str] | None = None) -> np.ndarray:
        """The value of every system, shape (systems,)."""
        return self.value(pool, lambda group, columns: pool.scores[:, columns], sections)


def _choose_autoencoder(pool: Pool, task: _Task, ensemble) -> list[Choice]:
    values = task.singles(pool)
    order = np.argsort(-values, kind="stable").tolist()
    sizes = [size for size in ensemble.sizes if size <= len(order)] or [len(order)]
    members = order[: max(sizes)]
    tried = []
    for by in ensemble.combinations:
        found = task.value(pool, lambda group, columns, by=by: pool.ensemble(members, by, group, columns, sizes))
        tried += [(float(value), by, size) for value, size in zip(found, sizes, strict=True)]
    value, by, size = max(tried, key=lambda item: item[0])  # the first of equals
    return [
        Choice(AE, task.domain, "", _names(pool, order[:1]), "", float(values[order[0]])),
        Choice(AE_ENSEMBLE, task.domain, "", _names(pool, order[:size]), by, value),
    ]


def _choose_classifier(pool: Pool, task: _Task, ensemble) -> list[Choice]:
    choices, members = [], []
    for section in task.units:
        values = task.singles(pool, [section])
        order = np.argsort(-values, kind="stable").tolist()
        choices.append(Choice(BC, task.domain, section, _names(pool, order[:1]), "", float(values[order[0]])))
        members += order[: ensemble.classifier_best]
    if any(domain == task.domain and section not in task.units for section, domain in pool.groups):
        values = task.singles(pool)
        choices.append(Choice(BC, task.domain, "", _names(pool, [values.argmax()]), "", float(values.max())))
    value = task.value(pool, lambda group, columns: pool.ensemble(members, "average", group, columns))
    return [*choices, Choice(BC_ENSEMBLE, task.domain, "", _names(pool, members), "average", float(value))]


def defaults(autoencoder: Pool, classifier: Pool, settings) -> list[Choice]:
    """Choices without any label: first candidates, all candidates' first variants, first combination; no ``max``."""
    choices = []
    for domain in _domains(autoencoder):
        for pool, single, several, by in (
            (autoencoder, AE, AE_ENSEMBLE, settings.ensemble.combinations[0]),
            (classifier, BC, BC_ENSEMBLE, "average"),
        ):
            names = tuple(pool.systems[k] for k in pool.defaults)
            choices.append(Choice(single, domain, "", names[:1], "", np.nan))
            choices.append(Choice(several, domain, "", names, by, np.nan))
        choices.append(Choice(MIX, domain, "", (AE_ENSEMBLE, BC_ENSEMBLE), "average", np.nan))
    return choices


def apply(choices: list[Choice], autoencoder: Pool, classifier: Pool) -> dict[str, np.ndarray]:
    """The chosen rows' scores, shape (clips,) each; NaN for clips of domains without a choice."""
    rows = {row: np.full(len(autoencoder.clips), np.nan) for row in ROWS if row in {choice.row for choice in choices}}
    by_key = {(choice.row, choice.domain, choice.section): choice for choice in choices}
    for (section, domain), group in autoencoder.groups.items():
        for row, scores in rows.items():
            choice = by_key.get((row, domain, section), by_key.get((row, domain, "")))
            if choice is not None:
                scores[group.columns] = _scores(choice, by_key, domain, autoencoder, classifier, group)
    return rows


def _scores(choice: Choice, by_key: dict, domain: str, autoencoder: Pool, classifier: Pool, group) -> np.ndarray:
    if choice.row == MAX:
        choice = by_key[choice.members[0], domain, ""]
    if choice.row == MIX:
        pools = (autoencoder, classifier)
        parts = [(pool, by_key[row, domain, ""]) for pool, row in zip(pools, choice.members, strict=True)]
        both = [pool.normalised_ensemble(_indices(pool, part.members), part.combination, group) for pool, part in parts]
        return np.mean(both, axis=0)
    pool = autoencoder if choice.row in (AE, AE_ENSEMBLE) else classifier
    members = _indices(pool, choice.members)
    if not choice.combination:
        return pool.scores[members[0], group.columns]
    return pool.ensemble(members, choice.combination, group)


def _indices(pool: Pool, names: Iterable[str]) -> list[int]:
    return [pool.systems.index(name) for name in names]


def _names(pool: Pool, members: Iterable[int]) -> tuple[str, ...]:
    return tuple(pool.systems[k] for k in members)


def _domains(pool: Pool) -> list[str]:
    return list(dict.fromkeys(domain for _, domain in pool.groups))
