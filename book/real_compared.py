"""Compare every system of the stored run with *Mahalanobis (shift)*, and networks before and after fine-tuning."""

import itertools

import pandas as pd
import tables
from tables import percent, table

from asdlib.evaluation.bootstrap import Resampled, interval, side

REFERENCE = "Mahalanobis (shift)"
"""the row without a network that each system is compared with"""
DOMAINS = ("source", "target", "all")
SYSTEMS_FILE = "systems.csv"
"""what :func:`compare` finds; drawing a thousand resamples takes too long for each building of the book"""
COMPARED = ["value", "low", "high", "difference", "difference_low", "difference_high"]
BEST = 10
"""systems of each branch that are shown unfolded"""
WIDTHS = "4 5 2 2 5 6"
"""relative widths of the columns of :func:`systems`"""
FINETUNED = {"mahalanobis": "source_mahalanobis", "w50_mean": "source_model"}
"""score of the fine-tuned model, and the same score of the model before it"""


def compare(scores: pd.DataFrame, settings: dict) -> pd.DataFrame:
    """Every candidate's variants next to the reference, and fine-tuned models next to their source models, resampled.

    Args:
        scores: As :func:`read` gives them.
        settings: Of the run.

    Returns:
        One row per system and domain: ``system, than, domain, value, low, high`` (of the system, interval over clips),
        ``difference, difference_low, difference_high`` (paired; NaN for the reference itself).
    """
    evaluation_ = settings["evaluation"]
    singles = scores[scores["row"].str.contains("/") | (scores["row"] == REFERENCE)]
    samples = Resampled(singles, evaluation_["p"], evaluation_["bootstrap"], settings["seed"])
    names = {row for row, _ in samples.keys}
    pairs = [(name, REFERENCE) for name in sorted(names)]
    for tuned, source in FINETUNED.items():
        both = ((f"{stem}/{tuned}", f"{stem}/{source}") for stem in sorted({name.rpartition("/")[0] for name in names}))
        pairs += [pair for pair in both if names.issuperset(pair) and pair[0].startswith("classifier/")]
    rows = []
    for (name, than), domain in itertools.product(pairs, DOMAINS):
        own = interval(samples.values((name, ""), domain=domain), evaluation_["confidence"], (0, 1))
        less = (float("nan"),) * 3
        if name != than:
            less = interval(samples.difference((name, ""), (than, ""), domain=domain), evaluation_["confidence"])
        rows.append((name, than, domain, *own, *less))
    return pd.DataFrame(rows, columns=["system", "than", "domain", *COMPARED])


def systems(compared: pd.DataFrame, branch: str) -> str:
    """The best candidates and variants of a branch and, folded, all, with their paired difference to the reference."""
    compared = compared[compared["than"] == REFERENCE].set_index(["system", "domain"])
    rows = [name for name in compared.index.unique("system") if name.startswith(branch)]
    shown = []
    for name in [*sorted(rows, key=lambda name: -compared.loc[(name, "all"), "value"]), REFERENCE]:
        by = {domain: compared.loc[name, domain] for domain in DOMAINS}
        words = name.split("/")[1:] if name != REFERENCE else [f"*{REFERENCE}*", tables.BLANK]
        texts = [percent(by["source"]["value"]), percent(by["target"]["value"]), percent(*by["all"][COMPARED[:3]])]
        shown.append([*words, *texts, tables.effect(*by["all"][COMPARED[3:]]) if name != REFERENCE else tables.BLANK])
    columns = ["Candidate", "Variant", "Source", "Target", "All (interval)", f"Minus *{REFERENCE}*"]
    frame = pd.DataFrame(shown, columns=columns)
    about = (
        "on the stand-in, best first: harmonic mean of AUC and pAUC, per cent; the paired difference to "
        f"*{REFERENCE}* in percentage points. All are computed from the stored scores, which have five digits, so "
        "*Mahalanobis (shift)* may differ from its row of Table 1 by a digit."
    )
    best = table(
        pd.concat([frame.head(BEST), frame.tail(1)]),
        f"The {BEST} best {branch} candidates and variants {about}",
        f"real-{branch}-best",
        "llrrrr",
        WIDTHS,
    )
    whole = table(frame, f"Every {branch} candidate and variant {about}", f"real-{branch}-systems", "llrrrr", WIDTHS)
    return f"{best}\n::::{{dropdown}} All {len(rows)} candidates and variants\n{whole}::::\n"


def finetuning(compared: pd.DataFrame) -> str:
    """Fine-tuned less not fine-tuned in the target domain, paired, of each candidate and score."""
    target = compared[compared["domain"] == "target"]
    alone = target[target["than"] == REFERENCE].set_index("system")["value"]
    pairs = target[target["than"].str.rpartition("/")[2].isin(FINETUNED.values())]
    shown = [
        (*row.system.split("/")[1:], percent(row.value), percent(alone[row.than]), _effect(row))
        for row in pairs.sort_values("system").itertuples()
    ]
    columns = ["Candidate", "Score", "Fine-tuned", "Source model", "Difference (interval)"]
    caption = "The target domain before and after fine-tuning on the stand-in, per cent; differences paired, in points."
    return table(pd.DataFrame(shown, columns=columns), caption, "real-finetuning", "llrrr")


def helped(compared: pd.DataFrame) -> dict[str, str]:
    """Return by score which candidates that have every score gain or lose by fine-tuning, with their whole interval."""
    target = compared[compared["domain"] == "target"]
    pairs = target[target["than"].str.rpartition("/")[2].isin(FINETUNED.values())]
    stems = pairs["system"].str.rpartition("/")[0]
    complete = pairs[stems.map(stems.value_counts()) == len(FINETUNED)]
    texts = {}
    for score, before in FINETUNED.items():
        pairs = complete[complete["than"].str.rpartition("/")[2] == before]
        where = side(pairs["difference_low"], pairs["difference_high"])
        for word, shown in (("helps", where > 0), ("harms", where < 0)):
            names = [f"`{name.split('/')[1]}`" for name in pairs.loc[shown, "system"]]
            listed = f" ({', '.join(names)})" * bool(names)
            texts[f"finetuning_{word}_{score}"] = f"{len(names)} of {len(pairs)}{listed}"
    return texts


def _effect(row) -> str:
    return tables.effect(row.difference, row.difference_low, row.difference_high)
