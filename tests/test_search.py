"""Test the search for ensembles in every resample against scikit-learn and a plain loop, and for leaks of labels."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from asdlib.ensemble.combine import COMBINATIONS, combine_best
from asdlib.errors import ScoreError
from asdlib.evaluation.claims import CONTRADICTED, HOLDS, UNDECIDED
from asdlib.metrics import harmonic_mean

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "benchmarks" / "real_systems")]

import ensemble_claims as verdicts  # noqa: E402
import ensemble_methods as methods  # noqa: E402
import experiment  # noqa: E402
from ensemble_areas import areas  # noqa: E402
from ensemble_methods import ALL, CHOSEN, CROSS_FITTED, DEVELOPMENT, SAME_HALF, SINGLE  # noqa: E402
from ensemble_search import CHUNK, Unit, ensembles, search  # noqa: E402
from ensemble_summary import Summary, effects, figures, growth, reduced_offers, stability  # noqa: E402
from ensemble_systems import arrange, restrict  # noqa: E402

pytestmark = pytest.mark.slow


def unit(generator, systems=6, clips=60, lift=1.0, digits=None):
    """Draw scores of increasingly good systems; half of the clips are of the domain that counts."""
    anomaly = np.arange(clips) % 2 == 1
    scores = generator.normal(size=(systems, clips)) + lift * anomaly * np.linspace(0.2, 1, systems)[:, None]
    return Unit.of(scores if digits is None else np.round(scores, digits), anomaly, np.arange(clips) < clips // 2)


def weights(generator, unit, count):
    """Draw resamples within label and domain; the first contains every clip once."""
    drawn = np.ones((count, len(unit.anomaly)), dtype=np.int64)
    for label, first in itertools.product((False, True), repeat=2):
        inside = np.flatnonzero(
            (unit.anomaly == label) & ((np.arange(len(unit.anomaly)) < len(unit.anomaly) // 2) == first)
        )
        drawn[1:, inside] = generator.multinomial(len(inside), np.full(len(inside), 1 / len(inside)), size=count - 1)
    return drawn


def reference(scores, weights, unit):
    """Compute AUC and pAUC with scikit-learn, each clip as often as the resample contains it."""
    used = unit.anomaly | unit.counted
    repeated, labels = np.repeat(scores, weights), np.repeat(unit.anomaly, weights)
    auc = roc_auc_score(np.repeat(unit.anomaly[used], weights[used]), np.repeat(scores[used], weights[used]))
    return auc, roc_auc_score(labels, repeated, max_fpr=0.1)


@pytest.mark.parametrize("digits", [None, 1, 0])
def test_areas_are_scikit_learns_with_and_without_ties(digits):
    generator = np.random.default_rng(0)
    mine = unit(generator, digits=digits)
    drawn = [weights(generator, mine, 5), weights(generator, mine, 5)]
    vectors = np.stack([np.round(generator.normal(size=(7, 60)) + mine.anomaly, 9 if digits is None else digits)] * 5)
    vectors[:, 0] = 0.0
    vectors[:, 0, ::3] = -0.0  # the same number
    for weighting, found in zip(drawn, areas(vectors, drawn, mine.anomaly, mine.counted, 0.1), strict=True):
        expected = [[reference(v, w, mine) for v in part] for part, w in zip(vectors, weighting, strict=True)]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_ensembles_of_the_first_n_are_those_of_the_ensemble_package():
    generator = np.random.default_rng(1)
    mine, sizes = unit(generator, systems=9), [1, 2, 3, 6, 9]
    order = np.stack([generator.permutation(9) for _ in range(4)])
    found = ensembles(mine, order, sizes)
    for row, systems in zip(found, order, strict=True):
        for by, part in zip(COMBINATIONS, row, strict=True):
            np.testing.assert_allclose(part, combine_best(mine.scores[systems], by, sizes), rtol=0, atol=1e-14)


def test_a_search_is_a_plain_loop():
    """Rank the systems, try every N and combination and pick the best, separately in each resample."""
    generator = np.random.default_rng(2)
    units, count, sizes = [unit(generator) for _ in range(2)], CHUNK + 3, [1, 2, 3, 4, 5, 6]
    select = [weights(generator, part, count) for part in units]
    report = [weights(generator, part, count) for part in units]
    found = search(units, select, report, sizes, [2, 3, 5])
    for k in (0, 1, CHUNK, count - 1):
        alone = [
            harmonic_mean([reference(part.scores[s], w[k], part) for part, w in zip(units, select, strict=True)])
            for s in range(6)
        ]
        order = np.argsort(-np.array(alone), kind="stable")
        assert found.order[k].tolist() == order.tolist()
        best = (-1.0, None)
        for (i, by), (j, size) in itertools.product(enumerate(COMBINATIONS), enumerate(sizes)):
            mixed = [
                combine_best(part.scores[order], by, [size])[0].round(12) for part in units
            ]  # means of equal ranks
            value = harmonic_mean([reference(m, w[k], u) for m, w, u in zip(mixed, select, units, strict=True)])
            told = [reference(m, w[k], u) for m, w, u in zip(mixed, report, units, strict=True)]
            assert found.value[k, i, j] == pytest.approx(value, abs=1e-12)
            np.testing.assert_allclose(found.reported[k, i, j], told, rtol=0, atol=1e-12)
            if size in (2, 3, 5) and value > best[0] + 1e-12:
                best = value, told
        np.testing.assert_allclose(found.best(found.reported)[k], best[1], rtol=0, atol=1e-12)
        np.testing.assert_allclose(
            found.singles[k, 0], [reference(u.scores[order[0]], w[k], u) for u, w in zip(units, report, strict=True)]
        )


def test_the_choice_ignores_the_clips_to_report_on_and_systems_not_on_offer():
    generator = np.random.default_rng(3)
    units = [unit(generator) for _ in range(3)]
    drawn = [weights(generator, part, 6) for part in units]
    one = search(units, [drawn[0], drawn[1], None], [None, None, drawn[2]], [2, 3], [2, 3])
    flipped = [*units[:2], Unit(units[2].scores, units[2].ranks, ~units[2].anomaly, units[2].anomaly)]
    other = search(flipped, [drawn[0], drawn[1], None], [None, None, drawn[2]], [2, 3], [2, 3])
    assert (one.order == other.order).all() and (one.chosen == other.chosen).all()
    assert not np.allclose(one.reported, other.reported) and one.reported.shape == (6, 4, 2, 1, 2)
    offered = np.stack([generator.permutation(6)[:3] for _ in range(6)])
    few = search(units, drawn, drawn, [2, 3], [2, 3], offered=offered)
    for k in range(6):
        mine = search(
            restrict(units, np.sort(offered[k])),
            [w[k : k + 1] for w in drawn],
            [w[k : k + 1] for w in drawn],
            [2, 3],
            [2, 3],
        )
        assert np.sort(offered[k])[mine.order[0]].tolist() == few.order[k].tolist()
        np.testing.assert_allclose(mine.reported[0], few.reported[k], rtol=0, atol=1e-13)


def test_too_many_clips_are_refused():
    generator = np.random.default_rng(4)
    large = unit(generator, systems=2, clips=1100)
    with pytest.raises(ScoreError, match="1100 clips of one section"):
        search([large], [np.ones((1, 1100), dtype=int)], [np.ones((1, 1100), dtype=int)], [1, 2], [2])


# The experiment -------------------------------------------------------------------------------------------------------
def table(lift, systems=7, machines=("bearing", "fan"), seed=0):
    """Draw scores of systems on a challenge of 2022; anomalies are higher by ``lift``."""
    generator, rows = np.random.default_rng(seed), []
    for machine, section, domain, label in itertools.product(
        machines, ("00", "01", "02"), ("source", "target"), ("normal", "anomaly")
    ):
        for number in range(20):
            clip = f"section_{section}_{domain}_test_{label}_{number:04d}.wav"
            for k in range(systems):
                score = generator.normal() + lift * (label == "anomaly")
                rows.append((f"s{k}", machine, section, domain, "test", clip, label, score))
    return pd.DataFrame(rows, columns=["system", "machine", "section", "domain", "split", "clip", "label", "score"])


FAMILIES = {"inlier models": [f"s{k}" for k in range(4)], "classifiers": [f"s{k}" for k in range(4, 7)]}


@pytest.fixture(scope="module")
def on_noise():
    """Evaluate every cell of systems with random scores."""
    systems = arrange(table(0.0), 2022, FAMILIES, 20)
    return systems, {cell: methods.evaluate_cell(systems, cell) for cell in systems.cells}


def test_on_noise_selection_seems_to_gain_and_cross_fitting_shows_no_gain(on_noise):
    _, results = on_noise
    summary = Summary(results)
    chance = 0.5
    assert summary.value((DEVELOPMENT, ALL, CHOSEN))[0][0] > chance + 0.02
    assert summary.value((SAME_HALF, ALL, CHOSEN))[0][0] > summary.value((CROSS_FITTED, ALL, CHOSEN))[0][0] + 0.02
    assert abs(summary.value((CROSS_FITTED, ALL, CHOSEN))[0][0] - chance) < 0.03
    assert abs(summary.value((methods.SECTIONS, ALL, CHOSEN))[0][0] - chance) < 0.03


def test_independent_systems_gain_by_averaging():
    systems = arrange(table(0.5), 2022, FAMILIES, 10)
    summary = Summary({cell: methods.evaluate_cell(systems, cell) for cell in systems.cells})
    for selection in methods.SELECTIONS:
        found = summary.difference((selection, ALL, "average 6"), (selection, ALL, SINGLE))
        assert found["effect"] > 0.05 and found["low"] > 0
    free = effects(summary, 7).set_index(["method", "selection", "than"])
    assert free.loc[("average of all", "none", "average system"), "effect"].item() > 0.1
    grown = growth(summary, 7).query("of == 'gain' and selection == 'cross-fitted' and combination == 'average'")
    assert grown.set_index("N").loc[1, "effect"] == 0 and grown["effect"].is_monotonic_increasing


def test_the_first_resample_holds_every_clip_and_the_tables_are_whole(on_noise):
    systems, results = on_noise
    summary = Summary(results)
    for cell, units in systems.cells.items():
        for drawn, first, part in zip(systems.weights[cell], systems.first[cell], units, strict=True):
            assert (drawn[0] == 1).all() and (drawn.sum(axis=1) == 80).all() and first.sum() == 40
            for half in (first, ~first):
                assert (drawn[:, half & part.anomaly].sum(axis=1) == 20).all()
    alone = results["fan", "source"].areas["none", ALL, "s2"][0]
    frame = table(0.0).query("system == 's2' and machine == 'fan' and section == '01'")
    used = frame[(frame["domain"] == "source") | (frame["label"] == "anomaly")]
    assert alone[1, 0] == pytest.approx(roc_auc_score(used["label"] == "anomaly", used["score"]), abs=1e-12)
    shown = figures(summary)
    whole = shown.query(
        "machine == 'all' and domain == 'all' and method == 'best single' and selection == 'development'"
    )
    cells = shown.query(
        "machine != 'all' and family == 'all' and method == 'best single' and selection == 'development'"
    )
    mine = whole.query("family == 'all'")["value"].item()
    assert mine == pytest.approx(harmonic_mean(cells["value"].to_numpy()), abs=1e-12)
    judged = verdicts.claims(summary, systems)
    assert set(judged["verdict"]) <= {HOLDS, CONTRADICTED, UNDECIDED} and list(judged) == verdicts.COLUMNS
    assert (judged["counted"] != "").sum() == 2 * len(methods.SELECTIONS)
    assert set(judged["selection"]) == {*methods.SELECTIONS, "none"}
    agreed = stability(summary, 7)
    assert agreed["cells"].sum() == agreed["chosen"].sum() == 4 and agreed["resamples"].sum() == pytest.approx(1)
    counts = reduced_offers(summary).groupby("on_offer").size()
    assert counts.to_dict() == {2: 4, 3: 4, 5: 4}


def test_a_verdict_needs_both_intervals():
    found = {"effect": 0.02, "low": 0.01, "high": 0.03, "block_low": 0.005, "block_high": 0.04}
    assert verdicts.decide(found) == HOLDS and verdicts.decide(verdicts.negate(found)) == CONTRADICTED
    assert verdicts.negate(verdicts.negate(found)) == found and verdicts.negate(found)["low"] == -0.03
    assert verdicts.decide(found | {"block_low": -0.01}) == UNDECIDED
    assert verdicts.decide(found | {"low": np.nan, "high": np.nan}) == HOLDS


class Leads:
    """Leads of single machine types, as a summary gives them; everything else does not matter to these claims."""

    def __init__(self, *leads: tuple[float, float, float]):
        self.leads = pd.DataFrame(leads, columns=["effect", "low", "high"])

    def by_machine(self, one, other):
        return self.leads

    def difference(self, one, other):
        return dict.fromkeys(verdicts.BOUNDS, 0.0)


@pytest.mark.parametrize(
    ("leads", "several", "turns"),
    [
        ([(0.05, 0.01, 0.09), (0.02, 0.01, 0.03), (-0.05, -0.09, -0.01)], HOLDS, HOLDS),
        ([(0.05, 0.01, 0.09), (0.008, 0.001, 0.02), (0.02, -0.01, 0.05)], UNDECIDED, UNDECIDED),
        ([(-0.05, -0.09, -0.01), (-0.02, -0.04, -0.01)], UNDECIDED, CONTRADICTED),
    ],
)
def test_sentences_about_machine_types_count_the_leads_that_are_shown(leads, several, turns):
    systems = arrange(table(0.0), 2022, FAMILIES, 0)
    rows = verdicts._judge_machines(Leads(*leads), systems, DEVELOPMENT)
    judged = pd.DataFrame(rows, columns=verdicts.COLUMNS).set_index("test")["verdict"]
    assert judged["mix minus max by machine type"] == several
    assert judged["inlier models minus classifiers by machine type"] == turns


def test_real_systems_are_arranged_by_their_families(realdata):
    systems, about = experiment.read(realdata, 2022, 0)
    assert len(systems.names) == 30 and {name: len(index) for name, index in systems.families.items()} == {
        "inlier models": 24,
        "classifiers": 6,
    }
    assert len(systems.cells) == 14 and all(len(units) == 3 for units in systems.cells.values())
    assert about["origin"].str.startswith("liuyoude/DCASE2022Task2-Record/").all()
