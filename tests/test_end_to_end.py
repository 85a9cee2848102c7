"""Test the smoke profile from an empty folder to the book, with real papermill, Snakemake and Jupyter Book."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

ROWS = [
    "Baseline (AE)",
    "Baseline (MobileNetV2)",
    "AE",
    "BC",
    "AE ensemble",
    "BC ensemble",
    "AE+BC ensemble (mix)",
    "AE+BC ensemble (max)",
]


def reproduce(home, *arguments, code=0):
    """Run the command in ``home`` and return its output."""
    command = [sys.executable, "-m", "asdlib", "reproduce", "--profile", "smoke", "--jobs", "2", *arguments]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def table(smoke):
    return pd.read_csv(smoke / "runs" / "smoke" / "table1.csv", keep_default_na=False, na_values=[""])


def test_every_row_of_table_1_is_computed(table):
    assert [row for row in ROWS if row not in set(table["row"])] == []
    assert "Mahalanobis" in set(table["row"])
    cells = table[table["machine"].isin(["fan", "valve"]) & table["domain"].isin(["source", "target"])]
    done = cells.dropna(subset=["value"]).groupby("row").size()
    assert (done[ROWS] >= 4).all(), done
    value = table["value"].dropna()
    assert value.between(0, 1).all() and value.std() > 0.01  # really computed: no two systems agree everywhere


def test_the_printed_cells_are_in_the_table(table):
    cell = table[
        (table["row"] == "AE+BC ensemble (mix)") & (table["machine"] == "valve") & (table["domain"] == "target")
    ]
    assert np.allclose(cell["paper"].astype(float), 0.8015)


def test_cells_follow_from_the_scores(smoke, table):
    """Compute one cell from the score file with scikit-learn."""
    from sklearn.metrics import roc_auc_score

    scores = pd.read_csv(smoke / "runs" / "smoke" / "frame_autoencoder" / "fan" / "scores.csv", dtype={"section": str})
    values = []
    for _, part in scores[(scores["split"] == "test") & (scores["domain"] == "source")].groupby("section"):
        anomaly = part["label"] == "anomaly"
        values += [roc_auc_score(anomaly, part["score"]), roc_auc_score(anomaly, part["score"], max_fpr=0.1)]
    row = table[(table["row"] == "Baseline (AE)") & (table["machine"] == "fan") & (table["domain"] == "source")]
    assert row["value"].iloc[0] == pytest.approx(len(values) / sum(1 / value for value in values), rel=1e-9)


def test_every_artefact_has_a_record(smoke):
    run = smoke / "runs" / "smoke"
    models = [*run.glob("autoencoder/*/base"), *run.glob("classifier/*/??/*"), *run.glob("frame_autoencoder/*")]
    assert len(models) == 2 + 4 + 2
    for folder in models:
        record = json.loads((folder / "record.json").read_text())
        assert {"settings", "seed", "versions", "commit", "device", "data_fingerprint", "wall_seconds"} <= set(record)
    assert len(list((run / "notebooks").glob("*.ipynb"))) == 1 + 2 + 2 + 4 + 4 + 4 + 2 + 1 + 2 + 2


def test_nothing_half_written_is_left(smoke):
    hidden = [path for path in (smoke / "runs").rglob(".*") if ".snakemake" not in path.parts]
    odd = [path for path in hidden if path.name != ".snakemake_timestamp"]  # Snakemake's mark of a folder
    assert odd == [] and not list((smoke / "runs" / "smoke").glob("checkpoints/*"))


def test_the_same_command_has_nothing_left_to_do(smoke):
    before = (smoke / "runs" / "smoke" / "table1.csv").stat().st_mtime_ns
    reproduce(smoke)
    assert (smoke / "runs" / "smoke" / "table1.csv").stat().st_mtime_ns == before


def test_editing_one_candidate_reruns_that_branch_only(smoke):
    text = reproduce(smoke, "--dry-run", "--set", "classifier_candidates.base.scorer.centroids=training")
    assert "score_classifier" in text and "ensemble" in text
    assert not any(rule in text for rule in ("train_autoencoder", "train_classifier", "baselines"))


def test_wrong_input_is_one_sentence(smoke):
    for arguments, words in [
        (["--set", "autoencoder.training.stps=3"], ["autoencoder.training.stps", "did you mean 'steps'"]),
        (["--set", "data.machines=[fann]"], ["fann", "fan"]),
        (["--data", "nowhere"], ["nowhere"]),
    ]:
        text = reproduce(smoke, *arguments, code=2)
        assert all(word in text for word in words), text
        assert "Traceback" not in text and text.strip().splitlines()[-1].startswith("error: ")
