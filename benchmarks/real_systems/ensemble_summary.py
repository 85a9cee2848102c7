"""Summarise all machine types and domains in the tables of the chapter "Ensembles of real systems", with intervals."""

import itertools

import numpy as np
import pandas as pd
from ensemble_methods import (
    ALL,
    CHOSEN,
    CROSS_FITTED,
    DEVELOPMENT,
    MAX,
    MIX,
    NONE,
    SAME_HALF,
    SECTIONS,
    SELECTIONS,
    SINGLE,
    SIZES,
    Key,
    Result,
    allowed_sizes,
)
from ensemble_systems import SEED, Cell, Systems

from asdlib.ensemble.combine import COMBINATIONS
from asdlib.evaluation.bootstrap import interval
from asdlib.metrics import harmonic_mean

CONFIDENCE = 0.95
"""confidence of all intervals"""


class Summary:
    """Figures and effects over all cells of a challenge, each with its two intervals."""

    def __init__(self, results: dict[Cell, Result]):
        self.results = results
        self.machines = list(dict.fromkeys(machine for machine, _ in results))
        self.keys = list(dict.fromkeys(key for result in results.values() for key in result.areas))
        resamples = len(next(iter(next(iter(results.values())).areas.values())))
        self.drawn = np.random.default_rng(SEED).integers(len(self.machines), size=(resamples, len(self.machines)))
        self.drawn[0] = np.arange(len(self.machines))

    def inverse(self, key: Key, machine: str, domain: str = "all") -> np.ndarray:
        """Average 1 / AUC and 1 / pAUC of a machine type in every resample; the inverse is the harmonic mean."""
        parts = [r.areas[key] for cell, r in self.results.items() if cell[0] == machine and domain in ("all", cell[1])]
        return np.mean([1 / part for part in parts], axis=(0, 2, 3))

    def deviation(self, key: Key, machine: str) -> np.ndarray:
        """Compute the deviation over a machine type's sections, averaged over its domains, in every resample."""
        parts = [result.areas[key] for cell, result in self.results.items() if cell[0] == machine]
        return np.mean([np.std(harmonic_mean(part, axis=-1), axis=1, ddof=1) for part in parts], axis=0)

    def value(self, key: Key, domain: str = "all") -> tuple[np.ndarray, np.ndarray]:
        """Compute the harmonic mean over all cells in resamples of clips, and in resamples of clips and machines."""
        inverse = np.stack([self.inverse(key, machine, domain) for machine in self.machines])
        return 1 / inverse.mean(axis=0), 1 / self._blocks(inverse)

    def spread(self, key: Key) -> tuple[np.ndarray, np.ndarray]:
        """Compute the mean deviation over sections, in the same resamples as :meth:`value`."""
        parts = np.stack([self.deviation(key, machine) for machine in self.machines])
        return parts.mean(axis=0), self._blocks(parts)

    def _blocks(self, parts: np.ndarray) -> np.ndarray:
        """Average over machine types, which are redrawn in each resample; ``parts`` is (machines, resamples)."""
        return parts[self.drawn, np.arange(parts.shape[1])[:, None]].mean(axis=1)

    def effect(self, samples: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
        """Return the estimate with its interval over clips and that over clips and machine types."""
        value, low, high = interval(samples[0], CONFIDENCE)
        _, block_low, block_high = interval(samples[1], CONFIDENCE)
        return {"effect": value, "low": low, "high": high, "block_low": block_low, "block_high": block_high}

    def difference(self, one: Key, other: Key, of: str = "value", domain: str = "all") -> dict[str, float]:
        """Compute how much one method exceeds another in value, or in deviation over sections."""
        if of == "value":
            both = self.value(one, domain), self.value(other, domain)
        else:
            both = self.spread(one), self.spread(other)
        return self.effect(tuple(a - b for a, b in zip(*both, strict=True)))

    def by_machine(self, one: Key, other: Key) -> pd.DataFrame:
        """Compute the difference in each machine type, with its interval over clips."""
        rows = []
        for machine in self.machines:
            samples = 1 / self.inverse(one, machine) - 1 / self.inverse(other, machine)
            rows.append((machine, *interval(samples, CONFIDENCE)))
        return pd.DataFrame(rows, columns=["machine", "effect", "low", "high"])

    def blocks_of(self, values: dict[str, float]) -> dict[str, float]:
        """Average a figure over machine types, with the interval over machine types alone."""
        parts = np.array([values[machine] for machine in self.machines])
        value, low, high = interval(parts[self.drawn].mean(axis=1), CONFIDENCE)
        return {"effect": value, "low": np.nan, "high": np.nan, "block_low": low, "block_high": high}


def figures(summary: Summary) -> pd.DataFrame:
    """Tabulate every method by every selection over all cells and domains, and the main methods in each cell."""
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
    """Tabulate optimism and the gain over the best single system, by combination and N."""
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
    """Tabulate the gain of the main methods over the best single system that is chosen in the same way.

    Methods without labels are compared with the best single system chosen on the same clips and on other sections, and
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


def reduced_offers(summary: Summary) -> pd.DataFrame:
    """Tabulate gain and optimism by the number of systems on offer: means over subsets, intervals over machines."""
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
    """Tabulate which combination is best, and whether other clips agree.

    Returns:
        Columns ``combination``; ``cells``, the number of cells where it is best at N = 5 on all clips; ``chosen``, the
        number of cells where it is chosen; ``resamples``, its share of the choices over resamples and cells; ``agree``,
        the share of cells in which both halves choose the same combination (``agree_both``: and the same N), repeated
        in all rows.
    """
    choices = allowed_sizes(total)
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
    """Correlate the similarity of two systems with the gain of averaging them, and compare it across families."""
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
        "correlation across families minus within": summary.blocks_of(across),
    }
