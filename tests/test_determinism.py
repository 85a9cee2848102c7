"""Test that equal settings, seed, device and threads give equal bytes, and measure what a second thread changes."""

import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from asdlib import params
from asdlib.autoencoder import scorer
from asdlib.autoencoder import train as autoencoder
from asdlib.baselines import frame_autoencoder
from asdlib.classifier import scorer as classifier_scorer
from asdlib.classifier import train as classifier
from asdlib.paths import Run
from asdlib.prepare import prepare_clips

pytestmark = pytest.mark.slow

SCORES = ("frame_autoencoder/fan", "autoencoder/fan/base", "classifier/fan/base")
SCORE_TOLERANCE = 0.4
"""largest median change of a score, in standard deviations: measured 0.20 (8 steps in bfloat16), unrelated about 1"""
RANK_TOLERANCE = 0.8
"""smallest rank correlation of scores: measured 0.91, unrelated about 0"""
AUC_TOLERANCE = 0.1
"""largest mean change of an AUC of 8 + 8 clips: measured 0.054, unrelated about 0.17"""


def train_again(smoke, tmp_path, **overrides):
    """Train and score one machine type of the smoke run again in another folder; return its run folder."""
    place = "-".join(map(str, overrides.values()))
    overrides |= {"runs": str(tmp_path / place), "data.root": str(smoke / "data" / "smoke")}
    settings = params.load(smoke / "params" / "smoke.yaml", overrides)
    before = torch.get_num_threads()
    try:
        with threadpool_limits(settings.threads):  # of numpy and scipy, which a kernel sets by environment variables
            prepare_clips(settings)
            frame_autoencoder.run(settings, "fan")
            autoencoder.fit(settings, "fan", "base")
            scorer.score(settings, "fan", "base")
            for section in ("00", "01"):
                classifier.fit(settings, "fan", section, "base")
            classifier_scorer.score(settings, "fan", "base")
    finally:
        torch.set_num_threads(before)
    return Run.of(settings).folder


def auc(frame: pd.DataFrame) -> pd.Series:
    test = frame[frame["split"] == "test"]
    groups = test.groupby(["system", "section", "domain"])
    return groups.apply(lambda part: roc_auc_score(part["label"] == "anomaly", part["score"]), include_groups=False)


def check_close(one, other, cause: str, note) -> None:
    """Check that two runs' scores and AUCs differ only by rounding errors, and note the differences."""
    for name in SCORES:
        tables = [pd.read_csv(folder / name / "scores.csv", dtype={"section": str}) for folder in (one, other)]
        deviation = tables[0].groupby("system")["score"].transform("std")
        scores = ((tables[0]["score"] - tables[1]["score"]).abs() / deviation).median()
        ranks = [table.groupby("system")["score"].rank() for table in tables]
        change = (auc(tables[0]) - auc(tables[1])).abs()
        correlation = ranks[0].corr(ranks[1])
        found = f"{name}: {scores=:.4f} {correlation=:.4f} {change.mean()=:.4f} {change.max()=:.4f}"
        assert scores < SCORE_TOLERANCE and correlation > RANK_TOLERANCE and change.mean() < AUC_TOLERANCE, found
        note(f"median change of a score of {name} by {cause}, in standard deviations of the scores", scores)
        note(f"largest change of an AUC (0 to 1) of {name} by {cause}", change.max())


def test_the_same_threads_give_the_same_bytes_and_others_are_close(smoke, tmp_path, note):
    run, again = smoke / "runs" / "smoke", train_again(smoke, tmp_path, threads=1)
    files = [path.relative_to(again) for pattern in ("*.safetensors", "scores.csv") for path in again.rglob(pattern)]
    assert len(files) == 3 + 1 + 2 + 4  # tables, frame autoencoder, autoencoder and scorers, classifiers
    assert [str(path) for path in files if (run / path).read_bytes() != (again / path).read_bytes()] == []
    note("files of models and scores made twice with one thread, all bytes equal", len(files))
    check_close(again, train_again(smoke, tmp_path, threads=2), "a second thread", note)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_another_device_is_close(smoke, tmp_path, note):
    check_close(
        train_again(smoke, tmp_path, device="cpu"), train_again(smoke, tmp_path, device="cuda"), "a CUDA device", note
    )
