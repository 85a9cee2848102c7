"""Test thresholds, percentiles and rates of a detector against simulation and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from asdlib.detector.calibration import ENSEMBLE, Calibration, combine_branches, score_as_new
from asdlib.ensemble import normalise

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
    """Systems of all branches with normal scores, correlated or not; a clip in its own mean and deviation breaks it."""
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

    rates = {"as new": [], "in-sample": []}
    for _ in range(times):
        held = draw(clips)
        scores = combine_branches(draw(100), held, "average")[ENSEMBLE]
        for name, reference in (
            ("as new", score_as_new(held, "average")),
            ("in-sample", combine_branches(held, held, "average")),
        ):
            rates[name].append((scores > Calibration(reference[ENSEMBLE], 0.1).threshold()).mean())
    bound = Calibration(np.arange(clips), 0.1).expected()["rate"]
    assert np.mean(rates["as new"]) < bound
    assert np.mean(rates["in-sample"]) > np.mean(rates["as new"])


def test_clips_scored_as_new_keep_their_order():
    held = {"autoencoder/a/l1": np.random.default_rng(0).standard_normal(130)}
    found = score_as_new(held, "average")["autoencoder"]
    assert stats.spearmanr(found, held["autoencoder/a/l1"])[0] > 0.999
    alone = score_as_new({"autoencoder/a/l1": held["autoencoder/a/l1"][:3]}, "average")["autoencoder"]
    first, *others = held["autoencoder/a/l1"][:3]
    assert alone[0] == pytest.approx((first - np.mean(others)) / np.std(others) / 1.0, rel=1e-6)


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


def test_the_ensemble_is_the_mean_of_the_normalised_branches():
    rng = np.random.default_rng(0)
    held = {name: rng.normal(size=30) * scale for name, scale in [("autoencoder/a", 2), ("autoencoder/b", 30)]}
    held["classifier/a"] = rng.normal(5, 3, size=30)
    new = {name: rng.normal(size=4) for name in held}
    found = combine_branches(new, held, "average")
    for branch, names in {"autoencoder": ["autoencoder/a", "autoencoder/b"], "classifier": ["classifier/a"]}.items():
        reference = np.mean([normalise(held[name]) for name in names], axis=0)
        expected = np.mean([(new[name] - held[name].mean()) / held[name].std() for name in names], axis=0)
        np.testing.assert_allclose(found[branch], (expected - reference.mean()) / reference.std())
    np.testing.assert_allclose(found[ENSEMBLE], (found["autoencoder"] + found["classifier"]) / 2)
    alone = {"autoencoder/a": held["autoencoder/a"]}
    assert list(combine_branches(held, alone, "average")) == ["autoencoder", ENSEMBLE]


def test_statistics_count_as_much_as_the_networks_together():
    rng = np.random.default_rng(1)
    held = {name: rng.normal(size=30) for name in ("autoencoder/a", "classifier/a", "statistics/a", "statistics/whole")}
    new = {name: rng.normal(size=4) for name in held}
    found = combine_branches(new, held, "average")

    def z(value, of):
        return (value - of.mean()) / of.std()

    networks = [z(new[f"{name}/a"], held[f"{name}/a"]) for name in ("autoencoder", "classifier")]
    reference = [z(held[f"{name}/a"], held[f"{name}/a"]) for name in ("autoencoder", "classifier")]
    networks = z(np.mean(networks, axis=0), np.mean(reference, axis=0))

    def pooled(values):
        one, whole = (z(values[f"statistics/{name}"], held[f"statistics/{name}"]) for name in ("a", "whole"))
        return np.where(one > whole, one + whole, 2 * whole)

    statistics = z(pooled(new), pooled(held))
    np.testing.assert_allclose(found["statistics"], statistics)
    np.testing.assert_allclose(found[ENSEMBLE], (networks + statistics) / 2)
