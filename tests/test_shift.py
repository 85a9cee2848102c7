"""Test the estimated domain shift, and the clips made with it, against known shifts."""

import dataclasses

import numpy as np
import pytest
from classifier_clips import project

from asdlib import params, paths
from asdlib.data.audio import Waveforms
from asdlib.errors import DataError
from asdlib.shift import physical, shifted_clips

pytestmark = pytest.mark.slow

RATE, SECONDS = 16_000, 3.0
KNOWN = physical.Shift(speed=1.06, response=(-3.0, -5.0, 0.0), level=-30.0, slope=-8.0)


def clips(count: int, seed: int) -> list[np.ndarray]:
    """Return a machine's sound: harmonics of 130 Hz of slightly varying speed and level, over a broadband flow."""
    rng, time = np.random.default_rng(seed), np.arange(int(SECONDS * RATE)) / RATE
    result = []
    for _ in range(count):
        pitch = 130 * (1 + 0.003 * rng.standard_normal())
        tones = sum(np.sin(2 * np.pi * k * pitch * time + rng.uniform(0, 6)) / k**0.5 for k in range(1, 40))
        flow = np.convolve(rng.standard_normal(len(time)), [1, 0.5], mode="same")
        result.append(0.02 * 10 ** (rng.normal(0, 0.5) / 20) * (tones + flow))
    return result


@pytest.fixture(scope="module")
def front():
    return physical.Front(RATE)


def test_a_known_shift_is_found(front):
    target = [physical.apply(KNOWN, clip, front, 1.0, seed) for seed, clip in enumerate(clips(3, seed=1))]
    found = physical.estimate(clips(30, seed=0), target, RATE, jitter=1.0, seed=0)
    assert found.speed == pytest.approx(KNOWN.speed, abs=0.011)
    # Three clips whose level varies by half a dB tell it to about that; 1.5 dB over the bands.
    assert np.abs(front.gain(found.response) - front.gain(KNOWN.response)).mean() < 1.5
    assert np.abs(front.background(found.level, found.slope) - front.background(KNOWN.level, KNOWN.slope)).mean() < 1.5


def test_no_shift_is_found_where_there_is_none(front):
    found = physical.estimate(clips(30, seed=0), clips(3, seed=1), RATE, jitter=1.0, seed=0)
    assert found.speed == 1.0
    source = np.mean([front.decibel(clip).mean(0) for clip in clips(10, seed=2)], axis=0)
    made = [physical.apply(found, clip, front, 1.0, seed) for seed, clip in enumerate(clips(10, seed=2))]
    assert np.abs(np.mean([front.decibel(clip).mean(0) for clip in made], axis=0) - source).mean() < 0.7  # dB


def test_derivatives_agree_with_differences(front):
    """Return the sum of a machine's and a background's power in dB, each slightly changed."""
    machine = np.random.default_rng(0).uniform(-60, -20, len(front.frequency))
    values = np.array([2.0, -3.0, 1.0, -40.0, -7.0])

    def powers(trial):
        return 10 ** ((machine + front.gain(trial[:3])) / 10), 10 ** (front.background(*trial[3:]) / 10)

    def log_mel(trial):
        return 10 * np.log10(sum(powers(trial)))

    steps = 1e-4 * np.eye(5)
    expected = np.stack([(log_mel(values + step) - log_mel(values - step)) / 2e-4 for step in steps], axis=1)
    signal, noise = powers(values)
    np.testing.assert_allclose(front.slopes(signal / (signal + noise)), expected, atol=1e-6)


def test_the_same_seed_gives_the_same_shift():
    source, target = clips(5, seed=0), clips(2, seed=1)
    first, second = (physical.estimate(source, target, RATE, jitter=2.0, seed=3) for _ in range(2))
    assert first == second


def test_nothing_changes_without_a_shift(front):
    (clip,) = clips(1, seed=0)
    still = physical.Shift(1.0, (0.0, 0.0, 0.0), -300.0, 0.0)
    np.testing.assert_allclose(physical.apply(still, clip, front, 0.0, 0), clip, atol=1e-9)


def test_the_background_has_the_level_that_was_asked_for(front):
    silence = np.zeros(10 * RATE)
    made = physical.apply(physical.Shift(1.0, (0.0, 0.0, 0.0), -20.0, -10.0), silence, front, 0.0, 0)
    power = 10 * np.log10((10 ** (front.decibel(made) / 10)).mean(0))
    # 313 overlapping frames of a noise tell the power of a narrow band to about 7 %; below, the law bends.
    apart = power[4:] - front.background(-20.0, -10.0)[4:]
    assert np.abs(apart).max() < 1.5 and np.abs(apart).mean() < 0.4  # dB


def test_speed_moves_every_frequency(front):
    time = np.arange(RATE) / RATE
    made = physical.apply(physical.Shift(1.05, (0.0,) * 3, -300.0, 0.0), np.sin(2 * np.pi * 1000 * time), front, 0.0, 0)
    assert len(made) == -(-RATE * 100 // 105)
    assert np.abs(np.fft.rfft(made)).argmax() * RATE / len(made) == pytest.approx(1050, abs=1.5)  # Hz, one bin


def test_shifted_clips_are_decoded_next_to_the_others(tmp_path):
    settings = project(tmp_path)
    made, own = shifted_clips.open_clips(settings, "fan"), Waveforms.open(paths.Run.of(settings).data("fan"))
    source = own.clips[(own.clips["split"] == "train") & (own.clips["domain"] == "source")]
    assert list(made.clips["clip"]) == list(source["clip"][source["section"] == "00"])  # 01 has no target clips
    assert set(made.clips["domain"]) == {"target"} and set(made.clips["label"]) == {"normal"}
    assert [len(made.read(row)) for row in range(len(made))] == made.clips["samples"].tolist()
    shifts = shifted_clips.shifts(settings, "fan")
    assert list(shifts["section"]) == ["00"] and np.isfinite(shifts[list(physical.NAMES)].to_numpy()).all()
    assert shifted_clips.open_rows(settings, "fan", ["01"]) is None
    _, rows = shifted_clips.open_rows(settings, "fan", ["00"], without=made.clips["clip"][:2])
    assert rows.tolist() == list(range(2, len(made)))


def test_shifted_clips_are_made_once_and_again_alike(tmp_path):
    settings = project(tmp_path)
    folder = paths.Run.of(settings).shifted("fan")
    before = {name: (folder / name).read_bytes() for name in ("waveforms.npy", "clips.csv", "shifts.csv")}
    assert not shifted_clips.make(settings, "fan")
    (folder / "record.json").unlink()  # as if it had been interrupted
    with pytest.raises(DataError, match="no shifted clips; run notebook 01_data"):
        shifted_clips.open_clips(settings, "fan")
    assert shifted_clips.make(settings, "fan")
    assert before == {name: (folder / name).read_bytes() for name in before}
    data = settings.data.model_copy(update={"shifted": params.data.ShiftedClips(clips=3)})
    assert shifted_clips.make(settings.model_copy(update={"data": data}), "fan")
    assert len(shifted_clips.open_clips(settings, "fan")) == 3


def test_shifted_clips_are_as_fine_as_the_others(tmp_path):
    """Of quiet recordings of more than 16 bits, made the same way but for the rounding."""
    coarse = shifted_clips.open_clips(project(tmp_path / "coarse"), "fan")
    settings = project(tmp_path / "fine")
    folder = paths.Run.of(settings).data("fan")
    samples = np.load(folder / "waveforms.npy")
    np.save(folder / "waveforms.npy", samples.astype(np.float32))
    (paths.Run.of(settings).shifted("fan") / "record.json").unlink()
    assert shifted_clips.make(settings, "fan")
    fine = shifted_clips.open_clips(settings, "fan")
    assert coarse.samples.dtype == np.int16 and fine.samples.dtype == np.float32
    assert 0.4 < np.abs(fine.samples - coarse.samples).max() <= 0.5


def test_a_shift_has_a_name_for_each_number():
    assert tuple(KNOWN.as_dict()) == physical.NAMES
    assert dataclasses.astuple(KNOWN)[0] == KNOWN.as_dict()["speed"]
