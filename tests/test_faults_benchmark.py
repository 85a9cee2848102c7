"""The benchmark of the detector next to plain ones: its faults, and what counts as a hit."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile

from asdlib import Detector

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "benchmarks" / "faults")]

import changed_conditions  # noqa: E402
import plain_alarms  # noqa: E402
import rates  # noqa: E402
import real_faults  # noqa: E402
import run  # noqa: E402
import sounds  # noqa: E402
import summary  # noqa: E402
from plain import Plain  # noqa: E402

RATE = 16_000


def noise(seed, seconds=4):
    return 0.05 * np.random.default_rng(seed).standard_normal(seconds * RATE)


@pytest.mark.parametrize("kind", sounds.KINDS)
def test_a_fault_has_its_level_place_and_band(kind):
    wave = noise(0)
    mixed = sounds.mix(wave, RATE, kind, -5, np.random.default_rng(1))
    fault, power = mixed.wave - wave, np.square(wave).mean()
    inside = np.zeros(len(wave), bool)
    for start, end in mixed.places:
        inside[round(start * RATE) : round(end * RATE)] = True
    assert np.abs(fault[~inside]).max(initial=0) < 1e-12
    energy = np.square(fault).sum() / (len(mixed.places) * RATE * (mixed.places[0][1] - mixed.places[0][0]))
    assert 10 * np.log10(energy / power) == pytest.approx(-5, abs=1.0)  # knocks may overlap
    spectrum, frequency = np.square(np.abs(np.fft.rfft(fault))), np.fft.rfftfreq(len(fault), 1 / RATE)
    within = (frequency >= mixed.band[0]) & (frequency <= mixed.band[1])
    assert spectrum[within].sum() > 0.7 * spectrum.sum()


def test_voices_and_traffic_have_their_level_and_leave_pauses_or_swell():
    for make in (sounds.voice, sounds.traffic):
        other = make(8 * RATE, RATE, np.random.default_rng(2))
        added = sounds.add(noise(1, 8), other, -5) - noise(1, 8)
        assert np.square(added).mean() / np.square(noise(1, 8)).mean() == pytest.approx(10**-0.5, rel=1e-6)
        loud = np.square(other).reshape(-1, RATE // 2).mean(1)
        assert loud.min() < loud.max() / 3


def test_hits_need_time_and_frequency():
    fault = sounds.Mixed(noise(0), [(2.0, 3.0)], (900, 1100))

    def hit(start, end, low, high):
        found = run.hits(fault, [{"start": start, "end": end, "frequencies": [[low, high]]}])
        return found["faults_hit"], found["spans_right"]

    assert hit(2.1, 2.9, 1000, 1500) == (1, 1)
    assert hit(2.1, 2.9, 2000, 2500) == (0, 0)
    assert hit(3.5, 3.9, 1000, 1500) == (0, 0)
    assert hit(0.0, 10.0, 1000, 1500) == (1, 0), "a span of the whole recording says nothing"


def test_the_plain_detectors_find_what_they_should():
    plain = Plain([noise(seed) for seed in range(20)], RATE)
    normal = [plain.score(noise(seed)) for seed in range(30, 40)]
    whine = plain.score(sounds.mix(noise(50), RATE, "whine", 0, np.random.default_rng(0)).wave)
    assert all(whine[name] > max(score[name] for score in normal) for name in whine)


def test_the_summary_is_what_the_definition_says():
    rows = []
    for clip in range(6):
        base = dict.fromkeys(summary.SYSTEMS, float(clip)) | {"clip": clip, "anomaly": False, "verdict": "normal"}
        base |= dict.fromkeys(["faults", "faults_hit", "spans", "spans_right"], 0)
        rows.append(base | {"group": "normal", "condition": "normal", "level": np.nan})
        for kind in ("hiss", "whine"):
            fault = base | {"group": "fault", "condition": kind, "level": 0, "score": 10.0, "anomaly": True}
            rows.append(fault | {"plain/Mahalanobis": clip + 1.5})
    table = pd.DataFrame(rows)
    found, kinds = summary.faults(table)
    pairs = np.subtract.outer(np.arange(6) + 1.5, np.arange(6))
    assert found["detector"].tolist() == [1.0, 1.0]
    np.testing.assert_allclose(found["Mahalanobis"], np.mean(pairs > 0))
    assert kinds["kind"].tolist() == ["hiss", "whine", "all"] and set(kinds["better"]) == {"Mahalanobis"}
    np.testing.assert_allclose(kinds["lead"], 1 - np.mean(pairs > 0))
    assert (kinds["low"] <= kinds["lead"]).all() and (kinds["high"] >= kinds["lead"]).all()
    assert summary.alarms(table).set_index("condition")["alarms"].to_dict() == {"normal": 0, "hiss": 6, "whine": 6}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Fit a detector of statistics alone, and return it with its normal recordings and some others."""
    folder = tmp_path_factory.mktemp("noise")
    files = [folder / f"{number:02d}.wav" for number in range(44)]
    for number, path in enumerate(files):
        soundfile.write(path, noise(100 + number), RATE, "PCM_16")
    return Detector(statistics_only=True).fit(files[:40]), files[:40], files[40:]


def test_thresholds_of_simpler_detectors_are_set_on_recordings_that_they_did_not_learn_from(fitted):
    detector, files, _ = fitted
    learnt, held_out = files[:30], files[30:]
    thresholds = plain_alarms.Thresholds(detector, learnt, held_out)
    plain = Plain([soundfile.read(path)[0] for path in learnt], RATE)
    found = sorted(plain.score(soundfile.read(path)[0])["plain/Mahalanobis"] for path in held_out)
    assert thresholds.limits[4 * RATE]["plain/Mahalanobis"].threshold() == pytest.approx(found[-1])  # rank 10 of 10
    wave = soundfile.read(held_out[0])[0]
    long = np.concatenate([wave, soundfile.read(held_out[1])[0]])
    each = [plain.score(part)["plain/nearest neighbour"] for part in (long[: 4 * RATE], long[4 * RATE :])]
    assert thresholds.score(long)["plain/nearest neighbour"] == pytest.approx(max(each))
    just = thresholds.limits[4 * RATE]["plain/Mahalanobis"].threshold() + 1e-6
    assert thresholds.alarms({"plain/Mahalanobis": just}, 4 * RATE) == {"plain/Mahalanobis": True}
    assert thresholds.alarms({"plain/Mahalanobis": just - 1e-5}, 4 * RATE) == {"plain/Mahalanobis": False}
    two = thresholds.limits[4 * RATE]["plain/Mahalanobis"].threshold(2)
    assert thresholds.alarms({"plain/Mahalanobis": two - 1e-6}, 8 * RATE) == {"plain/Mahalanobis": False}


def test_alarms_of_simpler_detectors_are_counted_under_each_condition(fitted):
    detector, files, others = fitted
    thresholds = plain_alarms.Thresholds(detector, files[:30], files[30:])
    found = plain_alarms.count(thresholds, detector, others, 1).set_index(["condition", "level"]).sort_index()
    names = ["Mahalanobis", "nearest neighbour", plain_alarms.ALONE]
    assert found.loc[("whine", 0), names].tolist() == [4, 4, 4]
    assert (found.loc["normal", names] <= 2).all(axis=None) and (found["recordings"] == 4).all()


def test_real_faults_are_summarised_by_area_lead_and_alarms():
    table = pd.DataFrame({"fault": [False, False, True, True], "ensemble alarm": [True, False, True, True]})
    table[list(real_faults.SYSTEMS)] = np.tile(np.arange(1, 5)[:, None], len(real_faults.SYSTEMS))
    table["networks"], table["autoencoder"], table[plain_alarms.ALONE] = [1, 2, 4, 3], [1, 3, 2, 4], [4, 3, 2, 1]
    found = real_faults.summarise(table).set_index("system")
    assert found["auc"].head(4).tolist() == [1, 1, 0.75, 1] and found.loc[plain_alarms.ALONE, "auc"] == 0
    assert found.loc["detector", ["found", "faults", "false_alarms", "normals"]].tolist() == [2, 2, 1, 2]
    assert found.loc[plain_alarms.ALONE, ["lead", "low", "high"]].tolist() == [1, 1, 1]
    assert found.loc["autoencoders alone", "low"] == 0 < found.loc["autoencoders alone", "high"]
    assert pd.isna(found.loc["networks alone", "found"])


def test_the_book_shows_every_kind_of_fault_and_says_where_nothing_was_measured(tmp_path):
    sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "book")]
    import plain_detectors
    import tables

    stored = Path(plain_detectors.__file__).parent / "results" / "detector"
    pages = plain_detectors.pages(stored)
    assert all(f"| {kind} |" in pages["generated/plain_detectors.md"] for kind in sounds.KINDS)
    kinds = pd.read_csv(stored / "kinds.csv").set_index("kind")
    assert f"| {100 * kinds.loc['hiss', 'detector']:.1f} |" in pages["generated/plain_detectors.md"]
    assert all(f"| {tables.typeset(name)} |" in pages["generated/no_faults.md"] for name in sounds.HARMLESS)
    assert "spans" in pages["generated/places.md"] and "nan" not in "".join(pages.values())
    assert set(plain_detectors._measured(tmp_path).values()) == {plain_detectors.ABSENT}


def test_the_book_says_how_many_recordings_allow_which_rate():
    sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "book")]
    import your_machine_alarms

    rows = your_machine_alarms.rates().splitlines()
    few, many = (next(row for row in rows if row.startswith(f"| {count} |")) for count in (40, 400))
    assert few.startswith("| 40 | 9.8 % | 98 | 2.4 % | 10 |"), "4 of 41, without an interval; 1,008 recordings a week"
    assert "| 10 | 9.1 % (" in few and "| 92 (" in few and few.endswith("| 9.1 % |"), "one of 11"
    assert many.startswith("| 400 | 10.0 % |") and "| 100 | 9.9 % (" in many and many.endswith("| 1.0 % |")


def test_alarms_and_named_changes_are_counted_apart():
    verdicts = {"a_anomaly_0": "anomaly", "b_anomaly_0": "response changed by 3 dB", "a_normal_0": "normal",
                "b_normal_0": "anomaly"}  # fmt: skip
    scores = dict(zip(verdicts, (3.0, 2.0, 1.0, 2.5), strict=True))
    detector = SimpleNamespace(
        judge=lambda path, changed: SimpleNamespace(
            anomaly=verdicts[path.name] == "anomaly", verdict=verdicts[path.name], score=scores[path.name]
        )
    )
    row = changed_conditions.judged(detector, [Path(f"x_{name}").with_name(name) for name in verdicts], True)
    counts = {"found": 1, "false_alarms": 1, "named_faults": 1, "named_normals": 0, "faults": 2, "normals": 2}
    assert row == {"auc": 0.75} | counts


def test_a_lower_rate_finds_no_more_and_spans_are_counted_where_faults_were_mixed_in():
    """A detector that hears the level: the higher the rate that is asked for, the lower its threshold."""

    class Level:
        def judge(self, sound):
            spans = [{"start": 0.0, "end": 1.0, "frequencies": [[90, 110]]}]
            return SimpleNamespace(anomaly=sound > 10 - 50 * self.false_alarm_rate, spans=spans)

    fault = sounds.Mixed(noise(0), [(0.0, 1.0)], (100, 120))
    items = [{"sound": 6, "is_fault": True, "fault": fault}, {"sound": 9.5, "is_fault": True, "fault": fault}]
    items += [{"sound": 8, "is_fault": False, "fault": None}, {"sound": 0, "is_fault": False, "fault": None}]
    found = pd.DataFrame(rates.count(Level(), items)).set_index("rate")
    assert found["found"].to_dict() == {0.1: 2, 0.05: 1, 0.02: 1} and (found["with_fault"] == 2).all()
    assert found["false_alarms"].to_dict() == {0.1: 1, 0.05: 1, 0.02: 0} and (found["normals"] == 2).all()
    assert found["faults_hit"].to_dict() == found["spans_right"].to_dict() == {0.1: 2, 0.05: 1, 0.02: 1}
