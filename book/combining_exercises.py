"""Answers to the exercises on combining: both parts of the classifier's score, and the systems that halves choose."""

import numpy as np
import pandas as pd
from detector_exercises import Answer, figures_by_domain
from mix_answers import CHANCE
from tables import data as link
from tables import percent, table

from asdlib import metrics, origin, scores
from asdlib.ensemble.blocks import AE, BC
from asdlib.evaluation.bootstrap import Resampled, interval, side
from asdlib.evaluation.render import typeset
from asdlib.paths import CHOICES, Run
from asdlib.tables import read_table

SINGLE = (AE, BC)
"""rows of one system"""
PARTS = ("posterior", "distance")
"""of the classifier's score"""
ALIKE = 0.9
"""rank correlation from which on two scores count as ranking the clips alike"""


# Classifier -----------------------------------------------------------------------------------------------------------
def classifier(run: Run, settings, machine: str) -> Answer:
    """Which of the two conditions fails under which a weight between posterior and distance gains."""
    candidate = next(iter(settings.classifier_candidates))
    frame = metrics.evaluable(scores.read(run.scores("classifier", machine, candidate)))
    frame = frame.assign(system=frame["system"].str.rpartition("/")[2])
    figures = figures_by_domain(frame, settings.evaluation.p)
    weighted = figures[[origin.of_variant("classifier", name) == origin.PAPER for name in figures.index]]
    low, high = weighted.min(), weighted.max()
    before = "Over all weights and poolings of {numref}`variants-bc`, the paper's score reaches " + " and ".join(
        f"{percent(low[domain])} to {percent(high[domain])} % in the {domain} domain" for domain in figures
    )
    if not set(PARTS) <= set(figures.index):
        return f"{before} ({machine}, `{candidate}`).", ""
    frame = frame[frame["system"].isin(PARTS)]
    resampled = _resampled(frame, settings)
    lines, ends = [], []
    for domain in figures:
        wide = frame[frame["domain"] == domain].pivot(index=["section", "clip"], columns="system", values="score")
        agree = np.mean([part[PARTS[0]].corr(part[PARTS[1]], "spearman") for _, part in wide.groupby("section")])
        alone = [percent(figures.at[name, domain]) for name in PARTS]
        lines.append(
            f"* {domain}: the rank correlation of both, mean over sections, is {_number(agree)}; the posterior "
            f"alone reaches {alone[0]} %, the distance alone {alone[1]} %."
        )
        intervals = {
            name: interval(resampled.values((name, ""), domain=domain), settings.evaluation.confidence)
            for name in PARTS
        }
        ends.append(f"in the {domain} domain {_which_fails(agree, intervals)}")
    return f"{before} ({machine}, `{candidate}`).", "\n".join([*lines, f"\n**So {'; '.join(ends)}.**"])


def _which_fails(agree: float, intervals: dict[str, tuple[float, float, float]]) -> str:
    """Say which of the conditions fails, with the numbers: both rank differently, and one of them finds faults."""
    found = {name: side(low - CHANCE, high - CHANCE) > 0 for name, (_, low, high) in intervals.items()}
    best = max(intervals, key=lambda name: (found[name], intervals[name][0]))
    reaches = f"the {best} reaches {percent(*intervals[best])} %"
    differ = f"correlation {_number(agree)}"
    if agree >= ALIKE:
        also = "" if any(found.values()) else f", and the second, too: {reaches}, not shown to be above chance"
        return f"the first fails: both rank alike ({differ}){also}"
    if any(found.values()):
        return f"neither fails: they rank differently ({differ}), and {reaches}, above chance"
    return f"the second fails: they rank differently ({differ}), but even {reaches}, not shown to be above chance"


def _number(value: float) -> str:
    """A number with its sign and two digits."""
    return typeset(f"{value:+.2f}")


def _resampled(frame: pd.DataFrame, settings) -> Resampled:
    """Systems in every resample of the test clips, each a row by its own name that selects nothing."""
    options = settings.evaluation
    rows = frame.assign(row=frame["system"], selection="", fold="")
    return Resampled(rows, options.p, options.bootstrap, settings.seed)


# Ensembles ------------------------------------------------------------------------------------------------------------
def ensembles(run: Run, settings, machine: str) -> Answer:
    """How often both halves choose the same, and how far their choices for the rows of one system lie apart."""
    choices = read_table(run.system("ensemble", machine) / CHOICES)
    keys = ["row", "domain", "section"]
    halves = choices[(choices["selection"] == "cross-fitted") & ~choices["row"].str.contains("mix")]
    wide = halves.pivot_table(index=keys, columns="fold", values="members", aggfunc="first").dropna()
    same = int((wide["first"] == wide["second"]).sum())
    single = wide.reset_index().query("row in @SINGLE")
    shown = single[["row", "domain", "section"]].replace({"section": {"": "all"}})
    for fold, other in (("first", "second"), ("second", "first")):  # a fold names the half that is reported
        shown[f"By the {fold} half"] = [f"`{name.partition('/')[2]}`" for name in single[other]]
    caption = (
        f"What each half of the test clips of {machine} chooses for the rows of one system. With the ensembles, *max* "
        f"and the rows with a plus, the halves choose the same members in {same} of {len(wide)} choices; *mix* chooses "
        f"nothing.{link('downloads/pool.csv')}"
    )
    listed = table(shown.rename(columns=str.capitalize), caption, "halves-choose", widths="1 2 2 4 4")
    apart = [_apart(run, settings, machine, item) for item in single.itertuples() if item.first != item.second]
    if not apart:
        return listed, "**So no: in this run both halves choose the same for every row of one system.**"
    values = [abs(value) for value, _, _ in apart]
    reach = [(high - low) / 2 for _, low, high in apart]
    shown_to_differ = sum(side(low, high) != 0 for _, low, high in apart)
    verdict = (
        f"So no: in none of the {len(apart)} is one choice shown to be worse than the other"
        if not shown_to_differ
        else f"So in {shown_to_differ} of the {len(apart)} one choice is shown to be worse than the other there"
    )
    return listed, (
        f"On all test clips, and not as a mean over both halves as in {{doc}}`table1`, the two choices of a row differ "
        f"by {100 * np.mean(values):.2f} points on average and by {100 * max(values):.2f} at most ({len(apart)} of "
        f"{len(single)} choices differ). The intervals of these differences, over the same clips, reach "
        f"{100 * np.mean(reach):.2f} points to either side on average.\n\n**{verdict}.**"
    )


def _apart(run: Run, settings, machine: str, choice) -> tuple[float, float, float]:
    """The paired difference of both halves' choices on all test clips of the domain (or the section)."""
    frames = []
    for system in (choice.first, choice.second):
        branch, candidate, _ = system.split("/")
        frame = scores.read(run.scores(branch, machine, candidate))
        frame = frame[(frame["system"] == system) & (frame["domain"] == choice.domain)]
        frames.append(frame[frame["section"] == choice.section] if choice.section else frame)
    resampled = _resampled(metrics.evaluable(pd.concat(frames)), settings)
    return interval(resampled.difference((choice.first, ""), (choice.second, "")), settings.evaluation.confidence)
