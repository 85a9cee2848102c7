"""Follow three clips through the whole system: a normal one, an anomaly that is found, and one that is missed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from asdlib.autoencoder import inspection
from asdlib.autoencoder.inspection import Inspection
from asdlib.classifier import STAGES, clip_outputs
from asdlib.data.inspection import Example
from asdlib.ensemble.blocks import MIX

BRANCHES = {"autoencoder": "AE ensemble", "classifier": "BC ensemble", "mix": MIX}
"""what judges a clip, and the row of Table 1 that shows it"""


@dataclass(frozen=True)
class Followed:
    """One clip with what each part of the system makes of it."""

    title: str
    """normal, found or missed, and the clip's name"""
    inspected: Inspection
    """of the first autoencoder candidate"""
    map: pd.DataFrame
    """embeddings of its section's clips by the first classifier candidate: ``label, split, domain, here, x, y``"""
    lower: dict[str, float]
    """by branch: share of the normal test clips of its section and domain that score lower"""

    @property
    def example(self) -> Example:
        """The clip as :func:`asdlib.plots.sound.players` takes it."""
        return self.inspected.example(self.title)


def follow(settings, machine: str, table: pd.DataFrame) -> list[Followed]:
    """Choose the clips by the rank of their score, and follow them through the first candidates of both branches.

    Of the first section's source domain: the normal test clip with the median score of *mix* (fixed by the settings),
    the anomaly with the highest one, and the anomaly with the lowest one, about which the system is most wrong.

    Args:
        settings: Settings of the run.
        machine: Machine type.
        table: Score table of the ensembles (:func:`asdlib.ensemble.run`).
    """
    first = table["section"].min()
    test = table[(table["split"] == "test") & (table["section"] == first) & table["label"].isin(["normal", "anomaly"])]
    test = test[test["domain"] == test["domain"].min()]
    wide = test[test["system"].isin([f"ensemble/fixed/{row}" for row in BRANCHES.values()])]
    wide = wide.pivot(
        index=["machine", "clip", "label", "domain", "section", "split"], columns="system", values="score"
    )
    wide = wide.set_axis([name.split("/", 2)[2] for name in wide.columns], axis=1).sort_values([MIX]).reset_index()
    normal, anomalous = (wide[wide["label"] == label] for label in ("normal", "anomaly"))
    chosen = {
        "normal": normal.iloc[len(normal) // 2],
        "found": anomalous.iloc[-1],
        "missed": anomalous.iloc[0],
    }
    candidates = [next(iter(of)) for of in (settings.autoencoder_candidates, settings.classifier_candidates)]
    points, vectors = clip_outputs.read(settings, machine, candidates[1])
    here = (points["model"] == first) & (points["stage"] == STAGES[0]) & (points["kind"] == "section")
    points, vectors = points[here.to_numpy()], vectors[here.to_numpy()]
    points = points.assign(**dict(zip("xy", PCA(2).fit_transform(vectors).T, strict=True)))
    result = []
    for word, clip in chosen.items():
        lower = {name: float(np.mean(normal[row] < clip[row])) for name, row in BRANCHES.items() if row in wide}
        marked = points.assign(here=(points["clip"] == clip["clip"]) & (points["split"] == "test"))
        inspected = inspection.inspect(settings, machine, candidates[0], clip)
        title = f"{'anomaly, ' * (word != 'normal')}{word}: {clip['clip']}"
        result.append(Followed(title, inspected, marked[["label", "split", "domain", "here", "x", "y"]], lower))
    return result


def verdicts(followed: list[Followed]) -> pd.DataFrame:
    """Tabulate the share of normal test clips that score lower than each clip, by branch, and what that means."""
    rows = []
    for item in followed:
        right = [name for name, share in item.lower.items() if name != "mix" and share >= 0.9]
        why = {0: "neither branch hears it", 1: f"only the {(right or [''])[0]} hears it", 2: "both branches hear it"}
        rows.append({"clip": item.title.partition(": ")[0]} | item.lower | {"why": why[len(right)]})
    return pd.DataFrame(rows).set_index("clip")
