"""Score all clips of a machine type with its sections' classifiers (Sec. 2.2): the stage of notebook 06."""

import numpy as np
import pandas as pd

from asdlib import scores
from asdlib.classifier import clip_outputs
from asdlib.classifier.posterior_and_distance import score_variants
from asdlib.compute import resolve_compute
from asdlib.data import plan
from asdlib.data.held_out_split import LEARN
from asdlib.errors import ModelError
from asdlib.paths import SCORES
from asdlib.stage import Stage

REJECTED = 0.5
"""share of its own training clips above which a classifier that calls them outliers is reported"""


def score(settings, machine: str, candidate: str) -> pd.DataFrame:
    """Score the test clips and held-out training clips of a machine type, each section with its own models.

    Writes ``scores.csv``, ``embeddings.csv``, ``embeddings.npy`` (see :mod:`asdlib.classifier.clip_outputs`) and
    ``record.json`` atomically. The record's ``accuracy`` is from :func:`accuracies`.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        machine: Machine type.
        candidate: Name in ``classifier_candidates``.

    Returns:
        The score table of all variants, systems ``classifier/<candidate>/<variant>``, in the order of the settings.

    Raises:
        ModelError: A section's models are missing.
        ArtefactError: They were trained with other settings or other clips.
    """
    branch, compute = settings.candidate("classifier", candidate), resolve_compute(settings)
    stage = Stage(settings, "classifier", machine, candidate, compute=compute)
    sections = plan.read(settings).machines.get(machine)
    if not sections:
        raise ModelError(f"{machine} has no section with labelled test clips, so there is nothing to score")
    parts = [clip_outputs.table(settings, machine, section, candidate, compute) for section in sections]
    table = pd.concat([part for part, _ in parts], ignore_index=True)
    embedding = scores.finite(table, np.concatenate([part for _, part in parts]), "the embedding")
    result = score_variants(table, embedding, candidate, branch.scorer)
    accuracy = accuracies(table)
    about = {
        "precision": compute.precision,
        "accuracy": accuracy.to_dict("records"),
        "health": health(accuracy),
    }
    depends, data = settings.common() | branch.model_dump(mode="json"), stage.clips.waveforms.fingerprint
    with stage.writing(depends, seed=settings.seed, data=data, **about) as folder:
        scores.write(result, folder / SCORES)
        clip_outputs.write(table, embedding, folder)
    return result


def accuracies(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the share of clips on the right side of the decision boundary, at inference.

    Returns:
        Columns ``model, stage, clips, accuracy``; ``clips`` is ``learnt`` (the section's training clips), ``held out``
        or ``outlier``.
    """
    known = table[table["kind"].isin(["section", "outlier"]) & (table["split"] == "train")]
    name = known["role"].replace({LEARN: "learnt", "": "outlier"})
    right = (known["logit"] > 0) == (known["kind"] == "section")
    result = right.groupby([known["model"], known["stage"], name.rename("clips")]).mean()
    return result.rename("accuracy").reset_index()


def health(accuracy: pd.DataFrame) -> list[str]:
    """Return problems of the models, one sentence each, from the result of :func:`accuracies`."""
    rejecting = accuracy[(accuracy["clips"] == "learnt") & (accuracy["accuracy"] < 1 - REJECTED)]
    return [
        f"section {row.model}, {row.stage}: the classifier calls {1 - row.accuracy:.0%} of its own normal training "
        "clips outliers"
        for row in rejecting.itertuples()
    ]
