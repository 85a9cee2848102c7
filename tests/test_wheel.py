"""Test that the wheel is complete, has type information and profiles, and runs outside the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata

import pytest

import asdlib

pytestmark = pytest.mark.slow

WANTED = 77  # what pyproject.toml asks for; nothing is fetched in a test


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    found = int(metadata.version("setuptools").partition(".")[0]) if shutil.which("pip") else 0
    if found < WANTED:
        pytest.skip(f"building needs pip and setuptools {WANTED} or newer in the environment, found {found}")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(root / "asdlib", source / "asdlib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    command = [sys.executable, "-m", "pip", "wheel", str(source), "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "--wheel-dir", str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return path


def test_contents_of_the_wheel(wheel, root):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert wheel.name == f"asdlib-{asdlib.__version__}-py3-none-any.whl"
    assert "asdlib/py.typed" in names
    assert {f"asdlib/profiles/{path.name}" for path in (root / "params").glob("*.yaml")} <= names
    modules = {str(path.relative_to(root)) for path in (root / "asdlib").rglob("*.py")}
    assert modules == {name for name in names if name.endswith(".py")}
    assert {name.partition("/")[0] for name in names} == {"asdlib", f"asdlib-{asdlib.__version__}.dist-info"}


def test_it_runs_outside_the_checkout(wheel, tmp_path):
    place = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(place)
    environment = {name: value for name, value in os.environ.items() if name != "ASDLIB_HOME"}
    run = {"cwd": tmp_path, "env": environment | {"PYTHONPATH": str(place)}, "capture_output": True, "text": True}
    words = "import asdlib; from asdlib import params; print(asdlib.__file__, params.load('quick').profile)"
    done = subprocess.run([sys.executable, "-c", words], check=True, **run)
    assert done.stdout.split() == [str(place / "asdlib" / "__init__.py"), "quick"]
    done = subprocess.run([sys.executable, "-m", "asdlib", "fit", "--help"], check=True, **run)
    assert "--false-alarms RATE" in done.stdout
