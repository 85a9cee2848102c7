"""Test score files of other people: layouts, formats of spreadsheets, and refusal of invalid files."""

import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import synthetic_scores
from sklearn.metrics import confusion_matrix, roc_auc_score

from asdlib import scores
from asdlib.challenge import export, files, results
from asdlib.challenge.combine import combine
from asdlib.challenge.evaluate import evaluate
from asdlib.errors import ScoreError
from asdlib.evaluation import decision

pytestmark = pytest.mark.slow

MACHINES = ("fan", "valve")
KEYS = {"year", "recognised", "rule", "official_score", "cells", "sections"}
NAME = "anomaly_score_fan_section_01_target_test.csv"


def table(system, machines=MACHINES, seed=0):
    """Return scores of a system better than chance, on all machines."""
    generator = np.random.default_rng([seed, *system.encode()])
    parts = [synthetic_scores.table(synthetic_scores.clips(m, test=8), system, generator, 1.0) for m in machines]
    return pd.concat(parts, ignore_index=True)


def write(frame, folder):
    """Write scores, decisions and result.csv of a system like an official system."""
    decided = decision.decide(frame, decision.thresholds(frame, method="empirical"))
    export.write_clips(decided, "score", folder)
    export.write_clips(decided, "decision", folder)
    results.write(results.figures(decided), folder / "result.csv")
    return folder


# Layouts --------------------------------------------------------------------------------------------------------------
def test_systems_below_one_folder_are_distinguished(tmp_path):
    teams = tmp_path / "the teams"
    for name in ("first team/task2_1", "first team/task2_2", "second"):
        write(table(name), teams / name)
    result = evaluate([teams])["systems"]
    assert list(result) == ["first team/task2_1", "first team/task2_2", "second"]
    for name, found in result.items():
        assert found == evaluate([teams / name])
        assert (
            set(found) == {"year", "recognised", "rule", "official_score", "cells", "sections"}
            and len(found["sections"]) == 8
        )


def test_a_folder_a_machine_type_is_one_system(tmp_path):
    write(table("one"), tmp_path / "flat")
    for file in (tmp_path / "flat").glob("*_fan_*"):
        (tmp_path / "deep" / "fan").mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / "deep" / "fan")
    for file in (tmp_path / "flat").glob("*_valve_*"):
        (tmp_path / "deep" / "valve").mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / "deep" / "valve")
    assert evaluate([tmp_path / "deep"]) == evaluate([tmp_path / "flat"])
    assert set(files.read([tmp_path / "deep"]).frame["system"]) == {"deep"}


def test_folders_of_one_name_are_distinguished_by_their_paths(tmp_path):
    folders = [write(table(name), tmp_path / name / "result") for name in "ab"]
    result = evaluate([*folders, folders[0]])["systems"]
    assert set(result) == {str(folder.resolve()) for folder in folders}
    assert result[str(folders[1].resolve())] == evaluate(folders[1:])


def test_one_system_may_have_a_table_a_machine_type(tmp_path):
    paths = []
    for system in ("a", "b"):
        for machine, part in table(system).groupby("machine"):
            paths.append(tmp_path / system / f"{machine}.csv")
            scores.write(part, paths[-1])
    result = evaluate(paths)["systems"]
    assert set(result) == {"a", "b"}
    assert result["a"] == evaluate(paths[:2]) and len(result["a"]["cells"]) == 4
    assert evaluate([tmp_path]) == {"systems": result}
    assert evaluate([tmp_path / "a", write(table("b"), tmp_path / "c")])["systems"]["a"] == result["a"]


def test_files_as_written_by_spreadsheets_and_other_systems(tmp_path):
    folder = write(table("one"), tmp_path / "one")
    before = evaluate([folder])
    text = (folder / NAME).read_text()
    (folder / NAME).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n")
    (folder / "notes.csv").write_text("my,own\nnotes,1\n")
    assert evaluate([folder]) == before
    frame = table("one")
    frame["section"] = frame["section"].astype(int)  # "00" has become 0
    frame.assign(comment="mine")[["comment", *scores.COLUMNS[::-1]]].to_csv(
        tmp_path / "x.csv", index=False, encoding="utf-8-sig", lineterminator="\r\n"
    )
    found = evaluate([tmp_path / "x.csv"])
    assert found["sections"] == before["sections"]


# The official evaluator -----------------------------------------------------------------------------------------------
def test_the_official_evaluators_procedure_gives_result_csv(tmp_path):
    """Files are named by machine, section and domain, with a sorted row per clip, 0 or 1 for decisions (METHOD, 7)."""
    folder = write(table("one"), tmp_path / "one")
    for row in synthetic_scores.read_result(folder / "result.csv").to_dict("records"):
        columns = []
        for kind in ("anomaly_score", "decision_result"):
            name = f"{kind}_{row['machine']}_section_{row['section']}_{row['domain']}_test.csv"
            lines = sorted(csv.reader((folder / name).read_text().splitlines()))
            columns.append([float(value) for _, value in lines])
        truth = ["anomaly" in clip for clip, _ in lines]
        assert len(truth) == 16 and set(columns[1]) <= {0.0, 1.0}
        (_, false), (missed, hits) = confusion_matrix(truth, columns[1])
        expected = {
            "auc": roc_auc_score(truth, columns[0]),
            "pauc": roc_auc_score(truth, columns[0], max_fpr=0.1),
            "precision": hits / (hits + false),
            "recall": hits / (hits + missed),
            "f1": 2 * hits / (2 * hits + false + missed),
        }
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_ground_truth_must_be_of_the_clips_that_were_scored(tmp_path, command):
    frame = table("one", ["fan"])
    frame["clip"] = frame["section"] + frame["domain"] + frame["label"].str[0] + frame["clip"].str[-8:]
    folder, truth = tmp_path / "one", tmp_path / "truth"
    export.write_clips(frame, "score", folder)
    answers = frame.assign(decision=(frame["label"] == "anomaly").astype(int))
    export.write_clips(answers, "decision", truth)
    for file in truth.iterdir():
        file.rename(file.with_name(file.name.replace("decision_result", "ground_truth")))
    expected = evaluate([write(table("one", ["fan"]), tmp_path / "named")])
    assert evaluate([folder, truth]) == expected
    shutil.copytree(truth, folder / "truth")
    assert evaluate([folder]) == expected  # also below the same folder
    shutil.rmtree(folder / "truth")
    file = truth / NAME.replace("anomaly_score", "ground_truth")
    lines = file.read_text().splitlines(keepends=True)
    for changed, words in [
        (lines[1:], "clip 01targeta0000.wav has no label, 1 clip(s) in total (scores of one)"),
        ([*lines, "more.wav,0\n"], "clip more.wav has no score"),
        ([lines[0].replace(",1", ",2"), *lines[1:]], "a line reads '01targeta0000.wav,2'; expected"),
    ]:
        file.write_text("".join(changed))
        with pytest.raises(ScoreError) as info:
            evaluate([folder, truth])
        assert words in str(info.value)
    file.unlink()
    code, out, err = command("evaluate", folder, truth, "--json")
    assert code == 0 and len(json.loads(out)["sections"]) == 3
    assert err == "note: 16 clips without a label are left out (fan 01 target)\n"


# Decisions ------------------------------------------------------------------------------------------------------------
def test_decisions_are_read_where_they_are_asked_for(tmp_path, command):
    folder = write(table("one"), tmp_path / "one")
    code, out, _ = command("evaluate", folder, "--decisions", "--json")
    found = pd.DataFrame(json.loads(out)["sections"])
    pd.testing.assert_frame_equal(
        found, synthetic_scores.read_result(folder / "result.csv"), check_dtype=False, rtol=1e-12
    )
    code, out, _ = command("evaluate", folder, "--decisions")
    assert code == 0 and "prec." in out and "recall" in out
    file = folder / NAME.replace("anomaly_score", "decision_result")
    text = file.read_text()
    file.write_text(text.replace(",1\n", ",0.5\n", 1))
    code, out, err = command("evaluate", folder, "--decisions")
    assert code == 2 and out == "" and "the decision of" in err and "is 0.5; expected 0" in err
    file.write_text("".join(text.splitlines(keepends=True)[1:]))
    code, _, err = command("evaluate", folder, "--decisions")
    assert code == 2 and "0000 of the target domain has no decision" in err
    code, _, err = command("evaluate", folder / NAME, "--decisions")
    assert code == 2 and "no decisions found" in err


# Refused --------------------------------------------------------------------------------------------------------------
def test_missing_and_misnamed_files_are_reported(tmp_path, command):
    folder = write(table("one"), tmp_path / "one")
    (folder / NAME).rename(folder / "anomaly_score_fan_section_1_target_test.csv")
    code, out, err = command("evaluate", folder, "--json")
    assert code == 2 and out == "" and "section_1_target_test.csv: not the name of an official file" in err
    (folder / "anomaly_score_fan_section_1_target_test.csv").unlink()
    code, out, err = command("evaluate", folder, "--json")
    assert code == 2 and out == "" and f"{NAME} is missing" in err
    assert evaluate(sorted(folder.glob("anomaly_score_*")))["official_score"] > 0  # need not be complete
    for file in folder.glob("anomaly_score_*_target_*"):
        file.unlink()
    assert len(evaluate([folder])["sections"]) == 4  # one domain only: DCASE2020 has no other
    for file in folder.glob("anomaly_score_*"):
        file.unlink()
    code, _, err = command("evaluate", folder)
    assert code == 2 and "no score file found" in err


@pytest.mark.parametrize("normalise", ["test", "rank"])
def test_only_the_same_clips_are_combined(tmp_path, normalise):
    one = write(table("one"), tmp_path / "one")
    two = write(table("two", ["fan"]), tmp_path / "two")
    with pytest.raises(ScoreError, match="two has no scores of valve, which other systems have"):
        combine([one, two], normalise, "average", tmp_path / "both")
    assert not (tmp_path / "both").exists()
    write(table("two"), two)
    whole = combine([one, two], normalise, "average", tmp_path / "both")
    assert len(whole) == 2 * 8 * 8 and evaluate([tmp_path / "both"])["official_score"] > 0.5
    mixed = tmp_path / "one.csv"  # a table with training clips and a folder without: the test clips count
    scores.write(table("one"), mixed)
    again = combine([mixed, two], normalise, "average", tmp_path / "again")
    assert again["score"].to_numpy() == pytest.approx(whole["score"].to_numpy(), abs=1e-12)


def test_an_ensemble_replaces_none_of_its_members(tmp_path):
    """Inside a folder that was combined, it would also be a member of itself the next time."""
    one, two = (write(table(name), tmp_path / "all" / name) for name in ("one", "two"))
    before = (one / NAME).read_bytes()
    members = sorted((tmp_path / "all").glob("*/anomaly_score_*"))
    for paths, out in (([one, two], one), ([tmp_path / "all"], tmp_path / "all" / "new"), (members, two)):
        with pytest.raises(ScoreError, match=r"whose scores are to be combined.*expected a folder elsewhere"):
            combine(paths, "test", "average", out)
    assert (one / NAME).read_bytes() == before and not (tmp_path / "all" / "new").exists()
    combine([one, two], "test", "average", tmp_path / "all" / "new")


def test_labels_are_not_taken_from_attributes_or_against_names(tmp_path):
    name = tmp_path / "anomaly_score_fan_section_03_source_test.csv"
    name.write_text(
        "".join(f"section_03_source_test_{i:04d}_mode_{'normal' if i % 2 else 'anomaly'}_.wav,{i}\n" for i in range(6))
    )
    with pytest.raises(ScoreError, match="none of these clips is labelled"):
        evaluate([name])
    frame = table("one")
    other = frame["label"].replace({"normal": "anomaly", "anomaly": "normal"})
    frame.assign(label=other.where(frame["split"] == "test", frame["label"])).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ScoreError, match=r"a\.csv: clip .* by its name; 128 clip\(s\) in total"):
        evaluate([tmp_path / "a.csv"])


def test_a_link_to_a_missing_score_file_is_named(tmp_path):
    folder = write(table("one"), tmp_path / "one")
    (folder / "anomaly_score_fan_section_01_source_test.csv").unlink()
    (folder / "anomaly_score_fan_section_01_source_test.csv").symlink_to("nowhere.csv")
    with pytest.raises(ScoreError, match=r"fan_section_01_source_test\.csv: cannot be read \(No such file"):
        evaluate([folder])


def test_tables_of_training_clips_only_have_nothing_to_combine(tmp_path):
    for system in "ab":
        frame = table(system)
        scores.write(frame[frame["split"] == "train"], tmp_path / f"{system}.csv")
    for normalise in ("test", "train"):
        with pytest.raises(ScoreError, match="training clips only"):
            combine([tmp_path / "a.csv", tmp_path / "b.csv"], normalise, "average", tmp_path / "out")
