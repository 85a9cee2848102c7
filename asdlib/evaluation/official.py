"""The commands ``evaluate`` and ``combine``: score files of any system in, figures or official score files out."""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import scores
from asdlib.ensemble import combine as combined
from asdlib.ensemble import rank
from asdlib.ensemble.pool import Pool
from asdlib.evaluation.export import results, write_clips
from asdlib.evaluation.files import CLIP, OfficialError, read
from asdlib.evaluation.metrics import UNIT, cells
from asdlib.evaluation.years import figures

FIGURES = {"auc": "AUC", "pauc": "pAUC", "precision": "prec.", "recall": "recall", "f1": "F1"}


def evaluate(given: Iterable[Path | str], p: float = 0.1, decisions: bool = False, year: int = 2021) -> dict:
    """Every section, every cell and the official score of score files.

    Args:
        given: Official score files or folders of them, score tables, and ground truth files or folders.
        p: Largest false positive rate of pAUC.
        decisions: Also precision, recall and F1 score, from the ``decision_result`` files beside the scores.
        year: The challenge whose rule makes the sections' figures and the official score (:mod:`.years`).

    Returns:
        ``official_score``; ``cells``: machine, domain, value; ``sections``: machine, section, domain, auc, pauc (with
        ``decisions`` also precision, recall, f1); all fractions. If the files hold scores of several systems for the
        same clips, ``{"systems": {name: such an object}}``. Clips without a label are left out, which standard error
        then says.

    Raises:
        OfficialError: Nothing is labelled, or decisions are asked for and some scored clip has none.
        MetricError: A section has clips of one class only; the message names it.
    """
    given = list(given)
    frame = read(given)
    test = frame[frame["split"] == "test"]
    labelled = test[test["label"] != "unknown"]
    if labelled.empty:
        raise OfficialError(
            "none of these clips is labelled, in its name or in the table; give the folder of ground truth files, too"
        )
    if len(labelled) < len(test):
        left = test.loc[test["label"] == "unknown", UNIT].drop_duplicates()
        names = ", ".join(" ".join(unit) for unit in left.head(3).to_numpy()) + (", ..." if len(left) > 3 else "")
        print(f"note: {len(test) - len(labelled)} clips without a label are left out ({names})", file=sys.stderr)
    if decisions:
        labelled = _decided(labelled, read(given, "decision"))
    if not labelled.duplicated(CLIP).any():
        return _figures(labelled.assign(system=""), p, year)
    return {"systems": {system: _figures(part, p, year) for system, part in labelled.groupby("system", sort=False)}}


def _decided(labelled: pd.DataFrame, decided: pd.DataFrame) -> pd.DataFrame:
    both = labelled.merge(decided[["system", *CLIP, "decision"]], on=["system", *CLIP], how="left")
    lacking = both[both["decision"].isna()]
    if len(lacking):
        row = lacking.iloc[0]
        raise OfficialError(f"clip {row['clip']} of {row['system']} ({row['machine']}) has a score, but no decision; "
                            "expected a decision_result file beside every anomaly_score file")  # fmt: skip
    return both


def _figures(frame: pd.DataFrame, p: float, year: int) -> dict:
    table, score = figures(frame, year, p)
    if "decision" in frame:
        table = table.merge(results(frame, p).drop(columns=["auc", "pauc"]), on=UNIT)
    return {
        "official_score": score,
        "cells": cells(table, ("machine", "domain")).to_dict("records"),
        "sections": table.to_dict("records"),
    }


def describe(result: dict) -> str:
    """What :func:`evaluate` returns, as text with figures in per cent."""
    if "systems" in result:
        return "\n\n".join(f"{system}\n{describe(part)}" for system, part in result["systems"].items())
    width = max(len(cell["machine"]) for cell in result["cells"]) + 2
    names = [name for name in FIGURES if name in result["sections"][0]]
    lines = [f"{'':{width}}section  domain " + "".join(f"{FIGURES[name]:>7}" for name in names)]
    for row in result["sections"]:
        figures = "".join(f"{100 * row[name]:7.2f}" for name in names)
        lines.append(f"{row['machine']:{width}}{row['section']:9}{row['domain']:7}{figures}")
    lines.append("harmonic mean of AUC and pAUC")
    lines += [f"{row['machine']:{width}}{'':9}{row['domain']:7}{100 * row['value']:7.2f}" for row in result["cells"]]
    return "\n".join([*lines, f"{'all':{width}}{'':16}{100 * result['official_score']:7.2f}"])


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

    Raises:
        OfficialError: There is one system only, or a system lacks a machine type.
        EnsembleError: The systems did not score the same clips, or there are no training clips to normalise by.
    """
    frame = read(given)
    systems = list(dict.fromkeys(frame["system"]))
    if len(systems) < 2:
        raise OfficialError(f"{systems[0]} is the only system in these files; combining needs two or more")
    if normalise != "train":  # systems may differ in the training clips that they tell of
        frame = frame[frame["split"] == "test"]
    parts = []
    for machine, part in frame.groupby("machine", sort=True):
        lacking = [system for system in systems if system not in set(part["system"])]
        if lacking:
            raise OfficialError(f"{lacking[0]} has no scores of {machine}, which other systems have; "
                                "expected the same machine types in all")  # fmt: skip
        pool = Pool.of(part, "train" if normalise == "train" else "test")
        members = np.arange(len(pool.systems))
        for group in pool.groups.values():
            if normalise == "rank":
                reference = pool.scores[:, group.reference]
                values = combined(rank(pool.scores[:, group.columns], reference), by, rank(reference))
            else:
                values = pool.ensemble(members, by, group)
            parts.append(scores.table(pool.clips.iloc[group.columns], f"{by} of {len(members)}", values))
    if not parts:
        raise OfficialError("these files hold training clips only; expected scores of test clips")
    result = pd.concat(parts, ignore_index=True)
    write_clips(result, "score", Path(out))
    return result
