"""Compute each year's official figures for the score files of any system, for the command ``evaluate``."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from asdlib.challenge import files, results, rules, years
from asdlib.challenge.files import CLIP, Official
from asdlib.errors import ScoreError
from asdlib.metrics import UNIT, cells

FIGURES = {"auc": "AUC", "pauc": "pAUC", "precision": "prec.", "recall": "recall", "f1": "F1"}


def evaluate(
    paths: Iterable[Path | str],
    p: float = 0.1,
    decisions: bool = False,
    year: int | None = None,
    compare: bool = False,
) -> dict:
    """Evaluate score files: figures of every section and cell, and the official score.

    Args:
        paths: Official score files, folders or zip archives of them, score tables, and ground truth files or folders.
        p: Largest false positive rate of pAUC.
        decisions: Whether to compute precision, recall and F1 score from the ``decision_result`` files next to the
            scores.
        year: Year of the challenge whose rule applies (:mod:`.rules`); None for the year of the files.
        compare: Whether to compare with the ``result.csv`` of each system (:func:`.results.compare`).

    Returns:
        ``year``; ``recognised``, how the year is known; ``rule``, in words; ``official_score``; ``cells``: machine,
        domain, value; ``sections``: machine, section, domain, auc, pauc (with ``decisions`` also precision, recall,
        f1); all as fractions. If the files contain scores of several systems for the same clips, ``{"systems": {name:
        one such object}}``. Clips without a label are left out, with a note on standard error.

    Raises:
        ScoreError: No clip is labelled, the domain of a clip is unknown where the year's rule needs it, decisions are
            requested but some scored clip has none, a comparison is requested but there is no ``result.csv``, or a
            section has clips of one class only.
    """
    paths = list(paths)
    official = files.read(paths, year=year)
    test = official.frame[official.frame["split"] == "test"]
    labelled = test[test["label"] != "unknown"]
    if labelled.empty:
        raise ScoreError(
            "none of these clips is labelled, in its name or in the table; also pass the folder of ground truth files"
        )
    if len(labelled) < len(test):
        left = test.loc[test["label"] == "unknown", UNIT].drop_duplicates().to_numpy()
        names = ", ".join(" ".join(filter(None, unit)) for unit in left[:3]) + (", ..." if len(left) > 3 else "")
        print(f"note: {len(test) - len(labelled)} clips without a label are left out ({names})", file=sys.stderr)
    nowhere = labelled[labelled["domain"] == ""]
    if len(nowhere):
        row = nowhere.iloc[0]
        raise ScoreError(
            f"the domain of clip {row['clip']} ({row['machine']} section {row['section']}) is unknown, but the rule of "
            f"DCASE{official.year} needs it; also pass the folder ground_truth_domain"
        )
    if decisions:
        labelled = _with_decisions(labelled, files.read(paths, "decision", official.year).frame)
    absent = years.missing_machines(official.year, labelled["machine"].unique())
    if absent:
        print(
            f"note: there are no scores of {', '.join(absent)}, so the official score does not include them",
            file=sys.stderr,
        )
    if compare and not official.results:
        raise ScoreError("there is no result.csv next to these scores; expected one in the folder of each system")
    several = labelled.duplicated(CLIP).any()
    figures = {}
    for system, part in labelled.groupby("system", sort=False) if several else [("", labelled.assign(system=""))]:
        figures[system] = _figures(part, p, official)
        result_file = official.results.get(system) if several else next(iter(official.results.values()), None)
        if compare:
            comparison = {"explanation": "there is no result.csv next to the scores"}
            if result_file:
                comparison = results.compare(result_file, part, official.year, p)
            figures[system]["result_csv"] = comparison
    return {"systems": figures} if several else figures[""]


def _with_decisions(labelled: pd.DataFrame, decided: pd.DataFrame) -> pd.DataFrame:
    keys = ["system", "machine", "section", "split", "clip"]
    both = labelled.merge(decided[[*keys, "decision"]], on=keys, how="left")
    without = both[both["decision"].isna()]
    if len(without):
        row = without.iloc[0]
        raise ScoreError(f"clip {row['clip']} of {row['system']} ({row['machine']}) has a score but no decision; "
                            "expected one decision_result file per anomaly_score file")  # fmt: skip
    return both


def _figures(frame: pd.DataFrame, p: float, official: Official) -> dict:
    table, score = rules.figures(frame, official.year, p)
    if "decision" in frame:
        table = table.merge(results.figures(frame, official.year, p).drop(columns=["auc", "pauc"]), on=UNIT)
    return {
        "year": official.year,
        "recognised": describe_recognition(official),
        "rule": rules.RULES[official.year],
        "official_score": score,
        "cells": cells(table, ("machine", "domain")).to_dict("records"),
        "sections": table.to_dict("records"),
    }


def describe_recognition(official: Official) -> str:
    """Describe how the year of the files is known."""
    if official.asked:
        return "the year was given"
    if official.others:
        others = ", ".join(map(str, official.others))
        return f"recognised by the names of files and clips; files of {others} look the same and follow the same rule"
    return "recognised by the names of files and clips"


def describe(result: dict) -> str:
    """Format the result of :func:`evaluate` as text, with figures in per cent."""
    if "systems" in result:
        return "\n\n".join(f"{system}\n{describe(part)}" for system, part in result["systems"].items())
    width = max(len(cell["machine"]) for cell in result["cells"]) + 2
    names = [name for name in FIGURES if name in result["sections"][0]]
    lines = [f"DCASE{result['year']} ({result['recognised']})", result["rule"]]
    lines.append(f"{'':{width}}section  domain " + "".join(f"{FIGURES[name]:>7}" for name in names))
    for row in result["sections"]:
        figures = "".join(f"{100 * row[name]:7.2f}" for name in names)
        lines.append(f"{row['machine']:{width}}{row['section']:9}{row['domain']:7}{figures}")
    lines.append("harmonic mean of AUC and pAUC")
    lines += [f"{row['machine']:{width}}{'':9}{row['domain']:7}{100 * row['value']:7.2f}" for row in result["cells"]]
    lines.append(f"official score{'':{max(0, width + 2)}}{100 * result['official_score']:7.2f}")
    if "result_csv" in result:
        lines.append(f"comparison: {result['result_csv']['explanation']}")
    return "\n".join(lines)
