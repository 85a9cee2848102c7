"""What chapters say about the run is what its files say, computed here in another way, and holds for any run."""

import itertools
import json
import re
import statistics
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import synthetic_scores
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

BOOK = Path(__file__).resolve().parent.parent / "book"
sys.path[:0] = [str(BOOK)]

import ablation_tables  # noqa: E402
import ablation_words  # noqa: E402
import answers  # noqa: E402
import clips  # noqa: E402
import interval_by_hand  # noqa: E402
import missed  # noqa: E402
import mix_answers  # noqa: E402
import one_model_run  # noqa: E402
import paired  # noqa: E402
import schematics  # noqa: E402
import variants  # noqa: E402
import walk_through  # noqa: E402
import why  # noqa: E402
import without_words  # noqa: E402

from asdlib import ensemble, params  # noqa: E402
from asdlib.autoencoder.train import noam  # noqa: E402
from asdlib.errors import AsdError  # noqa: E402
from asdlib.evaluation import ablations, bootstrap, table1  # noqa: E402
from asdlib.evaluation.followed import choose  # noqa: E402
from asdlib.origin import BRANCHES  # noqa: E402
from asdlib.paths import Run  # noqa: E402
from asdlib.plots import ablations as plots  # noqa: E402
from asdlib.tables import read_table  # noqa: E402

VARIANTS = {"autoencoder": ["median", "l1"], "classifier": ["w50_mean", "mahalanobis"]}
MIX = "AE+BC ensemble (mix)"
CHAPTERS = {path.stem: path.read_text(encoding="utf-8") for path in BOOK.glob("*.md")}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Return settings and folder of a run on random scores, whose classifiers work by the Mahalanobis distance only."""
    settings = synthetic_scores.settings(
        tmp_path_factory.mktemp("runs"),
        evaluation={"bootstrap": 100},
        **{branch: {"scorer": {"variants": names}} for branch, names in VARIANTS.items()},
    )
    synthetic_scores.write_run(settings, seed=3, variants=list(itertools.chain(*VARIANTS.values())))
    run = Run.of(settings)
    for machine, branch, candidate in itertools.product(("fan", "valve"), VARIANTS, ("c0", "c1")):
        path = run.scores(branch, machine, candidate)
        frame = pd.read_csv(path, dtype={"section": str})
        frame = frame[frame["system"].str.rpartition("/")[2].isin(VARIANTS[branch])]
        anomaly = frame["label"] == "anomaly"
        frame.loc[anomaly & frame["system"].str.endswith("/mahalanobis"), "score"] += 2
        frame.loc[anomaly & frame["system"].str.endswith("/median"), "score"] *= 30  # a long tail
        frame.loc[(frame["domain"] == "target") & frame["system"].str.endswith("/l1"), "score"] += 2
        frame.to_csv(path, index=False)
    for machine in ("fan", "valve"):
        ensemble.run(settings, machine)
    table1.run(settings)
    return settings, run


def rows(text: str) -> list[list[str]]:
    """The cells of a Markdown table, without its heading; minus signs as Python reads them."""
    lines = [line.replace("−", "-") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines[2:]]


def figure(clips: pd.DataFrame, score: str = "score") -> float:
    """The harmonic mean of AUC and pAUC over sections by scikit-learn; within a section, halves are averaged."""
    values = []
    for _, section in clips.groupby("section"):
        for most in (None, 0.1):
            halves = [
                roc_auc_score(half["label"] == "anomaly", half[score], max_fpr=most)
                for _, half in section.groupby("fold" if "fold" in section else "section")
            ]
            values.append(statistics.mean(halves))
    return 100 * statistics.harmonic_mean(values)


def test_the_baselines_are_compared_with_their_sources_and_with_chance(done):
    settings, run = done
    text, official = answers.baselines(run, settings, "fan"), params.load("paper")
    for name in ("frame_autoencoder", "mobilenet"):
        here, source = getattr(settings, name).epochs, getattr(official, name).epochs
        assert re.search(rf"for {here} epochs? \(its source: {source}\)", text)
    table = pd.read_csv(run.table1, keep_default_na=False)
    row = table[(table["row"] == "Baseline (MobileNetV2)") & (table["selection"] == "") & (table["machine"] == "all")]
    for item in row[row["domain"].isin(["source", "target"])].astype({"low": float, "high": float}).itertuples():
        place = "above" if item.low > 0.5 else "below" if item.high < 0.5 else "cannot be told from"
        assert re.search(rf"{place} chance \([^)]*[\d.]+ % in the {item.domain} domain", text)


def test_chapters_say_in_short_what_the_run_shows(done):
    settings, run = done
    table = pd.read_csv(run.table1, keep_default_na=False).query("machine == 'all' and domain == 'all' and value != ''")
    table = table.set_index(["row", "selection"])[["value", "low", "high"]].astype(float)
    differences = read_table(run.differences)
    texts = {name: function(run, settings, "fan") for name, function in answers.ANSWERS.items() if "short" in name}
    best = re.search(r"\* \*(.*?)\* reaches most, ([\d.]+)", texts["short_baselines"])
    simple = table.loc[[(row, "") for row in ("Baseline (AE)", "Baseline (MobileNetV2)", "Mahalanobis")], "value"]
    assert float(best[2]) >= 100 * simple.max() - 0.006
    assert float(best[2]) == pytest.approx(100 * table.at[(best[1], ""), "value"], abs=0.006)
    for name, row in (("autoencoder", "AE"), ("classifier", "BC"), ("ensembles", MIX)):
        text = texts[f"short_{name}"]
        value, low, high = 100 * table.loc[(row, "fixed")]
        assert f"reaches {value:.2f} ({low:.2f} to {high:.2f})\N{NO-BREAK SPACE}%" in text
        place = "above chance" if low > 50 else "below chance" if high < 50 else "not to be told from chance"
        assert name == "ensembles" or f"which is {place}" in text
        *_, low, high = paired.paired(differences, (row, "fixed"), ("Mahalanobis", ""), "all", "all")
        words = "better than" if low > 0 else "worse than" if high < 0 else "not shown to be better or worse than"
        assert f"is {words} *Mahalanobis*" in text


def test_an_interval_is_read_on_ten_clips_that_are_drawn_again(done):
    settings, run = done
    text = interval_by_hand.page(run, settings, "fan", "00")
    ten = clips.ten_clips(run, "fan", "00")
    anomaly, normal = (ten.loc[ten["label"] == label, "mix"].to_numpy() for label in ("anomaly", "normal"))
    assert len(anomaly) == len(normal) == 5
    shown = rows(text)
    assert len(shown) == 3
    for _, *drawn, said in shown:
        one, other = (list(map(float, scores.split(", "))) for scores in drawn)
        assert set(one) <= {round(x, 2) for x in anomaly} and set(other) <= {round(x, 2) for x in normal}
        pairs = [float(a > b) + float(a == b) / 2 for a, b in itertools.product(one, other)]
        assert float(said) == pytest.approx(statistics.mean(pairs), abs=0.0006)
    areas = []
    for places in np.random.default_rng(settings.seed).integers(5, size=(1000, 2, 5)):
        pairs = itertools.product(anomaly[places[0]], normal[places[1]])
        areas.append(statistics.mean(float(a > b) + float(a == b) / 2 for a, b in pairs))
    low, high = np.percentile(areas, [2.5, 97.5])
    whole = statistics.mean(float(a > b) for a, b in itertools.product(anomaly, normal))
    assert f"written as {whole:.3f} ({low:.3f} to {high:.3f})" in text
    table = read_table(run.table1).set_index(["row", "selection", "machine", "domain"])
    value, low, high = 100 * table.loc[(MIX, "fixed", "all", "all"), ["value", "low", "high"]]
    assert text.startswith(f"## How to read {value:.2f} ({low:.2f} to {high:.2f})")
    lead = paired.paired(read_table(run.differences), (MIX, "fixed"), ("AE ensemble", "fixed"), "all", "all")
    words = {1: "shown to be better", -1: "shown to be worse", 0: "not shown to be better or worse"}
    assert f"points: {words[bootstrap.side(*lead[1:])]}.\n" in text


def test_the_curve_of_ten_clips_has_the_zone_of_pauc_and_its_height_in_words(done):
    _, run = done
    ten = clips.ten_clips(run, "fan", "00")
    figure = interval_by_hand.draw_roc(ten, 0.1)
    curve = figure.axes[0].get_lines()[1]
    highest = ten.loc[ten["label"] == "normal", "mix"].max()
    found = (ten.loc[ten["label"] == "anomaly", "mix"] > highest).mean()
    assert max(y for x, y in zip(*curve.get_data(), strict=True) if x == 0) == pytest.approx(found)
    assert f"it reaches {found:.1f}." in interval_by_hand.roc_page(ten, 0.1)
    assert figure.axes[0].patches[0].get_width() == pytest.approx(0.1)


def test_the_box_of_the_ensembles_has_the_cross_fitted_differences_too(done):
    settings, run = done
    text, differences = answers.ANSWERS["short_ensembles"](run, settings, "fan"), read_table(run.differences)
    line = next(line for line in text.splitlines() if line.startswith("* By *cross-fitted*"))
    for row in ("AE ensemble", "BC ensemble"):
        pair = (MIX, "cross-fitted"), (row, "cross-fitted")
        value, *ends = paired.paired(differences, *pair, "all", "all")
        words = {1: "is better than", -1: "is worse than", 0: "is not shown to be better or worse than"}
        number = f"{100 * value:+.2f}".replace("-", "−")
        assert f"{words[bootstrap.side(*ends)]} *{row}* ({number}" in line


def test_what_mix_gains_is_said_of_each_machine_type(done):
    settings, run = done
    text, differences = mix_answers.ensembles(run, settings, "fan"), read_table(run.differences)
    for machine in ("fan", "valve"):
        line = next(line for line in text.splitlines() if line.startswith(f"* {machine}: it "))
        for selection in ("development", "cross-fitted", "fixed"):
            sides = [
                bootstrap.side(*paired.paired(differences, (MIX, selection), (row, selection), machine, "all")[1:])
                for row in ("AE ensemble", "BC ensemble")
            ]
            words = "trails one" if min(sides) < 0 else "leads both" if min(sides) > 0 else "is not shown to lead both"
            part = next(part for part in line.split("; ") if f"*{selection}*" in part)
            assert words in part


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((-0.02, -0.004), "is 1.20 points worse (−2.00 to −0.40, ± 0.30 over seeds)"),
        ((-0.03, 0.006), "is not shown to differ (−1.20 (−3.00 to +0.60) points, ± 0.30 over seeds)"),
    ],
)
def test_what_training_without_a_part_does_is_said_by_its_sign(ends, words):
    item = pd.Series({"difference": -0.012, "low": ends[0], "high": ends[1], "difference_deviation": 0.003})
    assert without_words.words(item) == words
    flipped = item * [-1, -1, -1, 1]
    flipped[["low", "high"]] = flipped["high"], flipped["low"]
    assert without_words.words(flipped).startswith("is 1.20 points better" if ends[1] < 0 else "is not shown to differ")


def test_the_gap_between_domains_is_counted_in_pairs_of_clips(done):
    settings, run = done
    text = answers.autoencoder(run, settings, "fan")
    frame = pd.read_csv(run.scores("autoencoder", "fan", "c0"), dtype={"section": str})
    frame = frame[(frame["split"] == "test") & (frame["label"] == "normal")]
    narrower = 0
    for section, *cells in rows(text):
        gaps = []
        for name, (source, target, share) in zip(("l1", "median"), (cells[:3], cells[3:]), strict=True):
            part = frame[(frame["section"] == section) & (frame["system"] == f"autoencoder/c0/{name}")]
            both = [part.loc[part["domain"] == domain, "score"].tolist() for domain in ("source", "target")]
            above = statistics.mean(two > one for one, two in itertools.product(*both))
            assert share == f"{100 * above:.0f}"
            assert [float(source), float(target)] == pytest.approx(list(map(statistics.median, both)), abs=0.006)
            gaps.append(abs(above - 0.5))
        narrower += gaps[1] < gaps[0]
    assert len(rows(text)) == 2 == narrower, "the gap was put into the error, and not into the score"
    assert f"narrows the gap in {narrower} of 2 sections" in text and "widens it in 0" in text
    assert "On fan, the scorer narrows the gap in 2 of 2" in answers.ANSWERS["short_autoencoder"](run, settings, "fan")


def test_both_gaussians_are_compared_by_medians_of_normal_clips(done):
    _, run = done
    frame = pd.read_csv(run.scores("autoencoder", "fan", "c0"), dtype={"section": str})
    frame = frame[frame["system"] == "autoencoder/c0/median"]
    here = frame[(frame["label"] == "normal") & (frame["section"] == "01")]
    places = [("source", "test"), ("target", "train"), ("target", "test")]
    own = [here.loc[(here["domain"] == domain) & (here["split"] == split), "score"] for domain, split in places]
    assert why.gaussians(frame, "01") == pytest.approx([statistics.median(part) for part in own])


def test_the_median_anomaly_is_compared_with_normal_clips(done):
    settings, run = done
    text = why.median_clips(run, settings, "fan")
    frame = pd.read_csv(run.scores("autoencoder", "fan", "c0"), dtype={"section": str})
    here = frame[(frame["system"] == "autoencoder/c0/median") & (frame["section"] == "00")]
    here = here[(here["domain"] == "source") & (here["split"] == "test")]
    normal, anomaly = (sorted(here.loc[here["label"] == label, "score"]) for label in ("normal", "anomaly"))
    middle = anomaly[len(anomaly) // 2]
    above = sum(score >= middle for score in normal)
    assert f"scores {middle:.1f} nats" in text and f"{above} of {len(normal)} normal test clips" in text


def test_every_variant_and_candidate_is_explained():
    settings = params.load("paper")
    pages = variants.pages(settings)
    for branch in BRANCHES:
        named = re.findall(r"`(\w+)`", " ".join(row[0] for row in rows(pages[f"generated/variants_{branch}.md"])))
        assert sorted(named) == sorted(getattr(settings, branch).scorer.variants)
        listed = re.findall(r"^\* `(\w+)`", pages[f"generated/candidates_{branch}.md"], re.M)
        assert listed == list(getattr(settings, f"{branch}_candidates"))


def test_the_classifiers_scores_are_judged_by_their_intervals(done):
    settings, run = done
    text = answers.classifier(run, settings, "fan")
    frame = pd.read_csv(run.scores("classifier", "fan", "c0"), dtype={"section": str})
    for domain, *cells in rows(text):
        test = frame[(frame["split"] == "test") & (frame["domain"] == domain)]
        shown = [list(map(float, re.findall(r"[+-]?[\d.]+", cell))) for cell in cells]
        for name, (value, *_) in zip(VARIANTS["classifier"], shown, strict=False):
            assert value == pytest.approx(figure(test[test["system"] == f"classifier/c0/{name}"]), abs=0.006)
        line = next(line for line in text.splitlines() if line.startswith(f"* {domain}: "))
        assert shown[0][1] < 50 < shown[0][2] and "the paper's score cannot be told from chance" in line
        assert shown[1][1] > 50 and "the Mahalanobis distance lies above chance" in line
        assert shown[2][1] > 0 and line.endswith("is better than the paper's score.")
    assert len(rows(text)) == 2


def test_agreement_is_the_mean_within_and_between_branches(done):
    settings, run = done
    text = answers.agreement(run, settings, "fan")
    frame = pd.read_csv(run.system("ensemble", "fan") / "agreement.csv")
    means = {}
    for first, second, value in frame[["first", "second", "correlation"]].to_numpy():
        means.setdefault(frozenset({first.split("/")[0], second.split("/")[0]}), []).append(value)
    expected = {key: statistics.mean(values) for key, values in means.items()}
    apart = expected[frozenset({"autoencoder", "classifier"})]
    assert f"{apart:.2f} between" in text
    for branch, words in (("autoencoder", "two autoencoders"), ("classifier", "two classifiers")):
        assert f"{expected[frozenset({branch})]:.2f} for {words}" in text
        warmer = expected[frozenset({branch})] > apart
        assert warmer == ("both are higher" in text or words in text.partition("(higher: ")[2].partition(")")[0])


def test_mix_is_compared_with_its_branches_and_with_ranks(done):
    settings, run = done
    text = answers.ensembles(run, settings, "fan")
    frame = pd.read_csv(run.system("ensemble", "fan") / "scores.csv", dtype={"section": str}).fillna({"fold": ""})
    ahead, ranked = 0, {selection: [] for selection in ensemble.SELECTIONS}
    cells_of = rows(text.partition(":name: mix-and-branches")[2])
    for selection, domain, *cells in cells_of:
        part = frame[(frame["selection"] == selection) & (frame["domain"] == domain)]
        keys = ["section", "fold", "label", "clip", "split"]
        wide = part.assign(row=part["system"].str.rpartition("/")[2]).pivot(index=keys, columns="row", values="score")
        test = wide.reset_index().query("split == 'test'")
        values = [figure(test, name) for name in ("AE ensemble", "BC ensemble", MIX)]
        assert list(map(float, cells[:3])) == pytest.approx(values, abs=0.006)
        parts = [test["section"], test["fold"]]
        test["ranks"] = sum(test.groupby(parts)[name].transform(rankdata) for name in ("AE ensemble", "BC ensemble"))
        ranks = figure(test, "ranks")
        assert float(cells[4]) == pytest.approx(ranks, abs=0.006)
        assert float(cells[3].split()[0]) == pytest.approx(values[2] - max(values[:2]), abs=0.006)
        ahead += values[2] > max(values[:2])
        ranked[selection].append(ranks > values[2])
        if selection == "development":  # normalised by the test clips
            for name, spread in zip(("AE ensemble", "BC ensemble"), cells[5:], strict=True):
                scaled = test.groupby("section")[name].transform(lambda own: (own - own.mean()) / own.std(ddof=0))
                normal = scaled[test["label"] == "normal"].groupby(test["section"])
                width = (normal.quantile(0.75) - normal.quantile(0.25)).mean()
                assert float(spread) == pytest.approx(width, abs=0.006)
    assert len(cells_of) == 6 and f"on fan in {ahead} of 6 selections and domains" in text
    assert ", ".join(f"{sum(found)} of {len(found)} cells by *{name}*" for name, found in ranked.items()) in text
    assert re.search(r"clips of the BC ensemble spread \d+\.\d times", text), "the autoencoders have a long tail"
    behind = [row for row in cells_of if float(row[5].split()[0]) < 0]
    by_mix, by_ranks = (
        statistics.mean(max(float(row[2]), float(row[3])) - float(row[place]) for row in behind) for place in (4, 6)
    )
    assert f"it is {by_mix:.1f} points behind on average, and the mean of ranks {by_ranks:.1f}" in text
    assert f"**In this run {'equal weights' if by_ranks > by_mix / 2 else 'different spreads'} cost more" in text


def test_mix_is_shown_by_machine_type_next_to_its_branches(done):
    settings, run = done
    text = answers.ensembles(run, settings, "fan").partition("*mix* need not lead")[2].partition("\n:::\n")[0]
    table = pd.read_csv(run.table1, keep_default_na=False)
    table = table[(table["selection"] == "fixed") & (table["value"] != "")].set_index(["machine", "domain", "row"])
    *cells, total = rows(text)
    assert [row[:2] for row in cells] == [
        list(pair) for pair in itertools.product(("fan", "valve"), ("source", "target"))
    ]
    names, best = ("AE ensemble", "BC ensemble", MIX), []
    for machine, domain, *values, lead in [*cells, total]:
        expected = [100 * float(table.at[(machine, domain, name), "value"]) for name in names]
        assert list(map(float, values)) == pytest.approx(expected, abs=0.006)
        assert float(lead.split()[0]) == pytest.approx(expected[2] - max(expected[:2]), abs=0.006)
        best.append(expected[0] > expected[1])
    assert f"better one in {sum(best[:-1])} of {len(cells)} cells" in text


def test_mix_without_labels_is_compared_with_the_cross_fitted_one_on_the_same_halves(done):
    settings, run = done
    frame = pd.read_csv(run.system("ensemble", "fan") / "scores.csv", dtype={"section": str})
    frame = frame[(frame["split"] == "test") & frame["system"].str.endswith(f"/{MIX}")]
    half = frame[frame["selection"] == "cross-fitted"].set_index("clip")["fold"]
    frame = frame.assign(fold=frame["clip"].map(half))
    words = answers.ensembles(run, settings, "fan").partition("By *fixed*, *mix* differs")[2].partition("\n")[0]
    for domain in ("source", "target"):
        parts = [
            frame[(frame["selection"] == name) & (frame["domain"] == domain)] for name in ("fixed", "cross-fitted")
        ]
        fixed, crossed = (figure(part, "score") for part in parts)
        shown = re.search(rf"(\S+) points in the {domain}", words)[1].replace("−", "-")
        assert float(shown) == pytest.approx(fixed - crossed, abs=0.006)


def test_mix_is_compared_over_all_machine_types_by_each_selection(done):
    settings, run = done
    text = answers.ensembles(run, settings, "fan")
    table = pd.read_csv(run.table1, keep_default_na=False)
    whole = table[(table["machine"] == "all") & (table["domain"] == "all")].set_index(["row", "selection"])["value"]
    listed = rows(text.partition(":name: mix-over-machines")[2].partition(":::")[0])
    assert [row[0] for row in listed] == ["development", "cross-fitted", "fixed"]
    for selection, *leads, said in listed:
        shown = [float(part.split()[0]) for part in leads]
        own = float(whole[MIX, selection])
        expected = [100 * (own - float(whole[other, selection])) for other in ("AE ensemble", "BC ensemble")]
        assert shown == pytest.approx(expected, abs=0.006)
        bounds = [[float(number) for number in re.findall(r"[-+]?\d+\.\d+", part)[1:]] for part in leads]
        verdict = "leads both" if min(low for low, _ in bounds) > 0 else "trails one of them" if min(
            high for _, high in bounds) < 0 else "undecided"  # fmt: skip
        assert said == verdict, (selection, bounds)
        named = {"leads both": "lead both of its ensembles by ", "trails one of them": "trail one of them by "}
        if said in named:
            assert f"*{selection}*" in text.partition(named[said])[2].partition(".")[0]
    assert "cannot compare" in mix_answers._over_machines(read_table(run.differences).iloc[:0])


def test_every_part_ranks_the_followed_clips_among_the_normal_ones(done, monkeypatch):
    settings, run = done
    wide, chosen = choose(read_table(run.scores("ensemble", "fan")))
    assert set(wide["section"]) == {"00"} and set(wide["domain"]) == {"source"}
    anomalies = wide.loc[wide["label"] == "anomaly", MIX]
    assert chosen["missed"][MIX] == anomalies.min() and chosen["found"][MIX] == anomalies.max()
    number = pd.Series(range(len(wide)), wide["clip"], dtype=float)
    plain = pd.DataFrame({"mean spectrum": number, "oddest moment": -number})
    monkeypatch.setattr(missed, "deviations", lambda *given: plain)
    clips = [clip["clip"] for clip in chosen.values()]
    ranks = missed.by_part(run, settings, "fan", wide, clips).set_index(["place", "name"])
    frame = pd.read_csv(run.scores("classifier", "fan", next(iter(settings.classifier_candidates))))
    score = frame[frame["system"].str.endswith("/mahalanobis")].set_index("clip")["score"]
    normal = wide.loc[wide["label"] == "normal", "clip"].tolist()
    for clip in clips:
        for key, values in (
            (("embedding", "mahalanobis"), score),
            (("combination", "mix"), wide.set_index("clip")[MIX]),
            (("sound", "mean spectrum"), number),
        ):
            assert ranks.at[key, clip] == statistics.mean(float(values[other] < values[clip]) for other in normal)
    assert ranks.index.get_level_values("place").drop_duplicates().tolist() == list(missed.PLACES)


def test_the_walk_through_computes_mix_from_the_score_tables(done, monkeypatch):
    settings, run = done
    monkeypatch.setattr(walk_through, "_frames", lambda *given: "")
    _, chosen = choose(read_table(run.scores("ensemble", "fan")))
    table = rows(walk_through.walk_through(run, settings, "fan"))
    clips = [chosen[word][MIX] for word in ("found", "normal", "missed")]
    assert [float(table[-3][place]) for place in (4, 5, 6)] == pytest.approx(clips, abs=0.006)
    alarms = pd.read_csv(run.false_alarms, dtype={"section": str}).query("row == @MIX and machine == 'fan'")
    limit = alarms.query("section == '00' and domain == 'source'")["threshold"].item()
    assert [float(cell) for cell in table[-2][4:]] == pytest.approx([limit] * 3, abs=0.006)
    words = [("missed", "found"), ("quiet", "false alarm"), ("missed", "found")]
    assert table[-1][4:] == [pair[int(score > limit)] for pair, score in zip(words, clips, strict=True)]
    scores = pd.read_csv(run.scores("autoencoder", "fan", "c0"), dtype={"section": str})
    here = scores[(scores["system"] == "autoencoder/c0/median") & (scores["section"] == "00")]
    here = here[here["domain"] == "source"]
    held_out = here.loc[here["split"] == "train", "score"]
    found = here.loc[(here["split"] == "test") & (here["clip"] == chosen["found"]["clip"]), "score"].item()
    expected = [held_out.mean(), held_out.std(ddof=0), found, (found - held_out.mean()) / held_out.std(ddof=0)]
    assert [float(number) for number in table[0][1:5]] == pytest.approx(expected, abs=0.006)
    broken = run.scores("ensemble", "fan")
    text = broken.read_text(encoding="utf-8")
    frame = pd.read_csv(broken, dtype=str, keep_default_na=False)
    mix = frame["system"] == f"ensemble/fixed/{MIX}"
    frame.loc[mix, "score"] = (frame.loc[mix, "score"].astype(float) + 1).astype(str)
    frame.to_csv(broken, index=False)
    with pytest.raises(AsdError, match="make reproduce"):
        walk_through.walk_through(run, settings, "fan")
    broken.write_text(text, encoding="utf-8")


def test_masked_copies_are_shown_by_their_difference_from_the_usual_number():
    folder = BOOK / "results" / "ablations"
    frame = pd.read_csv(folder / "ablations.csv").fillna({"change": ""})
    shown = ablation_tables.by_copies(frame, ablation_tables.usual_copies(folder)).set_index(["variant", "copies"])
    assert shown.loc[("median", 5)].tolist() == [0, 0, 0]
    single = frame[(frame["candidate"] == "copies_1") & (frame["domain"] == "all") & (frame["variant"] == "median")]
    assert shown.loc[("median", 1)].tolist() == single[["difference", "low", "high"]].iloc[0].tolist()
    lines = plots.copies(shown.reset_index()).axes[0].lines
    assert lines[0].get_ydata() == pytest.approx(100 * shown.loc["median", "difference"].sort_index().to_numpy())


def test_answers_say_what_a_run_lacks(done):
    settings, run = done
    changed = params.merge(settings.resolved(), {"classifier": {"scorer": {"variants": ["w50_mean"]}}})
    short = params.Settings.model_validate(changed)
    assert "no Mahalanobis distance" in answers.classifier(run, short, "fan")
    nothing = pd.DataFrame(columns=["row", "machine", "domain", "selection", "value", "low", "high"])
    assert one_model_run.reached(nothing, pd.DataFrame()) == one_model_run.ABSENT


def test_every_answer_is_in_a_chapter():
    included = re.findall(r"\{include\} generated/answer_(\w+)\.md", "".join(CHAPTERS.values()))
    assert sorted(included) == sorted(answers.ANSWERS)


# The one network ------------------------------------------------------------------------------------------------------
def test_differences_are_found_in_either_order(done):
    _, run = done
    frame = read_table(run.differences)
    first = frame[(frame["machine"] == "all") & (frame["domain"] == "all")].iloc[0]
    one, other = (first["row"], first["selection"]), (first["than"], first["than_selection"])
    found = paired.paired(frame, one, other, "all", "all")
    assert found == tuple(first[["difference", "low", "high"]])
    assert paired.paired(frame, other, one, "all", "all") == (-found[0], -found[2], -found[1])
    assert np.isnan(paired.paired(frame, one, ("no such row", ""), "all", "all")).all()


def test_what_the_one_network_reaches_is_judged_by_paired_intervals(done):
    _, run = done
    frame = read_table(run.table1)
    text = one_model_run.reached(frame, read_table(run.differences))
    whole = frame[(frame["machine"] == "all") & (frame["domain"] == "all")].set_index(["row", "selection"])["value"]
    own = float(whole["Integrated", ""])
    words = {words: float(whole[key]) for key, words in one_model_run.OTHERS.items()}
    shown = rows(text)[1:]
    assert [row[0] for row in shown] == list(words)
    for name, value, less in shown:
        assert float(value.split()[0]) == pytest.approx(100 * words[name], abs=0.006)
        difference, low, high = map(float, re.findall(r"[+-]?[\d.]+", less))
        place = "better than" if low > 0 else "worse than" if high < 0 else "neither shown to be better nor worse than"
        assert name in next(line for line in text.splitlines() if line.startswith(f"* {place}")), less
        if "cross-fitted" not in name:  # a mean over halves there
            assert difference == pytest.approx(100 * (own - words[name]), abs=0.006)


def test_the_networks_of_the_ensemble_are_counted_with_their_parameters(done):
    settings, run = done
    nothing = one_model_run.sizes(run, settings, ["fan"])
    assert one_model_run.replaced(nothing) == one_model_run.ABSENT, "nothing was trained"

    def train(folder: Path, parameters: int, *files: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "record.json").write_text(json.dumps({"parameters": parameters}), encoding="utf-8")
        for file in files:
            (folder / file).touch()

    train(run.system("integrated", "fan"), 50, "model.safetensors")
    train(run.system("autoencoder", "fan", "c0"), 100, "model.safetensors", "scorers.safetensors")
    for section in ("00", "01"):
        train(run.system("classifier", "fan", "c0", section), 1000, "source.safetensors", "target.safetensors")
    text = one_model_run.replaced(one_model_run.sizes(run, settings, ["fan", "valve"]))
    assert rows(text) == [["fan", "1", "100", "4", "4,000", "4,100", "50", "82.0"]], "c1 is the same network as c0"
    assert "The classifiers hold 98 % of the ensemble's parameters." in text


# Ablations ------------------------------------------------------------------------------------------------------------
def test_ablations_show_the_reference_every_difference_and_what_is_decided():
    folder = BOOK / "results" / "ablations"
    pages = ablation_tables.pages(folder)
    frame = pd.read_csv(folder / "ablations.csv").fillna({"change": ""})
    everything = frame[frame["domain"] == "all"]
    shown = {row[1].replace("`", ""): row for row in rows(pages["generated/ablations.md"]) if len(row) == 7}
    for item in everything.itertuples():
        row = shown[f"{item.candidate}, {item.variant}"]
        assert row[2] == f"{100 * item.value:.2f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{100 * item.deviation:.2f}"
        if item.than == f"{item.candidate}/{item.variant}":
            assert row[5] == "–", "what the others are compared with"
            continue
        assert row[5].split()[0] == re.sub(r"^[+-](?=0\.00$)", "", f"{100 * item.difference:+.2f}")
        reference = shown[item.than.replace("/", ", ")]
        value = float(reference[2].split()[0])
        assert 100 * (item.value - item.difference) == pytest.approx(value, abs=0.006), "the reference has a row"
    decided = {}
    for item in everything[everything["change"] != ""].itertuples():
        sign = (round(100 * item.low, 2) > 0) - (round(100 * item.high, 2) < 0)
        decided.setdefault((item.branch, item.candidate), []).append(sign)
    lines = re.findall(r"^\* (Shown.*(?:\n  \* .*)*)$", pages["generated/ablations_verdict.md"], re.M)
    for kind, line in zip(("lose", "gain", "depend", "undecided") * 2, lines, strict=True):
        branch = "autoencoder" if lines.index(line) < 4 else "classifier"
        own = {name: signs for (where, name), signs in decided.items() if where == branch}
        sets = {
            "lose": [name for name, signs in own.items() if set(signs) == {-1}],
            "gain": [name for name, signs in own.items() if set(signs) == {1}],
            "undecided": [name for name, signs in own.items() if set(signs) == {0}],
        }
        sets["depend"] = [name for name, signs in own.items() if len(set(signs)) > 1]
        if kind == "undecided":
            assert f"by neither score: {len(sets[kind])} of {len(own)} changes" in line
        else:
            listed = line.partition(":")[2].strip()
            assert re.findall(r"\(`(\w+)`:", listed) == sets[kind] and (listed == "none.") == (not sets[kind])
    largest, changed = pages["generated/ablations_largest.md"], everything[everything["change"] != ""]
    count = int((everything["low"] < everything["high"]).sum())
    for branch, part in changed.groupby("branch"):
        for noun, sign in (("gain", 1), ("loss", -1)):
            item = part.loc[(sign * part["difference"]).idxmax()]
            spread = (item["high"] - item["low"]) / 2 / statistics.NormalDist().inv_cdf(0.975)
            chance = 2 * statistics.NormalDist().cdf(-abs(item["low"] + item["high"]) / 2 / spread)
            size = f"{100 * abs(item['difference']):.2f}"
            words = rf"he largest {noun} of the {branch} is by [^;]*`{item['variant']}` .{size} [^;]*; it "
            survives = chance < 0.05 / count and abs(item["difference"]) > item["difference_deviation"]
            assert re.search(words + ("survives" if survives else "does not survive"), largest)
    masking = pages["generated/ablations_masking.md"]
    for candidate, what in (("no_masking", "without it"), ("no_specaugment", "without masks in training, too")):
        for item in everything[everything["candidate"] == candidate].itertuples():
            word = "loses" if item.low > 0 else "gains" if item.high < 0 else "neither"
            assert re.search(rf"\*{item.variant}\*: {what}.*{100 * abs(item.difference):.2f} .*{word}", masking)


def test_the_reference_has_the_deviation_of_its_own_row_or_of_a_candidate_that_equals_it():
    one = {"branch": "classifier", "domain": "all", "change": "", "seeds": 3, "low": 0.0, "high": 0.0}
    own = {"candidate": "base", "variant": "w50_mean", "than": "base/w50_mean", "value": 0.6, "deviation": 0.02}
    equal = {"candidate": "c1", "variant": "w50_mean", "than": "base/w50_mean", "value": 0.6, "deviation": 0.02}
    other = {"candidate": "c2", "variant": "w50_mean", "than": "base/w50_mean", "value": 0.7, "deviation": 0.05}
    none, some = {"difference": 0.0, "difference_deviation": 0.0}, {"difference": 0.1, "difference_deviation": 0.01}
    for first in (own, equal):
        frame = pd.DataFrame([one | other | some, one | first | none])
        assert ablation_tables._references(frame)["w50_mean"] == pytest.approx((0.6, 0.02))
    assert np.isnan(ablation_tables._references(pd.DataFrame([one | other | some]))["w50_mean"][1])


def test_every_change_and_score_of_the_ablations_has_words():
    stored = pd.read_csv(BOOK / "results" / "ablations" / "ablations.csv").fillna({"change": ""})
    settings = params.load("ablations")
    changes = dict(stored.loc[stored["change"] != "", ["candidate", "change"]].itertuples(index=False, name=None))
    for branch in BRANCHES:
        base, *others = getattr(settings, f"{branch}_candidates")
        changes |= {name: ablations.change(settings, branch, name) for name in others}
        variants = {*settings.candidate(branch, base).scorer.variants, *stored["variant"]}
        assert variants <= ablation_words.SCORES.keys()
    words = [ablation_words.change_in_words(*item) for item in changes.items()]
    assert len(set(words)) == len(words) and not any("{" in text for text in words)
    assert set(changes) == ablation_words.CHANGES.keys(), "words for nothing"


def test_the_figure_of_the_ablations_has_both_scores_in_a_row_and_two_lines_per_label():
    stored = pd.read_csv(BOOK / "results" / "ablations" / "ablations.csv").fillna({"change": ""})
    part = stored[(stored["domain"] == "all") & (stored["branch"] == "classifier")]
    words = [ablation_words.row_in_words(item.candidate, item.variant, item.change) for item in part.itertuples()]
    figure = plots.ablations(part.assign(words=words))
    scores, settings = figure.axes
    assert len(scores.get_yticks()) == (part["change"] == "").sum()
    assert len(settings.get_yticks()) == part.loc[part["change"] != "", "candidate"].nunique()
    assert all(label.get_text().count("\n") < 2 for axis in figure.axes for label in axis.get_yticklabels())
    filled = [line.get_markerfacecolor() != "white" for line in settings.lines if line.get_marker() in "os"]
    assert sum(filled) == len(filled) / 2, "a mark of the paper's score and one of ours per row"


@pytest.mark.parametrize("profile", ["demo", "paper", "quick"])
@pytest.mark.parametrize("name", schematics.DIAGRAMS)
def test_the_text_of_a_schematic_lies_in_its_boxes(name, profile):
    picture = schematics.figure(schematics.DIAGRAMS[name](params.load(profile)))
    picture.canvas.draw()
    axes = picture.axes[0]
    boxes = [patch.get_window_extent() for patch in axes.patches]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    texts = [text for text in axes.texts if text.get_text()]
    for text in texts:
        own = text.get_window_extent()
        assert any(box.x0 < own.x0 and own.x1 < box.x1 and box.y0 < own.y0 and own.y1 < box.y1 for box in boxes), (
            text.get_text()
        )
    extents = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(extents, 2))
    assert picture.bbox.width >= max(box.x1 for box in boxes) and min(box.x0 for box in boxes) >= 0
    schematics.plt.close(picture)


def test_the_numbers_of_schematics_are_settings():
    settings = params.load("paper")
    before = {name: str(rows(settings)) for name, rows in schematics.DIAGRAMS.items()}
    changes = {
        "autoencoder": {"model": {"latent": 77}, "scorer": {"copies": 1}, "features": {"n_mels": 93}},
        "classifier": {"model": {"backbone": "mixnet_x"}, "images": {"windows": 23}},
        "integrated": {"model": {"embedding": 91}, "training": {"shares": {"ddcsad": 0}}},
    }
    settings = params.load("paper", changes)
    after = {name: str(rows(settings)) for name, rows in schematics.DIAGRAMS.items()}
    assert "77 units" in after["autoencoder"] and "'1 copy," in after["autoencoder"]
    assert all(words in after["method"] for words in ("93 mel bands", "1 masked copy", "23 windows"))
    assert "mixnet_x" in after["classifier"] and "23 waveforms" in after["classifier"]
    assert "91 units" in after["integrated"] and "DDCSAD" in before["integrated"]
    assert "DDCSAD" not in after["integrated"]


def test_schematics_have_an_opaque_background_and_the_same_bytes_again(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        schematics.draw(params.load("demo"), tmp_path / folder)
    for name in schematics.DIAGRAMS:
        text = (tmp_path / "one" / f"schematic_{name}.svg").read_text()
        assert text == (tmp_path / "two" / f"schematic_{name}.svg").read_text()
        patch = ElementTree.fromstring(text).find(".//*[@id='patch_1']/*")
        assert "fill: #ffffff" in patch.get("style") and "opacity" not in patch.get("style")
        assert f"{{figure}} generated/schematic_{name}.svg" in "".join(CHAPTERS.values())


# Equations ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("channels", "warmup", "steps", "cooldown"), [(64, 40, 200, 0.5), (128, 100, 1000, 0.25)])
def test_the_equation_of_the_learning_rate_gives_the_one_of_the_training(channels, warmup, steps, cooldown):
    for latex in (
        r"r(i) &= r_0 \, C^{-1/2} \, g(i) \, h(i) \\",
        r"g(i) &= \min \left( i^{-1/2}, \, i \, V^{-3/2} \right) \\",
        r"h(i) &= \min \left( \frac{N + 1 - i}{c N}, \, 1 \right)",
    ):
        assert f"\n{latex}\n" in CHAPTERS["autoencoder"]
    factor = noam(channels, warmup, steps, cooldown)
    for i in (1, warmup, steps // 2, steps - 1, steps):
        rise = channels**-0.5 * min(i**-0.5, i * warmup**-1.5)
        assert factor(i - 1) == pytest.approx(rise * min((steps + 1 - i) / (cooldown * steps), 1))
