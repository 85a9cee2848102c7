"""Test a detector's input: formats, arrays, names, copies, overlaps, levels, lengths, unusual clips."""

import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from detector_recordings import RATE, hum, normal, profile, write
from hypothesis import given, settings
from hypothesis import strategies as st
from opened_files import opened_files

import asdlib
from asdlib import params
from asdlib.data.anomaly_names import suspected_anomalies
from asdlib.data.recording import Recording
from asdlib.detector import inputs, level, make, overlap, recordings, sources, statistics, train
from asdlib.detector.layout import lay_out
from asdlib.detector.survey import survey
from asdlib.errors import DataError, DetectorError

pytestmark = pytest.mark.slow

DATA = params.Data(root="", sample_rate=RATE)


def laid_out(place, tmp_path, **more):
    """Return the clips into which ``fit`` would cut a folder, and the settings."""
    made = train.build_settings(profile(tmp_path), {}, tmp_path / "work")
    return lay_out(sources.find(place, **more), made, 0.1, level.LIMIT), made


# Formats and arrays ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("suffix", "kind", "error"),
    [
        (".flac", {}, 1e-4),
        (".aiff", {}, 1e-4),
        (".ogg", {}, 0.05),
        (".mp3", {}, 0.05),
        (".wav", {"subtype": "FLOAT"}, 1e-7),
    ],
)
def test_formats(tmp_path, suffix, kind, error):
    wave, path = hum(0), tmp_path / f"a{suffix}"
    soundfile.write(path, wave, RATE, **kind)
    recording = recordings.open_recording(path, DATA)
    assert recording.sample_rate == RATE and abs(recording.frames - len(wave)) < 0.1 * RATE
    found = recording.waveform(RATE, 1000)
    np.testing.assert_allclose(found, wave[RATE : RATE + 1000], atol=error)


def test_truncated_recordings_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.flac", hum(0), RATE)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(asdlib.AsdError, match=r"a\.flac: .*copy it again"):
        recording = recordings.open_recording(tmp_path / "a.flac", DATA)
        recording.read(0, recording.frames)


def test_arrays_are_recordings():
    wave = hum(0)
    for samples in (wave, np.rint(wave * 32768).astype(np.int16), np.stack([wave, wave], axis=1)):
        found = Recording((samples, RATE), "mean")
        np.testing.assert_allclose(found.waveform(5, 100), wave[5:105], atol=1e-4)
    for odd, words in [
        ((np.zeros((2, 3, 4)), RATE), "expected numbers"),
        ((np.zeros((2, 400)), RATE), "transpose"),
        ((wave, "fast"), "expected \\(samples, sampling rate"),
        ((np.array([["a"]]), RATE), "expected numbers"),
        ((np.full(RATE, np.nan), RATE), "NaN"),
        ((np.rint(wave * 32768).astype(np.int64), RATE), r"int64: expected int16.*\.astype\(np\.int16\)"),
        ((wave * 32768, RATE), "expected -1 to 1"),
    ]:
        with pytest.raises(DataError, match=words):
            Recording(odd, "first").read(0, 1)


def test_folders_without_recordings_are_described(tmp_path):
    for name in ("a.m4a", "b.m4a", "readme.txt"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"found 2 \.m4a, 1 \.txt; expected wav, flac, ogg, mp3 or aiff"):
        sources.find(tmp_path)


def refuse(scandir, folder):
    """Return a function that lists any folder but one, which may not be read."""

    def list_one(place):
        if Path(place) == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
        return scandir(place)

    return list_one


def test_no_recording_of_a_folder_is_lost(tmp_path, monkeypatch):
    """Folders deeper down, links to folders, and links that lead nowhere are used or named."""
    for name in ("00/a.wav", "1e3/b.wav", "#1/c.wav", "null/d.wav", ".h/e.wav", "@eaDir/f.wav", "00/.h/g.wav"):
        write(tmp_path / "in" / name, hum(0))
    write(tmp_path / "far" / "far.wav", hum(0))
    (tmp_path / "in" / "on").symlink_to(tmp_path / "far")
    (tmp_path / "in" / "on" / "round").symlink_to(tmp_path / "in")
    assert list(sources.find(tmp_path / "in").sections) == ["#1", "00", "1e3", "null", "on"]
    assert [path.name for path in sources.list_all(tmp_path / "in")] == ["c.wav", "a.wav", "b.wav", "d.wav", "far.wav"]
    (tmp_path / "in" / "00" / "gone.wav").symlink_to("nowhere")
    (tmp_path / "in" / "00" / "itself.wav").symlink_to("itself.wav")
    found = sources.find(tmp_path / "in").sections["00"]
    assert [path.name for path in found] == ["a.wav", "gone.wav", "itself.wav"]
    with pytest.raises(DataError, match=r"gone\.wav: cannot be opened \(no such file"):
        Recording(found[1])
    monkeypatch.setattr(os, "scandir", refuse(os.scandir, tmp_path / "in" / "1e3"))
    with pytest.raises(DataError, match=r"1e3: cannot be read \(permission denied\)"):
        sources.list_all(tmp_path / "in")
    assert [path.name for path in sources.walk(tmp_path / "in", strict=False)][-2:] == ["d.wav", "far.wav"]
    monkeypatch.undo()
    for deep in ("00/2024/x.wav", "other/2024/x.wav"):
        path = write(tmp_path / "in" / deep, hum(0))
        with pytest.raises(DataError, match=rf"1 \(.*{deep}\): deeper in .*; expected recordings either"):
            sources.find(tmp_path / "in")
        path.unlink()


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_recording_is_read_again_after_it_was_closed(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, hum(0), RATE)
    with opened_files() as counts:
        with Recording(path) as recording:
            first = recording.read(100, 50)
        assert np.array_equal(recording.read(100, 50), first)
        recording.close()
    assert counts[path.name] == 2
    path.unlink()
    with pytest.raises(DataError, match="cannot be opened"):
        recording.read()


def test_fit_examines_each_header_once_and_reads_each_recording_three_times(tmp_path):
    """Each recording is opened to survey it, to measure levels, and to write its clips."""
    place = normal(tmp_path / "own", 9)
    with opened_files() as counts:
        laid_out(place, tmp_path)
    assert {counts[path.name] for path in place.iterdir()} == {4}


# Names ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("pump/abnormal/1.wav", True),
        ("pump/normal/1.wav", False),
        ("pump/1_anomaly_2.wav", True),
        ("pump/bearingFault3.wav", True),
        ("pump/fault-free/1.wav", False),
        ("pump/unbroken/default.wav", False),
        ("fan/train/section_00_source_train_normal_0000.wav", False),
        ("fan/x/section_00_target_test_normal_0000.wav", False),  # its name says that it is normal
        ("fan/test/section_03_0001.wav", True),
        ("fan/test/monday.wav", False),
        ("pump/train/normal_id_00_0001.wav", False),
        ("pumpe/Lagerschaden/1.wav", True),
        ("pumpe/defekt_2.wav", True),
        ("pumpe/fehlerfrei/1.wav", False),
        ("pompe/de\u0301faut 1.wav", True),  # as macOS writes an accent
        ("pompe/défilement/1.wav", False),
        ("ポンプ/異常音/1.wav", True),
        ("泵/无故障/1.wav", False),
        ("泵/故障前/1.wav", False),  # before the failure
        ("펌프/이상 없음/1.wav", False),
        ("펌프/이상/1.wav", True),
        ("насос/неисправность/1.wav", True),
        ("pompa/usterka_1.wav", True),
        ("bomba/defeito.wav", True),
        ("Pumpe/Verschleiß/1.wav", True),
        ("pump/KO/1.wav", True),
        ("pump/n.i.O./1.wav", True),
        ("pump/non_conforming/1.wav", True),
        ("pump/rejected/1.wav", True),
        ("pump/alarms/1.wav", True),  # where a watching command may have put them
        ("pump/loose_parts_tray/kohler.wav", False),
    ],
)
def test_names_of_anomalies_are_recognised(path, told):
    assert bool(suspected_anomalies([path])) == told


def test_anomalies_are_not_learnt_as_normal(tmp_path):
    normal(tmp_path / "fault lab" / "pump", 9)  # what lies above the folder that was given says nothing
    sources.find(tmp_path / "fault lab" / "pump")
    write(tmp_path / "fault lab" / "pump" / "broken_belt.wav", hum(50))
    with pytest.raises(DataError, match=r"may be anomalous: 1 \(.*broken_belt\.wav: .broken..*--ignore-names"):
        sources.find(tmp_path / "fault lab" / "pump")
    assert len(sources.find(tmp_path / "fault lab" / "pump", trust=True).sections["pump"]) == 10
    sources.find(normal(tmp_path / "one", 9), outliers=[tmp_path / "fault lab"])  # outliers may be anything


# Leaks ----------------------------------------------------------------------------------------------------------------
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 30_000), st.integers(0, 2**32 - 1))
def test_shared_samples_are_found_at_any_offset(offset, seed):
    noise = np.random.default_rng(seed).integers(-3000, 3000, 60_000).astype(np.int16)
    seen = overlap.Seen()
    assert seen.add("a", *overlap.anchors(noise[:30_000]))[0] is None
    owner, places = seen.add("b", *overlap.anchors(noise[offset : offset + 30_000]))
    shared = max(30_000 - offset, 0)
    if shared > 12_000:
        assert owner == "a"
    assert len(places) == 0 or places.max() < shared


@pytest.mark.parametrize(("count", "seconds"), [(1, 40), (3, 16), (6, 16), (12, 16)])
def test_held_out_windows_share_no_sample_with_training_windows(tmp_path, count, seconds):
    place = normal(tmp_path / "own", count, seconds=seconds)
    layout, _ = laid_out(place, tmp_path)
    length, clips = layout.seconds, layout.clips
    held = clips[clips["split"] == "test"]
    assert len(held) >= 2 and len(held) <= len(clips) / 2
    for row in held.itertuples():
        near = clips[(clips["recording"] == row.recording) & (clips["split"] == "train")]
        assert (np.abs(near["start"] - row.start) >= length - 1e-6).all()


def test_copies_and_overlapping_cuts_are_named_and_left_out(tmp_path):
    place, long = normal(tmp_path / "own", 10), hum(77, seconds=6)
    write(place / "copy.wav", hum(3))  # of day003
    write(place / "cut1.wav", long[: 3 * RATE])
    write(place / "cut2.wav", long[2 * RATE : 5 * RATE])  # its first second is the last of cut1
    layout, _ = laid_out(place, tmp_path)
    clips, text = layout.clips, " ".join(layout.warnings)
    assert "day003.wav of copy.wav" in text and "cut2.wav of cut1.wav" in text
    names = [path.name for path in clips["recording"]]
    assert "day003.wav" not in names and "copy.wav" in names
    assert [row.start for row in clips.itertuples() if row.recording.name == "cut2.wav"] == [1.0]
    fan = normal(tmp_path / "fan", 3, first=500)
    write(fan / "x.wav", hum(4))
    with pytest.raises(DataError, match=r"x\.wav \(outlier, .*contains samples of .*day004\.wav \(normal"):
        laid_out(place, tmp_path, outliers=[fan])


def test_copies_that_were_amplified_or_encoded_again_are_left_out(tmp_path):
    place = normal(tmp_path / "own", 12)
    wave = soundfile.read(place / "day003.wav")[0]
    write(place / "half.wav", 0.5 * wave)
    soundfile.write(place / "small.ogg", soundfile.read(place / "day005.wav")[0], RATE)
    soundfile.write(place / "small.mp3", soundfile.read(place / "day006.wav")[0], RATE)
    layout, _ = laid_out(place, tmp_path)
    names = {path.name for path in layout.clips["recording"]}
    assert names == {f"day{number:03d}.wav" for number in range(12)}
    (said,) = [line for line in layout.warnings if "amplified or encoded again; left out" in line]
    for pair in ("half.wav of day003.wav", "small.ogg of day005.wav", "small.mp3 of day006.wav"):
        assert pair in said
    fan = normal(tmp_path / "fan", 3, first=500)
    write(fan / "x.wav", 0.5 * wave + 0.4)  # with the offset of another recorder
    layout, _ = laid_out(place, tmp_path, outliers=[fan])  # the noise may be alike by chance, so nothing is refused
    assert re.search(r"1 \(x\.wav \(outlier, .*\) of (day003|half)\.wav \(normal", " ".join(layout.warnings))
    assert "x.wav" in {path.name for path in layout.clips["recording"]}


def test_different_recordings_of_one_machine_have_different_fingerprints(realdata):
    bands, alike, twins = statistics.Bands(RATE), overlap.Fingerprints(), []
    for path in sorted((realdata / "outliers").rglob("*.flac")):
        wave = soundfile.read(path)[0]
        spectrum = bands(recordings.to_int16(wave, -30 - level.level(wave, RATE)))
        if earlier := alike.add(path, spectrum):
            twins.append((earlier.stem[-4:], path.stem[-4:]))
    # Two of the 131 are one recording with two backgrounds: their waveforms have a correlation of .92.
    assert twins == [("0003", "0064")]


def test_bands_without_sound_make_no_copies():
    rng = np.random.default_rng(0)
    alike, silent = overlap.Fingerprints(), np.full((200, 48), -120.0)
    assert alike.add("a", silent) is None and alike.add("b", silent) is None
    for name in "cdef":  # eight bands of noise, the same silence in all others
        assert alike.add(name, np.hstack([rng.normal(size=(200, 8)), silent[:, 8:]])) is None


def test_one_outlier_folder_needs_no_list(tmp_path):
    place, fan = normal(tmp_path / "own", 9), normal(tmp_path / "fan", 3, first=500)
    for given_ in (str(fan), fan, [fan]):
        assert list(sources.find(place, outliers=given_).outliers) == [str(fan)]


# Odd clips ------------------------------------------------------------------------------------------------------------
def test_silent_and_odd_clips_set_no_threshold(tmp_path):
    place = normal(tmp_path / "own", 30)
    write(place / "day005.wav", np.zeros(2 * RATE))
    write(place / "day007.wav", np.random.default_rng(99).normal(0, 0.2, 2 * RATE))
    layout, _ = laid_out(place, tmp_path)
    clips, text = layout.clips, " ".join(layout.warnings)
    assert "1 (day005.wav): silent" in text and "day007.wav (level" in text and "unlike the other" in text
    split = clips.assign(name=[path.name for path in clips["recording"]]).set_index("name")["split"]
    assert "day005.wav" not in split and split["day007.wav"] == "train"
    for index in range(6):  # no exceptions any more
        write(place / f"loud{index}.wav", np.random.default_rng(index + 1).normal(0, 0.2, 2 * RATE))
    assert "unlike" not in " ".join(laid_out(place, tmp_path)[0].warnings)
    levels = make.summarise_levels(clips)["00/source"]
    assert (
        levels == make.summarise_levels(clips[[path.name != "day007.wav" for path in clips["recording"]]])["00/source"]
    )
    assert levels.spread < 3 < abs(clips.loc[clips["odd"], "level"].item() - levels.median)


def test_clipped_recordings_and_wrong_headers_are_named_as_the_user_knows_them(tmp_path, capsys):
    """One that stops half-way is amplified more than it should be, but that is not its recorder's clipping."""
    place = normal(tmp_path / "own", 24)
    write(place / "loud.wav", np.clip(20 * hum(77), -1, 1))
    stops = np.concatenate([hum(88)[:RATE], np.zeros(RATE)])
    pipe = write(place / "stops.wav", stops).read_bytes()
    (place / "pipe.wav").write_bytes(write(place / "pipe.wav", hum(99)).read_bytes().replace(pipe[40:44], b"\xff" * 4))
    detector = asdlib.Detector(statistics_only=True).fit(place)
    said = capsys.readouterr().out
    assert "1 (loud.wav): clipped" in said and said.count("clipped") == 1
    assert "pipe.wav: its header leaves the length open" in said and "section_00" not in said
    assert "1 (loud.wav): clipped" in detector.card_ and "pipe.wav: its header" in " ".join(detector.warnings_)


@pytest.mark.parametrize(
    ("channels", "one", "other", "words"),
    [
        ("mean", 1, -1, r"all are silent; check whether its 2 channels cancel \(data.channels=first"),
        ("first", 0, 1, r"all are silent; only the first of its 2 channels is read: .* \(data.channels=mean\)"),
    ],
)
def test_channels_that_cancel_or_have_no_sound_are_not_blamed_on_the_microphone(tmp_path, channels, one, other, words):
    for index in range(10):
        wave = hum(index)
        soundfile.write(tmp_path / f"{index}.wav", np.stack([one * wave, other * wave], axis=1), RATE)
    data = params.Data(root="", sample_rate=RATE, channels=channels)
    with pytest.raises(DataError, match=words):
        survey(sources.find(tmp_path), data)


# Levels and lengths ---------------------------------------------------------------------------------------------------
def test_levels():
    wave = hum(0)
    assert level.level(10 * wave + 0.3, RATE) - level.level(wave, RATE) == pytest.approx(20, abs=1e-6)
    knock = wave.copy()
    knock[16_000:16_200] += 0.8
    assert level.level(knock, RATE) - level.level(wave, RATE) < 1
    assert level.level(np.zeros(100), RATE) == level.FLOOR
    learnt = level.Learnt.of(np.array([-31.0, -30, -29]))
    assert learnt.exceeded(14.0, 12.0) and not learnt.exceeded(-12.5, 12.0)


def test_quiet_recordings_keep_their_resolution(tmp_path):
    """A tone 40 dB below a hum at -70 dBFS would be lost in 16 bits, but the training clip keeps it."""
    place = tmp_path / "own"
    place.mkdir()
    time = np.arange(2 * RATE) / RATE
    for index in range(9):
        quiet = hum(index) / 3000
        quiet += 1e-2 * np.sqrt(2) * np.std(quiet) * np.sin(2 * np.pi * 3000 * time)
        soundfile.write(place / f"{index}.wav", quiet, RATE, subtype="FLOAT")
    layout, made = laid_out(place, tmp_path)
    row = layout.clips.iloc[0]
    samples, _ = soundfile.read(Path(made.data.root) / row["machine"] / row["folder"] / row["clip"])
    original = soundfile.read(row["recording"])[0]
    gain = np.dot(samples, original) / np.dot(original, original)
    assert np.std(samples - gain * original) < 1e-3 * np.std(samples)


def test_lengths():
    assert recordings.lengths(10.0) == [10.0, 5.0, 2.5, 1.25, 1.0]
    assert recordings.fitting(9.6, [10.0, 5.0]) == 10.0 and recordings.fitting(9.4, [10.0, 5.0]) == 5.0


# Statistics -----------------------------------------------------------------------------------------------------------
def test_the_spectrum_is_in_decibel_per_bin():
    """White noise has the same density in every band at any rate; compare with its variance, by Parseval."""
    for rate in (16_000, 48_000):
        bands = statistics.Bands(rate)
        noise = np.rint(np.random.default_rng(0).normal(0, 1000, 20 * rate)).astype(np.int16)
        mean = 10 * np.log10((10 ** (bands(noise) / 10)).mean(0))
        np.testing.assert_allclose(mean, 60, atol=1)
        tone = np.rint(8000 * np.sin(2 * np.pi * 3000 * np.arange(rate) / rate)).astype(np.int16)
        loudest = bands(tone).mean(0).argmax()
        assert bands.edges[loudest] < 3000 < bands.edges[loudest + 2]


def test_the_oddest_moment_is_found():
    bands = statistics.Bands(RATE)
    spectra = [bands(recordings.to_int16(hum(seed))) for seed in range(40)]
    usual = statistics.Statistics.fit(spectra, range(40), bands.step)
    odd = bands(recordings.to_int16(hum(99, burst=(1.0, 1.4))))
    moment = usual.find_oddest(odd, bands)
    assert moment.start == pytest.approx(1.0, abs=0.15) and moment.end == pytest.approx(1.4, abs=0.15)
    assert moment.low < 5000 < moment.high
    plain, found = usual.score(bands(recordings.to_int16(hum(98))), bands.step), usual.score(odd, bands.step)
    assert all(found[name] > plain[name] for name in plain)
    assert usual.find_nearest(spectra[7]) == 7


@pytest.mark.parametrize("paths", ["", [""], ["", "a.wav"]])
def test_an_empty_path_is_not_the_current_folder(paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", np.zeros(RATE), RATE)
    for read in (lambda: inputs.list_recordings(paths, None), lambda: inputs.write_files(paths, tmp_path)):
        with pytest.raises(DetectorError, match="empty path found; expected a file or folder"):
            read()
