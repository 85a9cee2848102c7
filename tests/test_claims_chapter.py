"""Test what the chapters say of the paper's claims as a whole, and of its sentences in the printed cells."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from asdlib import params
from asdlib.evaluation import claims, paper

BOOK = Path(__file__).resolve().parent.parent / "book"
sys.path[:0] = [str(BOOK)]

import claim_counts  # noqa: E402
import claim_tests  # noqa: E402
import printed_cells  # noqa: E402
import real  # noqa: E402
import stored_results  # noqa: E402
import verdicts  # noqa: E402

pytestmark = pytest.mark.slow

MIX, MAX = "AE+BC ensemble (mix)", "AE+BC ensemble (max)"
GAIN = "BC ensemble minus BC, all machine types"


def frame(*rows):
    """Make up claims: sentence, unit, interval, verdict."""
    columns = ["claim", "unit", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=columns).assign(reason="", source="", seeds=1)


def test_the_headline_is_counted_in_no_run():
    arithmetic = ("headline", claims.ARITHMETIC, 0.01, 0.02, "contradicted")
    both = frame(arithmetic, ("a", claims.POINTS, -0.1, 0.1, "undecided"))
    assert claim_counts.counts(both) == "0 hold, 0 are contradicted, 1 is undecided, and 0 were not run"
    stored = stored_results.read(stored_results.REAL / "claims_seeds.csv")
    table = verdicts.of_one_run(stored, "x", claim_tests.Scope(("ToyCar",), params.load("quick")))
    text = claim_counts.counts(stored)
    for mark, word in (("✔ holds", "hold"), ("✘", "are contradicted"), ("? undecided", "are undecided")):
        assert f"{table.count(mark)} {word}" in text, "the sentence says what the table below it shows"
    assert "12 are undecided, and 5 were not run" in text


def test_verdicts_of_one_seed_are_marked_and_compared_with_those_over_seeds():
    first = frame(
        ("a", claims.POINTS, 0.1, 0.2, "holds"),
        ("b", claims.POINTS, -0.2, -0.1, "contradicted"),
        ("c", claims.POINTS, -0.1, 0.1, "undecided"),
        ("headline", claims.ARITHMETIC, 0.01, 0.02, "contradicted"),
    )
    several = first.assign(verdict=["undecided", "contradicted", "holds", "holds"], seeds=3)
    assert claim_counts.changed(first, several) == "1 of 2", "c was not decided, and the headline is no run's"
    assert "one seed" in claim_counts.changed(first, None)
    assert real.of_claims(stored_results.REAL)["changed"] == "1 of 1", "of the stored tables"
    assert verdicts.marked_by_seeds("holds", 1).endswith("on these clips (1 seed)")
    for verdict, seeds in (("holds", 3), ("undecided", 1), ("not run", 1), ("contradicted", np.nan)):
        assert verdicts.marked_by_seeds(verdict, seeds) == verdicts.marked(verdict)


def test_what_survives_a_correction_is_said_of_the_sentences_that_hold():
    clear, narrow = ("a", claims.POINTS, 0.1, 0.2, "holds"), ("b", claims.POINTS, 0.001, 0.1, "holds")
    other = ("c", claims.POINTS, -0.1, 0.1, "undecided"), ("d", claims.POINTS, np.nan, np.nan, "not run")
    shared = "With the error shared among all 3 tested sentences, "
    assert (
        claim_counts.surviving(frame(clear, narrow, *other), 0.95) == f"{shared}1 of the 2 that hold would still hold"
    )
    alone = claim_counts.surviving(frame(narrow, *other), 0.95)
    assert alone.endswith("2 tested sentences, the one that holds would no longer hold")
    assert claim_counts.surviving(frame(*other), 0.95).startswith("Of 1 tested sentence none holds")
    lead = frame(("e", claims.POINTS, 0.03, 0.2, "holds"))
    assert claim_counts.surviving(lead, 0.95).endswith("would still hold")
    lead["reason"] = "the widened 95% intervals of 2 of 7 effects lie above zero"
    assert claim_counts.surviving(lead, 0.95).endswith("would no longer hold"), "any of seven leads could have counted"


def test_effects_are_compared_with_the_cells_of_the_runs_machine_types():
    two = ("fan", "valve")

    def lead(one, other, machines):
        return paper.value(one, machines=machines) - paper.value(other, machines=machines)

    assert claim_tests.printed(GAIN, two) == lead("BC ensemble", "BC", two) == pytest.approx(0.0963, abs=5e-5)
    assert claim_tests.printed(GAIN, paper.MACHINES) == pytest.approx(0.0416, abs=5e-5)
    assert claim_tests.printed("AE minus BC, ToyCar", two) == paper.value("AE", "ToyCar") - paper.value("BC", "ToyCar")
    assert np.isnan(claim_tests.printed(GAIN, ("fan", "kettle"))) and np.isnan(claim_tests.printed("correlation", two))
    stored = stored_results.read(stored_results.REAL / "claims.csv").dropna(subset=["paper"])
    for item in stored[stored["unit"] != claims.ARITHMETIC].itertuples():
        assert claim_tests.printed(item.test, paper.MACHINES) == pytest.approx(item.paper), "all seven are the file's"
    several = f"lead of {MIX} over {MAX} on at least two machine types; the second largest is shown"
    leads = [paper.value(MIX, machine) - paper.value(MAX, machine) for machine in two]
    assert claim_tests.printed(several, two) == min(leads) and np.isnan(claim_tests.printed(several, two[:1]))


def test_an_ensemble_says_what_it_could_choose_from():
    demo = claim_tests.Scope(("fan", "valve"), params.load("demo"))
    assert demo.candidates("AE minus BC, valve") == ""
    assert demo.candidates(GAIN) == "2 classifiers of 1 backbone (the paper: 3 backbones)"
    both = "3 autoencoders to choose from (the paper: N up to 20), 2 classifiers of 1 backbone (the paper: 3 backbones)"
    assert demo.candidates(f"{MIX} minus Baseline (AE), all machine types") == both
    assert demo.words(GAIN) == "in the paper's cells (fan, valve)"
    assert demo.words("AE minus BC, valve") == "in the paper's cells"
    assert claim_tests.Scope(paper.MACHINES, demo.settings).words(GAIN) == "in the paper's cells"


def test_the_printed_cells_say_where_rows_lie_below_others():
    cells = printed_cells.leads()
    assert cells.shape == (14, 5)
    assert cells.loc[("fan", "source"), "*mix* minus *max*"] == pytest.approx(-0.0004)
    assert printed_cells.below(cells["*BC ensemble* minus *BC*"]) == (
        "3 of 14 cells (ToyTrain source, gearbox source, gearbox target)"
    )
    assert printed_cells.below(cells["*AE ensemble* minus *AE*"]) == "0 of 14 cells"
    assert printed_cells.below(cells["*AE* minus the better baseline"]) == "1 of 14 cells (gearbox source)"
    machines = printed_cells.by_machine()
    assert list(machines.index[:4]) == ["slider", "gearbox", "fan", "valve"] and (machines > 0).sum() == 4
    text = printed_cells.sentences()
    assert (
        "lies below *max* in 7 of 14 cells" in text and "slider +1.93" in text and "by more than a point on 3" in text
    )
