"""Test deriving the table of clips and the plan of a run from the names in a folder."""

import subprocess
import sys

import pytest

from asdlib import params
from asdlib.data import catalogue, plan
from asdlib.data.plan import Plan
from asdlib.errors import DataError


def files(root, machine, **counts):
    """Write empty files: ``section_domain_split_label=count``; without a label, it is ``unknown``."""
    for key, count in counts.items():
        section, domain, split, label = key.removeprefix("s").split("_")
        folder = root / machine / ("train" if split == "train" else f"{domain}_test")
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            middle = "" if label == "unknown" else f"_{label}"
            (folder / f"section_{section}_{domain}_{split}{middle}_{index:04d}.wav").touch()


def full(root, machine, section="00"):
    """Write a complete section."""
    groups = ("source_train_normal", "target_train_normal", "source_test_normal", "source_test_anomaly")
    groups += ("target_test_normal", "target_test_anomaly")
    files(root, machine, **{f"s{section}_{group}": 3 for group in groups})


def settings(root, **data):
    return params.Settings(profile="t", title="t", data=params.Data(root=str(root), **data))


def test_scan(tmp_path):
    files(tmp_path, "valve", s01_source_train_normal=2, s00_target_test_unknown=1, s00_target_test_anomaly=1)
    (tmp_path / "valve" / "train" / "attributes.csv").touch()
    (tmp_path / "valve" / "supplemental").mkdir()
    (tmp_path / "valve" / "supplemental" / "clean.wav").touch()
    (tmp_path / ".cache").mkdir()
    clips = catalogue.scan(tmp_path)
    assert list(clips.columns) == catalogue.COLUMNS
    assert clips.to_dict("records") == [
        {
            "machine": "valve",
            "section": section,
            "domain": domain,
            "split": split,
            "label": label,
            "clip": clip,
            "path": f"valve/{folder}/{clip}",
            "attributes": "",
        }
        for section, domain, split, label, folder, clip in [
            ("00", "target", "test", "anomaly", "target_test", "section_00_target_test_anomaly_0000.wav"),
            ("00", "target", "test", "unknown", "target_test", "section_00_target_test_0000.wav"),
            ("01", "source", "train", "normal", "train", "section_01_source_train_normal_0000.wav"),
            ("01", "source", "train", "normal", "train", "section_01_source_train_normal_0001.wav"),
        ]
    ]


def test_a_tree_of_2020(tmp_path):
    for split, label in (("train", "normal"), ("test", "normal"), ("test", "anomaly")):
        (tmp_path / "pump" / split).mkdir(parents=True, exist_ok=True)
        for index in range(3):
            (tmp_path / "pump" / split / f"{label}_id_04_{index:08d}.wav").touch()
    assert plan.derive(settings(tmp_path)) == Plan({"pump": ["04"]}, [])


def test_who_takes_part(tmp_path):
    full(tmp_path, "fan", "00")
    full(tmp_path, "fan", "01")
    files(tmp_path, "fan", s03_source_train_normal=2, s03_source_test_unknown=2)  # evaluation section
    files(tmp_path, "valve", s00_source_train_normal=2)  # no test clips
    files(tmp_path, "pump", s04_source_test_unknown=2)  # nothing to learn from, nothing to evaluate
    assert plan.derive(settings(tmp_path)) == Plan({"fan": ["00", "01"]}, ["valve"])
    assert plan.derive(settings(tmp_path, sections=["01"])) == Plan({"fan": ["01"]}, [])
    full(tmp_path, "valve")
    assert plan.derive(settings(tmp_path, machines=["valve"])) == Plan({"valve": ["00"]}, ["fan"])


def test_a_section_without_any_target_clips_is_fine(tmp_path):
    files(tmp_path, "fan", s00_source_train_normal=3, s00_source_test_normal=1, s00_source_test_anomaly=1)
    assert plan.derive(settings(tmp_path)).machines == {"fan": ["00"]}


def test_ones_own_machine_needs_no_anomalies(tmp_path):
    files(tmp_path, "fan", s00_source_train_normal=3, s00_source_test_normal=1)
    assert plan.derive(settings(tmp_path, anomalies=False)).machines == {"fan": ["00"]}
    with pytest.raises(DataError, match="none of them anomalous"):
        plan.derive(settings(tmp_path))


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("train/section_01_target_train", ["section 01 of fan has target test clips but no target training clips"]),
        ("train/section_01_source_train_normal_0000", ["has 2 source training clip(s); expected at least 3"]),
        ("train/section_01_source_train", ["section 01 of fan has source test clips but no source training clips"]),
        ("target_test/section_01_target_test_anomaly", ["section 01 of fan", "target", "none of them anomalous"]),
        ("source_test/section_01_source_test_normal", ["section 01 of fan", "source", "none of them normal"]),
    ],
)
def test_a_section_that_lacks_something(tmp_path, missing, words):
    full(tmp_path, "fan", "00")
    full(tmp_path, "fan", "01")
    gone = [path for path in (tmp_path / "fan").rglob("*.wav") if f"{path.parent.name}/{path.name}".startswith(missing)]
    assert len(gone) == (1 if missing.endswith("_0000") else 3)
    for path in gone:
        path.unlink()
    with pytest.raises(DataError) as info:
        plan.derive(settings(tmp_path))
    assert all(word in str(info.value) for word in [*words, "data.sections"])
    assert "\n" not in str(info.value)
    assert plan.derive(settings(tmp_path, sections=["00"])).machines == {"fan": ["00"]}


def test_all_problems_are_reported_together(tmp_path):
    for section in range(30):
        files(tmp_path, "fan", **{f"s{section:02d}_source_test_normal": 1, f"s{section:02d}_source_test_anomaly": 1})
    with pytest.raises(DataError) as info:
        plan.derive(settings(tmp_path))
    lines = str(info.value).splitlines()
    assert "(30)" in lines[0] and len(lines) == 1 + 20 + 1 and "10 more" in lines[-1]


def test_folders_that_hold_nothing_usable(tmp_path):
    def refused(root, *words, **data):
        with pytest.raises(DataError) as info:
            plan.derive(settings(root, **data))
        assert all(word in str(info.value) for word in (str(root), *words)), info.value

    refused(tmp_path / "nowhere", "no such folder")
    refused(tmp_path, "the folder is empty", "section_NN_")
    (tmp_path / "notes.txt").touch()
    refused(tmp_path, "for example notes.txt")
    (tmp_path / "fan" / "train").mkdir(parents=True)
    (tmp_path / "fan" / "train" / "one.flac").touch()
    refused(tmp_path, "fan/train/one.flac")
    refused(tmp_path / "fan", "one machine type", "the folder above")
    (tmp_path / "fan" / "train" / "one.wav").touch()
    refused(tmp_path, "fan/train/one.wav", "does not fit")
    (tmp_path / "fan" / "train" / "one.wav").unlink()
    files(tmp_path, "fan", s00_source_train_normal=1)
    refused(tmp_path, "no machine type has labelled test clips")


def test_a_clip_name_may_occur_only_once(tmp_path):
    full(tmp_path, "fan")
    (tmp_path / "fan" / "test").mkdir()
    (tmp_path / "fan" / "test" / "section_00_source_test_normal_0000.wav").touch()
    with pytest.raises(DataError, match=r"same clip name as fan/source_test/section_00_source_test_normal_0000"):
        catalogue.scan(tmp_path)


def test_unknown_names_come_with_a_suggestion(tmp_path):
    full(tmp_path, "gearbox")
    files(tmp_path, "valve", s00_source_train_normal=1)
    with pytest.raises(DataError, match=r"data\.machines: .* no machine 'gearbx'; did you mean 'gearbox'"):
        plan.derive(settings(tmp_path, machines=["gearbx"]))
    with pytest.raises(DataError, match=r"data\.sections: .* no section '07'.* There are 00"):
        plan.derive(settings(tmp_path, sections=["07"]))
    with pytest.raises(DataError, match=r"machine valve of data\.machines has no labelled test clips"):
        plan.derive(settings(tmp_path, machines=["valve"]))


def test_synthetic_data_are_planned_before_they_exist(tmp_path):
    small = {"machines": ["fan", "pump"], "sections": ["00", "02"], "train_source": 3, "test_normal": 1}
    there = settings(tmp_path / "no", synthetic=params.Synthetic(**small, test_anomaly=3))
    assert plan.derive(there) == Plan({"fan": ["00", "02"], "pump": ["00", "02"]}, [])
    with pytest.raises(DataError, match="no target training clips"):
        plan.derive(settings(tmp_path / "no", synthetic=params.Synthetic(**small, train_target=0)))
    with pytest.raises(DataError, match=r"no synthetic 'fann'; did you mean 'fan'"):
        plan.derive(settings(tmp_path / "no", synthetic=params.Synthetic(machines=["fann"])))


def test_the_plan_is_quick_to_import():
    """The Snakefile imports it and the catalogue whenever it is parsed, so they must not import heavy packages."""
    code = "import sys, asdlib.data.plan; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "scipy", "sklearn", "librosa", "matplotlib", "soundfile"} & set(modules)
