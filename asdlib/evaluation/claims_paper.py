"""Judge the paper's claims (Sec. 1, 3.2 and 4) with the results of a run, on the paper's rows only."""

from functools import partial

import numpy as np
import pandas as pd

from asdlib.ensemble.agreement import correlation_between, draw_contrast, resample_correlation
from asdlib.ensemble.blocks import AE, AE_ENSEMBLE, BC, BC_ENSEMBLE, MAX, MIX
from asdlib.evaluation import paper
from asdlib.evaluation.bootstrap import Resampled
from asdlib.evaluation.claims import (
    ARITHMETIC,
    COLUMNS,
    CONTRADICTED,
    CORRELATION,
    HOLDS,
    UNDECIDED,
    Claim,
    claim_all,
    claim_difference,
    missing,
    set_types,
    tabulate,
)
from asdlib.evaluation.paper import BASELINE_AE, BASELINE_MOBILENET

CELLS = 5
"""smallest number of machine types and domains for a correlation over them"""
SECTIONS = 3
"""smallest number of sections per machine type for a verdict on what is over sections; the paper has as many"""
FEW = f"there are fewer than {SECTIONS} sections per machine type"
"""why a run leaves an effect over sections undecided"""
OVER_SECTIONS, ON_SEVERAL = "over sections", "on at least two machine types"
"""words by which :func:`limit` recognises the tests whose verdicts depend on the size of a run"""


def judge(resampled: Resampled, agreement: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Judge the paper's claims on the paper's rows; columns as in :func:`asdlib.evaluation.claims.tabulate`.

    Args:
        resampled: Every row of Table 1 under the same resamples.
        agreement: Results of :func:`asdlib.ensemble.agreement.agreement` for all machines.
        confidence: Confidence of the intervals.
    """
    better = partial(claim_difference, resampled)
    toys = "the autoencoder-based approach outperformed the binary classification approach in the machine type {}"
    others = "the binary classification approach outperformed the autoencoder-based approach in the machine type {}"
    both = "both of our approaches significantly outperform the baselines systems [{}]"
    within = "we were able to further improve the performance by ensembling the models within the same method [{}]"
    methods = "By ensembling our completely different methods, we were able to obtain higher scores"
    baselines = "the proposed approach significantly outperformed baseline systems"
    features = "it is important to ensemble models that focus on different features"
    official = BASELINE_AE, BASELINE_MOBILENET
    claims = [
        claim_all(resampled, both.format("autoencoder"), "Sec. 1", AE, official),
        claim_all(resampled, both.format("classifier"), "Sec. 1", BC, official),
        *(better(toys.format(machine), "Sec. 3.2", AE, BC, machine) for machine in ("ToyCar", "ToyTrain")),
        *(better(others.format(machine), "Sec. 3.2", BC, AE, machine) for machine in ("gearbox", "valve")),
        _different_features(agreement, confidence),
        better(within.format("autoencoders"), "Sec. 3.2", AE_ENSEMBLE, AE),
        better(within.format("classifiers"), "Sec. 3.2", BC_ENSEMBLE, BC),
        claim_all(resampled, methods, "Sec. 3.2, 4", MIX, (AE_ENSEMBLE, BC_ENSEMBLE)),
        claim_all(resampled, baselines, "Sec. 3.2, 4", MIX, official),
        _variability(resampled, BC, AE, "a model for each machine for each section, which tends to increase the "
                     "variability of the score"),
        _variability(resampled, BC, BC_ENSEMBLE, "by ensembling the models, we were able to reduce the variability of "
                     "the score"),
        _contribution(resampled),
        better(features, "Sec. 4", MIX, MAX),
        _several_machines(resampled),
        _because_different(resampled, agreement),
    ]  # fmt: skip
    tested = tabulate(claims, resampled, confidence).astype(object)
    return limit(set_types(pd.concat([_headline(), tested], ignore_index=True)), len(resampled.machines))


def limit(table: pd.DataFrame, machines: int) -> pd.DataFrame:
    """Return a table of claims in which a run that is too small for a verdict leaves the claim undecided.

    Fewer than :data:`SECTIONS` sections per machine type say nothing about other sections, whether an effect is a
    deviation over them or has its interval over them. And a run that lacks machine types of the paper cannot contradict
    that there are several with a lead.

    Args:
        table: Claims as :func:`judge` returns them.
        machines: Number of machine types of the run.
    """
    table = table.copy()
    over_sections = too_few_sections(table, machines) & table["verdict"].isin([HOLDS, CONTRADICTED])
    several = table["test"].str.contains(ON_SEVERAL) & (table["verdict"] == CONTRADICTED)
    several &= machines < len(paper.MACHINES)
    reasons = (
        (over_sections, f"but {FEW}"),
        (several, f"but only {machines} of {len(paper.MACHINES)} machine types were run"),
    )
    for found, words in reasons:
        table.loc[found, "reason"] += f", {words}"
        table.loc[found, "verdict"] = UNDECIDED
    return table


def too_few_sections(table: pd.DataFrame, machines: int) -> pd.Series:
    """Tell which claims no number of clips can decide, since sections are lacking.

    Args:
        table: Claims with the columns ``test, sections``.
        machines: Number of machine types of the run.
    """
    few = table["sections"].astype(float) < SECTIONS * machines
    return table["test"].str.contains(OVER_SECTIONS) & few


def _variability(resampled: Resampled, first, second, sentence) -> Claim:
    return Claim(
        sentence,
        "Sec. 3.2",
        f"standard deviation {OVER_SECTIONS}: {first} minus {second}",
        lambda selection: _subtract(*(resampled.deviation((row, selection)) for row in (first, second))),
        "no machine type has two sections",
    )


def _contribution(resampled: Resampled) -> Claim:
    pairs = ((BC_ENSEMBLE, BC), (AE_ENSEMBLE, AE))
    printed = [paper.value(ensemble) - paper.value(single) for ensemble, single in pairs]
    return Claim(
        "which greatly contributed to the improvement of the overall score",
        "Sec. 3.2",
        "gain of BC ensemble over BC minus gain of AE ensemble over AE, all machine types",
        lambda selection: _subtract(*(resampled.difference(*((row, selection) for row in pair)) for pair in pairs)),
        missing(resampled, BC_ENSEMBLE, BC, AE_ENSEMBLE, AE),
        printed[0] - printed[1],
    )


def _several_machines(resampled: Resampled) -> Claim:
    def effect(selection):
        leads = [resampled.difference((MIX, selection), (MAX, selection), machine) for machine in resampled.machines]
        return leads if len(leads) > 1 else None

    return Claim(
        "there are several machine types for which the score of AE+BE ensemble (mix) is much better than that of "
        "AE+BE ensemble (max)",
        "Sec. 4",
        f"lead of {MIX} over {MAX} {ON_SEVERAL}; the second largest is shown",
        effect,
        "there are fewer than two machine types, or the halves of some section are too small to select on",
        float(np.sort([paper.value(MIX, machine) - paper.value(MAX, machine) for machine in paper.MACHINES])[-2]),
        needed=2,
    )


def _different_features(agreement: pd.DataFrame, confidence: float) -> Claim:
    return Claim(
        "The result showed that each approach focused on different features",
        "Sec. 3.2",
        "rank correlation of candidates of one approach minus that of candidates of both, within a label; interval "
        f"{OVER_SECTIONS} by Student's t distribution",
        lambda selection: draw_contrast(agreement, confidence),
        "each approach has one candidate only, so nothing says how alike two of the same approach are, or there is one "
        "section only",
        unit=CORRELATION,
        draws_seeds=False,
    )


def _because_different(resampled: Resampled, agreement: pd.DataFrame) -> Claim:
    alike = correlation_between(agreement)

    def effect(selection):
        leads = {cell: resampled.difference((MIX, selection), (MAX, selection), *cell) for cell in alike.index}
        pairs = np.array([(-alike[cell], lead[0]) for cell, lead in leads.items() if lead is not None])
        return resample_correlation(pairs) if len(pairs) >= CELLS else None

    return Claim(
        "this is because each method focused on different features to detect anomalous sounds",
        "Sec. 4",
        f"over machine types and domains: rank correlation of the lead of {MIX} over {MAX} with how differently the "
        "approaches rank the clips (minus their rank correlation within a label); interval over machines and domains",
        effect,
        f"there are fewer than {CELLS} machine types and domains to compare",
        unit=CORRELATION,
        draws_seeds=False,
    )


def _headline() -> pd.DataFrame:
    """Judge the abstract's figure, by its words over all machines, by the arithmetic of the printed cells."""
    row = paper.audit().set_index("row").loc[MIX]
    values = {
        "claim": f"our method achieves a harmonic mean of {row['printed']:.2%}",
        "source": "Abstract",
        "test": "printed harmonic mean minus that of the 14 printed cells (arithmetic, no run needed; bounds by "
        "rounding)",
        "unit": ARITHMETIC,
        "effect": row["difference"],
        "low": row["difference"] - row["rounding"],
        "high": row["difference"] + row["rounding"],
        "verdict": HOLDS if row["consistent"] else CONTRADICTED,
        "reason": f"the cells of all machine types give {row['from_cells']:.2%}; without ToyCar and ToyTrain they give "
        f"{row['without_toys']:.2%}",
        "paper": row["difference"],
    }
    return pd.DataFrame([values], columns=COLUMNS, dtype=object)


def _subtract(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return None if first is None or second is None else first - second
