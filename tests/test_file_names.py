"""Test parsing and formatting file names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asdlib.data import file_names
from asdlib.data.file_names import ClipName, parse
from asdlib.errors import DataError

DIGITS = st.text("0123456789", min_size=1, max_size=8)
SECTION = st.text("0123456789", min_size=2, max_size=2)
PRINTABLE = st.characters(exclude_characters="/").filter(str.isprintable)
ATTRIBUTES = st.one_of(st.just(""), st.text(PRINTABLE, min_size=1, max_size=20))


@st.composite
def clip_names(draw) -> ClipName:
    split = draw(st.sampled_from(["train", "test"]))
    label = "normal" if split == "train" else draw(st.sampled_from(["normal", "anomaly", "unknown"]))
    if draw(st.booleans()):
        return ClipName(draw(SECTION), "source", split, label, draw(DIGITS), grammar=2020)
    domain = draw(st.sampled_from(["source", "target"]))
    return ClipName(draw(SECTION), domain, split, label, draw(DIGITS), draw(ATTRIBUTES))


@given(clip_names())
def test_round_trip(name):
    assert parse(name.folder, name.file) == name
    assert parse(name.split, name.file) == name  # the folders of 2020 and of 2022 to 2025


@pytest.mark.parametrize(
    ("folder", "file", "expected"),
    [
        (
            "train",
            "section_02_target_train_normal_0002.wav",
            ClipName("02", "target", "train", "normal", "0002"),
        ),
        (
            "source_test",
            "section_00_source_test_anomaly_0117.wav",
            ClipName("00", "source", "test", "anomaly", "0117"),
        ),
        (
            "target_test",
            "section_05_target_test_0042.wav",
            ClipName("05", "target", "test", "unknown", "0042"),
        ),
        (
            "test",
            "section_00_target_test_normal_0003_car_A2_spd_28V_mic_1.wav",
            ClipName("00", "target", "test", "normal", "0003", "car_A2_spd_28V_mic_1"),
        ),
        (
            "test",
            "anomaly_id_06_00000011.wav",
            ClipName("06", "source", "test", "anomaly", "00000011", grammar=2020),
        ),
        (
            "test",
            "id_01_00000000.wav",
            ClipName("01", "source", "test", "unknown", "00000000", grammar=2020),
        ),
        ("test", "section_04_0017.wav", ClipName("04", "source", "test", "unknown", "0017", grammar=2022)),
        ("test", "section_00_test_0017.wav", ClipName("00", "source", "test", "unknown", "0017", grammar=2025)),
        ("train", "section_00_target_train_normal_0009_.wav", ClipName("00", "target", "train", "normal", "0009")),
        (
            "train",
            "section_00_source_train_normal_0000_noAttribute.wav",
            ClipName("00", "source", "train", "normal", "0000", "noAttribute"),
        ),
    ],
)
def test_names_of_the_challenges(folder, file, expected):
    assert parse(folder, file) == expected


@pytest.mark.parametrize(
    ("folder", "file", "words"),
    [
        ("train", "recording 1.wav", "does not fit section_NN"),
        ("train", "section_0_source_train_normal_0000.wav", "does not fit"),
        ("train", "section_00_source_train_normal_0000.WAV", "does not fit"),
        ("train", "section_٠١_source_train_normal_0000.wav", "does not fit"),  # digits, but not 0 to 9
        ("source_test", "section_00_test_0000.wav", "tells no domain"),
        ("source_test", "section_00_target_test_normal_0000.wav", "name says target test, the folder says source_test"),
        ("train", "section_00_source_test_normal_0000.wav", "name says source test, the folder says train"),
        ("target_test", "normal_id_00_00000000.wav", "name says source"),
        ("train", "section_00_source_train_anomaly_0000.wav", "label anomaly; expected normal"),
        ("train", "section_00_source_train_0000.wav", "label unknown; expected normal"),
        ("supplemental", "section_00_source_train_normal_0000.wav", "expected one of train"),
    ],
)
def test_names_that_do_not_fit_are_reported(folder, file, words):
    with pytest.raises(DataError, match=words):
        parse(folder, file)


def test_real_score_files_hold_names_of_the_grammar(realdata):
    """All clip names in three systems' published files of the development set are parsed and formatted unchanged."""
    files = sorted((realdata / "dcase2021_scores").glob("*/anomaly_score_*.csv"))
    assert files
    for path in files:
        folder = "_".join(path.stem.split("_")[-2:])
        for line in path.read_text().splitlines():
            file = line.split(",")[0]
            name = parse(folder, file)
            assert (name.file, name.folder) == (file, folder)


def test_the_seven_machine_types():
    assert sorted(file_names.MACHINES) == ["ToyCar", "ToyTrain", "fan", "gearbox", "pump", "slider", "valve"]
