"""The embedded demonstration data: deterministic, as stated, and neither trivial nor hopeless."""

import json

import numpy as np
import pytest
from scipy.signal import find_peaks
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from asdlib import params
from asdlib.data import audio, catalogue, faults, machines, names, sounds, synthetic, wav
from asdlib.data.catalogue import DataError
from asdlib.data.names import ClipName

RATE = 16_000
SMALL = params.Synthetic(
    machines=["fan", "valve"],
    sections=["00"],
    duration=0.5,
    train_source=2,
    train_target=1,
    test_normal=1,
    test_anomaly=4,
)


def clip(machine, domain="source", label="normal", number=0, section="00", split="test", **changes):
    name = ClipName(section, domain, split, label, f"{number:04d}")
    return synthetic.waveform(params.Synthetic(**{"duration": 2.0, **changes}), RATE, machine, name)


def rms(waveform):
    return np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))


# Files ----------------------------------------------------------------------------------------------------------------
def test_files_are_what_the_plan_expects(tmp_path):
    assert synthetic.write(tmp_path / "a", SMALL, RATE)
    clips = catalogue.scan(tmp_path / "a")
    assert clips.equals(catalogue.expected(SMALL))
    problems, warnings = audio.check(clips, tmp_path / "a", params.Data())
    assert problems == [] and len(warnings) == 1 and "shorter than 1 s" in warnings[0]
    assert {wav.probe(tmp_path / "a" / path, params.Data()) for path in clips["path"]} == {RATE // 2}
    anomalies = clips[(clips["label"] == "anomaly") & (clips["domain"] == "target")]
    for machine, group in anomalies.groupby("machine"):
        assert set(group["attributes"]) == set(faults.FAULTS[machine])


def test_the_same_settings_give_the_same_bytes(tmp_path):
    synthetic.write(tmp_path / "a", SMALL, RATE)
    synthetic.write(tmp_path / "b", SMALL, RATE)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 2 * (3 + 2 * 5) + 1
    contents = [(tmp_path / "a" / file).read_bytes() for file in files]
    assert contents == [(tmp_path / "b" / file).read_bytes() for file in files]
    assert len(set(contents)) == len(files)  # no clip is another one's copy


def test_a_clip_does_not_depend_on_what_is_made_beside_it(tmp_path):
    synthetic.write(tmp_path, SMALL, RATE)
    file = "section_00_target_test_anomaly_0002_clogging.wav"
    alone = synthetic.waveform(params.Synthetic(duration=0.5), RATE, "fan", names.parse("target_test", file))
    assert np.array_equal(wav.read(tmp_path / "fan" / "target_test" / file, params.Data()), alone)
    assert not np.array_equal(alone, clip("fan", "target", "anomaly", 2, duration=0.5, seed=1))


def test_only_its_own_data_are_replaced(tmp_path, capsys):
    root = tmp_path / "demo"
    synthetic.write(root, SMALL, RATE)
    before = root.stat().st_ino
    assert not synthetic.write(root, SMALL, RATE)
    assert root.stat().st_ino == before
    other = SMALL.model_copy(update={"test_normal": 2})
    assert synthetic.write(root, other, RATE)
    assert len(catalogue.scan(root)) == 2 * (3 + 2 * 6)
    assert json.loads((root / synthetic.MARK).read_text())["test_normal"] == 2
    (root / synthetic.MARK).unlink()
    with pytest.raises(DataError, match=r"not synthesised .*data.synthetic to null"):
        synthetic.write(root, SMALL, RATE)
    assert len(catalogue.scan(root)) == 2 * (3 + 2 * 6)
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


# Sound ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("machine", names.MACHINES)
def test_every_machine(machine):
    """Level, no clipping, clips differ, and each fault changes the sound of its own machine."""
    clips = [clip(machine, number=number) for number in range(4)]
    assert all(np.abs(waveform.astype(int)).max() < 32767 for waveform in clips)
    assert all(0.3 < rms(waveform) / 32767 / synthetic.LEVEL < 3 for waveform in clips)
    assert not np.array_equal(clips[0], clips[1])
    conditions = {"samples": RATE, "rate": RATE, "speed": 1.0, "load": 0.5, "size": 1.0}

    def sound(**fault):
        unit, rng = np.random.default_rng(1), np.random.default_rng(2)
        return machines.MACHINES[machine](machines.Conditions(unit=unit, rng=rng, **conditions, **fault))

    for fault, (faint, clear) in faults.FAULTS[machine].items():
        assert 0 < faint < clear
        assert rms(sound(fault=fault, severity=clear) - sound()) > 0.02 * rms(sound())
    assert np.array_equal(sound(fault="none of these", severity=1.0), sound())


@pytest.mark.parametrize("machine", ["fan", "slider"])
def test_the_background_is_at_the_stated_ratio(machine):
    """Machine alone (background far down) over what the background adds; 20 clips, mean within 1.5 dB of 6 dB."""
    ratios = []
    for number in range(20):
        alone, both = (clip(machine, number=number, snr=snr).astype(float) for snr in (100.0, 6.0))
        ratios.append(20 * np.log10(rms(alone) / rms(both - alone)))
    assert np.mean(ratios) == pytest.approx(6, abs=1.5)


def test_a_fan_turns_at_its_speed():
    """The strongest line between 100 and 400 Hz is the blade pass: a whole number of blades times the shaft's rate."""
    waveform = clip("fan", duration=10.0, snr=40.0)
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    peak = (1000 + spectrum[1000:4000].argmax()) / 10  # Hz
    blades = peak / (24 * synthetic.place(0, "fan", "00", "source").speed)
    assert 4.5 < blades < 9.5 and abs(blades - round(blades)) < 0.05 * blades


def test_a_valve_clicks_in_its_cycle():
    """Open and close: two clicks a cycle of 1.5 a second times speed."""
    place = synthetic.place(0, "valve", "00", "source")
    envelope = np.abs(clip("valve", duration=10.0, snr=40.0).astype(float))
    clicks, _ = find_peaks(envelope, height=0.25 * envelope.max(), distance=RATE // 10)
    assert len(clicks) == pytest.approx(2 * 1.5 * place.speed * 10, abs=2)


def test_sections_and_domains_differ():
    for machine in names.MACHINES:
        source, target, other = (
            synthetic.place(0, machine, *where) for where in (("00", "source"), ("00", "target"), ("01", "source"))
        )
        assert 0.03 < abs(target.speed / source.speed - 1) < 0.11
        assert target.size == source.size and target.louder > source.louder
        assert target.microphone != source.microphone and target.factory != source.factory
        assert other.speed != source.speed and other.size != source.size


def test_the_wave_table_against_its_definition():
    phase = np.random.default_rng(0).uniform(-3, 50, 500)
    amplitudes = [1.0, 0.5, 0.25]
    exact = sum(a * np.cos(2 * np.pi * k * phase + k**2) for k, a in enumerate(amplitudes, start=1))
    assert np.abs(sounds.tone(phase, amplitudes) - exact).max() < 0.002  # half a table step


def test_noise_has_unit_power_and_its_curve():
    curve = ((100.0, 0.0), (1000.0, -20.0), (8000.0, -20.0))
    noise = sounds.noise(np.random.default_rng(0), 20 * RATE, RATE, curve)
    assert rms(noise) == pytest.approx(1, rel=0.03)
    power = np.abs(np.fft.rfft(noise)) ** 2  # bins of 0.05 Hz
    low, high = power[1600:2000].mean(), power[40_000:120_000].mean()  # 80 to 100 Hz, 2 to 6 kHz
    assert 10 * np.log10(low / high) == pytest.approx(20, abs=1)


def test_a_resonance_against_its_definition():
    impulse = np.zeros(4000)
    impulse[10] = 2.0
    time = np.arange(3990) / RATE
    exact = 2 * np.exp(-time / 0.02) * np.sin(2 * np.pi * 500 * time)
    assert np.allclose(sounds.ring(impulse, RATE, 500, 0.02)[10:], exact, atol=1e-9)


def test_strikes_come_once_a_turn():
    phase = np.arange(1000) / 100 + 0.5  # ten turns
    strikes = sounds.strikes(np.random.default_rng(0), phase, spread=0.0)
    assert np.allclose(np.flatnonzero(strikes), np.arange(49, 1000, 100), atol=1)
    assert np.allclose(strikes[strikes > 0], 1)
    late = np.flatnonzero(sounds.strikes(np.random.default_rng(0), phase, spread=0.0, shift=0.25))
    assert np.allclose(late, np.arange(74, 1000, 100), atol=1)


# Difficulty -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("machine", names.MACHINES)
def test_faults_are_graded(machine):
    """A Mahalanobis distance on mean and deviation of 40 log-bands finds faults, but not all: AUC 0.6 to 0.97."""

    def vectors(split, label, count):
        clips = np.stack([clip(machine, label=label, number=n, split=split) for n in range(count)])
        frames = clips[:, : 31 * 1024].reshape(count, 31, 1024) * np.hanning(1024)
        power = np.abs(np.fft.rfft(frames)) ** 2  # (clips, frames, bins)
        edges = np.unique(np.geomspace(1, 513, 41).astype(int))
        bands = 10 * np.log10(np.add.reduceat(power, edges[:-1], axis=-1) + 1e-3)
        return np.concatenate([bands.mean(1), bands.std(1)], axis=1)

    gaussian = LedoitWolf().fit(vectors("train", "normal", 60))
    normal, anomaly = (gaussian.mahalanobis(vectors("test", label, 36)) for label in ("normal", "anomaly"))
    value = roc_auc_score(np.repeat([0, 1], 36), np.concatenate([normal, anomaly]))
    assert 0.6 < value < 0.97
