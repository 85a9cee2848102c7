"""Test that environment.yml and pyproject.toml list the same packages, without running conda."""

import tomllib

import yaml


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
