"""Name the numbers of a run, so that prose refers to them instead of typing them."""

import re

import numpy as np
import pandas as pd

from asdlib.evaluation import claims, false_alarms, paper
from asdlib.metrics import evaluable


def name_values(table, differences, selected, judged: dict[str, pd.DataFrame], frame: pd.DataFrame, settings) -> dict:
    """Name the numbers of a run for prose, in snake case: fractions and counts; undefined ones are left out.

    * ``<row>[_<selection>]_<machine>_<domain>``, and ``_low`` and ``_high``; without machine and domain for all;
    * ``paper_<row>_printed`` and ``_from_cells``, ``_source``, ``_target``, ``_same_machines`` (its cells of the
      machine types of this run);
    * ``optimism_<row>``; ``<row>_less_<row>[_<selection>]``, ``_low``, ``_high``;
    * ``paper_evaluation``: the published result of the same authors on the challenge's evaluation sections;
    * ``claims``, ``claims_holds``, ``claims_contradicted``, ``claims_undecided``, ``claims_not_run``, the same with
      ``extensions``, and ``machines``, ``sections``, ``test_clips`` and more.

    Args:
        table: Table 1.
        differences: Paired differences between rows.
        selected: Optimism of each row's selection (:func:`asdlib.evaluation.table1.optimism`).
        judged: Tables of claims by the beginning of their names.
        frame: Score rows.
        settings: :class:`asdlib.params.settings.Settings`.
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
    for kind, judgements in judged.items():
        counts = judgements["verdict"].value_counts()
        named[kind] = len(judgements)
        for verdict in claims.VERDICTS:
            named[slug(kind, verdict)] = int(counts.get(verdict, 0))

    def add(name: tuple, item: pd.Series, column: str) -> None:
        for suffix, key in (("", column), ("low", "low"), ("high", "high")):
            named[slug(*name, suffix)] = item[key]

    for item in table.to_dict("records"):
        where = [part for part in (item["machine"], item["domain"]) if part != "all"]
        add((item["row"], item["selection"], *where), item, "value")
    run = tuple(machine for machine in paper.MACHINES if machine in set(test["machine"]))
    for item in paper.audit().to_dict("records"):
        for column in ("printed", "from_cells", "without_toys", "source", "target"):
            named[slug("paper", item["row"], column)] = item[column]
        named[slug("paper", item["row"], "same_machines")] = paper.value(item["row"], machines=run)
    for item in selected[(selected["machine"] == "all") & (selected["domain"] == "all")].to_dict("records"):
        named[slug("optimism", item["row"])] = item["difference"]
    everything = (differences["machine"] == "all") & (differences["domain"] == "all")
    for item in differences[everything].to_dict("records"):
        if item["row"] != item["than"]:
            selection = item["selection"] or item["than_selection"]
            add((item["row"], "less", item["than"], selection), item, "difference")
    return {name: value for name, value in named.items() if np.isfinite(value)}


def name_alarms(alarms: pd.DataFrame) -> dict[str, int]:
    """Name the counts ``alarms_<row>_inside`` and ``alarms_<row>_sections`` of rows that use no labels."""
    named = {}
    for (row, _), (inside, sections) in false_alarms.counts(alarms).items():
        named |= {slug("alarms", row, "inside"): inside, slug("alarms", row, "sections"): sections}
    return named


def slug(*parts: str) -> str:
    """Convert to snake case: ``AE+BC ensemble (mix)`` is ``mix``, ``AE+ ensemble`` is ``ae_plus_ensemble``.

    *Mahalanobis (target)* becomes ``mahalanobis_by_target_clips``, because ``mahalanobis_target`` is *Mahalanobis* in
    the target domain.

    >>> slug("AE+BC ensemble (mix)", "cross-fitted", "ToyCar")
    'mix_cross_fitted_toycar'
    """
    text = " ".join(part for part in parts if part).replace("AE+BC ensemble", "").replace("+", " plus")
    text = text.replace("Mahalanobis (target)", "Mahalanobis by target clips")
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
