"""Answers to the exercises on the baselines, the autoencoder and the one network, computed from the run."""

import itertools

import numpy as np
import pandas as pd
from one_model_run import ABSENT, ROW
from paired import paired, verdict
from stored_results import PRINTED
from tables import data as link
from tables import effect, percent, signed, table

from asdlib import metrics, origin, scores
from asdlib.data import file_names
from asdlib.ensemble.blocks import MIX
from asdlib.paths import BASELINES, Run
from asdlib.tables import read_table

DOMAINS = ("source", "target")
Answer = str | tuple[str, str]
"""an answer; or what is shown before the question, and the answer"""


def baselines(run: Run, settings, machine: str) -> Answer:
    """Where the Mahalanobis distance is shown to be ahead of the better network, and at which kinds of faults."""
    every = scores.read([run.scores(name, machine) for name in BASELINES])
    cells = metrics.cells(metrics.sections(every, settings.evaluation.p))
    cells = cells.pivot(index="domain", columns="system", values="value")
    differences, lines = read_table(run.differences), []
    for domain, better in cells[["frame_autoencoder", "mobilenet"]].idxmax(axis=1).items():
        value, best = cells.loc[domain, ["mahalanobis", better]]
        lead = paired(differences, (PRINTED["mahalanobis"], ""), (PRINTED[better], ""), machine, domain)
        place = verdict(*lead[1:], ("is ahead", "is behind", "is not shown to be ahead or behind"))
        words = f"*Mahalanobis* reaches {percent(value)} %, the better network {percent(best)} %"
        lines.append(f"* {machine}, {domain}: {words}; the simple distance {place} ({effect(*lead)} points).")
    if settings.data.synthetic is None:
        return "\n".join(lines), ""
    return "\n".join(lines), _by_kind(every, machine)


def _by_kind(every: pd.DataFrame, machine: str) -> str:
    """AUC of the simple distance and of both networks by the kind of fault, against all normal clips of the cell."""
    test, names = metrics.labelled(every), ["mahalanobis", "frame_autoencoder", "mobilenet"]
    rows = []
    for (system, *_), cell in test[test["system"].isin(names)].groupby(["system", "section", "domain"]):
        normal, anomaly = (cell[cell["label"] == label] for label in ("normal", "anomaly"))
        kinds = [file_names.parse(f"{clip.domain}_{clip.split}", clip.clip).attributes for clip in anomaly.itertuples()]
        for kind, own in anomaly.groupby(np.array(kinds)):
            labels = np.repeat([0, 1], [len(normal), len(own)])
            area = float(metrics.auc(labels, np.concatenate([normal["score"], own["score"]])))
            rows.append((system, kind.replace("_", " "), len(own), area))
    found = pd.DataFrame(rows, columns=["system", "kind", "clips", "auc"]).groupby(["kind", "system"])
    wide, clips = found["auc"].mean().unstack()[names], found["clips"].sum().unstack()["mahalanobis"]
    wide = wide.sort_values("mahalanobis", ascending=False)
    ahead = wide["mahalanobis"] > wide[names[1:]].max(axis=1)
    shown = wide.map(percent).rename(columns=PRINTED).reset_index(names="Kind of fault")
    shown.insert(1, "Clips", clips[wide.index].astype(str).to_numpy())
    caption = f"AUC of {machine} by kind of fault, mean over sections and domains, per cent."
    return (
        f"{table(shown, caption, 'baselines-by-kind', 'lrrrr')}\n"
        f"**So *Mahalanobis* is ahead of both networks at {', '.join(wide.index[ahead]) or 'no kind'}, and not at "
        f"{', '.join(wide.index[~ahead]) or 'any other'}; with {clips.min()} clips of a kind or a few more this is a "
        "hint, not a proof.**"
    )


def autoencoder(run: Run, settings, machine: str) -> Answer:
    """How much of the lead of the best variant remains on clips that did not choose it."""
    candidate = next(iter(settings.autoencoder_candidates))
    frame = metrics.evaluable(scores.read(run.scores("autoencoder", machine, candidate)))
    frame = frame.assign(system=frame["system"].str.rpartition("/")[2])
    names = [name for name in frame["system"].unique() if origin.of_variant("autoencoder", name) == origin.PAPER]
    frame = frame[frame["system"].isin(names)]
    default = origin.first("autoencoder", settings.candidate("autoencoder", candidate).scorer.variants, origin.PAPER)
    order = frame.groupby(["system", "section", "domain", "label"])["clip"].rank().astype(int)
    p = settings.evaluation.p
    whole, *halves = (figures_by_domain(part, p) for part in (frame, frame[order % 2 == 0], frame[order % 2 == 1]))
    lines, remains = [], []
    for domain in whole:
        same, other, chosen = [], [], []
        for own, rest in (halves, halves[::-1]):
            best = own[domain].idxmax()
            chosen.append(f"`{best}`")
            same.append(own.at[best, domain] - own.at[default, domain])
            other.append(rest.at[best, domain] - rest.at[default, domain])
        remains.append(f"{signed(np.mean(other))} of {signed(np.mean(same))} points in the {domain} domain")
        lead = f"ahead of `{default}` by {signed(np.mean(same))} points"
        if len(set(chosen)) == 1:
            lines.append(
                f"* {domain}: both halves choose {chosen[0]}, {lead}; the other half would have "
                "chosen it, too, so none of the lead is due to choosing on these clips."
            )
        else:
            lead += f" on the clips that chose, and by {signed(np.mean(other))} on the others"
            lines.append(f"* {domain}: the halves choose {' and '.join(chosen)}, {lead}.")
    whole = whole.sort_values(whole.columns[0], ascending=False)
    parts = {"": whole, ", one half": halves[0], ", other half": halves[1]}
    columns = {f"{domain.capitalize()}{words}": part[domain] for domain in whole for words, part in parts.items()}
    shown = pd.DataFrame(columns).loc[whole.index].map(percent).reset_index(names="Variant")
    caption = f"The paper's variants of `{candidate}` on {machine}: harmonic mean of AUC and pAUC, per cent."
    lines.append(
        "\nThese leads are means over both halves. Fewer clips in each half give another pAUC, so compare leads on the "
        "same halves only."
    )
    lines.append(f"\n**So what remains of the lead on the other half is {' and '.join(remains)}.**")
    return table(shown, caption, align="l" + "r" * (shown.shape[1] - 1)), "\n".join(lines)


def figures_by_domain(frame: pd.DataFrame, p: float) -> pd.DataFrame:
    """The figure of each system, in rows, and domain, in columns."""
    return metrics.cells(metrics.sections(frame, p)).pivot(index="system", columns="domain", values="value")


def one_model(run: Run, settings, machine: str) -> Answer:
    """How much of what the one network lacks over all is due to its worst cell."""
    frame, differences = read_table(run.table1), read_table(run.differences)
    cells = frame[(frame["machine"] != "all") & frame["domain"].isin(DOMAINS)]
    cells = cells.set_index(["row", "selection", "machine", "domain"])["value"]
    rows, own, other = [], [], []
    for name, domain in itertools.product(cells.index.unique("machine"), DOMAINS):
        more = paired(differences, ROW, (MIX, "fixed"), name, domain)
        if not np.isnan(more[0]):
            own.append(cells.at[(*ROW, name, domain)])
            other.append(cells.at[(MIX, "fixed", name, domain)])
            words = verdict(*more[1:], ("better", "worse", "undecided"))
            rows.append((name, domain, percent(own[-1]), percent(other[-1]), effect(*more), words))
    if not rows:
        return ABSENT
    columns = ["Machine", "Domain", "*Integrated*", "*mix*, fixed", "Difference (points)", "So it is"]
    caption = "*Integrated* and *mix*, fixed, per cent, with paired bootstrap intervals over clips."
    caption += link("downloads/table1_differences.csv")
    worst = int(np.argmin(np.subtract(own, other)))
    equal = [*own[:worst], other[worst], *own[worst + 1 :]]
    total, theirs, without = map(metrics.harmonic_mean, (own, other, equal))
    words = (
        f"The harmonic means of the cells are {percent(total)} % and {percent(theirs)} %, a difference of "
        f"{signed(total - theirs)} points. If *Integrated* equalled *mix* on {rows[worst][0]}, {rows[worst][1]}, its "
        f"own would be {percent(without)} %, and the difference {signed(without - theirs)} points.\n\n**So the worst "
        f"cell, {rows[worst][0]}, {rows[worst][1]}, accounts for {signed(total - without)} of the "
        f"{signed(total - theirs)} points.**"
    )
    return table(pd.DataFrame(rows, columns=columns), caption, align="llrrrl"), words
