"""The detector next to two plain ones, made of the tables in ``results/detector`` (``benchmarks/faults/run.py``)."""

from pathlib import Path

import changed_detector
import costs
import detector_found
import pandas as pd
from detector_found import WORDS, share, shares, titled
from paired import verdict
from stored_results import read
from tables import day, effect, percent, table, typeset
from your_machine_alarms import RATE, RULE, by_rule, pieces, rates, rules

from asdlib.atomic import read_json
from asdlib.detector import cutting, level, survey
from asdlib.evaluation.values import slug

TWO = ["Mahalanobis", "nearest neighbour"]
COLUMNS = ["detector", *TWO, "without outliers"]
SIMPLER = ["statistics only", *TWO]
"""of these the first is what ``fit --statistics-only`` makes"""
ALL = ["detector", "statistics alone", *TWO, "without outliers", "autoencoders alone", "classifiers alone"]
NAMES = "With networks, names a change"
ABSENT = "Not measured yet: `python benchmarks/faults/run.py` does it where the real recordings are.\n"


def values(folder: Path) -> dict[str, str]:
    """Return texts for prose: defaults of the detector, and what it misses in the benchmark."""
    texts = {
        "rate": f"{100 * RATE:g} %",
        "level_limit": f"{level.LIMIT:g} dB",
        "held_out": f"{100 * cutting.HELD_OUT:g} %",
        "fewest": str(cutting.FEWEST),
        "enough_target": str(cutting.ENOUGH_TARGET),
        "few_files": str(survey.FEW_FILES),
        "least": str(RULE[0]),
        "last": str(RULE[1]),
    }
    if (service := folder.parent / "service.csv").is_file():
        texts |= costs.service_texts(read(service))
    if not (folder / "record.json").is_file():
        return texts
    kinds = read(folder / "kinds.csv").set_index("kind")
    alarms = read(folder / "alarms.csv")
    whole = kinds.loc["all"]
    texts["statistics"], texts["detector"] = percent(whole["statistics alone"]), percent(whole["detector"])
    texts["over_statistics"] = effect(*whole[[f"over_statistics{end}" for end in ("", "_low", "_high")]])
    low, high = whole[["over_statistics_low", "over_statistics_high"]]
    texts["networks"] = verdict(low, high, WORDS)
    texts["over_plain"] = effect(*whole[["lead", "low", "high"]])
    found = alarms[alarms["group"] == "fault"].groupby("condition", sort=False)[["alarms", "recordings"]].sum()
    texts |= {slug(kind): share(row["alarms"], row["recordings"]) for kind, row in found.iterrows()}
    texts |= _simpler(folder, alarms) | changed_detector.texts(folder) | by_rule(folder)
    texts |= detector_found.texts(folder)
    row = alarms[alarms["condition"] == "voice +0 dB"].iloc[0]
    texts["voice"] = share(row["alarms"], row["recordings"])
    record = read_json(folder / "record.json")
    return texts | {
        "day": day(record["date"]),
        "commit": f"`{record['commit']}`",
        "long_level": typeset(f"{record['level_of_long']} dB"),
    }


def _simpler(folder: Path, alarms: pd.DataFrame) -> dict[str, str]:
    """Return how many faults, normal recordings and changes of level raise an alarm of each detector."""
    counts, record = _with_simpler(folder, alarms), read_json(folder / "record.json")
    groups = {
        "faults": counts["group"] == "fault",
        "normals": counts["group"] == "normal",
        "levels": counts["condition"].str.startswith("level"),
        "long_whine": counts["condition"].str.startswith("long whine"),
        "cut_whine": (counts["condition"] == "whine of 1 s") & (counts["level"] == record["level_of_long"]),
    }
    kinds = counts[counts["group"] == "fault"].groupby("condition", sort=False)
    alone = {
        f"{slug(kind)}_statistics_only": share(part["statistics only"].sum(), part["recordings"].sum())
        for kind, part in kinds
    }
    return alone | {
        f"{group}_{slug(name)}": share(counts.loc[rows, name].sum(), counts.loc[rows, "recordings"].sum())
        for group, rows in groups.items()
        for name in ("alarms", *SIMPLER)
    }


def _with_simpler(folder: Path, alarms: pd.DataFrame) -> pd.DataFrame:
    """Add the alarms of simpler detectors on the same recordings (``benchmarks/faults/plain_alarms.py``)."""
    keys = ["group", "condition", "level"]
    others = read(folder / "plain_alarms.csv").drop(columns="recordings")
    return alarms.merge(others, on=keys, how="left", validate="one_to_one")


def pages(folder: Path) -> dict[str, str]:
    """Return the generated tables by file name."""
    computed = {"generated/rates.md": rates(), "generated/rules.md": rules(), "generated/pieces.md": pieces()}
    return computed | _measured(folder)


def _measured(folder: Path) -> dict[str, str]:
    if not (folder / "record.json").is_file():
        names = ("plain_detectors", "no_faults", "places", "long", "real_faults", "by_level", "at_rates", "changed")
        return dict.fromkeys((f"generated/{name}.md" for name in names), ABSENT)
    record = read_json(folder / "record.json")
    kinds, levels, alarms = (read(folder / f"{name}.csv") for name in ("kinds", "faults", "alarms"))
    alarms = _with_simpler(folder, alarms)
    simpler = read_json(folder / "plain_alarms.record.json")
    return {
        "generated/plain_detectors.md": _kinds(kinds, record) + "\n" + _levels(levels),
        "generated/no_faults.md": _no_faults(alarms, record),
        "generated/changed.md": changed_detector.changed(folder),
        "generated/places.md": _places(alarms, record, simpler),
        "generated/real_faults.md": detector_found.real_faults(folder),
        "generated/by_level.md": detector_found.by_level(read(folder / "plain_alarms.csv"), simpler),
        "generated/at_rates.md": detector_found.at_rates(folder),
        "generated/long.md": _long(read(folder / "long.csv"), record),
    }


def _kinds(kinds: pd.DataFrame, record: dict) -> str:
    steps = " and ".join(map(str, record["steps"]))
    caption = (
        f"AUC in per cent by kind of fault, mean over its levels, on {record['tested']} normal recordings of a real "
        f"{record['machine']}, {record['seconds']:g} s each, without and with a fault. {record['fitted']} others were "
        f"fitted, with outliers {', '.join(record['outliers'])}; autoencoders and classifiers were trained for {steps} "
        "steps. The lead is over the better plain detector, with its 95 % interval over recordings. *Alone* is a part "
        f"of the detector. Commit `{record['commit']}`."
    )
    shown = kinds[["kind"]].rename(columns={"kind": "Fault"})
    shown["Lead"] = [effect(row.lead, row.low, row.high) for row in kinds.itertuples()]
    for name in ALL:
        shown[titled(name)] = kinds[name].map(lambda value: f"{100 * value:.1f}")
    return table(shown, caption, "plain-detectors-table", "l" + "r" * (len(shown.columns) - 1))


def _levels(levels: pd.DataFrame) -> str:
    caption = "The same for each level, in dB re the recording while the fault sounds."
    shown = levels[["kind"]].rename(columns={"kind": "Fault"})
    shown["Level"] = levels["level"].map("{:.0f}".format)
    for name in COLUMNS:
        shown[titled(name)] = levels[name].map(lambda value: f"{100 * value:.1f}")
    return table(shown, caption, "plain-levels-table", "l" + "r" * 5)


def _long(long: pd.DataFrame, record: dict) -> str:
    caption = (
        f"AUC in per cent for {record['tested']} recordings of {record['long_windows'] * record['seconds']:g} s, "
        f"without and with a fault of {record['seconds_of_fault']:g} s at {record['level_of_long']} dB."
    )
    shown = long[["kind"]].rename(columns={"kind": "Fault"})
    for name in ALL:
        shown[titled(name)] = long[name].map(lambda value: f"{100 * value:.1f}")
    return table(shown, caption, "long-table", "l" + "r" * (len(shown.columns) - 1))


def _no_faults(alarms: pd.DataFrame, record: dict) -> str:
    part = alarms[alarms["group"].isin(["normal", "harmless"])]
    columns = {
        "With networks": "alarms",
        NAMES: "named",
        **{titled(name): name for name in SIMPLER},
    }
    counts = {title: shares(part, column, "recordings") for title, column in columns.items()}
    shown = pd.DataFrame({"Change": part["condition"], **counts})
    caption = (
        "Anomalies among the same normal recordings after a change that is not a fault; the aim is "
        f"{100 * record['false_alarm_rate']:.0f} % of false alarms. A tilt is in dB per octave, a filter of first "
        "order in Hz. Of *first 1 s* only the first second is judged. Voices and passing vehicles are synthetic, at a "
        "level relative to the recording. The detectors are those of {numref}`places-table`."
    )
    return table(shown, caption, "no-faults-table", "lrrrrr")


def _places(alarms: pd.DataFrame, record: dict, simpler: dict) -> str:
    part = alarms[alarms["group"].isin(["fault", "long"])]
    part = part.groupby("condition", sort=False).sum(numeric_only=True).reset_index()
    columns = {
        "With networks": "alarms",
        **{titled(name): name for name in SIMPLER},
        NAMES: "named",
    }
    counts = {title: shares(part, column, "recordings") for title, column in columns.items()}
    counts["Faults hit"] = shares(part, "faults_hit", "faults")
    counts["Spans that hit"] = shares(part, "spans_right", "spans")
    shown = pd.DataFrame({"Fault": part["condition"], **counts})
    caption = (
        "Faults that are called anomalies, over all levels. Where known, also whether the spans of the detector with "
        "networks lie on the fault, in time and frequency. "
        f"The long recordings are {record['long_windows']} of the others in a row, and their faults have "
        f"{record['level_of_long']} dB. All thresholds aim at {100 * simpler['false_alarm_rate']:g} % of false alarms. "
        f"Those of the two plain detectors are set on the {simpler['held_out']} recordings that the detector with "
        "networks held out. *Statistics only* is what `fit --statistics-only` makes of all "
        f"{simpler['learnt'] + simpler['held_out']} (commit `{simpler['commit']}`)."
    )
    return table(shown, caption, "places-table", "lrrrrrrr")
