"""The command ``export``, and writing the challenge's own files: scores, decisions and ``result.csv``.

A folder that this writes is what the official evaluator reads, unchanged, as the folder of a team.
"""

import csv
import json
import re
from pathlib import Path

import pandas as pd

from asdlib import params, paths, scores
from asdlib.artefacts import writing
from asdlib.evaluation.decision import decide, thresholds
from asdlib.evaluation.files import FIGURES, KINDS, OfficialError
from asdlib.evaluation.metrics import UNIT, decisions, evaluable, harmonic_mean, sections

_VALUES = ["auc", "pauc", "precision", "recall", "f1"]


def export(run: Path | str, out: Path | str, method: str = "gamma", by: str = "machine") -> list[Path]:
    """Write a run's systems as official files, a folder a system: scores, decisions, ``result.csv``.

    The systems are the baselines and every row of the ensembles by the selections ``development`` and ``fixed``
    (cross-fitting is a way to evaluate, not a system). ``thresholds.csv`` beside the official files says where the
    decisions come from. Nothing is written before all of it is computed.

    Args:
        run: The run folder.
        out: Folder that gets a folder for each system.
        method: ``gamma`` (official) or ``empirical``, see :func:`asdlib.evaluation.decision.thresholds`.
        by: One threshold a ``machine`` (official), or one a ``section`` and domain.

    Returns:
        The folders written.

    Raises:
        OfficialError: The folder holds no scores.
        MetricError: A machine or section has no training scores with which to set a threshold.
    """
    run, out = Path(run), Path(out)
    tables = sorted(file for system in (*paths.BASELINES, "ensemble") for file in run.glob(f"{system}/*/scores.csv"))
    if not tables:
        raise OfficialError(
            f"{run}: no scores found; expected a run folder such as runs/demo (make reproduce makes one)"
        )
    settings = paths.Run(run).settings
    stored = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    evaluation = params.Evaluation.model_validate(stored.get("evaluation", {}))
    frame = scores.read(tables)
    frame = frame[~frame["system"].str.startswith("ensemble/cross-fitted/")]
    made = {}
    for system, part in frame.groupby("system", sort=True):
        limits = thresholds(part, evaluation.decision_quantile, method, by)
        decided = decide(part, limits)
        name = re.sub(r"\+(?= |$)", "_plus", system.removeprefix("ensemble/"))  # "AE+" is another row than "AE"
        name = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
        made[out / name] = limits, decided, results(decided, evaluation.p)
    for folder, (limits, decided, figures) in made.items():
        write_clips(decided, "score", folder)
        write_clips(decided, "decision", folder)
        with writing(folder / "thresholds.csv") as temporary:
            limits.to_csv(temporary, index=False, lineterminator="\n")
        if len(figures):
            write_results(figures, folder / "result.csv")
    return list(made)


def write_clips(frame: pd.DataFrame, column: str, folder: Path) -> None:
    """Write the official files of one system's test clips, a file a machine type, section and domain.

    Args:
        frame: Its score table, for decisions with the column of :func:`asdlib.evaluation.decision.decide`.
        column: ``score`` for ``anomaly_score_*.csv``, ``decision`` for ``decision_result_*.csv``.
        folder: Where to.
    """
    test = frame[frame["split"] == "test"]
    for (machine, section, domain), group in test.groupby(UNIT, sort=True):
        with writing(folder / f"{KINDS[column]}_{machine}_section_{section}_{domain}_test.csv") as temporary:
            pairs = group.sort_values("clip")[["clip", column]]
            pairs.to_csv(temporary, header=False, index=False, lineterminator="\n")


def results(decided: pd.DataFrame, p: float = 0.1) -> pd.DataFrame:
    """AUC, pAUC, precision, recall and F1 score of every machine, section and domain that has both labels.

    Args:
        decided: Test clips of one system with scores and decisions (:func:`asdlib.evaluation.decision.decide`).
        p: Largest false positive rate of pAUC.

    Returns:
        Columns ``machine, section, domain, auc, pauc, precision, recall, f1``.
    """
    decided = evaluable(decided)
    table = sections(decided, p).drop(columns="system")
    found = [
        dict(zip(UNIT, key, strict=True)) | decisions(group["label"], group["decision"])
        for key, group in decided.groupby(UNIT, sort=True)
    ]
    return table.merge(pd.DataFrame(found, columns=[*UNIT, "precision", "recall", "f1"]), on=UNIT)


def write_results(table: pd.DataFrame, path: Path) -> None:
    """Write the official ``result.csv`` from the table of :func:`results`."""
    with writing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for machine, rows in table.groupby("machine", sort=True):
            rows = rows.sort_values(["domain", "section"])  # the sections of the source first
            writer.writerow([machine])
            writer.writerow(["section", "domain", *FIGURES])
            writer.writerows(rows[["section", "domain", *_VALUES]].astype(object).values.tolist())
            _write_means(writer, rows[_VALUES], ("arithmetic mean", "harmonic mean"))
            writer.writerow([])
        writer.writerow(["", "", *FIGURES])
        over = "over all machine types, sections, and domains"
        _write_means(writer, table[_VALUES], (f"arithmetic mean {over}", f"harmonic mean {over}"))
        writer.writerow([])


def _write_means(writer, figures: pd.DataFrame, names: tuple[str, str]) -> None:
    writer.writerow([names[0], "", *figures.mean().tolist()])
    writer.writerow([names[1], "", *harmonic_mean(figures, axis=0).tolist()])
