"""Summarise scores as the tables that the book shows."""

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import sounds

from asdlib import Detector, atomic, records
from asdlib.metrics import auc
from asdlib.tables import write_table

SYSTEMS = {
    "score": "detector",
    "without outliers": "without outliers",
    "autoencoder": "autoencoders alone",
    "classifier": "classifiers alone",
    "statistics": "statistics alone",
    "plain/Mahalanobis": "Mahalanobis",
    "plain/nearest neighbour": "nearest neighbour",
}
PLAIN = ["Mahalanobis", "nearest neighbour"]
ALL, DRAWS = "all", 200


def areas(table: pd.DataFrame, clips: np.ndarray) -> pd.DataFrame:
    """Return the AUC of each kind, level and system on some clips (numbers, perhaps repeated)."""
    normal = table[table["group"] == "normal"].set_index("clip").loc[clips]
    rows = {}
    for key, part in table[table["group"] == "fault"].groupby(["condition", "level"], sort=False):
        part = part.set_index("clip").loc[clips]
        labels = np.repeat([0, 1], len(clips))
        rows[key] = {
            name: auc(labels, np.concatenate([normal[column], part[column]])) for column, name in SYSTEMS.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["kind", "level"])


def by_kind(found: pd.DataFrame) -> pd.DataFrame:
    """Average over levels, with a row for all kinds, and the lead over the better plain detector of each kind."""
    kinds = found.groupby("kind", sort=False).mean()
    kinds.loc[ALL] = kinds.mean()
    return kinds.assign(lead=kinds["detector"] - kinds[PLAIN].max(axis=1))


def faults(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the AUC of each condition, and by kind with the lead and its bootstrap interval over clips, paired."""
    clips, rng = table["clip"].unique(), np.random.default_rng(0)
    found = areas(table, clips)
    kinds = by_kind(found)
    better = [PLAIN[index] for index in kinds[PLAIN].to_numpy().argmax(axis=1)]  # fixed, so that a draw cannot choose
    leads, over = [], []
    for _ in range(DRAWS):
        drawn = by_kind(areas(table, rng.choice(clips, len(clips))))
        reference = [drawn.loc[kind, name] for kind, name in zip(kinds.index, better, strict=True)]
        leads.append(drawn["detector"].to_numpy() - reference)
        over.append(drawn["detector"] - drawn["statistics alone"])
    low, high = np.quantile(leads, [0.025, 0.975], axis=0)
    kinds = kinds.assign(better=better, low=low, high=high)
    low, high = np.quantile(over, [0.025, 0.975], axis=0)
    over = kinds["detector"] - kinds["statistics alone"]
    kinds = kinds.assign(over_statistics=over, over_statistics_low=low, over_statistics_high=high)
    return found.reset_index(), kinds.reset_index()


def alarms(table: pd.DataFrame) -> pd.DataFrame:
    """Count alarms, and verdicts that name a change, under each condition; how many faults and spans were hit."""
    changed = table["verdict"].str.contains("changed")
    counted = table.assign(alarms=table["anomaly"].astype(int), named=changed.astype(int), recordings=1)
    columns = ["recordings", "alarms", "named", "faults", "faults_hit", "spans", "spans_right"]
    result = counted.groupby(["group", "condition", "level"], sort=False, dropna=False)[columns].sum()
    return result.astype(int).reset_index()


def long_recordings(table: pd.DataFrame) -> pd.DataFrame:
    """Return the AUC of long recordings with a short fault against those without, which no threshold spoils."""
    normal = table[table["condition"] == "long normal"]
    rows = []
    faults = table[(table["group"] == "long") & (table["condition"] != "long normal")]
    for kind, part in faults.groupby("condition", sort=False):
        labels = np.repeat([0, 1], [len(normal), len(part)])
        rows.append(
            {"kind": kind}
            | {name: auc(labels, np.concatenate([normal[column], part[column]])) for column, name in SYSTEMS.items()}
        )
    return pd.DataFrame(rows)


def write(table: pd.DataFrame, detector: Detector, options) -> None:
    """Write the tables and ``record.json`` to the folder ``options.out``."""
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    tables = dict(zip(("faults", "kinds"), faults(table), strict=True))
    tables |= {"alarms": alarms(table), "long": long_recordings(table)}
    for name, part in tables.items():
        write_table(part, out / f"{name}.csv")
        print(part.to_string())
    stored = detector._fitted().stored
    record = stored.description.record
    made = {
        "machine": options.machine,
        "seed": options.seed,
        "commit": records.commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "long_windows": sounds.LONG,
        "seconds_of_fault": sounds.SHORT,
        "level_of_long": sounds.LONG_LEVEL,
        "fitted": int((stored.clips["machine"] == "machine").sum()),
        "tested": int(table["clip"].nunique()),
        "seconds": stored.description.seconds,
        "false_alarm_rate": stored.description.false_alarm_rate,
        "outliers": [Path(name).name for name in stored.description.outliers],
        "device": record["device"],
        "versions": record["versions"],
        "steps": [
            stored.settings.candidate("autoencoder", "base").training.steps,
            stored.settings.candidate("classifier", "base").training.steps,
        ],
    }
    atomic.write_json(made, out / "record.json")
