"""Compute Table 1 (Sec. 3): the paper's eight rows, and our extensions in a second block, with intervals.

Rows that carry the paper's names contain only the paper's method; everything else is in separate rows
(:mod:`asdlib.evaluation.rows`).
"""

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import ensemble, paths, scores
from asdlib.atomic import write_json, write_text
from asdlib.data import plan
from asdlib.evaluation import claims, false_alarms, health, paper, render, verdict
from asdlib.evaluation.bootstrap import Resampled, interval
from asdlib.evaluation.repeated import repeat
from asdlib.evaluation.rows import ROWS, SYSTEMS
from asdlib.metrics import evaluable
from asdlib.paths import AGREEMENT, RECORD
from asdlib.records import check_settings
from asdlib.stage import Stage
from asdlib.tables import read_table, write_table

KEYS = ["row", "machine", "domain", "selection"]
ORIENTATION = "The data are synthetic, not DCASE2021: the paper's numbers are given for orientation only."


def run(settings) -> pd.DataFrame:
    """Evaluate a run and write ``table1.csv``, its companions, ``claims.csv`` and ``values.json`` to the run folder.

    ``claims.csv`` judges the paper's sentences on the paper's rows, ``claims_extensions.csv`` what our extensions gain;
    ``false_alarms.csv`` says what decisions are worth, ``health.csv`` which systems cannot tell clips apart.
    ``table1_differences.csv`` holds the paired difference of every two rows, and of every row by two selections;
    ``table1.md`` and ``table1.tex`` lay the table out as the paper does; ``values.json`` names numbers for prose.

    Returns:
        The tidy table: columns ``row, machine, domain, selection, value, low, high, paper``, fractions. Machine and
        domain may be ``all``: the harmonic mean over all AUC and pAUC, which is that of the cells wherever every
        machine type has as many sections. ``paper`` is printed for cells and for all of all, and the harmonic mean of
        the printed cells for other ``all``. Where ``value`` is NaN the machine was not run, or the row has no such
        selection.

    Raises:
        ScoreError: A machine type of the plan has not been scored or has no ensemble.
    """
    stage, out = Stage(settings), paths.Run.of(settings)
    frame = read(settings)
    evaluation = settings.evaluation
    samples = resampled(settings, frame)
    table = tidy(samples, evaluation.confidence)
    differences = paired(samples, evaluation.confidence)
    tested = claims.judge(samples, agreements(settings), evaluation.confidence)
    extensions = claims.judge_extensions(samples, evaluation.confidence)
    alarms = false_alarms.false_alarms(frame, evaluation.decision_quantile)
    notes = health.health(settings, frame, samples.machines)
    note = ORIENTATION if settings.data.synthetic is not None else ""
    layout = (table, settings.title, note, ensemble.SELECTIONS, samples.machines, health.sentences(notes))
    named = values(table, differences, tested, extensions, frame, settings) | alarm_values(alarms)
    data = ensemble.fingerprint(inputs(settings))
    depends = {"evaluation": evaluation.model_dump(mode="json")}
    with stage.adding(depends, seed=settings.seed, data=data) as folder:
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


def resampled(settings, frame: pd.DataFrame | None = None, split_seed: int | None = None) -> Resampled:
    """Every row under resampled clips, with the selection repeated in each resample.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        frame: Score rows, as returned by :func:`read`; None to read them.
        split_seed: Seed of the halves and of the resamples; None for the run's.
    """
    frame = read(settings) if frame is None else frame
    repeated = repeat(settings, plan.read(settings).machines, split_seed)
    without = frame[frame["selection"].isin(["", "fixed"])].assign(fold="")
    seed, evaluation = settings.seed if split_seed is None else split_seed, settings.evaluation
    return Resampled(without, evaluation.p, evaluation.bootstrap, seed, repeated)


def inputs(settings) -> list[Path]:
    """The score tables that Table 1 is made of: those of the baselines and of the ensembles of all machine types."""
    out = paths.Run.of(settings)
    machines = plan.read(settings).machines
    return [out.scores(system, machine) for machine in machines for system in (*paths.BASELINES, "ensemble")]


def read(settings) -> pd.DataFrame:
    """The score rows of :func:`inputs` with the further columns ``row``, ``selection`` and ``fold``."""
    for path in inputs(settings):
        system = path.relative_to(paths.Run.of(settings).folder).parts[0]
        check_settings(path.with_name(RECORD), _made_with(settings, system))
    frame = scores.read(inputs(settings)).fillna({"selection": "", "fold": ""})
    names = {system: row for row, system in SYSTEMS.items()}
    frame["row"] = frame["system"].map(lambda system: names.get(system, system.split("/", 2)[-1]))
    return frame


def _made_with(settings, system: str) -> dict:
    """Return the settings that a system's record must contain."""
    made = getattr(settings, system.removesuffix("_shift")).model_dump(mode="json")  # both Mahalanobis rows have one
    return settings.common() | ({"ensemble": made} if system == "ensemble" else made)


def agreements(settings) -> pd.DataFrame:
    """How alike the candidates rank the clips (:mod:`asdlib.ensemble.agreement`), of all machine types."""
    out = paths.Run.of(settings)
    folders = [out.system("ensemble", machine) for machine in plan.read(settings).machines]
    return pd.concat([read_table(folder / AGREEMENT) for folder in folders])


def tidy(resampled: Resampled, confidence: float) -> pd.DataFrame:
    """The table of :func:`run` from figures under resampling."""
    printed = paper.printed_all()
    machines = [*paper.MACHINES, *(machine for machine in resampled.machines if machine not in paper.MACHINES)]
    rows = []
    for row in ROWS:
        selections = ["", "cross-fitted"] if row in SYSTEMS else ensemble.SELECTIONS
        for selection, machine, domain in itertools.product(selections, [*machines, "all"], [*paper.DOMAINS, "all"]):
            halved = row in SYSTEMS and selection == "cross-fitted"
            samples = resampled.values((row, "" if halved else selection), machine, domain, halves=halved)
            reference = paper.value(row, machine, domain)
            everything = (machine, domain) == ("all", "all")
            if everything:
                reference = printed.get(row, np.nan)
            if samples is not None or np.isfinite(reference) or everything:
                rows.append((row, machine, domain, selection, *interval(samples, confidence, (0.0, 1.0)), reference))
    return pd.DataFrame(rows, columns=[*KEYS, "value", "low", "high", "paper"])


def paired(resampled: Resampled, confidence: float) -> pd.DataFrame:
    """Compute paired differences of every two rows with the same selection, and of every row with two selections.

    A cross-fitted row is compared with the other's figure by halves (:mod:`asdlib.evaluation.bootstrap`), so that the
    difference may deviate a little from that of the two values in the table.

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
                    rows.append((*one, *other, machine, domain, *interval(effect, confidence)))
    columns = ["row", "selection", "than", "than_selection", "machine", "domain", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def optimism(differences: pd.DataFrame) -> pd.DataFrame:
    """Compute how much of each row's figure is due to selection: development minus cross-fitted.

    A little of it is not optimism: cross-fitting chooses on half the clips, so it chooses a little worse.

    Args:
        differences: Paired differences, as returned by :func:`paired`.

    Returns:
        Columns ``row, machine, domain, difference, low, high``.
    """
    same = differences["row"] == differences["than"]
    pair = (differences["selection"] == "development") & (differences["than_selection"] == "cross-fitted")
    return differences.loc[same & pair, ["row", "machine", "domain", "difference", "low", "high"]].reset_index(
        drop=True
    )


def values(table, differences, tested: pd.DataFrame, extensions: pd.DataFrame, frame: pd.DataFrame, settings) -> dict:
    """Names and numbers for prose: fractions and counts, snake case; what is undefined is left out.

    * ``<row>[_<selection>]_<machine>_<domain>``, and ``_low`` and ``_high``; without machine and domain for all;
    * ``paper_<row>_printed`` and ``_from_cells``, ``_source``, ``_target``, ``_same_machines`` (its cells of the
      machine types of this run);
    * ``optimism_<row>``, ``_low``, ``_high``; ``<row>_less_<row>[_<selection>]``, ``_low``, ``_high``;
    * ``paper_evaluation``: what the same authors published for the challenge's evaluation sections;
    * ``claims_hold``, ``claims_fail``, ``claims_untested``, the same with ``extensions_``, ``machines``, ``sections``,
      ``test_clips`` and more.
    """
    test = evaluable(frame)
    named = {
        "machines": test["machine"].nunique(),
        "sections": len(test[["machine", "section"]].drop_duplicates()),
        "test_clips": len(test[["machine", "section", "domain", "clip"]].drop_duplicates()),
        "bootstrap": settings.evaluation.bootstrap,
        "confidence": settings.evaluation.confidence,
        "p": settings.evaluation.p,
        "autoencoder_candidates": len(settings.autoencoder_candidates),
        "classifier_candidates": len(settings.classifier_candidates),
        "paper_evaluation": paper.EVALUATION,
    }
    for kind, judgements in (("claims", tested), ("extensions", extensions)):
        counts = judgements["verdict"].value_counts()
        named[kind] = len(judgements)
        for name, found in (("hold", verdict.HOLDS), ("fail", verdict.FAILS), ("untested", verdict.UNTESTED)):
            named[f"{kind}_{name}"] = int(counts.get(found, 0))

    def add(name: tuple, item: pd.Series, column: str) -> None:
        for suffix, key in (("", column), ("low", "low"), ("high", "high")):
            named[slug(*name, suffix)] = item[key]

    for item in table.to_dict("records"):
        where = [part for part in (item["machine"], item["domain"]) if part != "all"]
        add((item["row"], item["selection"], *where), item, "value")
    run = tuple(machine for machine in paper.MACHINES if machine in set(test["machine"]))
    for item in paper.audit().to_dict("records"):
        for column in ("printed", "from_cells", "arithmetic", "source", "target"):
            named[slug("paper", item["row"], column)] = item[column]
        named[slug("paper", item["row"], "same_machines")] = paper.value(item["row"], machines=run)
    everything = (differences["machine"] == "all") & (differences["domain"] == "all")
    for item in optimism(differences[everything]).to_dict("records"):
        add(("optimism", item["row"]), item, "difference")
    for item in differences[everything].to_dict("records"):
        if item["row"] != item["than"]:
            selection = item["selection"] or item["than_selection"]
            add((item["row"], "less", item["than"], selection), item, "difference")
    return {name: value for name, value in named.items() if np.isfinite(value)}


def alarm_values(alarms: pd.DataFrame) -> dict[str, int]:
    """Names and counts for prose: ``alarms_<row>_inside`` of ``alarms_<row>_sections``, for rows without labels."""
    named = {}
    for (row, _), (inside, sections) in false_alarms.counts(alarms).items():
        named |= {slug("alarms", row, "inside"): inside, slug("alarms", row, "sections"): sections}
    return named


def slug(*parts: str) -> str:
    """A name in snake case: ``AE+BC ensemble (mix)`` is ``mix``, ``AE+ ensemble`` is ``ae_plus_ensemble``.

    >>> slug("AE+BC ensemble (mix)", "cross-fitted", "ToyCar")
    'mix_cross_fitted_toycar'
    """
    text = " ".join(part for part in parts if part).replace("AE+BC ensemble", "").replace("+", " plus")
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
