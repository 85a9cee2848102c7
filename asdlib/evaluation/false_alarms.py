"""Compare the intended, stated and measured rates of false alarms, for every section and domain of a run."""

import numpy as np
import pandas as pd

from asdlib.ensemble.blocks import AE, BC, MIX, MIX_PLUS
from asdlib.evaluation.decision import measure_rates
from asdlib.evaluation.rows import SYSTEMS, key

ROWS = (*SYSTEMS, AE, BC, MIX, MIX_PLUS)
"""rows whose decisions are evaluated: those that need no label"""
COLUMNS = ["row", "selection", "machine", "section", "domain", "threshold", "reference_clips", "aim", "stated_low",
           "stated_high", "normal_clips", "false_alarms", "inside", "recall"]  # fmt: skip


def false_alarms(frame: pd.DataFrame, quantile: float) -> pd.DataFrame:
    """Compare the stated rate of false alarms with the rate measured on normal test clips.

    The threshold is an order statistic of the section's and domain's reference clips
    (:func:`asdlib.evaluation.empirical.empirical_threshold`).

    Args:
        frame: Score rows with the further columns ``row, selection`` (:func:`asdlib.evaluation.table1.read`).
        quantile: One minus the intended rate.

    Returns:
        Columns :data:`COLUMNS`, rates as fractions. ``stated_low`` and ``stated_high`` bound the measured rate with a
        probability of :data:`asdlib.evaluation.decision.CONFIDENCE`, and ``inside`` is ``yes`` or ``no``; the target
        domain has neither, since its reference clips are not from the target domain.
    """
    parts = []
    for row in ROWS:
        name, selection = key(row, "fixed")
        part = frame[(frame["row"] == name) & (frame["selection"] == selection)]
        if part.empty:
            continue
        rates = measure_rates(part, quantile).assign(row=row, selection=selection, aim=round(1 - quantile, 12))
        rates = rates.rename(columns={"clips": "reference_clips", "low": "stated_low", "high": "stated_high"})
        stated = rates["stated_low"].notna()
        within = rates["false_alarms"].between(rates["stated_low"] - 1e-12, rates["stated_high"] + 1e-12)
        rates["inside"] = np.where(stated, np.where(within, "yes", "no"), "")
        parts.append(rates.rename(columns={"normal": "normal_clips"}))
    return pd.concat(parts, ignore_index=True)[COLUMNS].astype({"normal_clips": "Int64"})


def counts(table: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """Count, by row and selection, the sections whose measured rate lies in the stated interval, and all sections."""
    stated = table[table["inside"] != ""]
    groups = stated.groupby(["row", "selection"], sort=False)["inside"]
    return {key: (int((part == "yes").sum()), len(part)) for key, part in groups}
