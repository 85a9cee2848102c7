"""Show how a detector does after a change that it has not learnt (``benchmarks/faults/changed_conditions.py``)."""

from pathlib import Path

import pandas as pd
from stored_results import read
from tables import BLANK, data, table

from asdlib.atomic import read_json
from asdlib.evaluation.values import slug

WAYS = {
    "as it is": "As it is",
    "thresholds set again": "`calibrate`",
    "three changed": "`--changed`",
    "three changed, thresholds set again": "`--changed`, `calibrate`",
    "fitted again": "Fitted again",
}
"""what the benchmark calls each way to judge after a change, and the column that shows it"""
BEFORE, REFITTED = "before the change", "fitted again"
COUNTS = ["found", "faults", "false_alarms", "normals"]


def changed(folder: Path) -> str:
    """Return the table: a row for each change, a column for each way, faults found and false alarms in each cell."""
    frame, record = read(folder / "changed.csv"), read_json(folder / "changed.record.json")
    by = frame.groupby(["change", "way"], sort=False)[COUNTS].sum()
    before = frame[frame["way"] == BEFORE].drop_duplicates("section")[COUNTS].sum()  # two cars, each in several changes
    rows = [(BEFORE, _judged(before), _alarms(before), *[BLANK] * (len(WAYS) - 1))]
    for change in frame["change"].unique():
        rows.append((change, _judged(by.loc[change, REFITTED]), *(_alarms(by.loc[change, way]) for way in WAYS)))
    caption = (
        "Anomalies after a change, of the toy cars: faults found, and after the comma false alarms. The detector has "
        f"statistics only, of {record['learnt']} recordings from before the change, and aims at "
        f"{100 * record['false_alarm_rate']:g} % of false alarms. *`calibrate`*: thresholds were set again on "
        f"{record['calibrated']} normal recordings from after the change. "
        "*`--changed`*: three recordings from after it were given to `fit`. *Fitted again*: on those "
        f"{record['calibrated']} alone. The changes are simulated, except *another car*. Commit `{record['commit']}`."
        + data("downloads/detector_changed.csv")
    )
    columns = ["Change", "Judged: faults, normal", *WAYS.values()]
    return table(pd.DataFrame(rows, columns=columns), caption, "changed-table", "lrrrrrr")


def texts(folder: Path) -> dict[str, str]:
    """Return what prose says of it: shares over all changes by way, and the range of the AUC when fitted again."""
    frame = read(folder / "changed.csv")
    found = {}
    for way, row in frame[frame["way"] != BEFORE].groupby("way")[COUNTS].sum().iterrows():
        name = slug("changed", way)
        found[f"{name}_found"] = f"{row['found']:,} of {row['faults']:,} faults"
        found[f"{name}_false"] = f"{row['false_alarms']:,} of {row['normals']:,} normal recordings"
    after = frame.loc[frame["way"] == REFITTED, "auc"]
    return found | {"changed_auc": f"{100 * after.min():.0f} to {100 * after.max():.0f} %"}


def _judged(row: pd.Series) -> str:
    return f"{row['faults']}, {row['normals']}"


def _alarms(row: pd.Series) -> str:
    return f"{row['found']}, {row['false_alarms']}"
