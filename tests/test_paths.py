"""Test the paths of a run."""

from pathlib import Path
from types import SimpleNamespace

from asdlib import paths
from asdlib.paths import Run


def test_the_root_is_the_nearest_folder_with_params(tmp_path, monkeypatch):
    monkeypatch.delenv(paths.HOME, raising=False)
    inner = tmp_path / "notebooks" / "deep"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert paths.project_root() in (inner, *(parent for parent in inner.parents if (parent / "params").is_dir()))
    (tmp_path / "params").mkdir()
    assert paths.project_root() == tmp_path
    monkeypatch.setenv(paths.HOME, "/elsewhere")
    assert paths.project_root() == Path("/elsewhere")


def test_relative_runs_count_from_the_root_and_absolute_ones_do_not(monkeypatch):
    monkeypatch.setenv(paths.HOME, "/project")
    assert Run.of(SimpleNamespace(runs="runs", profile="demo")).folder == Path("/project/runs/demo")
    assert Run.of(SimpleNamespace(runs="/big/disk", profile="demo")).folder == Path("/big/disk/demo")


def test_artefacts_of_different_systems_never_meet():
    run = Run(Path("r"))
    assert run.scores("mobilenet", "fan") == Path("r/mobilenet/fan/scores.csv")
    assert run.scores("autoencoder", "fan", "base") == Path("r/autoencoder/fan/base/scores.csv")
    assert run.system("classifier", "fan", "base", "00") == Path("r/classifier/fan/00/base")
    assert run.data("fan") == Path("r/data/fan")
    assert run.notebook("04_reconstruction_errors", "fan", "base").name == "04_reconstruction_errors.fan.base.ipynb"


def test_checkpoints_of_other_settings_are_other_files():
    run = Run(Path("r"))
    one = run.checkpoint("autoencoder", "fan", "base", "train", {"steps": 1})
    assert one == run.checkpoint("autoencoder", "fan", "base", "train", {"steps": 1})
    assert one != run.checkpoint("autoencoder", "fan", "base", "train", {"steps": 2})
    assert run.checkpoint("mobilenet", "fan", None, "train", {}).name.startswith("mobilenet.fan.train.")
