"""Test that environment.yml and pyproject.toml list the same packages, without running conda."""

import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def test_environment_equals_pyproject(root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(name for group in ("all", "dev", "onnx", "slurm") for name in groups[group])]
    assert set(groups["score"]) <= set(groups["onnx"])
    environment = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))
    python, make, pip, by_pip = environment["dependencies"]
    assert sorted(by_pip["pip"]) == sorted([*wanted, "--editable ."])
    assert (python, make, pip) == (f"python{project['requires-python']}", "make", "pip")


def test_the_packages_for_users_are_listed(root):
    text = (root / "environment.yml").read_text(encoding="utf-8")
    asked = "jupyterlab jupyter-book papermill torch timm matplotlib seaborn pandas scikit-learn"
    assert [name for name in asked.split() if f'"{name}>=' not in text] == []


def test_an_installation_that_only_scores_is_small(root):
    """What ``pip install asdlib[score]`` brings, as it is installed here, under 500 MB and without PyTorch."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting, found = [*project["dependencies"], *project["optional-dependencies"]["score"]], {}
    while waiting:
        requirement = Requirement(waiting.pop())
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            assert name == "onnxruntime", name  # an optional package, which need not be installed for the tests
            pytest.skip("ONNX Runtime is not installed")
        files = [Path(distribution.locate_file(file)) for file in distribution.files or []]
        found[name] = sum(file.stat().st_size for file in files if file.is_file())
        waiting += distribution.requires or []
    assert not {"torch", "librosa", "scikit-learn", "matplotlib"} & set(found)
    assert {"numpy", "scipy", "pandas", "onnxruntime"} <= set(found)
    assert 50e6 < sum(found.values()) < 500e6, found
