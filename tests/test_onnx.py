"""A detector's networks as ONNX files say of a recording what PyTorch says."""

import importlib.util
import json
import shutil
import subprocess
import sys

import pytest
from detector_recordings import RATE, hum, normal, profile, write

import asdlib
from asdlib.__main__ import main
from asdlib.detector import DetectorError, runtime
from asdlib.detector.judge import Judge

RUNTIME = importlib.util.find_spec("onnxruntime") is not None
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the exporter
needed = pytest.mark.skipif(not RUNTIME, reason="onnxruntime is not installed (pip install 'asdlib[onnx]')")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a detector, and recordings of 2 s, the length of its windows, and of other lengths."""
    folder = tmp_path_factory.mktemp("onnx")
    detector = asdlib.Detector(profile(folder), overrides={"autoencoder.training.steps": 20})
    detector.fit(normal(folder / "own", 12), outliers=[normal(folder / "fan", 4, first=50, pitch=900)])
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
    """A copy of the detector, with ONNX files."""
    shutil.copytree(place / "detector", place / "exported")
    assert main(["onnx", str(place / "exported")]) == 0
    return place / "exported"


@pytest.mark.skipif(RUNTIME, reason="the packages are there")
def test_what_is_missing_is_said(place, capsys):
    assert main(["onnx", str(place / "detector"), str(place / "out")]) == 2
    assert "pip install 'asdlib[onnx]'" in capsys.readouterr().err


@needed
def test_the_index_names_the_files(exported):
    index = json.loads((exported / "onnx" / "onnx.json").read_text(encoding="utf-8"))
    assert set(index["files"]) == {"autoencoder.base.00.onnx", "classifier.base.00.source.onnx"}
    assert {path.name for path in (exported / "onnx").iterdir()} == {*index["files"], "onnx.json"}
    assert index["sample_rate"] == RATE and all(file["difference"] < 1e-3 for file in index["files"].values())


@needed
@pytest.mark.parametrize("name", ["hum", "burst", "long", "short"])
def test_verdicts_are_those_of_pytorch(place, exported, name):
    """Masks, front-end, pooling and all; a window of another length goes to PyTorch."""
    clip = place / f"{name}.wav"
    ours, theirs = Judge.load(exported).judge(clip), Judge.load(place / "detector").judge(clip)
    assert ours.score == pytest.approx(theirs.score, rel=1e-3, abs=1e-3)
    for branch, said in theirs.branches.items():
        assert ours.branches[branch]["score"] == pytest.approx(said["score"], rel=1e-3, abs=1e-3)
    assert (ours.anomaly, ours.percentile, ours.spans) == (theirs.anomaly, theirs.percentile, theirs.spans)
    assert theirs.anomaly or name in ("hum", "short")


@needed
def test_a_first_answer_imports_no_pytorch(place, exported):
    code = """
import sys
from asdlib.__main__ import main
main(["score", *sys.argv[1:]])
print([name for name in ("torch", "timm", "sklearn", "librosa.filters", "matplotlib") if name in sys.modules])
"""
    clips = [str(place / f"{name}.wav") for name in ("hum", "burst")]
    done = subprocess.run([sys.executable, "-c", code, exported, *clips], capture_output=True, text=True, check=True)
    hum, burst, heavy = done.stdout.splitlines()
    assert "score" in hum and "ANOMALY" in burst and heavy == "[]"


@needed
def test_damaged_files_are_named(place, exported):
    broken = shutil.copytree(exported, place / "broken")
    (broken / "onnx" / "autoencoder.base.00.onnx").write_bytes(b"no network")
    with pytest.raises(DetectorError, match=r"autoencoder.base.00.onnx: cannot be read .*python -m asdlib onnx"):
        Judge.load(broken).judge(place / "hum.wav")
    (broken / "onnx" / "onnx.json").write_text('{"files": {}}', encoding="utf-8")
    with pytest.raises(DetectorError, match="cannot be read as a detector"):
        Judge.load(broken)


def test_without_the_runtime_pytorch_judges(place, exported, monkeypatch):
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    clip = place / "hum.wav"
    assert Judge.load(exported).judge(clip).score == Judge.load(place / "detector").judge(clip).score
