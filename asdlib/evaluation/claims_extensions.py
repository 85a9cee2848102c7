"""Judge the gains of our extensions in the same way as the paper's claims, in a table of their own."""

from functools import partial

import pandas as pd

from asdlib.ensemble.blocks import AE, AE_PLUS, AE_PLUS_ENSEMBLE, BC, BC_PLUS, BC_PLUS_ENSEMBLE, MIX, MIX_PLUS
from asdlib.evaluation.bootstrap import Resampled
from asdlib.evaluation.claims import claim_all, claim_difference, tabulate
from asdlib.evaluation.paper import BASELINE_AE, BASELINE_MOBILENET
from asdlib.evaluation.rows import MAHALANOBIS, MAHALANOBIS_SHIFT

SOURCE = "extension"
"""the source of statements that are ours and not the paper's"""


def judge(resampled: Resampled, confidence: float) -> pd.DataFrame:
    """Judge the gains of our extensions; columns as in :func:`asdlib.evaluation.claims.tabulate`.

    Args:
        resampled: Every row of Table 1 under the same resamples.
        confidence: Confidence of the intervals.
    """
    better, all_better = partial(claim_difference, resampled), partial(claim_all, resampled)
    claims = [
        better("With the extensions, the ensemble of both approaches gains", SOURCE, MIX_PLUS, MIX),
        better("It gains over the simple reference that deep models must beat", SOURCE, MIX_PLUS, MAHALANOBIS),
        better("It also gains over that reference with the estimated shift", SOURCE, MIX_PLUS, MAHALANOBIS_SHIFT),
        all_better("It gains over both baselines", SOURCE, MIX_PLUS, (BASELINE_AE, BASELINE_MOBILENET)),
        better("A single autoencoder gains by the extensions", SOURCE, AE_PLUS, AE),
        better("A single classifier gains by the extensions", SOURCE, BC_PLUS, BC),
        all_better("With the extensions, too, the mean of both ensembles gains over each", SOURCE, MIX_PLUS,
                   (AE_PLUS_ENSEMBLE, BC_PLUS_ENSEMBLE)),
    ]  # fmt: skip
    return tabulate(claims, resampled, confidence)
