"""Compute each year's official figures and score.

========= ===============================================================================================
2020      AUC and pAUC of each machine ID; the score is the mean over machine types of their IDs' means
2021      AUC and pAUC of each section and domain; harmonic mean of all (:mod:`asdlib.metrics`)
2022-2025 AUC of each section and domain: its normal clips against the anomalies of *both* domains, since one threshold
          must serve both; one pAUC per section over both domains; harmonic mean of all AUC and pAUC
========= ===============================================================================================
"""

import numpy as np
import pandas as pd

from asdlib import metrics
from asdlib.challenge.years import YEARS
from asdlib.errors import ScoreError

_ONE_THRESHOLD = (
    "AUC of a section and domain: its normal clips against the anomalies of both domains; one pAUC per section, over "
    "both domains; official score: harmonic mean of all AUC and pAUC"
)
RULES = {
    2020: "AUC and pAUC of each machine ID; official score: mean over machine types of their IDs' mean AUC and pAUC",
    2021: "AUC and pAUC of each section and domain by its own clips; official score: harmonic mean of all",
} | dict.fromkeys(range(2022, 2026), _ONE_THRESHOLD)
"""each year's rule in words"""


def figures(frame: pd.DataFrame, year: int, p: float = 0.1) -> tuple[pd.DataFrame, float]:
    """Compute a year's official figures.

    Args:
        frame: Score rows of one system (:mod:`asdlib.scores`).
        year: Year of the challenge, one of :data:`YEARS`.
        p: Largest false positive rate of pAUC.

    Returns:
        Columns ``machine, section, domain, auc, pauc``; and the official score. From 2022 on, ``pauc`` is repeated in
        the rows of both domains of a section, and counts once.

    Raises:
        ScoreError: A section lacks normal or anomalous clips.
    """
    if year not in YEARS:
        raise ScoreError(f"the year {year} was requested; expected one of {', '.join(map(str, YEARS))}")
    if year <= 2021:
        table = metrics.sections(frame, p).drop(columns="system")
        return table, score(table, year)
    test = metrics.labelled(frame)
    rows = []
    for (machine, section), part in test.groupby(["machine", "section"]):
        try:
            whole = metrics.pauc(part["label"].to_numpy(), part["score"].to_numpy(), p)
            for domain in sorted(set(part["domain"])):
                used = part[(part["domain"] == domain) | (part["label"] == "anomaly")]
                area = metrics.auc(used["label"].to_numpy(), used["score"].to_numpy())
                rows.append((machine, section, domain, float(area), float(whole)))
        except ScoreError as error:
            raise ScoreError(f"{machine} section {section}: {error}") from None
    table = pd.DataFrame(rows, columns=[*metrics.UNIT, "auc", "pauc"])
    return table, score(table, year)


def score(table: pd.DataFrame, year: int) -> float:
    """Compute the official score of a year from the table of :func:`figures`."""
    if year == 2020:
        return float(table.groupby("machine")[["auc", "pauc"]].mean().to_numpy().mean())
    if year == 2021:
        return metrics.official_score(table)
    once = table.drop_duplicates(["machine", "section"])["pauc"]
    return float(metrics.harmonic_mean(np.concatenate([table["auc"], once])))


def other_reading(frame: pd.DataFrame, year: int, p: float = 0.1) -> tuple[pd.DataFrame, dict[str, str]]:
    """Compute the figures by the other reading of which clips count, which some systems' tables follow.

    Returns:
        A table as in :func:`figures`, from 2022 on by the rule of 2021, and vice versa; and a description of the clips
        that count for each figure.
    """
    if year >= 2022:
        own = "the normal clips of a domain against the anomalies of that domain alone"
        return figures(frame, 2021, p)[0], {"auc": own, "pauc": own}
    words = {
        "auc": "the normal clips of a domain against the anomalies of both domains",
        "pauc": "the clips of both domains together",
    }
    return figures(frame, 2022, p)[0], words
