"""Test downloads from a misbehaving server: files are complete and verified, and there are no others."""

import hashlib
import http.server
import io
import json
import shutil
import stat
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from asdlib.__main__ import main
from asdlib.data import download, unpack, zenodo
from asdlib.errors import DataError

pytestmark = pytest.mark.slow

RECORD = 4562016
NAME = "dev_data_fan.zip"
FILES = {
    f"fan/{folder}/section_00_{rest}_{index:04d}.wav": np.random.default_rng(index).bytes(20_000)
    for folder, rest in (("train", "source_train_normal"), ("source_test", "source_test_anomaly"))
    for index in range(3)
}


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """Serve Zenodo's interface on this machine; each request for an archive takes the first of ``faults``."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.daemon_threads = True
        self.archives, self.faults, self.asked, self.stated = {NAME: zipped(FILES)}, [], [], {}
        self.shape, self.headers = lambda files: files, {}
        self.address = f"http://127.0.0.1:{self.server_port}"

    def record(self) -> bytes:
        files = [
            {
                "key": name,
                "size": len(content),
                "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
                "links": {"self": f"{self.address}/api/records/{RECORD}/files/{name}/content"},
            }
            | self.stated
            for name, content in self.archives.items()
        ]
        return json.dumps({"id": RECORD, "files": self.shape(files)}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, path = self.server, self.path
        server.asked.append((path, self.headers.get("Range")))
        fault = server.faults.pop(0) if server.faults else None
        if isinstance(fault, int):
            self.send_response(fault)
            self.send_header("Retry-After", server.headers.get("Retry-After", "1"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if path == f"/api/records/{RECORD}":
            return self._send(200, server.record())
        name = path.split("/")[-2]
        if name not in server.archives:
            return self.send_error(404)
        content, start, code = server.archives[name], 0, 200
        asked = self.headers.get("Range")
        if asked and fault != "ignores ranges":
            start, code = int(asked.removeprefix("bytes=").rstrip("-")), 206
        if start >= len(content):
            return self._send(416, b"")
        self._send(code, content, start, fault)

    def _send(self, code, content, start=0, fault=None):
        body = content[start:]
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        if "Content-Type" in self.server.headers and body[:2] != b'{"':
            self.send_header("Content-Type", self.server.headers["Content-Type"])
        if code == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        half = len(body) // 2
        if fault == "corrupts":
            body = body[:half] + bytes([body[half] ^ 1]) + body[half + 1 :]
        self.wfile.write(body if fault in (None, "corrupts", "ignores ranges") else body[:half])
        self.wfile.flush()
        if fault == "stalls":
            time.sleep(1.0)
        if fault in ("stalls", "truncates"):
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(zenodo, "PAUSE", 0.01)
    monkeypatch.setattr(zenodo, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(zenodo, "STALL", 0.3)
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def run(server, folder, *more) -> int:
    return main(["data", "download", str(folder), "--machine", "fan", "--address", server.address, *more])


def found(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("fan/*/*")}


def test_the_records_files_arrive_and_stay(server, tmp_path, capsys):
    assert run(server, tmp_path / "in") == 0
    out = capsys.readouterr().out
    assert "of disk needed" in out and "free" in out and "verified, 6 files" in out
    assert found(tmp_path / "in") == FILES
    assert [path.name for path in (tmp_path / "in" / ".download").iterdir() if path.suffix != ".json"] == ["lock"]
    asked = len(server.asked)
    assert run(server, tmp_path / "in") == 0 and "there already" in capsys.readouterr().out
    assert server.asked[asked:] == [(f"/api/records/{RECORD}", None)]
    next((tmp_path / "in").glob("fan/train/*")).unlink()  # what got lost is fetched again
    assert run(server, tmp_path / "in") == 0 and found(tmp_path / "in") == FILES


FAULTS = ["stalls", "truncates", "corrupts", "ignores ranges", 429, 500, 503]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_survived(server, tmp_path, fault, note):
    server.faults = [None, fault]  # the record first
    assert run(server, tmp_path / "in") == 0 and found(tmp_path / "in") == FILES
    note(f"downloads from a server that {fault if isinstance(fault, str) else f'answers {fault}'}, complete", 1)


def test_faults_in_any_order_are_survived(server, tmp_path, note):
    injected = 0
    for seed in range(15):
        rng = np.random.default_rng(seed)
        server.faults = [None, *(FAULTS[index] for index in rng.integers(len(FAULTS), size=rng.integers(2, 6)))]
        if server.faults.count("corrupts") > 2:
            continue
        given, folder = len(server.faults), tmp_path / str(seed)
        assert run(server, folder) == 0 and found(folder) == FILES
        injected += given - len(server.faults) - 1  # a server that ignores ranges may send all before the others come
    assert injected > 20
    note("faults of a server in random order, all downloads complete", injected)


def test_a_broken_download_continues_where_it_stopped(server, tmp_path):
    content = server.archives[NAME]
    server.faults = [None, "truncates", "truncates"]
    assert run(server, tmp_path / "in") == 0
    first, *starts = [asked for path, asked in server.asked if path.endswith("/content")]
    assert first is None and len(starts) == 2
    arrived = 0  # half of what is left, but for the last block, which a broken connection takes with it
    for start in (int(asked.removeprefix("bytes=").rstrip("-")) for asked in starts):
        half = (len(content) - arrived) // 2
        assert arrived + half - download._BLOCK < start <= arrived + half
        arrived = start


def test_a_killed_download_continues(server, tmp_path):
    store = tmp_path / "in" / ".download"
    store.mkdir(parents=True)
    (store / f"{NAME}.part").write_bytes(server.archives[NAME][:1000])
    (store / "dev_data_fan" / "fan").mkdir(parents=True)  # half unpacked
    assert run(server, tmp_path / "in") == 0 and found(tmp_path / "in") == FILES
    assert server.asked[-1][1] == "bytes=1000-"


def test_downloads_that_never_match_are_given_up(server, tmp_path, capsys):
    server.faults = [None, *["corrupts"] * 3]
    assert run(server, tmp_path / "in") == 2
    assert "did not match the MD5" in capsys.readouterr().err and found(tmp_path / "in") == {}
    server.faults = [None, *[503] * 20]
    assert run(server, tmp_path / "in") == 2
    assert (
        "gave up after 9 attempts" in (error := capsys.readouterr().err)
        and "run the same command again to resume" in error
    )
    server.stated = {"size": len(server.archives[NAME]) - 40_000}  # the record and the file differ
    server.faults = []
    assert run(server, tmp_path / "in") == 2 and "did not match" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stated": {"checksum": "md5:xyz"}}, "no size or MD5"),
        ({"stated": {"size": "many"}}, "no size or MD5"),
        ({"stated": {"key": "other.zip"}}, "has no dev_data_fan.zip; it has other.zip"),
        ({"stated": {"size": 10**15}}, "1000000.0 GB to download"),
        ({"faults": [404]}, "answers 404"),
    ],
)
def test_a_record_that_cannot_be_used(server, tmp_path, capsys, change, words):
    for name, value in change.items():
        setattr(server, name, value)
    assert run(server, tmp_path / "in") == 2
    captured = capsys.readouterr()
    assert words in captured.out + captured.err and captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert found(tmp_path / "in") == {}


def test_wrong_arguments(server, tmp_path, capsys):
    assert main(["data", "download", str(tmp_path), "--machine", "fann"]) == 2
    assert "did you mean 'fan'" in capsys.readouterr().err
    assert main(["data", "download", str(tmp_path), "--address", "file:///etc"]) == 2
    assert "not an address to download from" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["data", "download", str(tmp_path), "--sections", "all"])


def test_a_record_cannot_send_elsewhere(server, tmp_path):
    """Files are fetched from the server that delivered the record."""
    server.stated = {"links": {"self": "file:///etc/passwd"}}
    assert run(server, tmp_path / "in") == 0 and found(tmp_path / "in") == FILES
    assert {path.rpartition("/files/")[0] for path, _ in server.asked[1:]} == {f"/api/records/{RECORD}"}


def linked(name: str, target: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo(name)
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, target)
        archive.writestr(f"{name}/evil.wav", b"x")
    return stream.getvalue()


HOSTILE = {
    "a path outside the folder": zipped({"fan/train/a.wav": b"a", "../evil.wav": b"x"}),
    "a deeper path outside the folder": zipped({"fan/../../evil.wav": b"x"}),
    "an absolute path": zipped({"/tmp/evil.wav": b"x"}),
    "backslashes in a path": zipped({"..\\evil.wav": b"x"}),
    "a line break in a name": zipped({"fan/train/\n.wav": b"x"}),
    "a hidden name": zipped({".download/dev_data_valve.zip.json": b"{}"}),
    "a link": linked("fan/train", "/tmp"),
    "a zip bomb": zipped({"fan/train/zeros.wav": bytes(20_000_000)}),
    "two entries for one file": zipped({"fan/train/a.wav": b"a", "fan/train//a.wav": b"b"}),
    "no zip file": b"PK\x05\x06 this is none" * 10,
    "a truncated file": zipped(FILES)[:-100],
    "damaged bytes": zipped(FILES).replace(zipped(FILES)[200:260], bytes(60), 1),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused(server, tmp_path, capsys, kind, note):
    server.archives[NAME] = HOSTILE[kind]
    assert run(server, tmp_path / "deep" / "in") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and NAME in error and error.count("\n") == 1
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left <= {"lock", NAME} and not Path("/tmp/evil.wav").exists()
    note(f"archive refused: {kind}", 1)


def test_an_archive_with_false_sizes_is_refused(tmp_path):
    """No more bytes are written than the directory of a zip file states."""
    content = bytearray(zipped({"fan/train/zeros.wav": bytes(3_000_000)}))
    place = content.rindex(b"PK\x01\x02") + 24
    assert int.from_bytes(content[place : place + 4], "little") == 3_000_000
    content[place : place + 4] = (1000).to_bytes(4, "little")
    path = tmp_path / NAME
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack.unpack(path, tmp_path / "temporary", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_reported_before_the_download(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))
    assert run(server, tmp_path / "in") == 2
    assert "1.0 kB free; expected about" in capsys.readouterr().err
    assert not any(path.endswith("/content") for path, _ in server.asked)


def test_two_downloads_do_not_meet(server, tmp_path, capsys):
    from asdlib.atomic import only_one

    with only_one(tmp_path / "in" / ".download" / "lock", "taken"):
        assert run(server, tmp_path / "in") == 2
    assert "another download into this folder" in capsys.readouterr().err


def test_addresses_of_the_challenge():
    """Compare with METHOD and the challenge's pages."""
    assert {record for record, _ in zenodo.PARTS.values()} == {4562016, 4660992, 4884786}
    assert zenodo.PARTS["evaluation"][1].format(machine="ToyCar") == "eval_data_test_ToyCar.zip"


SHAPES = {
    "entries by name": lambda files: {"enabled": True, "entries": {file.pop("key"): file for file in files}},
    "entries in a list": lambda files: {"entries": files},
    "as a deposit": lambda files: [
        {"filename": f["key"], "filesize": f["size"], "checksum": f["checksum"].removeprefix("md5:")} for f in files
    ],
    "another file without a name": lambda files: [{"key": None, "size": 1}, *files],
    "no links": lambda files: [{key: file[key] for key in file if key != "links"} for file in files],
    "links of another kind": lambda files: [file | {"links": "none"} for file in files],
    "capital digits": lambda files: [
        file | {"checksum": file["checksum"].upper().replace("MD5", "md5")} for file in files
    ],
    "size as text": lambda files: [file | {"size": str(file["size"])} for file in files],
}
USELESS = {
    "names only": (lambda files: [file["key"] for file in files], "no record with a list of files"),
    "nothing": (lambda files: None, "no record with a list of files"),
    "no entries": (lambda files: {"enabled": False}, "no record with a list of files"),
    "none": (lambda files: [], "has no dev_data_fan.zip; it has no files"),
    "sha": (lambda files: [file | {"checksum": "sha256:" + "0" * 64} for file in files], "no size or MD5"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_records_in_other_schemas(server, tmp_path, shape):
    server.shape = SHAPES[shape]
    download.download(tmp_path, "fan", "development", server.address)
    assert all((tmp_path / name).read_bytes() == content for name, content in FILES.items())


@pytest.mark.parametrize("shape", USELESS)
def test_incomplete_records(server, tmp_path, shape):
    server.shape, words = USELESS[shape]
    with pytest.raises(DataError, match=words):
        download.download(tmp_path, ["fan"], ["development"], server.address)


@pytest.mark.parametrize(("code", "words"), [(403, "refuses this network"), (410, "successor"), (404, "check the add")])
def test_refusals_contain_a_remedy(server, tmp_path, code, words):
    server.faults = [code]
    with pytest.raises(DataError, match=words):
        download.download(tmp_path, ["fan"], ["development"], server.address)


@pytest.mark.parametrize(
    ("after", "wait"),
    [("1800", "30 minutes"), ("7200", "2 hours"), ("Wed, 21 Oct 2099 07:28:00 GMT", "[0-9]{5} days")],
)
def test_a_server_that_demands_half_an_hour_of_waiting_is_not_asked_again(server, tmp_path, after, wait):
    server.faults, server.headers = [429] * 5, {"Retry-After": after}
    with pytest.raises(DataError, match=f"asks to wait {wait} "):
        download.download(tmp_path, ["fan"], ["development"], server.address)
    assert len(server.asked) == 1


def test_a_web_page_is_no_archive(server, tmp_path):
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(DataError, match="web page in place of the archive"):
        download.download(tmp_path, ["fan"], ["development"], server.address)


def test_files_of_operating_systems_in_an_archive_are_not_unpacked(server, tmp_path):
    extra = {"__MACOSX/fan/train/._a.wav": b"x", "fan/.DS_Store": b"x", "fan/train/._b.wav": b"x"}
    server.archives[NAME] = zipped(FILES | extra)
    download.download(tmp_path, ["fan"], ["development"], server.address)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith(".download")} == set(FILES)
