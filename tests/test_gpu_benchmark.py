"""Test ``make gpu`` at tiny sizes on the CPU: the code that a GPU would run, its rows and its verdicts."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from autoencoder_run import make

from asdlib.compute import Compute

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path[:0] = [str(BENCHMARKS)]

import gpu_right  # noqa: E402
from gpu_table import COLUMNS, Table  # noqa: E402


def run(*words: str | Path, expect: int = 0) -> subprocess.CompletedProcess:
    """Run the benchmark without a GPU."""
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), *map(str, words)]
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=hidden, cwd=BENCHMARKS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def test_a_missing_gpu_is_reported():
    done = run(expect=2)
    assert done.stderr == ("error: PyTorch finds no CUDA device; run this on a machine with a GPU, or pass --tiny\n")


@pytest.mark.slow
def test_a_tiny_run_fills_every_part_of_the_table(tmp_path):
    run("--tiny", "--minutes", "60", "--out", tmp_path / "figures.csv")
    table = pd.read_csv(tmp_path / "figures.csv", keep_default_na=False, na_values={"value": ""})
    assert list(table) == COLUMNS and set(table["part"]) == {"right", "fast", "whole"}
    assert table["device"].str.contains("thread").all() and table["commit"].str.len().ge(7).all()
    skipped = table["verdict"].str.startswith("not run")
    assert set(table["verdict"][skipped]) == {"not run: needs CUDA"}
    vague = table["verdict"].str.startswith("not compared: rounding may change it by ")
    assert set(table["verdict"][~skipped & ~vague]) <= {"met", "measured", "extrapolated", "missed"}
    assert table["value"][~skipped].notna().all()
    right = table[(table["part"] == "right") & ~skipped]
    assert set(right["verdict"][~vague]) == {"met"} and 0 < vague.sum() < 10
    for name in ("autoencoder", "autoencoder, clips of unequal length", "frame autoencoder", "MobileNetV2"):
        for kind in ("float32", "bfloat16", "compiled"):
            assert set(right["what"]) >= {f"{name}: {part}, {kind}" for part in ("output", "loss", "gradient")}
    # bfloat16 is another computation than float32, and float32 another than float64: a difference of 0 would mean that
    # one was compared with itself.
    rounded = right[right["what"].str.contains("gradient, (?:bfloat16|float32)")]
    assert len(rounded) == 12 and rounded["value"].gt(0).all()
    assert table["what"].str.contains("resumed").sum() == 3
    value = table.set_index("what")["value"]
    hours = value["autoencoder: all trainings and scores"] + value["classifier: all trainings and scores"]
    assert math.isclose(value["whole profile without baselines"], hours, rel_tol=1e-3)


@pytest.mark.slow
def test_the_papers_size_resumes(tmp_path):
    make(tmp_path)
    words = ("--tiny", "--paper-size", tmp_path / "data", "--runs", tmp_path / "trained", "--out")
    first = run(*words, tmp_path / "first.csv")
    assert "Expected: " in first.stdout and "step 6/6" in first.stdout
    again = run(*words, tmp_path / "again.csv")
    assert "step " not in again.stdout
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()
    table = pd.read_csv(tmp_path / "first.csv")
    assert set(table["profile"]) == {"quick", "paper_size", "difference"}
    change, table = table[table["profile"] == "difference"], table[table["profile"] != "difference"]
    assert table["value"].between(0, 1).all() and table["steps"].isin([4, 6]).all()
    assert len(change) == 4 and (change["low"] <= change["value"]).all() and (change["value"] <= change["high"]).all()
    first = table[table["variant"] == "without labels"].set_index(["profile", "branch", "domain"])["value"]
    found = first["paper_size"] - first["quick"]
    assert np.allclose(change.set_index(["branch", "domain"])["value"].loc[found.index], found, atol=2e-4)
    shape = table.groupby(["profile", "branch", "domain"])["variant"].agg(list)
    assert len(shape) == 8 and all("without labels" in variants for variants in shape)
    assert not table["variant"].isin(["clip_signed", "mahalanobis"]).any()


def test_verdicts(tmp_path):
    table = Table({"device": "a processor", "torch": "2", "commit": "abc"}, tmp_path / "table.csv")
    table.begin("right", 60)
    table.add("speed", 2.0, "times", at_least=3.0)
    table.add("difference", 0.5, "relative", at_most=1.0)
    table.add("time", 7.0, "s")
    table.attempt("odd", lambda: table.add("not a number", math.nan, "", at_most=1.0))
    assert list(table.frame["verdict"]) == ["missed", "met", "measured", "missed"]
    assert pd.read_csv(tmp_path / "table.csv")["tolerance"][0] == "at least 3"


def test_an_exception_becomes_a_row_and_the_benchmark_continues(capsys):
    table = Table({"device": "", "torch": "", "commit": ""})
    table.begin("fast", 60)
    table.add("a goal that is missed is not wrong", 1.0, "times", at_least=2.0)
    assert not table.wrong
    table.attempt("memory", lambda: torch.empty(3).view(7))
    table.begin("whole", -1)
    table.attempt("late", lambda: pytest.fail("ran without time left"))
    assert table.frame["verdict"][1].startswith("failed: RuntimeError: ") and table.wrong
    assert table.frame["verdict"][2] == "not run: the time of this part was used up"
    assert "Traceback" in capsys.readouterr().err


def test_other_bits_after_a_resumed_training_are_seen(monkeypatch, tmp_path):
    class Forgetful:
        """A training that adds up its steps, and whose checkpoint loses one."""

        def __init__(self):
            self.module = torch.nn.Linear(1, 1, bias=False)
            self.loss = gpu_right.training.Loss(lambda step, generator: (), dict)

        def train(self, steps, compute, checkpoint, seconds=1e9):
            begin = 1 if checkpoint.exists() else 0
            checkpoint.touch() if seconds == 0.0 else checkpoint.unlink(missing_ok=True)
            for step in range(begin, steps):
                self.loss(step, None)
            self.module.weight.data.fill_(steps - 2 * begin)

    def jobs(*arguments):
        return Forgetful()

    monkeypatch.setattr(gpu_right, "autoencoder_job", jobs)
    settings = gpu_right.params.load("smoke").model_copy(update={"classifier_candidates": {}})
    table, compute = Table({"device": "", "torch": "", "commit": ""}), Compute(gpu_right.CPU, "", 1)
    table.begin("right", 60)
    gpu_right.trainings(table, settings, compute, tmp_path, steps=4, seconds=0.01)
    assert list(table.frame["verdict"]) == ["met", "missed", "not run: needs CUDA"]
