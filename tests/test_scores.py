"""Test that score tables are written and read unchanged, and that invalid ones are refused by name."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asdlib import scores
from asdlib.errors import ScoreError


@pytest.fixture
def clips() -> pd.DataFrame:
    rows = [
        ("fan", "00", "source", "train", "normal", "section_00_source_train_normal_0000.wav"),
        ("fan", "00", "source", "test", "normal", "section_00_source_test_normal_0000.wav"),
        ("fan", "01", "target", "test", "anomaly", "section_01_target_test_anomaly_0000.wav"),
        ("fan", "03", "target", "test", "unknown", "section_03_target_test_0000.wav"),
    ]
    frame = pd.DataFrame(rows, columns=["machine", "section", "domain", "split", "label", "clip"])
    return frame.assign(path="x", attributes="").set_index(pd.Index([7, 3, 9, 1]))


def test_a_table_has_the_columns_of_the_contract(clips):
    table = scores.table(clips, "autoencoder/base/median", [1, 2, 3, 4])
    assert list(table.columns) == scores.COLUMNS
    assert table["score"].tolist() == [1.0, 2.0, 3.0, 4.0] and table["clip"].tolist() == clips["clip"].tolist()
    assert set(table["system"]) == {"autoencoder/base/median"}
    assert list(table.index) == [0, 1, 2, 3]


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
def test_written_tables_are_read_bit_for_bit(tmp_path_factory, values):
    rows = [("fan", f"0{index}", "source", "test", "normal", f"NA{index}.wav") for index in range(4)]
    clips = pd.DataFrame(rows, columns=["machine", "section", "domain", "split", "label", "clip"])
    table = scores.table(clips, "null", values)
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    scores.write(table, path)
    back = scores.read(path)
    pd.testing.assert_frame_equal(back, table, check_exact=True, check_dtype=False)
    assert back["score"].dtype == np.float64
    assert back["section"].tolist() == ["00", "01", "02", "03"]


def test_several_tables_are_read_in_the_order_given(clips, tmp_path):
    for name in ("b", "a"):
        scores.write(scores.table(clips, name, range(4)), tmp_path / f"{name}.csv")
    both = scores.read([tmp_path / "b.csv", tmp_path / "a.csv"])
    assert both["system"].tolist() == ["b"] * 4 + ["a"] * 4 and list(both.index) == list(range(8))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_named(clips, tmp_path, value):
    path = tmp_path / "scores.csv"
    with pytest.raises(
        ScoreError, match=r"x: the score of clip section_01_\S+ \(machine fan, section 01\) is"
    ) as error:
        scores.table(clips, "x", [1, 2, value, value])
    assert "2 clip(s) in total" in str(error.value)
    table = scores.table(clips, "x", range(4)).assign(score=value)
    with pytest.raises(ScoreError, match=r"scores\.csv: the score"):
        scores.write(table, path)
    assert not path.exists()
    table.to_csv(path, index=False)
    with pytest.raises(ScoreError, match="expected a finite number"):
        scores.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns=["label", "score"]), r"the column\(s\) label, score are missing"),
        (lambda table: table.assign(domain="nowhere"), "domain 'nowhere' found; expected one of source, target"),
        (lambda table: table.assign(split="dev"), "split 'dev' found; expected one of train, test"),
        (lambda table: table.assign(section="x"), "section '0x' found; expected two digits"),
        (lambda table: table.assign(machine="../fan"), "machine '../fan' found; expected a name that can be part"),
        (lambda table: table.assign(machine=""), "machine '' found"),
        (lambda table: table.iloc[:0], "no rows; expected one row per clip"),
        (lambda table: table.assign(label=""), "label '' found; expected one of normal, anomaly, unknown"),
        (lambda table: table.assign(score="high"), "is high; expected a finite number"),
        (lambda table: table.assign(score=[True, False, True, True]), "is True; expected a finite number"),
        (lambda table: pd.concat([table, table[["score"]] + 1], axis=1), "the column score occurs twice"),
        (lambda table: pd.concat([table, table.tail(1)]), "section_03_target_test_0000.wav .* more than one score"),
    ],
)
def test_a_broken_table_is_refused(clips, tmp_path, change, message):
    path = tmp_path / "scores.csv"
    change(scores.table(clips, "x", range(4))).to_csv(path, index=False)
    with pytest.raises(ScoreError, match=message) as error:
        scores.read(path)
    assert str(path) in str(error.value)


def test_no_table_no_file_no_csv(tmp_path):
    with pytest.raises(ScoreError, match=r"no\.csv: no such score table; run make reproduce to create it"):
        scores.read(tmp_path / "no.csv")
    with pytest.raises(ScoreError, match="no score table was given"):
        scores.read([])
    (tmp_path / "long.csv").write_text(",".join(scores.COLUMNS) + "\na,fan,00,source,test,c.wav,normal,1,2\n")
    with pytest.raises(ScoreError, match="more values than the header has columns"):
        scores.read(tmp_path / "long.csv")
    for content in (b"", b"\xff\xfe\x00\x01", b'a,b\n"1,2\n3,4,5'):
        (tmp_path / "odd.csv").write_bytes(content)
        with pytest.raises(ScoreError, match=r"odd\.csv: not a score table"):
            scores.read(tmp_path / "odd.csv")


def test_a_table_and_its_copy_are_not_counted_twice(clips, tmp_path):
    """A copied folder in a run would double every clip of the official files."""
    for name in ("scores.csv", "scores (1).csv"):
        scores.write(scores.table(clips, "x", range(4)), tmp_path / name)
    with pytest.raises(ScoreError, match=r"also has a score in another of these tables; .*remove one"):
        scores.read(sorted(tmp_path.iterdir()))


def test_the_same_clip_may_be_scored_by_several_systems(clips, tmp_path):
    tables = [scores.table(clips, system, range(4)) for system in ("a/b/mean", "a/b/max")]
    scores.write(pd.concat(tables, ignore_index=True), tmp_path / "scores.csv")
    assert len(scores.read(tmp_path / "scores.csv")) == 8


def test_numbers_that_are_not_finite_name_the_clip():
    clips = pd.DataFrame({"clip": ["a.wav", "b.wav"], "machine": "fan", "section": "00"})
    values = np.ones((2, 3, 4))
    assert scores.finite(clips, values, "the error") is values
    values[1, 2, 3] = np.nan
    with pytest.raises(
        ScoreError, match=r"clip b.wav \(machine fan, section 00\): the error contains NaN .* 1 clip\(s\)"
    ):
        scores.finite(clips, values, "the error")
