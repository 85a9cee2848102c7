"""From posterior and distance to one anomaly score per clip (Sec. 2.2).

The variants, each a system of its own:

======================  ===============================================================================================
``w50_mean`` and so on  the paper's combination of the posterior and the normalised distance to the normal centroid:
                        w times the logit of the posterior plus (1 - w) times the distance, w in per cent, each pooled
                        over windows as the second word says and normalised. Source clips are scored by the source
                        model, target clips by the fine-tuned one.
``posterior``           w = 1, the logit alone, pooled by the mean
``distance``            w = 0, the distance alone, pooled by the mean
``source_model``        w = 0.5 by the source model for all clips: what fine-tuning adds
``mahalanobis``         Mahalanobis distance of the mean embedding from the section's training clips; models as above
``source_mahalanobis``  the same, the source model for all clips
======================  ===============================================================================================

All but the first are extensions or ablations (:mod:`asdlib.origin`). Logit and distance are normalised to mean 0 and
variance 1 over the section's held-out training clips under the same model: a posterior in 0 to 1 would hardly count
next to a distance without bound. So the score of a clip needs that clip only. With ``scorer.target_from:
pseudo_target``, pseudo-target clips made of held-out clips take their place for target clips.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from asdlib import artefacts, origin, paths, scores
from asdlib.artefacts import writing
from asdlib.classifier import STAGES, ClassifierError, embeddings
from asdlib.data import catalogue, roles
from asdlib.data.audio import Waveforms
from asdlib.gaussian import Gaussian

MAHALANOBIS = ("mahalanobis", "source_mahalanobis")
SOURCE_ONLY = ("source_model", "source_mahalanobis")
"""variants in which the source model scores all clips"""
REJECTED = 0.5
"""share of the clips that a classifier learnt from, and calls outliers, above which it is said to reject them"""


def score(settings, machine: str, candidate: str) -> pd.DataFrame:
    """Score the test clips and held-out training clips of a machine type, each section by its own models.

    Writes ``scores.csv``, ``embeddings.csv``, ``embeddings.npy`` (see :mod:`asdlib.classifier.embeddings`) and
    ``record.json``, all or nothing. The record's ``accuracy`` is that at inference on the clips that were learnt from.

    Args:
        settings: :class:`asdlib.params.Settings`.
        machine: Machine type.
        candidate: Name in ``classifier_candidates``.

    Returns:
        The score table of all variants, systems ``classifier/<candidate>/<variant>``, in the order of the settings.

    Raises:
        ClassifierError: A section's models are missing or were trained with other settings.
    """
    from asdlib import training  # with PyTorch, which the rest of this module does without

    began = time.monotonic()
    branch, run, compute = (
        settings.candidate("classifier", candidate),
        paths.Run.of(settings),
        training.compute(settings),
    )
    sections = catalogue.plan(settings).machines.get(machine)
    if not sections:
        raise ClassifierError(f"{machine} has no section with labelled test clips, so there is nothing to score")
    parts = [embeddings.table(settings, machine, section, candidate, compute) for section in sections]
    table = pd.concat([part for part, _ in parts], ignore_index=True)
    embedding = scores.finite(table, np.concatenate([part for _, part in parts]), "the embedding")
    result = variants(table, embedding, candidate, branch.scorer)
    accuracy = accuracies(table)
    record = artefacts.record(
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
        artefacts.write_json(record, folder / "record.json")
    return result


def accuracies(table: pd.DataFrame) -> pd.DataFrame:
    """Share of clips on the right side of the decision boundary, at inference.

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
    """What is wrong with the models, one sentence each, from :func:`accuracies`; empty where nothing is."""
    rejecting = accuracy[(accuracy["clips"] == "learnt") & (accuracy["accuracy"] < 1 - REJECTED)]
    return [
        f"section {row.model}, {row.stage}: the classifier calls {1 - row.accuracy:.0%} of its own normal training "
        "clips outliers"
        for row in rejecting.itertuples()
    ]


@dataclass(frozen=True)
class Normal:
    """What normal clips are like under a model, to compare others with: by model (section), stage and domain.

    The domain is ``source``, and ``target`` where pseudo-target clips take the training clips' place.
    """

    spreads: dict[tuple[str, str, str], np.ndarray]
    """mean and deviation of each of :data:`asdlib.classifier.embeddings.POOLED` over held-out clips, (measures, 2)"""
    gaussians: dict[tuple[str, str, str], Gaussian]
    """of the embeddings of clips that were learnt from (Ledoit-Wolf), where a variant asks for them"""

    @classmethod
    def fit(cls, table: pd.DataFrame, embedding: np.ndarray, options) -> "Normal":
        """From the outputs of models, as in :func:`variants`.

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
        """Write a safetensors file."""
        arrays = {f"{'/'.join(key)}/spread": spread for key, spread in self.spreads.items()}
        for key, gaussian in self.gaussians.items():
            name = "/".join(key)
            arrays |= {f"{name}/mean": gaussian.mean, f"{name}/cholesky": np.ascontiguousarray(gaussian.cholesky)}
        with writing(path) as temporary:
            save_file(arrays, temporary)

    @classmethod
    def load(cls, path: Path) -> "Normal":
        """Read what :meth:`save` wrote."""
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
        table: Outputs.
        embedding: One row for each row of ``table``.
        candidate: For the names of the systems.
        options: :class:`asdlib.params.ClassifierScorer`.
        normal: What to compare with; by default the normal clips of ``table``.
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
    """The scorer's settings with one variant only: the one that a detector uses (:func:`asdlib.origin.first`)."""
    return options.model_copy(update={"variants": [origin.first("classifier", options.variants, origin.EXTENSION)]})


def scored(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the score table under every model, as in :attr:`asdlib.data.MachineClips.scored`; the index is kept.

    These are test clips, held-out training clips, and those again as reference clips of the target domain.
    """
    section = table[table["kind"] == "section"]
    held_out = section[section["role"] == roles.HELD_OUT]
    target = held_out["section"].isin(section.loc[section["domain"] == "target", "section"])
    return pd.concat([section[section["split"] == "test"], held_out, held_out[target].assign(domain="target")])


def stages(rows: pd.DataFrame, variant: str) -> pd.Series:
    """The stage whose model scores each row: the fine-tuned one for target clips, if there is one."""
    tuned = rows["model"].isin(rows.loc[rows["stage"] == STAGES[1], "model"])
    result = pd.Series(STAGES[0], index=rows.index)
    if variant not in SOURCE_ONLY:
        result[(tuned & (rows["domain"] == "target")).to_numpy()] = STAGES[1]
    return result


def stage_of(variant: str, domain: str, tuned: bool) -> str:
    """The model that scores a clip: one of :data:`asdlib.classifier.STAGES`; ``tuned`` if there are both."""
    return STAGES[1] if tuned and domain == "target" and variant not in SOURCE_ONLY else STAGES[0]


def curve(table: pd.DataFrame, weights: np.ndarray) -> pd.DataFrame:
    """Score tables of the combination, pooled by the mean, for several weights w, the names of the systems."""
    rows = scored(table)
    rows = rows[(rows["stage"] == stages(rows, "w50_mean")).to_numpy()]
    parts = normalised(rows, _spreads(table))
    frames = [scores.table(rows, f"{weight:.2f}", combined(parts, weight, "mean")) for weight in weights]
    return pd.concat(frames, ignore_index=True)


def combined(parts: pd.DataFrame, weight: float, pooling: str) -> np.ndarray:
    """w times the normalised logit plus (1 - w) times the normalised distance, both pooled over windows alike."""
    logit, distance = parts[f"minus_logit_{pooling}"], parts[f"distance_{pooling}"]
    return (weight * logit + (1 - weight) * distance).to_numpy()


def normalised(rows: pd.DataFrame, spreads: dict) -> pd.DataFrame:
    """The pooled measures, of mean 0 and variance 1 over the held-out clips that a clip is compared with."""
    result = rows[embeddings.POOLED].to_numpy(dtype=np.float64, copy=True)
    for place, spread in _compared(rows, spreads):
        result[place] = (result[place] - spread[:, 0]) / spread[:, 1]
    return pd.DataFrame(result, columns=embeddings.POOLED)


def distances(rows: pd.DataFrame, embedding: np.ndarray, gaussians: dict) -> np.ndarray:
    """Mahalanobis distance of each row's embedding from the normal clips that it is compared with."""
    result = np.zeros(len(rows))
    for place, gaussian in _compared(rows, gaussians):
        result[place] = gaussian.distance(embedding[rows.index[place]])
    return result


def _weight(variant: str) -> tuple[float, str]:
    """Weight of the posterior and pooling over windows."""
    named = {"posterior": (1.0, "mean"), "distance": (0.0, "mean"), "source_model": (0.5, "mean")}
    if variant in named:
        return named[variant]
    weight, _, pooling = variant.removeprefix("w").partition("_")
    return int(weight) / 100, pooling


def _compared(rows: pd.DataFrame, known: dict) -> Iterator[tuple[np.ndarray, object]]:
    """The places of each model, stage and domain, and what is known of the normal clips that they are compared with."""
    for (model, stage, domain), places in rows.groupby(["model", "stage", "domain"]).indices.items():
        source = known[model, stage, "source"]
        yield places, known.get((model, stage, "target"), source) if domain == "target" else source


def _references(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.Index, pd.Index]]:
    """The keys of :class:`Normal`, the rows of normal clips that were learnt from, and of those that were held out."""
    for (model, stage), part in table.groupby(["model", "stage"]):
        for domain, kind in (("source", "section"), ("target", "pseudo-target")):
            here = part[(part["kind"] == kind) & (part["label"] == "normal")]
            learnt, held_out = (here.index[here["role"] == role] for role in (roles.LEARN, roles.HELD_OUT))
            if len(learnt):
                yield (model, stage, domain), learnt, held_out if len(held_out) else learnt


def _spreads(table: pd.DataFrame) -> dict[tuple[str, str, str], np.ndarray]:
    """:attr:`Normal.spreads`."""
    result = {}
    for key, _, held_out in _references(table):
        values = table.loc[held_out, embeddings.POOLED].to_numpy(dtype=np.float64)
        result[key] = np.stack([values.mean(0), np.maximum(values.std(0), 1e-12)], axis=1)
    return result
