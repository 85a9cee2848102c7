"""Test that no foreign code is executed: no pickle, no shell, no open port."""

import ast
import io
import json
import os
import pickle
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from asdlib import checkpoints
from asdlib.data.audio import Waveforms
from asdlib.errors import DataError, ModelError
from asdlib.execution import notebooks
from asdlib.params import yaml12
from asdlib.paths import DECODED

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = [
    "'; touch hacked; '",
    '"; touch hacked; "',
    "$(touch hacked)",
    "`touch hacked`",
    "a & touch hacked | touch hacked > hacked < hacked",
    "-rf",
    "--parameters",
    "a b  c",
    "#x",
    "~",
    "!!",
    "%s %(machine)s $HOME",
    "a,b=c:d",
    "ünïcödé 機械",
]


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("hacked",)


def pickled() -> dict[str, bytes]:
    """Return the same attack in every format that one of our libraries might open."""
    plain, archive, array = pickle.dumps(Malicious()), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as stream:  # as torch.save writes it
        stream.writestr("archive/data.pkl", plain)
        stream.writestr("archive/version", "3\n")
    np.save(array, np.array([Malicious()], dtype=object), allow_pickle=True)
    return {"pickle": plain, "torch archive": archive.getvalue(), "object array": array.getvalue()}


@pytest.mark.parametrize("kind", pickled())
def test_no_pickle_is_opened(tmp_path, monkeypatch, kind, note):
    monkeypatch.chdir(tmp_path)
    bad = tmp_path / "bad"
    bad.write_bytes(pickled()[kind])
    module = torch.nn.Linear(1, 1)
    optimizer = torch.optim.Adam(module.parameters())
    with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
        checkpoints.restore(bad, module, optimizer, None, {})
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with pytest.raises(SafetensorError):
        load_file(bad)
    folder = tmp_path / "decoded"
    folder.mkdir()
    for name in DECODED:
        (folder / name).write_bytes(b'{"data_fingerprint": "x"}' if name == "record.json" else b"clip,path\n")
    (folder / "waveforms.npy").write_bytes(bad.read_bytes())
    with pytest.raises(DataError, match="not an array of samples"):
        Waveforms.open(folder)
    assert not (tmp_path / "hacked").exists()
    pickle.loads(pickled()["pickle"])  # the attack itself works
    assert (tmp_path / "hacked").is_dir()
    note(f"malicious {kind} refused by checkpoints, models and clips", 3)


def sources():
    yield from ((path, ast.parse(path.read_text(encoding="utf-8"))) for path in ROOT.glob("asdlib/**/*.py"))
    yield from ((path, ast.parse(path.read_text(encoding="utf-8"))) for path in ROOT.glob("book/**/*.py"))
    for path in ROOT.glob("notebooks/*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        yield path, ast.parse("\n".join(cell.source for cell in cells if cell.cell_type == "code"))


def test_no_call_that_executes_its_input():
    """In the source, unsafe loaders are absent or called with the argument that makes them safe."""
    forbidden = {
        "eval",
        "exec",
        "pickle.load",
        "pickle.loads",
        "joblib.load",
        "pd.read_pickle",
        "os.system",
        "os.popen",
    }
    needed = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}
    seen = set()
    for path, tree in sources():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name, words = ast.unparse(call.func), {word.arg: ast.unparse(word.value) for word in call.keywords}
            assert name not in forbidden and words.get("shell", "False") == "False", (path, ast.unparse(call))
            assert name != "yaml.load" or "Safe" in "".join(words.values()) or words["Loader"] == "Loader", path
            if name in needed:
                seen.add(name)
                assert words.get(needed[name][0]) == str(needed[name][1]), (path, ast.unparse(call))
    assert seen == set(needed)
    assert issubclass(yaml12.Loader, __import__("yaml").SafeLoader)


def test_machine_names_go_through_the_snakefile_as_they_are(tmp_path, note):
    """A shell runs the commands that Snakemake would run, with a program that lists its arguments."""
    for name in ("notebooks", "params", "Snakefile", "book"):
        (tmp_path / name).symlink_to(ROOT / name)
    for machine in HOSTILE:
        for folder, rest in (
            ("train", "source_train_normal"),
            ("test", "source_test_normal"),
            ("test", "source_test_anomaly"),
        ):
            (tmp_path / "in" / machine / folder).mkdir(parents=True, exist_ok=True)
            for index in range(3):
                (tmp_path / "in" / machine / folder / f"section_00_{rest}_{index:04d}.wav").touch()
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"profile": "smoke", "overrides": {"data.root": "in", "data.synthetic": None}}))
    command = [sys.executable, "-m", "snakemake", "--directory", tmp_path, "--snakefile", tmp_path / "Snakefile"]
    command += ["--cores", "1", "--dry-run", "--printshellcmds", "--configfile", config]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    program = f"{sys.executable} -m asdlib execute "
    lines = re.findall(rf"^Shell command: {re.escape(program)}(.*)$", done.stdout + done.stderr, re.MULTILINE)
    lister = shlex.join([sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"])
    script = "set -euo pipefail\n" + "\n".join(f"{lister} {line}" for line in lines)
    listed = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    asked = []
    for notebook, output, option, common, values in map(json.loads, listed.splitlines()):
        values, stage = json.loads(values), Path(notebook).stem
        assert json.loads(common)["params"] == "smoke"
        assert option == "--parameters" and (ROOT / notebook).is_file()
        machine = values.get("machine")
        parts = [stage, *(values[key] for key in ("machine", "section", "candidate") if key in values)]
        assert output == str(tmp_path / "runs" / "smoke" / "notebooks" / (".".join(parts) + ".ipynb"))
        asked += [machine] if stage == "02_baselines" else []
    assert sorted(asked) == sorted(HOSTILE) and len(lines) == 9 * len(HOSTILE) + 2
    assert not (tmp_path / "hacked").exists()
    note("machine names with shell characters that pass the Snakefile unchanged", len(HOSTILE))


def test_a_kernel_listens_on_the_loopback_only(root, tmp_path, monkeypatch):
    """The notebook lists its own sockets and those of the process that runs it (one is the debugger's)."""
    monkeypatch.setattr(notebooks, "check", lambda notebook, values: None)
    code = (
        "import os, psutil\n"
        "processes = [psutil.Process(), psutil.Process(os.getppid())]\n"
        "found = [c.laddr.ip for p in processes for c in p.net_connections('inet') if c.status == 'LISTEN']\n"
        "print(sorted({*found, '127.0.0.1'}))"
    )
    cell = nbformat.v4.new_code_cell(code)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), tmp_path / "a.ipynb")
    notebooks.execute(tmp_path / "a.ipynb", tmp_path / "b.ipynb", {"params": "smoke"})
    cells = nbformat.read(tmp_path / "b.ipynb", as_version=4).cells
    assert [output.text.strip() for cell in cells for output in cell.get("outputs", [])] == ["['127.0.0.1']"]


def test_jupyterlab_listens_on_the_loopback_only(root):
    command = re.search(r"jupyter lab .*", (root / "Makefile").read_text())[0]
    assert shlex.split(command)[2:4] == ["--ip", "127.0.0.1"]
