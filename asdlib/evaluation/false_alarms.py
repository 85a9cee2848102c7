"""Which rate of false alarms decisions aim at, state and have, for every section and domain of a run."""

from pathlib import Path

import numpy as np
import pandas as pd

from asdlib.ensemble.blocks import AE, BC, MIX, MIX_PLUS
from asdlib.evaluation.decision import measured
from asdlib.evaluation.rows import SYSTEMS, key

ROWS = (*SYSTEMS, AE, BC, MIX, MIX_PLUS)
"""rows whose decisions are looked at: those that need no label"""
COLUMNS = ["row", "selection", "machine", "section", "domain", "threshold", "reference_clips", "aim", "stated_low",
           "stated_high", "normal_clips", "false_alarms", "inside", "recall"]  # fmt: skip


def false_alarms(frame: pd.DataFrame, quantile: float) -> pd.DataFrame:
    """Compare the false alarms that are stated with those on normal test clips.

    The threshold is an order statistic of the section's and domain's reference clips
    (:func:`asdlib.evaluation.decision.empirical_threshold`).

    Args:
        frame: Score rows with the further columns ``row, selection`` (:func:`asdlib.evaluation.table1.read`).
        quantile: One minus the rate that is aimed at.

    Returns:
        Columns :data:`COLUMNS`, rates as fractions. ``stated_low`` and ``stated_high`` bound the measured rate with a
        probability of :data:`asdlib.evaluation.decision.CONFIDENCE`, and ``inside`` says ``yes`` or ``no``; the target
        domain has neither, since its reference clips are no target clips.
    """
    parts = []
    for row in ROWS:
        name, selection = key(row, "fixed")
        part = frame[(frame["row"] == name) & (frame["selection"] == selection)]
        if part.empty:
            continue
        found = measured(part, quantile).assign(row=row, selection=selection, aim=round(1 - quantile, 12))
        found = found.rename(columns={"clips": "reference_clips", "low": "stated_low", "high": "stated_high"})
        stated = found["stated_low"].notna()
        within = found["false_alarms"].between(found["stated_low"] - 1e-12, found["stated_high"] + 1e-12)
        found["inside"] = np.where(stated, np.where(within, "yes", "no"), "")
        parts.append(found.rename(columns={"normal": "normal_clips"}))
    return pd.concat(parts, ignore_index=True)[COLUMNS].astype({"normal_clips": "Int64"})


def counts(table: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """By row and selection: in how many sections the measured rate lies inside the stated interval, and of how many."""
    stated = table[table["inside"] != ""]
    groups = stated.groupby(["row", "selection"], sort=False)["inside"]
    return {key: (int((part == "yes").sum()), len(part)) for key, part in groups}


def read(path: Path) -> pd.DataFrame:
    """Read the table that :func:`false_alarms` made and a run keeps."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    texts = ("row", "selection", "machine", "section", "domain", "inside")
    return frame.assign(**{name: pd.to_numeric(frame[name]) for name in frame if name not in texts})
