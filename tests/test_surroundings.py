"""Test the command line in odd surroundings: closed or full streams, other encodings, optimised Python."""

import json
import os
import subprocess
import sys

import pytest

from asdlib.__main__ import main
from asdlib.detector.output import KEYS, format_verdict

pytestmark = pytest.mark.slow


@pytest.fixture
def scores(tmp_path):
    """Write the scores of four clips, with an AUC of 0.75."""
    names = ("normal_0000", "normal_0001", "anomaly_0000", "anomaly_0001")
    lines = [f"section_00_source_test_{name}.wav,{score}" for name, score in zip(names, (1, 3, 2, 4), strict=True)]
    (tmp_path / "anomaly_score_fan_section_00_source_test.csv").write_text("\n".join(lines))
    return tmp_path


def shell(line, folder, **environment):
    """Run ``asdlib`` with these arguments and redirections in a shell; return exit code, output and errors."""
    command = ["bash", "-c", f"set -o pipefail; {sys.executable} -m asdlib {line}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | environment)
    return done.returncode, done.stdout, done.stderr


def test_a_full_disk_is_one_sentence_and_no_verdict(scores):
    """Python's own exit code for an error, 1, would mean an anomaly to whoever calls ``score``."""
    code, _, error = shell("evaluate . > /dev/full", scores)
    assert code == 2 and error.startswith("error: the output cannot be written (no space left on device)")
    assert len(error.splitlines()) == 1
    assert shell("evaluate . --json | true", scores)[0] in (0, 141)  # the reader is gone, or not yet


def test_closed_streams_change_nothing(scores):
    assert shell("evaluate . <&- >&- 2>&-", scores) == (0, "", "")
    assert shell("evaluate . <&-", scores)[:2] == shell("evaluate .", scores)[:2]
    lines = "import os, sys; from asdlib.__main__ import _open_standard_streams as open_all; open_all(); "
    lines += "print(sys.stdin.buffer.read(), os.open('.', os.O_RDONLY), file=sys.stderr)"
    done = subprocess.run(["bash", "-c", f'{sys.executable} -c "{lines}" <&- >&-'], stderr=subprocess.PIPE, text=True)
    assert done.stderr == "b'' 3\n"  # no file takes the place of a standard stream


def test_names_that_no_file_can_have(capsys):
    for command in (["data", "check", "x" * 300], ["evaluate", "y" * 300]):
        assert main(command) == 2
        assert "name too long; correct it or choose another" in capsys.readouterr().err


def test_python_without_docstrings_or_with_another_backend(scores, tmp_path):
    assert json.loads(shell("evaluate . --json", scores, PYTHONOPTIMIZE="2")[1])["sections"][0]["auc"] == 0.75
    verdict = {
        "time": "2026-01-01T00:00:00Z",
        "score": 1,
        "threshold": 2,
        "level": 0,
        "level_spread": 3,
        "anomaly": False,
    }
    verdict |= {"percentile": 50.0, "normals": 25, "detector": "x"}
    (tmp_path / "a.jsonl").write_text(json.dumps(verdict | {"verdict": "normal"}))
    code, _, error = shell("history a.jsonl --out a.png", tmp_path, MPLBACKEND="nonsense")
    assert code == 0 and (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG"), error


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_json_in_every_encoding(encoding, monkeypatch, tmp_path):
    """The bytes that Python writes for what an encoding lacks, such as ``\\xfc``, are not JSON."""
    name = "ü 中 \U0001f600.wav"
    with open(tmp_path / "out", "w", encoding=encoding, errors="backslashreplace") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        stream.write(format_verdict(dict.fromkeys(KEYS) | {"clip": name}, "json"))
    assert json.loads((tmp_path / "out").read_bytes())["clip"] == name
