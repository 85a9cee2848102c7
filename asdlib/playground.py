"""Score one clip with the systems of a trained run, and decide whether it is anomalous (notebook 09).

This uses one candidate per branch, post-processing in the paper's order, and no labels. Both branches' scores are
normalised by those of the section's held-out training clips, which no network has learnt from; their average is the
*mix*. The threshold is a quantile of the held-out clips' scores. For the target domain, the held-out clips are scored
as if they were target clips.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import origin, paths, scores, training
from asdlib.autoencoder.inspection import Inspection
from asdlib.classifier import FILES, STAGES, embeddings, maps
from asdlib.classifier import model as models
from asdlib.classifier import scorer as classifier_scorer
from asdlib.data import wav
from asdlib.data.audio import Waveforms
from asdlib.data.machine_clips import open_machine
from asdlib.ensemble.combine import normalise, rank
from asdlib.errors import DataError
from asdlib.evaluation import decision
from asdlib.pooling import pool

SYSTEMS = ("autoencoder", "classifier", "mix")


def pick(settings, machine: str, clip: str, section: str, domain: str) -> Waveforms:
    """Open one clip, from the run or from a file.

    Args:
        settings: Settings of the run.
        machine: Machine type.
        clip: Name of a clip of the run, or path of a WAV file (relative to the working directory or the project).
        section: Section to assume for a WAV file.
        domain: Domain to assume for a WAV file, ``source`` or ``target``.

    Raises:
        DataError: There is neither a file nor a clip with this name, or the section or domain does not exist.
        asdlib.errors.DataError: The file cannot be used.
    """
    opened = open_machine(settings, machine)
    waveforms, sections = opened.waveforms, opened.planned
    clips = waveforms.clips
    found = np.flatnonzero(clips["clip"] == clip)
    if len(found):
        row = int(found[0])
        return Waveforms(clips.iloc[[row]].assign(start=0, split="test"), waveforms.read(row), "")
    path = next((path for path in (Path(clip), paths.project_root() / clip) if path.is_file()), None)
    if path is None:
        listed = paths.Run.of(settings).data(machine) / "clips.csv"
        raise DataError(f"{clip!r} is neither a file nor the name of a clip of {machine}; {listed} lists all names")
    if section not in sections or domain not in scores.DOMAINS:
        raise DataError(
            f"{machine} has no section {section!r} or no domain {domain!r}; choose one of the sections "
            f"{', '.join(sections)}, and one of the domains {', '.join(scores.DOMAINS)}"
        )
    samples = wav.read(path, settings.data)
    facts = {"machine": machine, "section": section, "domain": domain, "split": "test", "label": "unknown"}
    place = {"clip": path.name, "path": str(path), "attributes": "", "start": 0, "samples": len(samples)}
    return Waveforms(pd.DataFrame([facts | place])[clips.columns], samples, "")


def embedded(settings, candidate: str, clip: Waveforms) -> tuple[pd.DataFrame, np.ndarray]:
    """Embed the clip with the classifier of its section and domain, and append it to the embeddings of the run.

    Returns:
        Table and embeddings of the clip's section, as from :func:`asdlib.classifier.embeddings.read`, with the clip as
        the last row.
    """
    about = clip.clips.iloc[0]
    table, embedding = embeddings.read(settings, about["machine"], candidate)
    same = (table["kind"] == "section") & (table["clip"] == about["clip"])  # a clip of the run is already there
    here = ((table["model"] == about["section"]) & ~same).to_numpy()
    table, embedding = table[here].reset_index(drop=True), embedding[here]
    stage = STAGES[int(about["domain"] == "target" and STAGES[1] in set(table["stage"]))]
    branch = settings.candidate("classifier", candidate)
    trained = settings.trained_as("classifier", candidate)
    folder = paths.Run.of(settings).system("classifier", about["machine"], trained, about["section"])
    compute = training.compute(settings)
    network = models.load(folder / FILES[stage], branch, settings.data.sample_rate).to(compute.device)
    windows = embeddings.embed(models.Runner(network, compute), clip, np.array([0]), branch)
    centres = table[(table["kind"] == "centroid") & (table["stage"] == stage)]
    order = [int(centres.index[centres["label"] == name][0]) for name in ("outlier", "normal")]
    row, vector = embeddings.measures(windows, embedding[order].astype(np.float64)), embeddings.means(windows)
    row = row.assign(model=about["section"], stage=stage, kind="section", role="", **about[embeddings.CLIP])
    table = pd.concat([table, row[embeddings.COLUMNS]], ignore_index=True)
    return table, np.concatenate([embedding, vector.astype(np.float32)])


def place(settings, table: pd.DataFrame, embedding: np.ndarray) -> pd.DataFrame:
    """Map the embeddings of the model that scores the clip to the plane (:func:`asdlib.classifier.maps.maps`).

    Args:
        settings: Settings of the run.
        table: Table returned by :func:`embedded`.
        embedding: Embeddings returned by :func:`embedded`.

    Returns:
        The maps; the clip has the kind ``picked``.
    """
    shown = (table["stage"] == table["stage"].iat[-1]).to_numpy()
    part = table[shown].reset_index(drop=True)
    part.loc[len(part) - 1, "kind"] = "picked"
    return maps.maps(part, embedding[shown], settings.seed)


def judged(
    settings, candidates: tuple[str, str], clip: Waveforms, inspection: Inspection, table: pd.DataFrame, embedding
) -> pd.DataFrame:
    """Score the clip and its section's held-out training clips with both branches and with their average.

    Args:
        settings: Settings of the run.
        candidates: Names of the autoencoder candidate and the classifier candidate.
        clip: The clip, as returned by :func:`pick`.
        inspection: The clip's result from :func:`asdlib.autoencoder.inspection.inspect`.
        table: Table returned by :func:`embedded`.
        embedding: Embeddings returned by :func:`embedded`.

    Returns:
        A score table of the three :data:`SYSTEMS`, scaled so that the scores of each branch's held-out clips have mean
        0 and standard deviation 1. The rows of split ``test`` are the clip's.
    """
    about, (first, second) = clip.clips.iloc[0], candidates
    options = settings.candidate("autoencoder", first).scorer
    variant = origin.first("autoencoder", options.variants, origin.PAPER)
    system = f"autoencoder/{first}/{variant}"
    known = scores.read(paths.Run.of(settings).scores("autoencoder", about["machine"], first))
    here = (known["section"] == about["section"]) & (known["domain"] == about["domain"]) & (known["split"] == "train")
    known = known[(known["system"] == system) & here]
    value = pool(inspection.frame_scores, variant.partition("_of_")[0], options.top_share, options.percentile)
    new = scores.table(clip.clips, system, np.array([value]))
    branch = settings.candidate("classifier", second)
    other = classifier_scorer.variants(table, embedding, second, branch.scorer)
    paper = origin.first("classifier", branch.scorer.variants, origin.PAPER)
    other = other[(other["system"] == f"classifier/{second}/{paper}") & (other["domain"] == about["domain"])]
    same = (other["split"] == "test") & (other["clip"] == about["clip"])
    other = pd.concat([other[other["split"] == "train"], other[same].iloc[[-1]]])
    parts = []
    for name, frame in zip(SYSTEMS, (pd.concat([known, new]), other), strict=False):
        reference = frame.loc[frame["split"] == "train", "score"].to_numpy()
        parts.append(frame.assign(system=name, score=normalise(frame["score"].to_numpy(), reference)))
    both = parts[0].merge(parts[1][["split", "clip", "score"]], on=["split", "clip"], suffixes=("", "_other"))
    both = both.assign(system=SYSTEMS[2], score=(both["score"] + both.pop("score_other")) / 2)
    return pd.concat([*parts, both], ignore_index=True)


def verdict(table: pd.DataFrame, quantile: float = 0.9) -> pd.DataFrame:
    """Decide whether the clip is anomalous, with one row per system.

    Args:
        table: Score table returned by :func:`judged`.
        quantile: Share of normal clips that should stay below the threshold.

    Returns:
        Columns ``system, score, percentile`` (share of the held-out clips that score lower), ``threshold, verdict``.
    """
    rows = []
    for name, frame in table.groupby("system", sort=False):
        limits = decision.thresholds(frame, quantile, "empirical", "section")
        decided = decision.decide(frame, limits).iloc[0]
        training_scores = frame.loc[frame["split"] == "train", "score"].to_numpy()
        share = float(rank(np.array([decided["score"]]), training_scores)[0])
        words = "anomaly" if decided["decision"] else "normal"
        rows.append((name, decided["score"], share, decided["threshold"], words))
    return pd.DataFrame(rows, columns=["system", "score", "percentile", "threshold", "verdict"])
