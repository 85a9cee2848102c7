"""Test a detector for the user's own machine, from fit to verdict, on tiny recordings and networks."""

import json
import pickle
import shutil
import signal
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from detector_recordings import RATE, hum, normal, profile, write
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import welch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import asdlib
from asdlib import params
from asdlib.__main__ import main
from asdlib.detector import cutting, localize, onnx, output, recordings, sources
from asdlib.detector.calibration import ENSEMBLE, combine_together
from asdlib.detector.watch import JOURNAL, default_journal, watch
from asdlib.errors import DataError, DetectorError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Write recordings, and train a detector of two sections with changed conditions and outliers by the command."""
    place = tmp_path_factory.mktemp("own")
    normal(place / "pump" / "left", 40)
    normal(place / "pump" / "right", 40, first=100, pitch=700)
    normal(place / "changed" / "left", 3, first=200, pitch=330)
    normal(place / "fan", 6, first=300, pitch=1500)
    given = ["fit", place / "pump", "--out", place / "detector", "--changed", place / "changed"]
    given += ["--outliers", place / "fan", "--profile", profile(place), "--jobs", "1"]
    assert main([str(value) for value in given]) == 0
    return place


@pytest.fixture(scope="module")
def detector(home):
    return asdlib.Detector.load(home / "detector")


@pytest.fixture(scope="module")
def odd(home):
    return write(home / "left" / "odd.wav", hum(1000, burst=(1.0, 1.4)))


@pytest.fixture(scope="module")
def usual(home):
    """Return a normal clip that the detector calls normal, as it does at least 90 % of them."""
    paths = [write(home / "left" / f"usual{seed}.wav", hum(seed)) for seed in range(1001, 1005)]
    loaded = asdlib.Detector.load(home / "detector")
    return next(path for path in paths if not loaded.judge(path).anomaly)


def test_an_anomaly_is_found_with_its_time_and_frequency(detector, odd):
    verdict = detector.judge(odd)
    assert verdict.anomaly and verdict.score > verdict.threshold and verdict.percentile > 90
    assert list(verdict.branches) == ["autoencoder", "classifier", "statistics"]
    assert verdict.verdict == "anomaly" and verdict.branches["autoencoder"]["anomaly"]
    # In one normal clip of ten some frame stands out by chance, so there may be another span than that of the burst.
    (span,) = [span for span in verdict.spans if span["start"] < 1.4 and span["end"] > 1.0]
    assert len(verdict.spans) <= 2
    assert span["branch"] == "autoencoder" and verdict.nearest["recording"].startswith("day")
    assert verdict.above == verdict.normals == 10 and abs(verdict.level) < 6
    assert (span["start"], span["end"]) == pytest.approx((1.0, 1.4), abs=localize.SMOOTH)
    low, high = span["frequencies"][0]
    assert low < 5000 < high and high - low < 3000


def test_new_normal_clips_alarm_at_about_the_rate(detector, home):
    """With 10 held-out clips and a rate of 10 %, 9 or more alarms in 20 new clips occur once in a hundred times."""
    paths = [write(home / "new" / "left" / f"{seed}.wav", hum(seed)) for seed in range(2000, 2020)]
    decided = detector.predict(paths)
    assert set(decided) <= {-1, 1} and np.sum(decided == -1) < 9


def test_scikit_learns_conventions(detector, odd, usual):
    assert detector.predict(odd).tolist() == [-1]
    pair = [usual, odd]
    samples, margins = detector.score_samples(pair), detector.decision_function(pair)
    assert samples[0] > samples[1]  # the lower, the more abnormal
    assert margins[0] > 0 > margins[1]
    np.testing.assert_array_equal(margins, samples - detector.offset_)
    verdicts = [detector.judge(clip) for clip in pair]
    expected = [verdict.threshold - verdict.score + detector.offset_ for verdict in verdicts]
    np.testing.assert_allclose(samples, expected, rtol=1e-12)
    assert detector.predict(pair).tolist() == [1, -1]
    fresh = clone(asdlib.Detector("smoke", 0.2))
    assert fresh.get_params() == {
        "profile": "smoke",
        "false_alarm_rate": 0.2,
        "overrides": None,
        "level_limit": 12.0,
        "statistics_only": False,
    }
    with pytest.raises(NotFittedError):
        fresh.predict(pair)


def test_scores_of_all_sections_and_lengths_share_one_offset(detector, home):
    clips = [write(home / "right" / "one.wav", hum(1400, pitch=700))]
    clips.append(write(home / "left" / "long.wav", hum(1401, seconds=40)))
    verdicts = [detector.judge(clip) for clip in clips]
    assert all(verdict.threshold != -detector.offset_ for verdict in verdicts)
    margins = [verdict.threshold - verdict.score for verdict in verdicts]
    np.testing.assert_allclose(detector.score_samples(clips) - detector.offset_, margins, rtol=1e-12)


def test_a_clone_of_a_loaded_detector_is_fitted_with_its_settings(detector, home, tmp_path):
    fresh = clone(detector)
    assert fresh.profile["classifier"]["model"]["backbone"] == "test_resnet" and not hasattr(fresh, "sections_")
    fresh.set_params(overrides={"autoencoder.training.steps": 2})
    fresh.fit(normal(tmp_path / "own", 12))
    settings = fresh._fitted().stored.settings
    assert settings.autoencoder.training.steps == 2
    assert settings.autoencoder.features == detector._fitted().stored.settings.autoencoder.features


def test_a_clip_is_judged_by_its_content_alone(detector, odd, home):
    first = detector.judge(odd, section="left")
    other = shutil.copy(odd, home / "another name.wav")
    second = asdlib.Detector.load(home / "detector").judge(other, section="left")
    assert second.clip == str(other)
    assert second.as_dict() | {"clip": ""} == first.as_dict() | {"clip": ""}  # the same bits


def test_sections_and_conditions(detector, home):
    right = write(home / "right" / "clip.wav", hum(1100, pitch=700))
    assert detector.judge(right).score < detector.judge(right, section="left").score
    shifted = write(home / "left" / "shifted.wav", hum(1200, pitch=330))
    branch = "autoencoder"
    plain, told = (detector.judge(shifted, changed=changed).branches[branch]["score"] for changed in (False, True))
    assert told < plain
    with pytest.raises(DetectorError, match=r"clip\.wav: section 'middle' is not known; this detector has left, right"):
        detector.judge(right, section="middle")
    with pytest.raises(DetectorError, match="section 'fan' is not known"):
        detector.judge(home / "fan" / "day000.wav")


def test_the_card_lists_the_recordings(detector, home):
    card = detector.card_
    for words in ("left | 40 | 10 | 3 | 0", "fan (6 clips)", "at most 9.1 %", "rate of false alarms is not known"):
        assert words in card, card
    assert detector.sections_ == ["left", "right"]
    held = detector.held_out_
    assert set(held["branch"]) == {"autoencoder", "classifier", "statistics", "ensemble"} and set(held["domain"]) == {
        "source"
    }
    heard = pd.read_csv(home / "detector" / "recordings.csv", dtype=str)
    assert heard.groupby(["name", "split"]).size().loc["left"].to_dict() == {"test": 10, "train": 33}
    assert not (home / ".detector.work").exists()


def test_held_out_clips_are_normalised_by_themselves(detector, home):
    heard = pd.read_csv(home / "detector" / "recordings.csv", dtype=str)
    held = heard[(heard["name"] == "right") & (heard["split"] == "test")]
    verdicts = [detector.judge(home / "pump" / "right" / name) for name in held["recording"].iloc[:2]]
    stored = detector.held_out_
    stored = stored[(stored["section"] == "right") & (stored["branch"] == "ensemble")]["score"]
    judge = detector._fitted()
    code = judge.stored.description.codes[judge.stored.description.sections.index("right")]
    samples = judge.stored.description.samples(judge.stored.settings.data.sample_rate)[0]
    reference = judge.stored.reference[judge.key(code, "source", samples)]
    np.testing.assert_allclose(stored, combine_together(reference, judge.by)[ENSEMBLE])
    for row, verdict in enumerate(verdicts):  # judged again, a held-out clip is compared with itself, too
        assert verdict.score == pytest.approx(verdict.held_out[ENSEMBLE][row], abs=1e-6)
        assert "held_out" not in verdict.as_dict()


# Long recordings and other rates --------------------------------------------------------------------------------------
def test_long_recordings_are_judged_in_windows_of_bounded_memory(detector, home):
    long = write(home / "left" / "long.wav", hum(1300, seconds=60, burst=(31.0, 31.5)))
    tracemalloc.start()
    verdict = detector.judge(long)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert verdict.anomaly
    assert any(span["start"] < 31.5 and span["end"] > 31.0 for span in verdict.spans)
    assert peak < 60 * RATE * 2  # bytes of its samples


@given(st.integers(1, 5000), st.integers(10, 300))
def test_windows_cover_a_recording(samples, length):
    places = recordings.starts(samples, length)
    apart = recordings.starts(samples, length, apart=True)
    assert len(apart) == max(samples // length, 1) and all(np.diff(apart) >= length)
    if len(places) == 1:
        assert samples <= length
    else:
        assert places[0] == 0 and places[-1] == samples - length
        assert 0 < min(np.diff(places)) and max(np.diff(places)) <= length


def test_other_rates(detector, home, odd):
    higher = write(home / "left" / "48k.wav", hum(1000, rate=48_000, burst=(1.0, 1.4)), 48_000)
    assert detector.judge(higher).anomaly
    data = detector._fitted().stored.settings.data
    ((start, window),) = recordings.windows(recordings.open_recording(higher, data), RATE, 2.0)
    assert start == 0 and len(window) == 2 * RATE
    with pytest.raises(DataError, match=r"8k\.wav: sampled at 8000 Hz; expected 16000 Hz or more.*sample_rate=8000"):
        detector.judge(write(home / "left" / "8k.wav", hum(1, rate=8000), 8000))
    with pytest.raises(DataError, match=r"0\.5 s long; expected at least 1 s"):
        detector.judge(write(home / "left" / "short.wav", hum(1, seconds=0.5)))


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_a_conversion_leaves_the_highest_bands_as_they_are(tmp_path, rate):
    """White noise has the same density at both rates, within 0.5 dB up to 7.8 kHz, where scipy's filter loses 3 dB."""
    noise = np.random.default_rng(0).normal(0, 0.05, 20 * rate)
    data = params.Data(root="", sample_rate=RATE)
    source = recordings.open_recording(write(tmp_path / "noise.wav", noise, rate), data)
    ((_, window),) = recordings.windows(source, RATE, 20.0)
    frequency, found = welch(window, RATE, nperseg=512)
    expected = 0.05**2 / (rate / 2)
    decibel = 10 * np.log10(found / expected)
    assert np.abs(decibel[(frequency > 100) & (frequency < 0.98 * RATE / 2)]).max() < 0.5


# Folders --------------------------------------------------------------------------------------------------------------
@given(st.integers(8, 60), st.integers(1, 4), st.integers(0, 5))
def test_what_is_held_out(files, windows, seed):
    clips = [f"{index}.wav" for index in range(files) for _ in range(windows)]
    held = cutting.held_out(clips, "source", 0.1, seed)
    assert 0 < held.sum() <= len(clips) // 2 + windows
    assert held.sum() >= min(round(0.25 * len(clips)), len(clips) // 2)
    shared = {clip for clip, out in zip(clips, held, strict=True) if out} & {
        clip for clip, out in zip(clips, held, strict=True) if not out
    }
    assert shared == set()  # never part of a recording, where there are enough of them
    assert not cutting.held_out(clips[:19], "target", 0.1, seed).any()


@pytest.mark.parametrize(("recordings", "windows"), [(50, 2), (3, 30), (1, 7)])
def test_statistics_are_cross_fitted_by_recordings_or_by_their_parts(recordings, windows):
    files = [number for number in range(recordings) for _ in range(windows)]
    found = cutting.folds(files, 0)
    assert set(found) == set(range(min(cutting.FOLDS, recordings if recordings >= 20 else windows)))
    groups = pd.DataFrame({"file": files, "fold": found}).groupby("file")["fold"]
    if recordings >= 20:
        assert (groups.nunique() == 1).all()
    else:  # neighbouring windows share a group
        assert groups.apply(lambda part: part.is_monotonic_increasing).all()


def test_of_a_single_recording_the_end_is_held_out():
    held = cutting.held_out(["a.wav"] * 40, "source", 0.1, 0)
    assert held.tolist() == [False] * 30 + [True] * 10


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda place: place / "nowhere", "no such folder"),
        (lambda place: place, "no recording in it or in its sub-folders; found nothing"),
        (
            lambda place: normal(normal(place, 1) / "more", 1).parent,
            "as well as sub-folders with recordings (more)",
        ),
        (lambda place: normal(place, 3), "has 6 normal clip(s) of 1.0 s; expected at least 8"),
        (lambda place: write(normal(place, 9) / "bad.wav", hum(0)).write_bytes(b"RIFF") and place, "bad.wav"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path, make, words):
    place = tmp_path / "given"
    place.mkdir()
    with pytest.raises(asdlib.AsdError) as info:
        asdlib.Detector(profile(tmp_path)).fit(make(place))
    assert words in str(info.value), info.value


def test_a_recording_for_two_uses_is_refused(tmp_path):
    place, inner = normal(tmp_path / "machines" / "pump", 9), normal(tmp_path / "machines" / "fan", 9, first=50)
    with pytest.raises(DataError, match=r"day000.wav: given twice, with .*fan and with .*machines"):
        sources.find(place, outliers=[inner, tmp_path / "machines"])
    for more in ({"outliers": [place]}, {"outliers": tmp_path / "machines"}, {"changed": place}):
        with pytest.raises(DataError, match=r"day000.wav: given as normal and as (outlier|changed); expected one"):
            sources.find(place, **more)
    with pytest.raises(DataError, match="no recordings given"):
        sources.find([])
    given = ["fit", place, "--out", tmp_path / "mine", "--outliers", place, "--profile", profile(tmp_path)]
    assert main([str(value) for value in given]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["machines", "tiny.yaml"]  # nothing is left of it
    with pytest.raises(DataError, match=r"day000.wav: is a file; expected a folder of recordings"):
        sources.find(place / "day000.wav")


def test_saving_replaces_a_detector_and_nothing_else(detector, tmp_path):
    place = normal(tmp_path / "precious", 2)
    with pytest.raises(DetectorError, match=r"precious: exists and is not a detector; choose another path"):
        detector.save(place)
    assert sorted(path.name for path in place.iterdir()) == ["day000.wav", "day001.wav"]
    for _ in range(2):
        detector.save(tmp_path / "saved")
    assert asdlib.Detector.load(tmp_path / "saved").sections_ == detector.sections_


def test_without_outliers_the_autoencoder_listens_alone(tmp_path, odd):
    paths = sorted(normal(tmp_path / "own", 12).iterdir())
    detector = asdlib.Detector(profile(tmp_path), 0.2, {"autoencoder.training.steps": 20}).fit(paths)
    verdict = detector.judge(odd)
    assert list(verdict.branches) == ["autoencoder", "statistics"]
    assert "there is no classifier" in detector.card_ and "needs outliers" in detector.card_


def test_statistics_alone_make_a_detector_that_needs_no_library_of_networks(tmp_path, odd):
    normal(tmp_path / "pump", 40)
    normal(tmp_path / "winter", 3, first=200, pitch=330)
    place = tmp_path / "detector"
    given = ["fit", tmp_path / "pump", "--out", place, "--changed", tmp_path / "winter", "--statistics-only"]
    assert main([str(value) for value in given]) == 0
    detector = asdlib.Detector.load(place)
    verdict = detector.judge(odd)
    assert verdict.anomaly and list(verdict.branches) == ["statistics"]
    alone = verdict.branches["statistics"]
    assert alone["score"] == pytest.approx(verdict.score, rel=1e-12) and alone["anomaly"]  # the only branch decides
    (span,) = verdict.spans
    assert (span["start"], span["end"]) == pytest.approx((1.0, 1.4), abs=0.15) and span["branch"] == "statistics"
    normals = [write(tmp_path / "new" / f"{seed}.wav", hum(seed)) for seed in range(400, 412)]
    assert list(detector.predict(normals)).count(-1) <= 4
    assert "Autoencoder branch: none" in detector.card_ and "--outliers" not in detector.card_
    assert "pump | 40 | 40 | 3 | 0 |" in detector.card_ and "about 9.8 %" in detector.card_
    assert verdict.normals == 40  # each scored by statistics of the others
    other = pickle.loads(pickle.dumps(detector))
    assert other.judge(odd) == verdict and clone(detector).statistics_only
    assert other.calibrate(normals).judge(odd).normals == len(normals)
    with pytest.raises(DetectorError, match="no networks to export"):
        onnx.export(place)
    code = "import sys, pathlib; from asdlib.detector.judge import Judge; "
    code += "Judge.load(pathlib.Path(sys.argv[1])).judge(sys.argv[2]); "
    code += "print([name for name in ('torch', 'onnxruntime', 'sklearn') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, place, odd], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_outliers_without_networks_are_refused(tmp_path):
    with pytest.raises(DetectorError, match="leave one of them out"):
        asdlib.Detector(statistics_only=True).fit(tmp_path, outliers=tmp_path)


# On disk --------------------------------------------------------------------------------------------------------------
def test_a_strangers_detector_is_refused_where_it_is_odd(home, tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    def changed(name, content):
        place = tmp_path / "copy"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(home / "detector", place)
        (place / name).write_bytes(content)
        return place

    def cut(name, lines):
        return b"".join((home / "detector" / name).read_bytes().splitlines(keepends=True)[:lines])

    good = json.loads((home / "detector" / "detector.json").read_text())
    for name, content, words in [
        ("autoencoder/base/model.safetensors", pickle.dumps(Harm()), "cannot be read as a detector"),
        ("classifier/base/normal.safetensors", pickle.dumps(Harm()), "cannot be read as a detector"),
        ("detector.json", json.dumps(good | {"format": 2}).encode(), "format 2; expected 5"),
        ("detector.json", json.dumps(good | {"autoencoder": ["../../x"]}).encode(), "'../../x' is not in the profile"),
        ("detector.json", b"{", "cannot be read as a detector"),
        ("settings.json", b'{"profile": "a", "titel": "b"}', "cannot be read as a detector"),
        ("recordings.csv", cut("recordings.csv", 5), "recordings.csv: has 4 recordings"),
        ("calibration/32000.csv", cut("calibration/32000.csv", -1), "have different numbers of scores"),
        ("calibration/32000.csv", cut("calibration/32000.csv", 12), "have different numbers of scores"),
    ]:
        with pytest.raises(DetectorError, match="copy") as info:
            asdlib.Detector.load(changed(name, content))
        assert words in str(info.value)
    assert not (tmp_path / "harm").exists()
    place = changed("card.md", b"")
    for network in (place / "classifier").rglob("source.safetensors"):
        network.unlink()
    with pytest.raises(DetectorError, match=r"lacks the classifier base, .*; make or copy it again"):
        asdlib.Detector.load(place).judge(write(home / "left" / "usual.wav", hum(7)))
    with pytest.raises(DetectorError, match="no detector"):
        asdlib.Detector.load(tmp_path)


def test_an_interrupted_fit_resumes(tmp_path):
    work, heard = tmp_path / "work", normal(tmp_path / "own", 12)
    detector = asdlib.Detector(profile(tmp_path), overrides={"autoencoder.training.steps": 3})
    detector.fit(heard, work=work).save(tmp_path / "first")
    (model,) = work.rglob("autoencoder/machine/base/model.safetensors")
    before = model.stat().st_mtime_ns
    detector.fit(heard, work=work).save(tmp_path / "second")
    assert model.stat().st_mtime_ns == before
    names = ["calibration/16000.csv", "usual.safetensors", "statistics.safetensors"]
    for name in [*names, "autoencoder/base/scorers.safetensors"]:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


# Commands -------------------------------------------------------------------------------------------------------------
def test_score_prints_and_exits(home, odd, usual, capsys):
    place = str(home / "detector")
    assert main(["score", place, str(usual), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    verdict = json.loads(line)
    assert list(verdict) == output.KEYS
    assert verdict["clip"] == str(usual) and verdict["anomaly"] is False and verdict["spans"] == []
    assert main(["score", place, str(usual), str(odd), "--csv"]) == 1
    head, first, second = capsys.readouterr().out.splitlines()
    assert head == ",".join(output.COLUMNS) and len(first.split(",")) == len(output.COLUMNS)
    assert second.startswith(str(odd)) and "Hz" in second
    assert main(["score", place, "nowhere.wav", str(odd)]) == 2
    said = capsys.readouterr()
    assert "error: nowhere.wav: cannot be opened (no such file" in said.err
    assert "ANOMALY" in said.out and "objected: auto" in said.out
    assert main(["score", place]) == 2
    assert main(["score", str(home), str(odd)]) == 2
    assert main(["fit", str(home / "fan"), "--out", str(home / "pump")]) == 2
    assert "exists and is not a detector" in capsys.readouterr().err


# Watching -------------------------------------------------------------------------------------------------------------
def verdicts(place, count, judge=lambda path: {"clip": str(path), "anomaly": False}):
    """Return the first entries of a watch that checks every millisecond."""
    entries = watch(place, judge, every=0.001, settled=0.0)
    return [next(entries) for _ in range(count)]


def test_none_twice_and_none_lost(tmp_path):
    for name in ("a.wav", "b.wav", "inner/c.wav"):
        write(tmp_path / name, hum(0, seconds=0.1))
    first = verdicts(tmp_path, 2)
    (tmp_path / "d.wav").write_bytes(b"new")
    with open(default_journal(tmp_path), "a", encoding="utf-8") as journal:
        journal.write('{"clip": "half-writ')  # killed there
    second = verdicts(tmp_path, 2)
    write(tmp_path / "a.wav", hum(1, seconds=0.2))  # a new recording under an old name
    third = verdicts(tmp_path, 1)
    assert [entry["file"] for entry in first + second + third] == ["a.wav", "b.wav", "d.wav", "inner/c.wav", "a.wav"]
    lines = default_journal(tmp_path).read_text().splitlines()
    assert [json.loads(line)["file"] for line in lines] == [entry["file"] for entry in first + second + third]


def test_a_recording_that_is_still_copied_is_waited_for(tmp_path):
    whole = write(tmp_path / "whole" / "a.wav", hum(0)).read_bytes()
    watched = tmp_path / "watched"
    watched.mkdir()
    path, looks = watched / "a.wav", []
    path.write_bytes(whole[:1000])

    def judge(there):
        looks.append(there.stat().st_size)
        if there.stat().st_size < len(whole):
            path.write_bytes(whole)  # the copy ends after we looked
            raise asdlib.AsdError("truncated")
        return {"clip": str(there), "anomaly": False}

    (entry,) = verdicts(watched, 1, judge)
    assert "error" not in entry and entry["size"] == len(whole) and looks == [1000, len(whole)]


def test_unreachable_files_are_skipped(tmp_path):
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "dangling.wav").symlink_to("nowhere.wav")
    write(tmp_path / "z.wav", hum(0, seconds=0.1))
    assert [entry["file"] for entry in verdicts(tmp_path, 1)] == ["z.wav"]


def test_odd_journals_are_refused(tmp_path):
    (tmp_path / JOURNAL).write_text("something else\n")
    with pytest.raises(DetectorError, match="not a journal of score --watch"):
        next(watch(tmp_path, lambda path: {}))
    with pytest.raises(DetectorError, match="no such folder"):
        next(watch(tmp_path / "no", lambda path: {}))


def test_watching_by_command_ends_with_the_code(home, odd, tmp_path):
    command = [sys.executable, "-m", "asdlib", "score", home / "detector", "--watch", tmp_path, "--section", "left"]
    process = subprocess.Popen(
        [*map(str, command), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        shutil.copy(odd, tmp_path / "odd.wav")
        line = json.loads(process.stdout.readline())
        assert line["clip"] == str(tmp_path / "odd.wav") and line["anomaly"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def test_judging_waits_for_no_library_that_it_does_not_need():
    code = "import sys, asdlib.commands.detector; print([name for name in sys.argv[1:] if name in sys.modules])"
    heavy = ["torch", "sklearn", "scipy.stats", "scipy.signal", "matplotlib"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
