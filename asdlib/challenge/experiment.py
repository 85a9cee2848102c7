"""What ensembles gain on real systems: ``python -m asdlib.challenge.experiment REALDATA OUT`` writes its tables.

Ensembles of the N best of many systems, of two families of systems, and of all, are chosen in several ways and reported
as each of them allows; every choice is repeated in every resample of the clips. The plan, written before anything ran,
is in ``LOG.md``; the chapter "Ensembles of real systems" shows the tables.
"""

import argparse
import itertools
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from asdlib import artefacts
from asdlib.challenge import files, rules
from asdlib.challenge.search import Found, Unit, areas, search, singles
from asdlib.challenge.systems import Cell, Systems, arrange, only
from asdlib.ensemble.combine import COMBINATIONS, normalise
from asdlib.evaluation.bootstrap import interval
from asdlib.evaluation.metrics import harmonic_mean

P = 0.1
"""largest false positive rate of pAUC"""
CHOICES = (3, 5, 10, 20)
"""the paper's N"""
SIZES = (1, 2, 3, 5, 6, 10, 15, 20, 30)
"""N of the curves"""
ON_OFFER = (2, 3, 5, 10, 20, 30)
SUBSETS = 24
INLIER, CLASSIFIER = "inlier models", "classifiers"
FAMILIES = {"GMM": INLIER, "MD": INLIER, "TransAE": INLIER}
"""folders of the systems of 2022; the others are classifiers"""
INLIER_2021 = ("official_ae_rerun", "mobilenet_knn", "mobilenet_lof", "mobilenet_svm")
DEVELOPMENT, CROSS_FITTED, SECTIONS, NONE = "development", "cross-fitted", "other sections", "none"
SELECTIONS = (DEVELOPMENT, CROSS_FITTED, SECTIONS)
SAME_HALF = "same half"
"""chosen and reported on a half: what cross-fitting is compared with"""
SINGLE, CHOSEN, MIX, MAX, ALL = "best single", "chosen", "mix", "max", "all"

Key = tuple[str, str, str]
"""selection, family and method; the method of the N best is ``<combination> <N>``"""


@dataclass
class Result:
    """What one cell gives: AUC and pAUC of every method in every resample, and what needs no resample."""

    areas: dict[Key, np.ndarray] = field(default_factory=dict)
    """(1 + resamples, sections, 2)"""
    picks: dict[str, np.ndarray] = field(default_factory=dict)
    """by selection and fold, the index of the chosen combination and size in every resample"""
    subsets: dict[tuple[str, int, str], np.ndarray] = field(default_factory=dict)
    """by selection, number on offer and method: AUC and pAUC, (subsets, sections, 2)"""
    pairs: pd.DataFrame | None = None
    """two systems: correlation, gain of their average over the better, gap between them"""


# One cell -------------------------------------------------------------------------------------------------------------
def folds(selection: str, weights: list[np.ndarray], first: list[np.ndarray]):
    """How often each clip counts in choosing and in reporting, for each unit; a pair per choice that is made."""
    if selection == DEVELOPMENT:
        return [(weights, weights)]
    if selection in (CROSS_FITTED, SAME_HALF):
        one = [w * half for w, half in zip(weights, first, strict=True)]
        other = [w * ~half for w, half in zip(weights, first, strict=True)]
        return [(one, other), (other, one)] if selection == CROSS_FITTED else [(one, one), (other, other)]
    count = len(weights)
    return [
        (
            [None if k == left else weights[k] for k in range(count)],
            [weights[k] if k == left else None for k in range(count)],
        )
        for left in range(count)
    ]


def joined(selection: str, parts: list[np.ndarray]) -> np.ndarray:
    """The areas of all folds as one: halves are averaged, sections stand side by side on the axis before the last."""
    return np.mean(parts, axis=0) if selection in (CROSS_FITTED, SAME_HALF) else np.concatenate(parts, axis=-2)


def evaluate_cell(systems: Systems, cell: Cell) -> Result:
    """Every method by every selection in one machine type and domain."""
    units, weights, first = systems.cells[cell], systems.weights[cell], systems.first[cell]
    total, result = len(systems.names), Result()
    sizes = [size for size in SIZES if size <= total]
    choices = allowed(total)
    known: dict[int, np.ndarray] = {}

    def alone(units: list[Unit], given: list[np.ndarray | None]) -> np.ndarray:
        """The areas of the single systems on those units that have weights."""
        for unit, weighting in zip(units, given, strict=True):
            if weighting is not None and id(weighting) not in known:
                known[id(weighting)] = singles(unit, weighting, P)
        return np.stack([known[id(weighting)] for weighting in given if weighting is not None], axis=2)

    made = {selection: folds(selection, weights, first) for selection in SELECTIONS}
    for selection in SELECTIONS:
        found: dict[tuple[str, str], list[np.ndarray]] = {}

        def keep(family: str, method: str, values: np.ndarray, of: str = selection, found=found) -> None:
            found.setdefault((of, family, method), []).append(values)

        for number, (select, report) in enumerate(made[selection]):
            singly = alone(units, select), alone(units, report)
            every = search(units, select, report, sizes, choices, P, alone=singly)
            result.picks[f"{selection} {number}"] = every.chosen
            keep(ALL, SINGLE, every.singles[:, 0])
            keep(ALL, CHOSEN, every.best(every.reported))
            for (i, by), (j, size) in itertools.product(enumerate(COMBINATIONS), enumerate(sizes)):
                keep(ALL, f"{by} {size}", every.reported[:, i, j])
            if selection == CROSS_FITTED:  # the clips that chose, for the optimism
                keep(ALL, SINGLE, every.singles_looked[:, 0], SAME_HALF)
                keep(ALL, CHOSEN, every.best(every.looked), SAME_HALF)
                for (i, by), (j, size) in itertools.product(enumerate(COMBINATIONS), enumerate(sizes)):
                    keep(ALL, f"{by} {size}", every.looked[:, i, j], SAME_HALF)
            if selection == DEVELOPMENT:
                unsorted = np.argsort(every.order, axis=1)[..., None, None]
                each = np.take_along_axis(every.singles, unsorted, axis=1)
                for k, name in enumerate(systems.names):
                    result.areas[NONE, ALL, name] = each[:, k]
            _families(systems, units, select, report, singly, keep)
        for (of, family, method), parts in found.items():
            result.areas[of, family, method] = joined(of, parts)
    whole = alone(units, weights)
    _without_labels(systems, units, weights, whole, result)
    for selection in (DEVELOPMENT, CROSS_FITTED):
        parts = []
        for select, report in made[selection]:
            singly = alone(units, select), alone(units, report)  # no scale changes an AUC
            found = search(systems.raw[cell], select, report, [5], [5], P, alone=singly)
            parts.append(found.reported[:, 0, 0])
        result.areas[selection, ALL, "average 5 of raw scores"] = joined(selection, parts)
    _subsets(systems, cell, result)
    result.pairs = _pairs(systems, units)
    return result


def allowed(total: int) -> list[int]:
    """The paper's N that a number of systems allows; 2 where it allows none."""
    return [size for size in CHOICES if size <= total] or [min(2, total)]


def _families(systems: Systems, units: list[Unit], select, report, singly, keep) -> None:
    """The chosen ensembles of both families, their mix and the better of them."""
    made: dict[str, Found] = {}
    parts = {family: only(units, members) for family, members in systems.families.items()}
    for family, mine in parts.items():
        choices = allowed(len(systems.families[family]))
        known = tuple(part[:, systems.families[family]] for part in singly)
        made[family] = search(mine, select, report, choices, choices, P, alone=known)
        keep(family, SINGLE, made[family].singles[:, 0])
        keep(family, CHOSEN, made[family].best(made[family].reported))
    one, other = made.values()
    better = one.best(one.value) >= other.best(other.value)
    keep(ALL, MAX, np.where(better[:, None, None], one.best(one.reported), other.best(other.reported)))
    there = [(unit, weights) for unit, weights in zip(units, report, strict=True) if weights is not None]
    mixed = []
    for number, (unit, weights) in enumerate(there):
        scores = 0.5 * (normalise(one.scores[number]) + normalise(other.scores[number]))
        mixed.append(areas(scores[:, None], [weights], unit.anomaly, unit.counted, P)[0][:, 0])
    keep(ALL, MIX, np.stack(mixed, axis=1))


def _without_labels(systems: Systems, units: list[Unit], weights: list[np.ndarray], whole, result: Result) -> None:
    """All systems by each combination, and the N that agree most with the average of all."""
    total = len(systems.names)
    agreement = []
    for unit in units:
        mean = rankdata(unit.scores.mean(axis=0))
        agreement.append([np.corrcoef(mean, ranks)[0, 1] for ranks in unit.ranks])
    order = np.argsort(-np.mean(agreement, axis=0), kind="stable")
    sizes = [*allowed(total), total] if total not in allowed(total) else allowed(total)
    found = search(units, weights, weights, sizes, sizes, P, order=order, alone=(whole, whole))
    for i, by in enumerate(COMBINATIONS):
        result.areas[NONE, ALL, f"{by} of all"] = found.reported[:, i, -1]
    for j, size in enumerate(sizes[:-1]):
        result.areas[NONE, ALL, f"average of the {size} that agree most"] = found.reported[:, 0, j]


def _subsets(systems: Systems, cell: Cell, result: Result) -> None:
    """Gain and optimism where fewer systems are on offer: random subsets, the same in all cells."""
    units, first = systems.cells[cell], systems.first[cell]
    ones = [np.ones((SUBSETS, len(half)), dtype=np.int64) for half in first]
    for offer in (number for number in ON_OFFER if number <= len(systems.names)):
        generator = np.random.default_rng([offer, len(systems.names)])
        subsets = np.stack([generator.permutation(len(systems.names))[:offer] for _ in range(SUBSETS)])
        choices = allowed(offer)
        for selection in (DEVELOPMENT, CROSS_FITTED):
            parts = {}
            for select, report in folds(selection, ones, first):
                found = search(units, select, report, choices, choices, P, offered=subsets)
                parts.setdefault((selection, SINGLE), []).append(found.singles[:, 0])
                parts.setdefault((selection, CHOSEN), []).append(found.best(found.reported))
                if selection == CROSS_FITTED:
                    parts.setdefault((SAME_HALF, SINGLE), []).append(found.singles_looked[:, 0])
                    parts.setdefault((SAME_HALF, CHOSEN), []).append(found.best(found.looked))
            for (of, method), values in parts.items():
                result.subsets[of, offer, method] = joined(of, values)


def _pairs(systems: Systems, units: list[Unit]) -> pd.DataFrame:
    """All pairs of systems: rank correlation within a label, their average's gain over the better, and their gap."""
    first, second = np.array(list(itertools.combinations(range(len(systems.names)), 2))).T
    alone, both, correlations = [], [], []
    for unit in units:
        ones = np.ones((1, len(unit.anomaly)), dtype=np.int64)
        average = 0.5 * (unit.scores[first] + unit.scores[second])
        for scores, target in ((unit.scores, alone), (average, both)):
            target.append(areas(scores[None], [ones], unit.anomaly, unit.counted, P)[0][0])
        for label in (unit.anomaly, unit.counted):
            correlations.append(np.corrcoef(rankdata(unit.scores[:, label], axis=1))[first, second])
    alone, both = (harmonic_mean(np.stack(part, axis=1), axis=(1, 2)) for part in (alone, both))
    return pd.DataFrame(
        {
            "first": first,
            "second": second,
            "correlation": np.mean(correlations, axis=0),
            "gain": both - np.maximum(alone[first], alone[second]),
            "gap": np.abs(alone[first] - alone[second]),
        }
    )


# All cells ------------------------------------------------------------------------------------------------------------
class Summary:
    """Figures and effects over all cells of a challenge, each with its two intervals."""

    def __init__(self, results: dict[Cell, Result], confidence: float = 0.95, seed: int = 0):
        self.results, self.confidence = results, confidence
        self.machines = list(dict.fromkeys(machine for machine, _ in results))
        self.keys = list(dict.fromkeys(key for result in results.values() for key in result.areas))
        resamples = len(next(iter(next(iter(results.values())).areas.values())))
        self.drawn = np.random.default_rng(seed).integers(len(self.machines), size=(resamples, len(self.machines)))
        self.drawn[0] = np.arange(len(self.machines))

    def inverse(self, key: Key, machine: str, domain: str = "all") -> np.ndarray:
        """The mean of 1 / AUC and 1 / pAUC of a machine type in every resample, whose inverse is the harmonic mean."""
        parts = [r.areas[key] for cell, r in self.results.items() if cell[0] == machine and domain in ("all", cell[1])]
        return np.mean([1 / part for part in parts], axis=(0, 2, 3))

    def deviation(self, key: Key, machine: str) -> np.ndarray:
        """The deviation over a machine type's sections, averaged over its domains, in every resample."""
        parts = [result.areas[key] for cell, result in self.results.items() if cell[0] == machine]
        return np.mean([np.std(harmonic_mean(part, axis=-1), axis=1, ddof=1) for part in parts], axis=0)

    def value(self, key: Key, domain: str = "all") -> tuple[np.ndarray, np.ndarray]:
        """The harmonic mean over all cells in every resample: of the clips, and of clips and machine types."""
        inverse = np.stack([self.inverse(key, machine, domain) for machine in self.machines])
        return 1 / inverse.mean(axis=0), 1 / self._blocks(inverse)

    def spread(self, key: Key) -> tuple[np.ndarray, np.ndarray]:
        """The mean deviation over sections, as :meth:`value`."""
        parts = np.stack([self.deviation(key, machine) for machine in self.machines])
        return parts.mean(axis=0), self._blocks(parts)

    def _blocks(self, parts: np.ndarray) -> np.ndarray:
        """Average over machine types, which are drawn again in each resample; parts (machines, resamples)."""
        return parts[self.drawn, np.arange(parts.shape[1])[:, None]].mean(axis=1)

    def effect(self, samples: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
        """The estimate with its interval over clips and that over clips and machine types."""
        value, low, high = interval(samples[0], self.confidence)
        _, block_low, block_high = interval(samples[1], self.confidence)
        return {"effect": value, "low": low, "high": high, "block_low": block_low, "block_high": block_high}

    def difference(self, one: Key, other: Key, of: str = "value", domain: str = "all") -> dict[str, float]:
        """How much one method exceeds another in value, or in deviation over sections."""
        if of == "value":
            both = self.value(one, domain), self.value(other, domain)
        else:
            both = self.spread(one), self.spread(other)
        return self.effect(tuple(a - b for a, b in zip(*both, strict=True)))

    def by_machine(self, one: Key, other: Key) -> pd.DataFrame:
        """The difference in each machine type, with its interval over clips."""
        rows = []
        for machine in self.machines:
            samples = 1 / self.inverse(one, machine) - 1 / self.inverse(other, machine)
            rows.append((machine, *interval(samples, self.confidence)))
        return pd.DataFrame(rows, columns=["machine", "effect", "low", "high"])

    def blocks_of(self, values: dict[str, float]) -> dict[str, float]:
        """The mean of a figure per machine type, with the interval over machine types alone."""
        parts = np.array([values[machine] for machine in self.machines])
        value, low, high = interval(parts[self.drawn].mean(axis=1), self.confidence)
        return {"effect": value, "low": np.nan, "high": np.nan, "block_low": low, "block_high": high}


def figures(summary: Summary) -> pd.DataFrame:
    """Every method by every selection: all cells and each domain with intervals, and for the main methods each cell."""
    rows = []
    for key in (key for key in summary.keys if key[0] != SAME_HALF):
        for domain in ("all", "source", "target"):
            found = summary.effect(summary.value(key, domain))
            rows.append((*key, "all", domain, *found.values()))
        if key[2] not in (SINGLE, CHOSEN, MIX, MAX, "average 5", "average of all"):
            continue
        for (machine, domain), result in summary.results.items():
            value = float(harmonic_mean(result.areas[key][0]))
            rows.append((*key, machine, domain, value, *[np.nan] * 4))
    bounds = ["low", "high", "block_low", "block_high"]
    return pd.DataFrame(rows, columns=["selection", "family", "method", "machine", "domain", "value", *bounds])


def growth(summary: Summary, total: int) -> pd.DataFrame:
    """Gain over the best single system and optimism, by combination and N."""
    rows = []
    for by, size in itertools.product(COMBINATIONS, [size for size in SIZES if size <= total]):
        method = f"{by} {size}"
        for selection in SELECTIONS:
            found = summary.difference((selection, ALL, method), (selection, ALL, SINGLE))
            rows.append(("gain", selection, by, size, *found.values()))
        found = summary.difference((SAME_HALF, ALL, method), (CROSS_FITTED, ALL, method))
        rows.append(("optimism", CROSS_FITTED, by, size, *found.values()))
    bounds = ["low", "high", "block_low", "block_high"]
    return pd.DataFrame(rows, columns=["of", "selection", "combination", "N", "effect", *bounds])


def effects(summary: Summary, total: int) -> pd.DataFrame:
    """What the main methods gain over the best single system that is chosen in the same way.

    What needs no labels is compared with the best single system chosen on the same clips and on other sections, and
    with the average system.
    """
    five = f"average {min(5, total)}"
    rows = []
    for selection, method in itertools.product(SELECTIONS, (CHOSEN, MIX, MAX, five)):
        found = summary.difference((selection, ALL, method), (selection, ALL, SINGLE))
        rows.append((method, selection, SINGLE, selection, *found.values()))
    names = {key for key in summary.keys if key[0] == NONE}
    free = [key for key in summary.keys if key in names and key[2].startswith(("average of", *COMBINATIONS))]
    alone = [summary.value(key) for key in summary.keys if key in names and key not in free]
    mean = tuple(np.mean([pair[k] for pair in alone], axis=0) for k in (0, 1))
    for key in free:
        for selection in (DEVELOPMENT, SECTIONS):
            rows.append((key[2], NONE, SINGLE, selection, *summary.difference(key, (selection, ALL, SINGLE)).values()))
        pair = tuple(a - b for a, b in zip(summary.value(key), mean, strict=True))
        rows.append((key[2], NONE, "average system", NONE, *summary.effect(pair).values()))
    for selection in (DEVELOPMENT, SECTIONS):
        pair = tuple(a - b for a, b in zip(summary.value((selection, ALL, SINGLE)), mean, strict=True))
        rows.append((SINGLE, selection, "average system", NONE, *summary.effect(pair).values()))
    bounds = ["effect", "low", "high", "block_low", "block_high"]
    return pd.DataFrame(rows, columns=["method", "selection", "than", "than_selection", *bounds])


def offered(summary: Summary) -> pd.DataFrame:
    """Gain and optimism by the number of systems on offer: means over subsets, intervals over machine types."""
    rows = []
    keys = list(dict.fromkeys(key for result in summary.results.values() for key in result.subsets))
    values: dict[tuple, dict[str, np.ndarray]] = {}
    for key, machine in itertools.product(keys, summary.machines):
        parts = [result.subsets[key] for cell, result in summary.results.items() if cell[0] == machine]
        values.setdefault(key, {})[machine] = 1 / np.mean([1 / part for part in parts], axis=(0, 2, 3))
    for offer in dict.fromkeys(offer for _, offer, _ in keys):
        compared = {
            ("gain", DEVELOPMENT): ((DEVELOPMENT, offer, CHOSEN), (DEVELOPMENT, offer, SINGLE)),
            ("gain", CROSS_FITTED): ((CROSS_FITTED, offer, CHOSEN), (CROSS_FITTED, offer, SINGLE)),
            ("optimism of chosen", CROSS_FITTED): ((SAME_HALF, offer, CHOSEN), (CROSS_FITTED, offer, CHOSEN)),
            ("optimism of best single", CROSS_FITTED): ((SAME_HALF, offer, SINGLE), (CROSS_FITTED, offer, SINGLE)),
        }
        for (of, selection), (one, other) in compared.items():
            found = {
                machine: float((values[one][machine] - values[other][machine]).mean()) for machine in summary.machines
            }
            rows.append((of, selection, offer, *summary.blocks_of(found).values()))
    columns = ["of", "selection", "on_offer", "effect", "low", "high", "block_low", "block_high"]
    return pd.DataFrame(rows, columns=columns).drop(columns=["low", "high"])


def stability(summary: Summary, total: int) -> pd.DataFrame:
    """Which combination is best, and whether other clips agree.

    Returns:
        Columns ``combination``; ``cells``, in how many cells it is best at N = 5 on all clips; ``chosen``, in how many
        it is in the chosen ensemble; ``resamples``, its share of the choices over resamples and cells; ``agree``, the
        share of cells in which both halves choose the same combination (and ``agree_both`` also the same N), the same
        in all rows.
    """
    choices = allowed(total)
    sizes = [size for size in SIZES if size <= total]
    five = min(5, total)
    best, chosen, share, agree, both = [], [], [], [], []
    for result in summary.results.values():
        at = [harmonic_mean(result.areas[DEVELOPMENT, ALL, f"{by} {five}"][0]) for by in COMBINATIONS]
        best.append(int(np.argmax(at)))
        picks = {name: values // len(sizes) for name, values in result.picks.items()}
        chosen.append(picks[f"{DEVELOPMENT} 0"][0])
        share.append(
            np.bincount(picks[f"{DEVELOPMENT} 0"][1:], minlength=len(COMBINATIONS))
            / max(1, len(picks[f"{DEVELOPMENT} 0"]) - 1)
        )
        halves = [result.picks[f"{CROSS_FITTED} {number}"] for number in (0, 1)]
        agree.append(np.mean(halves[0] // len(sizes) == halves[1] // len(sizes)))
        both.append(np.mean(halves[0] == halves[1]))
    return pd.DataFrame(
        {
            "combination": COMBINATIONS,
            "cells": np.bincount(best, minlength=len(COMBINATIONS)),
            "chosen": np.bincount(chosen, minlength=len(COMBINATIONS)),
            "resamples": np.mean(share, axis=0),
            "agree": np.mean(agree),
            "agree_both": np.mean(both),
            "choices": len(choices) * len(COMBINATIONS),
        }
    )


def correlations(summary: Summary, systems: Systems) -> dict[str, dict[str, float]]:
    """What correlation between two systems says of the gain of averaging them, and how families differ in it."""
    partial, plain, across = {}, {}, {}
    members = {k: family for family, index in systems.families.items() for k in index}
    for machine in summary.machines:
        tables = [result.pairs for cell, result in summary.results.items() if cell[0] == machine]
        both = []
        for table in tables:
            ranks = table[["gain", "correlation", "gap"]].rank().corr().to_numpy()
            whole = (ranks[0, 1] - ranks[0, 2] * ranks[1, 2]) / np.sqrt((1 - ranks[0, 2] ** 2) * (1 - ranks[1, 2] ** 2))
            same = table["first"].map(members) == table["second"].map(members)
            apart = table.loc[~same, "correlation"].mean() - table.loc[same, "correlation"].mean()
            both.append((ranks[0, 1], whole, apart))
        plain[machine], partial[machine], across[machine] = np.mean(both, axis=0)
    return {
        "correlation and gain": summary.blocks_of(plain),
        "correlation and gain, same gap": summary.blocks_of(partial),
        "correlation across families less within": summary.blocks_of(across),
    }


# Claims ---------------------------------------------------------------------------------------------------------------
POINT = 0.01
"""what "much better" means"""
HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"


def verdict(found: dict[str, float], sign: int = 1) -> str:
    """Whether an effect is above (or with ``sign`` -1 below) zero by every interval that it has."""
    bounds = [(found["low"], found["high"]), (found["block_low"], found["block_high"])]
    bounds = [pair for pair in bounds if np.isfinite(pair[0])]
    if all(min(sign * low, sign * high) > 0 for low, high in bounds):
        return HOLDS
    return FAILS if all(max(sign * low, sign * high) < 0 for low, high in bounds) else OPEN


def claims(summary: Summary, systems: Systems) -> pd.DataFrame:
    """The paper's sentences about ensembles, as effects on these systems by every selection, with the verdicts.

    Returns:
        Columns ``claim, source, test, part, selection, effect, low, high, block_low, block_high, unit, verdict``; a
        claim of two parts has a row for each and holds if both do.
    """
    rows = []

    def add(
        claim: str, source: str, test: str, part: str, selection: str, found: dict, sign=1, unit="points", said=""
    ) -> None:
        rows.append((claim, source, test, part, selection, *found.values(), unit, said or verdict(found, sign)))

    within = "“we were able to further improve the performance by ensembling the models within the same method”"
    spread = "“by ensembling the models, we were able to reduce the variability of the score”"
    higher = "“The ensemble allowed us to obtain a higher score by complementing both”"
    several = "“there are several machine types for which the score of […] (mix) is much better than that of […] (max)”"
    turns = "each approach outperforms the other in some machine types"
    optimised = "“The number of N is optimized”, “We select the best method”"
    normal = "“Before ensembling the scores for each model, we normalize them”"
    for selection in SELECTIONS:
        for family in systems.families:
            chosen, single = (selection, family, CHOSEN), (selection, family, SINGLE)
            add(
                within,
                "Sec. 3.2",
                "chosen ensemble less best single",
                family,
                selection,
                summary.difference(chosen, single),
            )
            found = summary.difference(chosen, single, "deviation")
            add(spread, "Sec. 3.2", "deviation over sections, ensemble less single", family, selection, found, -1)
            found = summary.difference((selection, ALL, MIX), chosen)
            add(higher, "Sec. 3.2, 4", "mix less the ensemble", family, selection, found)
        per = summary.by_machine((selection, ALL, MIX), (selection, ALL, MAX))
        much = int(((per["effect"] > POINT) & (per["low"] > 0)).sum())
        found = summary.difference((selection, ALL, MIX), (selection, ALL, MAX))
        said = HOLDS if much >= 2 else FAILS
        add(
            several,
            "Sec. 4",
            f"mix less max; in {much} of {len(per)} machine types above a point",
            "",
            selection,
            found,
            said=said,
        )
        one, other = ((selection, family, CHOSEN) for family in systems.families)
        per = summary.by_machine(one, other)
        ahead, behind = int((per["low"] > 0).sum()), int((per["high"] < 0).sum())
        words = f"{INLIER} less {CLASSIFIER}; ahead in {ahead}, behind in {behind} of {len(per)} machine types"
        said = HOLDS if ahead and behind else FAILS if ahead + behind == len(per) else OPEN
        add(turns, "Sec. 3.2", words, "", selection, summary.difference(one, other), said=said)
        five = f"average {min(5, len(systems.names))}"
        found = summary.difference((selection, ALL, CHOSEN), (selection, ALL, five))
        add(optimised, "Sec. 2.3", "chosen less the average of the 5 best", "", selection, found)
        if selection != SECTIONS:
            found = summary.difference((selection, ALL, "average 5"), (selection, ALL, "average 5 of raw scores"))
            add(normal, "Sec. 2.3", "average of the 5 best, normalised less raw", "", selection, found)
        if "official_ae_rerun" in systems.names:
            found = summary.difference((selection, ALL, MIX), (NONE, ALL, "official_ae_rerun"))
            add("“outperform the baseline significantly”", "Sec. 3.2", "mix less the official AE", "", selection, found)
    about = correlations(summary, systems)
    differ = "“each method focused on different features”"
    found = about["correlation across families less within"]
    add(differ, "Sec. 4", "rank correlation across families less within", "", NONE, found, -1, "correlation")
    important = "“it is important to ensemble models that focus on different features”"
    for part, name in (("", "correlation and gain"), ("same gap", "correlation and gain, same gap")):
        add(
            important,
            "Sec. 4",
            "correlation of two systems and gain of their average",
            part,
            NONE,
            about[name],
            -1,
            "correlation",
        )
    bounds = ["effect", "low", "high", "block_low", "block_high"]
    return pd.DataFrame(rows, columns=["claim", "source", "test", "part", "selection", *bounds, "unit", "verdict"])


# The command ----------------------------------------------------------------------------------------------------------
def read(realdata: Path, year: int, count: int) -> tuple[Systems, pd.DataFrame]:
    """The development systems of a year, and where they come from."""
    folder = realdata / ("dcase2021_scores" if year == 2021 else f"dcase{year}_development")
    frame = files.read([folder], year=year).frame
    names = list(dict.fromkeys(frame["system"]))
    if year == 2021:
        origin = dict.fromkeys(names, "benlin131020/dcase2021_task2_mobilenetv2_pytorch")
        origin["official_ae_rerun"] = "yokaji/dcase2021_task2_baseline_ae"
        family = {name: INLIER if name in INLIER_2021 else CLASSIFIER for name in names}
    else:
        origin = pd.read_csv(folder / "systems.csv").set_index("folder")["origin"].to_dict()
        family = {name: FAMILIES.get(origin[name].partition("/")[0], CLASSIFIER) for name in names}
        origin = {name: f"liuyoude/DCASE2022Task2-Record/{path}" for name, path in origin.items()}
    families = {kind: [name for name in names if family[name] == kind] for kind in (INLIER, CLASSIFIER)}
    systems = arrange(frame, year, families, count)
    score = {name: rules.figures(part, year)[1] for name, part in frame.groupby("system")}
    table = pd.DataFrame(
        {"year": year, "system": names, "family": map(family.get, names), "origin": map(origin.get, names)}
    )
    return systems, table.assign(official_score=table["system"].map(score))


def run(realdata: Path, out: Path, count: int = 1000, jobs: int = 2) -> None:
    """Run everything and write the tables to ``out``."""
    started, tables = time.monotonic(), {}
    for year in (2022, 2021):
        systems, about = read(realdata, year, count)
        with ProcessPoolExecutor(jobs) as pool:
            found = pool.map(evaluate_cell, itertools.repeat(systems), systems.cells)
            results = {}
            for cell, result in zip(systems.cells, found, strict=True):
                results[cell] = result
                print(f"{year} | {' '.join(cell)} done after {time.monotonic() - started:.0f} s", flush=True)
        summary, total = Summary(results), len(systems.names)
        pairs = pd.concat([r.pairs.assign(machine=c[0], domain=c[1]) for c, r in results.items()])
        mean = pairs.groupby(["first", "second"], as_index=False)[["correlation", "gain", "gap"]].mean()
        for name in ("first", "second"):
            mean[name] = [systems.names[k] for k in mean[name]]
        parts = {
            "systems": about.drop(columns="year"),
            "figures": figures(summary),
            "effects": effects(summary, total),
            "growth": growth(summary, total),
            "offered": offered(summary),
            "stability": stability(summary, total),
            "claims": claims(summary, systems),
            "pairs": mean,
        }
        for name, table in parts.items():
            tables.setdefault(name, []).append(table.assign(year=year))
    out.mkdir(parents=True, exist_ok=True)
    for name, parts in tables.items():
        table = pd.concat(parts, ignore_index=True)
        table = table[["year", *table.columns.drop("year")]]
        with artefacts.writing(out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    facts = {"resamples": count, "seed": 0, "commit": artefacts.commit(), "seconds": round(time.monotonic() - started)}
    facts |= {"date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "machines": len(summary.machines)}
    with artefacts.writing(out / "record.json") as temporary:
        temporary.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m asdlib.challenge.experiment", description=__doc__.splitlines()[0])
    parser.add_argument("realdata", type=Path, help="folder that holds dcase2022_development and dcase2021_scores")
    parser.add_argument("out", type=Path, help="folder for the tables, for example book/results/real_systems")
    parser.add_argument("--resamples", type=int, default=1000, help="of the clips (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    given = parser.parse_args()
    run(given.realdata, given.out, given.resamples, given.jobs)


if __name__ == "__main__":
    main()
