"""Show the stored runs of the profile ``ablations``: what is shown to matter, what masking does, a table per branch."""

import re
from pathlib import Path

import paired
import pandas as pd
from ablation_largest import largest
from ablation_words import SCORES, change_in_words, row_in_words
from method_sentences import sentences
from schematics import counted
from stored_results import read
from tables import BLANK, data, effect, percent, signed, table

from asdlib import origin
from asdlib.atomic import read_json
from asdlib.evaluation.bootstrap import side
from asdlib.evaluation.values import slug
from asdlib.plots import ablations, style

COMPARISON = ["candidate", "variant", "than", "change"]
"""columns that name one comparison"""
SPACE = "\N{NO-BREAK SPACE}"


def pages(folder: Path) -> dict[str, str]:
    """The generated parts of the page by file name.

    Args:
        folder: Holds ``ablations.csv`` (:mod:`asdlib.evaluation.ablations`) and its record.
    """
    frame = read(folder / "ablations.csv")
    confidence = read_json(folder / "record.json")["settings"]["evaluation"]["confidence"]
    return {
        "generated/ablations.md": "\n\n".join(
            f"## The {branch}\n\n{branch_table(part)}" for branch, part in frame.groupby("branch", sort=False)
        ),
        "generated/ablations_largest.md": largest(frame, confidence),
        "generated/ablations_sentences.md": sentences(frame, confidence),
        "generated/ablations_masking.md": masking(frame),
        "generated/ablations_verdict.md": verdict(frame, confidence),
    }


def branch_table(part: pd.DataFrame) -> str:
    """Every comparison of one branch, the score that it is compared with first; folded, what no score shows.

    Args:
        part: The rows of one branch.
    """
    base, branch = part["candidate"].iat[0], part["branch"].iat[0]
    rows = [
        (
            f"{SCORES[variant]}: what the others are compared with",
            f"`{base}`, {variant}",
            with_deviation(*figures),
            *[BLANK] * 4,
        )
        for variant, figures in _references(part).items()
    ]
    total = part[(part["domain"] == "all") & (part["change"] != "")]
    shown = set(total.loc[side(total["low"], total["high"]) != 0, "candidate"])
    undecided = []
    for key, group in part.groupby(COMPARISON, sort=False):
        candidate, variant, than, change = key
        if than == f"{candidate}/{variant}":
            continue
        by = group.set_index("domain")
        words = change_in_words(candidate, change) if change else f"{SCORES[variant]}; not {than.rpartition('/')[2]}"
        differences = [signed(by.at[name, "difference"]) for name in ("source", "target")]
        whole = effect(*by.loc["all", ["difference", "low", "high"]]).replace(" to ", f"{SPACE}to{SPACE}")
        spread = percent(by.at["all", "difference_deviation"])
        value = with_deviation(*by.loc["all", ["value", "deviation"]])
        kept = rows if not change or candidate in shown else undecided
        kept.append((words, f"`{candidate}`, {variant}", value, *differences, whole, spread))
    columns = ["Change", "Candidate, score", "All", "Source, difference", "Target, difference", "All, difference"]
    columns.append("Over seeds")
    caption = (
        f"The {branch} with something changed, {seeds(part)}. *All*: harmonic mean of AUC and pAUC over all domains, "
        "mean ± deviation over seeds (if the stored table has one), per cent. Then mean differences in percentage "
        "points, the last with its paired interval over clips and its deviation over seeds. They are from "
        f"`{base}` by the same score, and in the rows of `{base}` from the score that *Change* names."
        + data("downloads/ablations_ablations.csv")
    )
    layout = {"align": "llrrrrr", "widths": "6 6 4 3 3 6 2"}
    tables = [
        table(pd.DataFrame(rows, columns=columns), caption, f"ablations-{branch}", **layout),
        table(pd.DataFrame(undecided, columns=columns), "As above, changes that no score shows.", **layout),
    ]
    return (
        f"{tables[0]}\n::::{{dropdown}} The changes that neither score shows to gain or lose\n{tables[1]}\n::::\n\n"
        f"::::{{dropdown}} What the scores and candidates are\n{explained(part)}\n::::\n"
    )


def seeds(frame: pd.DataFrame) -> str:
    """How many seeds the table of ablations is over, in words."""
    return counted(int(frame["seeds"].max()), "seed")


def effects(frame: pd.DataFrame) -> dict[str, str]:
    """The mean difference of each candidate from the first one by the branch's first score, with its spread."""
    frame = frame[(frame["domain"] == "all") & (frame["change"] != "")]
    first = frame.groupby("branch", sort=False)["variant"].transform("first")
    return {
        slug(item.branch, item.candidate): f"{effect(item.difference, item.low, item.high)}, ± "
        f"{percent(item.difference_deviation)} over seeds"
        for item in frame[frame["variant"] == first].itertuples()
    }


def with_deviation(value: float, deviation: float) -> str:
    """A mean over seeds in per cent, with its deviation if that is known."""
    return percent(value) + (f"{SPACE}±{SPACE}{percent(deviation)}" if not pd.isna(deviation) else "")


def explained(part: pd.DataFrame) -> str:
    """What each score of a branch computes, and which settings each candidate changes.

    Args:
        part: The rows of one branch.
    """
    variants = dict.fromkeys([*_references(part), *part["variant"]])
    branch = part["branch"].iat[0]
    rows = [
        (f"{name}{' (ours)' * (origin.of_variant(branch, name) == origin.EXTENSION)}", SCORES[name])
        for name in variants
    ]
    scores = table(pd.DataFrame(rows, columns=["Score", "Computes"]), f"The scores of the {branch}.", widths="3 6")
    changed = part[part["change"] != ""].drop_duplicates("candidate")
    settings = [
        (
            f"`{item.candidate}`",
            change_in_words(item.candidate, item.change),
            re.sub(r"([\w.]+):", r"`\1`", item.change),
        )
        for item in changed.itertuples()
    ]
    columns = ["Candidate", "In words", "Settings"]
    caption = f"The settings that the candidates of the {branch} change."
    return f"{scores}\n{table(pd.DataFrame(settings, columns=columns), caption, widths='3 5 6')}"


def _references(part: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Value and deviation of each score of the first candidate that others are compared with and that has no own row.

    The deviation is that of a candidate with the same value in every seed, or NaN if there is none.
    """
    everything = part[part["domain"] == "all"]
    itself = everything["candidate"] + "/" + everything["variant"]
    own = set(itself[itself != everything["than"]])
    found = {}
    for than, group in everything[~everything["than"].isin(own)].groupby("than", sort=False):
        same = group[group["difference_deviation"].eq(0) & group["difference"].eq(0)]
        value = (group["value"] - group["difference"]).iat[0]
        found[than.rpartition("/")[2]] = value, same["deviation"].iat[0] if len(same) else float("nan")
    return found


def masking(frame: pd.DataFrame) -> str:
    """Whether the plain input scores better than masked copies, and whether training without masks does, by score."""
    whole = frame[(frame["domain"] == "all") & (frame["branch"] == "autoencoder")]
    lines = []
    for part, what, words in (
        (whole["change"].str.match(r"scorer\.masking: false"), "masking at inference", "without it"),
        (whole["candidate"].eq("no_specaugment"), "masking as a whole", "without masks in training, too,"),
    ):
        for item in whole[part].itertuples():
            shown = paired.verdict(item.low, item.high, (f"{what} loses", f"{what} gains", "neither is shown"))
            difference = effect(item.difference, item.low, item.high)
            lines.append(f"* *{item.variant}*: {words} {difference} points; {shown}.")
    return "\n".join(lines)


def verdict(frame: pd.DataFrame, confidence: float) -> str:
    """Which changes are shown to lose or gain, by every score or by one only, and how many chance would show."""
    everything = frame[(frame["domain"] == "all") & (frame["change"] != "")]
    parts = []
    for branch, part in everything.groupby("branch", sort=False):
        found: dict[str, list[str]] = {"lose": [], "gain": [], "depend": [], "undecided": []}
        for candidate, group in part.groupby("candidate", sort=False):
            signs = [paired.verdict(item.low, item.high, ("gain", "lose", "")) for item in group.itertuples()]
            decided = set(signs) - {""}
            kind = "undecided" if not decided else "depend" if len(set(signs)) > 1 else decided.pop()
            judged = [
                f"{item.variant} {signed(item.difference)}"
                for item, sign in zip(group.itertuples(), signs, strict=True)
                if sign
            ]
            words = change_in_words(candidate, group["change"].iat[0])
            found[kind].append(f"{words} (`{candidate}`: {', '.join(judged)})")
        headings = {
            "lose": "Shown to lose by both scores, so that what `base` has in its place earns its keep",
            "gain": "Shown to gain by both scores, so that what it replaces costs something",
            "depend": "Shown by one score only, or by the two in opposite directions",
        }
        lines = [
            f"* {text}:" + ("".join(f"\n  * {item}" for item in found[kind]) or " none.")
            for kind, text in headings.items()
        ]
        parts.append(
            f"**The {branch}**, differences from `base` in points, by the intervals over clips alone, which ask less "
            "than {numref}`method-sentences`:\n\n" + "\n".join(lines) + "\n"
            f"* Shown by neither score: {len(found['undecided'])} of {part['candidate'].nunique()} changes."
        )
    count = int(((frame["domain"] == "all") & (frame["low"] < frame["high"])).sum())
    return "\n\n".join(parts) + (
        f"\n\nEach interval is one of {count} at {100 * confidence:.0f} %; in these lists and in the tables below "
        "nothing is corrected for their number. If no change had any effect, about "
        f"{(1 - confidence) * count:.0f} of them would "
        "be shown by chance."
    )


def draw(folder: Path, where: Path) -> None:
    """Draw the figures of the page as ``where/ablations_<name>.svg``."""
    frame = read(folder / "ablations.csv")
    everything = frame[(frame["domain"] == "all") & (frame["candidate"] + "/" + frame["variant"] != frame["than"])]
    everything = everything.assign(
        words=[row_in_words(item.candidate, item.variant, item.change) for item in everything.itertuples()]
    )
    style.use()
    figures = {"copies": ablations.copies(by_copies(frame, usual_copies(folder)))}
    for branch, part in everything.groupby("branch"):
        figures[branch] = ablations.ablations(part)
    for name, figure in figures.items():
        style.save_svg(figure, where / f"ablations_{name}.svg")


def usual_copies(folder: Path) -> int:
    """Return the number of masked copies of the first candidate."""
    return read_json(folder / "record.json")["settings"]["autoencoder"]["scorer"]["copies"]


def by_copies(frame: pd.DataFrame, usual: int) -> pd.DataFrame:
    """What the figure of masked copies shows: ``copies, variant, difference, low, high``; no copies means no masking.

    Args:
        frame: The table of ablations.
        usual: The copies of the first candidate, with which the others are compared, so that its difference is zero.
    """
    everything = frame[(frame["domain"] == "all") & (frame["branch"] == "autoencoder")]
    masked = everything[everything["change"].str.fullmatch(r"scorer\.(copies: \d+|masking: false).*")]
    number = masked["change"].str.extract(r"copies: (\d+)")[0].fillna("0").astype(int)
    own = pd.DataFrame({"variant": masked["variant"].unique(), "copies": usual, "difference": 0.0})
    shown = masked.assign(copies=number)[["copies", "variant", "difference", "low", "high"]]
    return pd.concat([shown, own.assign(low=0.0, high=0.0)], ignore_index=True)
