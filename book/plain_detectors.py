"""The detector next to two plain ones, made of the tables in ``results/detector`` (``benchmarks/faults/run.py``)."""

import json
from pathlib import Path

import pandas as pd
from tables import BLANK, signed, table

TWO = ["Mahalanobis", "nearest neighbour"]
COLUMNS = ["detector", "without outliers", *TWO]
ABSENT = "Not measured yet: `python benchmarks/faults/run.py` does it where the real recordings are.\n"


def pages(folder: Path) -> dict[str, str]:
    """Return the generated tables by file name."""
    if not (folder / "record.json").is_file():
        return dict.fromkeys(("generated/plain_detectors.md", "generated/no_faults.md", "generated/places.md"), ABSENT)
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    kinds, levels, alarms = (pd.read_csv(folder / f"{name}.csv") for name in ("kinds", "faults", "alarms"))
    return {
        "generated/plain_detectors.md": _kinds(kinds, record) + "\n" + _levels(levels),
        "generated/no_faults.md": _no_faults(alarms, record),
        "generated/places.md": _places(alarms),
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
    for name in [*COLUMNS, "autoencoders alone", "classifiers alone", "statistics alone"]:
        shown[name[:1].upper() + name[1:]] = kinds[name].map(lambda value: f"{100 * value:.1f}")
    shown["Lead"] = [
        f"{signed(row.lead)} ({100 * row.low:.1f} to {100 * row.high:.1f})" for row in kinds.itertuples()
    ]
    return table(shown, caption, "plain-detectors-table", "l" + "r" * (len(shown.columns) - 1))


def _levels(levels: pd.DataFrame) -> str:
    caption = "The same for each level, in dB re the recording while the fault sounds."
    shown = levels[["kind"]].rename(columns={"kind": "Fault"})
    shown["Level"] = levels["level"].map("{:.0f}".format)
    for name in COLUMNS:
        shown[name[:1].upper() + name[1:]] = levels[name].map(lambda value: f"{100 * value:.1f}")
    return table(shown, caption, "plain-levels-table", "l" + "r" * 5)


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


def _places(alarms: pd.DataFrame) -> str:
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
        "frequency. The long recordings last a minute."
    )
    return table(shown, caption, "places-table", "lrrrr")
