"""Combine posterior and distance to one anomaly score per clip (Sec. 2.2).

There are several variants, each of which counts as a system:

======================  ===============================================================================================
``w50_mean`` and so on  the paper's combination of the posterior and the normalised distance to the normal centroid:
                        w times the logit of the posterior plus (1 - w) times the distance, w in per cent, each pooled
                        over windows as the suffix states and normalised. Source clips are scored by the source
                        model, target clips by the fine-tuned one.
``posterior``           w = 1, the logit alone, pooled by the mean
``distance``            w = 0, the distance alone, pooled by the mean
``source_model``        w = 0.5 with the source model for all clips, to show the gain of fine-tuning
``mahalanobis``         Mahalanobis distance of the mean embedding from the section's training clips; models as above
``source_mahalanobis``  the same with the source model for all clips
======================  ===============================================================================================

All but the first are extensions or ablations (:mod:`asdlib.origin`). The paper combines the posterior *probability*
with the normalised distance. We take the *logit* of the posterior, because a probability in 0 to 1 would hardly count
next to an unbounded distance, and normalise both to mean 0 and variance 1 over the section's held-out training clips
with the same model. The score of a clip therefore does not depend on other test clips. With
``scorer.target_from: shifted``, shifted clips derived from held-out clips replace these for target clips.

This module does not import PyTorch, because a detector with ONNX files scores without it.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from asdlib import scores
from asdlib.classifier import STAGES
from asdlib.classifier.reference_statistics import MAHALANOBIS, ReferenceStatistics, fit_spreads
from asdlib.classifier.window_outputs import POOLED
from asdlib.data.held_out_split import HELD_OUT, with_reference_clips

SOURCE_ONLY = ("source_model", "source_mahalanobis")
"""variants in which the source model scores all clips"""


def score_variants(table: pd.DataFrame, embedding: np.ndarray, candidate: str, options) -> pd.DataFrame:
    """Return the score table of the variants, from the outputs of the models (:mod:`asdlib.classifier.clip_outputs`).

    Args:
        table: Outputs of the models.
        embedding: One embedding per row of ``table``.
        candidate: Name of the candidate, used in the names of the systems.
        options: :class:`asdlib.params.classifier.ClassifierScorer`.
    """
    reference = ReferenceStatistics.fit(table, embedding, options)
    rows = select_scored(table)
    frames = []
    for variant in options.variants:
        chosen = rows[(rows["stage"] == choose_stages(rows, variant)).to_numpy()]
        value = score_rows(chosen, embedding[chosen.index], variant, reference)
        frames.append(scores.table(chosen, f"classifier/{candidate}/{variant}", value))
    return pd.concat(frames, ignore_index=True)


def score_rows(rows: pd.DataFrame, embedding: np.ndarray, variant: str, reference: ReferenceStatistics) -> np.ndarray:
    """Score clips in one variant, independently of each other, ``(rows,)``.

    Args:
        rows: The models' outputs, one row per clip: ``model``, ``stage`` and ``domain`` (of the clips with which it is
            compared), and :data:`asdlib.classifier.window_outputs.POOLED`.
        embedding: One embedding per row.
        variant: Name of the variant.
        reference: Reference statistics.
    """
    if variant in MAHALANOBIS:
        return compute_mahalanobis_distances(rows, embedding, reference.gaussians)
    return combine(normalise(rows, reference.spreads), *_weight_and_pooling(variant))


def select_scored(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the score table for every model, as in :attr:`asdlib.data.machine_clips.MachineClips.scored`.

    The index is kept.
    """
    section = table[table["kind"] == "section"]
    return with_reference_clips(section, section["role"] == HELD_OUT)


def choose_stages(rows: pd.DataFrame, variant: str) -> pd.Series:
    """Return the stage whose model scores each row: the fine-tuned one for target clips, if it exists."""
    tuned = rows["model"].isin(rows.loc[rows["stage"] == STAGES[1], "model"])
    stages = [choose_stage(variant, domain, both) for domain, both in zip(rows["domain"], tuned, strict=True)]
    return pd.Series(stages, index=rows.index)


def choose_stage(variant: str, domain: str, tuned: bool) -> str:
    """Return the stage, of :data:`asdlib.classifier.STAGES`, whose model scores a clip; ``tuned`` if both exist."""
    return STAGES[1] if tuned and domain == "target" and variant not in SOURCE_ONLY else STAGES[0]


def score_weights(table: pd.DataFrame, weights: np.ndarray) -> pd.DataFrame:
    """Return the score table of the combination, pooled by the mean, for several weights w, which name the systems."""
    rows = select_scored(table)
    rows = rows[(rows["stage"] == choose_stages(rows, "w50_mean")).to_numpy()]
    parts = normalise(rows, fit_spreads(table))
    frames = [scores.table(rows, f"{weight:.2f}", combine(parts, weight, "mean")) for weight in weights]
    return pd.concat(frames, ignore_index=True)


def combine(parts: pd.DataFrame, weight: float, pooling: str) -> np.ndarray:
    """Combine w times the normalised logit and (1 - w) times the normalised distance, with the same pooling."""
    logit, distance = parts[f"minus_logit_{pooling}"], parts[f"distance_{pooling}"]
    return (weight * logit + (1 - weight) * distance).to_numpy()


def normalise(rows: pd.DataFrame, spreads: dict) -> pd.DataFrame:
    """Normalise the pooled measures to mean 0 and variance 1 over the held-out clips with which a clip is compared."""
    result = rows[POOLED].to_numpy(dtype=np.float64, copy=True)
    for places, spread in _pair_with_statistics(rows, spreads):
        result[places] = (result[places] - spread[:, 0]) / spread[:, 1]
    return pd.DataFrame(result, columns=POOLED)


def compute_mahalanobis_distances(rows: pd.DataFrame, embedding: np.ndarray, gaussians: dict) -> np.ndarray:
    """Return the Mahalanobis distance of each row's embedding from the normal clips with which it is compared."""
    result = np.zeros(len(rows))
    for places, gaussian in _pair_with_statistics(rows, gaussians):
        result[places] = gaussian.distance(embedding[places])
    return result


def _weight_and_pooling(variant: str) -> tuple[float, str]:
    """Return the weight of the posterior and the pooling over windows of a variant."""
    named = {"posterior": (1.0, "mean"), "distance": (0.0, "mean"), "source_model": (0.5, "mean")}
    if variant in named:
        return named[variant]
    weight, _, pooling = variant.removeprefix("w").partition("_")
    return int(weight) / 100, pooling


def _pair_with_statistics(rows: pd.DataFrame, known: dict) -> Iterator[tuple[np.ndarray, object]]:
    """Yield the rows of each model, stage and domain, and the statistics of the normal clips to compare them with."""
    for (model, stage, domain), places in rows.groupby(["model", "stage", "domain"]).indices.items():
        source = known[model, stage, "source"]
        yield places, known.get((model, stage, "target"), source) if domain == "target" else source
