"""Exercises at the ends of the chapters, with answers that are computed from the run."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
from ablation_largest import corrected
from ablation_words import change_in_words
from combining_exercises import classifier, ensembles
from detector_exercises import Answer, autoencoder, baselines, one_model
from exercise_reasons import WHY
from paired import widened
from schematics import counted
from shift_heard import exercise as shift
from stored_results import ABLATIONS, read
from tables import effect, percent, signed, table
from verdicts import few_sections

from asdlib.atomic import read_json
from asdlib.ensemble.blocks import MIX
from asdlib.evaluation import paper
from asdlib.evaluation.bootstrap import side
from asdlib.evaluation.claims import UNDECIDED
from asdlib.evaluation.claims_paper import FEW
from asdlib.paths import Run
from asdlib.tables import read_table

ALL_LEADS = re.compile(r"fewer than (?P<count>\d+) of (?P=count) (?P<confidence>\d+)%")
"""the reason of an undecided sentence about several leads that must all hold"""


def table1(run: Run, settings, machine: str) -> str:
    """Which rows change their rank when nothing may be selected."""
    frame = read_table(run.table1)
    total = frame[(frame["machine"] == "all") & (frame["domain"] == "all")]
    ranks = {}
    for selection in ("development", "fixed"):
        part = total[total["selection"].isin(["", selection])].set_index("row")["value"].dropna()
        ranks[selection] = part
    both = pd.DataFrame(ranks).dropna().rank(ascending=False, method="min").astype(int)
    moved = both[both["development"] != both["fixed"]]
    shown = moved.reset_index(names="Method").rename(
        columns={"development": "Rank, *development*", "fixed": "Rank, *fixed*"}
    )
    caption = f"Rows whose rank changes (of {len(both)}); equal figures share the better rank."
    if moved.empty:
        return "No row changes its rank."
    rises = moved["development"] - moved["fixed"]
    ends = [(places, way) for places, way in ((rises, "up"), (-rises, "down")) if places.max() > 0]
    most = ", and ".join(f"{_most(places)} most places {way}, {places.max()}" for places, way in ends)
    end = f"**So {len(moved)} of {len(both)} rows change their rank without labels: {most}.**"
    return f"{table(shown, caption, align='lrr')}\n{_why_mix_rises(rises)}{end}"


def _most(places: pd.Series) -> str:
    """The rows that move by the most places, all of them if several do."""
    names = [f"*{name}*" for name in places.index[places == places.max()]]
    return f"{' and '.join(names)} {'moves' if len(names) == 1 else 'move'}"


def _why_mix_rises(rises: pd.Series) -> str:
    """Why *mix* can rise although it loses the luck of its members; nothing if it does not."""
    places = int(rises.get(MIX, 0))
    if places <= 0:
        return ""
    return (
        f"*{MIX}* rises by {counted(places, 'place')}, although its members lose the luck of their selection. Under "
        "*fixed* the ensembles that it averages are normalised by normal training clips, under *development* by the "
        "test clips, whose faults widen the spread of a branch that finds them, and so lower its weight. What it gains "
        "by that can exceed what it loses.\n\n"
    )


def audit(run: Run, settings, machine: str) -> str:
    """The harmonic mean of one printed row, step by step."""
    row = "BC"
    cells = paper.cells().query("row == @row")["value"].to_numpy()
    total = (1 / cells).sum()
    numbers = " + ".join(f"1/{100 * value:.2f}" for value in cells)
    value = len(cells) / total
    printed = paper.printed_all()[row]
    lowest = paper.cells().query("row == @row").sort_values("value").iloc[0]
    return (
        f"*{row}* has {len(cells)} cells: {len(cells)} / ({numbers}) = **{100 * value:.2f}**. Printed is "
        f"{percent(printed)}, a difference of {signed(printed - value)} points: without the cells of ToyCar and "
        f"ToyTrain the same sum gives {percent(paper.value(row, machines=paper.WITHOUT_TOYS))}. The lowest cell counts "
        f"most, {lowest['machine']} {lowest['domain']}: a point more there would raise the mean by "
        f"({100 * value:.2f} / {100 * lowest['value']:.2f})² / {len(cells)} = "
        f"{(value / lowest['value']) ** 2 / len(cells):.2f} points.\n\n"
        f"**So the mean of all cells is {100 * value:.2f}, not the printed {percent(printed)}, and {lowest['machine']} "
        f"{lowest['domain']} counts most.**"
    )


def ablations(run: Run, settings, machine: str) -> str:
    """Which changes survive if the error is shared among all intervals, so that each is wider."""
    frame = read(ABLATIONS / "ablations.csv")
    confidence = read_json(ABLATIONS / "record.json")["settings"]["evaluation"]["confidence"]
    frame = corrected(frame, confidence)
    times = ((frame["wide_high"] - frame["wide_low"]) / (frame["high"] - frame["low"])).iloc[0]
    decided = frame[side(frame["low"], frame["high"]) != 0]
    kept = decided[decided["survives"]]
    rows = [
        (item.branch, f"{change_in_words(item.candidate, item.change)} (`{item.candidate}`)", item.variant,
         effect(item.difference, item.wide_low, item.wide_high))
        for item in kept.itertuples()
    ]  # fmt: skip
    words = (
        f"Of the {len(frame)} intervals of changes {len(decided)} lie on one side of zero. If all "
        f"{frame['intervals'].iloc[0]} intervals of the page together are to err in at most "
        f"{100 * (1 - confidence):.0f} % of cases, each has to be {times:.2f} times as wide. Then, "
        f"counting only differences that exceed their deviation over seeds, {len(kept)} do."
    )
    columns = ["Branch", "Change", "Score", "Difference, with the wider interval"]
    caption = "What survives the correction: mean differences over all domains in percentage points."
    shown = table(pd.DataFrame(rows, columns=columns), caption, align="lllr", widths="2 6 3 5")
    end = f"**So {len(kept)} of {len(decided)} survive, and the price is intervals {times:.2f} times as wide.**"
    return f"{words}\n\n{shown}\n{end}"


def claims(run: Run, settings, machine: str) -> str:
    """How many times as many clips would decide each undecided claim, if its effect is what it seems.

    A deviation over too few sections is left out, since no number of clips decides it.
    """
    frame = read_table(run.claims)
    few = few_sections(frame, read_table(run.differences))
    lacking = frame[~few & (frame["verdict"] == UNDECIDED) & (side(frame["low"], frame["high"]) != 0)]
    frame = frame[~few & frame["low"].notna() & (side(frame["low"], frame["high"]) == 0) & frame["clips"].notna()]
    frame = frame[frame["low"] < frame["high"]]  # two rows of the same system differ in no clip
    reach = [(high - low) / 2 for low, high in map(deciding, frame.itertuples())]
    factor = (reach / frame["effect"].abs().clip(lower=1e-6)) ** 2
    shown = pd.DataFrame(
        {
            "Test": frame["test"],
            "Effect": frame["effect"].map(signed),
            "Clips here": frame["clips"].astype(int),
            "Clips needed": [
                f"{int(np.ceil(count * times)):,}" for count, times in zip(frame["clips"], factor, strict=True)
            ],
        }
    )
    caption = (
        "Undecided claims: with how many clips half the width of the interval that decides would equal the effect, if "
        "it shrinks with the square root of their number. Where the lowest of several leads lies below zero, that is "
        "the interval widened for the number of leads. With so many clips the chance to see the effect is about even, "
        "and with twice as many about four in five."
    )
    if few.any():
        caption += f" Effects over sections are left out: {FEW}, so no number of clips decides them."
    for item in lacking.itertuples():
        caption += f" Left out, too: {item.test} ({item.reason})."
    if frame.empty:
        return "In this run, more clips would decide no further sentence."
    ends = [f"{int(np.ceil(end)):,}" for end in ((frame["clips"] * factor).min(), (frame["clips"] * factor).max())]
    times = [f"{end:,.1f}" for end in (factor.min(), factor.max())]
    end = (
        f"**So the undecided sentences would take {_range(*ends)} clips, {_range(*times)} times as many as here, since "
        "their effects are small next to their intervals.**"
    )
    example, reached, times = next(frame.itertuples()), reach[0], factor.iat[0]
    line = (
        f"The first row, step by step: half the width of its interval is {100 * reached:.2f} points, its effect "
        f"{100 * abs(example.effect):.2f}. So ({100 * reached:.2f} / {100 * abs(example.effect):.2f})² = {times:,.1f} "
        f"times as many clips are needed as the {example.clips:.0f} here, {int(np.ceil(example.clips * times)):,}."
    )
    return f"{table(shown, caption, align='lrrr', widths='6 2 2 2')}\n{line}\n\n{end}"


def deciding(item) -> tuple[float, float]:
    """The interval of a claim that decides: below zero, and of several leads that must all hold, the widened one."""
    leads = ALL_LEADS.match(item.reason)
    if leads is None or item.effect >= 0:
        return item.low, item.high
    return widened(item.low, item.high, int(leads["confidence"]) / 100, int(leads["count"]))


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


QUESTIONS: dict[str, tuple[str, Callable]] = {
    "data": (
        "In which sections of this run is the shift larger than the fault? Of the first machine type the page has said "
        "it; judge the others by {numref}`average-spectra` before you unfold the numbers. (Its frequency axis is "
        "logarithmic, and the number averages mel bands, so the lowest octaves take more room in the figure than in "
        "the number.) What follows for a detector that knows the source only?",
        shift,
    ),
    "baselines": (
        "At which kinds of faults should the simple distance be ahead of the networks, and at which not? It sees "
        "the mean and the deviation over time of each band, and nothing else.",
        baselines,
    ),
    "autoencoder": (
        "Choose the best variant of each domain by one half of the clips. How much of its lead over the variant of "
        "*fixed* should remain on the other half?",
        autoencoder,
    ),
    "classifier": (
        "A weight between posterior and distance can gain only if they rank the clips differently, and if one of them "
        "finds faults. Both conditions are necessary, not enough. {numref}`posterior-distance` shows whether they "
        "differ. Which of the two fails, and what does the best weight reach?",
        classifier,
    ),
    "ensembles": (
        "The halves choose different systems. By how much do you expect their choices to differ on all clips, and does "
        "it follow that one half has chosen badly?",
        ensembles,
    ),
    "one_model": (
        "The figure over all machine types and domains is the harmonic mean of the cells. How much of its difference "
        "is due to the worst cell?",
        one_model,
    ),
    "table1": ("Which rows change their rank from *development* to *fixed*, and why?", table1),
    "audit": ("What is the harmonic mean of the printed cells of *BC*, and which cell counts most in it?", audit),
    "ablations": ("Which changes survive a correction for the number of intervals, and what does it cost?", ablations),
    "claims": ("How many test clips would it take to decide what is undecided, and why so many?", claims),
}
"""chapter: question, and the function that answers it"""


SOURCES = {"audit": "the printed cells", "ablations": "the stored runs"}
"""of what an answer is computed if not of the book's run"""


def pages(run: Run, settings, machine: str) -> dict[str, str]:
    """Each exercise as a page to include: what it asks about, the question, and its answer, folded."""
    return {f"generated/exercise_{name}.md": _page(name, *_parts(QUESTIONS[name][1](run, settings, machine)))
            for name in QUESTIONS}  # fmt: skip


def _parts(answer: Answer) -> tuple[str, str]:
    return ("", answer) if isinstance(answer, str) else answer


def _page(name: str, before: str, answer: str) -> str:
    made = f", computed from {SOURCES.get(name, 'this run')}" * bool(answer)
    parts = [f"::::{{dropdown}} The answer{made}\n{answer}".rstrip("\n"), f"**Why.** {WHY[name]}\n::::\n"]
    return "\n\n".join([*filter(None, [before]), f"**Exercise.** {QUESTIONS[name][0]}", *parts])
