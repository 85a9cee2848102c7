"""Test that exploring in a notebook leaves the run unchanged, and that plain papermill refuses misspelt parameters."""

import json

import nbformat
import papermill
import pytest
from papermill import cli as papermill_cli
from papermill.exceptions import PapermillExecutionError

from asdlib import params
from asdlib.execution import exploring
from asdlib.paths import Run


@pytest.fixture
def run(tmp_path, root, monkeypatch):
    """Create a run of the profile smoke with one artefact."""
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    (tmp_path / "params").symlink_to(root / "params")
    settings = params.load("smoke")
    run = Run.of(settings)
    run.folder.mkdir(parents=True)
    run.settings.write_text(json.dumps(settings.resolved()))
    (run.folder / "model").write_text("trained")
    return run


def test_the_settings_of_the_run_lead_to_the_run(run, capsys):
    assert Run.of(exploring.load("smoke", {})) == run
    assert capsys.readouterr().out == ""


def test_other_settings_lead_to_a_copy_that_shares_nothing_that_is_written(run, capsys):
    settings = exploring.load("smoke", {"autoencoder.scorer.copies": 1})
    copy = Run.of(settings).folder
    assert copy != run.folder and (copy / "model").read_text() == "trained"
    assert (copy / "model").stat().st_ino == (run.folder / "model").stat().st_ino, "the copy costs no space"
    assert "autoencoder.scorer.copies differ" in capsys.readouterr().out
    (copy / "new").write_text("written")
    (copy / "new").replace(copy / "model")
    assert (run.folder / "model").read_text() == "trained"
    assert Run.of(exploring.load("smoke", {"autoencoder.scorer.copies": 1})).folder == copy
    assert (copy / "model").read_text() == "written", "what was explored stays"


def test_a_missing_run_is_created(run):
    run.settings.unlink()
    assert Run.of(exploring.load("smoke", {"autoencoder.scorer.copies": 1})) == run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("machin", "x", "did you mean 'machine'"),
        ("machine", "x", "no machine type 'x'"),
        ("machine", "001", "papermill -r machine 001"),
        ("overrides", "{seed: 1}", "pass it as YAML: papermill -y 'overrides: {seed: 1}'"),
        ("machine", "None", "parameter 'machine' is None; expected a str"),
    ],
)
def test_plain_papermill_refuses_what_the_notebook_does_not_declare(tmp_path, name, text, word):
    declared = 'params: str = "smoke"\nmachine: str = "fan"\noverrides: dict = {}'
    cells = [
        nbformat.v4.new_code_cell(declared, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(
            "from asdlib.execution import exploring\n\nsettings = exploring.load(params, {})\n"
            "raise ValueError(f'no machine type {machine!r}')"
        ),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    nbformat.write(book, tmp_path / "notebook.ipynb")
    with pytest.raises(PapermillExecutionError, match=word):
        papermill.execute_notebook(
            tmp_path / "notebook.ipynb",
            tmp_path / "out.ipynb",
            {name: papermill_cli._resolve_type(text)},
            kernel_name="python3",
            progress_bar=False,
        )
