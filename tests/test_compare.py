"""Test the comparison of two runs, or of a run and stored tables, on real runs with random scores."""

import json
import shutil

import pandas as pd
import pytest
import synthetic_scores

from asdlib import ensemble
from asdlib.__main__ import main
from asdlib.atomic import write_json
from asdlib.evaluation import table1
from asdlib.evaluation.compare import compare
from asdlib.paths import Run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished run on random scores."""
    settings = synthetic_scores.settings(
        tmp_path_factory.mktemp("runs"), ["fan"], test=10, evaluation={"bootstrap": 20}
    )
    synthetic_scores.write_run(settings, shift=1.0)
    ensemble.run(settings, "fan")
    table1.run(settings)
    write_json(settings.resolved(), Run.of(settings).settings)
    return Run.of(settings).folder


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def edit(path, change):
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    write_json(values, path)


def test_equal_tables_are_identical(finished, copy, capsys):
    assert main(["compare", str(finished), str(copy)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("identical: ") and "claims_extensions.csv" in out and out.count("\n") == 1
    assert main(["compare", str(finished), str(copy / "table1.csv")]) == 0
    assert "claims.csv was not compared" in capsys.readouterr().out
    assert compare(finished, copy).cells["table1.csv"] == 5 * len(pd.read_csv(copy / "table1.csv"))


def test_the_way_a_number_is_written_is_no_difference(finished, copy):
    path = copy / "table1.csv"
    cells = path.read_text().replace(",0.5944\n", ",5.944e-1\n", 1)
    assert cells != path.read_text()
    path.write_text(cells)
    assert compare(finished, copy).identical


def test_different_cells_are_listed_with_their_difference(finished, copy, capsys):
    table = pd.read_csv(copy / "table1.csv", keep_default_na=False, dtype=str)
    where = (table["row"] == "AE") & (table["machine"] == "fan") & (table["domain"] == "source")
    number = table[where & (table["selection"] == "fixed")].index[0]
    before = table.loc[number, "value"]
    table.loc[number, "value"] = str(float(before) + 0.25)
    table.drop(index=table.index[-1]).to_csv(copy / "table1.csv", index=False)
    claims = pd.read_csv(copy / "claims.csv", keep_default_na=False, dtype=str)
    claims.loc[0, "verdict"] = "holds"
    claims.to_csv(copy / "claims.csv", index=False)
    found = compare(finished, copy).different.set_index("cell")
    assert found.loc["AE, fan, source, fixed: value", "difference"] == pytest.approx(0.25)
    assert found.loc["AE, fan, source, fixed: value", "first"] == before
    last = [cell for cell in found.index if cell.startswith(", ".join(table.iloc[-1][["row", "machine", "domain"]]))]
    assert last and (found.loc[last, "second"] == "").all()  # the row that was dropped
    verdict = found[found["table"] == "claims.csv"]
    assert verdict[["first", "second"]].to_numpy().tolist() == [["contradicted", "holds"]]
    assert set(found["table"]) == {"table1.csv", "claims.csv"}
    assert main(["compare", str(finished), str(copy)]) == 1
    out = capsys.readouterr().out
    assert "table1.csv, AE, fan, source, fixed: value: " in out and "(+0.25)" in out


def test_possible_causes_come_from_settings_and_records(finished, copy, tmp_path, capsys):
    (copy / "table1.csv").write_text((copy / "table1.csv").read_text().replace("0.5944", "0.6"))
    assert compare(finished, copy).causes == ()
    assert main(["compare", str(finished), str(copy)]) == 1
    assert "none: settings, seed, devices" in capsys.readouterr().out

    def change_settings(values):
        values["threads"], values["title"] = 7, "another title"
        values["autoencoder"]["model"]["latent"] = 3

    def change_record(values):
        values["versions"]["numpy"], values["commit"] = "0.1", "0123456789ab"

    edit(copy / "settings.json", change_settings)
    edit(copy / "record.json", change_record)
    causes = compare(finished, copy).causes
    subjects = [cause.partition(":")[0] for cause in causes]
    assert {"setting threads", "setting autoencoder.model.latent", "version of numpy", "commit"} == set(subjects)
    assert any(cause.startswith("setting threads: ") and cause.endswith(" / 7") for cause in causes)
    other = shutil.copytree(finished, tmp_path / "other")
    for folder, device in ((other, "engine"), (copy, "abacus")):
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        write_json(record | {"device": f"{device}, 1 thread, float32"}, folder / "autoencoder" / "fan" / "record.json")
    causes = compare(other, copy).causes
    assert "device: engine, 1 thread, float32 / abacus, 1 thread, float32" in causes


def test_stored_tables_are_explained_by_their_record(finished, tmp_path):
    """A stored table has one record with the settings, commits and devices of its run."""
    stored = tmp_path / "results"
    stored.mkdir()
    shutil.copy(finished / "table1.csv", stored)
    settings = json.loads((finished / "settings.json").read_text(encoding="utf-8"))
    record = json.loads((finished / "record.json").read_text(encoding="utf-8"))
    write_json({"commit": record["commit"], "device": "", "settings": settings | {"seed": 5}}, stored / "record.json")
    comparison = compare(finished, stored)
    assert comparison.identical and comparison.causes == ("setting seed: 0 / 5",)
    assert comparison.skipped == ("claims.csv", "claims_extensions.csv")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "table1.csv").unlink(), "has no table1.csv"),
        (lambda folder: (folder / "table1.csv").write_text(""), "not a table"),
        (
            lambda folder: (folder / "table1.csv").write_text("row,value\nAE,1\n"),
            "machine, domain, selection are missing",
        ),
        (lambda folder: (folder / "claims.csv").write_text("test,effect\na,1\na,2\n"), "two rows have the same test"),
        (lambda folder: (folder / "settings.json").write_text('{"seed'), "settings.json: not a whole JSON object"),
    ],
)
def test_invalid_input_exits_with_2(finished, copy, spoil, words, capsys):
    spoil(copy)
    assert main(["compare", str(finished), str(copy)]) == 2
    assert words in capsys.readouterr().err


def test_a_file_of_another_name_is_refused(finished, capsys):
    assert main(["compare", str(finished), str(finished / "values.json")]) == 2
    assert "expected a file named table1.csv" in capsys.readouterr().err
