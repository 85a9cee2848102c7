"""Test thresholds, percentiles and rates of a detector against simulation and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from asdlib.detector.calibration import ENSEMBLE, Calibration, combine_branches, combine_together
from asdlib.ensemble.normalisation import normalise

SCORES = arrays(np.float64, st.integers(2, 60), elements=st.floats(-10, 10), unique=True)


def simulated(draw, clips, windows, rate, times=4000):
    """Return the share of normal recordings called anomalous, over many draws of held-out clips, and for each draw."""
    rng = np.random.default_rng(0)
    calibrations = [Calibration(draw(rng, clips), rate) for _ in range(times)]
    alarms = [draw(rng, windows).max() > calibration.threshold(windows) for calibration in calibrations]
    return np.mean(alarms), calibrations


@pytest.mark.parametrize("clips", [9, 20, 50])
def test_the_rate_of_false_alarms_is_bounded_and_met(clips):
    alarms, calibrations = simulated(lambda rng, size: rng.gamma(2, size=size), clips, 1, 0.1)
    bound = calibrations[0].expected()["rate"]
    assert bound <= 0.1
    assert alarms == pytest.approx(bound, abs=3 * np.sqrt(bound / 4000))  # exchangeable and continuous: met, not below


def test_the_interval_holds_the_rate_of_its_threshold():
    _, calibrations = simulated(lambda rng, size: rng.standard_normal(size), 50, 1, 0.1, 2000)
    rates = [stats.norm.sf(calibration.threshold()) for calibration in calibrations]
    inside = [c.expected()["low"] <= rate <= c.expected()["high"] for c, rate in zip(calibrations, rates, strict=True)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("windows", [3, 30])
def test_long_recordings_alarm_at_the_rate_of_the_whole(windows):
    """For exponential tails, as assumed, the tail estimated from 50 clips is within a factor of two."""
    alarms, _ = simulated(lambda rng, size: rng.exponential(size=size), 50, windows, 0.1)
    assert 0.05 < alarms < 0.2


@pytest.mark.parametrize("alike", [0.0, 0.8])
@pytest.mark.parametrize("clips", [10, 25])
def test_the_bound_holds_although_scores_are_normalised_by_the_held_out_clips(clips, alike):
    """Systems of all branches with normal scores, correlated or not."""
    rng, times = np.random.default_rng(0), 400
    systems = [
        "autoencoder/a/l1",
        "autoencoder/b/l1",
        "classifier/a/logit",
        *(f"statistics/{x}" for x in ("whole", "b")),
    ]

    def draw(count):
        common = rng.standard_normal(count)
        return {s: np.sqrt(alike) * common + np.sqrt(1 - alike) * rng.standard_normal(count) for s in systems}

    alarms = []
    for _ in range(times):
        held, new = draw(clips), draw(20)
        found = [combine_branches({s: new[s][i] for s in systems}, held, "average")[ENSEMBLE] for i in range(20)]
        alarms += [score > Calibration(reference, 0.1).threshold() for score, reference in found]
    bound = Calibration(np.arange(clips), 0.1).expected()["rate"]
    assert np.mean(alarms) == pytest.approx(bound, abs=0.015)  # met, not below


def test_a_lone_system_is_scaled_by_the_held_out_clips_alone():
    held = np.random.default_rng(0).gamma(2, size=30)
    score, reference = combine_branches({"autoencoder/a/l1": 90.0}, {"autoencoder/a/l1": held}, "average")[ENSEMBLE]
    assert score == pytest.approx((90 - held.mean()) / held.std())
    np.testing.assert_allclose(reference, normalise(held), atol=1e-9)


def test_a_new_clip_and_the_held_out_ones_are_treated_alike():
    """Exchanging the new clip for a held-out one exchanges their ranks, so the bound is exact."""
    rng = np.random.default_rng(2)
    held = {
        name: rng.gamma(1, size=12) for name in ("autoencoder/a", "classifier/a", "statistics/whole", "statistics/b")
    }
    new = {name: rng.gamma(1) * 3 for name in held}
    swapped = {name: np.append(held[name][1:], new[name]) for name in held}
    for name, (score, reference) in combine_branches(new, held, "average").items():
        other, others = combine_branches({name: values[0] for name, values in held.items()}, swapped, "average")[name]
        before = stats.rankdata([score, *reference])
        np.testing.assert_array_equal(stats.rankdata([others[-1], other, *others[:-1]]), before)


def test_too_few_clips_are_reported():
    few = Calibration(np.arange(4.0), 0.1)
    assert few.threshold() == 3 and few.expected()["rate"] == pytest.approx(0.2)


@given(SCORES, st.floats(-12, 12), st.sampled_from([0.02, 0.1, 0.3]), st.sampled_from([1, 4]))
def test_percentile_and_threshold_agree(scores, score, rate, windows):
    calibration = Calibration(scores, rate)
    percentile = calibration.percentile(score, windows)
    assert 0 <= percentile <= 100 and calibration.percentile(score + 1, windows) >= percentile
    if windows == 1:
        assert percentile < 100
        alarm, bound = score > calibration.threshold(), calibration.expected()["rate"]
        assert alarm == (percentile >= 100 * (1 - bound) - 1e-9)
    assert calibration.threshold(windows) >= calibration.threshold()


def z(values):
    return (values - values.mean()) / values.std()


def test_the_ensemble_is_the_mean_of_the_normalised_branches():
    rng = np.random.default_rng(0)
    clips = {name: rng.normal(size=30) * scale for name, scale in [("autoencoder/a", 2), ("autoencoder/b", 30)]}
    clips["classifier/a"] = rng.normal(5, 3, size=30)
    found = combine_together(clips, "average")
    autoencoder = z(z(clips["autoencoder/a"]) + z(clips["autoencoder/b"]))
    np.testing.assert_allclose(found["autoencoder"], autoencoder)
    np.testing.assert_allclose(found["classifier"], z(clips["classifier/a"]))
    np.testing.assert_allclose(found[ENSEMBLE], z(autoencoder + z(clips["classifier/a"])))
    assert list(combine_together({"autoencoder/a": clips["autoencoder/a"]}, "average")) == ["autoencoder", ENSEMBLE]


def test_statistics_count_as_much_as_the_networks_together():
    rng = np.random.default_rng(1)
    clips = {
        name: rng.normal(size=30) for name in ("autoencoder/a", "classifier/a", "statistics/a", "statistics/whole")
    }
    found = combine_together(clips, "average")
    networks = z(z(clips["autoencoder/a"]) + z(clips["classifier/a"]))
    one, whole = z(clips["statistics/a"]), z(clips["statistics/whole"])
    statistics = z(np.where(one > whole, one + whole, 2 * whole))
    np.testing.assert_allclose(found["statistics"], statistics)
    np.testing.assert_allclose(found[ENSEMBLE], z(networks + statistics))
    alone = combine_together({name: clips[name] for name in ("statistics/a", "statistics/whole")}, "average")
    np.testing.assert_allclose(alone[ENSEMBLE], statistics)
