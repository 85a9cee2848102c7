"""Plots of single clips that name and play them, with their sounds, and AUC and pAUC worked by hand on ten clips."""

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from sklearn.decomposition import PCA
from tables import table

from asdlib import metrics
from asdlib.classifier import STAGES, clip_outputs
from asdlib.data.audio import Waveforms, evenly_spaced
from asdlib.ensemble.combine import rank
from asdlib.errors import AsdError
from asdlib.evaluation.followed import JUDGES
from asdlib.paths import Run
from asdlib.plots.points import Panel, interactive
from asdlib.tables import read_table
from asdlib.units import FULL_SCALE

SECONDS = 5.0
"""how much of each clip the plots play"""
KEYS = ["clip", "label", "domain", "split"]
APART = (80.0, 50.0)
"""ranks above the first by one branch and below the second by the other count as found by one branch only"""
RANKS = (
    "A rank is the share of the test clips of the same section and domain that score lower, so that a few very high "
    "scores do not squeeze the others. On the diagonal both branches agree."
)


def embedded(run: Run, machine: str, candidate: str, section: str) -> list[Panel]:
    """The embeddings of a section's clips on their two axes of largest variance, a panel per stage of training."""
    points, vectors = clip_outputs.load(run.system("classifier", machine, candidate))
    panels = []
    for stage in STAGES:
        here = (points["model"] == section) & (points["stage"] == stage) & (points["kind"] == "section")
        if here.any():
            x, y = PCA(2).fit_transform(vectors[here.to_numpy()]).T
            part = points.loc[here, KEYS].assign(x=x, y=y)
            panels.append(Panel(f"Embedding, after {stage}", "PCA 1", "PCA 2", part))
    return panels


def scored(run: Run, machine: str, section: str) -> pd.DataFrame:
    """Scores of a section's labelled test clips by both ensembles and *mix*, *fixed*: a column each."""
    frame = read_table(run.scores("ensemble", machine))
    names = {f"ensemble/fixed/{row}": branch for branch, row in JUDGES.items()}
    test = frame[(frame["section"] == section) & (frame["split"] == "test") & frame["system"].isin(names)]
    test = test[test["label"].isin(["normal", "anomaly"])].assign(system=test["system"].map(names))
    return test.pivot(index=KEYS, columns="system", values="score").reset_index()


def plots(run: Run, machine: str, candidate: str, section: str) -> dict[str, str]:
    """The plots that answer, as figures to include: the maps of the embeddings, and one branch against the other."""
    maps, both = embedded(run, machine, candidate, section), scored(run, machine, section)
    for axis, branch in (("x", "autoencoder"), ("y", "classifier")):
        scores = both.groupby("domain")[branch]
        both[axis] = 100 * scores.transform(lambda part: rank(part.to_numpy()))
    counts = [_apart(both, *axes) for axes in (("y", "x"), ("x", "y"))]
    axes = [f"{branch} ensemble, rank in %" for branch in ("autoencoder", "classifier")]
    panel = Panel("Ranks of the clips by both branches", *axes, both, ends=(0, 100))
    what = f"{machine}, section {section}. Each point is a clip: point at it to read its name, click to hear it"
    stages = " and ".join(part.title.rpartition(", ")[2] for part in maps)
    figures = {
        "answering-map": (
            [*maps, panel],
            f"Clips of {what}. Embeddings of the candidate `{candidate}` {stages}, on axes that are fitted without the "
            "outliers of {numref}`embeddings-pca`, and the ranks of the test clips by both *fixed* ensembles. Do "
            f"anomalies among the normal clips in the map {stages.rpartition(' and ')[2]} have low ranks by the "
            f"classifier? {RANKS}",
        ),
        "answering-scores": (
            [panel, maps[-1]],
            f"Clips of {what}. Both *fixed* ensembles on the test clips, and the embeddings of `{candidate}`. At the "
            f"upper left, with a rank above {APART[0]:g} % by the classifier and below {APART[1]:g} % by the "
            f"autoencoder, lie {counts[0]}; at the lower right, the other way round, {counts[1]}. {RANKS}",
        ),
    }
    return {
        f"generated/{name.replace('-', '_')}.md": f":::{{html-figure}} {caption}\n:name: {name}\n\n"
        f"{interactive(panels, machine)}\n:::\n"
        for name, (panels, caption) in figures.items()
    }


def _apart(ranks: pd.DataFrame, high: str, low: str) -> str:
    """How many anomalies, and how many normal clips, one branch ranks high and the other low."""
    there = (ranks[high] > APART[0]) & (ranks[low] < APART[1])
    anomalies, normals = (ranks["label"] == label for label in ("anomaly", "normal"))
    found, false = (f"{(own & there).sum()} of {own.sum()}" for own in (anomalies, normals))
    return f"{found} anomalies and {false} normal clips"


def sounds(run: Run, machine: str, section: str, folder: Path) -> None:
    """Write the beginning of every clip of a section as MP3, by the clip's name, all amplified alike."""
    waveforms = Waveforms.open(run.data(machine))
    clips = waveforms.clips
    rate = int(pd.read_json(run.settings, typ="series")["data"]["sample_rate"])
    folder.mkdir(parents=True)
    rows = np.flatnonzero((clips["section"] == section) & (clips["label"] != "unknown"))
    waves = {row: waveforms.read(row)[: round(SECONDS * rate)] / FULL_SCALE for row in rows}
    loud = np.percentile([np.abs(wave).max() for wave in waves.values()], 90)
    for row, wave in waves.items():
        samples = np.clip(0.9 * wave / loud, -1, 1)
        soundfile.write(folder / f"{clips['clip'].iat[row]}.mp3", samples, rate, format="MP3")


def ten_clips(run: Run, machine: str, section: str) -> pd.DataFrame:
    """Ten test clips of a section by their *mix* scores, highest first, five of each label.

    They are those at equal distances in the order of their scores, so that both labels span the range.
    """
    test = scored(run, machine, section)
    test = test[test["domain"] == test["domain"].min()].sort_values("mix")
    ten = pd.concat(part.iloc[evenly_spaced(len(part), 5)] for _, part in test.groupby("label"))
    return ten.sort_values("mix", ascending=False)


def by_hand(run: Run, machine: str, section: str, p: float) -> str:
    """AUC and pAUC of ten test clips, five of each label, step by step.

    Args:
        run: The run.
        machine: Machine type.
        section: Of the clips.
        p: Largest false positive rate of pAUC.
    """
    ten = ten_clips(run, machine, section)
    normal, anomaly = (ten.loc[ten["label"] == label, "mix"].to_numpy() for label in ("normal", "anomaly"))
    below = {clip: int((normal < score).sum()) for clip, score in zip(ten["clip"], ten["mix"], strict=True)}
    shown = pd.DataFrame(
        {
            "Score": ten["mix"].map("{:.2f}".format),
            "Clip": [f"`{clip}`" for clip in ten["clip"]],
            "Label": ten["label"],
            "Normal clips below it": [
                str(below[item.clip]) if item.label == "anomaly" else "" for item in ten.itertuples()
            ],
        }
    )
    won, pairs = sum((normal < score).sum() for score in anomaly), len(normal) * len(anomaly)
    hits = float(np.mean(anomaly > normal.max()))
    area, least = hits * p, p**2 / 2
    partial = (1 + (area - least) / (p - least)) / 2
    labels, scores = (ten["label"] == "anomaly").to_numpy(), ten["mix"].to_numpy()
    exact = [round(metrics.auc(labels, scores), 6), round(metrics.pauc(labels, scores, p), 6)]
    if exact != [round(won / pairs, 6), round(partial, 6)]:
        raise AsdError(f"by hand {won / pairs}, {partial}; asdlib.metrics gives {exact}")
    if not won:
        return table(shown, f"Ten test clips of {machine}.", "ten-clips", "rllr") + "\nNo anomaly is found: AUC = 0.\n"
    steps = (
        f"* **AUC**: of the {len(anomaly)} × {len(normal)} = {pairs} pairs of an anomaly and a normal clip, the "
        f"anomaly has the higher score in {won}. So AUC = {won} / {pairs} = **{won / pairs:.3f}**.\n"
        f"* **pAUC** asks what is found while at most a share of {p:g} of the normal clips raises an alarm. With "
        f"{len(normal)} normal clips the first false alarm is already a rate of {1 / len(normal):g}, so the threshold "
        f"has to stay above every normal clip. There, a share of {hits:.1f} of the anomalies is found: the area up to "
        f"p = {p:g} is {hits:.1f} × {p:g} = {area:.3f}. By the formula below, pAUC = ½ (1 + ({area:.3f} − "
        f"{least:g}) / ({p:g} − {least:g})) = **{partial:.3f}**.\n"
        f"* **The harmonic mean** of both, from which the cells of Table 1 are computed, is "
        f"**{2 / (pairs / won + 1 / partial):.3f}**.\n"
    )
    caption = (
        f"Ten test clips of {machine}, section {section}, by the score of the whole system without labels (*mix*, "
        "*fixed*), highest first."
    )
    return table(shown, caption, "ten-clips", "rllr") + "\n" + steps
