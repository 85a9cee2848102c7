"""The same settings, seed, device and threads give the same bytes; what a second thread changes is measured."""

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


def trained(smoke, tmp_path, **overrides):
    """One machine type of the smoke run once more, elsewhere: its run folder."""
    place = "-".join(map(str, overrides.values()))
    overrides |= {"runs": str(tmp_path / place), "data.root": str(smoke / "data" / "smoke")}
    settings = params.load(smoke / "params" / "smoke.yaml", overrides)
    before = torch.get_num_threads()
    try:
        with threadpool_limits(settings.threads):  # numpy's and scipy's, which a kernel gets by its environment
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


def compared(one, other, what: str, note) -> None:
    """Note how far two runs' scores and AUCs are apart; another result altogether is an error."""
    for name in SCORES:
        tables = [pd.read_csv(folder / name / "scores.csv", dtype={"section": str}) for folder in (one, other)]
        deviation = tables[0].groupby("system")["score"].transform("std")
        scores = ((tables[0]["score"] - tables[1]["score"]).abs() / deviation).median()
        change = (auc(tables[0]) - auc(tables[1])).abs().max()
        assert scores < 0.5 and change < 0.5
        note(f"median change of a score of {name} by {what}, in standard deviations of the scores", scores)
        note(f"largest change of an AUC of {name} by {what}", change)


def test_the_same_threads_give_the_same_bytes_and_others_are_close(smoke, tmp_path, note):
    run, again = smoke / "runs" / "smoke", trained(smoke, tmp_path, threads=1)
    files = [path.relative_to(again) for pattern in ("*.safetensors", "scores.csv") for path in again.rglob(pattern)]
    assert len(files) == 3 + 1 + 2 + 4  # tables, frame autoencoder, autoencoder and scorers, classifiers
    assert [str(path) for path in files if (run / path).read_bytes() != (again / path).read_bytes()] == []
    note("files of models and scores made twice with one thread, all bytes equal", len(files))
    compared(again, trained(smoke, tmp_path, threads=2), "a second thread", note)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_another_device_is_close(smoke, tmp_path, note):
    compared(trained(smoke, tmp_path, device="cpu"), trained(smoke, tmp_path, device="cuda"), "a CUDA device", note)
