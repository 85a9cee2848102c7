"""What detectors find of real faults of a toy car, and of mixed faults by their level (``benchmarks/faults``)."""

from pathlib import Path

import pandas as pd
from paired import verdict
from stored_results import read
from tables import BLANK, day, effect, percent, table, typeset

from asdlib.atomic import read_json

WORDS = "add to the statistics", "cost more than they bring", "are not shown to add anything"
"""what the interval of the whole detector's lead over its statistics says of the networks"""
SIMPLER_WORDS = ("rank better", "rank worse", "are not shown to rank differently")
"""what the interval of the statistics' lead over the Mahalanobis distance says"""


FOUND, FALSE = ["found", "with_fault"], ["false_alarms", "normals"]


def share(part: float, of: float) -> str:
    return f"{part:.0f} of {of:.0f}" if of and pd.notna(part) else BLANK


def shares(counts: pd.DataFrame, column: str, of: str) -> list[str]:
    return [share(part, whole) for part, whole in zip(counts[column], counts[of], strict=True)]


def titled(name: str) -> str:
    """Return a name with a capital."""
    return name[:1].upper() + name[1:]


def texts(folder: Path) -> dict[str, str]:
    """Return what the detector finds of real faults."""
    real = read(folder / "real.csv").set_index("system")
    whole, statistics = real.loc["detector"], real.loc["statistics only"]
    rates = read(folder / "rates.csv").set_index(["machine", "rate"])
    own, lowest = rates.index.unique("rate").max(), rates.index.unique("rate").min()
    cars = {"a": "toy car A, real faults", "b": "toy car B, real faults"}
    by_car = {f"real_found_{key}": share(*rates.loc[(car, own), FOUND]) for key, car in cars.items()}
    by_car |= {f"real_false_{key}": share(*rates.loc[(car, own), FALSE]) for key, car in cars.items()}
    both = rates.loc[list(cars.values())].groupby("rate")[FOUND].sum()
    mixed = rates.loc[("slider, mixed faults", own)]
    simpler = read(folder / "real_simpler.csv").set_index("system").loc["Mahalanobis", ["lead", "low", "high"]]
    return {
        "real_found": share(whole["found"], whole["faults"]),
        "real_false": share(whole["false_alarms"], whole["normals"]),
        "real_found_only": share(statistics["found"], statistics["faults"]),
        "real_false_only": share(statistics["false_alarms"], statistics["normals"]),
        "real_auc": percent(whole["auc"]),
        "real_auc_only": percent(statistics["auc"]),
        "real_auc_plain": percent(real.loc["Mahalanobis", "auc"]),
        "real_alone": percent(real.loc["networks alone", "auc"]),
        "real_networks": verdict(statistics["low"], statistics["high"], WORDS),
        "real_only_over_plain": effect(*simpler),
        "real_simpler": verdict(*simpler[1:], SIMPLER_WORDS),
        "real_over_networks": effect(*real.loc["networks alone", ["lead", "low", "high"]]),
        "real_over_statistics": effect(*statistics[["lead", "low", "high"]]),
        "real_found_both": share(*both.loc[own]),
        "real_found_lowest": share(*both.loc[lowest]),
        "lowest_rate": f"{100 * lowest:g} %",
        "only_places": share(mixed["faults_hit"], mixed["found"]),
    } | by_car


def stamp(folder: Path) -> tuple[str, str]:
    """What the data are, and what made the tables."""
    facts = (
        "Recordings of a real slider, into which faults were mixed, and of two toy cars of DCASE2020 with real faults, "
        "whose waveforms were synthesised again from spectrograms; none is part of this project. The "
        "detectors were developed on the slider and on car A, so only car B is blind. "
        f"{day(read_json(folder / 'record.json')['date'])} and later."
    )
    return "**Detectors on real recordings: stored tables**, not the run of other pages", facts


def real_faults(folder: Path) -> str:
    """Return the table of real faults."""
    real = read(folder / "real.csv")
    record = read_json(folder / "real.record.json")
    shown = real[["system"]].rename(columns={"system": "Detector"})
    shown["Detector"] = shown["Detector"].map(titled)
    shown["AUC"] = real["auc"].map(lambda value: f"{100 * value:.1f}")
    shown["The detector's lead"] = [
        BLANK if row.system == "detector" else effect(row.lead, row.low, row.high) for row in real.itertuples()
    ]
    shown["Faults found"] = shares(real, "found", "faults")
    shown["False alarms"] = shares(real, "false_alarms", "normals")
    caption = (
        "Real faults of car A, re-synthesised, without a change of conditions: AUC in per cent, the detector's "
        "lead in points with its 95 % interval over recordings, and verdicts at thresholds for "
        f"{100 * record['false_alarm_rate']:g} % of false alarms. All learnt from the same {record['learnt']} normal "
        f"recordings, with thresholds set on {record['held_out']} others. Only *statistics only*, which "
        "`fit --statistics-only` makes, uses all of them for both. Autoencoders were trained for "
        f"{record['steps'][0]} steps, classifiers for {record['steps'][1]}. Commit `{record['commit']}`."
    )
    return table(shown, caption, "real-faults-table", "lrrrr")


def by_level(alarms: pd.DataFrame, record: dict) -> str:
    """Return how many mixed faults of each kind and level a detector of statistics only finds.

    Args:
        alarms: ``plain_alarms.csv``.
        record: Of the same.
    """
    faults = alarms[alarms["group"] == "fault"]
    found = faults.pivot(index="condition", columns="level", values="statistics only").astype(int)
    found = found.loc[faults["condition"].unique()]  # in the order of the file
    normal = alarms[alarms["group"] == "normal"].iloc[0]
    shown = found.reset_index(names="Fault").rename(
        columns=lambda name: typeset(f"{name:g} dB") if name != "Fault" else name
    )
    caption = (
        f"Statistics only: how many of {normal['recordings']} recordings with a mixed fault are called anomalies, by "
        f"the level of the fault relative to the machine. Of as many without a fault {normal['statistics only']} are. "
        f"The rate asked for is {100 * record['false_alarm_rate']:g} %. Commit `{record['commit']}`."
    )
    return table(shown, caption, "by-level-table", "l" + "r" * found.shape[1])


def at_rates(folder: Path) -> str:
    """Return what a detector of statistics only finds at each rate of false alarms that is asked for."""
    frame, record = read(folder / "rates.csv"), read_json(folder / "rates.record.json")
    rows = []
    for rate, part in frame.groupby("rate", sort=False):
        by = part.set_index("machine")
        cells = [f"{share(*row[FOUND])}; {share(*row[FALSE])}" for _, row in by.iterrows()]
        rows.append((f"{100 * rate:g} %", *cells))
    caption = (
        "Statistics only, of sixty recordings: anomalies among recordings with a fault, and after the semicolon among "
        "normal ones, by the rate of false alarms that is asked for. The mixed faults are those of "
        "{numref}`by-level-table`; a copy among the recordings to learn from, which that table did not notice, is left "
        f"out here. Commit `{record['commit']}`."
    )
    columns = ["Rate asked for", *frame["machine"].unique()]
    return table(pd.DataFrame(rows, columns=columns), caption, "at-rates-table", "lrrr")
