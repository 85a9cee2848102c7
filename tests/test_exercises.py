"""The answer of each exercise is what its chapter's question asks for, computed here in another way."""

import csv
import math
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

BOOK = Path(__file__).resolve().parent.parent / "book"
sys.path[:0] = [str(BOOK)]

import confused  # noqa: E402
import exercises  # noqa: E402
import why  # noqa: E402
from exercise_reasons import WHY  # noqa: E402

from asdlib import params  # noqa: E402
from asdlib.evaluation import paper  # noqa: E402
from asdlib.paths import BASELINES, Run  # noqa: E402

MACHINE = "fan"


@pytest.fixture(scope="module")
def run(smoke) -> Iterator[Run]:
    """The smoke run, in whose folder relative places lie, as when the book is built there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASDLIB_HOME", str(smoke))
        yield Run(smoke / "runs" / "smoke")


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
        ends = text.partition("**Why.**")[0].rstrip().splitlines()[-1]
        assert re.fullmatch(r"\*\*So .*\.\*\*|No row changes its rank\.", ends), (name, "ends without an answer", ends)


def test_data_compares_the_shift_with_the_fault(answers):
    shown = rows(answers["data"])
    assert [row[:2] for row in shown] == [
        [machine, section] for machine in ("fan", "valve") for section in ("00", "01")
    ]
    larger = sum(float(shift) > float(fault) for _, _, shift, fault, _ in shown)
    words = "every one of the 4" if larger == 4 else f"{larger} of 4" if larger else "none of the 4"
    assert f"larger than the fault in {words} sections" in answers["data"]


def test_the_frames_of_each_gaussian_are_counted(smoke, run):
    settings = params.load("smoke")
    text = why.gaussians_frames(run, settings, MACHINE)
    folder = smoke / "data" / "smoke" / MACHINE / "train"
    many, few = (len(list(folder.glob(f"section_00_{domain}_*"))) for domain in ("source", "target"))
    assert f"has {many} normal training clips of the source and {few} of the target" in text
    branch = settings.autoencoder
    samples = soundfile.info(next(folder.glob("*.wav"))).frames
    starts = range(0, samples + 1, branch.features.hop_length)  # frame i is centred on sample i * hop
    half = branch.features.n_fft // 2
    frames = sum(half <= start <= samples - half for start in starts)
    held_out = len(pd.read_csv(run.scores("autoencoder", MACHINE, "base"), dtype=str).query(
        "split == 'train' and domain == 'source' and section == '00'")["clip"].unique())  # fmt: skip
    assert f"{held_out} × {frames} = {held_out * frames:,} frames" in text
    assert f"{few} × {frames} = {few * frames:,}" in text
    dims = branch.features.n_mels + 1
    assert f"= {len(np.tril_indices(dims)[0]):,} parameters" in text
    weight = branch.scorer.target_prior / (branch.scorer.target_prior + few * frames)
    assert f"= {100 * weight:.0f} % in that of the target" in text


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


def test_baselines_are_compared_by_kind_of_fault(answers, run):
    shown = {row[0]: list(map(float, row[1:])) for row in rows(answers["baselines"].partition(":name:")[2])}
    found: dict[str, dict[str, list[float]]] = {}
    for name in ("mahalanobis", "frame_autoencoder", "mobilenet"):
        table = pd.read_csv(run.scores(name, MACHINE), dtype={"section": str}).query("split == 'test'")
        for _, cell in table.groupby(["section", "domain"]):
            normal = cell[cell["label"] == "normal"]
            kinds = cell["clip"].str.extract(r"_anomaly_\d+_(\w+)\.wav")[0]
            for kind, own in cell.groupby(kinds):
                both = pd.concat([normal, own])
                area = roc_auc_score(both["label"] == "anomaly", both["score"])
                found.setdefault(kind.replace("_", " "), {}).setdefault(name, []).append(area)
    assert {name: value[1:] for name, value in shown.items()} == {
        kind: pytest.approx([100 * statistics.mean(values) for values in by.values()], abs=0.006)
        for kind, by in found.items()
    }
    ahead = re.search(r"ahead of both networks at (.*?), and not at", answers["baselines"])[1]
    leaders = {kind for kind, (_, simple, *networks) in shown.items() if simple > max(networks)}
    assert leaders == set(ahead.split(", ")) - {"no kind"}


def figures_of(frame: pd.DataFrame) -> dict[str, float]:
    """System to the harmonic mean of AUC and pAUC over sections, by scikit-learn."""
    found = {}
    for system, part in frame.groupby("system"):
        values = [
            roc_auc_score(section["label"] == "anomaly", section["score"], max_fpr=most)
            for _, section in part.groupby("section")
            for most in (None, 0.1)
        ]
        found[system.rpartition("/")[2]] = statistics.harmonic_mean(values)
    return found


def test_autoencoder_compares_the_lead_on_both_halves(answers, run):
    shown = {row[0]: row[1:] for row in rows(answers["autoencoder"])}
    table = pd.read_csv(run.scores("autoencoder", MACHINE, "base"), dtype={"section": str}).query("split == 'test'")
    for column, domain in enumerate(("source", "target")):
        every = percents(run.scores("autoencoder", MACHINE, "base"), domain)
        expected = {name: value for name, value in every.items() if name not in ("clip_signed", "l1")}
        assert {name: values[3 * column] for name, values in shown.items()} == expected, "then come both halves"
        part = table[table["domain"] == domain]
        place = part.groupby(["system", "section", "label"])["clip"].transform(lambda own: own.rank() % 2)
        halves = [{n: v for n, v in figures_of(part[place == odd]).items() if n in expected} for odd in (0, 1)]
        for number, half in enumerate(halves, 1):
            values = {name: float(row[3 * column + number]) for name, row in shown.items()}
            assert values == pytest.approx({name: 100 * value for name, value in half.items()}, abs=0.006)
        chosen = [max(half, key=half.get) for half in halves]
        line = next(line for line in answers["autoencoder"].splitlines() if line.startswith(f"* {domain}:"))
        leads = [100 * statistics.mean(half[best] - half["median"] for half, best in zip(use, chosen, strict=True))
                 for use in (halves, halves[::-1])]  # fmt: skip
        said = list(map(float, re.findall(r"by ([+-]?\d+\.\d+)", line.replace("−", "-"))))
        assert re.findall(r"`(\w+)`", line)[:-1] == list(dict.fromkeys(chosen))
        assert said == pytest.approx(leads[: len(said)], abs=0.006) and len(said) == len(set(chosen))


def test_classifier_compares_both_parts_of_the_score(answers, run):
    table = pd.read_csv(run.scores("classifier", MACHINE, "base"), dtype={"section": str}).query("split == 'test'")
    for domain in ("source", "target"):
        part = table[table["domain"] == domain]
        every = figures_of(part)
        weighted = [value for name, value in every.items() if re.fullmatch(r"w\d+_\w+", name)]
        assert f"{100 * min(weighted):.2f} to {100 * max(weighted):.2f} % in the {domain}" in answers["classifier"]
        agree = []
        for _, section in part.groupby("section"):
            one, two = (section[section["system"].str.endswith(f"/{name}")].set_index("clip")["score"]
                        for name in ("posterior", "distance"))  # fmt: skip
            agree.append(spearmanr(one, two[one.index]).statistic)
        line = next(line for line in answers["classifier"].splitlines() if line.startswith(f"* {domain}:"))
        said = [float(number) for number in re.findall(r"[+-]?\d+\.\d+", line.replace("−", "-"))]
        parts = [100 * every[name] for name in ("posterior", "distance")]
        best = max(weighted), every["w50_mean"]
        assert said == pytest.approx([statistics.mean(agree), *parts, *(100 * value for value in best)], abs=0.006)


def test_the_clips_that_the_classifier_is_most_wrong_about_are_ranked_by_every_part(run):
    text = confused.confused(run, params.load("smoke"), MACHINE)
    tables = {name: pd.read_csv(run.scores(name, MACHINE, *more), dtype={"section": str}).query("split == 'test'")
              for name, *more in (("classifier", "base"), ("autoencoder", "base"), ("mahalanobis",))}  # fmt: skip
    names = {"score": ("classifier", "w50_mean"), "posterior": ("classifier", "posterior"),
             "distance": ("classifier", "distance"), "Mahalanobis": ("mahalanobis", "mahalanobis"),
             "autoencoder": ("autoencoder", "median")}  # fmt: skip
    by = {name: tables[branch][tables[branch]["system"].str.rpartition("/")[2] == system]
          for name, (branch, system) in names.items()}  # fmt: skip
    whole = by["score"]
    places = whole.groupby(["section", "domain"])["score"].rank().sub(1)
    places /= whole.groupby(["section", "domain"])["score"].transform("size") - 1
    shown = rows(text)
    assert [row[0] for row in shown] == ["normal", "anomaly"]
    titles = re.findall(r'aria-label="([^"]*)"', text)
    for label, section, domain, *shares in shown:
        clip = next(title for title in titles if title.startswith(f"{label}, section {section}, {domain}:"))
        clip = clip.rpartition(": ")[2]
        own = places[whole["clip"] == clip].iat[0]
        extreme = places[whole["label"] == label].agg("max" if label == "normal" else "min")
        assert own == pytest.approx(extreme)
        for share, part in zip(shares, by.values(), strict=True):
            same = part[(part["section"] == section) & (part["domain"] == domain)]
            score = same.loc[same["clip"] == clip, "score"].iat[0]
            others = same.loc[(same["label"] == "normal") & (same["clip"] != clip), "score"]
            assert share == f"{100 * np.mean(others < score):.0f}"
        kind = re.search(r"_anomaly_\d+_(\w+)\.wav", clip)
        assert kind is None or f"the fault *{kind[1].replace('_', ' ')}*" in text
        normal = whole[(whole["section"] == section) & (whole["domain"] == domain) & (whole["label"] == "normal")]
        middle = normal.sort_values("score")["clip"].iat[len(normal) // 2]
        assert f"typical normal clip, section {section}, {domain}: {middle}" in titles


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
    apart = []
    for (row, domain, section), halves in chosen.items():
        if row in ("AE", "BC") and len(set(halves.values())) > 1:
            values = []
            for system in halves.values():
                branch, candidate, _ = system.split("/")
                table = pd.read_csv(run.scores(branch, MACHINE, candidate), dtype={"section": str})
                table = table[(table["split"] == "test") & (table["domain"] == domain) & (table["system"] == system)]
                table = table[table["section"] == section] if section else table
                values += figures_of(table).values()
            apart.append(100 * abs(values[0] - values[1]))
    if apart:
        assert "**So no: in none of the" in answers["ensembles"] or "one choice is shown to be" in answers["ensembles"]
        assert f"by {statistics.mean(apart):.2f} points on average" in answers["ensembles"]
        assert f"by {max(apart):.2f} at most ({len(apart)} of" in answers["ensembles"]


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
    listed = rows(answers["one_model"])
    shown = {(row[0], row[1]): (row[4].split()[0].replace("−", "-"), row[5]) for row in listed}
    assert shown == {key: value for key, value in found.items() if key[0] != "all"} and shown


def test_one_model_replaces_its_worst_cell(answers, run):
    frame = pd.read_csv(run.table1, keep_default_na=False)
    frame = frame.query("machine != 'all' and domain != 'all' and value != ''")
    own, other = (
        frame[(frame["row"] == row) & (frame["selection"] == selection)].set_index(["machine", "domain"])["value"]
        for row, selection in (("Integrated", ""), ("AE+BC ensemble (mix)", "fixed"))
    )
    own, other = own.astype(float), other.astype(float)[own.index]
    worst = (own - other).idxmin()
    equal = own.copy()
    equal[worst] = other[worst]
    total, theirs, without = (100 * statistics.harmonic_mean(values) for values in (own, other, equal))
    said = re.findall(r"[+-]?\d+\.\d+", answers["one_model"].partition("The harmonic means")[2].replace("−", "-"))
    expected = [total, theirs, total - theirs, without, without - theirs]
    assert list(map(float, said[:5])) == pytest.approx(expected, abs=0.011)
    assert f"equalled *mix* on {worst[0]}, {worst[1]}" in answers["one_model"]


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
    rises = moved.get("AE+BC ensemble (mix)", ["0", "0"])
    assert (int(rises[0]) > int(rises[1])) == ("mix)* rises by" in answers["table1"])
    assert shown == moved or (not moved and "No row changes its rank." in answers["table1"])


def test_audit_is_the_harmonic_mean_of_the_printed_cells(answers):
    table = paper.cells().query("row == 'BC'")
    cells = table["value"]
    mean = statistics.harmonic_mean(cells)
    assert f"**{100 * mean:.2f}**" in answers["audit"]
    more = {
        place: statistics.harmonic_mean(cells.where(cells.index != place, cells + 1e-6)) - mean for place in cells.index
    }
    most = table.loc[max(more, key=more.get)]
    assert f"counts most, {most['machine']} {most['domain']}:" in answers["audit"]
    assert f"= {max(more.values()) / 1e-6:.2f} points" in answers["audit"]


def test_ablations_stay_decided_by_intervals_that_share_the_error(answers):
    frame = pd.read_csv(BOOK / "results" / "ablations" / "ablations.csv").fillna({"change": ""})
    frame = frame[(frame["domain"] == "all") & (frame["low"] != frame["high"])]
    count, frame = len(frame), frame[frame["change"] != ""]
    normal = statistics.NormalDist()
    spread = (frame["high"] - frame["low"]) / 2 / normal.inv_cdf(0.975)
    distance = ((frame["high"] + frame["low"]) / 2).abs() / spread
    chance = [2 * (1 - normal.cdf(value)) for value in distance]
    larger = frame["difference"].abs() > frame["difference_deviation"]
    near = ((frame["high"] + frame["low"]) / 2).abs() - spread * normal.inv_cdf(1 - 0.025 / count)
    kept = frame[larger & ((100 * near).round(2) > 0)]  # the nearer bound, as printed
    decided = [float(f"{100 * bound:.2f}") != 0 for bound in frame[["low", "high"]].abs().min(axis=1)]
    decided = sum(value < 0.05 and far for value, far in zip(chance, decided, strict=True))  # as printed
    said = f"Of the {len(frame)} intervals of changes {decided} lie"
    assert said in answers["ablations"] and f"If all {count} intervals" in answers["ablations"]
    assert f"over seeds, {len(kept)} do." in answers["ablations"]
    shown = [(re.search(r"`(\w+)`", row[1])[1], row[2]) for row in rows(answers["ablations"])]
    assert shown == list(kept[["candidate", "variant"]].itertuples(index=False, name=None)) and shown


def test_claims_need_as_many_clips_as_shrink_the_interval_to_the_effect(answers, run):
    frame = pd.read_csv(run.claims)
    low, high = ((100 * frame[name]).round(2) for name in ("low", "high"))  # as printed
    undecided = frame[(low <= 0) & (high >= 0) & (low < high) & frame["clips"].notna()]
    over_sections = undecided["test"].str.startswith("standard deviation over sections")
    assert "Effects over sections are left out" in answers["claims"]
    undecided = undecided[~over_sections]  # each machine type has two sections, fewer than a verdict needs
    shown = rows(answers["claims"])
    assert len(shown) == len(undecided) > 0
    first, half = (
        undecided.iloc[0],
        float(re.search(r"half the width of its interval is ([\d.]+)", answers["claims"])[1]),
    )
    share = re.search(r"\(([\d.]+) / ([\d.]+)\)² = ([\d,.]+) times", answers["claims"])
    assert [half, 100 * abs(first.effect)] == pytest.approx([float(share[1]), float(share[2])], abs=0.006)
    assert f"here, {shown[0][3]}." in answers["claims"]
    for (_, _, clips, needed), item in zip(shown, undecided.itertuples(), strict=True):
        number, half, effect = int(needed.replace(",", "")), (item.high - item.low) / 2, max(abs(item.effect), 1e-6)
        every = re.match(r"fewer than (\d+) of \1 ", item.reason)  # of the leads must hold
        leads = int(every[1]) if every and item.effect < 0 else 1
        normal = statistics.NormalDist()
        half *= normal.inv_cdf(1 - 0.025 / leads) / normal.inv_cdf(0.975)  # what contradicts is the widened interval
        assert int(clips) == item.clips
        assert half * math.sqrt(item.clips / number) <= effect * (1 + 1e-9)
        assert number == 1 or half * math.sqrt(item.clips / (number - 1)) > effect * (1 - 1e-9)
