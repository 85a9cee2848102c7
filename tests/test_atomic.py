"""Test that files and folders appear complete or not at all."""

import errno
import json
import os
import socket
import subprocess

import pytest

import asdlib
from asdlib import atomic, records
from asdlib.errors import ArtefactError
from asdlib.execution import kernels


class Interrupted(BaseException):
    """Stand in for Ctrl-C and the like, which are not subclasses of ``Exception``."""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Interrupted])
@pytest.mark.parametrize("older", [False, True])
def test_an_unfinished_file_leaves_no_trace(tmp_path, error, older):
    path = tmp_path / "deep" / "value.csv"
    if older:
        with atomic.writing(path) as temporary:
            temporary.write_text("old")
    with pytest.raises(error), atomic.writing(path) as temporary:
        temporary.write_text("half")
        assert not path.exists() or path.read_text() == "old"
        raise error
    assert [(file.name, file.read_text()) for file in path.parent.iterdir()] == [("value.csv", "old")] * older


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Interrupted])
@pytest.mark.parametrize("older", [False, True])
def test_an_unfinished_folder_leaves_no_trace(tmp_path, error, older):
    path = tmp_path / "deep" / "model"
    if older:
        with atomic.writing(path, folder=True) as temporary:
            (temporary / "old").write_text("old")
    with pytest.raises(error), atomic.writing(path, folder=True) as temporary:
        (temporary / "new").write_text("half")
        assert not (path / "new").exists()
        raise error
    assert [folder.name for folder in path.parent.iterdir()] == ["model"] * older
    assert [file.name for file in path.glob("*")] == ["old"] * older


def test_a_folder_replaces_the_older_one(tmp_path):
    path = tmp_path / "model"
    for name in ("old", "new"):
        with atomic.writing(path, folder=True) as temporary:
            (temporary / name).write_text(name)
    assert [file.name for file in path.iterdir()] == ["new"]
    assert [folder.name for folder in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_older_one(tmp_path, monkeypatch):
    path = tmp_path / "model"
    with atomic.writing(path, folder=True) as temporary:
        (temporary / "old").write_text("old")
    rename = type(path).rename

    def failing(self, target):
        if target == path and not self.name.endswith(".old"):
            raise OSError("no space")
        return rename(self, target)

    monkeypatch.setattr(type(path), "rename", failing)
    with pytest.raises(OSError, match="no space"), atomic.writing(path, folder=True) as temporary:
        (temporary / "new").write_text("new")
    assert [file.name for file in path.iterdir()] == ["old"]
    assert [folder.name for folder in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_written_files_have_the_permissions_that_the_user_asks_for(tmp_path, monkeypatch, umask):
    """Temporary files are readable by nobody else."""
    monkeypatch.setattr(atomic, "_UMASK", umask)
    with atomic.writing(tmp_path / "file.txt") as temporary:
        assert temporary.suffix == ".txt"  # libraries choose a format by it
        temporary.write_text("x")
    with atomic.writing(tmp_path / "folder", folder=True) as temporary:
        (temporary / "inner").mkdir(0o700)
        (temporary / "inner" / "file").touch(0o600)  # as safetensors does
    with atomic.writing(tmp_path / "folder", folder=True, last="z") as temporary:
        (temporary / "a").touch(0o600)
        (temporary / "z").touch(0o600)
    modes = {path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    files = dict.fromkeys(["file.txt", "folder/inner/file", "folder/a", "folder/z"], 0o666 & ~umask)
    assert modes == files | dict.fromkeys(["folder", "folder/inner"], 0o777 & ~umask)


def test_json_is_whole_readable_and_without_nan(tmp_path):
    path = tmp_path / "value.json"
    atomic.write_json({"b": "ä", "a": [1, 2.5, None]}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"b": "ä", "a": [1, 2.5, None]}
    assert "ä" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.write_json({"a": float("nan")}, path)
    assert json.loads(path.read_text(encoding="utf-8"))["b"] == "ä"


@pytest.mark.parametrize("text", ["", "{", '{"a": "b', "[]", "\x00" * 20, "\x00", "null"])
def test_json_cut_by_a_crash_is_named(tmp_path, text):
    (tmp_path / "record.json").write_text(text)
    with pytest.raises(ArtefactError, match=r"record\.json: not a whole JSON object; delete it"):
        records.check_settings(tmp_path / "record.json", {"seed": 1})


def test_fingerprint():
    assert records.fingerprint({"a": 1, "b": [2]}) == records.fingerprint({"b": [2], "a": 1})
    assert records.fingerprint({"a": 1}) != records.fingerprint({"a": 2})
    assert len(records.fingerprint({})) == 12


def test_the_record_has_settings_versions_and_commit():
    record = records.record({"a": 1}, seed=3, device="thing", data="abc", seconds=1.234, parameters=5)
    assert record["settings"] == {"a": 1} and record["settings_fingerprint"] == records.fingerprint({"a": 1})
    assert (record["seed"], record["device"], record["data_fingerprint"]) == (3, "thing", "abc")
    assert record["wall_seconds"] == 1.23 and record["parameters"] == 5
    assert 10e6 < record["peak_bytes"] < 1e12, "bytes of a Python process"
    assert {"python", "asdlib", "torch"} <= set(record["versions"])
    json.dumps(record, allow_nan=False)


@pytest.fixture
def repository(tmp_path):
    """Return a function that creates a repository with one commit of a folder's files, and returns git in it."""
    environment = {**os.environ, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    environment |= {"GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}

    def make(folder):
        def git(*words):
            run = {"cwd": folder, "env": environment, "check": True, "capture_output": True, "text": True}
            return subprocess.run(["git", *words], **run).stdout.strip()

        git("init", "-q")
        git("add", "-A")
        git("commit", "-qm", "first")
        return git

    return make


def project(folder, name="asdlib"):
    (folder / "asdlib").mkdir(parents=True)
    (folder / "asdlib" / "atomic.py").write_text("x")
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    return folder


def test_the_commit_marks_uncommitted_changes(tmp_path, monkeypatch, repository):
    folder = project(tmp_path / "clone")
    monkeypatch.setattr(records, "__file__", str(folder / "asdlib" / "records.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert records.commit() == "unknown"
    git = repository(folder)
    head = git("rev-parse", "--short=12", "HEAD")
    assert records.commit() == head
    (folder / "pyproject.toml").write_text('[project]\nname = "asdlib"\nversion = "2"\n')
    assert records.commit() == head + "+changes"


def test_no_commit_but_ours_is_recorded(tmp_path, monkeypatch, repository):
    """Cover packages in a user's repository (installed, ignored or copied), and git's environment variables."""
    theirs = tmp_path / "theirs"
    inside = project(theirs / ".venv" / "lib" / "site-packages")
    (theirs / ".gitignore").write_text(".venv\n")
    repository(theirs)
    monkeypatch.setattr(records, "__file__", str(inside / "asdlib" / "records.py"))
    assert records.commit() == "unknown"
    copied = project(tmp_path / "copied", name="their-work")
    repository(copied)
    monkeypatch.setattr(records, "__file__", str(copied / "asdlib" / "records.py"))
    assert records.commit() == "unknown"
    ours = project(tmp_path / "ours")
    head = repository(ours)("rev-parse", "--short=12", "HEAD")
    monkeypatch.setattr(records, "__file__", str(ours / "asdlib" / "records.py"))
    for name, value in (("GIT_DIR", theirs / ".git"), ("GIT_WORK_TREE", theirs), ("GIT_INDEX_FILE", theirs / "index")):
        monkeypatch.setenv(name, str(value))
    assert records.commit() == head


def test_artefacts_of_other_settings_are_refused(tmp_path):
    path = tmp_path / "record.json"
    records.check_settings(path, {"a": 1})  # no record, no evidence
    atomic.write_json({"settings": {"a": [1, 2], "b": {"c": 3}, "more": 4}}, path)
    records.check_settings(path, {"a": (1, 2), "b": {"c": 3}})
    for wanted in ({"a": [1]}, {"b": {"c": 4}}, {"new": 1}):
        with pytest.raises(ArtefactError, match=r"record.json: made with .*, while this run has .*; delete"):
            records.check_settings(path, wanted)


def test_a_lock_is_held_by_one_and_dropped(tmp_path):
    path = tmp_path / "deep" / "lock"
    with atomic.only_one(path, "taken"):
        with pytest.raises(asdlib.AsdError, match="taken"), atomic.only_one(path, "taken"):
            pass
    with atomic.only_one(path, "taken"):
        pass


def test_a_lock_without_locks_of_the_file_system(tmp_path, monkeypatch):
    """Without locks, as on some NFS, writers still take turns, and remains of ended processes are ignored."""

    def refuses(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(atomic.fcntl, "flock", refuses)
    path = tmp_path / "lock"
    with atomic.only_one(path, "taken"):
        with (
            pytest.raises(asdlib.AsdError, match=r"taken .*lock.holder: .*delete the file"),
            atomic.only_one(path, "taken"),
        ):
            pass
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / "lock.holder").write_text(f"{socket.gethostname()} {ended.pid}")
    with atomic.only_one(path, "taken"):
        pass
    (tmp_path / "lock.holder").write_text("another-machine 1")
    with pytest.raises(asdlib.AsdError, match="another-machine 1"), atomic.only_one(path, "taken"):
        pass


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_lock_in_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch, code):
    def refuses(path, *_, **__):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr("builtins.open", refuses)  # whoever runs this may be root, who may write everywhere
    with pytest.raises(ArtefactError, match=r"could not write .*lock \(.*choose another folder"):
        with atomic.only_one(tmp_path / "lock", "taken"):
            pass


def test_files_are_written_on_file_systems_without_modes(tmp_path, monkeypatch):
    def refuses(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(type(tmp_path), "chmod", refuses)
    atomic.write_json({"a": 1}, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}


def test_a_folder_that_cannot_be_written_to_is_named_whatever_its_path(tmp_path, monkeypatch):
    """``tempfile`` names the absolute path of a temporary file, which says nothing to whoever gave a relative one."""

    def refuses(dir, prefix, suffix):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / dir / f"{prefix}x{suffix}"))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(atomic.tempfile, "mkstemp", refuses)
    for path in ("a.html", "sub/a.html", tmp_path / "a.html"):
        with pytest.raises(
            ArtefactError, match=rf"^could not write {path} \(Permission denied\); .*make its folder wri"
        ):
            atomic.write_text("", path)


def test_sockets_have_room_whatever_tmpdir_is(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(kernels.tempfile, "tempdir", str(long))
    with kernels.socket_folder() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "kernel-12345"))
        assert folder.is_dir()
    assert not folder.exists()
    monkeypatch.setattr(kernels.os, "access", lambda *_: False)
    with pytest.raises(asdlib.AsdError, match="set TMPDIR to a shorter one"), kernels.socket_folder():
        pass
