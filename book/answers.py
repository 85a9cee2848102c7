"""Answers to what a chapter asks to look for: sentences made of the run's numbers, next to the figures."""

from collections.abc import Callable

import in_short
import numpy as np
import pandas as pd
from confused import confused
from missed import missed
from mix_answers import CHANCE, ensembles
from paired import verdict
from schematics import counted
from scorer_gap import gaps, narrowed
from shift_heard import heard
from stored_results import PRINTED
from tables import effect, percent, table
from walk_through import walk_through
from why import bottleneck, gaussians_frames, median_clips

from asdlib import origin, params, scores
from asdlib.evaluation.bootstrap import Resampled, interval
from asdlib.evaluation.paper import BASELINE_MOBILENET
from asdlib.paths import AGREEMENT, BASELINES, Run
from asdlib.tables import read_table


# Baselines ------------------------------------------------------------------------------------------------------------
def baselines(run: Run, settings, machine: str) -> str:
    """What all baselines reach, how long the official ones were trained, and whether the second beats chance."""
    official, parts = params.load("paper"), []
    for words, here, there in (
        ("the frame autoencoder", settings.frame_autoencoder, official.frame_autoencoder),
        ("MobileNetV2", settings.mobilenet, official.mobilenet),
    ):
        parts.append(f"{words} was trained for {counted(here.epochs, 'epoch')} (its source: {there.epochs})")
    fewer = settings.frame_autoencoder.epochs < official.frame_autoencoder.epochs
    fewer &= settings.mobilenet.epochs < official.mobilenet.epochs
    reason = " That is fewer, so these figures are no measure of what the baselines can reach." * bool(fewer)
    table1 = read_table(run.table1).set_index(["row", "selection", "machine", "domain"])
    places = []
    for domain in ("source", "target"):
        figures = table1.loc[(BASELINE_MOBILENET, "", "all", domain), ["value", "low", "high"]]
        places.append((_place(*map(float, figures[1:])), f"{percent(figures.iloc[0])} % in the {domain} domain"))
    (first, source), (second, target) = places
    found = f"{first} ({source}, {target})" if first == second else f"{first} ({source}) and {second} ({target})"
    rows = [
        (row, *(percent(table1.at[(row, "", "all", domain), "value"]) for domain in ("source", "target", "all")))
        for row in (PRINTED[system] for system in BASELINES)
    ]
    caption = "This run, one seed: harmonic mean of AUC and pAUC over all machine types and sections, per cent."
    shown = table(pd.DataFrame(rows, columns=["Row", "Source", "Target", "All"]), caption, "baselines-reach", "lrrr")
    return (
        f"{shown}\n{{doc}}`table1` has the intervals. In the profile `{settings.profile}`, "
        f"{'. '.join(parts)}.{reason} Over all machine types MobileNetV2 {found}."
    )


# Autoencoder ----------------------------------------------------------------------------------------------------------
def autoencoder(run: Run, settings, machine: str) -> str:
    """Whether the scorer brings the normal clips of both domains together, section by section."""
    gap = gaps(run, settings, machine)
    if gap is None:
        return "This run has no error without a scorer, or no section with normal test clips of both domains."
    after, before, since = gap
    shown = pd.DataFrame({"Section": before.index})
    for words, part, digits in (("before", before, "{:.3f}"), ("after", since, "{:.2f}")):
        for domain in ("source", "target"):
            shown[f"{domain.capitalize()}, {words}"] = [digits.format(value) for value in part[domain]]
        shown[f"Target higher, {words}, %"] = [f"{100 * value:.0f}" for value in part["share"]]
    caption = (
        f"Normal test clips of {machine}: medians of both domains before the scorer (mean absolute error) and after it "
        f"(`{after}`), and the share of pairs in which the target clip scores higher. Without a gap it is half of them."
    )
    words = (
        f"**In this run {narrowed(gap)}.** AUC and pAUC compare clips of one domain only, so a gap does not lower "
        "them; a threshold that both domains share would suffer."
    )
    listed = table(shown, caption, "scorer-gap", "l" + "r" * 6)
    return f"{words}\n\n{listed}"


# Classifier -----------------------------------------------------------------------------------------------------------
def classifier(run: Run, settings, machine: str) -> str:
    """The paper's score next to the Mahalanobis distance of the same embedding, each against chance."""
    candidate = next(iter(settings.classifier_candidates))
    variants = settings.candidate("classifier", candidate).scorer.variants
    names = [origin.first("classifier", variants, origin.PAPER), "mahalanobis"]
    if "mahalanobis" not in variants:
        return "This run has no Mahalanobis distance of the embedding to compare with."
    frame = scores.read(run.scores("classifier", machine, candidate))
    keys = [(f"classifier/{candidate}/{name}", "") for name in names]
    frame = frame[frame["system"].isin([key[0] for key in keys])].assign(row=lambda part: part["system"])
    options = settings.evaluation
    resampled = Resampled(frame.assign(selection="", fold=""), options.p, options.bootstrap, settings.seed)
    lines, rows = [], []
    for domain in dict.fromkeys(unit[2] for unit in resampled.units):
        figures = [interval(resampled.values(key, domain=domain), options.confidence) for key in keys]
        more = interval(resampled.difference(keys[1], keys[0], domain=domain), options.confidence)
        rows.append((domain, *(percent(*figure) for figure in figures), effect(*more)))
        places = [_against_chance(*figure) for figure in figures]
        better = verdict(*more[1:], ("is better than", "is worse than", "is not shown to be better or worse than"))
        lines.append(
            f"* {domain}: the paper's score {places[0]}; the Mahalanobis distance {places[1]}, and {better} the "
            "paper's score."
        )
    caption = (
        f"`{candidate}` on {machine}: harmonic mean of AUC and pAUC over the sections, per cent, and the difference in "
        "percentage points on the same clips, with bootstrap intervals over clips."
    )
    columns = ["Domain", f"`{names[0]}` (the paper)", "`mahalanobis` (extension)", "Difference"]
    shown = table(pd.DataFrame(rows, columns=columns), caption, "embedding-scores", "lrrr")
    return "\n".join(lines) + f"\n\n{shown}"


def _against_chance(value: float, low: float, high: float) -> str:
    return f"{_place(low, high)} ({percent(value)} %)"


def _place(low: float, high: float) -> str:
    return verdict(
        low - CHANCE, high - CHANCE, ("lies above chance", "lies below chance", "cannot be told from chance")
    )


# Ensembles ------------------------------------------------------------------------------------------------------------
def agreement(run: Run, settings, machine: str) -> str:
    """Whether candidates of one branch rank clips more alike than those of different branches."""
    frame = read_table(run.system("ensemble", machine) / AGREEMENT).dropna(subset=["correlation"])
    branch = [frame[name].str.partition("/")[0] for name in ("first", "second")]
    same = branch[0] == branch[1]
    names = {"autoencoder": "two autoencoders", "classifier": "two classifiers"}
    means = {words: frame.loc[same & (branch[0] == name), "correlation"].mean() for name, words in names.items()}
    apart = frame.loc[~same, "correlation"].mean()
    found = {words: value for words, value in means.items() if not np.isnan(value)}
    if not found or np.isnan(apart):
        return "This run has too few candidates to compare within a branch and between them."
    within = " and ".join(f"{value:.2f} for {words}" for words, value in found.items())
    higher = [words for words, value in found.items() if value > apart]
    which = "both are higher" if len(higher) == len(found) else f"higher: {' and '.join(higher) or 'neither'}"
    return (
        f"In this run the mean correlation on {machine} is {within}, and {apart:.2f} between the branches "
        f"({which}). Low values between the branches may also mean that one of them ranks by chance; "
        "{numref}`embedding-scores` says whether a classifier of this run does. Classifiers that agree and still find "
        "no faults agree on something else than the faults."
    )


ANSWERS: dict[str, Callable] = {
    "shift_heard": heard,
    "bottleneck": bottleneck,
    "gaussians": gaussians_frames,
    "median_clips": median_clips,
    "baselines": baselines,
    "autoencoder": autoencoder,
    "classifier": classifier,
    "confused": confused,
    "agreement": agreement,
    "ensembles": ensembles,
    "missed": missed,
    "walk_through": walk_through,
    "short_baselines": in_short.baselines,
    "short_autoencoder": in_short.autoencoder,
    "short_classifier": in_short.classifier,
    "short_ensembles": in_short.ensembles,
}
"""name of the page to include, and the function that makes it"""


def pages(run: Run, settings, machine: str) -> dict[str, str]:
    """Each answer as a page to include."""
    return {f"generated/answer_{name}.md": f"{answer(run, settings, machine)}\n" for name, answer in ANSWERS.items()}
