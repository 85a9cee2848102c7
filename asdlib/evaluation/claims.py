"""Each sentence of Sec. 3.2 and of the conclusion as something that a run can show or contradict."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from asdlib.ensemble.select import AE, AE_ENSEMBLE, BC, BC_ENSEMBLE, MAX, MIX
from asdlib.evaluation import paper
from asdlib.evaluation.bootstrap import Resampled
from asdlib.evaluation.features_claimed import because_different, different_features
from asdlib.evaluation.paper import BASELINE_AE, BASELINE_MOBILENET
from asdlib.evaluation.verdict import ARITHMETIC, COLUMNS, FAILS, HOLDS, judged

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


def judge(resampled: Resampled, agreement: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The table of claims.

    Args:
        resampled: Every row of Table 1 under the same resamples.
        agreement: As :func:`asdlib.ensemble.agreement.agreement` gives it, of all machines.
        confidence: Of the intervals.

    Returns:
        Columns :data:`asdlib.evaluation.verdict.COLUMNS`. Effects are fractions in the ``unit``; ``development`` is the
        effect by the paper's selection, ``paper`` the effect in the printed cells.
    """
    rows = [_lead(resampled, confidence, *lead) for lead in _LEADS]
    rows.insert(4, different_features(agreement, confidence))
    rows += [_variability(resampled, confidence, *pair) for pair in ((BC, AE), (BC, BC_ENSEMBLE))]
    rows += [
        _contributes(resampled, confidence),
        _beats_both(resampled, confidence),
        _beats_baselines(resampled, confidence),
        _several_machines(resampled, confidence),
        because_different(resampled, agreement, confidence),
        _headline(),
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    order = {"Abstract": 0, "Sec. 3.2": 1, "Sec. 4": 2}
    return table.sort_values("source", key=lambda source: source.map(order), kind="stable", ignore_index=True)


def _key(row: str, selection: str) -> tuple[str, str]:
    return row, "" if row in (BASELINE_AE, BASELINE_MOBILENET) else selection


def _less(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return None if first is None or second is None else first - second


def _smallest(effects: Iterable[np.ndarray | None]) -> np.ndarray | None:
    effects = list(effects)
    return None if any(effect is None for effect in effects) else np.min(effects, axis=0)


def _lead(resampled, confidence, quote, source, first, second, machine) -> dict:
    def effect(selection):
        return resampled.difference(_key(first, selection), _key(second, selection), machine)

    where = "all machine types" if machine == "all" else machine
    printed = paper.value(first, machine) - paper.value(second, machine)
    lacking = (
        f"{where} was not run" if machine != "all" else "the two halves of some section are too small to select on"
    )
    return judged(quote, source, f"{first} less {second}, {where}", effect, confidence, printed, lacking)


def _variability(resampled, confidence, first, second) -> dict:
    quotes = {
        AE: "a model for each machine for each section, which tends to increase the variability of the score",
        BC_ENSEMBLE: "by ensembling the models, we were able to reduce the variability of the score",
    }
    return judged(
        quotes[second],
        "Sec. 3.2",
        f"standard deviation over sections: {first} less {second}",
        lambda selection: _less(*(resampled.deviation((row, selection)) for row in (first, second))),
        confidence,
        np.nan,
        "no machine type has two sections",
    )


def _contributes(resampled, confidence) -> dict:
    def effect(selection):
        pairs = ((BC_ENSEMBLE, BC), (AE_ENSEMBLE, AE))
        return _less(*(resampled.difference(*((row, selection) for row in pair)) for pair in pairs))

    gains = [paper.value(several) - paper.value(one) for several, one in ((BC_ENSEMBLE, BC), (AE_ENSEMBLE, AE))]
    return judged(
        "which greatly contributed to the improvement of the overall score",
        "Sec. 3.2",
        "gain of BC ensemble over BC less gain of AE ensemble over AE, all machine types",
        effect,
        confidence,
        gains[0] - gains[1],
        "the two halves of some section are too small to select on",
    )


def _beats_both(resampled, confidence) -> dict:
    def effect(selection):
        return _smallest(resampled.difference((MIX, selection), (row, selection)) for row in (AE_ENSEMBLE, BC_ENSEMBLE))

    return judged(
        "By ensembling our completely different methods, we were able to obtain higher scores",
        "Sec. 4",
        f"{MIX} less the better of {AE_ENSEMBLE} and {BC_ENSEMBLE}, all machine types",
        effect,
        confidence,
        paper.value(MIX) - max(paper.value(AE_ENSEMBLE), paper.value(BC_ENSEMBLE)),
        "the two halves of some section are too small to select on",
    )


def _beats_baselines(resampled, confidence) -> dict:
    def effect(selection):
        baselines = (BASELINE_AE, BASELINE_MOBILENET)
        return _smallest(resampled.difference((MIX, selection), (row, "")) for row in baselines)

    return judged(
        "the proposed approach significantly outperformed baseline systems",
        "Sec. 4",
        f"{MIX} less the better baseline, all machine types",
        effect,
        confidence,
        paper.value(MIX) - max(paper.value(BASELINE_AE), paper.value(BASELINE_MOBILENET)),
        "the two halves of some section are too small to select on",
    )


def _several_machines(resampled, confidence) -> dict:
    """The second largest lead over machine types: above zero, at least two ("several") lead."""

    def effect(selection):
        leads = [resampled.difference((MIX, selection), (MAX, selection), m) for m in resampled.machines]
        return None if len(leads) < 2 or any(lead is None for lead in leads) else np.sort(leads, axis=0)[-2]

    return judged(
        "there are several machine types for which the score of AE+BE ensemble (mix) is much better than that of "
        "AE+BE ensemble (max)",
        "Sec. 4",
        f"second largest lead of {MIX} over {MAX} among machine types",
        effect,
        confidence,
        float(np.sort([paper.value(MIX, m) - paper.value(MAX, m) for m in paper.MACHINES])[-2]),
        "there are fewer than two machine types, or the halves of some section are too small to select on",
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
        "printed harmonic mean less that of the 14 printed cells (arithmetic, no run needed; bounds by rounding)",
        ARITHMETIC,
        row["difference"],
        *bounds,
        verdict,
        reason,
        np.nan,
        row["difference"],
    )
    return dict(zip(COLUMNS, values, strict=True))
