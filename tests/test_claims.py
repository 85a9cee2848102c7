"""Test that claims are judged by the interval of their effect, on runs in which the truth is known."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_scores

from asdlib import scores
from asdlib.ensemble.agreement import draw_contrast
from asdlib.evaluation import claims_extensions, claims_paper, paper
from asdlib.evaluation.bootstrap import Resampled, interval, side
from asdlib.evaluation.claims import (
    ARITHMETIC,
    COLUMNS,
    CONTRADICTED,
    CORRELATION,
    HOLDS,
    NOT_RUN,
    UNDECIDED,
    VERDICTS,
    Claim,
)
from asdlib.plots import evaluation

STRONG = {"Baseline (AE)": 0, "Baseline (MobileNetV2)": 0, "AE": 0.5, "BC": 0.5, "AE ensemble": 1.2, "BC ensemble": 2,
          "AE+BC ensemble (mix)": 4, "AE+BC ensemble (max)": 2.2}  # fmt: skip


def resampled_rows(shifts, machines=("ToyCar", "valve"), count=100, by_machine=None):
    """Resample a run whose rows lift anomalies by ``shifts`` standard deviations, the same in both halves."""
    generator, parts = np.random.default_rng(0), []
    for machine in machines:
        clips = synthetic_scores.clips(machine, test=60, train=0)
        halves = np.where(np.arange(len(clips)) % 2, "first", "second")
        for row, shift in shifts.items():
            lift = (by_machine or {}).get((machine, row), shift)
            values = generator.normal(size=len(clips)) + lift * (clips["label"] == "anomaly")
            table = scores.table(clips, row, values).assign(row=row, fold="", selection="")
            if row.startswith("Baseline"):
                parts.append(table)
            else:
                parts += [table.assign(selection="development"), table.assign(selection="cross-fitted", fold=halves)]
    return Resampled(pd.concat(parts, ignore_index=True), 0.1, count, 0)


def judge(shifts, machines=("ToyCar", "valve"), count=100, by_machine=None, pairs=None):
    """Judge the paper's claims on such a run."""
    resampled = resampled_rows(shifts, machines, count, by_machine)
    return claims_paper.judge(resampled, agreement(0.8, 0.2) if pairs is None else pairs, 0.95)


def agreement(within, between, pairs=True):
    """Return correlations of two candidates per approach, in 4 sections of 2 domains."""
    names = [f"{branch}/{k}" for branch in ("autoencoder", "classifier") for k in ((0, 1) if pairs else (0,))]
    rows = []
    for k in range(8):
        for i, first in enumerate(names):
            for second in names[i + 1 :]:
                same = first[:5] == second[:5]
                value = (within if same else between) + 0.01 * k
                rows.append(("fan", f"{k // 2:02d}", f"d{k % 2}", "normal", first, second, value))
    return pd.DataFrame(rows, columns=["machine", "section", "domain", "label", "first", "second", "correlation"])


def verdict(table, words):
    found = table[table["test"].str.contains(words, regex=False)]
    assert len(found) == 1, found["test"].tolist()
    return found.iloc[0]


def test_every_sentence_has_a_row_and_a_verdict():
    table = judge(STRONG)
    assert list(table.columns) == COLUMNS
    assert set(table["verdict"]) <= set(VERDICTS) and (table["reason"] != "").all()
    assert set(table["source"]) == {"Abstract", "Sec. 1", "Sec. 3.2", "Sec. 3.2, 4", "Sec. 4"}
    for quote in ("ToyCar", "ToyTrain", "gearbox", "valve", "different features", "within the same method",
                  "increase the variability", "reduce the variability", "greatly contributed",
                  "outperformed baseline systems", "higher scores", "much better", "this is because each method",
                  "important to ensemble"):  # fmt: skip
        assert table["claim"].str.contains(quote).any(), quote
    assert table["claim"].is_unique


def test_quotes_are_in_the_paper(root):
    path = root.parent / "shared" / "paper.txt"
    if not path.is_file():
        pytest.skip("the paper's text is not at hand")
    text = " ".join(path.read_text().replace("*", "").split())
    for quote in judge(STRONG)["claim"]:
        if "in the machine type" in quote:  # two machine types in one sentence
            quote = quote.rpartition(" ")[0]
        assert quote.partition(" [")[0] in text, quote


def test_true_claims_hold_and_false_ones_are_contradicted():
    table = judge(STRONG)
    for words in (
        "AE ensemble minus AE,",
        "BC ensemble minus BC,",
        "(mix) minus AE+BC ensemble (max),",
        "minus AE ensemble and minus BC",
        "(mix) minus Baseline (AE) and",
        "AE minus Baseline (AE) and",
        "BC minus Baseline (AE) and",
        "on at least two machine types",
        "gain of BC ensemble",
    ):
        row = verdict(table, words)
        assert row["verdict"] == HOLDS and row["low"] > 0, row.tolist()
    worse = STRONG | {"AE+BC ensemble (mix)": 0.2, "AE ensemble": 0.0}
    table = judge(worse)
    for words in ("AE ensemble minus AE,", "minus AE ensemble and minus BC", "(mix) minus AE+BC ensemble (max),"):
        row = verdict(table, words)
        assert row["verdict"] == CONTRADICTED and row["high"] < 0, row.tolist()


def test_leads_are_attributed_to_different_features_where_both_grow_together():
    """The lead of *mix* over *max* grows while the approaches rank the clips less and less alike, and vice versa."""
    machines = ("ToyCar", "fan", "valve")
    lifts = {(machine, "AE+BC ensemble (mix)"): 1.5 + k for k, machine in enumerate(machines)}
    for sign, found in ((1, HOLDS), (-1, CONTRADICTED)):
        rows = [(m, "00", d, "normal", "autoencoder/0", "classifier/0", -sign * (k + 0.1 * (d == "target")))
                for k, m in enumerate(machines) for d in ("source", "target")]  # fmt: skip
        pairs = pd.DataFrame(rows, columns=agreement(0, 0).columns)
        table = judge(STRONG | {"AE+BC ensemble (max)": 1.5}, machines, by_machine=lifts, pairs=pairs)
        row = verdict(table, "the lead of AE+BC ensemble (mix)")
        assert row["verdict"] == found and row["effect"] * sign > 0.6 and row["unit"] == CORRELATION
    assert "fewer than 5" in verdict(judge(STRONG), "the lead of AE+BC ensemble (mix)")["reason"]


def test_named_machine_types_are_tested_where_they_ran():
    table = judge(STRONG, by_machine={("ToyCar", "AE"): 2.5, ("valve", "AE"): 2.5})
    assert verdict(table, "AE minus BC, ToyCar")["verdict"] == HOLDS
    assert verdict(table, "BC minus AE, valve")["verdict"] == CONTRADICTED
    row = verdict(table, "AE minus BC, ToyTrain")
    assert row["verdict"] == NOT_RUN and row["reason"] == "ToyTrain was not run" and np.isnan(row["effect"])
    assert row["paper"] == pytest.approx(paper.value("AE", "ToyTrain") - paper.value("BC", "ToyTrain"))


def test_claims_that_the_clips_cannot_decide_are_undecided():
    table = judge(dict.fromkeys(STRONG, 1.0))
    row = verdict(table, "AE minus BC, ToyCar")
    assert row["verdict"] == UNDECIDED and row["reason"] == "the 95% interval contains zero"
    row = verdict(judge(STRONG, count=0), "AE ensemble minus AE,")
    assert row["verdict"] == UNDECIDED and row["reason"].startswith("no resamples")
    assert (
        "fewer than two machine types" in verdict(judge(STRONG, ["valve"]), "on at least two machine types")["reason"]
    )


def test_variability_is_that_over_sections():
    clips = synthetic_scores.clips("fan", test=50, train=0, domains=["source"])
    lift = {"AE": (1, 1), "BC": (0, 3), "BC ensemble": (2, 2)}
    generator, parts = np.random.default_rng(0), []
    for row, shifts in lift.items():
        values = generator.normal(size=len(clips))
        values += np.where(clips["label"] == "anomaly", clips["section"].map({"00": shifts[0], "01": shifts[1]}), 0)
        parts.append(scores.table(clips, row, values).assign(row=row, selection="development", fold=""))
    resampled = Resampled(pd.concat(parts, ignore_index=True), 0.1, 100, 0)
    figures = [resampled.values(("BC", "development"), section=section)[0] for section in ("00", "01")]
    assert resampled.deviation(("BC", "development"))[0] == pytest.approx(np.std(figures, ddof=1))
    assert resampled.deviation(("BC", "development"))[0] > 5 * resampled.deviation(("BC ensemble", "development"))[0]


def test_one_candidate_per_approach_cannot_show_different_features():
    resampled = Resampled(pd.DataFrame(columns=[*scores.COLUMNS, "row", "selection", "fold"]), 0.1, 10, 0)
    row = verdict(claims_paper.judge(resampled, agreement(0.8, 0.2, pairs=False), 0.95), "correlation of candidates")
    assert row["verdict"] == NOT_RUN and "one candidate" in row["reason"]
    row = verdict(claims_paper.judge(resampled, agreement(0.2, 0.8), 0.95), "correlation of candidates")
    assert row["verdict"] == CONTRADICTED and row["effect"] == pytest.approx(-0.6)


def test_different_features_are_judged_over_sections():
    """The networks of a section rank all of its clips, so its domains and labels are one observation, not several."""
    pairs, judged = agreement(0.8, 0.2), draw_contrast(agreement(0.8, 0.2), 0.95)
    effects = pd.Series({"00": 0.5, "01": 0.6, "02": 0.7})
    pairs = pairs[pairs["section"].isin(effects.index)].copy()
    within = pairs["first"].str[:5] == pairs["second"].str[:5]
    pairs["correlation"] = np.where(within, 0.1 + pairs["section"].map(effects), 0.1)
    value, low, high = interval(draw_contrast(pairs, 0.95), 0.95, (-1, 1))
    assert value == pytest.approx(0.6) and judged[0] == pytest.approx(0.6)
    assert (low, high) == pytest.approx((0.6 - 4.303 * 0.1 / 3**0.5, 0.6 + 4.303 * 0.1 / 3**0.5), abs=0.01)
    assert draw_contrast(pairs[pairs["section"] == "00"], 0.95) is None
    doubled = pd.concat([pairs, pairs.assign(domain=pairs["domain"] + "more")])
    assert interval(draw_contrast(doubled, 0.95), 0.95, (-1, 1)) == pytest.approx((value, low, high))
    row = verdict(judge(STRONG, pairs=pairs), "correlation of candidates")
    assert row["low"] > 0 and row["verdict"] == UNDECIDED and "fewer than 3 sections" in row["reason"]
    wide = claims_paper.limit(row.to_frame().T.assign(verdict=HOLDS, reason="", sections=6), 2)
    assert wide["verdict"].item() == HOLDS


def test_the_headline_is_contradicted_by_arithmetic():
    row = verdict(judge(STRONG), "arithmetic, no run needed")
    assert row["verdict"] == CONTRADICTED and row["effect"] == pytest.approx(0.7659 - 0.7506, abs=1e-4)
    assert "75.06%" in row["reason"] and "76.59%" in row["reason"] and row["unit"] == ARITHMETIC


def test_the_figure_shows_every_measured_claim_with_its_verdict():
    table = judge(STRONG)
    axes = evaluation.claims(table).axes
    panels = [[text.get_text() for text in axis.texts] for axis in axes]
    measured = table[table["effect"].notna() & (table["unit"] != ARITHMETIC)].drop_duplicates("test")
    sizes = {axis.get_xlabel(): len(panel) for axis, panel in zip(axes, panels, strict=True)}
    correlations = int((measured["unit"] == CORRELATION).sum())
    assert sizes == {CORRELATION: correlations, "difference in percentage points": len(measured) - correlations}
    shown = [text.partition(":")[0].lower() for panel in panels for text in panel]
    assert sorted(shown) == sorted(measured["verdict"])


def noise(generator, count=2000, clips=400):
    """Return resampled leads whose true values are zero: the figure, then resamples around it."""
    figure = generator.normal(0, 0.02)
    return np.append(figure, figure + generator.normal(0, 0.02, count))


def test_better_than_both_is_a_test_of_each():
    """If both true leads are zero, at most the nominal share is called a lead."""
    generator, found = np.random.default_rng(0), []
    for _ in range(1500):
        leads = [noise(generator, 100), noise(generator, 100)]
        row = judge_effect(leads)
        found.append(row["verdict"] == HOLDS)
        assert (row["low"] > 0) == (min(interval(lead, 0.95)[1] for lead in leads) > 0)
    assert np.mean(found) < 0.01  # bootstrapping the smaller one, corrected for its bias: 0.039 and more
    one_sure = [np.append(0.5, 0.5 + generator.normal(0, 0.02, 500)), noise(generator)]
    shares = [judge_effect([one_sure[0], noise(generator, 100)])["verdict"] == HOLDS for _ in range(1500)]
    assert np.mean(shares) < 0.025 + 3 * np.sqrt(0.025 / 1500)


def judge_effect(leads, needed=None):
    return Claim("", "", "", lambda selection: leads, needed=needed).judge(0.95)


def test_several_machine_types_are_at_least_two():
    """Two of seven by chance is not a finding, since the intervals are widened for the choice of the two."""
    generator = np.random.default_rng(1)
    found = [judge_effect([noise(generator, 100) for _ in range(7)], needed=2)["verdict"] == HOLDS for _ in range(1500)]
    assert np.mean(found) < 0.025
    sure = [np.append(value, value + generator.normal(0, 0.02, 500)) for value in (0.5, 0.3, -0.4, -0.4)]
    row = judge_effect(sure, needed=2)
    assert row["verdict"] == HOLDS and row["effect"] == 0.3
    assert judge_effect(sure, needed=3)["verdict"] == CONTRADICTED and judge_effect(sure)["effect"] == -0.4
    assert judge_effect(sure)["verdict"] == CONTRADICTED


def test_every_verdict_states_its_basis():
    table = judge(STRONG)
    row = verdict(table, "minus AE ensemble and minus BC")
    assert row[["clips", "sections", "seeds"]].tolist() == [2 * 2 * 2 * 120, 4, 1]
    assert verdict(table, "AE minus BC, ToyCar")[["clips", "sections", "seeds"]].tolist() == [2 * 2 * 120, 2, 1]
    assert table.loc[table["unit"] == ARITHMETIC, "clips"].isna().all()
    absent = verdict(table, "AE minus BC, ToyTrain")
    assert absent["verdict"] == NOT_RUN and absent[["clips", "sections", "seeds"]].isna().all()


def test_a_small_run_cannot_decide_what_is_about_sections_or_machine_types():
    worse = {(machine, "AE+BC ensemble (mix)"): 0.0 for machine in ("ToyCar", "valve")}
    table = judge(STRONG, by_machine=worse)
    row = verdict(table, "on at least two machine types")
    assert (
        row["high"] < 0 and row["verdict"] == UNDECIDED and row["reason"].endswith("only 2 of 7 machine types were run")
    )
    for sections, seen in ((4, UNDECIDED), (6, CONTRADICTED)):
        spread = table[table["test"].str.contains("over sections")].assign(verdict=CONTRADICTED, sections=sections)
        assert set(claims_paper.limit(spread, 2)["verdict"]) == {seen}
    several = table[table["test"].str.contains("at least two")].assign(verdict=CONTRADICTED)
    assert claims_paper.limit(several, 7)["verdict"].item() == CONTRADICTED
    pd.testing.assert_frame_equal(claims_paper.limit(table, 2), table)


def test_extensions_are_judged_apart_from_the_paper():
    extensions = {"AE+": 1.0, "BC+": 0.5, "AE+ ensemble": 2.0, "BC+ ensemble": 2.0, "mix+": 5.0}
    resampled = resampled_rows(STRONG | extensions)
    table = claims_extensions.judge(resampled, 0.95)
    assert set(table["source"]) == {claims_extensions.SOURCE} and list(table.columns) == COLUMNS
    assert (
        verdict(table, "AE+ minus AE,")["verdict"] == HOLDS and verdict(table, "mix+ minus AE+BC")["verdict"] == HOLDS
    )
    assert verdict(table, "mix+ minus AE+ ensemble and minus BC+ ensemble")["verdict"] == HOLDS
    assert verdict(table, "mix+ minus Mahalanobis (shift)")["reason"] == "Mahalanobis (shift) was not run"
    few = [resampled_rows(rows, ("ToyCar",)) for rows in (STRONG, STRONG | extensions)]  # the same draws for STRONG
    paper_only, with_both = (claims_paper.judge(rows, agreement(0.8, 0.2), 0.95) for rows in few)
    pd.testing.assert_frame_equal(paper_only, with_both)
    absent = claims_extensions.judge(resampled_rows(STRONG), 0.95)
    assert (absent["verdict"] == NOT_RUN).all() and absent["reason"].str.contains("not run").all()


def test_a_bound_that_prints_as_zero_shows_nothing():
    for low, high in ((-0.0332, -5.35e-7), (4.99e-5, 0.02), (-0.01, 0.02), (np.nan, np.nan)):
        assert side(low, high) == 0
        if np.isfinite(low):
            printed = [float(f"{100 * bound:.2f}") for bound in (low, high)]
            assert printed[0] <= 0 <= printed[1]
    assert (side(5e-5, 0.02), side(-0.02, -5e-5)) == (1, -1), "these bounds print as 0.01"
    assert side(np.array([0.01, -0.02, 1e-6]), np.array([0.02, -0.01, 0.1])).tolist() == [1, -1, 0]


def test_one_rule_says_what_an_interval_shows():
    root = Path(__file__).parent.parent
    others = re.compile(r"(?:low\"?\]?|high\"?\]?|bound) ?[<>]=? ?0\b")
    for path in [
        *root.glob("book/*.py"),
        *root.glob("asdlib/evaluation/*.py"),
        *root.glob("benchmarks/real_systems/*.py"),
    ]:
        found = others.findall(path.read_text(encoding="utf-8"))
        assert not found, f"{path}: use asdlib.evaluation.bootstrap.side instead of {found}"
