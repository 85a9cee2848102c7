"""Compute every figure of Table 1 under resampled clips, to get intervals of cells and paired differences.

In each resample, clips are drawn with replacement within label and, so that cross-fitted rows see the same clips as
all others, within their half of cross-fitting. All rows share the resamples, so that a difference between two rows is a
difference on the same clips. The first "resample" contains every clip once and gives the figure itself. Rows that
select repeat their selection in each resample (:mod:`asdlib.evaluation.repeated`).

pAUC of few clips is biased upwards (by 0.5 to 1 point at 50 to 20 normal clips), and once more under resampling.
Therefore intervals are bias-corrected, and where a cross-fitted row, whose figure is a mean of two halves, is compared
with a row that is not, that row is also averaged over halves. In simulations from normal distributions, 95 % intervals
over 12 sections contained the true figure in 92 to 95 % of cases (plain percentiles of halves of 20 + 20 clips: 70 %);
those of one section of 40 + 40 clips in 93 %, and in 79 to 90 % where the figure is above 85 %, so intervals of small
cells near perfection are too narrow. Where the best of 10 equally good systems was chosen on the 30 + 30 clips of one
section that it is reported on, intervals contained its true figure in 99 % (systems at chance) and 85 % (harmonic mean
67 %) of cases; intervals that keep the choice of the original clips, in 86 and 63 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
import pandas as pd

from asdlib.errors import ScoreError
from asdlib.metrics import UNIT, evaluable, harmonic_mean, resampled_areas

Key = tuple[str, str]
"""row and selection; the selection is empty for rows that select nothing"""
Unit = tuple[str, str, str]
"""machine, section and domain"""
LEAST = 0.005
"""smallest bound, in percentage points, that the two digits of the tables do not print as zero"""


@dataclass
class Repeated:
    """Rows whose selection was repeated in each resample, and the halves of cross-fitting.

    Arrays of AUC and pAUC have shape (2, 1 + resamples, 2): what each resample chose, evaluated on the resample and on
    all clips once. ``halved`` holds means over the two halves.
    """

    whole: dict[Key, dict[Unit, np.ndarray]] = field(default_factory=dict)
    halved: dict[Key, dict[Unit, np.ndarray]] = field(default_factory=dict)
    half: dict[Unit, pd.Series] = field(default_factory=dict)
    """``first`` or ``second`` for each clip of the units that are large enough"""

    def update(self, other: "Repeated") -> None:
        """Add another machine type's rows."""
        for mine, theirs in ((self.whole, other.whole), (self.halved, other.halved)):
            for key, areas in theirs.items():
                mine.setdefault(key, {}).update(areas)
        self.half.update(other.half)


class Resampled:
    """AUC and pAUC of every row, section and domain in every resample.

    Attributes:
        keys: Row and selection of each evaluated row.
        folded: The keys of cross-fitted rows.
        units: Machine, section and domain on which at least one row was evaluated.
        machines: Machine types of the units.
        clips: Number of labelled test clips of each unit.
        seeds: Number of training seeds: 1; :mod:`asdlib.evaluation.seeds` has several.
    """

    seeds = 1

    def __init__(self, frame: pd.DataFrame, p: float, count: int, seed: int, repeated: Repeated | None = None):
        """Evaluate a score table with the further columns ``row, selection, fold``.

        Args:
            frame: Score rows (:mod:`asdlib.scores`); ``fold`` is empty except for cross-fitted rows, whose figure in
                a section and domain is the mean over the two halves.
            p: Largest false positive rate of pAUC.
            count: Resamples; 0 for none.
            seed: Seed of the resamples.
            repeated: Further rows, which are not in ``frame``, on the same clips and resamples (:func:`unit_weights`).

        Raises:
            ScoreError: The rows do not contain the same clips.
        """
        repeated = repeated or Repeated()
        self._figures: dict[tuple, np.ndarray | None] = {}
        self._repeated = repeated
        self._areas = {key: {unit: a[0] for unit, a in found.items()} for key, found in repeated.whole.items()}
        self._halved = {key: {unit: a[0] for unit, a in found.items()} for key, found in repeated.halved.items()}
        self.folded = set(map(tuple, frame.loc[frame["fold"] != "", ["row", "selection"]].drop_duplicates().to_numpy()))
        self.folded |= set(repeated.halved) - set(repeated.whole)
        self.clips: dict[Unit, int] = {}
        for unit, group in evaluable(frame).groupby(UNIT, sort=True):
            wide = group.pivot(index=["clip", "label"], columns=["row", "selection"], values="score").sort_index()
            half = group.loc[group["fold"] != ""].drop_duplicates("clip").set_index("clip")["fold"]
            half = repeated.half.get(unit, half).reindex(wide.index.get_level_values("clip")).fillna("")
            half = half.to_numpy(dtype=str)
            labels = wide.index.get_level_values("label").to_numpy(dtype=str)
            weights = unit_weights(labels, half, count, seed, unit)
            halves = [half == name for name in ("first", "second") if name in half]
            self.clips[unit] = len(wide)
            for key, scores in wide.items():
                if scores.isna().any():
                    raise ScoreError(
                        f"{' '.join(key)} has no score for {wide.index[scores.isna()][0][0]} ({' '.join(unit)}), "
                        "which other rows have; score all systems on the same clips"
                    )
                if halves:
                    self._halved.setdefault(key, {})[unit] = _mean_areas(labels, scores, weights, p, halves)
                if key not in self.folded:
                    self._areas.setdefault(key, {})[unit] = _mean_areas(labels, scores, weights, p, [half == half])
        self.keys: list[Key] = list(dict.fromkeys([*self._areas, *self._halved]))
        self.units = sorted({unit for areas in self._areas.values() for unit in areas})
        self.machines = list(dict.fromkeys(machine for machine, _, _ in self.units))

    def basis(self, machine: str = "all") -> tuple[int, int]:
        """Count the labelled test clips and the sections that figures are based on, for one machine type or for all."""
        units = [unit for unit in self.units if machine in ("all", unit[0])]
        return sum(self.clips.get(unit, 0) for unit in units), len({unit[:2] for unit in units})

    def values(
        self, key: Key, machine: str = "all", domain: str = "all", section: str = "all", halves: bool = False
    ) -> np.ndarray | None:
        """Compute the harmonic mean of AUC and pAUC on all clips and in every resample, shape (1 + count,).

        Args:
            key: Row and selection.
            machine: A machine type, or ``all``.
            domain: ``source``, ``target`` or ``all``.
            section: A section, or ``all``.
            halves: Whether to average AUC and pAUC over the halves, as is always done for cross-fitted rows.

        Returns:
            None if the row was not evaluated on all requested units.
        """
        query = (key, machine, domain, section, halves or key in self.folded)
        if query not in self._figures:
            self._figures[query] = self._harmonic_mean(*query)
        return self._figures[query]

    def _harmonic_mean(self, key: Key, machine: str, domain: str, section: str, halves: bool) -> np.ndarray | None:
        query = (machine, section, domain)
        units = [unit for unit in self.units if all(a in ("all", part) for a, part in zip(query, unit, strict=True))]
        areas = (self._halved if halves else self._areas).get(key, {})
        if not units or any(unit not in areas for unit in units):
            return None
        figures = harmonic_mean(np.concatenate([areas[unit] for unit in units], axis=-1), axis=-1)
        repeated = (self._repeated.halved if halves else self._repeated.whole).get(key)
        if repeated is None or len(figures) < 2:
            return figures
        # What a resample chose is better on the resample than on all clips, by the optimism of the choice (Efron,
        # 1983, https://doi.org/10.1080/01621459.1983.10477973). Shifting the resamples so that their mean exceeds the
        # figure by exactly this optimism makes the interval correct for it, as for the bias of rows without a choice.
        on_all = harmonic_mean(np.concatenate([repeated[unit][1] for unit in units], axis=-1), axis=-1)
        return np.concatenate([figures[:1], figures[1:] + (figures[0] - on_all[1:].mean())])

    def difference(self, first: Key, second: Key, machine: str = "all", domain: str = "all") -> np.ndarray | None:
        """Subtract the second row from the first in every resample, by halves if one of them is cross-fitted."""
        halves = bool({first, second} & self.folded)
        figures = [self.values(key, machine, domain, halves=halves) for key in (first, second)]
        return None if any(figure is None for figure in figures) else figures[0] - figures[1]

    def deviation(self, key: Key) -> np.ndarray | None:
        """Compute the standard deviation over a machine's sections, averaged over machines and domains, per resample.

        Returns:
            None if no machine has two sections, or the row was not evaluated on all sections.
        """
        cells: dict[tuple[str, str], list] = {}
        for machine, section, domain in self.units:
            values = self.values(key, machine, domain, section)
            if values is None:
                return None
            cells.setdefault((machine, domain), []).append(values)
        spread = [np.std(values, axis=0, ddof=1) for values in cells.values() if len(values) > 1]
        return np.mean(spread, axis=0) if spread else None


def unit_weights(labels: np.ndarray, half: np.ndarray, count: int, seed: int, unit: Unit) -> np.ndarray:
    """Count how often each resample contains each clip of a section and domain, (1 + count, clips).

    Args:
        labels: Labels of the clips, in the order of their names.
        half: ``first``, ``second`` or empty, of each clip.
        count: Resamples.
        seed: Seed of the resamples.
        unit: Machine, section and domain, from which the random numbers are derived too.
    """
    return resamples(np.char.add(labels.astype(str), half.astype(str)), count, [seed, *"/".join(unit).encode()])


def _mean_areas(labels, scores, weights, p, parts) -> np.ndarray:
    """Compute AUC and pAUC of each part (a mask of clips) and average them over the parts: shape (resamples, 2)."""
    scores = scores.to_numpy()
    areas = [resampled_areas(labels[part], scores[part], weights[:, part], (1.0, p)) for part in parts]
    return np.mean(areas, axis=0)


def resamples(strata: Sequence[str], count: int, seed: list[int]) -> np.ndarray:
    """Count how often each clip is drawn, shape (1 + count, clips): a row of ones, then draws within each stratum."""
    generator = np.random.default_rng(seed)
    strata = np.asarray(strata)
    weights = np.ones((1 + count, len(strata)), dtype=np.int64)
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        weights[1:, inside] = generator.multinomial(len(inside), np.full(len(inside), 1 / len(inside)), size=count)
    return weights


def interval(
    samples: np.ndarray | None, confidence: float, within: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[float, float, float]:
    """Return a figure and its bootstrap interval, normal and bias-corrected, which always contains the figure.

    Args:
        samples: The figure, then the figure in each resample; or None.
        confidence: Confidence of the interval.
        within: Smallest and largest possible value of the figure.

    Returns:
        Figure, lower and upper bound; NaN where there is none.
    """
    if samples is None:
        return np.nan, np.nan, np.nan
    figure = float(samples[0])
    if len(samples) < 3:
        return figure, np.nan, np.nan
    centre = 2 * figure - samples[1:].mean()
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * samples[1:].std(ddof=1)
    return (
        figure,
        float(max(min(centre - reach, figure), within[0])),
        float(min(max(centre + reach, figure), within[1])),
    )


def side(low, high):
    """Say on which side of zero an interval lies, as it is printed: a bound that prints as 0.00 counts as zero.

    Every verdict that rests on an interval comes from here, so that no table calls a difference shown whose printed
    interval ends at zero.

    Args:
        low: Lower bound of a difference of fractions, or an array of them; NaN where there is none.
        high: Upper bound.

    Returns:
        1 above zero, -1 below it, 0 if the interval holds zero or does not exist.

    >>> side(0.001, 0.02), side(-0.03, -0.01), side(-0.01, 0.02), side(-0.03, -5e-7)
    (1, -1, 0, 0)
    """
    found = np.subtract(100 * np.asarray(low) >= LEAST, 100 * np.asarray(high) <= -LEAST, dtype=int)
    return found if found.ndim else int(found)
