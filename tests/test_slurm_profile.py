"""Test what needs no cluster: the shipped profile, jobs that outlived a command, the hours of the paper's graph."""

import re
import subprocess
import sys

import pytest
import yaml

from asdlib.data.file_names import MACHINES
from asdlib.errors import AsdError
from asdlib.execution import slurm
from asdlib.execution.reproduce import alone

pytestmark = pytest.mark.slow

LABELS = ("normal", "anomaly")


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Return a function that lets a program ``squeue`` print a text once."""

    def answer(text: str, code: int = 0) -> None:
        said = tmp_path / "said"
        said.write_text(text)
        program = tmp_path / "squeue"
        program.write_text(f"#!/bin/sh\ncat {said}\n: > {said}\nexit {code}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return answer


def test_only_jobs_of_this_folder_are_ours(squeue, tmp_path):
    home, other = tmp_path / "a home | here", tmp_path / "other"
    (home / slurm.LOGS).mkdir(parents=True)
    lines = [f"7|asdlib_1f0c|{home}", f"8|asdlib_1f0c|{other}", f"9|bash|{home}", f"10|asdlib_77|{home}"]
    squeue("\n".join(lines) + "\n")
    assert slurm.jobs(home) == ["10", "7"]


def test_waits_until_they_have_ended(squeue, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(slurm, "PATIENCE", 0.0)
    squeue(f"7|asdlib_1f0c|{tmp_path}\n")
    slurm.wait(tmp_path)
    assert capsys.readouterr().out == ""  # nothing was submitted from here, so nobody is asked
    (tmp_path / slurm.LOGS).mkdir(parents=True)
    slurm.wait(tmp_path)
    assert "1 job(s) of an earlier command: 7" in capsys.readouterr().out


def test_a_slurm_that_does_not_answer_is_no_empty_one(squeue, tmp_path):
    squeue("", code=1)
    (tmp_path / slurm.LOGS).mkdir(parents=True)
    with pytest.raises(AsdError, match="nothing was started"):
        slurm.jobs(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("executor: [", "not valid YAML"),
        ("jobs: 3", "names no executor"),
        ("executor: slurm", "slurm-jobname-prefix must be asdlib"),
        ("{executor: slurm, slurm-jobname-prefix: asdlib}", "slurm-pass-command-as-script must be true"),
        (
            "{executor: slurm, slurm-jobname-prefix: asdlib, slurm-pass-command-as-script: true}",
            "sbatch is not installed here",
        ),
    ],
)
def test_a_profile_that_cannot_be_used_is_one_sentence(tmp_path, monkeypatch, text, words):
    monkeypatch.setenv("PATH", str(tmp_path))
    if text is not None:
        (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(AsdError, match=re.escape(words)):
        slurm.profile(tmp_path)


def test_every_stage_has_its_memory_and_time(root):
    options = yaml.safe_load((root / "params" / "slurm" / "config.yaml").read_text(encoding="utf-8"))
    rules = re.findall(r"^rule (\w+):", (root / "Snakefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(options["set-resources"]) <= set(rules)
    for rule in rules:
        asked = options["default-resources"] | options["set-resources"].get(rule, {})
        assert {"slurm_partition", "mem_mb", "runtime"} <= set(asked)
        assert ("gpu" in asked) == (asked["slurm_partition"] == "gpu")


def test_the_papers_graph_in_jobs_and_hours(project, root):
    """Count from the profile: 7 machine types of 3 sections, every candidate of each branch."""
    home = project("paper")
    for machine in MACHINES:
        for section in ("00", "01", "02"):
            for folder, end in (
                ("train", "source_train_normal"),
                ("train", "target_train_normal"),
                *((f"{domain}_test", f"{domain}_test_{label}") for domain in ("source", "target") for label in LABELS),
            ):
                place = home / "data" / "dcase2021" / machine / folder
                place.mkdir(parents=True, exist_ok=True)
                for number in range(3):
                    (place / f"section_{section}_{end}_{number:04d}.wav").touch()
    command = [sys.executable, "-m", "asdlib", "reproduce", "--profile", "paper", "--dry-run", "--cluster"]
    done = subprocess.run([*command, "params/slurm"], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found = dict(re.findall(r"^ *(\w+) +(\d+ +\d+ +\d+)$", done.stdout, flags=re.MULTILINE))
    found = {stage: tuple(int(number) for number in numbers.split()) for stage, numbers in found.items()}
    paper = yaml.safe_load((root / "params" / "paper.yaml").read_text(encoding="utf-8"))
    autoencoders, classifiers = (7 * len(paper[f"{name}_candidates"]) for name in ("autoencoder", "classifier"))
    assert found["train_autoencoder"][0] == found["score_autoencoder"][0] == autoencoders
    assert found["train_classifier"][0] == 3 * classifiers and found["score_classifier"][0] == classifiers
    limits = yaml.safe_load((root / "params" / "slurm" / "config.yaml").read_text(encoding="utf-8"))["set-resources"]
    for stage, (jobs, hours, gpu_hours) in found.items():
        if stage in limits:
            assert hours == pytest.approx(jobs * limits[stage]["runtime"] / 60, abs=0.5)
            assert gpu_hours == hours * limits[stage].get("gpu", 0)
    parts = [numbers for stage, numbers in found.items() if stage != "sum"]
    assert found["sum"][0] == sum(jobs for jobs, _, _ in parts) > 300
    assert not (home / "runs").exists()


def test_snakemake_by_hand_does_not_run_next_to_the_command(project):
    home = project("hand")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", "profile=smoke"]
    with alone(home):
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "another `make reproduce` or Snakemake is running in this folder" in done.stderr
    assert not (home / "runs").exists() and not (home / "data").exists()
