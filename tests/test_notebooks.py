"""Every notebook is a thin, clean stage: title, parameters, import, call, show."""

import ast
import json
from pathlib import Path

import nbformat
import pytest

from asdlib import notebooks
from asdlib.notebooks import NotebookError

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
STAGES = {
    "01_data": [],
    "02_baselines": ["machine"],
    "03_train_autoencoder": ["machine", "candidate"],
    "04_reconstruction_errors": ["machine", "candidate"],
    "05_train_classifier": ["machine", "section", "candidate"],
    "06_embeddings": ["machine", "candidate"],
    "07_ensemble": ["machine"],
    "08_table1": [],
}


def test_all_stages_are_there():
    assert [path.stem for path in NOTEBOOKS if path.stem in STAGES] == list(STAGES)


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
def test_parameters_are_an_api(path):
    """Typed, explained, nothing derived; papermill itself reads name, type, default and help."""
    known = notebooks.parameters(path)
    if path.stem in STAGES:
        assert list(known) == ["params", *STAGES[path.stem], "overrides"]
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


def test_a_failed_cell_keeps_its_traceback_and_gives_its_own_sentence(root, tmp_path, monkeypatch):
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "smoke.yaml").write_text((root / "params" / "smoke.yaml").read_text())
    output = tmp_path / "executed.ipynb"
    with pytest.raises(NotebookError) as info:  # nothing was decoded in this folder
        notebooks.execute(root / "notebooks" / "02_baselines.ipynb", output, {"params": "smoke"})
    assert "make reproduce" in str(info.value) or "01_data" in str(info.value), info.value
    executed = json.loads(output.read_text())
    assert any(out.get("output_type") == "error" for cell in executed["cells"] for out in cell.get("outputs", []))
