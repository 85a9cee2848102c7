"""One clip through a trained run agrees with what the run itself says of it; a recording from elsewhere works."""

import shutil

import nbformat
import numpy as np
import pytest

from asdlib import params, playground, scores
from asdlib.autoencoder import inspection
from asdlib.classifier import embeddings
from asdlib.errors import AsdError
from asdlib.execution import notebooks
from asdlib.paths import HOME, Run
from asdlib.pooling import pool

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(smoke, monkeypatch):
    monkeypatch.setenv(HOME, str(smoke))
    return params.load("smoke")


def one(settings, domain):
    known = scores.read(Run.of(settings).scores("autoencoder", "fan", "base"))
    known = known[known["system"] == known["system"].iat[0]]
    return inspection.typical(known, "00", domain, "anomaly")


@pytest.mark.parametrize("domain", ["source", "target"])
def test_a_clip_of_the_run_scores_as_in_the_run(settings, domain):
    stored = one(settings, domain)
    clip = playground.pick(settings, "fan", stored["clip"], "01", "source")  # its name says what it is
    assert tuple(clip.clips.iloc[0][["section", "domain", "label"]]) == ("00", domain, "anomaly")
    seen = inspection.inspect(settings, "fan", "base", clip.clips.iloc[0], clip)
    options = settings.candidate("autoencoder", "base").scorer
    score = pool(seen.frame_scores, stored["system"].rsplit("/")[-1], options.top_share, options.percentile)
    assert score == pytest.approx(stored["score"], rel=1e-4)  # batches of another size round differently
    table, embedding = playground.embedded(settings, "base", clip)
    known, vectors = embeddings.read(settings, "fan", "base")
    row = known.index[(known["clip"] == stored["clip"]) & (known["stage"] == table["stage"].iat[-1])][0]
    assert np.allclose(embedding[-1], vectors[row], rtol=1e-3, atol=1e-4)
    assert np.allclose(
        table.iloc[-1][embeddings.MEASURES].astype(float), known.loc[row, embeddings.MEASURES], rtol=1e-3
    )
    assert (table["clip"] == stored["clip"]).sum() == 1


def test_the_decision_follows_from_the_training_clips_and_the_quantile(settings):
    clip = playground.pick(settings, "fan", one(settings, "source")["clip"], "00", "source")
    seen = inspection.inspect(settings, "fan", "base", clip.clips.iloc[0], clip)
    table = playground.judged(settings, ("base", "base"), clip, seen, *playground.embedded(settings, "base", clip))
    known = table[table["split"] == "train"].pivot(index="clip", columns="system", values="score")
    assert np.allclose(known[["autoencoder", "classifier"]].mean(), 0, atol=1e-9)
    assert np.allclose(known["mix"], (known["autoencoder"] + known["classifier"]) / 2)
    for quantile in (0.05, 0.9):
        verdict = playground.verdict(table, quantile).set_index("system")
        assert list(verdict.index) == list(playground.SYSTEMS)
        for system, row in verdict.iterrows():
            assert row["percentile"] == pytest.approx((known[system] < row["score"]).mean(), abs=0.5 / len(known))
            assert (row["verdict"] == "anomaly") == (row["score"] > row["threshold"])
            assert (known[system] <= row["threshold"]).mean() >= quantile


def test_the_notebook_takes_a_recording_from_elsewhere(settings, smoke, root, tmp_path):
    own = tmp_path / "mine.wav"
    shutil.copyfile(next((smoke / "data" / "smoke" / "fan").rglob("*_anomaly_*.wav")), own)
    output = tmp_path / "executed.ipynb"
    notebooks.execute(root / "notebooks" / "09_playground.ipynb", output, {"params": "smoke", "clip": str(own)})
    text = output.read_text()
    assert "mine.wav: section 00, source domain, label: unknown" in text
    cells = nbformat.reads(text, as_version=4).cells
    assert sum("image/png" in part.get("data", {}) for cell in cells for part in cell.get("outputs", [])) == 4


def test_what_cannot_be_picked_is_one_sentence(settings, tmp_path):
    with pytest.raises(AsdError, match=r"'nothing.wav' is neither a file nor the name of a clip of fan; .*clips.csv"):
        playground.pick(settings, "fan", "nothing.wav", "00", "source")
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AsdError, match=r"empty.wav: the file is empty"):
        playground.pick(settings, "fan", str(tmp_path / "empty.wav"), "00", "source")
    (tmp_path / "some.wav").write_bytes(b"RIFF")
    with pytest.raises(AsdError, match=r"no section '07'.* choose one of the sections 00, 01"):
        playground.pick(settings, "fan", str(tmp_path / "some.wav"), "07", "source")
