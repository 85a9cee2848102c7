"""A detector's networks as ONNX files say of a recording what PyTorch says."""

import importlib.util
import json

import numpy as np
import pytest
from detector_recordings import RATE, hum, normal, profile

import asdlib
from asdlib.__main__ import main
from asdlib.autoencoder.pooling import pool
from asdlib.detector import networks, store

RUNTIME = importlib.util.find_spec("onnxruntime") is not None


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    overrides = {"autoencoder.training.steps": 20, "autoencoder.scorer.masking": False}
    detector = asdlib.Detector(profile(folder), overrides=overrides)
    detector.fit(normal(folder / "own", 12), outliers=[normal(folder / "fan", 4, first=50, pitch=900)])
    detector.save(folder / "detector")
    return folder


@pytest.mark.skipif(RUNTIME, reason="the packages are there")
def test_what_is_missing_is_said(place, capsys):
    assert main(["onnx", str(place / "detector"), str(place / "out")]) == 2
    assert "pip install 'asdlib[onnx]'" in capsys.readouterr().err


@pytest.mark.skipif(not RUNTIME, reason="onnxruntime is not installed (pip install 'asdlib[onnx]')")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the exporter
def test_parity(place):
    """Errors, embeddings and logits of a hum; and, without masks, the autoencoder's score of it."""
    import onnxruntime

    assert main(["onnx", str(place / "detector"), str(place / "out")]) == 0
    facts = json.loads((place / "out" / "onnx.json").read_text())
    assert set(facts["files"]) == {"autoencoder.base.00.onnx", "classifier.base.00.source.onnx"}
    assert facts["sample_rate"] == RATE and all(file["difference"] < 1e-3 for file in facts["files"].values())

    stored = store.load(place / "detector")
    pcm = np.rint(hum(99, burst=(1.0, 1.2)) * 32768).astype(np.int16)
    session = onnxruntime.InferenceSession(str(place / "out" / "autoencoder.base.00.onnx"))
    names = facts["files"]["autoencoder.base.00.onnx"]["outputs"]
    error = dict(zip(names, session.run(None, {"waveform": pcm.astype(np.float32) / 32768}), strict=True))
    trained = stored.autoencoders["base"]
    _, frames, signed = trained(networks.alone(pcm, "00", "source"))
    np.testing.assert_allclose(error["signed"], signed, atol=1e-3)
    again = trained.gaussians["00.source"].surprise(error["absolute"])
    assert pool(again, "median") == pytest.approx(pool(frames, "median"), rel=1e-3)
