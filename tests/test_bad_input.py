"""Test generated bad input: no traceback, a remedy for each problem, no incomplete file, no wrong number."""

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.io import wavfile

from asdlib import params, paths, scores
from asdlib.__main__ import main
from asdlib.data import anomaly_names, catalogue, folder_report, plan, wav
from asdlib.data.audio import Waveforms
from asdlib.errors import AsdError, DataError
from asdlib.prepare import prepare_clips
from asdlib.shift import shifted_clips
from asdlib.tables import read_table

pytestmark = pytest.mark.slow

TREES, HEADERS = 300, 600
RATE, SAMPLES = 16_000, 1600
CLIPS = [f"train/section_00_source_train_normal_{index:04d}.wav" for index in range(4)]
CLIPS += ["train/section_00_target_train_normal_0000.wav"]
CLIPS += [
    f"{domain}_test/section_00_{domain}_test_{label}_{index:04d}.wav"
    for domain in ("source", "target")
    for label in ("normal", "anomaly")
    for index in range(2)
]


def pcm(seed: int, samples: int = SAMPLES) -> np.ndarray:
    return np.random.default_rng(seed).integers(-8000, 8000, samples, dtype=np.int16)


def encoded(samples, rate=RATE, **options) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, **{"format": "WAV", "subtype": "PCM_16", **options})
    return stream.getvalue()


# What can be wrong with a file: each gives its new content, and words of the sentence about it -----------------------
def random_bytes(whole, rng):
    return rng.bytes(int(rng.integers(1, 4000))), ["not readable as audio"]


def text(whole, rng):
    return b"time,level\n0,1\n" * int(rng.integers(1, 50)), ["not readable as audio"]


def empty(whole, rng):
    return b"", ["0 bytes"]


def cut_in_the_samples(whole, rng):
    return whole[: int(rng.integers(45, len(whole)))], ["truncated", "copy it again"]


def cut_in_the_header(whole, rng):
    return whole[: int(rng.integers(1, 44))], ["expected"]


def no_samples(whole, rng):
    return encoded(pcm(0, 0)), ["no samples"]


def not_a_number(whole, rng):
    samples = pcm(0) / 32768
    samples[rng.integers(0, SAMPLES, 3)] = rng.choice([np.nan, np.inf, -np.inf])
    return encoded(samples, subtype=str(rng.choice(["FLOAT", "DOUBLE"]))), ["NaN or infinite"]


def beyond_full_scale(whole, rng):
    return encoded(pcm(0) / 100, subtype="FLOAT"), ["samples reach", "-1 to 1"]


def other_rate(whole, rng):
    rate = int(rng.choice([8000, 11_025, 22_050, 44_100, 48_000, 96_000]))
    return encoded(pcm(0), rate), [f"{rate} Hz", "expected 16000", "data.sample_rate"]


def several_channels(whole, rng):
    channels = int(rng.choice([2, 3, 8]))
    return encoded(np.stack([pcm(0)] * channels, axis=1)), [f"{channels} channels", "data.channels"]


def compressed(whole, rng):
    return encoded(pcm(0), subtype=str(rng.choice(["ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"]))), ["wav as PCM or float"]


def another_format(whole, rng):
    name, subtype = [("CAF", "PCM_16"), ("NIST", "PCM_16"), ("AU", "PCM_16")][rng.integers(3)]
    return encoded(pcm(0), format=name, subtype=subtype), ["wav as PCM or float", "convert it"]


CONTENTS = [
    random_bytes, text, empty, cut_in_the_samples, cut_in_the_header, no_samples, not_a_number, beyond_full_scale,
    other_rate, several_channels, compressed, another_format,
]  # fmt: skip


# What can be wrong with a name or a tree: each changes the folder ``fan``; words of the sentence about it ------------
def a_name_off_the_grammar(fan, clip, rng):
    names = ["take 1.wav", "section_0_source_train_normal_1.wav", "section_00_source_train_normal.wav", "ü.WAV"]
    name = names[rng.integers(len(names))]
    (fan / "train" / name).write_bytes((fan / clip).read_bytes())
    return [name, "does not fit"]


def a_name_that_is_no_text(fan, clip, rng):
    name = [b"section_00_source_train_normal_0099_\xff.wav", b"section_00_source_train_normal_0099_\n.wav"]
    path = os.path.join(os.fsencode(fan / "train"), name[rng.integers(2)])
    shutil.copyfile(os.fsencode(fan / clip), path)
    return ["section_00_source_train_normal_0099_\\", "unprintable characters"]


def an_anomaly_in_training(fan, clip, rng):
    label = ["anomaly", "unknown"][rng.integers(2)]
    name = "section_00_source_train_" + ("anomaly_" if label == "anomaly" else "") + "0099.wav"
    (fan / "train" / name).write_bytes(encoded(pcm(99)))
    return [name, f"a training clip with the label {label}"]


def a_clip_in_the_wrong_folder(fan, clip, rng):
    name = "section_00_source_test_normal_0099.wav"
    folder = fan / ["train", "target_test"][rng.integers(2)]
    (folder / name).write_bytes(encoded(pcm(99)))
    return [name, "the folder says", "move or rename"]


def a_clip_twice(fan, clip, rng):
    name = Path(CLIPS[5]).name
    (fan / "test").mkdir(exist_ok=True)
    (fan / "test" / name).write_bytes(encoded(pcm(98)))
    return [name, "the same clip name"]


def a_link_to_itself(fan, clip, rng):
    path = [fan / "train" / "section_00_source_train_normal_0098.wav", fan / "loop", fan.parent / "loop"]
    path = path[rng.integers(3)]
    path.symlink_to(path.name)
    return [str(path), "symbolic links"]


def a_link_to_nothing(fan, clip, rng):
    path = fan / "train" / "section_00_source_train_normal_0097.wav"
    path.symlink_to("/nowhere/at/all.wav")
    return [path.name, "a broken link"]


def a_pipe(fan, clip, rng):
    os.mkfifo(fan / "train" / "section_00_source_train_normal_0096.wav")
    return ["normal_0096.wav", "not a regular file"]


def no_clips_of_a_kind(fan, clip, rng):
    domain, label = ["source", "target"][rng.integers(2)], ["normal", "anomaly"][rng.integers(2)]
    for path in (fan / f"{domain}_test").glob(f"*_{label}_*"):
        path.unlink()
    return ["section 00 of fan", f"none of them {'normal' if label == 'normal' else 'anomalous'}", "data.sections"]


def too_few_to_learn_from(fan, clip, rng):
    for path in sorted((fan / "train").glob("section_00_source*"))[: int(rng.integers(2, 5))]:
        path.unlink()
    return ["section 00 of fan", "source training clip", "data.sections"]


def a_machine_with_a_pattern_for_a_name(fan, clip, rng):
    name = ["fan{0}", "a*b", "what?", "all", "new\nline"][rng.integers(5)]
    shutil.copytree(fan, fan.parent / name, symlinks=True)
    return ["machine type is called", "rename it"]


TREE = [
    a_name_off_the_grammar, a_name_that_is_no_text, an_anomaly_in_training, a_clip_in_the_wrong_folder, a_clip_twice,
    a_link_to_itself, a_link_to_nothing, a_pipe, no_clips_of_a_kind, too_few_to_learn_from,
    a_machine_with_a_pattern_for_a_name,
]  # fmt: skip


# What is doubtful: the data can be used, and the warning counts the clips --------------------------------------------
def silent(rng):
    return np.full(SAMPLES, rng.integers(-9, 9), np.int16), "silent clips"


def clipped(rng):
    return np.clip(pcm(7).astype(int) * 8, -32768, 32767).astype(np.int16), "clipped clips"


def in_training_too(rng):
    return pcm(CLIPS.index(CLIPS[0])), "the same samples in training and test"


DOUBTFUL = [silent, clipped, in_training_too]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("template")
    for index, clip in enumerate(CLIPS):
        (root / "fan" / clip).parent.mkdir(parents=True, exist_ok=True)
        (root / "fan" / clip).write_bytes(encoded(pcm(index)))
    return root


def settings():
    return params.Settings(profile="t", title="t", data=params.Data(root="in"))


@pytest.fixture(scope="module", autouse=True)
def tiny(tmp_path_factory):
    """Return a profile whose stages can use clips of 0.1 s."""
    path = tmp_path_factory.mktemp("profile") / "tiny.yaml"
    path.write_text("profile: tiny\ntitle: t\nmobilenet: {frames: 1}\nframe_autoencoder: {frames: 1}\n")
    PROFILE[:] = ["--profile", str(path)]


PROFILE = []


def checked(capsys, root) -> tuple[int, dict]:
    code = main(["data", "check", str(root), "--json", *PROFILE])
    return code, json.loads(capsys.readouterr().out)


def test_generated_trees(template, tmp_path, monkeypatch, capsys, note):
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    root, defects = tmp_path / "in", 0
    for seed in range(TREES):
        rng = np.random.default_rng(seed)
        shutil.copytree(template, root)
        expected = []
        victims = [CLIPS[index] for index in rng.permutation(len(CLIPS))[: rng.integers(0, 4)]]
        for clip in victims:
            path = root / "fan" / clip
            content, words = CONTENTS[rng.integers(len(CONTENTS))](path.read_bytes(), rng)
            path.write_bytes(content)
            expected.append([str(path), *words])
        if not victims or rng.random() < 0.3:
            defect = TREE[rng.integers(len(TREE))]
            expected.append(defect(root / "fan", CLIPS[0], rng))
            if defect in (no_clips_of_a_kind, too_few_to_learn_from):  # it may have removed a victim
                expected = [words for words in expected if words[0][0] != "/" or Path(words[0]).exists()]
        code, report = checked(capsys, root)
        assert code == 1 and not report["usable"], seed
        for words in expected:
            assert any(all(word in problem for word in words) for problem in report["problems"]), (seed, words, report)
        assert all(problem.isprintable() for problem in report["problems"])
        folder_report.describe(report)
        with pytest.raises(AsdError):
            prepare_clips(settings())
        written = {path.name for path in (tmp_path / "runs").rglob("*") if path.is_file()}
        assert written <= {"plan.json", *paths.DECODED}, seed  # whole machine types, if any, and nothing half-written
        defects += len(expected)
        shutil.rmtree(root)
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
    assert defects > TREES
    note("generated data folders with defects, each refused", TREES)
    note("defects in them, each named", defects)


def test_doubtful_clips_are_counted_and_used(template, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    for number, kind in enumerate(DOUBTFUL):
        root, rng = tmp_path / f"in {number} ü", np.random.default_rng(number)  # a path with spaces, not ASCII
        shutil.copytree(template, root)
        samples, words = kind(rng)
        victims = [CLIPS[5]] if kind is in_training_too else [CLIPS[2], CLIPS[7]]
        for offset, clip in enumerate(victims):
            shifted = samples if kind is not clipped else np.roll(samples, offset)  # not the same clip twice
            (root / "fan" / clip).write_bytes(encoded(shifted + offset if kind is silent else shifted))
        code, report = checked(capsys, root)
        assert code == 0 and report["usable"] and report["problems"] == []
        assert any("fan 00 source test normal: 2" in w and "an AUC of fewer" in w for w in report["warnings"])
        found = [warning for warning in report["warnings"] if words in warning]
        assert len(found) == 1 and found[0].startswith(f"{len(victims)} (fan/"), report["warnings"]
        data = params.Data(root=root.name)
        prepare_clips(params.Settings(profile=f"t{number}", title="t", data=data))
        assert words in capsys.readouterr().out  # a run says so too


def test_contradicting_labels_and_copies_are_distinguished(template, tmp_path, capsys):
    root = tmp_path / "in"
    shutil.copytree(template, root)
    shutil.copyfile(root / "fan" / CLIPS[5], root / "fan" / CLIPS[7])  # normal and anomalous
    shutil.copyfile(root / "fan" / CLIPS[0], root / "fan" / CLIPS[1])
    (root / "fan" / "train" / "notes.txt").touch()
    (root / "fan" / "train" / "more").mkdir()
    _, report = checked(capsys, root)
    text = "\n".join(report["warnings"])
    assert "once called normal and once anomalous" in text and "as another of the same split" in text
    assert "2 (fan/train/more, fan/train/notes.txt): not used" in text
    assert "training and test" not in text


def test_generated_headers(tmp_path, note):
    """Files with randomly changed headers are refused in one sentence, or read as an independent reader does."""
    path, accepted, compared = tmp_path / "a.wav", 0, 0
    kinds = [
        {"subtype": "PCM_16"},
        {"subtype": "PCM_24"},
        {"subtype": "FLOAT"},
        {"format": "WAVEX"},
        {"format": "RF64"},
    ]
    wholes = [encoded(pcm(number) / 32768, **kind) for number, kind in enumerate(kinds)]
    for seed in range(HEADERS):
        rng = np.random.default_rng(seed)
        content = bytearray(wholes[seed % len(wholes)])
        for place in rng.integers(0, 100, rng.integers(1, 4)):
            content[place] = rng.integers(256)
        if rng.random() < 0.2:  # a chunk that promises more than there is
            content[36:36] = b"junk" + struct.pack("<I", int(rng.integers(2**32)))
        path.write_bytes(content)
        try:
            samples = wav.read(path, params.Data())
        except DataError as error:
            assert str(error).startswith(str(path)) and len(str(error)) < 400 and "\n" not in str(error)
            continue
        accepted += 1
        assert samples.dtype in (np.int16, np.float32) and len(samples) > 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rate, other = wavfile.read(path)
        except Exception:  # scipy reads fewer kinds than libsndfile
            continue
        if other.ndim == 1 and other.dtype == np.int16:
            assert rate == RATE and np.array_equal(samples, other), seed
            compared += 1
    assert accepted > HEADERS / 20 and compared > HEADERS / 40
    note("wav headers changed at random, each refused or read as by scipy", HEADERS)


def test_ten_thousand_clips(tmp_path, capsys):
    """Names, headers and samples of 10,000 clips, which are links to a few files, are checked within seconds."""
    for number in range(10):
        (tmp_path / f"{number}.wav").write_bytes(encoded(pcm(number)))
    folder = tmp_path / "in" / "fan" / "train"
    folder.mkdir(parents=True)
    for index in range(10_000):
        os.link(tmp_path / f"{index % 10}.wav", folder / f"section_00_source_train_normal_{index:05d}.wav")
    began = os.times()
    code, report = checked(capsys, tmp_path / "in")
    ended = os.times()
    assert code == 1 and report["clips"] == 10_000  # no test clips
    assert any(warning.startswith("9990 (") for warning in report["warnings"])
    assert ended.user + ended.system - began.user - began.system < 30  # CPU seconds; usually 3


def test_a_path_that_is_no_text_is_printed(tmp_path):
    folder = os.path.join(os.fsencode(tmp_path), b"in \xff")
    os.mkdir(folder)
    command = [sys.executable, "-m", "asdlib", "data", "check", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "the folder is empty" in done.stdout and done.stderr == ""


@pytest.mark.parametrize("value", ["0", "-5", "many", "1e3"])
def test_numbers_on_the_command_line(value, capsys):
    for command in (["reproduce", f"--jobs={value}"], ["data", "check", ".", f"--sample-rate={value}"]):
        with pytest.raises(SystemExit) as info:
            main(command)
        assert info.value.code == 2 and "expected a whole number above 0" in capsys.readouterr().err


def test_a_folder_that_may_not_be_read_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "fan" / "train").mkdir(parents=True)
    scandir = os.scandir

    def refusing(folder):
        if Path(folder).name == "train":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)  # whoever runs this may be root, who may read all
    assert "fan/train: permission denied" in catalogue.walk(tmp_path)[1][0]
    assert "fan/train" in folder_report.check(tmp_path, params.Data())["problems"][0]
    (tmp_path / "fan").rename(tmp_path / "train")
    monkeypatch.setattr(catalogue.ground_truth, "read", refusing)  # it may not be looked into either
    found = catalogue.walk(tmp_path / "train")[1]
    assert len(found) == 1 and f"{tmp_path}/train: permission denied; expected a readable folder" in found[0]


def test_decoded_samples_equal_those_of_the_files(template, tmp_path, monkeypatch):
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    shutil.copytree(template, tmp_path / "in")
    prepare_clips(settings())
    waveforms = Waveforms.open(tmp_path / "runs" / "t" / "data" / "fan")
    for row, path in enumerate(waveforms.clips["path"]):
        assert np.array_equal(waveforms.read(row), pcm(CLIPS.index(path.removeprefix("fan/"))))


def test_clips_too_short_for_a_later_stage_are_all_named_up_front(template, tmp_path, monkeypatch, capsys):
    """``data check`` and the first stage, before any training, report the same."""
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    root = tmp_path / "in"
    shutil.copytree(template, root)
    for index, clip in enumerate(CLIPS):
        (root / "fan" / clip).write_bytes(encoded(pcm(index, 33_000)))  # 2.06 s; 64 frames are 2.02
    short = [CLIPS[6], CLIPS[1]]  # in the order of the catalogue
    for index, clip in enumerate(short):
        (root / "fan" / clip).write_bytes(encoded(pcm(index, 32_000)))
    assert main(["data", "check", str(root), "--json", "--profile", "paper"]) == 1
    report = json.loads(capsys.readouterr().out)
    needed = settings().shortest_clips()
    assert needed == {"frame_autoencoder.frames": 4 * 512, "mobilenet.frames": 63 * 512}
    with pytest.raises(AsdError) as info:
        prepare_clips(settings(), needed)
    assert len(report["problems"]) == 2 and not (tmp_path / "runs").exists()
    for clip, problem in zip(short, report["problems"], strict=True):
        words = f"{root / 'fan' / clip}: 2 s long; expected at least 2.02 s, which mobilenet.frames needs"
        assert problem.startswith(words) and words in str(info.value)
    assert folder_report.check(root, params.Data(), {})["usable"]


def test_a_folder_of_one_section_is_reported_until_there_is_something_to_tell_it_from(template, tmp_path):
    root, words = tmp_path / "in", "there is one section only"
    shutil.copytree(template, root)
    for path in (root / "fan").rglob("section_01*"):
        path.unlink()
    assert any(words in warning for warning in folder_report.check(root, params.Data())["warnings"])
    (root / "other" / "train").mkdir(parents=True)
    clip = next((root / "fan" / "train").glob("section_00_source_train_*.wav"))
    shutil.copyfile(clip, root / "other" / "train" / clip.name)
    assert not any(words in warning for warning in folder_report.check(root, params.Data())["warnings"])


def test_training_clips_with_names_of_anomalies_are_reported(template, tmp_path, capsys):
    root = tmp_path / "in"
    shutil.copytree(template, root)
    (root / "fan" / CLIPS[0]).rename(root / "fan" / "train" / "section_00_source_train_normal_0000_broken_belt.wav")
    code, report = checked(capsys, root)
    assert code == 0 and any("broken_belt.wav: 'broken' in its path" in warning for warning in report["warnings"])


SUSPECTED = [
    "fan/id_00/abnormal/00000000.wav",
    "pump/anomaly/1.wav",
    "pump/Anomalies/1.wav",
    "x/anomaly_id_00_00000001.wav",
    "fan/source_test/section_00_source_test_anomaly_0001.wav",
    "a/section_00_target_test_anomaly_0001_noise.wav",
    "a/bearing_FAULT_07.wav",
    "a/pumpBroken2.wav",
    "defect/1.wav",
    "eval/section_03_0001.wav",
    "eval/section_03_test_0001.wav",
    "test/id_05_00000001.wav",
]
NORMAL = [
    "fan/id_00/normal/00000000.wav",
    "no_fault/1.wav",
    "a/non-anomalous_3.wav",
    "fault-free/1.wav",
    "anomaly_detection/1.wav",
    "default/1.wav",
    "faultline/1.wav",
    "source_test/section_00_source_test_normal_0001.wav",
    "train/section_00_source_train_normal_0001_vel_10.wav",
    "train/normal_id_00_00000001.wav",
    "Test 3/2026-11-26_10-00.wav",
]


def test_names_and_folders_of_anomalies():
    assert [line.partition(": ")[0] for line in anomaly_names.suspected_anomalies(SUSPECTED + NORMAL)] == SUSPECTED
    deep = ["/home/me/fault study/fan/a/1.wav", "/home/me/fault study/fan/broken/b/1.wav"]
    found = anomaly_names.suspected_anomalies(deep, "/home/me/fault study/fan")
    assert [line.partition(": ")[0] for line in found] == deep[1:]  # what lies above the user's folder says nothing
    assert len(anomaly_names.suspected_anomalies(deep[1:], "/home/me/fault study/fan/broken")) == 1


def test_a_clip_that_disappears_while_its_folder_is_read_is_reported(template, tmp_path, monkeypatch):
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    shutil.copytree(template, tmp_path / "in")
    clips = catalogue.scan(tmp_path / "in")
    monkeypatch.setattr(catalogue, "scan", lambda root: clips)
    (tmp_path / "in" / "fan" / CLIPS[0]).unlink()
    with pytest.raises(AsdError, match=r"0000.wav: no such file.*rerun the command"):
        catalogue.state(settings())


def test_machine_types_called_na_001_and_null(template, tmp_path, monkeypatch):
    """The names go through folder, catalogue, decoded clips, score tables and the tables of a run."""
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    machines = ["001", "NA", "nan", "null"]
    for machine in machines:
        shutil.copytree(template / "fan", tmp_path / "in" / machine)
    clips = prepare_clips(settings())
    assert sorted(set(clips["machine"])) == machines == list(plan.derive(settings()).machines)
    for machine in machines:
        table = Waveforms.open(tmp_path / "runs" / "t" / "data" / machine).clips
        assert set(table["machine"]) == {machine} and set(table["section"]) == {"00"}
        shifts = shifted_clips.shifts(settings(), machine)
        assert shifts["section"].tolist() == ["00"] and shifts.drop(columns="section").dtypes.eq(float).all()
        rows = scores.table(table, "mahalanobis", np.arange(float(len(table))))
        rows.to_csv(tmp_path / f"{machine}.csv", index=False)
        assert set(scores.read(tmp_path / f"{machine}.csv")["machine"]) == {machine}
    tidy = pd.DataFrame({"row": ["AE"] * 4, "machine": machines, "selection": ["", "fixed"] * 2})
    tidy = tidy.assign(value=[0.5, 1, 2, np.nan])
    tidy.to_csv(tmp_path / "table1.csv", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "table1.csv"), tidy)
