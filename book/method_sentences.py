"""Judge by the stored ablations what Sec. 2 of the paper says of single parts of its method."""

from dataclasses import dataclass

import pandas as pd
from ablation_largest import over_seeds
from longer_trainings import difference_of
from paired import verdict, widened
from scipy import stats
from tables import data, effect, percent, table

from asdlib.evaluation.bootstrap import side

VERDICTS = ("holds", "contradicted", "undecided")
EFFECT = ["difference", "low", "high", "difference_deviation"]


@dataclass(frozen=True)
class Sentence:
    """A sentence and the difference that tests it: with the part that it praises, minus without."""

    words: str
    """the paper's"""
    section: str
    test: str
    """what is compared, in our words"""
    branch: str
    candidate: str
    variant: str
    without: bool
    """whether the candidate is what lacks the part, so that the stored difference has the other sign"""
    domain: str = "all"
    longer: str = ""
    """name of the part in the table of longer trainings"""
    too_few: str = ""
    """why these runs cannot judge it, whatever the difference"""


SENTENCES = (
    Sentence(
        "To boost the auto-encoder approach's performance, we introduce SpecAugment",
        "2.1",
        "masks in training and at inference, minus none",
        *("autoencoder", "no_specaugment", "median", True),
    ),
    Sentence(
        "This method enables us to obtain the gain like the model ensemble even with the single model",
        "2.1",
        "masked copies at inference, minus the plain input",
        *("autoencoder", "no_masking", "median", True),
    ),
    Sentence(
        "This approach is simple but effective",
        "2.1",
        "a Gaussian per section and domain, minus one for all of the machine type (the next row: for domains alone)",
        *("autoencoder", "per_machine", "median", True),
    ),
    Sentence(
        "to address the domain shift problem, we build them for each section and each domain",
        "2.1",
        "a Gaussian per section and domain, minus one per section, in the target domain",
        *("autoencoder", "per_section", "median", True, "target"),
    ),
    Sentence(
        "The use of Mixup […] resulting in a more accurate classification model",
        "2.2",
        "Mixup of pseudo-target clips, minus none",
        *("classifier", "no_mixup", "w50_mean", True),
    ),
    Sentence(
        "We fine-tune the model […] to adapt it to the target domain",
        "1",
        "fine-tuned, minus the source model, in the target domain",
        *("classifier", "base", "source_model", True, "target", "finetuning"),
    ),
    Sentence(
        "the combination of ArcFace with DDCSAD brings further improvements",
        "2.2",
        "with ArcFace, minus without",
        *("classifier", "arcface", "w50_mean", False, "all", "arcface"),
    ),
    Sentence(
        "select samples within the same dataset […] resulting in more stable performance among the sections",
        "2.2",
        "outliers of its own machine type, minus all outliers",
        *("classifier", "negatives_machine", "w50_mean", False),
        too_few="*undecided*, whatever the figures: they are of the level, not of how stable it is",
    ),
)


def sentences(frame: pd.DataFrame, confidence: float) -> str:
    """A table of the sentences, each with its test, its effect and a verdict.

    Args:
        frame: The table of ablations (:mod:`asdlib.evaluation.ablations`).
        confidence: Of its intervals.
    """
    rows = []
    for item in SENTENCES:
        row = compared(item, frame)
        difference, low, high, spread = row.iloc[0][EFFECT]
        judged = judge(difference, low, high, spread)
        if judged != VERDICTS[2]:
            corrected = side(*widened(low, high, confidence, len(SENTENCES)))
            alone = over_seeds(row, confidence).item()
            judged += f", {'also' if corrected else 'not if'} corrected; {'' if alone else 'not '}by the seeds alone"
        judged = item.too_few or f"*{judged}*"
        figures = effect(difference, low, high), percent(spread), judged
        rows.append((f"“{item.words}”", item.section, item.test, *figures, difference_of(item.longer)))
    columns = ["Sentence", "Sec.", "Test, all domains if none is named", "Difference", "Over seeds", "Verdict"]
    columns.append("In longer trainings")
    caption = (
        "Sentences of the paper on parts of its method, by its own scores: difference in percentage points with its "
        f"interval over clips, and its deviation over {frame['seeds'].max()} seeds. A sentence *holds* if the interval "
        "lies above zero, and is *contradicted* if it lies below; the difference must also be larger than its "
        f"deviation over seeds. *Corrected*: the intervals of the {len(SENTENCES)} tests share the error. "
        "*By the seeds alone*: by Student's t over them. *In longer trainings*: the same difference in runs of `quick` "
        "({numref}`longer-table`)." + data("downloads/ablations_ablations.csv")
    )
    layout = {"align": "lllrrlr", "widths": "6 1 5 4 2 3 4"}
    return table(pd.DataFrame(rows, columns=columns), caption, "method-sentences", **layout)


def compared(item: Sentence, frame: pd.DataFrame) -> pd.DataFrame:
    """The one row of the table of ablations that tests a sentence, as with its part minus without."""
    row = frame[
        (frame["branch"] == item.branch)
        & (frame["candidate"] == item.candidate)
        & (frame["variant"] == item.variant)
        & (frame["domain"] == item.domain)
    ]
    if not item.without:
        return row
    return row.assign(difference=-row["difference"], low=-row["high"], high=-row["low"])


def holding(frame: pd.DataFrame) -> str:
    """How many of the sentences hold, as words."""
    verdicts = [judge(*compared(item, frame).iloc[0][EFFECT]) for item in SENTENCES if not item.too_few]
    return f"{verdicts.count(VERDICTS[0])} of {len(SENTENCES)}"


def count_shown(frame: pd.DataFrame, confidence: float) -> dict[str, int]:
    """How many of the sentences that hold do so with intervals that share the error, and by the seeds alone."""
    held = [compared(item, frame) for item in SENTENCES if not item.too_few]
    held = [row for row in held if judge(*row.iloc[0][EFFECT]) == VERDICTS[0]]
    corrected = [side(*widened(*row.iloc[0][["low", "high"]], confidence, len(SENTENCES))) for row in held]
    return {
        "corrected": sum(map(bool, corrected)),
        "by_seeds": sum(bool(over_seeds(row, confidence).item()) for row in held),
    }


def judge(difference: float, low: float, high: float, deviation: float) -> str:
    """The verdict on a difference; one seed decides nothing.

    >>> judge(0.05, 0.02, 0.08, 0.01), judge(0.05, 0.02, 0.08, 0.06), judge(-0.05, -0.08, -0.02, 0.01)
    ('holds', 'undecided', 'contradicted')
    """
    return verdict(low, high, VERDICTS) if abs(difference) > deviation else VERDICTS[2]


def chance_to_pass(seeds: int) -> str:
    """How often a mean over seeds exceeds its deviation if there is no effect but that of the training.

    >>> chance_to_pass(2), chance_to_pass(3)
    ('39 %', '23 %')
    """
    return f"{200 * stats.t.sf(seeds**0.5, seeds - 1):.0f} %"
