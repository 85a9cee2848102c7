"""Test AUC, pAUC and their means against scikit-learn and scipy, and their properties."""

import numpy as np
import pandas as pd
import pytest
import synthetic_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from asdlib import metrics
from asdlib.errors import ScoreError
from asdlib.metrics import auc, pauc

EXACT = 1e-12


@st.composite
def labelled(draw, levels=6):
    """Draw labels with both classes and integer scores with many ties."""
    labels = draw(st.lists(st.booleans(), min_size=2, max_size=40).filter(lambda drawn: 0 < sum(drawn) < len(drawn)))
    scores = draw(st.lists(st.integers(-levels, levels), min_size=len(labels), max_size=len(labels)))
    return np.array(labels), np.array(scores, dtype=float)


@given(labelled(), st.sampled_from([0.01, 0.1, 1 / 3, 0.5, 0.999]))
@settings(max_examples=200, deadline=None)
def test_equals_scikit_learn_with_ties(drawn, p):
    labels, scores = drawn
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=EXACT)
    assert pauc(labels, scores, p) == pytest.approx(roc_auc_score(labels, scores, max_fpr=p), abs=EXACT)


@pytest.mark.parametrize("normal, anomalous", [(1, 1), (9, 200), (10, 11), (73, 133), (150, 150)])
def test_equals_scikit_learn_at_real_sizes(normal, anomalous):
    generator = np.random.default_rng([normal, anomalous])
    labels = np.repeat([0, 1], [normal, anomalous])
    scores = generator.normal(size=(20, len(labels))) + labels
    for vector, a, b in zip(scores, auc(labels, scores), pauc(labels, scores), strict=True):
        assert a == pytest.approx(roc_auc_score(labels, vector), abs=EXACT)
        assert b == pytest.approx(roc_auc_score(labels, vector, max_fpr=0.1), abs=EXACT)


@given(labelled(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_scale_and_names_do_not_matter(drawn, random):
    labels, scores = drawn
    order = random.sample(range(len(labels)), len(labels))
    for measure in (auc, pauc):
        value = measure(labels, scores)
        assert measure(labels[order], scores[order]) == pytest.approx(value, abs=EXACT)
        assert measure(labels, np.exp(scores)) == value  # any increasing transformation
        assert measure(np.where(labels, "anomaly", "normal"), scores) == value
    assert auc(~labels, scores) == pytest.approx(1 - auc(labels, scores), abs=EXACT)
    assert auc(labels, -scores) == pytest.approx(1 - auc(labels, scores), abs=EXACT)


def test_chance_floor_and_perfection():
    labels = np.repeat([0, 1], 100)
    assert auc(labels, np.zeros(200)) == pytest.approx(0.5) == pauc(labels, np.zeros(200))
    assert auc(labels, labels) == 1 and pauc(labels, labels) == pytest.approx(1, abs=EXACT)
    assert pauc(labels, -labels) == pytest.approx(0.4737, abs=5e-5)  # METHOD: the floor at p = 0.1


def test_many_vectors_at_once_are_the_vectors_one_by_one():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 60)
    scores = generator.integers(0, 9, (3, 4, 60)).astype(float)
    scores[0] = generator.normal(size=(4, 60))
    for measure in (auc, pauc):
        values = measure(labels, scores)
        assert values.shape == (3, 4)
        assert all(values[i] == measure(labels, scores[i]) for i in np.ndindex(3, 4))


def test_resampled_areas_are_those_of_the_repeated_clips():
    generator = np.random.default_rng(2)
    labels, scores = np.arange(50) % 2, generator.integers(0, 12, 50).astype(float)
    weights = generator.integers(0, 4, (30, 50))
    for weight, found in zip(weights, metrics.resampled_areas(labels, scores, weights, (1.0, 0.1)), strict=True):
        repeated = np.repeat(labels, weight), np.repeat(scores, weight)
        expected = [roc_auc_score(*repeated), roc_auc_score(*repeated, max_fpr=0.1)]
        assert found == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize(
    "labels, scores, words",
    [
        ([1, 1], [0.1, 0.2], "anomalous clips only (2)"),
        ([0, 0], [0.1, 0.2], "normal clips only (2)"),
        ([], [], "both classes"),
        ([0, 1], [0.1, np.nan], "1 score(s) are NaN or infinite"),
        ([0, 1], [-np.inf, np.inf], "2 score(s) are NaN or infinite"),
        ([0, 2], [0.1, 0.2], "label '2' found"),
        (["normal", "unknown"], [0.1, 0.2], "label 'unknown' found"),
        ([0, 1], [0.1, 0.2, 0.3], "expected (n,) and (..., n)"),
    ],
)
def test_scores_without_an_auc_are_an_error(labels, scores, words):
    with pytest.raises(ScoreError) as info:
        auc(labels, scores)
    assert words in str(info.value)
    with pytest.raises(ScoreError, match="p is 0"):
        pauc([0, 1], [0.1, 0.2], 0)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=20))
def test_harmonic_mean_is_scipys(values):
    assert metrics.harmonic_mean(values) == pytest.approx(stats.hmean(values), rel=EXACT)


def test_harmonic_mean_at_its_edges():
    assert metrics.harmonic_mean([[0.5, 1.0], [0.0, 1.0]], axis=1).tolist() == pytest.approx([2 / 3, 0.0])
    for values in ([], [0.5, -0.1]):
        with pytest.raises(ScoreError):
            metrics.harmonic_mean(values)


def test_sections_cells_and_official_score():
    clips = synthetic_scores.clips("fan", test=12)
    frame = synthetic_scores.table(clips, "one", np.random.default_rng(3), shift=1.0)
    table = metrics.sections(frame, 0.2)
    assert table[["section", "domain"]].to_numpy().tolist() == [
        ["00", "source"], ["00", "target"], ["01", "source"], ["01", "target"]
    ]  # fmt: skip
    part = frame[(frame["split"] == "test") & (frame["section"] == "01") & (frame["domain"] == "target")]
    expected = [roc_auc_score(part["label"] == "anomaly", part["score"], max_fpr=p) for p in (None, 0.2)]
    assert table.loc[3, ["auc", "pauc"]].tolist() == pytest.approx(expected, abs=EXACT)
    cell = metrics.cells(table).set_index("domain").loc["target", "value"]
    assert cell == pytest.approx(stats.hmean(table.loc[[1, 3], ["auc", "pauc"]].to_numpy().ravel()), rel=EXACT)
    assert metrics.official_score(table) == pytest.approx(stats.hmean(table[["auc", "pauc"]].to_numpy().ravel()))


def test_halves_are_evaluated_apart():
    frame = synthetic_scores.table(synthetic_scores.clips("fan", ["00"], test=10), "one", np.random.default_rng(4), 1.0)
    frame["fold"] = np.where(np.arange(len(frame)) % 2, "first", "second")
    frame.loc[frame["fold"] == "first", "score"] += 100.0  # no figure may compare clips of two halves
    halves = [metrics.sections(frame[frame["fold"] == name].drop(columns="fold")) for name in ("first", "second")]
    mean = (halves[0][["auc", "pauc"]] + halves[1][["auc", "pauc"]]) / 2
    pd.testing.assert_frame_equal(metrics.sections(frame)[["auc", "pauc"]], mean)
    plain = frame.drop(columns="fold").assign(system="two")  # a system without halves in the same table
    both = metrics.sections(pd.concat([frame, plain]))
    whole = metrics.sections(plain)
    pd.testing.assert_frame_equal(both[both["system"] == "two"].reset_index(drop=True), whole)


def test_a_section_of_one_class_is_named_or_left_out():
    clips = synthetic_scores.clips("fan")
    clips = clips[~((clips["section"] == "01") & (clips["label"] == "anomaly"))]
    frame = synthetic_scores.table(clips, "one", np.random.default_rng(5))
    with pytest.raises(ScoreError, match="one, fan section 01 source: normal clips only"):
        metrics.sections(frame)
    assert set(metrics.sections(metrics.evaluable(frame))["section"]) == {"00"}


@given(labelled())
@settings(deadline=None)
def test_precision_recall_f1_are_scikit_learns(drawn):
    labels, scores = drawn
    found = metrics.decisions(labels, scores > 2)
    expected = precision_recall_fscore_support(labels, scores > 2, average="binary", zero_division=0)[:3]
    assert list(found.values()) == pytest.approx(list(expected), abs=EXACT)
