"""List the candidates of each branch, and tabulate what each variant of a score computes, from the settings."""

import re

import pandas as pd
from ablation_words import SCORES
from tables import table

from asdlib import origin
from asdlib.evaluation.ablations import change

FRAMES = {
    "mean": "the mean of {}",
    "median": "the median of {}",
    "max": "the maximum of {}",
    "percentile": "percentile {percentile:g} of {}",
    "top_k": "the mean of the highest {top:g} % of {}",
    "upper_mean": "the mean of {} above their median",
}
"""pooling, and what it makes of the frames or windows of a clip"""


def pages(settings) -> dict[str, str]:
    """The table of each branch by file name.

    Args:
        settings: Of the run.
    """
    return {
        "generated/variants_autoencoder.md": autoencoder(settings),
        "generated/variants_classifier.md": classifier(settings),
        "generated/candidates_autoencoder.md": candidates(settings, "autoencoder"),
        "generated/candidates_classifier.md": candidates(settings, "classifier"),
    }


def candidates(settings, branch: str) -> str:
    """List the candidates of a branch, with the settings that each changes, folded."""
    lines = []
    for name in getattr(settings, f"{branch}_candidates"):
        changed = [part for part in change(settings, branch, name).split("; ") if "variants" not in part]
        words = re.sub(r"(\S+): ", r"`\1`: ", "; ".join(filter(None, changed))) or "what the others are compared with"
        own = settings.candidate(branch, name).origin == origin.EXTENSION
        lines.append(f"* `{name}`{', ours' * own}: {words}")
    return f"::::{{dropdown}} The candidates of this run, and what each changes\n{chr(10).join(lines)}\n::::\n"


def autoencoder(settings) -> str:
    """One row per pooling over time, with the names for each pooling over the copies, then the extensions."""
    scorer = _scorer(settings, "autoencoder")
    numbers = {"percentile": scorer.percentile, "top": 100 * scorer.top_share}
    groups: dict[str, list[str]] = {}
    for name in _paper("autoencoder", scorer.variants):
        groups.setdefault(name.partition("_of_")[0], []).append(name)
    rows = [(_names(names), FRAMES[how].format("the frame scores", **numbers)) for how, names in groups.items()]
    rows += _extensions("autoencoder", scorer.variants)
    caption = (
        "The variants of the autoencoder's score. `x_of_y` pools the errors of the copies by `y` before the Gaussian "
        "scores the frames, and the frame scores by `x`; without `of` the errors of the copies are averaged. "
        f"{_first('autoencoder', scorer.variants)}"
    )
    return table(pd.DataFrame(rows, columns=["Names", "Score of the clip"]), caption, "variants-ae", widths="5 4")


def classifier(settings) -> str:
    """One row per pooling over windows, with the names for each weight of the posterior, then the extensions."""
    variants = _scorer(settings, "classifier").variants
    groups: dict[str, list[str]] = {}
    for name in _paper("classifier", variants):
        groups.setdefault(name.partition("_")[2], []).append(name)
    rows = [
        (_names(names), f"posterior and distance, each by {FRAMES[how].format('its windows')}")
        for how, names in groups.items()
    ]
    rows += _extensions("classifier", variants)
    caption = (
        "The variants of the classifier's score. The number after `w` is the weight of the posterior in per cent; "
        "*not fine-tuned* means that the source model scores the target clips, too. "
        f"{_first('classifier', variants)}"
    )
    return table(pd.DataFrame(rows, columns=["Names", "Score of the clip"]), caption, "variants-bc", widths="5 4")


def _scorer(settings, branch: str):
    return settings.candidate(branch, next(iter(getattr(settings, f"{branch}_candidates")))).scorer


def _paper(branch: str, variants: list[str]) -> list[str]:
    return [name for name in variants if origin.of_variant(branch, name) == origin.PAPER]


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _extensions(branch: str, variants: list[str]) -> list[tuple[str, str]]:
    own = [name for name in variants if origin.of_variant(branch, name) == origin.EXTENSION]
    return [(f"`{name}`, ours", SCORES[name]) for name in own]


def _first(branch: str, variants: list[str]) -> str:
    return f"The selection *fixed* uses `{origin.first(branch, variants, origin.PAPER)}`; *ours* marks extensions."
