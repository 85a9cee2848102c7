"""Test each sentence of Sec. 3.2 and of the conclusion with the results of a run.

The paper's sentences are judged only on the paper's rows. The gains of our extensions are judged in a separate table.
"""

import numpy as np
import pandas as pd

from asdlib.ensemble.blocks import (
    AE,
    AE_ENSEMBLE,
    AE_PLUS,
    AE_PLUS_ENSEMBLE,
    BC,
    BC_ENSEMBLE,
    BC_PLUS,
    BC_PLUS_ENSEMBLE,
    MAX,
    MIX,
    MIX_PLUS,
)
from asdlib.evaluation import paper
from asdlib.evaluation.bootstrap import Resampled
from asdlib.evaluation.features_claimed import because_different, different_features
from asdlib.evaluation.paper import BASELINE_AE, BASELINE_MOBILENET
from asdlib.evaluation.rows import MAHALANOBIS, MAHALANOBIS_SHIFT, key
from asdlib.evaluation.verdict import ARITHMETIC, BASIS, COLUMNS, FAILS, HOLDS, judged

_TOYS = "the autoencoder-based approach outperformed the binary classification approach in the machine type {}"
_OTHERS = "the binary classification approach outperformed the autoencoder-based approach in the machine type {}"
_WITHIN = "we were able to further improve the performance by ensembling the models within the same method"
_BOTH = "The ensemble allowed us to obtain a higher score by complementing both the excellent results"
_LEADS = [  # quote, where, the row that should lead, the row that it should lead, machine type
    (_TOYS.format("ToyCar"), "Sec. 3.2", AE, BC, "ToyCar"),
    (_TOYS.format("ToyTrain"), "Sec. 3.2", AE, BC, "ToyTrain"),
    (_OTHERS.format("gearbox"), "Sec. 3.2", BC, AE, "gearbox"),
    (_OTHERS.format("valve"), "Sec. 3.2", BC, AE, "valve"),
    (_WITHIN, "Sec. 3.2", AE_ENSEMBLE, AE, "all"),
    (_WITHIN, "Sec. 3.2", BC_ENSEMBLE, BC, "all"),
    (_BOTH, "Sec. 3.2", MIX, AE_ENSEMBLE, "all"),
    (_BOTH, "Sec. 3.2", MIX, BC_ENSEMBLE, "all"),
    ("outperform the baseline significantly", "Sec. 3.2", MIX, BASELINE_AE, "all"),
    ("outperform the baseline significantly", "Sec. 3.2", MIX, BASELINE_MOBILENET, "all"),
    ("it is important to ensemble models that focus on different features", "Sec. 4", MIX, MAX, "all"),
]


SMALL = "the two halves of some section are too small to select on"


def judge(resampled: Resampled, agreement: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Judge the paper's claims on the paper's rows.

    Args:
        resampled: Every row of Table 1 under the same resamples.
        agreement: Results of :func:`asdlib.ensemble.agreement.agreement` for all machines.
        confidence: Confidence of the intervals.

    Returns:
        Columns :data:`asdlib.evaluation.verdict.COLUMNS`. Effects are fractions in the ``unit``; ``development`` is the
        effect by the paper's selection, ``paper`` the effect in the printed cells.
    """
    rows = [_lead(resampled, confidence, *lead) for lead in _LEADS]
    rows.insert(4, different_features(resampled, agreement, confidence))
    rows += [_variability(resampled, confidence, *pair) for pair in ((BC, AE), (BC, BC_ENSEMBLE))]
    rows += [
        _contributes(resampled, confidence),
        _beats_all(resampled, confidence, "By ensembling our completely different methods, we were able to obtain "
                   "higher scores", "Sec. 4", MIX, (AE_ENSEMBLE, BC_ENSEMBLE)),
        _beats_all(resampled, confidence, "the proposed approach significantly outperformed baseline systems", "Sec. 4",
                   MIX, (BASELINE_AE, BASELINE_MOBILENET)),
        _several_machines(resampled, confidence),
        because_different(resampled, agreement, confidence),
        _headline(),
    ]  # fmt: skip
    table = _table(rows)
    order = {"Abstract": 0, "Sec. 3.2": 1, "Sec. 4": 2}
    return table.sort_values("source", key=lambda source: source.map(order), kind="stable", ignore_index=True)


OURS = "extension"
"""the source of statements that are ours and not the paper's"""


def judge_extensions(resampled: Resampled, confidence: float) -> pd.DataFrame:
    """Judge the gains of our extensions in the same way as the paper's claims; columns as in :func:`judge`."""

    def lead(words, first, second):
        return _lead(resampled, confidence, words, OURS, first, second, "all")

    def beats(words, second):
        return _beats_all(resampled, confidence, words, OURS, MIX_PLUS, second)

    rows = [
        lead("With the extensions, the ensemble of both approaches gains", MIX_PLUS, MIX),
        lead("It gains over the simple thing that deep models must beat", MIX_PLUS, MAHALANOBIS),
        lead("It gains over that thing with the estimated shift, too", MIX_PLUS, MAHALANOBIS_SHIFT),
        beats("It gains over both baselines", (BASELINE_AE, BASELINE_MOBILENET)),
        lead("A single autoencoder gains by the extensions", AE_PLUS, AE),
        lead("A single classifier gains by the extensions", BC_PLUS, BC),
        beats("With the extensions, too, the mean of both ensembles gains over each", (AE_PLUS_ENSEMBLE,
              BC_PLUS_ENSEMBLE)),
    ]  # fmt: skip
    return _table(rows)


def _table(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(BASIS, "Int64"))


def _basis(resampled: Resampled, machine: str = "all") -> tuple[int, int, int]:
    """Count the clips, sections and seeds on which an effect is based."""
    return (*resampled.basis(machine), resampled.seeds)


def _less(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return None if first is None or second is None else first - second


def _lacking(resampled: Resampled, *rows: str) -> str:
    """Explain why there is no effect between rows over all machine types."""
    absent = [row for row in rows if not any(row == known for known, _ in resampled.keys)]
    return f"{' and '.join(absent)} {'was' if len(absent) == 1 else 'were'} not run" if absent else SMALL


def _lead(resampled, confidence, quote, source, first, second, machine) -> dict:
    def effect(selection):
        return resampled.difference(key(first, selection), key(second, selection), machine)

    where = "all machine types" if machine == "all" else machine
    printed = paper.value(first, machine) - paper.value(second, machine)
    there = machine in ("all", *resampled.machines)
    lacking = _lacking(resampled, first, second) if there else f"{where} was not run"
    what, basis = f"{first} minus {second}, {where}", _basis(resampled, machine)
    return judged(quote, source, what, effect, confidence, printed, lacking, basis=basis)


def _variability(resampled, confidence, first, second) -> dict:
    quotes = {
        AE: "a model for each machine for each section, which tends to increase the variability of the score",
        BC_ENSEMBLE: "by ensembling the models, we were able to reduce the variability of the score",
    }
    return judged(
        quotes[second],
        "Sec. 3.2",
        f"standard deviation over sections: {first} minus {second}",
        lambda selection: _less(*(resampled.deviation((row, selection)) for row in (first, second))),
        confidence,
        np.nan,
        "no machine type has two sections",
        basis=_basis(resampled),
    )


def _contributes(resampled, confidence) -> dict:
    def effect(selection):
        pairs = ((BC_ENSEMBLE, BC), (AE_ENSEMBLE, AE))
        return _less(*(resampled.difference(*((row, selection) for row in pair)) for pair in pairs))

    gains = [paper.value(several) - paper.value(one) for several, one in ((BC_ENSEMBLE, BC), (AE_ENSEMBLE, AE))]
    return judged(
        "which greatly contributed to the improvement of the overall score",
        "Sec. 3.2",
        "gain of BC ensemble over BC minus gain of AE ensemble over AE, all machine types",
        effect,
        confidence,
        gains[0] - gains[1],
        _lacking(resampled, BC_ENSEMBLE, BC, AE_ENSEMBLE, AE),
        basis=_basis(resampled),
    )


def _beats_all(resampled, confidence, quote, source, row, others) -> dict:
    """Whether a row leads each of several others: the smallest lead is shown, each has to lie above zero."""

    def effect(selection):
        return [resampled.difference(key(row, selection), key(other, selection)) for other in others]

    return judged(
        quote,
        source,
        f"{row} minus {' and minus '.join(others)}, each of them, all machine types",
        effect,
        confidence,
        paper.value(row) - max(paper.value(other) for other in others),
        _lacking(resampled, row, *others),
        basis=_basis(resampled),
    )


def _several_machines(resampled, confidence) -> dict:
    """Whether *mix* leads *max* on at least two ("several") machine types."""

    def effect(selection):
        leads = [resampled.difference((MIX, selection), (MAX, selection), m) for m in resampled.machines]
        return leads if len(leads) > 1 else None

    return judged(
        "there are several machine types for which the score of AE+BE ensemble (mix) is much better than that of "
        "AE+BE ensemble (max)",
        "Sec. 4",
        f"lead of {MIX} over {MAX} on at least two machine types; the second largest is shown",
        effect,
        confidence,
        float(np.sort([paper.value(MIX, m) - paper.value(MAX, m) for m in paper.MACHINES])[-2]),
        "there are fewer than two machine types, or the halves of some section are too small to select on",
        basis=_basis(resampled),
        needed=2,
    )


def _headline() -> dict:
    row = paper.audit().set_index("row").loc[MIX]
    bounds = (row["difference"] - row["rounding"], row["difference"] + row["rounding"])
    verdict = HOLDS if row["consistent"] else FAILS
    reason = (
        f"the printed cells give {row['from_cells']:.2%}; their arithmetic mean, which no harmonic mean exceeds, is "
        f"{row['arithmetic']:.2%}"
    )
    values = (
        f"our method achieves a harmonic mean of {row['printed']:.2%}",
        "Abstract",
        "printed harmonic mean minus that of the 14 printed cells (arithmetic, no run needed; bounds by rounding)",
        ARITHMETIC,
        row["difference"],
        *bounds,
        verdict,
        reason,
        np.nan,
        row["difference"],
        *(np.nan for _ in BASIS),
    )
    return dict(zip(COLUMNS, values, strict=True))
