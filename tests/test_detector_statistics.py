"""Statistics of spectra and changed responses in a detector, on synthetic noise."""

import numpy as np
import pytest
from scipy import signal

from asdlib.detector import statistics
from asdlib.detector.response import Response
from asdlib.detector.statistics import Bands, Statistics

RATE = 16_000


def noise(seed, seconds=4):
    """Broadband noise, int16, whose power wavers slowly."""
    rng = np.random.default_rng(seed)
    slow = 1 + 0.3 * np.sin(2 * np.pi * 0.5 * np.arange(seconds * RATE) / RATE + rng.uniform(0, 6))
    return np.rint(1000 * slow * rng.standard_normal(seconds * RATE)).astype(np.int16)


@pytest.fixture(scope="module")
def bands():
    return Bands(RATE)


@pytest.fixture(scope="module")
def normal(bands):
    return Statistics.fit([bands(noise(seed)) for seed in range(30)], range(30), bands.step)


def with_knock(samples, start, pitch):
    time = np.arange(RATE // 10) / RATE
    result = samples.astype(float)
    result[round(start * RATE) :][: len(time)] += 8000 * np.exp(-time / 0.03) * np.sin(2 * np.pi * pitch * time)
    return result


def test_a_knock_stands_out_in_its_band_and_is_placed(bands, normal):
    held_out = [normal.score(bands(noise(seed)), bands.step) for seed in range(100, 120)]
    spectrum = bands(with_knock(noise(200), 2.5, 300))
    assert normal.score(spectrum, bands.step)["band"] > max(value["band"] for value in held_out)
    odd = normal.find_oddest(spectrum, bands)
    assert odd.start == pytest.approx(2.5, abs=0.1) and odd.end == pytest.approx(2.6, abs=0.15)
    assert odd.low < 300 < odd.high < 600


def test_a_silent_band_is_as_odd_as_a_loud_one(bands, normal):
    quiet = signal.sosfilt(signal.butter(8, [1000, 2000], "bandstop", fs=RATE, output="sos"), noise(201))
    odd = normal.find_oddest(bands(quiet), bands)
    assert 1000 <= (odd.low + odd.high) / 2 <= 2000


def test_changed_conditions_widen_what_is_usual(bands, normal):
    louder = [bands(2 * noise(seed)) for seed in range(300, 303)]
    wide = normal.widen(louder, range(30, 33), bands.step)
    before, after = (value.score(bands(2 * noise(310)), bands.step) for value in (normal, wide))
    assert all(after[name] < before[name] / 2 for name in before)
    assert wide.find_nearest(louder[1]) == 31


def test_statistics_are_read_as_they_were_written(bands, normal, tmp_path):
    statistics.save({("00", "source", 64_000): normal}, tmp_path / "file")
    (key, found), spectrum = next(iter(statistics.load(tmp_path / "file").items())), bands(noise(400))
    assert key == ("00", "source", 64_000)
    assert found.score(spectrum, bands.step) == normal.score(spectrum, bands.step)
    assert found.find_oddest(spectrum, bands) == normal.find_oddest(spectrum, bands)


@pytest.mark.parametrize("corner", [2000, 4000])
def test_a_loss_of_high_frequencies_is_estimated_and_taken_back(bands, normal, corner):
    samples = noise(500)
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    muffled = np.fft.irfft(np.fft.rfft(samples) / np.sqrt(1 + np.square(frequency / corner)), len(samples))
    change = Response.between(bands(muffled), normal.mean_spectrum, bands)[0]
    highest = bands.edges[-2]
    assert change.size == pytest.approx(10 * np.log10(1 + (highest / corner) ** 2), abs=0.5)
    left = bands(change.undo(muffled, bands)).mean(0) - normal.mean_spectrum
    assert np.abs(left - np.median(left)).max() < 1


@pytest.mark.parametrize("tilt", [-2.0, 1.0])
def test_a_tilt_is_estimated_and_taken_back_but_a_tone_stays(bands, normal, tilt):
    samples, time = noise(500), np.arange(4 * RATE) / RATE
    tone = 600 * np.sin(2 * np.pi * 2500 * time)
    frequency = np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE), 50)
    tilted = np.fft.irfft(np.fft.rfft(samples + tone) * (frequency / 1000) ** (tilt / 6.02), len(samples))
    change = Response.between(bands(tilted), normal.mean_spectrum, bands)[0]
    octaves = np.log2(bands.edges[-2] / bands.edges[1])
    assert change.size == pytest.approx(abs(tilt) * octaves, rel=0.2)
    left = bands(change.undo(tilted, bands)).mean(0) - normal.mean_spectrum
    left -= np.median(left)
    where = np.argmin(np.abs(bands.edges[1:-1] - 2500))
    assert left[where] > 6, "the tone is no response"
    assert np.median(np.abs(left)) < 1
