"""Provide fixtures and markers that several test files share."""

import csv
import datetime
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from asdlib import atomic, params, records
from asdlib.__main__ import main
from asdlib.prepare import prepare_clips

hypothesis.settings.register_profile("untimed", deadline=None)  # on a busy machine a deadline fails by chance
hypothesis.settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent


NEEDS_RUN = re.compile(r"^def \w+\((?:[^)]*\W)?smoke\b", re.MULTILINE)
"""matches a test or fixture that needs the smoke run"""


def pytest_itemcollected(item):
    """Mark tests that need the smoke run as slow."""
    if "smoke" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.slow)


def pytest_collection_modifyitems(items):
    """Start with the files that take longest: first those that need the smoke run, then those with slow tests."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not needs_run(item.path), item.path not in slow))


@functools.cache
def needs_run(file: Path) -> bool:
    """Return whether a test or fixture in a file needs the smoke run."""
    return NEEDS_RUN.search(file.read_text(encoding="utf-8")) is not None


class ByFixture(LoadScopeScheduling):
    """Scheduler that keeps a file's tests in one process, and those of all files that need the smoke run as well."""

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        return "smoke" if needs_run(ROOT / file) else file


def pytest_xdist_make_scheduler(config, log):
    """Let pytest-xdist distribute tests by the fixtures that they share."""
    return ByFixture(config, log)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Return the folder of real recordings and scores, which are not part of the project; skip the test without it."""
    folder = Path(os.environ.get("ASD_REALDATA", ROOT.parent / "shared" / "realdata"))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder} (set ASD_REALDATA)")
    return folder


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """Return a function that creates a project folder in which nothing has run."""

    def make(name: str) -> Path:
        home = tmp_path_factory.mktemp(name)
        for part in ("notebooks", "params", "Snakefile", "LOG.md"):
            (home / part).symlink_to(ROOT / part)
        shutil.copytree(ROOT / "book", home / "book", ignore=shutil.ignore_patterns("_build", "__pycache__"))
        return home

    return make


@pytest.fixture(scope="session")
def few_clips(tmp_path_factory):
    """Return the settings of decoded synthetic clips of one second: two machine types with two sections each."""
    home = tmp_path_factory.mktemp("few_clips")
    synthetic = params.Synthetic(
        machines=["fan", "valve"],
        sections=["00", "02"],
        duration=1.0,
        train_source=3,
        train_target=1,
        test_normal=3,
        test_anomaly=4,
    )
    data = params.Data(root=str(home / "data"), synthetic=synthetic)
    settings = params.Settings(profile="t", title="t", runs=str(home / "runs"), data=data)
    prepare_clips(settings)
    return settings


@pytest.fixture(scope="session")
def smoke(project) -> Path:
    """Return a project folder in which the command of the README ran the smoke profile, from no data to the book."""
    home = project("home")
    command = [sys.executable, "-m", "asdlib", "reproduce", "--profile", "smoke", "--jobs", "2"]
    environment = {name: value for name, value in os.environ.items() if name != "ASDLIB_HOME"}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return home


@pytest.fixture(scope="session")
def commit() -> str:
    """Return the commit of the working tree, before a test writes to it."""
    return records.commit()


@pytest.fixture
def note(request, commit):
    """Return a function that stores a figure for the book's page on reliability, if RELIABILITY names a CSV file."""

    def keep(what: str, value: float) -> None:
        if not os.environ.get("RELIABILITY"):
            return
        path, rows = Path(os.environ["RELIABILITY"]), {}
        if path.is_file():
            with open(path, encoding="utf-8", newline="") as stream:
                rows = {(row["test"], row["what"]): row for row in csv.DictReader(stream)}
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        test = request.node.nodeid.partition("[")[0]
        row = {"test": test, "what": what, "value": value, "commit": commit, "date": today}
        with atomic.writing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, list(row), lineterminator="\n")
            table.writeheader()
            table.writerows((rows | {(test, what): row}).values())

    return keep


@pytest.fixture
def command(capsys):
    """Return a function that runs a command of ``asdlib``: exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
