"""Test what the pages on the toy cars and on shifts say in words, against the stored tables and made-up figures."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from asdlib.atomic import read_json
from asdlib.evaluation.bootstrap import side

BOOK = Path(__file__).resolve().parent.parent / "book"
sys.path[:0] = [str(BOOK)]

import gpu_figures  # noqa: E402
import negative_results  # noqa: E402
import real  # noqa: E402
import real_answers  # noqa: E402
import real_gain  # noqa: E402
import shifts  # noqa: E402
import stored_results  # noqa: E402

pytestmark = pytest.mark.slow

RECORD = read_json(stored_results.REAL / "record.json")
TRAINED = stored_results.GPU.with_name(gpu_figures.PAPER_SIZE)


def test_the_pair_for_arcface_differs_in_arcface_only_and_its_gain_is_that_of_the_stored_scores():
    candidates = RECORD["settings"]["classifier_candidates"]
    assert candidates[real_gain.WITH] == candidates[real_gain.WITHOUT] | {"arcface": {"weight": 0.1}}
    settings = RECORD["settings"]
    found = real_gain.arcface(stored_results.REAL, settings["evaluation"], settings["seed"])
    compared = stored_results.read(stored_results.REAL / "systems.csv").query("than == @real.real_compared.REFERENCE")
    value = compared.set_index(["system", "domain"])["value"]
    for domain in ("source", "target", "all"):
        lead = 100 * (
            value[f"classifier/{real_gain.WITH}/w50_mean", domain]
            - value[f"classifier/{real_gain.WITHOUT}/w50_mean", domain]
        )
        text = found[f"arcface_{domain}"].replace("−", "-")
        assert float(text.partition(" ")[0]) == pytest.approx(lead, abs=0.006)
        low, high = (float(end) / 100 for end in text.partition("(")[2].removesuffix(")").split(" to "))
        assert found[f"arcface_{domain}_shown"] == real_gain.SHOWN[(2, 0, 1)[side(low, high)]]
    assert found["arcface_source_shown"] == "a gain that is shown"
    assert found["arcface_all_shown"] == "which is not shown to be a gain"


def test_the_papers_size_is_compared_with_the_deficit_by_the_same_selection():
    found = real_gain.larger_networks(stored_results.REAL, TRAINED)
    table = pd.read_csv(stored_results.REAL / "table1_seeds.csv").query("machine == 'all' and domain == 'all'")
    mean = table.fillna({"selection": ""}).set_index(["row", "selection"])["mean"]
    for selection in ("fixed", "development"):
        lead = 100 * (mean["AE", selection] - mean["Baseline (AE)", ""])
        assert float(found[f"deficit_{selection}"].replace("−", "-")) == pytest.approx(lead, abs=0.006)
    trained = pd.read_csv(TRAINED).query("branch == 'autoencoder' and variant == 'without labels'")
    value = trained.set_index(["profile", "domain"])["value"]
    whole = [2 / (1 / value[name, "source"] + 1 / value[name, "target"]) for name in ("paper_size", "quick")]
    assert float(found["larger_fixed"]) == pytest.approx(100 * (whole[0] - whole[1]), abs=0.006)
    assert (
        found["larger_steps"] == "8,000"
        and found["larger_words"] == "more than the deficit by one selection and less by the other"
    )


def test_the_way_of_anomalies_is_told_by_the_signs_of_all_cosines():
    for cosines, words in (
        ([0.3, 0.9], "towards the outliers"),
        ([0.1, 0.9], "towards the outliers (weakly in 1 of 2 sections)"),
        ([-0.21, -1.0], "away from the outliers (weakly in 1 of 2 sections)"),
        ([-0.5], "away from the outliers"),
        ([-0.5, 0.5, 0.5], "towards the outliers in 2 of 3 sections and away from them in 1"),
        ([-0.5, 0.0], "away from the outliers in 1 of 2 sections"),
        ([0.0, 0.0], "neither towards the outliers nor away from them"),
    ):
        assert real_answers.way(pd.Series(cosines)) == words
    maps = real_answers.cosines(stored_results.read(stored_results.REAL / "maps.csv"))
    last = maps[(maps["domain"] == "target") & (maps["stage"] == maps["stage"].iloc[-1])]["cosine"]
    assert (last > 0).sum() == (last < 0).sum() == 1
    assert real_answers.way(last) == "towards the outliers in 1 of 2 sections and away from them in 1"


def test_the_other_hypotheses_add_only_what_tolerant_alone_does_not_gain():
    found = shifts.values(stored_results.SHIFTS)
    gains = [float(found[name].partition(" ")[0]) for name in ("confirmation_target", "tolerant_confirmation")]
    assert gains[0] < gains[1] and found["hypotheses"] == "are not shown to add anything there"
    assert shifts.hypotheses(0.05, 0.04).startswith("add +1.00 points")


def test_a_data_set_has_one_number_of_seeds_in_the_table_of_negative_results():
    columns = ["row", "selection", "than", "than_selection", "machine", "domain", "difference", "low", "high"]
    folders = stored_results.REAL, stored_results.SHIFTS, stored_results.DETECTOR
    text = negative_results.pages(pd.DataFrame(columns=columns), *folders)["generated/negative_rows.md"]
    data = {line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| toy cars")}
    sets = [name.rpartition(", ")[0] for name in data]
    assert len(sets) == len(set(sets)) and f"toy cars, published simulation, {real.seeds(stored_results.REAL)}" in data
