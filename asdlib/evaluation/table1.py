"""Compute Table 1 (Sec. 3): the paper's eight rows, and our extensions in a second block, with intervals.

Rows that carry the paper's names contain only the paper's method; everything else is in separate rows
(:mod:`asdlib.evaluation.rows`).
"""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import ensemble, paths, scores
from asdlib.atomic import write_json, write_text
from asdlib.data import plan
from asdlib.evaluation import claims_extensions, claims_paper, false_alarms, health, paper, render
from asdlib.evaluation.bootstrap import Resampled, interval
from asdlib.evaluation.repeated import repeat
from asdlib.evaluation.rows import ROW_OF, ROWS, SYSTEMS
from asdlib.evaluation.values import name_alarms, name_values
from asdlib.paths import AGREEMENT, RECORD
from asdlib.records import check_settings
from asdlib.stage import Stage
from asdlib.tables import read_table, write_table

KEYS = ["row", "machine", "domain", "selection"]
ORIENTATION = "The data are synthetic, not DCASE2021: the paper's numbers are given for orientation only."


def run(settings) -> pd.DataFrame:
    """Evaluate a run and write ``table1.csv``, its companions, ``claims.csv`` and ``values.json`` to the run folder.

    ``claims.csv`` judges the paper's sentences on the paper's rows, ``claims_extensions.csv`` the gains of our
    extensions. ``false_alarms.csv`` compares intended and measured rates of false alarms, ``health.csv`` lists systems
    that cannot distinguish clips. ``table1_differences.csv`` contains the paired differences of every two rows, and of
    every row by two selections. ``table1.md`` and ``table1.tex`` have the paper's layout. ``values.json`` names numbers
    for prose.

    Returns:
        The tidy table with the columns ``row, machine, domain, selection, value, low, high, paper, paper_printed``, in
        fractions. Machine and domain may be ``all``: the harmonic mean over all AUC and pAUC, which equals the harmonic
        mean of the cells if all machine types have equally many sections. ``paper`` is what ``value`` is compared with
        everywhere: the printed cell, or for ``all`` the harmonic mean of the printed cells of the machine types of
        this run, NaN if the paper lacks one of them. ``paper_printed`` is what the paper prints, for cells and for the
        whole table. Where ``value`` is NaN, the machine was not run or the row has no such selection.

    Raises:
        ScoreError: A machine type of the plan has not been scored or has no ensemble.
    """
    stage, out = Stage(settings), paths.Run.of(settings)
    frame = read(settings)
    evaluation = settings.evaluation
    samples = resample(settings, frame)
    table = tidy(samples, evaluation.confidence)
    differences = compute_differences(samples, evaluation.confidence)
    tested = claims_paper.judge(samples, read_agreements(settings), evaluation.confidence)
    extensions = claims_extensions.judge(samples, evaluation.confidence)
    alarms = false_alarms.false_alarms(frame, evaluation.decision_quantile)
    notes = health.health(settings, frame, samples.machines)
    note = ORIENTATION if settings.data.synthetic is not None else ""
    layout = (table, settings.title, note, ensemble.SELECTIONS, samples.machines, health.sentences(notes))
    judged = {"claims": tested, "extensions": extensions}
    named = name_values(table, differences, optimism(differences), judged, frame, settings) | name_alarms(alarms)
    data = ensemble.fingerprint(inputs(settings))
    relevant = {"evaluation": evaluation.model_dump(mode="json")}
    with stage.adding(relevant, seed=settings.seed, data=data) as folder:
        write_table(table, folder / out.table1.name)
        write_table(differences, folder / out.differences.name)
        write_table(tested, folder / out.claims.name)
        write_table(extensions, folder / out.claims_extensions.name)
        write_table(alarms, folder / out.false_alarms.name)
        write_table(notes, folder / out.health.name)
        write_text(render.markdown(*layout), folder / out.table1.with_suffix(".md").name)
        write_text(render.latex(*layout), folder / out.table1.with_suffix(".tex").name)
        write_json(named | {"health_notes": len(health.sentences(notes))}, folder / out.values.name)
    for path in (out.table1, out.differences, out.claims, out.claims_extensions):
        out.over_seeds(path).unlink(missing_ok=True)  # computed from the table that this one replaces
    return table


def resample(settings, frame: pd.DataFrame | None = None, split_seed: int | None = None) -> Resampled:
    """Evaluate every row under resampled clips, repeating the selection in each resample.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        frame: Score rows, as returned by :func:`read`; None to read them.
        split_seed: Seed of the halves and of the resamples; None for the seed of the run.
    """
    frame = read(settings) if frame is None else frame
    repeated = repeat(settings, plan.read(settings).machines, split_seed)
    without = frame[frame["selection"].isin(["", "fixed"])].assign(fold="")
    seed, evaluation = settings.seed if split_seed is None else split_seed, settings.evaluation
    return Resampled(without, evaluation.p, evaluation.bootstrap, seed, repeated)


def inputs(settings) -> list[Path]:
    """List the score tables behind Table 1: those of the baselines and of the ensembles of all machine types."""
    out = paths.Run.of(settings)
    machines = plan.read(settings).machines
    return [out.scores(system, machine) for machine in machines for system in (*paths.SINGLES, "ensemble")]


def read(settings) -> pd.DataFrame:
    """Read the score rows of :func:`inputs`, with the further columns ``row``, ``selection`` and ``fold``."""
    for path in inputs(settings):
        system = path.relative_to(paths.Run.of(settings).folder).parts[0]
        check_settings(path.with_name(RECORD), _relevant_settings(settings, system))
    frame = scores.read(inputs(settings)).fillna({"selection": "", "fold": ""})
    frame["row"] = frame["system"].map(lambda system: ROW_OF.get(system, system.split("/", 2)[-1]))
    return frame


def _relevant_settings(settings, system: str) -> dict:
    """Return the settings that a system's record must contain."""
    name = "mahalanobis" if system.startswith("mahalanobis") else system  # its rows share their settings
    own = getattr(settings, name).model_dump(mode="json")
    return settings.common() | ({"ensemble": own} if system == "ensemble" else own)


def read_agreements(settings) -> pd.DataFrame:
    """Read how alike the candidates rank the clips (:mod:`asdlib.ensemble.agreement`), for all machine types."""
    out = paths.Run.of(settings)
    folders = [out.system("ensemble", machine) for machine in plan.read(settings).machines]
    return pd.concat([read_table(folder / AGREEMENT) for folder in folders])


def tidy(resampled: Resampled, confidence: float) -> pd.DataFrame:
    """Build the table that :func:`run` returns from figures under resampling."""
    printed, run = paper.printed_all(), tuple(resampled.machines)
    machines = [*paper.MACHINES, *(machine for machine in resampled.machines if machine not in paper.MACHINES)]
    rows = []
    for row in ROWS:
        selections = ["", "cross-fitted"] if row in SYSTEMS else ensemble.SELECTIONS
        for selection, machine, domain in itertools.product(selections, [*machines, "all"], [*paper.DOMAINS, "all"]):
            halved = row in SYSTEMS and selection == "cross-fitted"
            samples = resampled.values((row, "" if halved else selection), machine, domain, halves=halved)
            everything = (machine, domain) == ("all", "all")
            theirs = paper.compared(row, machine, domain, run)
            as_printed = printed.get(row, np.nan) if everything else paper.cell(row, machine, domain)
            if samples is not None or np.isfinite(theirs) or everything:
                bounds = interval(samples, confidence, (0.0, 1.0))
                rows.append((row, machine, domain, selection, *bounds, theirs, as_printed))
    return pd.DataFrame(rows, columns=[*KEYS, "value", "low", "high", "paper", "paper_printed"])


def compute_differences(resampled: Resampled, confidence: float) -> pd.DataFrame:
    """Compute paired differences of every two rows with the same selection, and of every row with two selections.

    A cross-fitted row is compared with the other row's figure by halves (:mod:`asdlib.evaluation.bootstrap`), so that
    the difference may deviate slightly from that of the two values in the table. A row with two selections has no
    interval: the resamples of a row that chose on the clips that it reports are shifted by its estimated optimism,
    which is what such a difference measures.

    Returns:
        Columns ``row, selection, than, than_selection, machine, domain, difference, low, high``.
    """
    keys = [
        (row, selection)
        for row in ROWS
        for selection in ("", *ensemble.SELECTIONS)
        if (row, selection) in resampled.keys
    ]
    domains = [*dict.fromkeys(domain for _, _, domain in resampled.units), "all"]
    rows = []
    for machine, domain in itertools.product([*resampled.machines, "all"], domains):
        for one, other in itertools.permutations(keys, 2):
            if one[0] == other[0] or one[1] == other[1] or "" in (one[1], other[1]):
                effect = resampled.difference(one, other, machine, domain)
                if effect is not None:
                    bounds = (effect[0], np.nan, np.nan) if one[0] == other[0] else interval(effect, confidence)
                    rows.append((*one, *other, machine, domain, *bounds))
    columns = ["row", "selection", "than", "than_selection", "machine", "domain", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def optimism(differences: pd.DataFrame) -> pd.DataFrame:
    """Compute how much of each row's figure is due to selection: development minus cross-fitted.

    A small part of it is not optimism: cross-fitting chooses on half of the clips, hence slightly worse. There is no
    interval (:func:`compute_differences`).

    Args:
        differences: Paired differences, as returned by :func:`compute_differences`.

    Returns:
        Columns ``row, machine, domain, difference``.
    """
    same = differences["row"] == differences["than"]
    pair = (differences["selection"] == "development") & (differences["than_selection"] == "cross-fitted")
    return differences.loc[same & pair, ["row", "machine", "domain", "difference"]].reset_index(drop=True)
