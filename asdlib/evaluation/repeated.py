"""Compute the rows of Table 1 that select, repeating their selection in every resample of the clips.

An interval for fixed systems ignores that other clips would have led to other systems. Here each resample chooses
systems, N and combination by its own clips and is evaluated on them (``development``), or chooses on one half and is
evaluated on the other, and vice versa (``cross-fitted``).
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from asdlib import ensemble
from asdlib.ensemble.blocks import BLOCKS
from asdlib.ensemble.choices import domains, split_halves
from asdlib.ensemble.n_best import Visible
from asdlib.ensemble.selection import Selection, select
from asdlib.ensemble.systems import Pool
from asdlib.evaluation.bootstrap import Repeated, Unit, unit_weights
from asdlib.metrics import areas
from asdlib.origin import BRANCHES

OTHER = {"first": "second", "second": "first"}


def repeat(settings, machines: Iterable[str], split_seed: int | None = None) -> Repeated:
    """Evaluate the selecting rows of all machine types.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        machines: Machine types whose candidates have been scored.
        split_seed: Seed of the halves and of the resamples; None for the run's.
    """
    result = Repeated()
    for machine in machines:
        result.update(repeat_machine(*ensemble.pools(settings, machine), settings, split_seed))
    return result


def repeat_machine(autoencoder: Pool, classifier: Pool, settings, split_seed: int | None = None) -> Repeated:
    """Evaluate the selecting rows of one machine type, given the pools of both branches; see :func:`repeat`."""
    seed = settings.seed if split_seed is None else split_seed
    pools = dict(zip(BRANCHES, (autoencoder, classifier), strict=True))
    clips, p, result = autoencoder.clips, settings.evaluation.p, Repeated()
    half = split_halves(clips, seed)
    labels, names = clips["label"].to_numpy(dtype=str), clips["clip"].to_numpy()
    for domain in domains(autoencoder):
        units: dict[Unit, Visible] = {}
        for (section, where), group in autoencoder.groups.items():
            test = group.columns[(clips["split"].to_numpy() == "test")[group.columns]]
            columns = test[labels[test] != "unknown"]
            if where != domain or len(set(labels[columns])) < 2:
                continue
            unit = (clips["machine"].iloc[0], section, domain)
            weights = unit_weights(labels[columns], half[columns], settings.evaluation.bootstrap, seed, unit)
            units[unit] = Visible(columns, weights)
            if half[columns[0]]:
                result.half[unit] = pd.Series(half[columns], names[columns])
        if units:
            whole = {unit[1]: visible for unit, visible in units.items()}
            selection = select(autoencoder, classifier, settings, domain, whole)
            for unit, visible in units.items():
                for row, scores in _scores(selection, pools, unit[1], visible.columns).items():
                    key = (row, "development")
                    pair = _areas(labels, scores, visible, p)
                    result.whole.setdefault(key, {})[unit] = pair
                    if unit in result.half:
                        parts = [_areas(labels, scores, visible, p, half == name) for name in OTHER]
                        result.halved.setdefault(key, {})[unit] = np.mean(parts, axis=0)
            _cross_fit(pools, settings, domain, {u: visible for u, visible in units.items() if u in result.half},
                       half, result)  # fmt: skip
    return result


def _cross_fit(pools, settings, domain: str, units: dict[Unit, Visible], half: np.ndarray, result: Repeated) -> None:
    """Choose on each half, evaluate on the other, and add the means of both to ``result``."""
    if not units:
        return
    labels = pools[BRANCHES[0]].clips["label"].to_numpy(dtype=str)
    folds: dict[tuple, list[np.ndarray]] = {}
    for reported, chosen_on in OTHER.items():
        parts = {unit[1]: _part(visible, half == chosen_on) for unit, visible in units.items()}
        selection = select(*pools.values(), settings, domain, parts)
        for unit, visible in units.items():
            shown = _part(visible, half == reported)
            for row, scores in _scores(selection, pools, unit[1], shown.columns).items():
                folds.setdefault((row, unit), []).append(_areas(labels, scores, shown, settings.evaluation.p))
    for (row, unit), parts_of_folds in folds.items():
        result.halved.setdefault((row, "cross-fitted"), {})[unit] = np.mean(parts_of_folds, axis=0)


def _part(visible: Visible, use: np.ndarray) -> Visible:
    """Keep the clips where ``use``, shape (clips of the pool,), is true."""
    return Visible(visible.columns[use[visible.columns]], visible.weights[:, use[visible.columns]])


def _scores(selection: Selection, pools: dict[str, Pool], section: str, columns: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the scores of all rows of both blocks, shape (1 + resamples, clips) each."""
    return {row: scores for block in BLOCKS for row, scores in selection.scores(block, pools, section, columns).items()}


def _areas(labels, scores: np.ndarray, visible: Visible, p: float, use: np.ndarray | None = None) -> np.ndarray:
    """Compute AUC and pAUC of each resample's choice where ``use`` is true, on the resample and on all clips once.

    Returns:
        Shape (2, 1 + resamples, 2).
    """
    inside = slice(None) if use is None else use[visible.columns]
    labels, scores = labels[visible.columns][inside], scores[:, inside]
    pairs = [areas(labels, scores, (1.0, p), weights) for weights in (visible.weights[:, inside], None)]
    return np.stack([np.stack(parts, axis=-1) for parts in pairs])
