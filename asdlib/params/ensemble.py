"""Sec. 2.3 and 3: settings of the ensembles and of their evaluation."""

from typing import Annotated, Literal

from pydantic import Field

from asdlib.params.types import Combination, Count, Positive, Strict


class Ensemble(Strict):
    """Sec. 2.3."""

    sizes: Annotated[list[Positive], Field(min_length=1)] = [3, 5, 10, 20]
    """N of the N best autoencoder candidates, each by its best variant; larger ones than there are candidates are left
    out"""
    combinations: Annotated[list[Combination], Field(min_length=1)] = ["average", "median", "maximum", "ranking"]
    """ways to combine scores; the selection *fixed* uses the first"""
    classifier_best: Positive = 2
    """N best classifier candidates per section, each by its best variant"""
    normalise: Literal["test", "train"] = "test"
    """by what the rows that select normalise scores to mean 0 and variance 1: the test clips (the paper) or the
    held-out training clips (can score one clip), as the fixed rows always do"""


class Evaluation(Strict):
    """Sec. 3."""

    p: Annotated[float, Field(gt=0, le=1)] = 0.1
    """largest false positive rate of pAUC"""
    bootstrap: Count = 1000
    """number of resamples for the intervals; 0 for no intervals"""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """confidence of the intervals"""
    decision_quantile: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """quantile of the training scores' gamma distribution above which a clip is called anomalous"""
