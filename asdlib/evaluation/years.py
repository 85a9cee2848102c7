"""The official figures of other years' challenges, where they differ from DCASE2021's.

========= ===============================================================================================
2020      AUC and pAUC of each machine ID; the score is the mean over machine types of their IDs' means
2021      AUC and pAUC of each section and domain; harmonic mean of all (:mod:`asdlib.evaluation.metrics`)
2022-2025 AUC of each section and domain: its normal clips against the anomalies of *both* domains, since one threshold
          must serve both; one pAUC a section over both domains; harmonic mean of all AUC and pAUC
========= ===============================================================================================
"""

import numpy as np
import pandas as pd

from asdlib.evaluation import metrics

YEARS = range(2020, 2026)


def figures(frame: pd.DataFrame, year: int, p: float = 0.1) -> tuple[pd.DataFrame, float]:
    """A year's official figures.

    Args:
        frame: Score rows of one system (:mod:`asdlib.scores`).
        year: Of the challenge, one of :data:`YEARS`.
        p: Largest false positive rate of pAUC.

    Returns:
        Columns ``machine, section, domain, auc, pauc``; and the official score. From 2022 on ``pauc`` stands in the
        rows of both domains of a section, and counts once.

    Raises:
        MetricError: A section lacks normal or anomalous clips.
    """
    if year not in YEARS:
        raise metrics.MetricError(f"the year {year} was asked for; expected one of {', '.join(map(str, YEARS))}")
    if year <= 2021:
        table = metrics.sections(frame, p).drop(columns="system")
        means = table.groupby("machine")[["auc", "pauc"]].mean()
        return table, float(means.to_numpy().mean()) if year == 2020 else metrics.official_score(table)
    test = frame[(frame["split"] == "test") & frame["label"].isin(["normal", "anomaly"])]
    rows = []
    for (machine, section), part in test.groupby(["machine", "section"]):
        try:
            whole = metrics.pauc(part["label"].to_numpy(), part["score"].to_numpy(), p)
            for domain in sorted(set(part["domain"])):
                used = part[(part["domain"] == domain) | (part["label"] == "anomaly")]
                area = metrics.auc(used["label"].to_numpy(), used["score"].to_numpy())
                rows.append((machine, section, domain, float(area), float(whole)))
        except metrics.MetricError as error:
            raise metrics.MetricError(f"{machine} section {section}: {error}") from None
    table = pd.DataFrame(rows, columns=[*metrics.UNIT, "auc", "pauc"])
    once = table.drop_duplicates(["machine", "section"])["pauc"]
    return table, float(metrics.harmonic_mean(np.concatenate([table["auc"], once])))
