"""Test that figures show where their data lie: axes, ranks, cumulative curves, weights."""

import itertools
import re
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from pytest import approx

from asdlib.data.inspection import Example
from asdlib.features import mel_frequencies
from asdlib.plots import autoencoder, classifier, ensemble, integrated, points, sound

PLACES = pd.DataFrame(
    {
        "clip": ["a.wav", "b.wav"],
        "label": ["normal", "anomaly"],
        "domain": ["source", "source"],
        "split": ["test", "test"],
        "x": [0.0, 100.0],
        "y": [0.0, 25.0],
    }
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def drawn(panel: points.Panel) -> ElementTree.Element:
    return ElementTree.fromstring(re.search(r"<svg viewBox=\"0 0 320.*?</svg>", points.interactive([panel], "fan"))[0])


def test_points_lie_between_the_ends_of_their_axes_whose_ticks_have_numbers():
    svg = drawn(points.Panel("both", "one", "other", PLACES, ends=(0, 100)))
    circles = [(float(mark.get("cx")), float(mark.get("cy"))) for mark in svg.iter("circle")]
    height = points.BOTTOM - points.TOP
    assert circles == [(points.LEFT, points.BOTTOM), (points.RIGHT, points.BOTTOM - height / 4)]
    numbers = {text.text: (float(text.get("x")), float(text.get("y"))) for text in svg.iter("text")}
    assert numbers["100"][1] < numbers["80"][1] < points.BOTTOM, "the vertical axis comes last and rises"
    (diagonal,) = [path for path in svg.iter("path") if path.get("stroke-dasharray")]
    assert diagonal.get("d") == f"M{points.LEFT} {points.BOTTOM}L{points.RIGHT} {points.TOP}"


def test_axes_without_ends_hold_all_points_and_have_no_diagonal():
    svg = drawn(points.Panel("map", "one", "other", PLACES.assign(x=[-7.0, 3.0])))
    assert not [path for path in svg.iter("path") if path.get("stroke-dasharray")]
    for mark in svg.iter("circle"):
        assert points.LEFT < float(mark.get("cx")) < points.RIGHT
        assert points.TOP < float(mark.get("cy")) < points.BOTTOM
    assert "−5" in [text.text for text in svg.iter("text")]
    assert drawn(points.Panel("one value", "x", "y", PLACES.assign(x=4.0, y=4.0))) is not None


def test_one_huge_score_does_not_squeeze_the_others():
    """Ranks of the clips of a section and domain are equally spaced whatever the scores are."""
    scores = {"one": [1.0, 2.0, 3.0, 1e6], "other": [4.0, 3.0, 2.0, 1.0]}
    clips = {"section": "00", "domain": "source", "split": "test", "label": ["normal", "normal", "anomaly", "anomaly"]}
    parts = [pd.DataFrame(clips | {"clip": list("abcd"), "system": name, "score": s}) for name, s in scores.items()]
    figure = ensemble.branches(pd.concat(parts), "one", "other")
    places = np.concatenate([part.get_offsets() for part in figure.axes[0].collections])
    assert sorted(map(tuple, places)) == [(12.5, 87.5), (37.5, 62.5), (62.5, 37.5), (87.5, 12.5)]


def test_cumulative_distances_rise_to_all_clips():
    rows = [("learn", "normal", 1.0), ("", "normal", 2.0), ("", "normal", 4.0), ("", "anomaly", 8.0)]
    table = pd.DataFrame(rows, columns=["role", "label", "distance_normal"]).assign(kind="section", stage="s")
    table = table.assign(domain="source", distance_outlier=table["distance_normal"])
    curves = {line.get_label(): line.get_xydata() for line in classifier.distances(table).axes[0].lines}
    assert list(curves) == ["normal, learnt from", "normal, test", "anomaly, test"]
    assert all(curve[:, 1].max() == 1 for curve in curves.values())
    assert [2.0, 0.5] in curves["normal, test"].tolist() and curves["anomaly, test"][-1, 0] == 8.0


def test_the_legend_says_that_the_sum_is_weighted_and_how():
    history = {"stage": "s", "bce": [1.0, 0.5], "ddcsad": [4.0, 2.0], "loss": [1.6, 0.8], "learning_rate": [0.1, 0.2]}
    figure = classifier.training(pd.DataFrame(history), {"ddcsad": 0.15})
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["weighted sum", "cross-entropy", "DDCSAD (weight 0.15)"]


def test_a_frequency_stands_between_the_bands_around_it():
    groups = [{"section": "00", "domain": "source", "split": "test", "label": k} for k in ("normal", "anomaly")]
    table = pd.concat([pd.DataFrame(g | {"band": range(64), "signed": 0.0, "absolute": 1.0}) for g in groups])
    axis = autoencoder.bands(table, 16_000).axes[0]
    centres = mel_frequencies(66, 8000)[1:-1]
    place = dict(zip([label.get_text() for label in axis.get_xticklabels()], axis.get_xticks(), strict=True))
    assert list(place) == ["500", "1k", "2k", "4k", "8k"] and axis.get_xlabel() == "frequency (Hz)"
    assert centres[int(place["2k"])] <= 2000 <= centres[int(place["2k"]) + 1]


def test_clips_beyond_the_whiskers_take_no_room():
    scores = [*np.linspace(0, 1, 40), 50.0]
    table = pd.DataFrame({"score": scores * 2, "label": ["normal"] * 41 + ["anomaly"] * 41})
    table = table.assign(section="00", domain="source", split="test", system="autoencoder/base/median")
    axis = autoencoder.distributions(table).axes[0]
    assert axis.get_ylim()[1] < 2 and axis.get_title() == "after the scorer (median)"


def test_parts_of_the_one_networks_score_share_an_axis_on_which_wide_and_narrow_ones_can_be_read():
    random, rows = np.random.default_rng(0), []
    for domain, label in itertools.product(("source", "target"), ("normal", "anomaly")):
        spread = 100 if label == "anomaly" else 1
        rows += [
            {"split": "test", "domain": domain, "label": label, "clip_error": spread * abs(value), "posterior": value}
            for value in random.standard_normal(50)
        ]
    figure = integrated.parts(pd.DataFrame(rows))
    wide, narrow = figure.axes
    assert wide.get_ylim() == narrow.get_ylim() and wide.get_title() == "clip error"
    low, one, most = wide.transAxes.inverted().transform(wide.transData.transform([(0, 0), (0, 1), (0, 100)]))[:, 1]
    assert one - low > 0.1 and most < 1, "a deviation of one can be seen next to one of a hundred"


def test_pictures_of_mel_bands_have_frequencies_at_the_centres_of_their_rows():
    images = np.random.default_rng(0).random((2, 64, 10))
    figure = classifier.batch(images, np.array([1.0, 0.0]), np.array(["normal", "outlier"]), 16_000)
    axis = figure.axes[0]
    place = dict(zip([label.get_text() for label in axis.get_yticklabels()], axis.get_yticks(), strict=True))
    assert list(place) == ["500", "1k", "2k", "4k", "8k"] and axis.get_ylim() == (-0.5, 63.5)
    assert place["8k"] == 63.5 and np.interp(place["1k"], range(64), mel_frequencies(66, 8000)[1:-1]) == approx(1000)


def test_players_have_the_frequencies_of_figures():
    noise = np.random.default_rng(0).random((10, 64))
    page = sound.players([Example("normal", 16_000, np.ones(16_000), noise)]).data
    marks = dict(re.findall(r"bottom: ([\d.]+)%[^>]*>(\d k?Hz|\d+ Hz)", page))
    assert list(marks.values()) == ["500 Hz", "1 kHz", "2 kHz", "4 kHz", "8 kHz"] and list(marks)[-1] == "100.0"
