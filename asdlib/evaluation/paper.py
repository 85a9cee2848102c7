"""Provide the printed Table 1 of the paper, and check its consistency with its own cells.

This is the only module with numbers of the paper. Every cell of a row aggregates the same number of AUC and pAUC
values, so the column "all / harmean", by its caption over all machines, must be the harmonic mean of the row's 14
cells, up to rounding. In every row it equals that of the ten cells without ToyCar and ToyTrain (:data:`WITHOUT_TOYS`).
"""

import itertools

import numpy as np
import pandas as pd

from asdlib.data.file_names import MACHINES
from asdlib.ensemble.blocks import AE_ENSEMBLE, BC_ENSEMBLE, MAX, MIX
from asdlib.metrics import cells as cells_of
from asdlib.metrics import harmonic_mean
from asdlib.scores import DOMAINS

BASELINE_AE, BASELINE_MOBILENET = "Baseline (AE)", "Baseline (MobileNetV2)"

_CELLS = {  # per cent, source and target of each machine type, as printed
    BASELINE_AE: "59.44 54.74 64.31 51.99 59.14 56.72 56.42 61.04 63.85 53.01 67.09 55.71 52.43 51.45",
    BASELINE_MOBILENET: "57.19 55.89 58.81 50.77 63.31 61.58 65.54 60.72 62.20 57.36 65.43 52.17 53.99 55.17",
    "AE": "80.41 63.05 80.50 61.28 71.82 65.97 62.69 70.01 72.61 62.41 86.01 62.01 80.60 64.30",
    "BC": "57.91 58.68 76.23 49.04 67.36 59.36 74.85 74.59 72.12 59.86 80.64 57.24 86.18 70.10",
    AE_ENSEMBLE: "83.29 68.70 81.06 62.83 74.37 69.75 64.14 72.32 74.60 65.68 86.12 65.41 82.94 67.81",
    BC_ENSEMBLE: "60.93 63.55 75.16 55.40 82.29 66.62 74.49 70.58 75.20 60.70 89.28 57.69 92.70 79.35",
    MIX: "79.90 70.08 80.23 59.85 82.25 71.58 72.95 76.25 77.29 64.03 89.06 68.49 93.03 80.15",
    MAX: "83.29 68.70 81.06 62.83 82.29 69.75 74.49 72.32 75.20 65.68 89.28 65.41 92.70 79.35",
}
_ALL = dict(zip(_CELLS, (57.29, 59.39, 69.05, 69.08, 71.67, 73.29, 76.59, 75.68), strict=True))  # per cent, as printed
EVALUATION = 0.63745
"""result of the same authors for the same ensemble on the challenge's evaluation sections, as a fraction

From the abstract of their workshop paper (``kuroyanagi2021ensemble`` in the book's list of references). Nobody could
select on these sections.
"""
WITHOUT_TOYS = tuple(machine for machine in MACHINES if not machine.startswith("Toy"))
"""the machine types of MIMII DUE, whose cells alone give the printed column "all" """
ROUNDING = 0.005e-2
"""half a unit of the last printed digit, as a fraction"""

ROWS = tuple(_CELLS)
"""the rows of Table 1, in the printed order"""


_KEYS = [(machine, domain) for machine in MACHINES for domain in DOMAINS]
_VALUES = {
    (row, *key): round(float(text) / 100, 4)
    for row, texts in _CELLS.items()
    for key, text in zip(_KEYS, texts.split(), strict=True)
}


def cells() -> pd.DataFrame:
    """Return the 112 printed cells as fractions: columns ``row, machine, domain, value``."""
    return pd.DataFrame(
        [(*key, value) for key, value in _VALUES.items()], columns=["row", "machine", "domain", "value"]
    )


def printed_all() -> pd.Series:
    """Return the printed column "all / harmean" as fractions, by row."""
    return pd.Series(_ALL, name="printed") / 100


def value(row: str, machine: str = "all", domain: str = "all", machines: tuple[str, ...] = MACHINES) -> float:
    """Return a printed cell, or the harmonic mean of the printed cells; NaN if the paper has none.

    Args:
        row: Name of the row as printed.
        machine: A machine type, or ``all`` for those of ``machines``.
        domain: ``source``, ``target`` or ``all``.
        machines: Machine types that ``all`` refers to.
    """
    keys = (machines if machine == "all" else (machine,), DOMAINS if domain == "all" else (domain,))
    values = [_VALUES[key] for key in itertools.product((row,), *keys) if key in _VALUES]
    return float(harmonic_mean(values)) if values else np.nan


def cell(row: str, machine: str, domain: str) -> float:
    """Return a printed cell; NaN if the paper has none, as for ``all``.

    >>> cell("AE", "valve", "target"), cell("AE", "valve", "all")
    (0.643, nan)
    """
    return _VALUES.get((row, machine, domain), np.nan)


def compared(row: str, machine: str, domain: str, run: tuple[str, ...]) -> float:
    """Return the figure that a run is compared with: a printed cell, or the harmonic mean of those that correspond.

    Args:
        row: Name of the row.
        machine: A machine type, or ``all`` for those of the run.
        domain: ``source``, ``target`` or ``all``.
        run: Machine types of the run; if the paper lacks one of them, "all" of the run has no counterpart.
    """
    if machine == "all" and not set(run) <= set(MACHINES):
        return np.nan
    return value(row, machine, domain, run)


def audit() -> pd.DataFrame:
    """Compare each row's printed "all" with the value that follows from its cells.

    Returns:
        Columns ``row``; ``printed``; ``from_cells`` (harmonic mean of the 14 cells); ``difference`` (printed minus
        that); ``rounding`` (the largest difference that rounding can explain); ``consistent`` (difference within
        rounding); ``without_toys`` (harmonic mean of the 10 cells of :data:`WITHOUT_TOYS`); ``explained`` (printed
        minus that is within rounding); ``source`` and ``target`` (harmonic means of the 7 cells).
    """
    rows = []
    for row, printed in printed_all().items():
        whole, part = (_with_rounding(row, machines) for machines in (MACHINES, WITHOUT_TOYS))
        rows.append(
            {
                "row": row,
                "printed": printed,
                "from_cells": whole[0],
                "difference": printed - whole[0],
                "rounding": whole[1],
                "consistent": bool(abs(printed - whole[0]) <= whole[1] + 1e-12),
                "without_toys": part[0],
                "explained": bool(abs(printed - part[0]) <= part[1] + 1e-12),
                "source": value(row, domain="source"),
                "target": value(row, domain="target"),
            }
        )
    return pd.DataFrame(rows)


def _with_rounding(row: str, machines: tuple[str, ...]) -> tuple[float, float]:
    """Return the harmonic mean of a row's cells, and how far rounding moves a printed value from it; fractions."""
    values = np.array([_VALUES[row, machine, domain] for machine in machines for domain in DOMAINS])
    mean = float(harmonic_mean(values))
    return mean, float(harmonic_mean(values + ROUNDING)) - mean + ROUNDING  # the cells, and what is printed


def larger_of_ensembles() -> pd.DataFrame:
    """Check whether each cell of the row *max* is the larger of the two ensemble rows, hence chosen with the labels.

    Returns:
        Columns ``machine, domain``, one column per row, and ``is_larger``.
    """
    wide = cells().pivot(index=["machine", "domain"], columns="row", values="value").loc[list(MACHINES)]
    wide = wide[[AE_ENSEMBLE, BC_ENSEMBLE, MAX]].reset_index()
    wide["is_larger"] = wide[MAX] == wide[[AE_ENSEMBLE, BC_ENSEMBLE]].max(axis=1)
    return wide


def compare_first_row(sections: pd.DataFrame) -> pd.DataFrame:
    """Compare another run of the official autoencoder on DCASE2021 with the printed row *Baseline (AE)*.

    Args:
        sections: Its AUC and pAUC: columns ``machine, section, domain, auc, pauc``.

    Returns:
        Columns ``machine, domain, value, paper, difference``; the last row is over all machine types and domains.
    """
    table = cells_of(sections, ("machine", "domain"))
    total = float(harmonic_mean(sections[["auc", "pauc"]]))
    table = pd.concat([table, pd.DataFrame([("all", "all", total)], columns=table.columns)], ignore_index=True)
    table["paper"] = [value(BASELINE_AE, *key) for key in zip(table["machine"], table["domain"], strict=True)]
    table["difference"] = table["value"] - table["paper"]
    return table
