"""Summarise the outputs of classifiers for normal clips, with which the outputs for other clips are compared."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from asdlib.atomic import writing
from asdlib.classifier.window_outputs import POOLED
from asdlib.data.held_out_split import HELD_OUT, LEARN
from asdlib.gaussian import Gaussian

MAHALANOBIS = ("mahalanobis", "source_mahalanobis")
"""variants that need Gaussians of the embeddings"""


@dataclass(frozen=True)
class ReferenceStatistics:
    """Reference statistics of normal clips by model (section), stage and domain, with which to compare others.

    The domain is ``source``, and also ``target`` if shifted clips replace the training clips.
    """

    spreads: dict[tuple[str, str, str], np.ndarray]
    """mean and deviation of each of :data:`.POOLED` over held-out clips, (measures, 2)"""
    gaussians: dict[tuple[str, str, str], Gaussian]
    """Gaussians (Ledoit-Wolf) of the embeddings of training clips that were learnt from, if a variant needs them"""

    @classmethod
    def fit(cls, table: pd.DataFrame, embedding: np.ndarray, options) -> "ReferenceStatistics":
        """Fit the statistics to the outputs of models (:mod:`asdlib.classifier.clip_outputs`).

        The Gaussian of shifted clips is widened by ``options.target_shift`` times the shift that the target
        training clips still show (:meth:`asdlib.gaussian.Gaussian.widened`).
        """
        gaussians = {}
        wanted = set(MAHALANOBIS) & set(options.variants)
        for key, learnt, _ in _split_references(table) if wanted else ():
            gaussians[key] = Gaussian.fit(embedding[learnt])
            model, stage, domain = key
            few = (table["kind"] == "section") & (table["role"] == LEARN) & (table["domain"] == "target")
            few &= (table["model"] == model) & (table["stage"] == stage)
            if domain == "target" and few.any():
                gaussians[key] = gaussians[key].widened(embedding[few], options.target_shift)
        return cls(fit_spreads(table), gaussians)

    def save(self, path: Path) -> None:
        """Write the statistics to a safetensors file."""
        arrays = {f"{'/'.join(key)}/spread": spread for key, spread in self.spreads.items()}
        for key, gaussian in self.gaussians.items():
            arrays |= gaussian.arrays(f"{'/'.join(key)}/")
        with writing(path) as temporary:
            save_file(arrays, temporary)

    @classmethod
    def load(cls, path: Path) -> "ReferenceStatistics":
        """Read statistics written by :meth:`save`."""
        arrays = load_file(path)
        keys = [tuple(name.split("/")[:3]) for name in arrays if name.endswith("/spread")]
        names = {key: "/".join(key) for key in keys}
        spreads = {key: arrays[f"{name}/spread"] for key, name in names.items()}
        gaussians = {
            key: Gaussian.from_arrays(arrays, f"{name}/") for key, name in names.items() if f"{name}/mean" in arrays
        }
        return cls(spreads, gaussians)


def _split_references(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.Index, pd.Index]]:
    """Yield each key of :class:`ReferenceStatistics`, with the rows of normal clips learnt from and held out."""
    for (model, stage), part in table.groupby(["model", "stage"]):
        for domain, kind in (("source", "section"), ("target", "shifted")):
            here = part[(part["kind"] == kind) & (part["label"] == "normal")]
            learnt, held_out = (here.index[here["role"] == role] for role in (LEARN, HELD_OUT))
            if len(learnt):
                yield (model, stage, domain), learnt, held_out if len(held_out) else learnt


def fit_spreads(table: pd.DataFrame) -> dict[tuple[str, str, str], np.ndarray]:
    """Compute :attr:`ReferenceStatistics.spreads`."""
    result = {}
    for key, _, held_out in _split_references(table):
        values = table.loc[held_out, POOLED].to_numpy(dtype=np.float64)
        result[key] = np.stack([values.mean(0), np.maximum(values.std(0), 1e-12)], axis=1)
    return result
