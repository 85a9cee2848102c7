"""Measure how far the normal clips of both domains lie apart before and after the autoencoder's Gaussians."""

import numpy as np
import pandas as pd
from mix_answers import CHANCE

from asdlib import metrics, origin, scores
from asdlib.paths import Run


def gaps(run: Run, settings, machine: str) -> tuple[str, pd.DataFrame, pd.DataFrame] | None:
    """The variant of *fixed*, and medians by section before and after it; None where there is nothing to compare."""
    candidate = next(iter(settings.autoencoder_candidates))
    after = origin.first("autoencoder", settings.candidate("autoencoder", candidate).scorer.variants, origin.PAPER)
    frame = scores.read(run.scores("autoencoder", machine, candidate))
    normal = frame[(frame["split"] == "test") & (frame["label"] == "normal")]
    before, since = (_gaps(normal[normal["system"] == f"autoencoder/{candidate}/{name}"]) for name in ("l1", after))
    return (after, before, since) if len(before) and len(since) else None


def narrowed(gap: tuple[str, pd.DataFrame, pd.DataFrame]) -> str:
    """In how many sections the Gaussians narrow the gap between the domains, and in how many they widen it."""
    _, before, since = gap
    wider = (since["share"] - CHANCE).abs() - (before["share"] - CHANCE).abs()
    return (
        f"the scorer narrows the gap in {(wider < 0).sum()} of {len(wider)} sections and widens it in "
        f"{(wider > 0).sum()}"
    )


def _gaps(normal: pd.DataFrame) -> pd.DataFrame:
    """Medians of both domains by section, and the share of pairs in which the target clip scores higher."""
    rows = {}
    for section, part in normal.groupby("section"):
        source, target = (part.loc[part["domain"] == domain, "score"].to_numpy() for domain in ("source", "target"))
        if len(source) and len(target):
            above = metrics.auc(np.repeat([0, 1], [len(source), len(target)]), np.concatenate([source, target]))
            rows[section] = {"source": np.median(source), "target": np.median(target), "share": float(above)}
    return pd.DataFrame.from_dict(rows, orient="index")
