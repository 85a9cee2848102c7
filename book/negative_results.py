"""What did not gain, as differences: between rows of Table 1, here and in stored runs, and of the detector's parts."""

from pathlib import Path

import pandas as pd
import real
from paired import paired, verdict
from schematics import counted
from shifts import BEST, OLD, SETS
from stored_results import read
from tables import BLANK, effect, table

from asdlib.ensemble.blocks import EXTENSIONS, MIX, MIX_PLUS, PAPER
from asdlib.evaluation.bootstrap import side
from asdlib.evaluation.paper import BASELINE_AE
from asdlib.evaluation.rows import INTEGRATED, MAHALANOBIS, SYSTEMS

HERE = (
    *((MIX, ensemble) for ensemble in PAPER.ensemble.values()),
    (MIX, MAHALANOBIS),
    *((MIX_PLUS, ensemble) for ensemble in EXTENSIONS.ensemble.values()),
    *((MIX_PLUS, row) for row in (MAHALANOBIS, OLD)),
    *((INTEGRATED, row) for row in (MIX_PLUS, MAHALANOBIS)),
    *((row, MAHALANOBIS) for row in (OLD, BEST)),
)
"""what is compared with what in the book's own run"""
STORED = (
    *((MIX, row) for row in (*PAPER.ensemble.values(), BASELINE_AE, MAHALANOBIS, OLD)),
    *((MIX_PLUS, row) for row in (MAHALANOBIS, OLD, BEST)),
)
"""the same in the stored run on real toy cars, whose kept file has a few differences only"""
SHIFTED = ((MIX_PLUS, MAHALANOBIS), (MIX_PLUS, BEST))
"""the same under several shifts, where rows are stored without the intervals of these differences"""
KNOWN = "known"
"""the set of the stored run itself, whose differences have intervals and more seeds"""
COLUMNS = ["Data", "Difference", "*Cross-fitted*", "*Fixed*", "*Fixed*, target"]
WORDS = ("above it", "below it", "not shown to differ from it")


def pages(differences: pd.DataFrame, real_run: Path, shifts: Path, detector: Path) -> dict[str, str]:
    """Return the generated tables by file name.

    Args:
        differences: ``table1_differences.csv`` of the book's own run.
        real_run: Folder of the stored run on real toy cars.
        shifts: Folder of the stored tables on shifts.
        detector: Folder of the stored tables on the detector.
    """
    rows = [("this run", *_compared(differences, *pair)) for pair in HERE]
    seeds = f"toy cars, {SETS[KNOWN]}, {real.seeds(real_run)}"
    stored = real.over_seeds(real_run, real.DIFFERENCES)
    rows += [(seeds, *_compared(stored, *pair)) for pair in STORED]
    rows += [(seeds, *row) for row in _judged(real.over_seeds(real_run, "claims_extensions.csv"))]
    rows += _shifted(shifts)
    rows = [row for row in rows if any(cell != BLANK for cell in row[2:])]
    caption = (
        "Rows of Table 1 minus rows that are simpler, or that they are made of, in percentage points with intervals; "
        "**bold** where the interval lies below zero. Rows that select nothing stand under *fixed*. Toy cars: stored "
        "runs. Under the other shifts *mix+* has no interval here, since the scores of single clips were not kept. "
        "Intervals are not corrected for the number of differences."
    )
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return {
        "generated/negative_rows.md": table(frame, caption, "negative-rows-table", "llrrr", "4 6 5 5 5"),
        "generated/negative_detector.md": of_detector(detector),
    }


def values(differences: pd.DataFrame) -> dict[str, str]:
    """Return texts for prose: what *Mahalanobis (target)* gains over the plain one in the book's own run."""
    found = _paired(differences, BEST, MAHALANOBIS, "fixed")
    after = _paired(differences, BEST, MAHALANOBIS, "fixed", "target")
    return {"target": effect(*found), "target_verdict": verdict(*found[1:], WORDS), "target_after": effect(*after)}


def _paired(differences: pd.DataFrame, one: str, other: str, selection: str, domain: str = "all") -> tuple[float, ...]:
    """Look up a difference by a selection; a row that selects nothing has one figure, which stands under *fixed*."""
    keys = [(row, "" if row in SYSTEMS else selection) for row in (one, other)]
    if selection != "fixed" and not any(chosen for _, chosen in keys):
        return (float("nan"),) * 3
    return paired(differences, *keys, "all", domain)


def _compared(differences: pd.DataFrame, one: str, other: str) -> tuple[str, ...]:
    cases = (("cross-fitted", "all"), ("fixed", "all"), ("fixed", "target"))
    cells = (_marked(*_paired(differences, one, other, *case)) for case in cases)
    return _named(one, other), *cells


def _judged(claims: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return what *mix+* gains over each of its ensembles, of which the claim keeps the one that decides."""
    words = f"{MIX_PLUS} minus {' and minus '.join(EXTENSIONS.ensemble.values())}"
    found = claims[claims["test"].str.startswith(words)]
    return [(f"{words}, the lower", _marked(row.effect, row.low, row.high), BLANK, BLANK) for row in found.itertuples()]


def _shifted(folder: Path) -> list[tuple[str, ...]]:
    """Return differences of stored figures, whose intervals were not computed."""
    frame = pd.concat([read(folder / f"{name}.csv") for name in ("one_model", "one_model_more")])
    cell, rows = frame[frame["set"] != "mean"].set_index(["set", "system", "domain"]), []
    for name in cell.index.unique("set").drop(KNOWN, errors="ignore"):
        data = f"toy cars, {SETS[name]}, {counted(int(cell.loc[name]['seeds'].min()), 'seed')}"
        for one, other in SHIFTED:
            gains = [cell["value"][name, one, part] - cell["value"][name, other, part] for part in ("all", "target")]
            rows.append((data, _named(one, other), BLANK, *(effect(gain, *[float("nan")] * 2) for gain in gains)))
    return rows


def of_detector(folder: Path) -> str:
    """Return a table of the whole detector minus its part without a network."""
    kinds, long, cars = (read(folder / f"{name}.csv") for name in ("kinds", "long", "real"))
    rows = [
        (f"slider, {row.kind}", row.detector, row.alone, (row.over_statistics, row.low, row.high))
        for row in kinds.drop(columns=["low", "high"])
        .rename(columns={"statistics alone": "alone", "over_statistics_low": "low", "over_statistics_high": "high"})
        .itertuples()
    ]
    for row in long.rename(columns={"statistics alone": "alone"}).itertuples():
        rows.append((f"slider, {row.kind}", row.detector, row.alone, (row.detector - row.alone, *[float("nan")] * 2)))
    car = cars.set_index("system")
    alone = car.loc["statistics only"]
    rows.append(("toy car, real faults", car["auc"]["detector"], alone["auc"], tuple(alone[["lead", "low", "high"]])))
    shown = [(name, f"{100 * whole:.1f}", f"{100 * part:.1f}", _marked(*lead)) for name, whole, part, lead in rows]
    caption = (
        "The detector with networks minus its statistics without a network: AUC in per cent, and the difference in "
        "points with intervals over recordings, **bold** where it lies below zero; *long* is a fault of "
        "{numref}`long-table`, without an interval. Stored results, made as in {numref}`plain-detectors-table` and "
        "{numref}`real-faults-table`."
    )
    columns = ["Faults", "Whole detector", "Statistics", "Difference"]
    return table(pd.DataFrame(shown, columns=columns), caption, "negative-detector-table", "lrrr")


def _named(one: str, other: str) -> str:
    return f"{one} minus {other}".replace(MIX, "mix")


def _marked(value: float, low: float, high: float) -> str:
    text = effect(value, low, high)
    return f"**{text}**" if side(low, high) < 0 else text
