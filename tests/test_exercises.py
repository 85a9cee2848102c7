"""The answer of each exercise is what its chapter's question asks for, computed here in another way."""

import csv
import math
import re
import statistics
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

BOOK = Path(__file__).resolve().parent.parent / "book"
sys.path[:0] = [str(BOOK)]

import exercises  # noqa: E402
from exercise_reasons import WHY  # noqa: E402

from asdlib import params  # noqa: E402
from asdlib.evaluation import paper  # noqa: E402
from asdlib.paths import BASELINES, Run  # noqa: E402

MACHINE = "fan"


@pytest.fixture(scope="module")
def run(smoke) -> Run:
    """The smoke run."""
    return Run(smoke / "runs" / "smoke")


@pytest.fixture(scope="module")
def answers(run) -> dict[str, str]:
    """The answer of each exercise, as its page shows it."""
    pages = exercises.pages(run, params.load("smoke"), MACHINE)
    return {name: pages[f"generated/exercise_{name}.md"] for name in exercises.QUESTIONS}


def rows(text: str) -> list[list[str]]:
    """The cells of a Markdown table, without its heading."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines[2:]]


def percents(path: Path, domain: str) -> dict[str, str]:
    """System to the harmonic mean of AUC and pAUC over sections, by scikit-learn, per cent."""
    table = pd.read_csv(path, dtype={"section": str})
    test = table[(table["split"] == "test") & (table["domain"] == domain)]
    found = {}
    for system, part in test.groupby("system"):
        values = []
        for _, section in part.groupby("section"):
            labels = section["label"] == "anomaly"
            values += [roc_auc_score(labels, section["score"], max_fpr=most) for most in (None, 0.1)]
        found[system.rpartition("/")[2]] = f"{100 * statistics.harmonic_mean(values):.2f}"
    return found


def test_every_exercise_is_answered_and_tested(answers):
    for name, text in answers.items():
        assert re.search(rf"def test_(\w+_and_)?{name}_", Path(__file__).read_text(encoding="utf-8")), name
        assert exercises.QUESTIONS[name][0] in text and "{dropdown} The answer" in text
        assert f"**Why.** {WHY[name]}" in text
        assert "nan" not in text.lower().split(), name


def test_data_counts_training_files(answers, smoke):
    folder = smoke / "data" / "smoke" / MACHINE / "train"
    for section in ("00", "01"):
        counts = [str(len(list(folder.glob(f"section_{section}_{domain}_*")))) for domain in ("source", "target")]
        assert [section, *counts] in rows(answers["data"])


def test_baselines_compares_with_the_better_network(answers, run):
    for domain in ("source", "target"):
        values = [percents(run.scores(name, MACHINE), domain)[name] for name in BASELINES[:3]]
        simple = dict(zip(BASELINES, values, strict=False))
        best = max((simple["frame_autoencoder"], simple["mobilenet"]), key=float)
        line = next(line for line in answers["baselines"].splitlines() if f"{MACHINE}, {domain}:" in line)
        assert f"*Mahalanobis* reaches {simple['mahalanobis']} %, the better network {best} %" in line
        lead, low, high = map(float, re.findall(r"[+-]?\d+\.\d+", line.replace("−", "-").partition(";")[2]))
        assert lead == pytest.approx(float(simple["mahalanobis"]) - float(best), abs=0.011)
        assert (low > 0, high < 0) == ("is ahead" in line, "is behind" in line)


@pytest.mark.parametrize("branch", ["autoencoder", "classifier"])
def test_autoencoder_and_classifier_name_the_best_variant_of_each_domain(answers, run, branch):
    shown = {row[0]: row[1:] for row in rows(answers[branch])}
    for column, domain in enumerate(("source", "target")):
        every = percents(run.scores(branch, MACHINE, "base"), domain)
        pattern = r"w\d+_\w+" if branch == "classifier" else r"(?!clip_signed|l1)\w+"
        expected = {name: value for name, value in every.items() if re.fullmatch(pattern, name)}
        assert {name: values[column] for name, values in shown.items()} == expected, "no other score has a weight"
        best, *others = re.findall(rf"`(\w+)` in the {domain} domain \((\S+) %\)", answers[branch])
        assert best[0] in expected and best[1] == max(expected.values(), key=float) == expected[best[0]]
        assert len(others) == (len(every) > len(expected))
        assert all(every[name] == value and name not in expected for name, value in others)


def test_ensembles_counts_equal_choices(answers, run):
    chosen: dict[tuple, dict] = {}
    with (run.system("ensemble", MACHINE) / "choices.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            if line["selection"] == "cross-fitted" and not re.search(r"mix", line["row"]):
                key = (line["row"], line["domain"], line["section"])
                chosen.setdefault(key, {}).setdefault(line["fold"], line["members"])
    both = [halves for halves in chosen.values() if {"first", "second"} <= halves.keys()]
    same = sum(halves["first"] == halves["second"] for halves in both)
    assert f"the same members in {same} of {len(both)} choices" in answers["ensembles"]


def test_one_model_judges_each_cell_by_its_interval(answers, run):
    found = {}
    with run.differences.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            pair = {(line["row"], line["selection"]), (line["than"], line["than_selection"])}
            if pair == {("Integrated", ""), ("AE+BC ensemble (mix)", "fixed")} and line["domain"] != "all":
                sign = 1 if line["row"] == "Integrated" else -1
                ends = sorted(sign * float(line[name]) for name in ("low", "high"))
                place = "better" if ends[0] > 0 else "worse" if ends[1] < 0 else "undecided"
                found[line["machine"], line["domain"]] = (f"{100 * sign * float(line['difference']):+.2f}", place)
    shown = {(row[0], row[1]): (row[2].split()[0].replace("−", "-"), row[3]) for row in rows(answers["one_model"])}
    assert shown == {key: value for key, value in found.items() if key[0] != "all"} and shown


def test_table1_lists_the_rows_that_move(answers, run):
    frame = pd.read_csv(run.table1, keep_default_na=False)
    total = frame[(frame["machine"] == "all") & (frame["domain"] == "all") & (frame["value"] != "")]
    values = {}
    for selection in ("development", "fixed"):
        part = total[total["selection"].isin(["", selection])]
        values[selection] = dict(zip(part["row"], part["value"].astype(float), strict=True))
    rows_of_both = values["development"].keys() & values["fixed"].keys()
    moved = {}
    for row in rows_of_both:
        better = [sum(values[one][other] > values[one][row] for other in rows_of_both) + 1 for one in values]
        if better[0] != better[1]:
            moved[row] = [str(rank) for rank in better]
    shown = {row[0]: row[1:] for row in rows(answers["table1"])}
    assert shown == moved or (not moved and "No row changes its rank." in answers["table1"])


def test_audit_is_the_harmonic_mean_of_the_printed_cells(answers):
    cells = paper.cells().query("row == 'BC'")["value"]
    assert f"**{100 * statistics.harmonic_mean(cells):.2f}**" in answers["audit"]


def test_ablations_stay_decided_by_intervals_that_share_the_error(answers):
    frame = pd.read_csv(BOOK / "results" / "ablations" / "ablations.csv").fillna({"change": ""})
    frame = frame[(frame["domain"] == "all") & (frame["low"] != frame["high"])]
    count, frame = len(frame), frame[frame["change"] != ""]
    normal = statistics.NormalDist()
    spread = (frame["high"] - frame["low"]) / 2 / normal.inv_cdf(0.975)
    distance = ((frame["high"] + frame["low"]) / 2).abs() / spread
    chance = [2 * (1 - normal.cdf(value)) for value in distance]
    larger = frame["difference"].abs() > frame["difference_deviation"]
    kept = frame[larger & (np.array(chance) < 0.05 / count)]
    said = f"Of the {len(frame)} intervals of changes {sum(value < 0.05 for value in chance)} lie"
    assert said in answers["ablations"] and f"If all {count} intervals" in answers["ablations"]
    assert f"over seeds, {len(kept)} do." in answers["ablations"]
    shown = [(re.search(r"`(\w+)`", row[1])[1], row[2]) for row in rows(answers["ablations"])]
    assert shown == list(kept[["candidate", "variant"]].itertuples(index=False, name=None)) and shown


def test_claims_need_as_many_clips_as_shrink_the_interval_to_the_effect(answers, run):
    frame = pd.read_csv(run.claims)
    undecided = frame[(frame["low"] < 0) & (frame["high"] > 0) & frame["clips"].notna()]
    over_sections = undecided["test"].str.startswith("standard deviation over sections")
    assert "Effects over sections are left out" in answers["claims"]
    undecided = undecided[~over_sections]  # each machine type has two sections, fewer than a verdict needs
    shown = rows(answers["claims"])
    assert len(shown) == len(undecided) > 0
    for (_, _, clips, needed), item in zip(shown, undecided.itertuples(), strict=True):
        number, half, effect = int(needed.replace(",", "")), (item.high - item.low) / 2, max(abs(item.effect), 1e-6)
        assert int(clips) == item.clips
        assert half * math.sqrt(item.clips / number) <= effect * (1 + 1e-9)
        assert number == 1 or half * math.sqrt(item.clips / (number - 1)) > effect * (1 - 1e-9)
