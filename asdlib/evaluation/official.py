"""The commands ``evaluate``, ``combine`` and ``export``: score files of any system in, the challenge's files out."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import params, paths, scores
from asdlib.ensemble import combine as combined
from asdlib.ensemble import rank
from asdlib.ensemble.pool import Pool
from asdlib.evaluation.decision import decide, thresholds
from asdlib.evaluation.files import OfficialError, read, results, write_decisions, write_results, write_scores
from asdlib.evaluation.metrics import cells, official_score, sections

CLIP = ["machine", "section", "domain", "split", "clip"]


def evaluate(given: Iterable[Path | str], p: float = 0.1) -> dict:
    """Every section, every cell and the official score of score files.

    Args:
        given: Official score files or folders of them, score tables, and ground truth files or folders.
        p: Largest false positive rate of pAUC.

    Returns:
        ``official_score``; ``cells``: machine, domain, value; ``sections``: machine, section, domain, auc, pauc; all
        fractions. If the files hold scores of several systems for the same clips, ``{"systems": {name: such an
        object}}``.

    Raises:
        OfficialError: Nothing is labelled.
        MetricError: A section has clips of one class only; the message names it.
    """
    frame = read(given)
    labelled = frame[(frame["split"] == "test") & (frame["label"] != "unknown")]
    if labelled.empty:
        raise OfficialError(
            "none of these clips is labelled, in its name or in the table; give the folder of ground truth files, too"
        )
    if not labelled.duplicated(CLIP).any():
        return _figures(labelled, p)
    return {"systems": {system: _figures(part, p) for system, part in labelled.groupby("system", sort=False)}}


def _figures(frame: pd.DataFrame, p: float) -> dict:
    table = sections(frame, p)
    return {
        "official_score": official_score(table),
        "cells": cells(table, ("machine", "domain")).to_dict("records"),
        "sections": table.drop(columns="system").to_dict("records"),
    }


def describe(result: dict) -> str:
    """What :func:`evaluate` returns, as text with figures in per cent."""
    if "systems" in result:
        return "\n\n".join(f"{system}\n{describe(part)}" for system, part in result["systems"].items())
    width = max(len(cell["machine"]) for cell in result["cells"]) + 2
    lines = [f"{'':{width}}section  domain    AUC   pAUC"]
    for row in result["sections"]:
        figures = f"{100 * row['auc']:6.2f} {100 * row['pauc']:6.2f}"
        lines.append(f"{row['machine']:{width}}{row['section']:9}{row['domain']:7}{figures}")
    lines.append("harmonic mean of AUC and pAUC")
    lines += [f"{row['machine']:{width}}{'':9}{row['domain']:7}{100 * row['value']:6.2f}" for row in result["cells"]]
    return "\n".join([*lines, f"{'all':{width}}{'':16}{100 * result['official_score']:6.2f}"])


def combine(given: Iterable[Path | str], normalise: str, by: str, out: Path | str) -> pd.DataFrame:
    """Ensemble the scores of several systems and write them as official score files.

    Args:
        given: Folders of official files and score tables, two systems or more on the same clips.
        normalise: ``test`` or ``train``: mean 0 and variance 1 over each section's test or training clips (score tables
            hold training clips, official files do not); ``rank``: ranks within the test clips in place of scores.
        by: ``average``, ``median``, ``maximum`` or ``ranking``.
        out: Folder for the files.

    Returns:
        The score table of the ensemble.
    """
    frame = read(given)
    if frame["system"].nunique() < 2:
        raise OfficialError(f"{frame['system'].iloc[0]} is the only system in these files; combining needs two or more")
    results = []
    for _, part in frame.groupby("machine", sort=True):
        pool = Pool.of(part, "train" if normalise == "train" else "test")
        members = np.arange(len(pool.systems))
        for group in pool.groups.values():
            if normalise == "rank":
                reference = pool.scores[:, group.reference]
                values = combined(rank(pool.scores[:, group.columns], reference), by, rank(reference))
            else:
                values = pool.ensemble(members, by, group)
            results.append(scores.table(pool.clips.iloc[group.columns], f"{by} of {len(members)}", values))
    result = pd.concat(results, ignore_index=True)
    write_scores(result, Path(out))
    return result


def export(run: Path | str, out: Path | str) -> list[Path]:
    """Write a run's systems as official files, a folder a system: scores, decisions and ``result.csv``.

    The systems are the baselines and every row of the ensembles by the selections ``development`` and ``fixed``
    (cross-fitting is a way to evaluate, not a system). Decisions are the official ones: one gamma distribution a
    machine type, fitted to its training clips' scores.

    Args:
        run: The run folder.
        out: Folder that gets a folder for each system.

    Returns:
        The folders written.

    Raises:
        OfficialError: The folder holds no scores.
    """
    run, out = Path(run), Path(out)
    tables = sorted(file for system in (*paths.BASELINES, "ensemble") for file in run.glob(f"{system}/*/scores.csv"))
    if not tables:
        raise OfficialError(
            f"{run}: no scores found; expected a run folder such as runs/demo (make reproduce makes one)"
        )
    stored = json.loads((run / "settings.json").read_text()) if (run / "settings.json").is_file() else {}
    evaluation = params.Evaluation.model_validate(stored.get("evaluation", {}))
    frame = scores.read(tables)
    frame = frame[~frame["system"].str.startswith("ensemble/cross-fitted/")]
    folders = []
    for system, part in frame.groupby("system", sort=True):
        folder = out / re.sub(r"[^A-Za-z0-9]+", "_", system.removeprefix("ensemble/")).strip("_")
        decided = decide(part, thresholds(part, evaluation.decision_quantile))
        write_scores(decided, folder)
        write_decisions(decided, folder)
        if len(table := results(decided, evaluation.p)):
            write_results(table, folder / "result.csv")
        folders.append(folder)
    return folders
