"""The chapter on shifts, of tables in ``results/shifts`` (``scorers.py`` and ``kinds.py`` in ``benchmarks/shifts``)."""

from pathlib import Path

import numpy as np
import pandas as pd
from paired import verdict
from scipy import signal
from stored_results import read
from tables import day, effect, percent, table

from asdlib import params
from asdlib.atomic import read_json
from asdlib.data import file_names
from asdlib.data.inspection import Example
from asdlib.evaluation.bootstrap import side
from asdlib.plots.sound import players
from asdlib.shift import physical
from asdlib.synthetic import dataset
from asdlib.units import FULL_SCALE

PAGES = ("shifts",)
SETS = {
    "known": "published simulation",
    "unit_a": "another car, A to B",
    "unit_b": "another car, B to A",
    "room": "room",
    "load": "load",
}
SHOWN = (
    *("Mahalanobis", "Mahalanobis, source clips", "Mahalanobis (shift)", "Time mean, all clips", "Offset", "Mixup"),
    *("Nearest", "Widened", "Tolerant", "Estimated shift", "Minimum", "Best by left-out clips", "Mahalanobis (target)"),
)
"""scorers of the table of sets; the others are in the table of attempts"""
SECONDS = 3.0
"""how much of each sound is played"""
CONFIRMED = "confirmation"
"""the stored mean over the sets that took no part in the choice"""
CLOSE = 0.1
"""share of an interval's width within which its end is close to zero"""
BEST, OLD = "Mahalanobis (target)", "Mahalanobis (shift)"


def stamp(folder: Path) -> tuple[str, str]:
    """What the data are, and what made the tables."""
    record = read_json(folder / "record.json")
    first = "**Two real toy cars: stored tables**, not the run of other pages"
    facts = (
        "The cars are of DCASE2020, their waveforms synthesised again from spectrograms; nothing is of DCASE2021, and "
        f"the recordings are not part of this project. {day(record['date'])}; {record['draws']:,} draws; commit "
        f"`{record['commit']}`."
    )
    return first, facts


def values(folder: Path) -> dict[str, str]:
    """Texts for prose: figures of the scorer that was chosen, and of what it is compared with."""
    frame, kinds = read(folder / "figures.csv"), read(folder / "kinds.csv")
    cell = frame.set_index(["scorer", "set", "domain"])
    found = {}
    for key, scorer in (("best", BEST), ("old", OLD), ("plain", "Mahalanobis"), ("tolerant", "Tolerant")):
        for name in (*SETS, "mean"):
            for domain in ("source", "target", "all"):
                row = cell.loc[scorer, name, domain]
                found[f"{key}_{name}_{domain}"] = percent(row["value"])
                found[f"{key}_{name}_{domain}_gain"] = effect(row["over_bar"], row["low"], row["high"])
    mean = cell.loc[OLD, "mean", "target"]
    close = min(abs(mean["low"]), abs(mean["high"])) < CLOSE * (mean["high"] - mean["low"])
    words = verdict(mean["low"], mean["high"], ("a gain", "a loss", "neither a gain nor a loss"))
    found["old_mean_verdict"] = words + ", but borderline: the interval ends close to zero" * bool(close)
    found["scorers"] = str(frame["scorer"].nunique())
    networks = kinds[kinds["group"] == "network"]
    own = frame[(frame["scorer"] == BEST) & frame["set"].isin(SETS) & (frame["domain"] != "all")]
    worst = own.loc[own["over_bar"].idxmin()]
    found["worst_gain"] = effect(worst["over_bar"], worst["low"], worst["high"])
    for name in ("mean", CONFIRMED):
        for domain in ("source", "target"):
            row = cell.loc[BEST, name, domain]
            found[f"{name}_{domain}"] = effect(row["over_bar"], row["low"], row["high"])
            found[f"{name}_{domain}_wider"] = effect(row["over_wider"], row["wider_low"], row["wider_high"])
    found["networks"] = str(networks["system"].nunique())
    found["references"] = str(kinds.loc[kinds["group"] == "reference", "system"].nunique())
    reference = kinds[kinds["best_reference"]]
    found["best_reference"] = reference["system"].iloc[0]
    found["best_reference_auc"] = percent(reference.loc[reference["family"] == "all", "auc"].iloc[0])
    found["families"] = str(kinds.loc[kinds["family"] != "all", "family"].nunique())
    ahead = networks[(side(networks["low"], networks["high"]) > 0) & (networks["family"] != "all")]
    names = [
        f"*{row.system}*, {row.family}: {effect(row.over_best, row.low, row.high)} points" for row in ahead.itertuples()
    ]
    found["modulation_rhythm"] = percent(kinds.set_index(["system", "family"])["auc"]["modulation", "rhythm"])
    found["networks_intervals"] = str((networks["family"] != "all").sum())
    found["networks_ahead"] = "; ".join(names) or "none"
    top = networks[networks["family"] == "all"].sort_values("auc").iloc[-1]
    found["best_network"], found["best_network_auc"] = top["system"], percent(top["auc"])
    return found


def pages(folder: Path) -> dict[str, str]:
    """Generated tables by file name."""
    frame, kinds = read(folder / "figures.csv"), read(folder / "kinds.csv")
    return {
        "generated/shifts_sets.md": sets(frame),
        "generated/shifts_attempts.md": attempts(frame),
        "generated/shifts_kinds.md": families(kinds, read_json(folder / "kinds.record.json")),
        # An anchor of its own, since a label before raw HTML is lost in the page.
        "generated/shifts_sounds.md": "(shifts-sounds)=\n\n```{raw} html\n"
        f'<span id="shifts-sounds"></span>\n{players(sounds(), SECONDS).data}\n```\n',
    }


def sounds() -> list[Example]:
    """A normal clip of a synthetic machine, and what becomes of it under each kind of shift.

    The real recordings are not part of the project. The same kinds of change are made to a clip of the demonstration's
    generator, each strong enough to hear.
    """
    data = params.load("demo").data
    machine, other = data.synthetic.machines[0], data.synthetic.machines[-1]
    front, (own, unit) = physical.Front(data.sample_rate), data.synthetic.sections[:2]

    def clip(name: str, section: str) -> np.ndarray:
        about = file_names.ClipName(section, "source", "test", "normal", "0000")
        return dataset.waveform(data.synthetic, data.sample_rate, name, about) / FULL_SCALE

    def shifted(speed: float, *response: float, background: float) -> np.ndarray:
        shift = physical.Shift(speed, response, front.decibel(source).mean() + background, -10.0)
        return physical.apply(shift, source, front, 0.0, seed=0)

    source, silent = clip(machine, own), -60.0
    time = np.arange(data.sample_rate // 2) / data.sample_rate
    echoes = np.random.default_rng(0).standard_normal(len(time)) * np.exp(-12 * time)
    room = signal.fftconvolve(source, echoes / np.linalg.norm(echoes))[: len(source)] + clip(other, own)
    waves = {
        f"{machine}, source domain": source,
        SETS["known"]: shifted(1.04, 0.0, -8.0, 0.0, background=-5.0),
        "another machine of the same type": clip(machine, unit),
        SETS["room"]: room,
        f"{SETS['load']}, one clip": shifted(0.92, 3.0, 5.0, 0.0, background=silent),
        f"{SETS['load']}, another clip": shifted(1.08, -3.0, -5.0, 0.0, background=silent),
    }
    return [Example(title, data.sample_rate, wave, front.decibel(wave)) for title, wave in waves.items()]


def sets(frame: pd.DataFrame) -> str:
    """Source and target of the main scorers on each data set."""
    rows = []
    for scorer in SHOWN:
        part = frame[frame["scorer"] == scorer].set_index(["set", "domain"])["value"]
        rows.append([scorer, *(f"{percent(part[name, 'source'])} / {percent(part[name, 'target'])}" for name in SETS)])
    caption = "Source / target on each data set: harmonic mean of AUC and pAUC over sections, per cent."
    return table(pd.DataFrame(rows, columns=["Scorer", *SETS.values()]), caption, "shifts-sets", "l" + "r" * len(SETS))


def attempts(frame: pd.DataFrame) -> str:
    """Mean over the data sets of every scorer, best first, with its difference to the better plain Mahalanobis."""
    mean = frame[frame["set"] == "mean"]
    order = mean[mean["domain"] == "all"].sort_values("value", ascending=False)["scorer"]
    cell, rows = mean.set_index(["scorer", "domain"]), []
    for scorer in order:
        target = cell.loc[scorer, "target"]
        shown = [percent(cell.loc[scorer, domain]["value"]) for domain in ("source", "target", "all")]
        rows.append([scorer, *shown, effect(target["over_bar"], target["low"], target["high"])])
    columns = ["Scorer", "Source", "Target", "All", "Target, over the better Mahalanobis (points)"]
    caption = (
        "Every scorer that was tried, mean over the five data sets, best first; the last column is paired over clips, "
        "and its intervals are not corrected for the choice among the scorers. Per cent, and percentage points with "
        "95 % intervals."
    )
    return table(pd.DataFrame(rows, columns=columns), caption, "shifts-attempts", "lrrrr")


def families(kinds: pd.DataFrame, record: dict) -> str:
    """AUC per family of faults of simple references and networks.

    Args:
        kinds: ``kinds.csv``.
        record: What made it.
    """
    names = [name for name in dict.fromkeys(kinds["family"]) if name != "all"]
    rows = []
    for (group, system), part in kinds.groupby(["group", "system"], sort=False):
        auc = part.set_index("family")["auc"]
        rows.append([system, group, *(percent(auc[name]) for name in (*names, "all"))])
    rows.sort(key=lambda row: (row[1] != "reference", -float(row[-1])))
    clips = kinds.drop_duplicates("family").set_index("family")["clips"]
    columns = ["System", "Kind", *(f"{name} ({clips[name]})" for name in names), "Mean"]
    caption = (
        "AUC in per cent per family of faults of the synthetic machines (number of anomalous clips), mean over machine "
        "types, sections and domains. Not the cars: synthetic machines, profile "
        f"`{record['settings']['profile']}`, {day(record['date'])}, commit `{record['commit']}`."
    )
    return table(
        pd.DataFrame(rows, columns=columns),
        caption,
        "shifts-kinds",
        "ll" + "r" * (len(names) + 1),
        "6 3" + " 2" * (len(names) + 1),
    )
