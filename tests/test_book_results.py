"""Test what the book says of negative results, of the cost of commands, and of settings that were tuned."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from asdlib import params
from asdlib.atomic import read_json

BOOK = Path(__file__).resolve().parent.parent / "book"
sys.path[:0] = [str(BOOK)]

import command_costs  # noqa: E402
import longer_trainings  # noqa: E402
import method_sentences  # noqa: E402
import negative_results  # noqa: E402
import one_model_stored  # noqa: E402
import stamps  # noqa: E402
import stored_results  # noqa: E402

pytestmark = pytest.mark.slow

COLUMNS = ["row", "selection", "than", "than_selection", "machine", "domain", "difference", "low", "high"]


@pytest.fixture
def differences():
    """Make up differences, of which the file has each pair in one order only."""
    rows = [
        ("Mahalanobis", "", "Mahalanobis (target)", "", "all", "all", 0.04, 0.01, 0.07),
        ("mix+", "cross-fitted", "Mahalanobis", "", "all", "all", 0.02, -0.02, 0.06),
        ("mix+", "fixed", "Mahalanobis", "", "all", "all", -0.05, -0.08, -0.02),
        ("mix+", "fixed", "Mahalanobis", "", "all", "target", 0.03, 0.01, 0.05),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_rows_below_simpler_ones_are_bold_and_pairs_that_were_not_computed_are_left_out(differences):
    folders = stored_results.REAL, stored_results.SHIFTS, stored_results.DETECTOR
    pages = negative_results.pages(differences, *folders)
    mine = [line for line in pages["generated/negative_rows.md"].splitlines() if line.startswith("| this run |")]
    assert mine == [
        "| this run | mix+ minus Mahalanobis | +2.00 (−2.00 to +6.00) | **−5.00 (−8.00 to −2.00)** "
        "| +3.00 (+1.00 to +5.00) |",
        "| this run | Mahalanobis (target) minus Mahalanobis | – | **−4.00 (−7.00 to −1.00)** | – |",
    ]
    assert negative_results.values(differences) == {
        "target": "−4.00 (−7.00 to −1.00)",
        "target_verdict": "below it",
        "target_after": "–",
    }
    for text in pages.values():
        for bold, low, high in re.findall(r"(\*\*)?[−+]\d+\.\d+ \(([−+]\d+\.\d+) to ([−+]\d+\.\d+)\)", text):
            assert bool(bold) == high.startswith("−"), (low, high)


def test_stored_differences_of_the_detector_are_those_of_its_two_columns():
    rows = re.findall(
        r"(?m)^\| (?:slider|toy car), [^|]*\| ([\d.]+) \| ([\d.]+) \| \**([−+][\d.]+)",
        negative_results.of_detector(stored_results.DETECTOR),
    )
    assert len(rows) > 8
    for whole, part, difference in rows:
        assert float(difference.replace("−", "-")) == pytest.approx(float(whole) - float(part), abs=0.11)


def test_stored_ablations_are_around_one_reference():
    table = stored_results.read(stored_results.RESULTS / "ablations" / "ablations.csv")
    table["system"] = table["candidate"] + "/" + table["variant"]
    reference = table[table["candidate"] == "base"].set_index(["branch", "domain", "system"])["value"]
    first = table.drop_duplicates(["branch", "system", "domain"]).set_index(["branch", "domain", "system"])["value"]
    assert (first.loc[reference.index] == reference).all()
    for item in table.itertuples():
        other = reference[item.branch, item.domain, item.than]
        assert item.difference == pytest.approx(item.value - other, abs=1e-9), (item.candidate, item.variant)


def test_the_other_car_has_the_papers_classifier_and_both_figures_of_it_agree():
    folder = stored_results.SHIFTS
    stored = stored_results.read(folder / "one_model_more.csv").set_index(["system", "set", "domain"])
    parts = stored_results.read(folder / "longer.csv")
    assert (parts["difference"] - (parts["with"] - parts["without"])).abs().max() < 2e-5
    parts = parts.set_index(["part", "candidate", "score", "set", "domain"]).sort_index()
    values = {"unit_a": (57.46, -5.36), "unit_b": (54.65, -19.78)}  # BC; mix minus the official autoencoder
    for name, (value, lead) in values.items():
        assert 100 * stored.loc[("BC", name, "all"), "value"] == pytest.approx(value, abs=0.01)
        same = parts.loc[("source_mixup", "base", "w50_mean", name, "all"), "without"]
        assert stored.loc[("BC", name, "all"), "value"] == same
        row = stored.loc[("mix", name, "all")]
        assert 100 * row["over_baseline"] == pytest.approx(lead, abs=0.01)
        assert row["baseline_high"] < 0, "the chapter on shifts says that mix is below it in both directions"


def test_no_row_stands_under_the_papers_name_whose_classifier_is_another():
    text = one_model_stored.judged(stored_results.SHIFTS)
    settings = read_json(stored_results.SHIFTS / "one_model.record.json")["settings"]
    for name in ("BC", "mix", "AE + BC", "mix+"):
        assert (f"| {name} |" in text) == ("classifier" in settings), name
        assert (f"| {name} (earlier classifier) |" in text) == ("classifier" not in settings), name
    assert "| AE |" in text and "| Mahalanobis |" in text


def test_longer_trainings_confirm_finetuning_of_the_papers_classifier_and_not_arcface():
    text = longer_trainings.pages(stored_results.SHIFTS)["generated/longer.md"]
    finetuning, arcface, mixup = text.splitlines()[:3]
    assert "shown to gain on *published simulation* (`base` and `sections`) and" in finetuning
    assert "shown to lose on *published simulation* (`augmented_arcface`)" in finetuning
    assert "change anything on *published simulation* (`base` and `augmented`)" in arcface
    assert "gain on *another car, A to B* (`base`) and *another car, B to A* (`base`) and is not shown" in mixup
    said = longer_trainings.values(stored_results.SHIFTS)
    assert said["seeds"] == "3 seeds" and said["parts"].startswith("Fine-tuning +8.51 (+4.55 to +12.21) (gain) and")
    assert said["parts"].endswith("ArcFace next to DDCSAD −0.22 (−1.05 to +0.68) (no shown effect)")
    assert method_sentences.count_shown(stored_results.read(stored_results.ABLATIONS / "ablations.csv"), 0.95) == {
        "corrected": 4,
        "by_seeds": 1,
    }


def test_the_cost_of_the_papers_profile_names_what_it_downloads():
    command, time, cores, _, downloads, _ = command_costs._paper()
    assert "paper" in command and "GPU hours" in time and cores == "1 GPU"
    assert "weights of 3 networks, about 221 MB" in downloads  # 87.2 + 100.1 + 48.9 MB with the classes of ImageNet


def test_the_banner_says_that_settings_were_tuned_where_the_clips_are_those_of_the_stored_run():
    assert "chosen while looking at these test clips, so all figures may be too good" in stamps.tuned(
        params.load("demo")
    )
    assert stamps.tuned(params.load("smoke")) == stamps.tuned(params.load("quick")) == ""
    assert stamps.tuned(params.load("demo", {"data.synthetic.test_normal": 31})) == ""


def test_the_tuning_is_named_where_figures_of_the_clips_are_printed():
    assert set(stamps.WITHOUT_FIGURES) <= {path.stem for path in BOOK.glob("*.md")}
    assert stamps.of_chapter("paper", "S", "F", "T ") == ("S", "F")
    assert stamps.of_chapter("table1", "S", "F", "T. ") == ("S. T", "F"), "on a phone the first part is in view"
