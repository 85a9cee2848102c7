"""Test that a detector's networks as ONNX files give the same verdicts as with PyTorch."""

import importlib.util
import inspect
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from detector_recordings import RATE, hum, normal, profile, write

import asdlib
from asdlib.__main__ import main
from asdlib.detector import runtime
from asdlib.detector.judge import Judge
from asdlib.detector.networks import Backend
from asdlib.detector.pytorch import PyTorch
from asdlib.errors import DetectorError

RUNTIME = importlib.util.find_spec("onnxruntime") is not None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),  # of the exporter
]
needed = pytest.mark.skipif(not RUNTIME, reason="onnxruntime is not installed (pip install 'asdlib[onnx]')")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Train a detector of two sections and changed conditions; write recordings as long as its windows, and others."""
    folder = tmp_path_factory.mktemp("onnx")
    for section, pitch in (("one", 300), ("two", 450)):
        normal(folder / "own" / section, 10, pitch=pitch)
        normal(folder / "changed" / section, 4, first=30, pitch=1.1 * pitch)
    overrides = {"autoencoder.training.steps": 20, "classifier_candidates": {"base": {}}}
    detector = asdlib.Detector(profile(folder), overrides=overrides)
    detector.fit(folder / "own", changed=folder / "changed")
    detector.save(folder / "detector")
    for name, wave in {
        "hum": hum(99),
        "burst": hum(98, burst=(1.0, 1.2)),
        "long": hum(97, seconds=7, burst=(3, 4)),
        "short": hum(96, seconds=1.5),
    }.items():
        write(folder / f"{name}.wav", wave)
    return folder


@pytest.fixture(scope="module")
def exported(place):
    """Copy the detector and export its ONNX files; the test of foreign files replaces some by a second export."""
    shutil.copytree(place / "detector", place / "exported")
    assert main(["onnx", str(place / "exported")]) == 0
    return place / "exported"


@pytest.mark.skipif(RUNTIME, reason="the packages are there")
def test_what_is_missing_is_said(place, capsys):
    assert main(["onnx", str(place / "detector"), str(place / "out")]) == 2
    assert "pip install 'asdlib[onnx]'" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["errors", "outputs"])
def test_both_back_ends_follow_the_protocol(method):
    expected = inspect.signature(getattr(Backend, method))
    for kind in (PyTorch, runtime.OnnxRuntime):
        assert inspect.signature(getattr(kind, method)) == expected


@needed
def test_the_index_names_the_files(exported):
    index = json.loads((exported / "onnx" / "onnx.json").read_text(encoding="utf-8"))
    stages = [f"classifier.base.{section}.{stage}.onnx" for section in ("00", "01") for stage in ("source", "target")]
    lengths = [f"autoencoder.base.{section}.{samples}.onnx" for section in ("00", "01") for samples in (32000, 16000)]
    assert set(index["files"]) == {*lengths, *stages}
    assert {path.name for path in (exported / "onnx").iterdir()} == {*index["files"], "onnx.json"}
    assert index["sample_rate"] == RATE and all(file["difference"] < 1e-3 for file in index["files"].values())


@needed
@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("section", ["one", "two"])
@pytest.mark.parametrize("name", ["hum", "burst", "long", "short"])
def test_verdicts_are_those_of_pytorch(place, exported, name, section, changed):
    """Masks, front-end and pooling agree at every window length."""
    clip = place / f"{name}.wav", section, changed
    ours, theirs = Judge.load(exported).judge(*clip), Judge.load(place / "detector").judge(*clip)
    assert ours.score == pytest.approx(theirs.score, rel=1e-3, abs=1e-3)
    for branch, said in theirs.branches.items():
        assert ours.branches[branch]["score"] == pytest.approx(said["score"], rel=1e-3, abs=1e-3)
    assert ours.percentile == pytest.approx(theirs.percentile, abs=0.01)
    assert (ours.anomaly, ours.spans) == (theirs.anomaly, theirs.spans)
    assert theirs.nearest == ours.nearest and (theirs.anomaly or name in ("hum", "short"))


@needed
def test_a_first_answer_imports_no_pytorch(place, exported):
    code = """
import os, sys
from asdlib.__main__ import main
main(["score", "--section", "one", *sys.argv[1:]])
print([name for name in ("torch", "timm", "sklearn", "librosa.filters", "matplotlib") if name in sys.modules])
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""
    clips = [str(place / f"{name}.wav") for name in ("hum", "burst")]
    done = subprocess.run([sys.executable, "-c", code, exported, *clips], capture_output=True, text=True, check=True)
    hum, burst, heavy, silent = done.stdout.splitlines()
    assert "score" in hum and "ANOMALY" in burst and (heavy, silent) == ("[]", "1")


@needed
def test_foreign_files_are_refused(place, exported, tmp_path):
    """Damaged, missing or foreign files lead to a DetectorError, never to a verdict."""

    def changed(name: str, content: bytes | None) -> Path:
        broken = shutil.copytree(exported, tmp_path / str(len(list(tmp_path.iterdir()))))
        (broken / name).unlink()
        if content is not None:
            (broken / name).write_bytes(content)
        return broken

    index = json.loads((exported / "onnx" / "onnx.json").read_text(encoding="utf-8"))
    fewer = {name: file for name, file in index["files"].items() if name != "classifier.base.01.target.onnx"}
    other = (exported / "onnx" / "classifier.base.00.source.onnx").read_bytes()
    flipped = bytearray((exported / "onnx" / "autoencoder.base.00.32000.onnx").read_bytes())
    flipped[len(flipped) // 2] ^= 64
    for name, content in [
        ("onnx/autoencoder.base.00.32000.onnx", b"no network"),
        ("onnx/autoencoder.base.00.32000.onnx", None),
        ("onnx/autoencoder.base.00.32000.onnx", flipped),
        ("onnx/autoencoder.base.00.32000.onnx", other),
        ("onnx/onnx.json", b"{"),
        ("onnx/onnx.json", json.dumps(index | {"files": fewer}).encode()),
        ("onnx/onnx.json", json.dumps(index | {"detector": "0" * 64}).encode()),
    ]:
        broken = changed(name, content)
        with pytest.raises(DetectorError, match=r"onnx: cannot be used \(.*python -m asdlib onnx"):
            Judge.load(broken).judge(place / "hum.wav", "one")
    assert main(["onnx", str(broken)]) == 0 and Judge.load(broken).judge(place / "hum.wav", "one")
    broken = changed("autoencoder/base/model.safetensors", b"no network")
    assert main(["onnx", str(broken)]) == 2


@needed
def test_no_folder_of_others_is_replaced(place, capsys):
    for out in (place, place / "detector"):
        assert main(["onnx", str(place / "detector"), str(out)]) == 2
        assert "exists and holds no onnx.json" in capsys.readouterr().err


@needed
def test_a_detector_in_use_can_be_pickled(place, exported):
    for folder in (exported, place / "detector"):
        detector = asdlib.Detector.load(folder)
        again = pickle.loads(pickle.dumps(detector))
        assert again.judge(place / "hum.wav", "two") == detector.judge(place / "hum.wav", "two")


def test_without_the_runtime_and_pytorch_the_error_says_what_to_do(place, tmp_path, monkeypatch):
    copy = shutil.copytree(place / "detector", tmp_path / "copy", ignore=shutil.ignore_patterns("onnx"))
    present = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else present(name))
    with pytest.raises(DetectorError, match=r"copy: its networks need PyTorch, or ONNX files .* asdlib onnx on this"):
        Judge.load(copy)


def test_without_scikit_learn_the_error_names_the_installation():
    code = "import sys; sys.modules['sklearn'] = sys.modules['sklearn.base'] = None; import asdlib; asdlib.Detector"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "asdlib.Detector needs the package sklearn" in done.stderr and "pip install 'asdlib[all]'" in done.stderr


def test_without_the_runtime_pytorch_judges(place, tmp_path, monkeypatch):
    copy = shutil.copytree(place / "detector", tmp_path / "copy")
    (copy / "onnx").mkdir()
    (copy / "onnx" / "onnx.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(runtime, "is_installed", lambda: False)
    verdicts = [Judge.load(folder).judge(place / "hum.wav", "one") for folder in (copy, place / "detector")]
    assert verdicts[0] == verdicts[1]
