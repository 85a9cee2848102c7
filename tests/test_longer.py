"""Comparisons of classifiers with and without a part, in longer trainings."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks" / "shifts"))
import longer


def _scores(found: dict[str, int]) -> pd.DataFrame:
    """Ten clips of each label and domain; in each domain so many anomalies score above all normal clips."""
    rows = [
        ("fan", "00", domain, "test", f"{domain}_{label}_{k}.wav", label, k + 100 * (label == "anomaly" and k < above))
        for domain, above in found.items()
        for label in ("normal", "anomaly")
        for k in range(10)
    ]
    return pd.DataFrame(rows, columns=["machine", "section", "domain", "split", "clip", "label", "score"])


def test_a_contrast_is_with_minus_without_as_mean_over_seeds():
    none, all_ = _scores({"source": 0, "target": 0}), _scores({"source": 10, "target": 0})
    frame = longer.contrast([(none, all_), (none, none)], p=0.1, count=50, confidence=0.95).set_index("domain")
    assert list(frame.index) == ["source", "target", "all"] and (frame["seeds"] == 2).all()
    without = frame.loc["source", "without"]
    assert frame.loc["source", "with"] == pytest.approx((1 + without) / 2), "one seed of two ranks perfectly"
    assert frame.loc["source", "difference"] == pytest.approx((1 - without) / 2)
    assert frame.loc["source", "deviation"] == pytest.approx((1 - without) / np.sqrt(2))
    assert frame.loc["target", "difference"] == 0 == frame.loc["target", "deviation"]
    assert frame.loc["source", "low"] > 0


def test_one_seed_has_no_deviation():
    pair = (_scores({"source": 2, "target": 5}), _scores({"source": 5, "target": 2}))
    frame = longer.contrast([pair], p=0.1, count=50, confidence=0.95).set_index("domain")
    assert frame["deviation"].isna().all() and frame.loc["source", "difference"] > 0 > frame.loc["target", "difference"]
