"""The detector next to two plain ones, made of the tables in ``results/detector`` (``benchmarks/faults/run.py``)."""

from pathlib import Path

import changed_detector
import costs
import pandas as pd
from paired import verdict
from stored_results import read
from tables import BLANK, day, effect, percent, table, typeset
from your_machine_alarms import RATE, RULE, by_rule, pieces, rates, rules

from asdlib.atomic import read_json
from asdlib.detector import cutting, level, survey
from asdlib.evaluation.values import slug

TWO = ["Mahalanobis", "nearest neighbour"]
COLUMNS = ["detector", *TWO, "without outliers"]
WORDS = "add to the statistics", "cost more than they bring", "are not shown to add anything"
"""what the interval of the whole detector's lead over its statistics says of the networks"""
SIMPLER_WORDS = ("rank better", "rank worse", "are not shown to rank differently")
"""what the interval of the statistics' lead over the Mahalanobis distance says"""
SIMPLER = ["statistics only", *TWO]
"""of these the first is what ``fit --statistics-only`` makes"""
ALL = ["detector", "statistics alone", *TWO, "without outliers", "autoencoders alone", "classifiers alone"]
NAMES = "This detector names a change"
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
    texts |= {slug(kind): _share(row["alarms"], row["recordings"]) for kind, row in found.iterrows()}
    texts |= _simpler(folder, alarms) | changed_detector.texts(folder) | by_rule(folder)
    texts |= _real_texts(folder)
    row = alarms[alarms["condition"] == "voice +0 dB"].iloc[0]
    texts["voice"] = _share(row["alarms"], row["recordings"])
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
        f"{slug(kind)}_statistics_only": _share(part["statistics only"].sum(), part["recordings"].sum())
        for kind, part in kinds
    }
    return alone | {
        f"{group}_{slug(name)}": _share(counts.loc[rows, name].sum(), counts.loc[rows, "recordings"].sum())
        for group, rows in groups.items()
        for name in ("alarms", *SIMPLER)
    }


def _with_simpler(folder: Path, alarms: pd.DataFrame) -> pd.DataFrame:
    """Add the alarms of simpler detectors on the same recordings (``benchmarks/faults/plain_alarms.py``)."""
    keys = ["group", "condition", "level"]
    others = read(folder / "plain_alarms.csv").drop(columns="recordings")
    return alarms.merge(others, on=keys, how="left", validate="one_to_one")


def _real_texts(folder: Path) -> dict[str, str]:
    """Return what the detector finds of real faults."""
    real = read(folder / "real.csv").set_index("system")
    whole, statistics = real.loc["detector"], real.loc["statistics only"]
    simpler = read(folder / "real_simpler.csv").set_index("system").loc["Mahalanobis", ["lead", "low", "high"]]
    return {
        "real_found": _share(whole["found"], whole["faults"]),
        "real_false": _share(whole["false_alarms"], whole["normals"]),
        "real_found_only": _share(statistics["found"], statistics["faults"]),
        "real_false_only": _share(statistics["false_alarms"], statistics["normals"]),
        "real_auc": percent(whole["auc"]),
        "real_auc_only": percent(statistics["auc"]),
        "real_auc_plain": percent(real.loc["Mahalanobis", "auc"]),
        "real_alone": percent(real.loc["networks alone", "auc"]),
        "real_networks": verdict(statistics["low"], statistics["high"], WORDS),
        "real_only_over_plain": effect(*simpler),
        "real_simpler": verdict(*simpler[1:], SIMPLER_WORDS),
        "real_over_networks": effect(*real.loc["networks alone", ["lead", "low", "high"]]),
        "real_over_statistics": effect(*statistics[["lead", "low", "high"]]),
    }


def pages(folder: Path) -> dict[str, str]:
    """Return the generated tables by file name."""
    computed = {"generated/rates.md": rates(), "generated/rules.md": rules(), "generated/pieces.md": pieces()}
    return computed | _measured(folder)


def _measured(folder: Path) -> dict[str, str]:
    if not (folder / "record.json").is_file():
        names = ("plain_detectors", "no_faults", "places", "long", "real_faults", "changed")
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
        "generated/real_faults.md": _real(folder),
        "generated/long.md": _long(read(folder / "long.csv"), record),
    }


def _share(part: float, of: float) -> str:
    return f"{part:.0f} of {of:.0f}" if of and pd.notna(part) else BLANK


def _shares(counts: pd.DataFrame, column: str, of: str) -> list[str]:
    return [_share(part, whole) for part, whole in zip(counts[column], counts[of], strict=True)]


def _kinds(kinds: pd.DataFrame, record: dict) -> str:
    steps = " and ".join(map(str, record["steps"]))
    caption = (
        f"AUC in per cent by kind of fault, mean over its levels: {record['tested']} normal recordings of a real "
        f"{record['machine']}, {record['seconds']:g} s each, without and with a fault; {record['fitted']} others to "
        f"fit, outliers {', '.join(record['outliers'])}; autoencoders and classifiers trained for {steps} steps. The "
        "lead is over the better plain detector, with its 95 % interval over recordings; *alone* is a part of the "
        "detector. Commit "
        f"`{record['commit']}`."
    )
    shown = kinds[["kind"]].rename(columns={"kind": "Fault"})
    shown["Lead"] = [effect(row.lead, row.low, row.high) for row in kinds.itertuples()]
    for name in ALL:
        shown[_title(name)] = kinds[name].map(lambda value: f"{100 * value:.1f}")
    return table(shown, caption, "plain-detectors-table", "l" + "r" * (len(shown.columns) - 1))


def _levels(levels: pd.DataFrame) -> str:
    caption = "The same for each level, in dB re the recording while the fault sounds."
    shown = levels[["kind"]].rename(columns={"kind": "Fault"})
    shown["Level"] = levels["level"].map("{:.0f}".format)
    for name in COLUMNS:
        shown[_title(name)] = levels[name].map(lambda value: f"{100 * value:.1f}")
    return table(shown, caption, "plain-levels-table", "l" + "r" * 5)


def _long(long: pd.DataFrame, record: dict) -> str:
    caption = (
        f"AUC in per cent for {record['tested']} recordings of {record['long_windows'] * record['seconds']:g} s, "
        f"without and with a fault of {record['seconds_of_fault']:g} s at {record['level_of_long']} dB."
    )
    shown = long[["kind"]].rename(columns={"kind": "Fault"})
    for name in ALL:
        shown[_title(name)] = long[name].map(lambda value: f"{100 * value:.1f}")
    return table(shown, caption, "long-table", "l" + "r" * (len(shown.columns) - 1))


def _no_faults(alarms: pd.DataFrame, record: dict) -> str:
    part = alarms[alarms["group"].isin(["normal", "harmless"])]
    columns = {
        "This detector": "alarms",
        NAMES: "named",
        **{_title(name): name for name in SIMPLER},
    }
    shares = {title: _shares(part, column, "recordings") for title, column in columns.items()}
    shown = pd.DataFrame({"Change": part["condition"], **shares})
    caption = (
        "Alarms on the same normal recordings after a change that is not a fault; the aim is "
        f"{100 * record['false_alarm_rate']:.0f} % of false alarms. A tilt is in dB per octave, a filter of first "
        "order in Hz; of *first 1 s* only the first second is judged. Voices and passing vehicles are synthetic, at a "
        "level re the recording. The last columns are those of simpler detectors, as in {numref}`places-table`."
    )
    return table(shown, caption, "no-faults-table", "lrrrrr")


def _places(alarms: pd.DataFrame, record: dict, simpler: dict) -> str:
    part = alarms[alarms["group"].isin(["fault", "long"])]
    part = part.groupby("condition", sort=False).sum(numeric_only=True).reset_index()
    columns = {
        "This detector": "alarms",
        **{_title(name): name for name in SIMPLER},
        NAMES: "named",
    }
    shares = {title: _shares(part, column, "recordings") for title, column in columns.items()}
    shares["Faults hit"] = _shares(part, "faults_hit", "faults")
    shares["Spans that hit"] = _shares(part, "spans_right", "spans")
    shown = pd.DataFrame({"Fault": part["condition"], **shares})
    caption = (
        "Alarms over all levels, and where known whether the spans of this detector lie on the fault, in time and "
        f"frequency. The long recordings are {record['long_windows']} of the others in a row, and their faults have "
        f"{record['level_of_long']} dB. All thresholds aim at {100 * simpler['false_alarm_rate']:g} % of false alarms. "
        f"Those of the two plain detectors are set on the {simpler['held_out']} recordings that the detector held out; "
        "*statistics only* is what `fit --statistics-only` makes of all "
        f"{simpler['learnt'] + simpler['held_out']} (commit `{simpler['commit']}`)."
    )
    return table(shown, caption, "places-table", "lrrrrrrr")


def _real(folder: Path) -> str:
    real = read(folder / "real.csv")
    record = read_json(folder / "real.record.json")
    shown = real[["system"]].rename(columns={"system": "Detector"})
    shown["Detector"] = shown["Detector"].map(_title)
    shown["AUC"] = real["auc"].map(lambda value: f"{100 * value:.1f}")
    shown["The detector's lead"] = [
        BLANK if row.system == "detector" else effect(row.lead, row.low, row.high) for row in real.itertuples()
    ]
    shown["Faults found"] = _shares(real, "found", "faults")
    shown["False alarms"] = _shares(real, "false_alarms", "normals")
    caption = (
        f"Real faults of one toy car, re-synthesised, without a change of conditions: AUC in per cent, the detector's "
        f"lead in points with its 95 % interval over recordings, and verdicts at thresholds for "
        f"{100 * record['false_alarm_rate']:g} % of false alarms. All learnt from the same {record['learnt']} normal "
        f"recordings, with thresholds set on {record['held_out']} others, except *statistics only*, which "
        "`fit --statistics-only` makes of all of them; autoencoders trained for "
        f"{record['steps'][0]} steps, classifiers for {record['steps'][1]}. Commit `{record['commit']}`."
    )
    return table(shown, caption, "real-faults-table", "lrrrr")


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]
