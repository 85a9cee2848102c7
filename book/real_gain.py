"""What is left of the paper's gains on the real toy cars: ArcFace in one stored pair, and networks of its size."""

from pathlib import Path

import pandas as pd
from paired import verdict
from stored_results import read
from tables import effect, signed

from asdlib.ensemble.blocks import AE
from asdlib.evaluation.bootstrap import Resampled, interval
from asdlib.evaluation.paper import BASELINE_AE
from asdlib.metrics import harmonic_mean
from asdlib.paths import Run
from asdlib.scores import CLIP

WITH, WITHOUT = "augmented_arcface", "augmented"
"""candidates of the stored run that differ in the weight of ArcFace only"""
SCORE = "w50_mean"
"""the paper's combination of posterior and distance"""
SHOWN = ("a gain that is shown", "a loss that is shown", "which is not shown to be a gain")


def arcface(folder: Path, evaluation: dict, seed: int) -> dict[str, str]:
    """What ArcFace adds to DDCSAD in the stored pair, with intervals over clips, by domain, and in words.

    Args:
        folder: Of the stored run.
        evaluation: Settings of the evaluation of the run.
        seed: Of the resamples.
    """
    names = [f"classifier/{candidate}/{SCORE}" for candidate in (WITH, WITHOUT)]
    scores = read(folder / "scores.csv")[[*CLIP, *names]]
    rows = scores.melt(id_vars=CLIP, var_name="row", value_name="score").assign(system="", selection="", fold="")
    samples = Resampled(rows.dropna(subset=["score"]), evaluation["p"], evaluation["bootstrap"], seed)
    named = {}
    for domain in ("source", "target", "all"):
        lead = samples.difference(*((name, "") for name in names), domain=domain)
        figures = interval(lead, evaluation["confidence"])
        named[f"arcface_{domain}"] = effect(*figures)
        named[f"arcface_{domain}_shown"] = verdict(*figures[1:], SHOWN)
    return named


def larger_networks(folder: Path, trained: Path) -> dict[str, str]:
    """What an autoencoder of the paper's size gains over that of ``quick``, next to how far that one lies below.

    Args:
        folder: Of the stored run, for the autoencoder and the official one over its seeds.
        trained: Table of the networks of the paper's size.
    """
    found = read(trained)
    found = found[(found["branch"] == "autoencoder") & (found["profile"] != "difference")]
    fixed = found["variant"] == "without labels"
    gains = {"fixed": _gain(found[fixed]), "development": _gain(found[~fixed])}
    deficits = {selection: _total(folder, BASELINE_AE, "") - _total(folder, AE, selection) for selection in gains}
    named = {f"larger_{selection}": signed(gain) for selection, gain in gains.items()}
    named |= {f"deficit_{selection}": signed(-deficit) for selection, deficit in deficits.items()}
    named["larger_steps"] = f"{found.loc[found['profile'] == 'paper_size', 'steps'].iloc[0]:,.0f}"
    named["larger_words"] = compare(*(gains[selection] >= deficits[selection] for selection in gains))
    return named


def compare(by_fixed: bool, by_development: bool) -> str:
    """Whether a gain makes up for a deficit, in words, by both selections.

    >>> compare(True, True), compare(False, True), compare(False, False)
    ('more than the deficit', 'more than the deficit by one selection and less by the other', 'less than the deficit')
    """
    if by_fixed == by_development:
        return "more than the deficit" if by_fixed else "less than the deficit"
    return "more than the deficit by one selection and less by the other"


def _gain(found: pd.DataFrame) -> float:
    """The figure over both domains, each by its best variant, of the paper's size minus that of ``quick``."""
    best = found.groupby(["profile", "domain"])["value"].max()
    return float(harmonic_mean(best["paper_size"])) - float(harmonic_mean(best["quick"]))


def _total(folder: Path, row: str, selection: str) -> float:
    """A row of Table 1 over all, the mean over seeds if there are several."""
    several, column = Run(folder).over_seeds(folder / "table1.csv"), "mean"
    if not several.is_file():
        several, column = folder / "table1.csv", "value"
    table = read(several)
    chosen = (table["row"] == row) & (table["machine"] == "all") & (table["domain"] == "all")
    return float(table.loc[chosen & (table["selection"].fillna("") == selection), column].iloc[0])


def values(folder: Path, settings: dict, trained: Path) -> dict[str, str]:
    """Texts for the prose of the page on the stored run in ``folder``."""
    named = arcface(folder, settings["evaluation"], settings["seed"])
    return named | (larger_networks(folder, trained) if trained.is_file() else {})
