"""Each sentence of Sec. 3.2 and of the conclusion as something that a run can show or contradict.

The verdict comes from the cross-fitted selection, since a gain on the clips that were selected on proves nothing; the
paper's way and the paper's own cells stand beside it. A claim *holds* if the interval of its effect lies above zero,
*does not hold* if it lies below, and *cannot be tested here* if it holds zero or the run lacks what the claim is about.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from asdlib.ensemble import rank
from asdlib.ensemble.select import AE, AE_ENSEMBLE, BC, BC_ENSEMBLE, MAX, MIX
from asdlib.evaluation import paper
from asdlib.evaluation.bootstrap import Resampled, interval
from asdlib.evaluation.paper import BASELINE_AE, BASELINE_MOBILENET

HOLDS, FAILS, UNTESTED = "holds", "does not hold", "cannot be tested here"
POINTS, CORRELATION = "difference of harmonic means", "rank correlation"
"""units of effects; both are fractions"""
COLUMNS = ["claim", "source", "test", "unit", "effect", "low", "high", "verdict", "reason", "development", "paper"]
CELLS = 5
"""machine types and domains, at least, for a correlation over them"""

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
        Columns :data:`COLUMNS`. Effects are fractions in the ``unit``; ``development`` is the effect by the paper's
        selection, ``paper`` the effect in the printed cells.
    """
    rows = [_lead(resampled, confidence, *lead) for lead in _LEADS]
    rows.insert(4, _different_features(agreement, confidence))
    rows += [_variability(resampled, confidence, *pair) for pair in ((BC, AE), (BC, BC_ENSEMBLE))]
    rows += [
        _contributes(resampled, confidence),
        _beats_both(resampled, confidence),
        _beats_baselines(resampled, confidence),
        _several_machines(resampled, confidence),
        _because_different(resampled, agreement, confidence),
        _headline(),
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    order = {"Abstract": 0, "Sec. 3.2": 1, "Sec. 4": 2}
    return table.sort_values("source", key=lambda source: source.map(order), kind="stable", ignore_index=True)


def _key(row: str, selection: str) -> tuple[str, str]:
    return row, "" if row in (BASELINE_AE, BASELINE_MOBILENET) else selection


def _judged(
    quote, source, what, effect: Callable, confidence: float, printed: float, lacking: str, unit: str = POINTS
) -> dict:
    """A row of the table; ``effect(selection)`` gives the effect in every resample, or None."""
    value, low, high = interval(effect("cross-fitted"), confidence)
    development = interval(effect("development"), confidence)[0]
    if np.isnan(value):
        verdict, reason = UNTESTED, lacking
    elif np.isnan(low):
        verdict, reason = UNTESTED, "no resamples were drawn (evaluation.bootstrap is 0)"
    elif low > 0:
        verdict, reason = HOLDS, f"the {confidence:.0%} interval lies above zero"
    elif high < 0:
        verdict, reason = FAILS, f"the {confidence:.0%} interval lies below zero"
    else:
        verdict, reason = UNTESTED, f"undecided: the {confidence:.0%} interval holds zero"
    values = (quote, source, what, unit, value, low, high, verdict, reason, development, printed)
    return dict(zip(COLUMNS, values, strict=True))


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
    return _judged(quote, source, f"{first} less {second}, {where}", effect, confidence, printed, lacking)


def _different_features(agreement: pd.DataFrame, confidence: float) -> dict:
    keys = ["machine", "section", "domain", "label"]
    means = agreement.assign(same=_same(agreement)).groupby([*keys, "same"])["correlation"].mean().unstack("same")
    effects = (means[True] - means[False]).dropna().to_numpy() if {True, False} <= set(means.columns) else np.array([])
    samples = effects[_draws(len(effects))].mean(axis=1) if len(effects) > 1 else None
    return _judged(
        "The result showed that each approach focused on different features",
        "Sec. 3.2",
        "rank correlation of candidates of one approach less that of candidates of both, within a label; interval over "
        "sections, domains and labels",
        lambda selection: samples,
        confidence,
        np.nan,
        "each approach has one candidate only, so nothing says how alike two of the same approach are",
        CORRELATION,
    )


def _same(agreement: pd.DataFrame) -> pd.Series:
    """Whether the two candidates are of one approach."""
    return agreement["first"].str.partition("/")[0] == agreement["second"].str.partition("/")[0]


def _draws(count: int) -> np.ndarray:
    """Resamples of ``count`` places, shape (2001, count); the first holds each place once."""
    draws = np.random.default_rng(0).integers(0, count, (2000, count))
    return np.concatenate([np.arange(count)[None], draws])


def _because_different(resampled, agreement: pd.DataFrame, confidence: float) -> dict:
    """Whether *mix* leads *max* where the approaches rank the clips differently; correlation over cells."""
    between = agreement[~_same(agreement)].groupby(["machine", "domain"])["correlation"].mean().dropna()

    def effect(selection):
        leads = {key: resampled.difference((MIX, selection), (MAX, selection), *key) for key in between.index}
        pairs = np.array([(-between[key], lead[0]) for key, lead in leads.items() if lead is not None])
        if len(pairs) < CELLS:
            return None
        drawn = rank(pairs.T)[:, _draws(len(pairs))]
        first, second = drawn - drawn.mean(axis=-1, keepdims=True)
        scale = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
        if scale[0] == 0:
            return None
        return (first * second).sum(axis=-1)[scale > 0] / scale[scale > 0]  # without draws of one place only

    return _judged(
        "this is because each method focused on different features to detect anomalous sounds",
        "Sec. 4",
        f"over machine types and domains: rank correlation of the lead of {MIX} over {MAX} with how differently the "
        "approaches rank the clips (less their rank correlation within a label); interval over machines and domains",
        effect,
        confidence,
        np.nan,
        f"there are fewer than {CELLS} machine types and domains to compare",
        CORRELATION,
    )


def _variability(resampled, confidence, first, second) -> dict:
    quotes = {
        AE: "a model for each machine for each section, which tends to increase the variability of the score",
        BC_ENSEMBLE: "by ensembling the models, we were able to reduce the variability of the score",
    }
    return _judged(
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
    return _judged(
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

    return _judged(
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

    return _judged(
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

    return _judged(
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
        POINTS,
        row["difference"],
        *bounds,
        verdict,
        reason,
        np.nan,
        row["difference"],
    )
    return dict(zip(COLUMNS, values, strict=True))
