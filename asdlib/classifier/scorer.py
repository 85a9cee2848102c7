"""Turn posterior and distance into one anomaly score per clip (Sec. 2.2).

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

All but the first are extensions or ablations (:mod:`asdlib.origin`). Logit and distance are normalised to mean 0 and
variance 1 over the section's held-out training clips with the same model, because a posterior in 0 to 1 would hardly
count next to an unbounded distance. The score of a clip therefore does not depend on other test clips. With
``scorer.target_from: shifted``, shifted clips derived from held-out clips replace these for target clips.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from asdlib import atomic, origin, paths, records, scores
from asdlib.atomic import writing
from asdlib.classifier import STAGES, embeddings
from asdlib.data import plan, roles
from asdlib.data.audio import Waveforms
from asdlib.errors import ModelError
from asdlib.gaussian import Gaussian

MAHALANOBIS = ("mahalanobis", "source_mahalanobis")
SOURCE_ONLY = ("source_model", "source_mahalanobis")
"""variants in which the source model scores all clips"""
REJECTED = 0.5
"""share of its own training clips above which a classifier that calls them outliers is reported"""


def score(settings, machine: str, candidate: str) -> pd.DataFrame:
    """Score the test clips and held-out training clips of a machine type, each section with its own models.

    Writes ``scores.csv``, ``embeddings.csv``, ``embeddings.npy`` (see :mod:`asdlib.classifier.embeddings`) and
    ``record.json`` atomically. The record's ``accuracy`` is from :func:`accuracies`.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        machine: Machine type.
        candidate: Name in ``classifier_candidates``.

    Returns:
        The score table of all variants, systems ``classifier/<candidate>/<variant>``, in the order of the settings.

    Raises:
        ModelError: A section's models are missing or were trained with other settings.
    """
    from asdlib import training  # imports PyTorch, which the rest of this module does not need

    began = time.monotonic()
    branch, run, compute = (
        settings.candidate("classifier", candidate),
        paths.Run.of(settings),
        training.compute(settings),
    )
    sections = plan.read(settings).machines.get(machine)
    if not sections:
        raise ModelError(f"{machine} has no section with labelled test clips, so there is nothing to score")
    parts = [embeddings.table(settings, machine, section, candidate, compute) for section in sections]
    table = pd.concat([part for part, _ in parts], ignore_index=True)
    embedding = scores.finite(table, np.concatenate([part for _, part in parts]), "the embedding")
    result = variants(table, embedding, candidate, branch.scorer)
    accuracy = accuracies(table)
    record = records.record(
        settings.common() | branch.model_dump(mode="json"),
        seed=settings.seed,
        device=compute.describe(),
        data=Waveforms.open(run.data(machine)).fingerprint,
        seconds=time.monotonic() - began,
        precision=compute.precision,
        accuracy=accuracy.to_dict("records"),
        health=health(accuracy),
    )
    with writing(run.system("classifier", machine, candidate), folder=True) as folder:
        scores.write(result, folder / "scores.csv")
        embeddings.write(table, embedding, folder)
        atomic.write_json(record, folder / "record.json")
    return result


def accuracies(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the share of clips on the right side of the decision boundary, at inference.

    Returns:
        Columns ``model, stage, clips, accuracy``; ``clips`` is ``learnt`` (the section's training clips), ``held out``
        or ``outlier``.
    """
    known = table[table["kind"].isin(["section", "outlier"]) & (table["split"] == "train")]
    name = known["role"].replace({roles.LEARN: "learnt", "": "outlier"})
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


@dataclass(frozen=True)
class Normal:
    """Reference statistics of normal clips by model (section), stage and domain, with which to compare others.

    The domain is ``source``, and also ``target`` if pseudo-target clips replace the training clips.
    """

    spreads: dict[tuple[str, str, str], np.ndarray]
    """mean and deviation of each of :data:`asdlib.classifier.embeddings.POOLED` over held-out clips, (measures, 2)"""
    gaussians: dict[tuple[str, str, str], Gaussian]
    """Gaussians (Ledoit-Wolf) of the embeddings of training clips that were learnt from, if a variant needs them"""

    @classmethod
    def fit(cls, table: pd.DataFrame, embedding: np.ndarray, options) -> "Normal":
        """Fit the statistics to the outputs of models, as passed to :func:`variants`.

        The Gaussian of pseudo-target clips is widened by ``options.target_shift`` times the shift that the target
        training clips still show (:meth:`asdlib.gaussian.Gaussian.widened`).
        """
        gaussians = {}
        wanted = set(MAHALANOBIS) & set(options.variants)
        for key, learnt, _ in _references(table) if wanted else ():
            gaussians[key] = Gaussian.fit(embedding[learnt])
            model, stage, domain = key
            few = (table["kind"] == "section") & (table["role"] == roles.LEARN) & (table["domain"] == "target")
            few &= (table["model"] == model) & (table["stage"] == stage)
            if domain == "target" and few.any():
                gaussians[key] = gaussians[key].widened(embedding[few], options.target_shift)
        return cls(_spreads(table), gaussians)

    def save(self, path: Path) -> None:
        """Write the statistics to a safetensors file."""
        arrays = {f"{'/'.join(key)}/spread": spread for key, spread in self.spreads.items()}
        for key, gaussian in self.gaussians.items():
            name = "/".join(key)
            arrays |= {f"{name}/mean": gaussian.mean, f"{name}/cholesky": np.ascontiguousarray(gaussian.cholesky)}
        with writing(path) as temporary:
            save_file(arrays, temporary)

    @classmethod
    def load(cls, path: Path) -> "Normal":
        """Read statistics written by :meth:`save`."""
        arrays = load_file(path)
        keys = [tuple(name.split("/")[:3]) for name in arrays if name.endswith("/spread")]
        names = {key: "/".join(key) for key in keys}
        spreads = {key: arrays[f"{name}/spread"] for key, name in names.items()}
        gaussians = {
            key: Gaussian(arrays[f"{name}/mean"], arrays[f"{name}/cholesky"])
            for key, name in names.items()
            if f"{name}/mean" in arrays
        }
        return cls(spreads, gaussians)


def variants(
    table: pd.DataFrame, embedding: np.ndarray, candidate: str, options, normal: Normal | None = None
) -> pd.DataFrame:
    """Return the score table of the variants, from the outputs of the models (:mod:`asdlib.classifier.embeddings`).

    Args:
        table: Outputs of the models.
        embedding: One embedding per row of ``table``.
        candidate: Name of the candidate, used in the names of the systems.
        options: :class:`asdlib.params.classifier.ClassifierScorer`.
        normal: Reference statistics; by default those of the normal clips of ``table``.
    """
    normal = normal or Normal.fit(table, embedding, options)
    rows = scored(table)
    frames = []
    for variant in options.variants:
        chosen = rows[(rows["stage"] == stages(rows, variant)).to_numpy()]
        if variant in MAHALANOBIS:
            value = distances(chosen, embedding, normal.gaussians)
        else:
            value = combined(normalised(chosen, normal.spreads), *_weight(variant))
        frames.append(scores.table(chosen, f"classifier/{candidate}/{variant}", value))
    return pd.concat(frames, ignore_index=True)


def without_labels(options):
    """Return the scorer's settings with only the variant that a detector uses (:func:`asdlib.origin.first`)."""
    return options.model_copy(update={"variants": [origin.first("classifier", options.variants, origin.EXTENSION)]})


def scored(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the score table for every model, as in :attr:`asdlib.data.machine_clips.MachineClips.scored`.

    These are test clips, held-out training clips, and the latter again as reference clips of the target domain. The
    index is kept.
    """
    section = table[table["kind"] == "section"]
    held_out = section[section["role"] == roles.HELD_OUT]
    target = held_out["section"].isin(section.loc[section["domain"] == "target", "section"])
    return pd.concat([section[section["split"] == "test"], held_out, held_out[target].assign(domain="target")])


def stages(rows: pd.DataFrame, variant: str) -> pd.Series:
    """Return the stage whose model scores each row: the fine-tuned one for target clips, if it exists."""
    tuned = rows["model"].isin(rows.loc[rows["stage"] == STAGES[1], "model"])
    result = pd.Series(STAGES[0], index=rows.index)
    if variant not in SOURCE_ONLY:
        result[(tuned & (rows["domain"] == "target")).to_numpy()] = STAGES[1]
    return result


def stage_of(variant: str, domain: str, tuned: bool) -> str:
    """Return the stage, of :data:`asdlib.classifier.STAGES`, whose model scores a clip; ``tuned`` if both exist."""
    return STAGES[1] if tuned and domain == "target" and variant not in SOURCE_ONLY else STAGES[0]


def curve(table: pd.DataFrame, weights: np.ndarray) -> pd.DataFrame:
    """Return the score table of the combination, pooled by the mean, for several weights w, which name the systems."""
    rows = scored(table)
    rows = rows[(rows["stage"] == stages(rows, "w50_mean")).to_numpy()]
    parts = normalised(rows, _spreads(table))
    frames = [scores.table(rows, f"{weight:.2f}", combined(parts, weight, "mean")) for weight in weights]
    return pd.concat(frames, ignore_index=True)


def combined(parts: pd.DataFrame, weight: float, pooling: str) -> np.ndarray:
    """Combine w times the normalised logit and (1 - w) times the normalised distance, with the same pooling."""
    logit, distance = parts[f"minus_logit_{pooling}"], parts[f"distance_{pooling}"]
    return (weight * logit + (1 - weight) * distance).to_numpy()


def normalised(rows: pd.DataFrame, spreads: dict) -> pd.DataFrame:
    """Normalise the pooled measures to mean 0 and variance 1 over the held-out clips with which a clip is compared."""
    result = rows[embeddings.POOLED].to_numpy(dtype=np.float64, copy=True)
    for place, spread in _compared(rows, spreads):
        result[place] = (result[place] - spread[:, 0]) / spread[:, 1]
    return pd.DataFrame(result, columns=embeddings.POOLED)


def distances(rows: pd.DataFrame, embedding: np.ndarray, gaussians: dict) -> np.ndarray:
    """Return the Mahalanobis distance of each row's embedding from the normal clips with which it is compared."""
    result = np.zeros(len(rows))
    for place, gaussian in _compared(rows, gaussians):
        result[place] = gaussian.distance(embedding[rows.index[place]])
    return result


def _weight(variant: str) -> tuple[float, str]:
    """Return the weight of the posterior and the pooling over windows of a variant."""
    named = {"posterior": (1.0, "mean"), "distance": (0.0, "mean"), "source_model": (0.5, "mean")}
    if variant in named:
        return named[variant]
    weight, _, pooling = variant.removeprefix("w").partition("_")
    return int(weight) / 100, pooling


def _compared(rows: pd.DataFrame, known: dict) -> Iterator[tuple[np.ndarray, object]]:
    """Yield the rows of each model, stage and domain, and the statistics of the normal clips to compare them with."""
    for (model, stage, domain), places in rows.groupby(["model", "stage", "domain"]).indices.items():
        source = known[model, stage, "source"]
        yield places, known.get((model, stage, "target"), source) if domain == "target" else source


def _references(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.Index, pd.Index]]:
    """Yield each key of :class:`Normal`, with the rows of normal clips learnt from and of those held out."""
    for (model, stage), part in table.groupby(["model", "stage"]):
        for domain, kind in (("source", "section"), ("target", "pseudo-target")):
            here = part[(part["kind"] == kind) & (part["label"] == "normal")]
            learnt, held_out = (here.index[here["role"] == role] for role in (roles.LEARN, roles.HELD_OUT))
            if len(learnt):
                yield (model, stage, domain), learnt, held_out if len(held_out) else learnt


def _spreads(table: pd.DataFrame) -> dict[tuple[str, str, str], np.ndarray]:
    """Compute :attr:`Normal.spreads`."""
    result = {}
    for key, _, held_out in _references(table):
        values = table.loc[held_out, embeddings.POOLED].to_numpy(dtype=np.float64)
        result[key] = np.stack([values.mean(0), np.maximum(values.std(0), 1e-12)], axis=1)
    return result
