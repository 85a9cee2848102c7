"""The detector next to two plain ones, made of the tables in ``results/detector`` (``benchmarks/faults/run.py``)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from paired import verdict
from tables import BLANK, day, effect, percent, table, typeset

from asdlib.detector import Detector, calibration, cutting, level, survey
from asdlib.evaluation.values import slug

TWO = ["Mahalanobis", "nearest neighbour"]
COLUMNS = ["detector", *TWO, "without outliers"]
ALL = ["detector", "statistics alone", *TWO, "without outliers", "autoencoders alone", "classifiers alone"]
ABSENT = "Not measured yet: `python benchmarks/faults/run.py` does it where the real recordings are.\n"


RECORDINGS = (20, 40, 80, 100, 200, 400)
"""numbers of recordings in the table of rates"""
RATE = Detector().false_alarm_rate
"""unless another is asked for"""
EVERY = 10
"""minutes between the recordings of the table's last column"""


def values(folder: Path) -> dict[str, str]:
    """Return texts for prose: defaults of the detector, and what it misses in the benchmark."""
    texts = {
        "rate": f"{100 * RATE:g} %",
        "level_limit": f"{level.LIMIT:g} dB",
        "held_out": f"{100 * cutting.HELD_OUT:g} %",
        "fewest": str(cutting.FEWEST),
        "few_files": str(survey.FEW_FILES),
    }
    if not (folder / "record.json").is_file():
        return texts
    kinds = pd.read_csv(folder / "kinds.csv").set_index("kind")
    alarms = pd.read_csv(folder / "alarms.csv")
    whole = kinds.loc["all"]
    texts["statistics"], texts["detector"] = percent(whole["statistics alone"]), percent(whole["detector"])
    texts["over_statistics"] = effect(*whole[[f"over_statistics{end}" for end in ("", "_low", "_high")]])
    low, high = whole[["over_statistics_low", "over_statistics_high"]]
    words = ("add to the statistics", "cost more than they bring", "are not shown to add anything")
    texts["networks"] = verdict(low, high, words)
    texts["over_plain"] = effect(*whole[["lead", "low", "high"]])
    found = alarms[alarms["group"] == "fault"].groupby("condition", sort=False)[["alarms", "recordings"]].sum()
    texts |= {slug(kind): _share(row["alarms"], row["recordings"]) for kind, row in found.iterrows()}
    short = alarms[(alarms["group"] == "long") & (alarms["condition"] != "long normal")]
    texts["short"] = _share(short["alarms"].sum(), short["recordings"].sum())
    row = alarms[alarms["condition"] == "voice +0 dB"].iloc[0]
    texts["voice"] = _share(row["alarms"], row["recordings"])
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    return texts | {
        "day": day(record["date"]),
        "commit": record["commit"],
        "long_level": typeset(f"{record['level_of_long']} dB"),
    }


def rates() -> str:
    """Return how many recordings allow which rate of false alarms, by the detector's own formulas."""
    rows = []
    for count in RECORDINGS:
        held_out = round(cutting.HELD_OUT * count)
        found = calibration.Calibration(np.arange(held_out, dtype=float), RATE).expected()
        lowest, day_long = 1 / (held_out + 1), 24 * 60 / EVERY
        rows.append(
            (
                f"{count:,}",
                str(held_out),
                f"{100 * found['rate']:.1f} % ({100 * found['low']:.1f} to {100 * found['high']:.1f})",
                f"{found['rate'] * day_long:.0f} ({found['low'] * day_long:.0f} to {found['high'] * day_long:.0f})",
                f"{100 * lowest:.1f} %",
                f"{lowest * day_long:.0f}",
            )
        )
    asked = f"at {100 * RATE:g} %"
    columns = ["Recordings", "Held out", f"Rate {asked}", f"A day {asked}", "Lowest rate", "A day at the lowest"]
    caption = (
        f"False alarms by the number of normal recordings, each about as long as the others: if {100 * RATE:g} % is "
        "asked for, and at the lowest rate that so many recordings allow; as a rate, and as a number per day with one "
        f"recording every {EVERY} minutes. Over many detectors fitted in this way the mean is at most the first "
        "figure; that of a single one lies in the brackets with 95 % confidence."
    )
    return table(pd.DataFrame(rows, columns=columns), caption, "rates-table", "rrrrrr")


def pages(folder: Path) -> dict[str, str]:
    """Return the generated tables by file name."""
    return {"generated/rates.md": rates()} | _measured(folder)


def _measured(folder: Path) -> dict[str, str]:
    if not (folder / "record.json").is_file():
        return dict.fromkeys(
            (f"generated/{name}.md" for name in ("plain_detectors", "no_faults", "places", "long")), ABSENT
        )
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    kinds, levels, alarms = (pd.read_csv(folder / f"{name}.csv") for name in ("kinds", "faults", "alarms"))
    return {
        "generated/plain_detectors.md": _kinds(kinds, record) + "\n" + _levels(levels),
        "generated/no_faults.md": _no_faults(alarms, record),
        "generated/places.md": _places(alarms, record),
        "generated/long.md": _long(pd.read_csv(folder / "long.csv"), record),
    }


def _share(part: float, of: float) -> str:
    return f"{part:.0f} of {of:.0f}" if of else BLANK


def _kinds(kinds: pd.DataFrame, record: dict) -> str:
    steps = " and ".join(map(str, record["steps"]))
    caption = (
        f"AUC in per cent by kind of fault, mean over its levels: {record['tested']} normal recordings of a real "
        f"{record['machine']}, {record['seconds']:g} s each, without and with a fault; {record['fitted']} others to "
        f"fit, outliers {', '.join(record['outliers'])}; autoencoders and classifiers trained for {steps} steps. The "
        "lead is over the better plain detector, with its 95 % interval over recordings. Commit "
        f"`{record['commit']}`."
    )
    shown = kinds[["kind"]].rename(columns={"kind": "Fault"})
    shown["Lead"] = [effect(row.lead, row.low, row.high) for row in kinds.itertuples()]
    for name in ALL:
        shown[name[:1].upper() + name[1:]] = kinds[name].map(lambda value: f"{100 * value:.1f}")
    return table(shown, caption, "plain-detectors-table", "l" + "r" * (len(shown.columns) - 1))


def _levels(levels: pd.DataFrame) -> str:
    caption = "The same for each level, in dB re the recording while the fault sounds."
    shown = levels[["kind"]].rename(columns={"kind": "Fault"})
    shown["Level"] = levels["level"].map("{:.0f}".format)
    for name in COLUMNS:
        shown[name[:1].upper() + name[1:]] = levels[name].map(lambda value: f"{100 * value:.1f}")
    return table(shown, caption, "plain-levels-table", "l" + "r" * 5)


def _long(long: pd.DataFrame, record: dict) -> str:
    caption = (
        f"The same for {record['tested']} recordings of {record['long_windows'] * record['seconds']:g} s, without and "
        f"with a fault of {record['seconds_of_fault']:g} s at {record['level_of_long']} dB."
    )
    shown = long[["kind"]].rename(columns={"kind": "Fault"})
    for name in ALL:
        shown[name[:1].upper() + name[1:]] = long[name].map(lambda value: f"{100 * value:.1f}")
    return table(shown, caption, "long-table", "l" + "r" * (len(shown.columns) - 1))


def _no_faults(alarms: pd.DataFrame, record: dict) -> str:
    part = alarms[alarms["group"].isin(["normal", "harmless"])]
    shown = pd.DataFrame({"Change": part["condition"]})
    for title, column in (("Alarms", "alarms"), ("Change named", "named")):
        shown[title] = [_share(row[column], row["recordings"]) for _, row in part.iterrows()]
    caption = (
        "Verdicts on the same normal recordings after a change that is not a fault; the aim is "
        f"{100 * record['false_alarm_rate']:.0f} % of false alarms. A tilt is in dB per octave, a filter of first "
        "order in Hz. Voices and passing vehicles are synthetic, at a level re the recording."
    )
    return table(shown, caption, "no-faults-table", "lrr")


def _places(alarms: pd.DataFrame, record: dict) -> str:
    part = alarms[alarms["group"].isin(["fault", "long"])]
    part = part.groupby("condition", sort=False).sum(numeric_only=True).reset_index()
    shown = pd.DataFrame({"Fault": part["condition"]})
    for title, column, of in (
        ("Alarms", "alarms", "recordings"),
        ("Named a change", "named", "recordings"),
        ("Faults hit", "faults_hit", "faults"),
        ("Spans that hit", "spans_right", "spans"),
    ):
        shown[title] = [_share(row[column], row[of]) for _, row in part.iterrows()]
    caption = (
        "Alarms over all levels, and where known whether the spans of these alarms lie on the fault, in time and "
        f"frequency. The long recordings are {record['long_windows']} of the others in a row, and their faults have "
        f"{record['level_of_long']} dB."
    )
    return table(shown, caption, "places-table", "lrrrr")
