"""What exists is whole: files and folders appear complete or not at all."""

import json
import os
import subprocess

import pytest

import asdlib
from asdlib import artefacts


class Interrupted(BaseException):
    """Stands for Ctrl-C and the like, which are no ``Exception``."""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Interrupted])
@pytest.mark.parametrize("older", [False, True])
def test_an_unfinished_file_leaves_no_trace(tmp_path, error, older):
    path = tmp_path / "deep" / "value.csv"
    if older:
        with artefacts.writing(path) as temporary:
            temporary.write_text("old")
    with pytest.raises(error), artefacts.writing(path) as temporary:
        temporary.write_text("half")
        assert not path.exists() or path.read_text() == "old"
        raise error
    assert [(file.name, file.read_text()) for file in path.parent.iterdir()] == [("value.csv", "old")] * older


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Interrupted])
@pytest.mark.parametrize("older", [False, True])
def test_an_unfinished_folder_leaves_no_trace(tmp_path, error, older):
    path = tmp_path / "deep" / "model"
    if older:
        with artefacts.writing(path, folder=True) as temporary:
            (temporary / "old").write_text("old")
    with pytest.raises(error), artefacts.writing(path, folder=True) as temporary:
        (temporary / "new").write_text("half")
        assert not (path / "new").exists()
        raise error
    assert [folder.name for folder in path.parent.iterdir()] == ["model"] * older
    assert [file.name for file in path.glob("*")] == ["old"] * older


def test_a_folder_replaces_the_older_one(tmp_path):
    path = tmp_path / "model"
    for name in ("old", "new"):
        with artefacts.writing(path, folder=True) as temporary:
            (temporary / name).write_text(name)
    assert [file.name for file in path.iterdir()] == ["new"]
    assert [folder.name for folder in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_older_one(tmp_path, monkeypatch):
    path = tmp_path / "model"
    with artefacts.writing(path, folder=True) as temporary:
        (temporary / "old").write_text("old")
    rename = type(path).rename

    def failing(self, target):
        if target == path and not self.name.endswith(".old"):
            raise OSError("no space")
        return rename(self, target)

    monkeypatch.setattr(type(path), "rename", failing)
    with pytest.raises(OSError, match="no space"), artefacts.writing(path, folder=True) as temporary:
        (temporary / "new").write_text("new")
    assert [file.name for file in path.iterdir()] == ["old"]
    assert [folder.name for folder in tmp_path.iterdir()] == ["model"]


def test_others_can_read_what_was_written(tmp_path):
    with artefacts.writing(tmp_path / "file.txt") as temporary:
        assert temporary.suffix == ".txt"  # libraries choose a format by it
        temporary.write_text("x")
    with artefacts.writing(tmp_path / "folder", folder=True):
        pass
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755


def test_json_is_whole_readable_and_without_nan(tmp_path):
    path = tmp_path / "value.json"
    artefacts.write_json({"b": "ä", "a": [1, 2.5, None]}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"b": "ä", "a": [1, 2.5, None]}
    assert "ä" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        artefacts.write_json({"a": float("nan")}, path)
    assert json.loads(path.read_text(encoding="utf-8"))["b"] == "ä"


def test_fingerprint():
    assert artefacts.fingerprint({"a": 1, "b": [2]}) == artefacts.fingerprint({"b": [2], "a": 1})
    assert artefacts.fingerprint({"a": 1}) != artefacts.fingerprint({"a": 2})
    assert len(artefacts.fingerprint({})) == 12


def test_record_says_what_made_it():
    record = artefacts.record({"a": 1}, seed=3, device="thing", data="abc", seconds=1.234, parameters=5)
    assert record["settings"] == {"a": 1} and record["settings_fingerprint"] == artefacts.fingerprint({"a": 1})
    assert (record["seed"], record["device"], record["data_fingerprint"]) == (3, "thing", "abc")
    assert record["wall_seconds"] == 1.23 and record["parameters"] == 5
    assert 10e6 < record["peak_bytes"] < 1e12, "bytes of a Python process"
    assert {"python", "asdlib", "torch"} <= set(record["versions"])
    json.dumps(record, allow_nan=False)


def test_commit_tells_changes(tmp_path, monkeypatch):
    folder = tmp_path / "clone"
    folder.mkdir()
    environment = {**os.environ, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    environment |= {"GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}

    def git(*words):
        done = subprocess.run(["git", *words], cwd=folder, env=environment, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    monkeypatch.setattr(artefacts, "__file__", str(folder / "artefacts.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert artefacts.commit() == "unknown"
    git("init", "-q")
    (folder / "file").write_text("x")
    git("add", "file")
    git("commit", "-qm", "first")
    head = git("rev-parse", "--short=12", "HEAD")
    assert artefacts.commit() == head
    (folder / "file").write_text("y")
    assert artefacts.commit() == head + "+changes"


def test_what_other_settings_made_is_not_mixed_in(tmp_path):
    path = tmp_path / "record.json"
    artefacts.made_with(path, {"a": 1})  # no record, no evidence
    artefacts.write_json({"settings": {"a": [1, 2], "b": {"c": 3}, "more": 4}}, path)
    artefacts.made_with(path, {"a": (1, 2), "b": {"c": 3}})
    for wanted in ({"a": [1]}, {"b": {"c": 4}}, {"new": 1}):
        with pytest.raises(artefacts.SettingsError, match=r"record.json: made with .*, while this run has .*; delete"):
            artefacts.made_with(path, wanted)


def test_a_lock_is_held_by_one_and_dropped(tmp_path):
    path = tmp_path / "deep" / "lock"
    with artefacts.only_one(path, "taken"):
        with pytest.raises(asdlib.AsdError, match="taken"), artefacts.only_one(path, "taken"):
            pass
    with artefacts.only_one(path, "taken"):
        pass
