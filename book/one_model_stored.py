"""*Integrated* in stored results, which ``one_model*.py`` in ``benchmarks/shifts`` wrote."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from paired import verdict
from schematics import counted
from shifts import SETS
from stored_results import PRINTED, read
from tables import BLANK, data, day, effect, percent, signed, table

from asdlib import params
from asdlib.atomic import read_json
from asdlib.evaluation.bootstrap import side
from asdlib.evaluation.values import slug

JUDGED, MORE, ABLATIONS = "one_model", "one_model_more", "one_model_ablations"
MATCHES = -0.01
"""lowest bound of a difference at which *Integrated* matches another system, as LOG.md fixed it"""
COMPARED = (
    "AE", "BC", "AE + BC", "AE + BC, four scores", "Baseline (AE)", "Mahalanobis", "Mahalanobis (target)", "mix", "mix+"
)  # fmt: skip
WITH_CLASSIFIER = ("BC", "AE + BC", "AE + BC, four scores", "mix", "mix+")
EARLIER = " (earlier classifier)"
"""what follows the names of systems whose classifier is not the paper's, since it mixes source clips, among others"""
PARTS = [name for system, name in PRINTED.items() if system.startswith("integrated/")]
"""the scores of which *Integrated* is the mean"""


def pages(folder: Path) -> dict[str, str]:
    """Generated tables by file name."""
    rows = [
        [row.system, f"{row.parameters:,}", percent(row.value), effect(row.difference, row.low, row.high)]
        for row in read(folder / f"{ABLATIONS}.csv").itertuples()
    ]
    rows[0][-1] = BLANK
    columns = ["Network", "Parameters", "All", "*Integrated* minus it (points)"]
    caption = (
        "*Integrated* with losses at weight 0 or with other changes: harmonic mean of AUC and pAUC over machine types, "
        "sections and domains, mean over seeds, per cent; differences are paired over clips and seeds, with 95 % "
        "intervals. A head whose losses all have weight 0 learns nothing and scores nothing, but stays in the network "
        "and in the number of its parameters." + data(f"downloads/shifts_{ABLATIONS}.csv")
    )
    text = table(pd.DataFrame(rows, columns=columns), caption, "one-model-ablations", "lrrr", "6 2 2 5")
    return {
        "generated/one_model_ablations.md": text,
        "generated/one_model_judged.md": judged(folder),
        "generated/shifts_networks.md": elsewhere(folder),
    }


def elsewhere(folder: Path) -> str:
    """What networks and Gaussians reach on the sets that the plan of *Integrated* does not judge."""
    frame = read(folder / f"{MORE}.csv").set_index(["system", "set", "domain"])
    sets = [name for name in frame.index.unique("set") if name != "mean"]
    rows = []
    for system in ("Baseline (AE)", "AE", "BC", "mix", "mix+", "Integrated", "Mahalanobis", "Mahalanobis (target)"):
        texts = []
        for name in sets:
            row = frame.loc[(system, name, "all")]
            over = effect(row["over_baseline"], row["baseline_low"], row["baseline_high"])
            target = percent(frame.loc[(system, name, "target"), "value"])
            texts += [percent(row["value"]), target, BLANK if system == "Baseline (AE)" else over]
        rows.append([system, *texts])
    columns = [
        f"{words[0].upper()}{words[1:]}: {column}"
        for words in (SETS[name] for name in sets)
        for column in ("all", "target", "minus *Baseline (AE)*")
    ]
    seeds = counted(int(frame["seeds"].min()), "seed")
    caption = (
        f"Rows of Table 1 on real toy cars, {seeds}, profile `quick`, *fixed*: harmonic mean of AUC and pAUC, per "
        "cent, and the difference over all from *Baseline (AE)* in percentage points, with 95 % intervals over clips. "
        "*AE* and *BC* are the first candidate of their branch, the paper's in small sizes."
        f"{data(f'downloads/shifts_{MORE}.csv')}"
    )
    layout = {"align": "l" + "r" * len(columns), "widths": " ".join(["4", *["2", "2", "5"] * len(sets)])}
    return table(pd.DataFrame(rows, columns=["System", *columns]), caption, "shifts-networks", **layout)


def judged(folder: Path) -> str:
    """*Integrated* on recordings of real toy cars, next to what it has to match, and its parts; each set folded."""
    frame = read(folder / f"{JUDGED}.csv")
    sets = [name for name in dict.fromkeys(frame["set"]) if name != "mean"]
    whole = "mean" if sets[1:] else sets[0]
    seeds = int(frame["seeds"][frame["system"] == "Integrated"].min())
    caption = (
        f"*Integrated* on real toy cars, {' and '.join(f'*{SETS[name]}*' for name in sets)}, profile `quick`, mean "
        f"over sets and {counted(seeds, 'seed')}: harmonic mean of AUC and pAUC, per cent. Differences are paired over "
        "clips and seeds, with 95 % intervals. *AE* and *BC* are the first candidate of each branch, *fixed*, and "
        "*AE + BC* averages their z-scores. *AE + BC, four scores* does so for the scores of *Integrated*: errors "
        "of frames and of the whole clip, posterior and Mahalanobis distance. *mix* and *mix+* are whole ensembles, "
        "*fixed*."
        f"{data(f'downloads/shifts_{JUDGED}.csv')}"
    )
    if "classifier" not in read_json(folder / f"{JUDGED}.record.json")["settings"]:  # of runs before 28 November 2026
        frame["system"] = frame["system"].where(~frame["system"].isin(WITH_CLASSIFIER), frame["system"] + EARLIER)
    text = _beside(frame, whole, [*COMPARED, *PARTS], caption, "one-model-judged")
    if whole in sets:
        return text
    parts = [_beside(frame, name, COMPARED, f"The same on *{SETS[name]}* alone.", f"one-model-{name}") for name in sets]
    return f"{text}\n::::{{dropdown}} The same for each set alone\n{chr(10).join(parts)}\n::::\n"


def _beside(frame: pd.DataFrame, name: str, systems: Sequence[str], caption: str, label: str) -> str:
    """The table of *Integrated* and other systems on one set, or on the mean of all."""
    cell, rows = frame[frame["set"] == name].set_index(["system", "domain"]), []
    known = cell.index.unique("system")
    for system in (other if other in known else other + EARLIER for other in ("Integrated", *systems)):
        whole = cell.loc[system, "all"]
        values = [percent(cell.loc[(system, domain), "value"]) for domain in ("source", "target", "all")]
        less = BLANK if system == "Integrated" else effect(whole["difference"], whole["low"], whole["high"])
        rows.append([system, *values, less])
    columns = ["System", "Source", "Target", "All", "*Integrated* minus it, all (points)"]
    return table(pd.DataFrame(rows, columns=columns), caption, label, "lrrrr", "5 2 2 2 5")


def compared(low: float, high: float) -> str:
    """What the plan's rule says of an interval of *Integrated* minus another system.

    >>> compared(0.001, 0.05), compared(-0.02, 0.03), compared(-0.05, -0.011)
    ('is better', 'is not shown to match it, nor to be worse', 'is worse')
    """
    where = side(low, high)
    if where > 0:
        return "is better"
    if low > MATCHES:
        return "matches it, though it is shown to be lower" if where < 0 else "matches it"
    return "is worse" if where < 0 else "is not shown to match it, nor to be worse"


def values(folder: Path) -> dict[str, str]:
    """Texts for prose: seeds, commit and date of both tables, what each head adds, and the differences that judge."""
    frame = read(folder / f"{ABLATIONS}.csv").set_index("system")
    record = read_json(folder / f"{ABLATIONS}.record.json")
    texts = {
        "seeds": str(len(record["settings"]["seeds"])),
        "commit": f"`{record['commit']}`",
        "day": day(record["date"]),
    }
    judgement = read_json(folder / f"{JUDGED}.record.json")
    judged_by = judgement["settings"]
    names = [f"*{SETS[name]}*" for name in judged_by["sets"]]
    texts |= {
        "judged_commit": f"`{', '.join(judged_by['trained_at'])}`",
        "judged_day": day(judgement["date"]),
        "judged_sets": f"{', '.join(names[:-1])} and {names[-1]}",
        "judged_seeds": counted(min(map(len, judged_by["sets"].values())), "seed"),
    }
    quick = params.load("quick")
    for name, training in (("integrated", quick.integrated.training), ("ae", quick.autoencoder.training)):
        texts[f"{name}_budget"] = f"{training.steps} steps of {training.batch_size} clips"
    found = read(folder / f"{JUDGED}.csv")
    for row in found[found["set"] == "mean"].itertuples():
        domain = "" if row.domain == "all" else f"_{row.domain}"
        texts[f"less_{slug(row.system)}{domain}"] = effect(row.difference, row.low, row.high)
        if not domain:
            texts[f"{slug(row.system)}_verdict"] = compared(row.low, row.high)
    more = read(folder / f"{MORE}.csv").set_index(["system", "set", "domain"])
    for name in more.index.unique("set").difference(["mean"]):
        row = more.loc[("mix", name, "all")]
        texts[f"mix_over_baseline_{name}"] = effect(row["over_baseline"], row["baseline_low"], row["baseline_high"])
        other = more.loc[("Mahalanobis", name, "all"), "value"]
        texts[f"mix_plus_less_mahalanobis_{name}"] = signed(more.loc[("mix+", name, "all"), "value"] - other)
        texts[f"less_mix_{name}"] = effect(row["difference"], row["low"], row["high"])
        texts[f"clip_error_{name}"] = percent(more.loc[(PRINTED["integrated/clip_error"], name, "all"), "value"])
    heads = {"embedding": "without the reconstruction head", "errors": "without the embedding head"}
    for key, system in heads.items():
        row = frame.loc[PRINTED[system]]
        texts[key] = effect(row["difference"], row["low"], row["high"])
    row = frame.loc["two encoders, one per head"]
    texts["two_encoders"] = effect(row["difference"], row["low"], row["high"])
    words = ("is shown to gain", "is shown to lose", "is shown neither to gain nor to lose")
    texts["two_encoders_verdict"] = verdict(row["low"], row["high"], words)
    return texts
