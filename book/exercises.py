"""Exercises at the ends of the chapters, with answers that are computed from the run."""

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
from ablation_largest import corrected
from ablation_words import change_in_words
from exercise_reasons import WHY
from one_model_run import ABSENT, ROW
from paired import paired, verdict
from stored_results import ABLATIONS, PRINTED, read
from tables import data as link
from tables import effect, percent, signed, table
from verdicts import few_sections

from asdlib import metrics, origin, scores
from asdlib.atomic import read_json
from asdlib.ensemble.blocks import AE, BC, MIX, MIX_PLUS
from asdlib.evaluation import paper
from asdlib.evaluation.claims_paper import FEW
from asdlib.paths import BASELINES, CHOICES, CLIPS, Run
from asdlib.tables import read_table

SINGLE = (AE, BC)
"""rows of one system"""
Answer = str | tuple[str, str]
"""an answer; or what is shown before the question, and the answer"""


def data(run: Run, settings, machine: str) -> Answer:
    """How unbalanced the training clips are."""
    clips = read_table(run.data(machine) / CLIPS)
    train = clips[clips["split"] == "train"].groupby(["section", "domain"]).size().unstack(fill_value=0)
    shown = train.reset_index().rename(columns=str.capitalize)
    counts = table(
        shown, f"Normal training clips of {machine} by section and domain.", align="l" + "r" * train.shape[1]
    )
    mels = settings.autoencoder.features.n_mels
    parameters = mels * (mels + 1) // 2
    return (
        counts,
        f"A covariance over {mels} mel bands has {parameters:,} parameters, to be estimated from so many clips.",
    )


def baselines(run: Run, settings, machine: str) -> Answer:
    """Where the Mahalanobis distance is shown to be ahead of the better of the two networks, or behind it."""
    frame = metrics.sections(scores.read([run.scores(name, machine) for name in BASELINES]), settings.evaluation.p)
    cells = metrics.cells(frame).pivot(index="domain", columns="system", values="value")
    differences, lines = read_table(run.differences), []
    for domain, better in cells[["frame_autoencoder", "mobilenet"]].idxmax(axis=1).items():
        value, best = cells.loc[domain, ["mahalanobis", better]]
        lead = paired(differences, (PRINTED["mahalanobis"], ""), (PRINTED[better], ""), machine, domain)
        place = verdict(*lead[1:], ("is ahead", "is behind", "is not shown to be ahead or behind"))
        words = f"*Mahalanobis* reaches {percent(value)} %, the better network {percent(best)} %"
        lines.append(f"* {machine}, {domain}: {words}; the simple distance {place} ({effect(*lead)} points).")
    return "\n".join(lines), ""


def autoencoder(run: Run, settings, machine: str) -> Answer:
    """Which variant of the first candidate is best by the labels, and what the default loses."""
    return _variants(run, settings, machine, "autoencoder")


def classifier(run: Run, settings, machine: str) -> Answer:
    """The same of the classifier."""
    return _variants(run, settings, machine, "classifier")


def _variants(run: Run, settings, machine: str, branch: str) -> Answer:
    candidate = next(iter(getattr(settings, f"{branch}_candidates")))
    frame = scores.read(run.scores(branch, machine, candidate))
    cells = metrics.cells(metrics.sections(metrics.evaluable(frame), settings.evaluation.p))
    wide = cells.pivot(index="system", columns="domain", values="value")
    wide.index = [name.rsplit("/", 1)[1] for name in wide.index]
    wide = wide.sort_values(wide.columns[0], ascending=False)
    asked = wide.index.map(lambda name: origin.of_variant(branch, name) == origin.PAPER)
    own, others = (wide[asked], wide[~asked]) if asked.any() else (wide, wide[:0])
    shown = own.map(percent).reset_index(names="Variant").rename(columns=str.capitalize)
    caption = f"The paper's variants of `{candidate}` on {machine}: harmonic mean of AUC and pAUC, per cent."
    listed = table(shown, caption, align="l" + "r" * wide.shape[1])
    words = f"By *development* the best are {_best(own)}. Whoever picks one of them after looking has selected."
    if len(others):
        words += f" The scores of our extensions are none of these; the best of them are {_best(others)}."
    return listed, words


def _best(wide: pd.DataFrame) -> str:
    best = [f"`{wide[domain].idxmax()}` in the {domain} domain ({percent(wide[domain].max())} %)" for domain in wide]
    return " and ".join(best)


def ensembles(run: Run, settings, machine: str) -> Answer:
    """How often both halves choose the same, and what they choose for the rows of one system."""
    choices = read_table(run.system("ensemble", machine) / CHOICES)
    halves = choices[(choices["selection"] == "cross-fitted") & ~choices["row"].isin([MIX, MIX_PLUS])]
    keys = ["row", "domain", "section"]
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
    return listed, "Choices in which the halves differ are not settled by the data."


def one_model(run: Run, settings, machine: str) -> Answer:
    """In which cells the one network is shown to be better or worse than *mix*, fixed."""
    differences, rows = read_table(run.differences), []
    machines = differences.loc[differences["machine"] != "all", "machine"].unique()
    for name, domain in itertools.product(machines, ("source", "target")):
        more = paired(differences, ROW, (MIX, "fixed"), name, domain)
        if not np.isnan(more[0]):
            rows.append((name, domain, effect(*more), verdict(*more[1:], ("better", "worse", "undecided"))))
    if not rows:
        return ABSENT
    columns = ["Machine", "Domain", "*Integrated* minus *mix*, fixed (points)", "So it is"]
    caption = "*Integrated* minus *mix*, fixed, with paired bootstrap intervals over clips."
    caption += link("downloads/table1_differences.csv")
    return table(pd.DataFrame(rows, columns=columns), caption, align="llrl"), ""


def table1(run: Run, settings, machine: str) -> str:
    """Which rows change their rank when nothing may be selected."""
    frame = read_table(run.table1)
    total = frame[(frame["machine"] == "all") & (frame["domain"] == "all")]
    ranks = {}
    for selection in ("development", "fixed"):
        part = total[total["selection"].isin(["", selection])].set_index("row")["value"].dropna()
        ranks[selection] = part
    both = pd.DataFrame(ranks).dropna().rank(ascending=False).astype(int)
    moved = both[both["development"] != both["fixed"]]
    shown = moved.reset_index(names="Method").rename(
        columns={"development": "Rank, *development*", "fixed": "Rank, *fixed*"}
    )
    caption = f"Rows whose rank changes (of {len(both)})."
    return table(shown, caption, align="lrr") if len(moved) else "No row changes its rank."


def audit(run: Run, settings, machine: str) -> str:
    """The harmonic mean of one printed row, step by step."""
    row = "BC"
    cells = paper.cells().query("row == @row")["value"].to_numpy()
    total = (1 / cells).sum()
    numbers = " + ".join(f"1/{100 * value:.2f}" for value in cells)
    value = len(cells) / total
    printed = paper.printed_all()[row]
    return (
        f"*{row}* has {len(cells)} cells: {len(cells)} / ({numbers}) = **{100 * value:.2f}**. Printed is "
        f"{percent(printed)}, a difference of {signed(printed - value)} points: without the cells of ToyCar and "
        f"ToyTrain the same sum gives {percent(paper.value(row, machines=paper.WITHOUT_TOYS))}."
    )


def ablations(run: Run, settings, machine: str) -> str:
    """Which changes survive if the error is shared among all intervals, so that each is wider."""
    frame = read(ABLATIONS / "ablations.csv")
    confidence = read_json(ABLATIONS / "record.json")["settings"]["evaluation"]["confidence"]
    frame = corrected(frame, confidence)
    times = ((frame["wide_high"] - frame["wide_low"]) / (frame["high"] - frame["low"])).iloc[0]
    decided = frame[(frame["low"] > 0) | (frame["high"] < 0)]
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
    return f"{words}\n\n{table(pd.DataFrame(rows, columns=columns), caption, align='lllr', widths='2 6 3 5')}"


def claims(run: Run, settings, machine: str) -> str:
    """How many times as many clips would decide each undecided claim, if its effect is what it seems.

    A deviation over too few sections is left out, since no number of clips decides it.
    """
    frame = read_table(run.claims)
    few = few_sections(frame, read_table(run.differences))
    frame = frame[~few & (frame["low"] < 0) & (frame["high"] > 0) & frame["clips"].notna()]
    factor = ((frame["high"] - frame["low"]) / 2 / frame["effect"].abs().clip(lower=1e-6)) ** 2
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
    caption = "Undecided claims: an interval shrinks with the square root of the number of clips."
    if few.any():
        caption += f" Effects over sections are left out: {FEW}, so no number of clips decides them."
    return table(shown, caption, align="lrrr", widths="6 2 2 2")


QUESTIONS: dict[str, tuple[str, Callable]] = {
    "data": ("What do these numbers of clips mean for a Gaussian of each domain?", data),
    "baselines": ("What can explain where the simple distance is ahead of the networks, or behind them?", baselines),
    "autoencoder": ("Which way of pooling frames is best in each domain, and why that one?", autoencoder),
    "classifier": ("Which weight of the posterior is best in each domain, and what would explain that?", classifier),
    "ensembles": ("Why do the two halves not always choose the same?", ensembles),
    "one_model": ("What does the one network gain or lose by sharing?", one_model),
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
