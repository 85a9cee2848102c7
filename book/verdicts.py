"""The page of claims: the paper's sentences, the verdict first, on this run and on stored real data side by side."""

import re

import numpy as np
import pandas as pd
from claim_tests import COMPARED, GAINS, Scope, printed
from paired import paired, widened
from tables import BLANK, effect, table

from asdlib.evaluation.bootstrap import side
from asdlib.evaluation.claims import ARITHMETIC, BASIS, CONTRADICTED, HOLDS, MULTIPLICITY, NOT_RUN, UNDECIDED
from asdlib.evaluation.claims_paper import FEW, too_few_sections
from asdlib.evaluation.render import typeset
from asdlib.tables import read_table

WORDS = {"holds": "✔ holds", "contradicted": "✘ contradicted", "undecided": "? undecided", "not run": "– not run"}
"""the four verdicts, with a mark that does not need colour"""
FAMILIES = ("inlier models", "classifiers")
ON_SYSTEMS = {
    "AE ensemble minus AE, all machine types": [("chosen ensemble minus best single", FAMILIES[:1], "inlier models")],
    "BC ensemble minus BC, all machine types": [("chosen ensemble minus best single", FAMILIES[1:], "classifiers")],
    "AE+BC ensemble (mix) minus AE ensemble and minus BC ensemble, each of them, all machine types": [
        ("mix minus the ensemble", FAMILIES, "both families"),
    ],
    "AE+BC ensemble (mix) minus Baseline (AE) and minus Baseline (MobileNetV2), each of them, all machine types": [
        ("mix minus the official AE", ("",), "mix of other people's systems minus the official AE"),
    ],
    "standard deviation over sections: BC minus BC ensemble": [
        ("deviation over sections, best single minus chosen ensemble", FAMILIES[1:], "classifiers"),
    ],
    "AE+BC ensemble (mix) minus AE+BC ensemble (max), all machine types": [
        ("mix minus max", ("",), "mix minus max"),
        ("gain of averaging two systems with how differently they rank", ("",), "gain of a pair with its difference"),
        ("gain of averaging two systems with how differently they rank", ("same gap",), "pairs of equal lead"),
    ],
    "lead of AE+BC ensemble (mix) over AE+BC ensemble (max) on at least two machine types; the second largest is "
    "shown": [("mix minus max by machine type", ("",), "leads of more than a point")],
    "rank correlation of candidates of one approach minus that of candidates of both, within a label; interval over "
    "sections by Student's t distribution": [("rank correlation within families minus across", ("",), "")],
}
"""test of a claim on a run, and the similar ones on other people's systems: name, parts that must all hold, in words"""
CELLS = (
    "*In the paper's cells*: the same difference in its printed table, over this run's machine types in brackets; of "
    "several leads the lowest, but of *several machine types* the second largest."
)
LABELS = "The verdict comes from the *cross-fitted* effect, in bold; *development* and *fixed* do not enter it."
ABSENT = (np.nan,) * 3
SEVERAL = re.compile(r"fewer than \d+ of (\d+) (\d+)%")
"""the reason of an undecided sentence about several leads: their number and the confidence of an interval, per cent"""


def marked(word: str) -> str:
    """A verdict with its mark."""
    return f'<span class="verdict {word.replace(" ", "-")}">{WORDS[word]}</span>'


def marked_by_seeds(verdict: str, seeds: float) -> str:
    """A verdict with its mark; one that a single seed has decided is about its clips and its training only."""
    alone = verdict in (HOLDS, CONTRADICTED) and not pd.isna(seeds) and seeds == 1
    return marked(verdict) + (" on these clips (1 seed)" if alone else "")


def claims(
    frame: pd.DataFrame, differences: pd.DataFrame, stored: pd.DataFrame, systems: pd.DataFrame, scope: Scope
) -> str:
    """The paper's sentences with their verdicts on this run, on real toy cars and on real score files.

    Args:
        frame: ``claims.csv`` of this run.
        differences: ``table1_differences.csv`` of this run.
        stored: The claims of the stored run on toy cars.
        systems: The stored claims on other people's systems, all years.
        scope: What this run covers of the paper.
    """
    there = stored.set_index("claim")[["verdict", "seeds"]]
    rows = [
        {
            "This run": marked_by_seeds(item.verdict, item.seeds),
            "The paper says": f"“{item.claim}” ({item.source})",
            "Real toy cars": BLANK if item.unit == ARITHMETIC else _there(item.claim, there),
            "Real score files": BLANK if item.unit == ARITHMETIC else _on_systems(item.test, systems),
            "Test and effect in this run": _tested(item, differences, scope),
            "Rests on": _basis(item, scope),
        }
        for item in _judged(frame, differences)
    ]
    caption = (
        "The paper's sentences, judged on the paper's rows. Effects in percentage points (correlations times 100), "
        f"with their intervals; of several leads the decisive one. {LABELS} *Real score files*: a similar test on "
        f"other people's systems, by year and by a stricter rule; what it compares is in brackets. {CELLS} "
        f"{MULTIPLICITY}"
    )
    return table(pd.DataFrame(rows), caption, "claims-table", "", "3 7 3 4 8 3")


def of_one_run(frame: pd.DataFrame, name: str, scope: Scope, differences: pd.DataFrame | None = None) -> str:
    """The paper's sentences with the verdicts of one run only, for pages of stored runs and for several seeds."""
    rows = [
        (
            marked_by_seeds(item.verdict, item.seeds),
            f"“{item.claim}” ({item.source})",
            _tested(item, differences, scope),
            _basis(item, scope),
        )
        for item in _judged(frame, differences)
        if item.unit != ARITHMETIC  # the printed table is the same whatever was run
    ]
    columns = ["Verdict", "The paper says", "Test and effect", "Rests on"]
    caption = (
        "The paper's sentences, judged on the paper's rows; effects in percentage points (correlations times 100)."
    )
    caption = " ".join([caption, *[LABELS] * (differences is not None), CELLS, MULTIPLICITY])
    return table(pd.DataFrame(rows, columns=columns), caption, f"{name}-table", "", "3 6 8 3")


def extensions(frame: pd.DataFrame, name: str = "extensions", differences: pd.DataFrame | None = None) -> str:
    """What our extensions gain: verdict, statement, effect."""
    rows = [
        (marked_by_seeds(item.verdict, item.seeds), item.claim, _tested(item, differences), _basis(item))
        for item in _judged(frame, differences)
    ]
    columns = ["Verdict", "Statement", "Test and effect", "Rests on"]
    caption = "What our extensions gain; effects in percentage points, with their intervals."
    caption = " ".join([caption, *[LABELS] * (differences is not None)])
    return table(pd.DataFrame(rows, columns=columns), caption, f"{name}-table", "", "3 6 8 3")


def over_seeds(run, scope: Scope) -> str:
    """Both tables of claims over runs that differ in the seed only; nothing if there is one seed."""
    of_paper, of_extensions = run.over_seeds(run.claims), run.over_seeds(run.claims_extensions)
    parts = [of_one_run(read_table(of_paper), "claims-seeds", scope)] if of_paper.is_file() else []
    parts += [extensions(read_table(of_extensions), "extensions-seeds")] if of_extensions.is_file() else []
    return "\n\n".join(parts)


def _there(claim: str, stored: pd.DataFrame) -> str:
    """The verdict of a stored run on a sentence."""
    return marked_by_seeds(*stored.loc[claim]) if claim in stored.index else marked(NOT_RUN)


def _tested(item, differences: pd.DataFrame | None = None, scope: Scope | None = None) -> str:
    """What was measured and its effect, or why there is none; also by other selections and in the paper's cells."""
    if pd.isna(item.effect):
        return f"{item.test}: {item.reason}"
    others = {
        "*development*": (item.development, np.nan, np.nan),
        "*fixed*": ABSENT if differences is None else without_labels(item.test, differences),
    }
    if scope:
        others[scope.words(item.test)] = (printed(item.test, scope.machines), np.nan, np.nan)
    more = [f"{words} {effect(*values)}" for words, values in others.items() if not pd.isna(values[0])]
    if item.verdict == UNDECIDED and side(item.low, item.high):  # the interval does not say why
        several = SEVERAL.match(item.reason) if side(item.low, item.high) < 0 else None
        counts = several and map(int, several.groups())
        more.append(not_contradicted(item, *counts) if several else re.sub(r"(\d)%", r"\1 %", item.reason))
    elif item.few_sections:
        more.append(f"undecided whatever the interval, since {FEW}")
    return "; ".join([f"{item.test}: **{effect(item.effect, item.low, item.high)}**", *more])


def not_contradicted(item, leads: int, confidence: int) -> str:
    """Why a sentence about several leads is undecided although the interval of the lowest lies below zero."""
    low, high = widened(item.low, item.high, confidence / 100, leads)
    return typeset(
        f"not contradicted, since the lowest of {leads} leads decides and its interval, widened for that, is "
        f"{100 * low:+.2f} to {100 * high:+.2f}"
    )


def few_sections(frame: pd.DataFrame, differences: pd.DataFrame | None) -> pd.Series:
    """Which claims are about an effect over too few sections; none if it is not known how many machine types ran.

    Args:
        frame: Claims of a run.
        differences: ``table1_differences.csv`` of this run, which has the total only if there is one machine type.
    """
    if differences is None:
        return pd.Series(False, index=frame.index)
    machines = set(differences["machine"]) - {"all"}
    return too_few_sections(frame, max(len(machines), 1))


def _judged(frame: pd.DataFrame, differences: pd.DataFrame | None):
    """The claims one after the other, each with ``few_sections``."""
    return frame.assign(few_sections=few_sections(frame, differences)).itertuples()


def without_labels(test: str, differences: pd.DataFrame) -> tuple[float, ...]:
    """The effect of a test by the selection *fixed*, with its interval; of several the lowest.

    NaN if the test does not compare rows or the run lacks one. A difference of gains has no interval in the file.
    """
    if not (found := COMPARED.fullmatch(test)):
        return ABSENT
    one, others, where = found.groups()
    machine = "all" if where == "all machine types" else where
    gains = [GAINS.fullmatch(words) for words in (one, others)]
    if all(gains):
        first, second = (_fixed(*gain.groups(), machine, differences)[0] for gain in gains)
        return first - second, np.nan, np.nan
    leads = [_fixed(one, other, machine, differences) for other in others.split(" and minus ")]
    if any(np.isnan(lead[0]) for lead in leads):
        return ABSENT
    return min(leads, key=lambda lead: lead[0] if np.isnan(lead[1]) else lead[1])


def _fixed(one: str, other: str, machine: str, differences: pd.DataFrame) -> tuple[float, ...]:
    """The lead of a row by *fixed* over another one, which may select nothing."""
    leads = [paired(differences, (one, "fixed"), (other, selection), machine, "all") for selection in ("fixed", "")]
    return next((lead for lead in leads if not np.isnan(lead[0])), ABSENT)


def _on_systems(test: str, systems: pd.DataFrame) -> str:
    """The verdicts of similar tests on other people's systems, each with its years and what it compares."""
    if test not in ON_SYSTEMS:
        return marked(NOT_RUN)
    judged = systems[systems["selection"].isin(["cross-fitted", "none"])]
    lines = []
    for name, parts, words in ON_SYSTEMS[test]:
        found = judged[(judged["test"] == name) & judged["part"].isin(parts)]
        years = found.groupby("year", sort=False)["verdict"].agg(jointly)
        for verdict, group in years.groupby(years, sort=False):
            lines.append(f"{marked(verdict)} ({', '.join([*map(str, group.index), *filter(None, [words])])})")
    return "<br>".join(lines)


def jointly(verdicts: pd.Series) -> str:
    """The verdict on a sentence of several parts, all of which it says: one part that fails contradicts it.

    >>> jointly(pd.Series(["holds", "undecided"])), jointly(pd.Series(["holds", "contradicted"]))
    ('undecided', 'contradicted')
    """
    if (verdicts == CONTRADICTED).any():
        return CONTRADICTED
    return HOLDS if (verdicts == HOLDS).all() else UNDECIDED


def _basis(item, scope: Scope | None = None) -> str:
    """On how much a verdict rests, and what the ensembles that it is about could choose from."""
    if item.unit == ARITHMETIC:
        return "the printed table"
    numbers = [getattr(item, name, float("nan")) for name in BASIS]
    if pd.isna(numbers[0]) or numbers[0] == 0:
        return BLANK
    pairs = zip(numbers, ("clip", "section", "seed"), strict=True)
    words = ", ".join(f"{count:.0f} {word}{'' if count == 1 else 's'}" for count, word in pairs if not pd.isna(count))
    return "; ".join(filter(None, [words, scope.candidates(item.test) if scope else ""]))
