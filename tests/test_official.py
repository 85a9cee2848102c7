"""Test the challenge's files, decisions and commands against published results of real systems, and by round trips."""

import itertools
import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import synthetic_scores
from scipy import stats
from sklearn.metrics import roc_auc_score

from asdlib import ensemble, scores
from asdlib.__main__ import main
from asdlib.challenge import export, files, results
from asdlib.challenge.combine import combine
from asdlib.challenge.evaluate import evaluate
from asdlib.errors import ScoreError
from asdlib.evaluation import decision, empirical

pytestmark = pytest.mark.slow

SYSTEMS = ["official_ae_rerun", "mobilenet_lof", "mobilenet_nfft2048"]
UNIT = ["machine", "section", "domain"]


def decided(folder):
    """Read a folder's scores and decisions into one frame."""
    return files.read([folder]).frame.merge(files.read([folder], "decision").frame)


# Real scores ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_published_figure_of_three_real_systems(realdata, tmp_path, system):
    """Compare AUC, pAUC, precision, recall, F1 score of all 42 sets and their means with the published results."""
    folder = realdata / "dcase2021_scores" / system
    frame = decided(folder)
    sizes = frame.groupby(UNIT).size()
    assert len(sizes) == 42 and sizes.min() == 198 and sizes.max() == 300
    mine, published = results.figures(frame), synthetic_scores.read_result(folder / "result.csv")
    pd.testing.assert_frame_equal(mine, published, rtol=0, atol=1e-12)
    results.write(mine, tmp_path / "result.csv")
    lines = [(tmp_path / "result.csv").read_text().splitlines(), (folder / "result.csv").read_text().splitlines()]
    assert len(lines[0]) == len(lines[1])
    for one, other in zip(*lines, strict=True):  # the same words, and numbers to the last digit or two
        for a, b in zip(one.split(","), other.split(","), strict=True):
            assert a == b or float(a) == pytest.approx(float(b), abs=1e-12)


def test_the_official_autoencoder_gives_the_papers_first_row(realdata, root):
    """Compare with METHOD, section 0, and with the copy of these figures in the book."""
    started = time.perf_counter()
    result = evaluate([realdata / "dcase2021_scores" / "official_ae_rerun"])
    assert time.perf_counter() - started < 3
    expected = [58.92, 54.76, 63.74, 51.91, 59.63, 56.36, 56.44, 61.05, 63.97, 54.45, 67.51, 55.94, 52.38, 51.58]
    assert [round(100 * cell["value"], 2) for cell in result["cells"]] == expected
    assert round(100 * result["official_score"], 2) == 57.39
    kept = pd.read_csv(root / "book" / "results" / "official_ae_rerun.csv", dtype={"section": str})
    pd.testing.assert_frame_equal(pd.DataFrame(result["sections"]), kept, rtol=0, atol=1e-12)


def test_strangers_scores_can_be_combined(realdata, tmp_path):
    folders = [realdata / "dcase2021_scores" / system for system in SYSTEMS]
    figures = {}
    for normalise, by in [("test", "average"), ("test", "ranking"), ("rank", "average"), ("rank", "maximum")]:
        combine(folders, normalise, by, tmp_path / by / normalise)
        figures[normalise, by] = evaluate([tmp_path / by / normalise])["official_score"]
    assert len(list((tmp_path / "average" / "test").iterdir())) == 42
    assert figures["test", "ranking"] == pytest.approx(figures["rank", "average"], abs=1e-12)
    one = files.read([tmp_path / "average" / "test"]).frame.set_index([*UNIT, "clip"])["score"]
    parts = [files.read([folder]).frame.set_index([*UNIT, "clip"])["score"].groupby(UNIT) for folder in folders]
    expected = sum((part.transform(stats.zscore) for part in parts[1:]), parts[0].transform(stats.zscore)) / 3
    assert one.to_numpy() == pytest.approx(expected.reindex(one.index).to_numpy(), abs=1e-9)


def test_ground_truth_labels_the_evaluation_sections(realdata, tmp_path):
    truth = realdata / "dcase2021_ground_truth"
    generator, labels, values = np.random.default_rng(0), [], []
    for section in ("03", "04"):
        known = pd.read_csv(truth / f"ground_truth_fan_section_{section}_source_test.csv", header=None)
        known[2] = generator.normal(size=len(known)) + known[1]
        name = f"anomaly_score_fan_section_{section}_source_test.csv"
        known[[0, 2]].to_csv(tmp_path / name, header=False, index=False)
        labels.append(known[1])
        values.append(known[2])
    with pytest.raises(ScoreError, match="ground truth"):
        evaluate([tmp_path])
    result = evaluate([tmp_path, truth])
    assert [row["section"] for row in result["sections"]] == ["03", "04"]
    for row, label, value in zip(result["sections"], labels, values, strict=True):
        assert row["auc"] == pytest.approx(roc_auc_score(label, value), abs=1e-12)


# In circles -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def run(tmp_path):
    """Return the folder of a run on random scores with finished ensembles."""
    run_settings = synthetic_scores.settings(tmp_path / "runs", ["fan"], candidates=1)
    synthetic_scores.write_run(run_settings, shift=1.5)
    ensemble.run(run_settings, "fan")
    return tmp_path / "runs" / "test"


def test_export_and_import_give_the_scores_back(run, tmp_path):
    folders = export.export(run, tmp_path / "out")
    names = {folder.name for folder in folders}
    assert {
        "frame_autoencoder",
        "mobilenet",
        "mahalanobis",
        "fixed_AE_ensemble",
        "development_AE_BC_ensemble_max",
    } < names
    assert not any("cross" in name for name in names) and "fixed_AE_BC_ensemble_max" not in names
    table = scores.read(run / "mobilenet" / "fan" / "scores.csv")
    keys = [*UNIT, "clip", "label"]
    there = table[table["split"] == "test"].set_index(keys)["score"].sort_index()
    back = files.read([tmp_path / "out" / "mobilenet"]).frame.set_index(keys)["score"].sort_index()
    pd.testing.assert_series_equal(back, there, rtol=1e-15)
    lines = (tmp_path / "out" / "mobilenet" / "anomaly_score_fan_section_00_source_test.csv").read_bytes().split(b"\n")
    assert lines[-1] == b"" and len(lines) == 61 and b"\r" not in b"".join(lines) and lines[:-1] == sorted(lines[:-1])
    for folder in folders:
        mine = results.figures(decided(folder))
        pd.testing.assert_frame_equal(synthetic_scores.read_result(folder / "result.csv"), mine, rtol=1e-12)
    # the decisions are those of the official threshold
    limit = decision.fit_gamma(table.loc[table["split"] == "train", "score"].to_numpy())[0]
    frame = decided(tmp_path / "out" / "mobilenet")
    assert ((frame["score"] > limit) == (frame["decision"] == 1)).all()


def test_a_score_table_is_as_good_as_official_files(run, tmp_path):
    export.export(run, tmp_path / "out")
    table = evaluate([run / "mahalanobis" / "fan" / "scores.csv"])
    folder = evaluate([tmp_path / "out" / "mahalanobis"])
    assert table == folder
    both = evaluate([tmp_path / "out" / "mahalanobis", tmp_path / "out" / "mobilenet"])
    assert both["systems"]["mahalanobis"] == folder and set(both["systems"]) == {"mahalanobis", "mobilenet"}
    parts = sorted((tmp_path / "out" / "mahalanobis").glob("anomaly_score_*.csv"))
    assert evaluate(parts) == folder  # files passed one by one are still one system
    assert evaluate((tmp_path / "out" / "mahalanobis").iterdir()) == folder  # as a shell's asterisk gives them


def test_combining_by_training_scores_needs_training_scores(run, tmp_path):
    tables = [run / system / "fan" / "scores.csv" for system in ("mobilenet", "mahalanobis")]
    result = combine(tables, "train", "median", tmp_path / "out")
    assert set(result["split"]) == {"train", "test"}
    export.export(run, tmp_path / "official")
    with pytest.raises(ScoreError, match="no scored training clips"):
        combine([tmp_path / "official" / s for s in ("mobilenet", "mahalanobis")], "train", "median", tmp_path)
    with pytest.raises(ScoreError, match="only system"):
        combine(tables[:1] * 2, "test", "average", tmp_path / "out")


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "the file is empty"),
        ("clip,score\n", "the file is empty"),
        ("a_normal_0.wav,1.0\nb_anomaly_0.wav,nan\n", "line 2: found 'b_anomaly_0.wav,nan'"),
        ("a_normal_0.wav,1.0,2.0\n", "found 'a_normal_0.wav,1.0,2.0'"),
        ("a_normal_0.wav 1,0 x\n", "expected a file name and a finite number"),
        ("a_normal_0.wav;999\nb_anomaly_0.wav;1,000\n", "line 2: found 'b_anomaly_0.wav,1,000'"),
        ('a_normal_0.wav,999\nb_anomaly_0.wav,"1,000"\n', "line 2: found 'b_anomaly_0.wav,1,000'"),
        ('"' + "a_normal_0.wav,1.0\n" * 10_000, "more than one score"),
        ("\x00\x01\ufffd" * 1000 + "\n", "..."),
        ("a_normal_0.wav,1.0\na_normal_0.wav,2.0\n", "more than one score"),
        ("a_normal_0.wav,1.0\r\n\r\nb_normal_0.wav,2.0\r\n", "normal clips only (2)"),
    ],
)
def test_a_broken_file_is_named(tmp_path, text, words):
    file = tmp_path / "anomaly_score_fan_section_00_source_test.csv"
    file.write_bytes(text.encode())
    with pytest.raises((ScoreError, ScoreError, ScoreError)) as info:
        evaluate([file])
    assert words in str(info.value)


def test_other_files_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(ScoreError, match="expected"):
            evaluate([path])
    (tmp_path / "x.csv").write_text("")
    with pytest.raises(ScoreError, match=r"x\.csv: not a score table"):
        evaluate([tmp_path / "x.csv"])
    with pytest.raises(ScoreError, match="make reproduce"):
        export.export(tmp_path, tmp_path / "out")


# Decisions ------------------------------------------------------------------------------------------------------------
def test_the_gamma_threshold_is_the_distributions_quantile():
    known = stats.gamma(a=4, loc=2, scale=3)
    drawn = known.rvs(5000, random_state=0)
    assert decision.fit_gamma(drawn, 0.9)[0] == pytest.approx(known.ppf(0.9), rel=0.02)
    with pytest.raises(ScoreError, match="all equal"):
        decision.fit_gamma(np.ones(5))[0]
    for odd in (np.nan, np.inf):
        with pytest.raises(ScoreError, match="NaN or infinity; expected finite numbers"):
            decision.fit_gamma(np.append(drawn, odd))
    for unit in (1e-310, 1e-200, 1e200, 1e306):  # of log-likelihoods, energies, ...: the unit changes nothing else
        threshold, method = decision.fit_gamma(unit * drawn)
        assert method == "maximum likelihood" and threshold / unit == pytest.approx(known.ppf(0.9), rel=0.02)


def test_one_loud_clip_does_not_move_the_gamma_threshold():
    """One of 1,000 clips, however loud, moves the threshold by at most the stated part of the standard deviation."""
    generator = np.random.default_rng(0)
    for drawn in (generator.gamma(4, 3, 999), generator.normal(size=999), generator.lognormal(1, 0.6, 999)):
        still = decision.fit_gamma(drawn)[0]
        for loud in (drawn.max() + 20 * drawn.std(), 1e6, -1e6, 1e300):
            moved = abs(decision.fit_gamma(np.append(drawn, loud))[0] - still)
            assert moved < 0.1 * drawn.std(), loud


@pytest.mark.parametrize("year", [2021, 2022])
def test_one_clip_does_not_move_the_gamma_threshold_of_real_scores(realdata, year):
    """Scores of real normal clips, whose likelihood often has several maxima; the clip is quiet, unusual or loud."""
    folder = realdata / {2021: "dcase2021_scores", 2022: "dcase2022_development"}[year]
    worst = 0
    for system in sorted(folder.iterdir())[:6]:
        for machine in ("ToyTrain", "fan", "gearbox", "slider"):
            tables = [pd.read_csv(path, header=None) for path in system.glob(f"anomaly_score_{machine}_*.csv")]
            normal = pd.concat(tables).loc[lambda table: table[0].str.contains("normal"), 1].to_numpy()
            scores = np.random.default_rng(0).choice(normal, 999)
            still = decision.fit_gamma(scores)[0]
            for unusual in (-1e6, scores.max() + scores.std(), 1e6):
                worst = max(worst, abs(decision.fit_gamma(np.append(scores, unusual))[0] - still) / scores.std())
    assert worst <= 0.2


def test_a_gamma_fit_that_does_not_hold_is_replaced_and_named(monkeypatch):
    clips = synthetic_scores.clips("fan", ["00"], train=400)
    frame = synthetic_scores.table(clips, "one", np.random.default_rng(0))
    assert (decision.thresholds(frame)["method"] == "maximum likelihood").all()
    monkeypatch.setattr(stats.gamma, "fit", lambda *_, **__: (1.0, -50.0, 0.1))  # a failed search
    with pytest.warns(UserWarning, match="one, fan: no gamma distribution .* from the moments"):
        table = decision.thresholds(frame)
    assert (table["method"] == "moments").all()
    train = frame.loc[frame["split"] == "train", "score"]
    assert 0.05 < (train > table["threshold"].iloc[0]).mean() < 0.15
    two = np.r_[np.zeros(300), np.ones(200)] + np.linspace(0, 1e-3, 500)  # no gamma distribution fits this
    threshold, method = decision.fit_gamma(two)
    assert method == "quantile" and (two > threshold).mean() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("system", ["official_ae_rerun", "mobilenet_128"])
def test_gamma_thresholds_of_real_scores_hold(realdata, system):
    """About a tenth of the scores of real normal clips, mostly in sections of 100 to 150, lies above the threshold."""
    found = files.read([realdata / "dcase2021_scores" / system]).frame
    normal = found[found["label"] == "normal"]
    for unit, part in normal.groupby(UNIT):
        share = (part["score"] > decision.fit_gamma(part["score"].to_numpy())[0]).mean()
        assert 0.02 <= share <= 0.2, (unit, share)


def test_the_stated_interval_of_false_alarms_has_the_stated_coverage(monkeypatch):
    """Compare with simulations of any distribution, and with exact probabilities by counting orders of few clips."""
    low, high = decision.false_alarm_interval(60, 30, 0.9)
    generator, inside = np.random.default_rng(0), []
    for _ in range(2000):
        drawn = generator.standard_t(2, size=90)
        threshold, _ = empirical.empirical_threshold(drawn[:60], 0.9)
        inside.append(low <= (drawn[60:] > threshold).mean() <= high)
    assert 0.95 <= np.mean(inside) + 3 * np.sqrt(0.05 / 2000) and np.mean(inside) < 0.995
    # of 3 reference and 2 tested clips: the maximum of 3 is exceeded by both in 1 of 10 orders, by one in 3
    orders = [
        sum(place > max(kept) for place in set(range(5)) - set(kept)) for kept in itertools.combinations(range(5), 3)
    ]
    monkeypatch.setattr(decision, "CONFIDENCE", 0.2)
    bounds = decision.false_alarm_interval(3, 2, 0.9)
    exact = [next(x for x in range(3) if np.mean(np.array(orders) <= x) >= q) / 2 for q in (0.4, 0.6)]
    assert list(bounds) == exact


def test_nothing_is_promised_in_the_target_domain():
    clips = synthetic_scores.clips("fan", ["00"], train=60, target=60)
    found = decision.measure_rates(synthetic_scores.table(clips, "one", np.random.default_rng(0))).set_index("domain")
    assert np.isnan(found.loc["target", ["low", "high", "bound"]].astype(float)).all()
    assert found.loc["source", ["low", "high"]].tolist() == list(decision.false_alarm_interval(60, 30, 0.9))
    assert found["normal"].tolist() == [30, 30]


@pytest.mark.parametrize("count", [3, 19, 50, 200])
def test_the_empirical_threshold_keeps_its_promise(count):
    """For any distribution, at most the stated share of new normal clips raises an alarm."""
    generator, alarms = np.random.default_rng(count), []
    for _ in range(2000):
        drawn = generator.standard_t(2, size=count + 1)
        threshold, bound = empirical.empirical_threshold(drawn[:-1], 0.9)
        alarms.append(drawn[-1] > threshold)
    assert bound == pytest.approx(max(0.1, 1 / (count + 1)), abs=1 / (count + 1))
    assert bound <= 0.1 + 1e-12 or count == 3
    assert abs(np.mean(alarms) - bound) < 4 * np.sqrt(bound / 2000)  # for continuous scores it is met exactly


def test_thresholds_by_machine_or_section():
    clips = synthetic_scores.clips("fan", train=40, target=25)
    frame = synthetic_scores.table(clips, "one", np.random.default_rng(0))
    frame.loc[frame["section"] == "01", "score"] += 50
    with pytest.warns(UserWarning, match="one, fan: no gamma .* from the quantile"):  # of two sections that lie apart
        by_machine = decision.thresholds(frame)
    assert by_machine["threshold"].nunique() == 1 and (by_machine["clips"] == 130).all()
    by_section = decision.thresholds(frame, method="empirical", by="section").set_index(["section", "domain"])
    assert by_section["clips"].tolist() == [40, 25, 40, 25]  # each domain by its own reference clips only
    source = frame[(frame["section"] == "00") & (frame["domain"] == "source") & (frame["split"] == "train")]["score"]
    assert by_section.loc[("00", "source"), "threshold"] == np.sort(source)[36]  # ceil(0.9 x 41) = 37th
    assert by_section.loc[("00", "source"), "bound"] == pytest.approx(1 - 37 / 41)
    assert np.isnan(by_section.loc[("00", "target"), "bound"])  # its reference clips are not target clips
    alarms = decision.decide(frame, by_section.reset_index()).query("label == 'normal'").groupby("section")["decision"]
    assert (alarms.mean() < 0.4).all()  # each section by its own scale
    with pytest.warns(UserWarning, match="one, fan"):
        rates = decision.rates(frame)
    assert len(rates) == 4 * 3 and set(rates["threshold_of"]) == {
        "gamma, machine",
        "gamma, section",
        "empirical, section",
    }
    row = rates[(rates["section"] == "01") & (rates["threshold_of"] == "empirical, section")].iloc[0]
    part = frame[(frame["section"] == "01") & (frame["domain"] == "source") & (frame["split"] == "test")]
    over = part["score"] > by_section.loc[("01", "source"), "threshold"]
    shares = [over[part["label"] == label].mean() for label in ("normal", "anomaly")]
    assert row[["false_alarms", "recall"]].tolist() == shares
    with pytest.raises(ScoreError, match="fan section 00 source: 0 training"):
        decision.thresholds(frame[frame["split"] == "test"])


# Commands -------------------------------------------------------------------------------------------------------------
def test_commands(run, tmp_path, capsys):
    assert main(["export", str(run), str(tmp_path / "out")]) == 0
    one, two = (str(tmp_path / "out" / name) for name in ("mobilenet", "mahalanobis"))
    capsys.readouterr()
    assert main(["evaluate", one, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"year", "recognised", "rule", "official_score", "cells", "sections"}
    assert set(result["cells"][0]) == {"machine", "domain", "value"}
    assert set(result["sections"][0]) == {"machine", "section", "domain", "auc", "pauc"}
    assert main(["evaluate", one]) == 0
    assert f"{100 * result['official_score']:.2f}" in capsys.readouterr().out
    assert main(["combine", one, two, "--by", "ranking", "--out", str(tmp_path / "both")]) == 0
    assert main(["evaluate", str(tmp_path / "both")]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "nowhere")]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("error: ") and "nowhere" in captured.err


def test_evaluating_starts_without_torch():
    code = "import sys; from asdlib.challenge import evaluate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
