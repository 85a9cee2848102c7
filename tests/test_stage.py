"""Test that stages write everything or nothing, with a record, and that the plan of a run is made once."""

import json

import pytest

from asdlib import params, records
from asdlib.data import plan
from asdlib.errors import DataError
from asdlib.execution import notebooks
from asdlib.execution.workflow import STAGES
from asdlib.paths import FINISHED, RECORD, Run
from asdlib.records import SCORING
from asdlib.stage import Stage


@pytest.fixture
def settings(tmp_path):
    return params.load("smoke", {"runs": str(tmp_path)})


def write(stage: Stage, name: str, **more) -> None:
    with stage.writing({"a": 1}, seed=3, data="d", **more) as folder:
        (folder / name).write_text(name)


def test_a_stage_writes_its_folder_with_a_record(settings):
    stage = Stage(settings, "mobilenet", "fan")
    write(stage, "old.txt")
    write(stage, "new.txt", earlier=100.0, parameters=7)
    assert sorted(path.name for path in stage.folder.iterdir()) == ["new.txt", RECORD]
    (record,) = records.read_records(stage.folder / RECORD)
    assert record["settings"] == {"a": 1} and record["parameters"] == 7 and record["wall_seconds"] >= 100
    assert (record["seed"], record["data_fingerprint"], record["device"]) == (3, "d", "CPU")


def test_a_stage_that_fails_changes_nothing(settings):
    stage = Stage(settings, "mobilenet", "fan")
    write(stage, "old.txt")
    for method in (stage.writing, stage.adding):
        with pytest.raises(KeyboardInterrupt), method({}, seed=0, data="d") as folder:
            (folder / "old.txt").write_text("half")
            raise KeyboardInterrupt
    assert sorted(path.name for path in stage.folder.iterdir()) == ["old.txt", RECORD]
    assert (stage.folder / "old.txt").read_text() == "old.txt"


def test_a_second_stage_adds_to_the_folder_and_to_its_record(settings):
    stage = Stage(settings, "autoencoder", "fan", "base")
    write(stage, "model.txt")
    trained = json.loads((stage.folder / RECORD).read_text())
    for copies in (2, 3):  # scored twice
        with stage.adding({"copies": copies}, seed=5, data="d", part=SCORING) as folder:
            (folder / "scores.txt").write_text(str(copies))
    assert sorted(path.name for path in stage.folder.iterdir()) == ["model.txt", RECORD, "scores.txt"]
    first, second = records.read_records(stage.folder / RECORD)
    assert first == trained and second["settings"] == {"copies": 3} and second["seed"] == 5
    records.check_settings(stage.folder / RECORD, {"a": 1}, data="d")
    records.check_settings(stage.folder / RECORD, {"copies": 3}, SCORING)
    for wanted, more in (({"copies": 2}, {"part": SCORING}), ({"a": 2}, {}), ({"a": 1}, {"data": "other"})):
        with pytest.raises(Exception, match=r"record.json: made (with|from other clips)"):
            records.check_settings(stage.folder / RECORD, wanted, **more)


@pytest.mark.parametrize("keep", [False, True])
def test_finished_trainings_are_kept_if_the_workflow_needs_them(settings, keep):
    stage = Stage(settings.model_copy(update={"keep_finished": keep}), "classifier", "fan", "base", "00")
    checkpoints = [stage.resuming({"a": 1}, part)["checkpoint"] for part in ("source", "target")]
    assert [path.name.split(".")[:5] for path in checkpoints] == [
        ["classifier", "fan", "base", "00", part] for part in ("source", "target")
    ]
    finished = [path.with_suffix(FINISHED) for path in checkpoints]
    finished[0].parent.mkdir(parents=True)
    for path in finished:
        path.touch()
    write(stage, "model.txt")
    assert [path.exists() for path in finished] == [keep, keep]


def test_the_plan_is_read_without_the_recordings(tmp_path):
    data = {"data.root": str(tmp_path / "gone"), "data.synthetic": None, "runs": str(tmp_path)}
    settings = params.load("smoke", data)
    with pytest.raises(DataError, match="no such folder"):
        plan.read(settings)
    made = plan.Plan({"fan": ["00", "01"]}, ["valve"])
    plan.write(made, settings)
    assert plan.read(settings) == made and Run.of(settings).plan.name == "plan.json"
    assert plan.read(settings.model_copy(update={"seed": 7})) == made
    with pytest.raises(DataError, match="no such folder"):  # the plan is that of other data
        plan.read(params.load("smoke", data | {"data.sections": ["00"]}))


def test_the_list_of_stages_fits_the_snakefile_and_the_notebooks(root):
    """Each stage has its notebook with these parameters, and its rule names both by the list."""
    text = (root / "Snakefile").read_text(encoding="utf-8")
    for stage in STAGES:
        rule = text.partition(f"\nrule {stage.rule}:\n")[2].partition("\nrule ")[0]
        assert f'notebook=stages["{stage.rule}"].file' in rule and f'stages["{stage.rule}"].log(run)' in rule
        assert list(notebooks.parameters(root / stage.file)) == ["params", *stage.parameters, "overrides"]
