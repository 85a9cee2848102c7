"""Test validating, decoding and reading clips."""

import json
import os
import re
import shutil
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from opened_files import opened_files
from scipy.io import wavfile
from sklearn.metrics import roc_auc_score

from asdlib import params, paths
from asdlib.data import audio, catalogue, folder_report, wav
from asdlib.data.audio import Waveforms
from asdlib.errors import DataError
from asdlib.prepare import prepare_clips

DATA = params.Data()
NAME = "section_{section}_source_{split}_{label}_{index:04d}.wav"


def pcm(samples, seed=0):
    return np.random.default_rng(seed).integers(-32768, 32768, samples, dtype=np.int16)


def write(path, waveform, rate=16_000):
    """Write a 16-bit mono file with the standard library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes(waveform.astype("<i2").tobytes())
    return path


def machine(root, name="fan", lengths=(400, 300, 450, 500, 200)):
    """Write a machine type of clips that differ in length, and return them by name."""
    clips = {}
    for index, length in enumerate(lengths):
        split, label = (*[("train", "normal")] * 3, ("test", "normal"), ("test", "anomaly"))[min(index, 4)]
        file = NAME.format(section="00", split=split, label=label, index=index)
        clips[file] = pcm(length, index)
        write(root / name / ("train" if split == "train" else "source_test") / file, clips[file])
    return clips


# One clip -------------------------------------------------------------------------------------------------------------
def test_16_bit_mono_is_read_exactly(tmp_path):
    original = pcm(1000)
    assert np.array_equal(wav.read(write(tmp_path / "a.wav", original), DATA), original)
    assert wav.probe(tmp_path / "a.wav", DATA) == 1000


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
def test_other_widths_keep_24_bits(tmp_path, dtype):
    """Compare each sample width, written by scipy, with its definition; float32 holds 24 bits."""
    real = np.random.default_rng(1).uniform(-1, 1, 2000)
    scale = {np.uint8: 128, np.int32: 2**31}.get(dtype, 1)
    offset = 128 if dtype == np.uint8 else 0
    stored = (np.floor(real * scale) + offset if np.issubdtype(dtype, np.integer) else real).astype(dtype)
    wavfile.write(tmp_path / "a.wav", 16_000, stored)
    exact = (stored.astype(np.float64) - offset) / scale * 32768
    found = wav.read(tmp_path / "a.wav", DATA)
    assert found.dtype == (np.int16 if dtype == np.uint8 else np.float32)
    assert np.array_equal(found, exact.astype(np.float32))


def test_24_bits(tmp_path):
    real = np.random.default_rng(1).uniform(-1, 1, 2000)
    soundfile.write(tmp_path / "a.wav", real, 16_000, subtype="PCM_24")
    assert np.abs(wav.read(tmp_path / "a.wav", DATA) / 32768 - real).max() <= 2**-22
    soundfile.write(tmp_path / "b.wav", pcm(500), 16_000, subtype="PCM_24")  # 16 bits in wider samples
    assert np.array_equal(wav.read(tmp_path / "b.wav", DATA), pcm(500))
    assert wav.read(tmp_path / "b.wav", DATA).dtype == np.int16


def test_channels(tmp_path):
    stereo = np.stack([pcm(100, 1), pcm(100, 2)], axis=1)
    wavfile.write(tmp_path / "a.wav", 16_000, stereo)
    words = r"a.wav: 2 channels; expected 1; convert it \(ffmpeg -i OLD -ac 1 NEW.wav\), or set data.channels"
    with pytest.raises(DataError, match=words):
        wav.read(tmp_path / "a.wav", DATA)
    assert np.array_equal(wav.read(tmp_path / "a.wav", params.Data(channels="first")), stereo[:, 0])
    mean = wav.read(tmp_path / "a.wav", params.Data(channels="mean"))
    assert np.array_equal(mean, stereo.astype(np.float64).mean(axis=1))


def broken(folder):
    """Return files that are not usable clips, and the words that their errors must contain."""
    whole = write(folder / "whole.wav", pcm(1000)).read_bytes()
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("this is no audio, although the name says so")
    (folder / "half.wav").write_bytes(whole[:1044])
    (folder / "header.wav").write_bytes(whole[:30])
    (folder / "all_but_one.wav").write_bytes(whole[:-1])
    write(folder / "nothing.wav", pcm(0))
    write(folder / "rate.wav", pcm(100), rate=44_100)
    soundfile.write(folder / "au.wav", pcm(100), 16_000, format="AU")
    soundfile.write(folder / "ulaw.wav", pcm(100), 16_000, subtype="ULAW")
    wavfile.write(folder / "nan.wav", 16_000, np.array([0, np.nan, np.inf], np.float32))
    wavfile.write(folder / "loud.wav", 16_000, np.array([0, 2.5], np.float32))
    return {
        "absent.wav": ["no such file"],
        "empty.wav": ["0 bytes"],
        "text.wav": ["not readable as audio", "expected wav, flac, ogg, mp3 or aiff"],
        "half.wav": ["truncated", "2000 bytes", "holds 1000"],
        "header.wav": ["expected"],
        "all_but_one.wav": ["truncated"],
        "nothing.wav": ["holds no samples", "expected"],
        "rate.wav": ["44100 Hz", "expected 16000", "data.sample_rate"],
        "au.wav": ["AU", "expected wav, flac, ogg, mp3 or aiff"],
        "ulaw.wav": ["ULAW", "expected wav, flac, ogg, mp3 or aiff"],
        "nan.wav": ["2 sample(s) are NaN or infinite"],
        "loud.wav": ["samples reach 2.5", "-1 to 1"],
    }


def test_each_unusable_clip_is_named(tmp_path):
    for file, words in broken(tmp_path).items():
        with pytest.raises(DataError) as info:
            wav.read(tmp_path / file, DATA)
        assert str(info.value).startswith(str(tmp_path / file))
        assert all(word in str(info.value) for word in words), info.value


def test_chunks_around_the_samples_are_no_truncation(tmp_path):
    """Read files with a chunk of odd length before the samples, one after them, and a length that a pipe left open."""
    body = write(tmp_path / "a.wav", pcm(500)).read_bytes()
    extra = b"LIST\x05\x00\x00\x00abcde\x00"
    (tmp_path / "b.wav").write_bytes(body[:36] + extra + body[36:] + extra)
    (tmp_path / "c.wav").write_bytes(body[:40] + b"\xff\xff\xff\xff" + body[44:])
    for file in ("b.wav", "c.wav"):
        assert np.array_equal(wav.read(tmp_path / file, DATA), pcm(500))


# A machine type -------------------------------------------------------------------------------------------------------
def test_decode_and_read_back(tmp_path):
    clips = machine(tmp_path / "in")
    table = catalogue.scan(tmp_path / "in")
    assert audio.decode(table, tmp_path / "in", tmp_path / "out", DATA)
    waveforms = Waveforms.open(tmp_path / "out")
    assert len(waveforms) == 5 and waveforms.samples.dtype == np.int16
    assert waveforms.clips[catalogue.COLUMNS].equals(table)
    for row, clip in enumerate(waveforms.clips["clip"]):
        assert np.array_equal(waveforms.read(row), clips[clip])
        assert np.array_equal(waveforms.read(row, 50, 100), clips[clip][50:150])
        assert waveforms.clips["samples"][row] == len(clips[clip])
    one = waveforms.read(0)
    one[:] = 0  # an array of its own, not the file's
    assert waveforms.read(0).any()


@given(st.integers(-5, 60), st.integers(-5, 60))
def test_never_beyond_a_clip(waveforms, start, samples):
    length = int(waveforms.clips["samples"][1])
    if 0 <= start and 0 <= samples and start + samples <= length:
        assert len(waveforms.read(1, start, samples)) == samples
    else:
        with pytest.raises(ValueError, match="asked for"):
            waveforms.read(1, start, samples)


@pytest.fixture(scope="module")
def waveforms(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    machine(root / "in", lengths=(40, 50, 30))
    audio.decode(catalogue.scan(root / "in"), root / "in", root / "out", DATA)
    return Waveforms.open(root / "out")


def test_released_pages_are_read_again(waveforms):
    """Releasing a mapped file removes its pages from the process, and its contents can still be read."""
    before = [waveforms.read(row) for row in range(3)]
    waveforms.release()
    for row, values in enumerate(before):
        np.testing.assert_array_equal(waveforms.read(row), values)
    Waveforms(waveforms.clips, np.array(waveforms.samples), "in memory").release()  # nothing is mapped


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident pages are read from /proc")
def test_a_released_file_takes_no_memory(tmp_path):
    size = 32 << 20
    np.save(tmp_path / "samples.npy", np.ones(size // 2, np.int16))
    samples = np.lib.format.open_memmap(tmp_path / "samples.npy", mode="r")
    assert samples.sum() == size // 2

    def resident() -> int:
        kibibytes = re.search(r"RssFile:\s+(\d+)", Path("/proc/self/status").read_text())
        return int(kibibytes[1]) * 1024

    before = resident()
    Waveforms(pd.DataFrame(), samples, "ones").release()
    assert before - resident() > 0.9 * size


def test_decoding_twice_does_it_once(tmp_path):
    """The fingerprint depends on contents and names, but not on times or folders."""
    machine(tmp_path / "in")
    table = catalogue.scan(tmp_path / "in")

    def decode(root="in", folder="out", clips=table):
        done = audio.decode(clips, tmp_path / root, tmp_path / folder, DATA)
        return done, Waveforms.open(tmp_path / folder).fingerprint

    _, first = decode()
    assert decode() == (False, first)
    for name in paths.DECODED:  # Snakemake removes a job's outputs before it runs it again
        (tmp_path / "out" / name).unlink()
        assert decode() == (True, first)
    shutil.copytree(tmp_path / "in", tmp_path / "copy", copy_function=shutil.copyfile)
    assert decode("copy", "elsewhere") == (True, first)
    (tmp_path / "in" / table["path"][0]).touch()
    assert decode() == (True, first)
    assert decode(clips=table[1:].reset_index(drop=True))[1] != first
    write(tmp_path / "in" / table["path"][0], pcm(400, seed=9))
    done, changed = decode()
    assert done and changed != first


def test_all_problems_of_a_machine_are_reported_together_and_nothing_is_written(tmp_path):
    machine(tmp_path / "in", lengths=[100] * 40)
    table = catalogue.scan(tmp_path / "in")
    for path in table["path"][:25]:
        write(tmp_path / "in" / path, pcm(10), rate=8000)
    with pytest.raises(DataError) as info:
        audio.decode(table, tmp_path / "in", tmp_path / "out", DATA)
    lines = str(info.value).splitlines()
    assert "(25)" in lines[0] and len(lines) == 1 + 20 + 1 and "5 more" in lines[-1]
    for path in table["path"][:25]:
        wavfile.write(tmp_path / "in" / path, 16_000, np.array([0, np.nan], np.float32))  # only the samples tell
    with pytest.raises(DataError, match=r"\(25\)"):
        audio.decode(table, tmp_path / "in", tmp_path / "out", DATA)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_clips_that_are_not_decoded_yet_are_an_error_with_a_remedy(tmp_path):
    with pytest.raises(DataError, match="01_data, or make reproduce"):
        Waveforms.open(tmp_path)


def test_memory_stays_flat(tmp_path):
    """Of 40 clips of 200 kB, only a few are in memory at a time."""
    machine(tmp_path / "in", lengths=[100_000] * 40)
    table = catalogue.scan(tmp_path / "in")
    tracemalloc.start()
    audio.decode(table, tmp_path / "in", tmp_path / "out", DATA)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 200_000


# A data folder --------------------------------------------------------------------------------------------------------
def test_prepare(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    machine(tmp_path / "in")
    write(
        tmp_path / "in" / "valve" / "train" / NAME.format(section="03", split="train", label="normal", index=0), pcm(9)
    )
    settings = params.Settings(profile="t", title="t", data=params.Data(root="in"))
    clips = prepare_clips(settings)
    assert clips.equals(catalogue.scan(tmp_path / "in"))
    assert folder_report.counts(clips)["clips"].sum() == 6
    run = paths.Run.of(settings)
    assert [len(Waveforms.open(run.data(name))) for name in ("fan", "valve")] == [5, 1]
    record = json.loads((run.data("fan") / "record.json").read_text())
    assert record["settings"] == {"sample_rate": 16_000, "channels": "refuse"}
    before = (run.data("fan") / "waveforms.npy").stat().st_ino
    prepare_clips(settings)
    assert (run.data("fan") / "waveforms.npy").stat().st_ino == before
    assert "fan: 5 clips, sections 00, decoded before" in capsys.readouterr().out


def test_prepare_decodes_nothing_if_anything_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setenv("ASDLIB_HOME", str(tmp_path))
    machine(tmp_path / "in")
    (tmp_path / "in" / "valve" / "train").mkdir(parents=True)
    (tmp_path / "in" / "valve" / "train" / NAME.format(section="03", split="train", label="normal", index=0)).touch()
    with pytest.raises(DataError, match="0 bytes"):
        prepare_clips(params.Settings(profile="t", title="t", data=params.Data(root="in")))
    assert not (tmp_path / "runs").exists()


def test_check_reports_counts_and_every_problem(tmp_path):
    machine(tmp_path)
    report = folder_report.check(tmp_path, DATA)
    assert report["machines"] == {"fan": ["00"]} and report["outliers"] == [] and report["problems"] == []
    assert report["usable"] and report["clips"] == sum(row["clips"] for row in report["counts"]) == 5
    assert {row["domain"]: row["clips"] for row in report["counts"] if row["split"] == "train"} == {
        "source": 3,
        "target": 0,
    }
    train = tmp_path / "fan" / "train"
    write(train / NAME.format(section="00", split="train", label="normal", index=7), pcm(5), rate=8000)
    (train / "take 2.wav").touch()
    (tmp_path / "fan" / "target_test").mkdir()
    write(tmp_path / "fan" / "target_test" / "section_00_target_test_normal_0000.wav", pcm(5))
    report = json.loads(json.dumps(folder_report.check(tmp_path, DATA)))
    assert not report["usable"]
    text = "\n".join(report["problems"])
    assert len(report["problems"]) == 4
    for words in ("8000 Hz", "take 2.wav", "no target training clips", "none of them anomalous"):
        assert words in text
    assert all(problem in folder_report.describe(report) for problem in report["problems"])


def test_real_recordings_are_read_exactly(realdata, tmp_path):
    """Compare the available original waveforms of DCASE2020 with scipy's reader."""
    files = sorted((realdata / "frontend").glob("*.wav"))
    assert files
    for path in files:
        assert np.array_equal(wav.read(path, DATA), wavfile.read(path)[1])


def test_a_file_that_shrinks_while_it_is_read_is_named(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.zeros(1000), DATA.sample_rate, "PCM_24")
    with wav.open_clip(path, DATA) as recording:
        os.truncate(path, 44 + 3 * 400)
        with pytest.raises(DataError, match=r"clip.wav: 400 samples could be read, the header promises 1000"):
            recording.read()


def quiet_clips(folder, write):
    """Write forty normal and forty anomalous clips at -60 dBFS (a whine 60 dB below the hum); return exact samples."""
    exact, time = [], np.arange(16_000) / 16_000
    for seed in range(80):
        rng = np.random.default_rng(seed)
        hum = sum(np.sin(2 * np.pi * 90 * k * time + rng.uniform(0, 6.3)) / k for k in range(1, 8)) * 0.3
        whine = 0.0004 * np.sin(2 * np.pi * 3300 * time) if seed >= 40 else 0
        exact.append((hum + 0.0006 * rng.standard_normal(16_000) + whine) / 1000)
        write(folder / f"{seed:02d}.wav", exact[-1])
    return np.array(exact)


def whine_auc(clips):
    """Compute the AUC of the level around 3.3 kHz in windows, as any detector that uses spectra would."""
    windows = np.lib.stride_tricks.sliding_window_view(clips, 1024, axis=1)[:, ::512] * np.hanning(1024)
    power = (np.abs(np.fft.rfft(windows)) ** 2).mean(1)[:, 208:215].sum(1)
    return roc_auc_score([0] * 40 + [1] * 40, power)


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_24"])
def test_quiet_recordings_keep_their_faults(tmp_path, subtype):
    """Reading, decoding and writing leave the AUC equal to that of the exact samples."""
    (tmp_path / "fan" / "train").mkdir(parents=True)
    exact = quiet_clips(tmp_path, lambda path, x: soundfile.write(path, x, 16_000, subtype=subtype))
    assert whine_auc(exact) > 0.99 and whine_auc(np.rint(exact * 32768) / 32768) < 0.9  # 16 bits lose it
    files = sorted(tmp_path.glob("*.wav"))
    found = np.array([wav.read(path, DATA) for path in files]) / 32768
    assert whine_auc(found) == pytest.approx(whine_auc(exact), abs=0.005)
    for path, clip in zip(files, found, strict=True):
        wav.write(path, (clip * 32768).astype(np.float32), 16_000)
    table = pd.DataFrame({"clip": [p.name for p in files], "path": [p.name for p in files]})
    table = table.assign(machine="fan", section="00", domain="source", split="train", label="normal", attributes="")
    audio.decode(table, tmp_path, tmp_path / "out", DATA)
    waveforms = Waveforms.open(tmp_path / "out")
    assert waveforms.samples.dtype == np.float32
    decoded = np.array([waveforms.read(row) for row in range(80)]) / 32768
    assert np.array_equal(decoded.astype(np.float32), found.astype(np.float32))
    assert any("quiet clips" in sentence for sentence in audio.warnings(tmp_path / "out"))


def test_one_fine_clip_makes_the_array_float_and_changes_no_sample(tmp_path):
    clips = machine(tmp_path)
    path = next((tmp_path / "fan" / "source_test").glob("*anomaly*"))
    fine = np.random.default_rng(0).uniform(-1, 1, 300).astype(np.float32)
    wavfile.write(path, 16_000, fine)
    table = catalogue.scan(tmp_path)
    audio.decode(table, tmp_path, tmp_path / "out", DATA)
    waveforms = Waveforms.open(tmp_path / "out")
    assert waveforms.samples.dtype == np.float32 and len(waveforms.samples) == 400 + 300 + 450 + 500 + 300
    for row, name in enumerate(waveforms.clips["clip"]):
        assert np.array_equal(waveforms.read(row), fine * 32768 if name == path.name else clips[name])


def test_a_clip_is_opened_once_per_check_and_once_to_decode_it(tmp_path, monkeypatch):
    """libsndfile never receives a path, since the file would then be opened without being counted."""
    clips = machine(tmp_path / "in")
    table = catalogue.scan(tmp_path / "in")
    real = soundfile.SoundFile

    def without_paths(file, *args, **kwargs):
        assert not isinstance(file, str | Path)
        return real(file, *args, **kwargs)

    monkeypatch.setattr(soundfile, "SoundFile", without_paths)
    with opened_files() as counts:
        assert audio.check(table, tmp_path / "in", DATA)[0] == []
    assert {counts[clip] for clip in clips} == {1}
    with opened_files() as counts:  # what a run does: all headers before anything is written
        assert audio.check_headers(table, tmp_path / "in", DATA) == []
        audio.decode(table, tmp_path / "in", tmp_path / "out", DATA)
    assert {counts[clip] for clip in clips} == {2}
