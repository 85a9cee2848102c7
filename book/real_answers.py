"""What the figures on the real toy cars show, in numbers: answers to the questions that their pages ask."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from real_compared import REFERENCE
from stored_results import read

from asdlib import origin
from asdlib.atomic import read_json

LEVEL = 0.5
"""largest difference of medians, in middle halves of the source's clips, of domains at one height"""
CLEARLY = 1.5
"""ratio of two standard deviations from which one is called larger"""
WEAK = 0.25
"""size of a cosine below which the way is called weak"""
SCORES = {"l1": "plain", "median": "median", "clip_signed": "signed"}
"""scores of the autoencoder that are compared: variant, and its name in the texts"""


def values(folder: Path) -> dict[str, str]:
    """Texts for the prose of the three pages of the stored run in ``folder``."""
    record = read_json(folder / "record.json")
    first = {
        f"{branch}_first": next(iter(record["settings"][f"{branch}_candidates"]))
        for branch in ("autoencoder", "classifier")
    }
    systems = {words: f"autoencoder/{first['autoencoder_first']}/{variant}" for variant, words in SCORES.items()}
    scores = read(folder / "scores.csv")
    texts = {name: f"`{candidate}`" for name, candidate in first.items()}
    texts |= {f"height_{words}": _ends(heights(scores, system), ".1f") for words, system in systems.items()}
    most = max(heights(scores, system).abs().max() for system in systems.values())
    texts["height_verdict"] = "do" if most < LEVEL else "do not"
    candidates = record["settings"]["autoencoder_candidates"]
    paper = [name for name, changes in candidates.items() if changes.get("origin") != origin.EXTENSION]
    compared = read(folder / "systems.csv")
    moved = deviations(compared, paper)
    texts |= {f"deviation_of_{name}": f"{100 * value:.2f}" for name, value in moved.items()}
    papers = deviations(compared, paper, [name for name in SCORES if name != "clip_signed"])
    texts |= {f"deviation_of_{name}_without": f"{100 * value:.2f}" for name, value in papers.items()}
    texts["deviation_verdict"] = weighed(**moved)
    angles = cosines(read(folder / "maps.csv"))
    for domain, part in angles[angles["stage"] == angles["stage"].iloc[-1]].groupby("domain"):
        texts[f"cosine_{domain}"] = _ends(part["cosine"], ".2f")
        texts[f"way_{domain}"] = way(part["cosine"])
    alike = correlations(read(folder / "agreement.csv"))
    texts |= {f"alike_{label}_{kind}": f"{value:.2f}" for (label, kind), value in alike.items()}
    lower = [alike[label, "between"] < alike[label, "within"] for label in ("normal", "anomaly")]
    texts["alike_verdict"] = "They are" if all(lower) else "They are not" if not any(lower) else "They are in part"
    return texts


def heights(scores: pd.DataFrame, system: str) -> pd.Series:
    """The median of the target's normal test clips minus that of the source's, in middle halves of the source's.

    Args:
        scores: Stored scores, with a column per system.
        system: A column.

    Returns:
        One value per section.
    """
    normal = scores[(scores["split"] == "test") & (scores["label"] == "normal")].dropna(subset=[system])
    by = normal.groupby(["section", "domain"])[system].quantile([0.25, 0.5, 0.75]).unstack()
    source, target = by.xs("source", level="domain"), by.xs("target", level="domain")
    return (target[0.5] - source[0.5]) / (source[0.75] - source[0.25])


def deviations(
    compared: pd.DataFrame, candidates: list[str], variants: Sequence[str] = tuple(SCORES)
) -> dict[str, float]:
    """How much the figure over both domains varies over scores, and over candidates.

    Args:
        compared: ``systems.csv``.
        candidates: Which to compare; those whose Gaussians are fitted on other clips differ in more than the training.
        variants: The scores.

    Returns:
        Standard deviations, ``variants``: over the scores of one candidate, averaged over candidates; ``candidates``:
        over the candidates with one score, averaged over scores.
    """
    compared = compared[(compared["than"] == REFERENCE) & (compared["domain"] == "all")]
    parts = compared["system"].str.extract(r"^autoencoder/(?P<candidate>[^/]+)/(?P<variant>[^/]+)$")
    grid = parts.assign(value=compared["value"]).dropna()
    grid = grid[grid["candidate"].isin(candidates)]
    grid = grid.pivot(index="candidate", columns="variant", values="value")[list(variants)].dropna()
    return {"variants": grid.std(axis=1).mean(), "candidates": grid.std().mean()}


def weighed(variants: float, candidates: float) -> str:
    """Which of the two deviations of :func:`deviations` is clearly larger, in words.

    >>> weighed(4.35, 3.96), weighed(2.0, 1.0)
    ('both matter about alike', 'the scorer matters more')
    """
    if max(variants, candidates) < CLEARLY * min(variants, candidates):
        return "both matter about alike"
    return "the scorer matters more" if variants > candidates else "the training matters more"


def cosines(points: pd.DataFrame) -> pd.DataFrame:
    """Whether anomalies leave the normal test clips towards the outliers: columns ``model, stage, domain, cosine``.

    The cosine is that of the angle, on the map, between the ways from the mean of the normal test clips to the mean of
    the anomalies and to the mean of the outliers.

    Args:
        points: ``maps.csv``.
    """
    rows, place = [], ["x", "y"]
    for model, stage in itertools.product(points["model"].unique(), points["stage"].unique()):
        here = points[(points["model"] == model) & (points["stage"] == stage)]
        outliers = here.loc[here["kind"] == "outlier", place].mean().to_numpy()
        tests = here[(here["kind"] == "section") & (here["split"] == "test")]
        for domain, part in tests.groupby("domain"):
            normal, anomaly = (part.loc[part["label"] == label, place].mean() for label in ("normal", "anomaly"))
            one, other = anomaly.to_numpy() - normal.to_numpy(), outliers - normal.to_numpy()
            rows.append((model, stage, domain, one @ other / np.linalg.norm(one) / np.linalg.norm(other)))
    return pd.DataFrame(rows, columns=["model", "stage", "domain", "cosine"])


def way(found: pd.Series) -> str:
    """Whether anomalies leave towards the outliers or away from them, by the signs of a cosine per section.

    >>> way(pd.Series([0.9, 0.4])), way(pd.Series([-1.0, -0.21]))
    ('towards the outliers', 'away from the outliers (weakly in 1 of 2 sections)')
    >>> way(pd.Series([0.9, -0.4])), way(pd.Series([0.9, 0.0]))
    ('towards the outliers in 1 of 2 sections and away from them in 1', 'towards the outliers in 1 of 2 sections')
    """
    towards, away, all_of = int((found > 0).sum()), int((found < 0).sum()), len(found)
    sections = f"{all_of} section{'s' * (all_of != 1)}"
    if all_of in (towards, away):
        weak = int((found.abs() < WEAK).sum())
        words = "towards the outliers" if towards else "away from the outliers"
        return words + (f" (weakly in {weak} of {sections})" if weak else "")
    parts = [f"towards the outliers in {towards} of {sections}"] if towards else []
    if away:
        parts.append(f"away from them in {away}" if towards else f"away from the outliers in {away} of {sections}")
    return " and ".join(parts) or "neither towards the outliers nor away from them"


def correlations(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Mean rank correlation of candidates of one branch and of both, by label and ``within`` or ``between``."""
    same = table["first"].str.partition("/")[0] == table["second"].str.partition("/")[0]
    kind = same.map({True: "within", False: "between"})
    return table.groupby(["label", kind])["correlation"].mean().to_dict()


def _ends(found: pd.Series, form: str) -> str:
    """The smallest and the largest value, with signs."""
    low, high = (format(value, f"+{form}").replace("-", "−") for value in (found.min(), found.max()))
    return low if low == high else f"{low} to {high}"
