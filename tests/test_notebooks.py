"""Test that every notebook is a thin stage: title, parameters, imports, call, show."""

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
from papermill import cli as papermill_cli

from asdlib import params
from asdlib.__main__ import main
from asdlib.errors import NotebookError, ParamsError
from asdlib.execution import notebooks, reproduce
from asdlib.execution.workflow import BY_NAME
from asdlib.plots import style

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def test_all_stages_have_a_notebook():
    assert [path.stem for path in NOTEBOOKS if path.stem in BY_NAME] == list(BY_NAME)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_thin_and_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    assert not any(cell.outputs or cell.execution_count for cell in code), "has outputs: nbstripout notebooks/*.ipynb"
    assert len(code) <= 12
    assert max(len(cell.source.splitlines()) for cell in code) <= 15
    for cell in code:
        tree = ast.parse(cell.source)
        kinds = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.While)
        assert not any(isinstance(node, kinds) for node in ast.walk(tree)), cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_book_leaves_out_cells_that_begin_with_imports(path):
    """And the first of them refuses misspelt parameters, under plain papermill, too."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    imports = [cell for cell in cells if isinstance(ast.parse(cell.source).body[0], (ast.Import, ast.ImportFrom))]
    assert imports[0] is cells[1] and "exploring." in imports[0].source
    assert all("boilerplate" in cell.metadata["tags"] for cell in imports)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_parameters_are_an_api(path):
    """Parameters are typed and explained, and none is derived; papermill reads name, type, default and help."""
    known = notebooks.parameters(path)
    if path.stem in BY_NAME:
        assert list(known) == ["params", *BY_NAME[path.stem].parameters, "overrides"]
    for name, parameter in known.items():
        assert parameter["inferred_type_name"] in ("str", "dict", "int", "float", "bool"), name
        assert parameter["help"], f"{name} has no comment"
        ast.literal_eval(parameter["default"])


def test_wrong_parameters_are_refused_before_a_kernel_starts(root):
    notebook = root / "notebooks" / "03_train_autoencoder.ipynb"
    for values, words in [
        ({"machin": "fan"}, ["'machin'", "did you mean 'machine'"]),
        ({"machine": 3}, ["'machine' is 3", "expected a str"]),
        ({"params": "dmo"}, ["dmo.yaml", "no such file", "demo"]),
        ({"overrides": {"autoencoder.training.stps": 3}}, ["autoencoder.training.stps", "did you mean 'steps'"]),
        ({"params": "demo", "candidate": "bas"}, ["'bas'", "did you mean 'base'"]),
    ]:
        with pytest.raises(
            NotebookError if "params" not in values and "overrides" not in values else Exception
        ) as info:
            notebooks.check(notebook, values)
        assert all(word in str(info.value) for word in words), info.value


def test_a_failed_cell_keeps_its_traceback_and_its_error_is_one_sentence(root, tmp_path, monkeypatch):
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "smoke.yaml").write_text((root / "params" / "smoke.yaml").read_text())
    output = tmp_path / "executed.ipynb"
    with pytest.raises(NotebookError) as info:  # nothing was decoded in this folder
        notebooks.execute(root / "notebooks" / "02_baselines.ipynb", output, {"params": "smoke"})
    assert "make reproduce" in str(info.value) or "01_data" in str(info.value), info.value
    executed = json.loads(output.read_text())
    assert any(out.get("output_type") == "error" for cell in executed["cells"] for out in cell.get("outputs", []))


def test_invalid_notebooks_are_refused(tmp_path):
    for content in (b"", b"[project]\nname = 'x'", b"{}", b'{"cells": 3}', b"[1]", b"\xff\xfe"):
        path = tmp_path / "x.ipynb"
        path.write_bytes(content)
        with pytest.raises(NotebookError, match=r"x.ipynb: not a Jupyter notebook; expected"):
            notebooks.execute(path, tmp_path / "out.ipynb", {})
    assert not (tmp_path / "out.ipynb").exists()


def test_parameters_that_are_no_object_are_refused(root, tmp_path, capsys):
    files = [str(root / "notebooks" / "01_data.ipynb"), str(tmp_path / "out.ipynb")]
    for text in ("[]", '"x"', "null", "3", '[["params", "smoke"]]', "{"):
        assert main(["execute", *files, "--parameters", text]) == 2
        assert "expected an object such as {}" in capsys.readouterr().err
    assert not (tmp_path / "out.ipynb").exists()


PROBE = """
import json, os, sys
import matplotlib
from asdlib.plots import style
from asdlib.execution.workflow import BY_NAME
style.use()
usual = matplotlib.rcParams["lines.linewidth"] < 9 and not matplotlib.rcParams["text.usetex"]
print("seen", json.dumps([sys.executable, "STARTED" in globals(), usual]))
"""


def test_a_users_own_set_up_changes_nothing(tmp_path, monkeypatch, capfd):
    """Another python3 kernel, start-up files, a matplotlibrc and a long TMPDIR have no effect on a stage."""
    kernel = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    startup = tmp_path / "home" / ".ipython" / "profile_default" / "startup" / "start.py"
    look = tmp_path / "home" / ".config" / "matplotlib" / "matplotlibrc"
    long = tmp_path / ("long" * 30)
    for path in (kernel, startup, look, long / "x"):
        path.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["/bin/false"], "display_name": "Python 3", "language": "python"}))
    startup.write_text("STARTED = 1")
    look.write_text("text.usetex: True\nlines.linewidth: 9")
    for name, value in {
        "JUPYTER_PATH": tmp_path / "jupyter",
        "HOME": tmp_path / "home",
        "TMPDIR": long,
        "PYTHONSTARTUP": startup,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(notebooks.kernels.tempfile, "tempdir", None)  # asked again
    monkeypatch.delenv("IPYTHONDIR", raising=False)
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("params = 'smoke'", metadata={"tags": ["parameters"]})]
    )
    notebook.cells.append(nbformat.v4.new_code_cell(PROBE))
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "probe.ipynb")
    before = dict(os.environ)
    notebooks.execute(tmp_path / "probe.ipynb", tmp_path / "out.ipynb", {})
    assert dict(os.environ) == before
    seen = next(line for line in capfd.readouterr().out.splitlines() if "seen" in line)
    assert json.loads(seen.partition("seen ")[2]) == [sys.executable, False, True]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("Kernel didn't respond in 900 seconds", "no kernel started in 900 s; run fewer jobs"),
        ("Kernel died before replying to kernel_info", "the kernel died, most likely for lack of memory"),
    ],
)
def test_a_kernel_may_take_minutes_to_start(root, tmp_path, monkeypatch, error, words):
    given = {}

    def execute_notebook(*_, **options):
        given.update(options)
        raise RuntimeError(error)

    monkeypatch.setattr(notebooks.papermill, "execute_notebook", execute_notebook)
    with pytest.raises(NotebookError, match=words):
        notebooks.execute(root / "notebooks" / "01_data.ipynb", tmp_path / "out.ipynb", {"params": "smoke"})
    assert given["start_timeout"] >= 600


def test_a_users_profile_of_snakemake_or_a_home_without_cache_changes_nothing(project, tmp_path):
    """Either profile would make Snakemake refuse every run, and so would a home that nobody may write to."""
    home = project("profiles")
    for folder in (tmp_path / "own", home / "profiles" / "default"):
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("cores: none-at-all\n")
    command = [sys.executable, "-m", "asdlib", "reproduce", "data", "--profile", "smoke", "--dry-run"]
    environment = os.environ | {"SNAKEMAKE_PROFILE": str(tmp_path / "own"), "ASDLIB_HOME": str(home)}
    environment["XDG_CACHE_HOME"] = "/dev/null/cache"
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "data" in done.stdout + done.stderr, done.stderr


@pytest.mark.parametrize("key", ["runs", "data.root"])
def test_a_folder_that_snakemake_would_read_as_a_wildcard_is_refused(key):
    with pytest.raises(ParamsError, match=rf"{key}: .*a{{b}} contains a brace.*choose another folder"):
        reproduce.reproduce("smoke", {key: "a{b}"}, 1, dry_run=True)


def test_reproduce_names_what_is_missing_before_it_starts(tmp_path, monkeypatch, capsys):
    """Outside a checkout, and where only packages that judge recordings are installed; nothing is written."""
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    assert main(["reproduce", "--profile", "smoke"]) == 2
    assert f"error: {tmp_path}: no Snakefile; expected a checkout" in capsys.readouterr().err
    present = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "snakemake" else present(name))
    assert main(["reproduce", "--profile", "smoke"]) == 2
    assert capsys.readouterr().err == "error: this command needs the package snakemake; pip install 'asdlib[all]'\n"
    assert not list(tmp_path.iterdir())


def test_figures_look_the_same_whatever_a_user_prefers():
    with plt.rc_context({"lines.linewidth": 9, "text.usetex": True, "font.family": "monospace"}):
        style.use()
        assert not plt.rcParams["text.usetex"] and plt.rcParams["lines.linewidth"] < 9
        assert plt.rcParams["font.family"] == ["sans-serif"]


def test_a_section_that_papermill_made_a_number_of(root):
    """``papermill -p section 00`` gives 0."""
    from_command_line = papermill_cli._resolve_type("00")
    assert from_command_line == 0 and params.section(from_command_line) == "00"
    source = "".join("".join(cell.source) for cell in nbformat.read(NOTEBOOKS[4], as_version=4).cells)
    assert "section = asdlib.params.section(section)" in source
