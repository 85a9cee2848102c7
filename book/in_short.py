"""What the run shows in each chapter on a method, in a few lines above the figures that show it."""

import numpy as np
import pandas as pd
from mix_answers import CHANCE
from paired import paired, verdict
from scorer_gap import gaps, narrowed
from stored_results import PRINTED
from tables import effect, percent

from asdlib.ensemble.blocks import AE, AE_ENSEMBLE, BC, BC_ENSEMBLE, MIX
from asdlib.evaluation.bootstrap import side
from asdlib.paths import BASELINES, Run
from asdlib.tables import read_table

SIMPLE = (PRINTED["mahalanobis"], "")
LEADS = ("is better than", "is worse than", "is not shown to be better or worse than")


def baselines(run: Run, settings, machine: str) -> str:
    """Which baseline is ahead over all, and which are not told from chance."""
    table = _over_all(run)
    rows = {PRINTED[name]: table.loc[(PRINTED[name], "")] for name in BASELINES if (PRINTED[name], "") in table.index}
    best = max(rows, key=lambda name: rows[name]["value"])
    close = [f"*{name}*" for name in rows if name != best and not _differs(run, (best, ""), (name, ""))]
    chance = [f"*{name}*" for name, item in rows.items() if not side(item["low"] - CHANCE, item["high"] - CHANCE)]
    lines = [
        f"*{best}* reaches most, {_figure(rows[best])}; not shown to be worse: {', '.join(close) or 'no other row'}.",
        f"Not to be told from chance: {', '.join(chance) or 'no row'}.",
    ]
    return _box(lines)


def autoencoder(run: Run, settings, machine: str) -> str:
    """What the first autoencoder reaches, compared with no network, and what combining candidates adds."""
    gap = gaps(run, settings, machine)
    also = () if gap is None else (f"On {machine}, {narrowed(gap)} ({{numref}}`scorer-gap`).",)
    return _branch(run, (AE, "fixed"), (AE_ENSEMBLE, "fixed"), also)


def classifier(run: Run, settings, machine: str) -> str:
    """The same of the classifier."""
    return _branch(run, (BC, "fixed"), (BC_ENSEMBLE, "fixed"))


def _branch(run: Run, single: tuple, whole: tuple, also: tuple[str, ...] = ()) -> str:
    table, differences = _over_all(run), read_table(run.differences)
    if single not in table.index:
        return "This run has no system of this branch."
    item, lines = table.loc[single], []
    place = verdict(
        item["low"] - CHANCE, item["high"] - CHANCE, ("above chance", "below chance", "not to be told from chance")
    )
    lines.append(f"The first candidate alone (*{single[0]}*, *fixed*) reaches {_figure(item)}, which is {place}.")
    if SIMPLE in table.index:
        lines.append(f"It {_compared(differences, single, SIMPLE)}, which needs no network.")
    if whole in table.index:
        lines.append(f"All candidates together (*{whole[0]}*) reach {_figure(table.loc[whole])}.")
    return _box([*lines, *also])


def ensembles(run: Run, settings, machine: str) -> str:
    """What *mix* reaches without labels, next to its ensembles and to no network."""
    table, differences = _over_all(run), read_table(run.differences)
    if (MIX, "fixed") not in table.index:
        return "This run has no ensemble of both branches."
    lines = [f"Without labels (*fixed*), *mix* reaches {_figure(table.loc[(MIX, 'fixed')])}."]
    for other, words in (
        ((AE_ENSEMBLE, "fixed"), ""),
        ((BC_ENSEMBLE, "fixed"), ""),
        (SIMPLE, ", which needs no network"),
    ):
        if other in table.index:
            lines.append(f"It {_compared(differences, (MIX, 'fixed'), other)}{words}.")
    crossed = [
        _compared(differences, (MIX, "cross-fitted"), (other, "cross-fitted"))
        for other in (AE_ENSEMBLE, BC_ENSEMBLE)
        if not np.isnan(paired(differences, (MIX, "cross-fitted"), (other, "cross-fitted"), "all", "all")[0])
    ]
    if crossed:
        lines.append(
            f"By *cross-fitted*, which {{doc}}`claims` judges, it {'. It '.join(crossed)}. "
            "{numref}`mix-over-machines` has every selection."
        )
        lines.append(
            "The two selections take other members and normalise scores otherwise: *fixed* by normal training clips "
            "only, *cross-fitted* by all test clips, faults among them. So their opponents differ, too. "
            f"{' '.join(f'{_opponent(table, other)}.' for other in (AE_ENSEMBLE, BC_ENSEMBLE))}"
        )
    return _box(lines)


def _opponent(table: pd.DataFrame, row: str) -> str:
    """What an ensemble reaches by *fixed* and by *cross-fitted*."""
    figures = (f"{percent(table.at[(row, name), 'value'])} % by *{name}*" for name in ("fixed", "cross-fitted"))
    return f"*{row}* reaches {' and '.join(figures)}"


def _over_all(run: Run) -> pd.DataFrame:
    """The figures over all machine types, sections and domains, by row and selection."""
    table = read_table(run.table1)
    table = table[(table["machine"] == "all") & (table["domain"] == "all")].set_index(["row", "selection"])
    return table.loc[table["value"].notna(), ["value", "low", "high"]].sort_index()


def _figure(item: pd.Series) -> str:
    return f"{percent(*item)}\N{NO-BREAK SPACE}%"


def _differs(run: Run, one: tuple, other: tuple) -> bool:
    low, high = paired(read_table(run.differences), one, other, "all", "all")[1:]
    return side(low, high) != 0


def _compared(differences: pd.DataFrame, one: tuple, other: tuple) -> str:
    lead = paired(differences, one, other, "all", "all")
    return f"{verdict(*lead[1:], LEADS)} *{other[0]}* ({effect(*lead)} points)"


def _box(lines: list[str]) -> str:
    """The lines in a box, with what they are figures of."""
    listed = "\n".join(f"* {line}" for line in lines)
    what = "Over all machine types, sections and domains: harmonic mean of AUC and pAUC, with intervals over clips."
    return f":::{{admonition}} What this run shows\n{listed}\n\n{what}\n:::"
