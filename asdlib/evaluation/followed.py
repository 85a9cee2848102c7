"""Follow three clips through the whole system: a normal one, an anomaly that is found, and one that is missed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from asdlib.autoencoder import inspection
from asdlib.autoencoder.inspection import Inspection
from asdlib.classifier import STAGES, clip_outputs
from asdlib.data.inspection import Example
from asdlib.data.machine_clips import open_machine
from asdlib.ensemble.blocks import MIX
from asdlib.features import LogMel, interior, log_mels
from asdlib.metrics import labelled

JUDGES = {"autoencoder": "AE ensemble", "classifier": "BC ensemble", "mix": MIX}
"""what judges a clip, and the row of Table 1 that shows it"""
SPECTRUM, MOMENT = "mean spectrum", "oddest moment"
"""what of a clip's plain log-mel is compared with normal clips, to tell a fault that is hidden from one that is lost"""
LEAST = 1e-3
"""dB; a deviation below it is that of a band without sound"""
HEARD = 0.9
"""share of normal clips that must lie below a clip for its fault to count as heard"""


@dataclass(frozen=True)
class Followed:
    """One clip with the output of each part of the system."""

    title: str
    """normal, found or missed, and the clip's name"""
    inspected: Inspection
    """of the first autoencoder candidate"""
    map: pd.DataFrame
    """embeddings of its section's clips by the first classifier candidate: ``label, split, domain, here, x, y``"""
    lower: dict[str, float]
    """by branch, and by what of its log-mel: share of the normal test clips of its section and domain below it"""

    @property
    def example(self) -> Example:
        """The clip as :func:`asdlib.plots.sound.players` takes it."""
        return self.inspected.example(self.title)


def follow(settings, machine: str, table: pd.DataFrame) -> list[Followed]:
    """Choose the clips by the rank of their score, and follow them through the first candidates of both branches.

    Args:
        settings: Settings of the run.
        machine: Machine type.
        table: Score table of the ensembles (:func:`asdlib.ensemble.run`).
    """
    wide, chosen = choose(table)
    normal, first = wide[wide["label"] == "normal"], wide["section"].iat[0]
    candidates = [next(iter(of)) for of in (settings.autoencoder_candidates, settings.classifier_candidates)]
    points, vectors = clip_outputs.read(settings, machine, candidates[1])
    here = (points["model"] == first) & (points["stage"] == STAGES[0]) & (points["kind"] == "section")
    points, vectors = points[here.to_numpy()], vectors[here.to_numpy()]
    points = points.assign(**dict(zip("xy", PCA(2).fit_transform(vectors).T, strict=True)))
    plain = deviations(settings, machine, first, wide["domain"].iat[0])
    usual = plain.loc[normal["clip"]]
    result = []
    for word, clip in chosen.items():
        lower = {name: float(np.mean(normal[row] < clip[row])) for name, row in JUDGES.items() if row in wide}
        lower |= (usual < plain.loc[clip["clip"]]).mean().to_dict()
        marked = points.assign(here=(points["clip"] == clip["clip"]) & (points["split"] == "test"))
        inspected = inspection.inspect(settings, machine, candidates[0], clip)
        title = f"{'anomaly, ' * (word != 'normal')}{word}: {clip['clip']}"
        result.append(Followed(title, inspected, marked[["label", "split", "domain", "here", "x", "y"]], lower))
    return result


def choose(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
    """Choose three clips of the first section's source domain by their scores of *mix*, fixed by the settings.

    They are the normal test clip with the median score, the anomaly with the highest one (found), and the anomaly with
    the lowest one (missed). Another section, domain or selection would have others.

    Args:
        table: Score table of the ensembles (:func:`asdlib.ensemble.run`).

    Returns:
        All labelled test clips of that section and domain, with a column for each row of :data:`JUDGES`, and the
        chosen ones by ``normal``, ``found`` and ``missed``.
    """
    first = table["section"].min()
    test = labelled(table[table["section"] == first])
    test = test[test["domain"] == test["domain"].min()]
    wide = test[test["system"].isin([f"ensemble/fixed/{row}" for row in JUDGES.values()])]
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
    return wide, chosen


def deviations(settings, machine: str, section: str, domain: str) -> pd.DataFrame:
    """Measure how far the plain log-mel of each test clip lies from that of the training clips, without any network.

    Returns:
        One row per clip name of the section and domain. ``mean spectrum``: mean over time, less its mean over training
        clips, over their standard deviation; root mean square over bands. ``oddest moment``: the same of single frames
        with the standard deviation over all training frames, the largest of the clip.
    """
    opened = open_machine(settings, machine)
    log_mel = LogMel(settings.mahalanobis.features, settings.data.sample_rate)
    here = opened.table[opened.table["section"] == section]
    here = here[(here["split"] == "train") | (here["domain"] == domain)]
    spectra = [
        interior(spectrum, log_mel).numpy() for spectrum in log_mels(opened.waveforms, opened.rows[here.index], log_mel)
    ]
    train = [spectrum for spectrum, split in zip(spectra, here["split"], strict=True) if split == "train"]
    means, frames = np.stack([spectrum.mean(0) for spectrum in train]), np.concatenate(train)
    rows = {
        clip: {
            SPECTRUM: _size((spectrum.mean(0) - means.mean(0)) / np.maximum(means.std(0), LEAST)),
            MOMENT: _size((spectrum - frames.mean(0)) / np.maximum(frames.std(0), LEAST)).max(),
        }
        for clip, split, spectrum in zip(here["clip"], here["split"], spectra, strict=True)
        if split == "test"
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _size(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(values**2, axis=-1))


def verdicts(followed: list[Followed]) -> pd.DataFrame:
    """Tabulate the share of normal test clips below each clip, by branch and in the plain log-mel, and say why."""
    rows = [
        {"clip": item.title.partition(": ")[0]}
        | item.lower
        | {"why": why(item.lower, item.title.startswith("anomaly"))}
        for item in followed
    ]
    return pd.DataFrame(rows).set_index("clip").rename_axis(None)


def why(lower: dict[str, float], anomaly: bool) -> str:
    """Say which branches hear a clip, and where its fault is lost if none does.

    >>> why({"autoencoder": 0.4, "classifier": 0.95, "mean spectrum": 0.2, "oddest moment": 0.3}, True)
    'only the classifier hears it'
    >>> why({"autoencoder": 0.4, "classifier": 0.5, "mean spectrum": 0.2, "oddest moment": 0.95}, True)
    'its oddest moment stands out, but neither branch hears it'
    >>> why({"autoencoder": 0.4, "classifier": 0.5, "mean spectrum": 0.2, "oddest moment": 0.3}, True)
    'neither mean spectrum nor oddest moment stands out, and neither branch hears it'
    >>> why({"autoencoder": 0.4, "classifier": 0.95, "mean spectrum": 0.2, "oddest moment": 0.3}, False)
    'no fault; the classifier objects'
    """
    hears = [name for name in JUDGES if name != "mix" and lower.get(name, 0.0) >= HEARD]
    odd = [name for name in (SPECTRUM, MOMENT) if lower.get(name, 0.0) >= HEARD]
    if not anomaly:
        return (
            f"no fault; the {' and the '.join(hears)} {'object' if hears[1:] else 'objects'}" if hears else "no fault"
        )
    if hears:
        return "both branches hear it" if hears[1:] else f"only the {hears[0]} hears it"
    if odd:
        return f"its {' and its '.join(odd)} {'stand' if odd[1:] else 'stands'} out, but neither branch hears it"
    return f"neither {SPECTRUM} nor {MOMENT} stands out, and neither branch hears it"
