"""Show the stored runs of the profile ``ablations``: what is shown to matter, what masking does, a table per branch."""

import json
import re
from pathlib import Path

import pandas as pd
from tables import BLANK, effect, percent, signed, table

COMPARISON = ["candidate", "variant", "than", "change"]
"""columns that name one comparison"""
SPACE = "\N{NO-BREAK SPACE}"


def pages(folder: Path) -> dict[str, str]:
    """The generated parts of the page by file name.

    Args:
        folder: Holds ``ablations.csv`` (:mod:`asdlib.evaluation.ablations`) and its record.
    """
    frame = pd.read_csv(folder / "ablations.csv", keep_default_na=False)
    settings = json.loads((folder / "record.json").read_text(encoding="utf-8"))["settings"]
    return {
        "generated/ablations.md": "\n\n".join(
            f"## The {branch}\n\n{branch_table(part)}" for branch, part in frame.groupby("branch", sort=False)
        ),
        "generated/ablations_base.md": reference(settings),
        "generated/ablations_masking.md": masking(frame),
        "generated/ablations_verdict.md": verdict(frame, settings["evaluation"]["confidence"]),
    }


def branch_table(part: pd.DataFrame) -> str:
    """Every comparison of one branch, the score that it is compared with first.

    Args:
        part: The rows of one branch.
    """
    base, branch = part["candidate"].iat[0], part["branch"].iat[0]
    rows = [
        (f"`{base}`, {variant}", "what the others are compared with", percent(value), *[BLANK] * 3)
        for variant, value in _references(part).items()
    ]
    for key, group in part.groupby(COMPARISON, sort=False):
        candidate, variant, than, change = key
        by = group.set_index("domain")
        value = (
            f"{percent(by.at['all', 'value'])}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{percent(by.at['all', 'deviation'])}"
        )
        words = re.sub(r"([\w.]+):", r"`\1`", change) or f"another score than {than.rpartition('/')[2]}"
        differences = [signed(by.at[name, "difference"]) for name in ("source", "target")]
        total = effect(*by.loc["all", ["difference", "low", "high"]]).replace(
            " to ", "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}"
        )
        rows.append((f"`{candidate}`, {variant}", words, value, *differences, total))
    columns = ["Candidate and score", "Change", "All", "Source, difference", "Target, difference", "All, difference"]
    caption = (
        f"The {branch} with something changed, {part['seeds'].max()} seeds: harmonic mean of AUC and pAUC over all "
        "domains, mean ± deviation over seeds, per cent; then mean differences in percentage points, with paired "
        f"intervals over clips: from `{base}` by the same score, and in the rows of `{base}` from the score that "
        "*Change* names."
    )
    return table(pd.DataFrame(rows, columns=columns), caption, f"ablations-{branch}", "llrrrr", "7 7 4 3 3 6")


def _references(part: pd.DataFrame) -> dict[str, float]:
    """The value of each score of the first candidate that others are compared with and that has no row of its own."""
    everything = part[part["domain"] == "all"]
    own = set(everything["candidate"] + "/" + everything["variant"])
    other = everything[~everything["than"].isin(own)].drop_duplicates("than")
    names = other["than"].str.rpartition("/")[2]
    return dict(zip(names, other["value"] - other["difference"], strict=True))


def reference(settings: dict) -> str:
    """What the first candidates do that the paper does not, as far as they train or fit on shifted clips."""
    autoencoder, classifier = settings["autoencoder"], settings["classifier"]
    found = []
    if autoencoder["training"]["pseudo_target"] and autoencoder["training"]["pseudo_target_by"] == "shift":
        share = autoencoder["training"]["pseudo_target"]
        found.append(f"{100 * share:.0f} % of the autoencoder's training crops are shifted clips")
    if classifier["batches"]["pseudo_target_by"] == "shift":
        found.append("the classifier is fine-tuned on shifted clips instead of mixtures with target clips")
    if not found:
        return "The candidate `base` of these runs trains on no shifted clips."
    return (
        f"The candidate `base` of these runs is not the paper's system but an extension: {'; '.join(found)} "
        "({doc}`data`). So a row says what a part is worth next to such clips."
    )


def masking(frame: pd.DataFrame) -> str:
    """Whether scoring the plain input once is better or worse than masked copies, by score."""
    plain = frame[(frame["domain"] == "all") & frame["change"].str.match(r"scorer\.masking: false")]
    lines = []
    for item in plain.itertuples():
        words = _judged(item, "masking at inference loses", "masking at inference gains", "neither is shown")
        lines.append(
            f"* *{item.variant}*: without masking {effect(item.difference, item.low, item.high)} points; {words}."
        )
    return "\n".join(lines)


def _judged(item, above: str, below: str, neither: str) -> str:
    return above if item.low > 0 else below if item.high < 0 else neither


def verdict(frame: pd.DataFrame, confidence: float) -> str:
    """Which changes are shown to lose or gain, by every score or by one only, and how many chance would decide."""
    everything = frame[(frame["domain"] == "all") & (frame["change"] != "")]
    parts = []
    for branch, part in everything.groupby("branch", sort=False):
        found: dict[str, list[str]] = {"lose": [], "gain": [], "depend": [], "undecided": []}
        for candidate, group in part.groupby("candidate", sort=False):
            signs = {_judged(item, "gain", "lose", "") for item in group.itertuples()}
            decided = signs - {""}
            kind = "undecided" if not decided else "depend" if len(signs) > 1 else decided.pop()
            judged = [
                f"{item.variant} {signed(item.difference)}"
                for item in group.itertuples()
                if _judged(item, "gain", "lose", "")
            ]
            found[kind].append(f"`{candidate}`" + (f" ({', '.join(judged)})" if judged else ""))
        words = {
            "lose": "Shown to lose by both scores, so that what `base` has in its place earns its keep",
            "gain": "Shown to gain by both scores, so that it does not",
            "depend": "Shown by one score only, or by the two in opposite directions",
        }
        lines = [f"* {text}: {', '.join(found[kind]) or 'none'}." for kind, text in words.items()]
        parts.append(
            f"**The {branch}**, differences from `base` in points:\n\n" + "\n".join(lines) + "\n"
            f"* Neither score decides {len(found['undecided'])} of {part['candidate'].nunique()} changes."
        )
    count = int((everything["low"] < everything["high"]).sum())
    return "\n\n".join(parts) + (
        f"\n\nEach interval is one of {count} at {100 * confidence:.0f} %, and nothing is corrected for their number. "
        f"If no change had any effect, about {(1 - confidence) * count:.0f} of them would be decided by chance. Trust "
        "the large effects."
    )
