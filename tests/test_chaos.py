"""Test that a run that is killed at random several times ends with the same bytes as an undisturbed run."""

import os
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "benchmarks")]

import chaos  # noqa: E402

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS") or 4)  # make reliability: 20 and more


def test_a_run_killed_at_random_ends_with_the_same_bytes(smoke, tmp_path, note):
    home = chaos.project(tmp_path / "a home, ü")
    survived = chaos.chaos(home, KILLS, seed=1)
    assert survived.kills.total() == KILLS, survived
    assert chaos.compare_folders(home / "runs" / "smoke", smoke / "runs" / "smoke") == []
    note("kills after which the run ended with all bytes equal", KILLS)
    for kind, count in survived.kills.items():
        note(f"of these, kills of {kind}", count)
    note("of these, kills inside a training", sum(survived.places[place] for place in chaos.TRAININGS))
    note("times that the command was given", survived.starts)
    note("trainings that resumed from their last checkpoint", survived.resumed)
    note("trainings that had ended and were not done again though their job was killed later", survived.kept)
    note("notebooks restarted after kills", survived.again)


def test_a_difference_would_be_seen(tmp_path):
    for name, content in (("a", b"1"), ("b", b"2")):
        (tmp_path / name / "fan").mkdir(parents=True)
        (tmp_path / name / "fan" / "scores.csv").write_bytes(content)
        (tmp_path / name / "table1.csv").touch()
    assert chaos.compare_folders(tmp_path / "a", tmp_path / "b") == ["fan/scores.csv"]
    (tmp_path / "b" / "table1.csv").unlink()
    assert chaos.compare_folders(tmp_path / "a", tmp_path / "b") == ["fan/scores.csv", "table1.csv"]
