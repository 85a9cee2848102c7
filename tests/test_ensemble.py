"""Test normalising, combining and choosing against scipy and by brute force, and that choices use no hidden labels."""

import json

import numpy as np
import pandas as pd
import pytest
import synthetic_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.metrics import roc_auc_score

from asdlib import ensemble, metrics, scores
from asdlib.ensemble.blocks import AE, AE_ENSEMBLE, BC, BC_ENSEMBLE, EXTENSIONS, MAX, MIX, PAPER, ROWS
from asdlib.ensemble.choices import apply, choose, defaults, split_halves
from asdlib.ensemble.combine import COMBINATIONS, combine, combine_best, rank
from asdlib.ensemble.normalisation import normalise
from asdlib.ensemble.systems import Pool
from asdlib.errors import ScoreError
from asdlib.paths import Run

several = arrays(float, (4, 9), elements=st.integers(-5, 5).map(float))


def made(reference="test", seed=0, shift=0.5, systems=("c0/1", "c0/2", "c1/1", "c1/2", "c2/1"), **changes):
    """Build a pool of each branch with random scores."""
    generator, rows = np.random.default_rng(seed), synthetic_scores.clips("fan", **changes)
    return [
        Pool.of(pd.concat([synthetic_scores.table(rows, f"{b}/{s}", generator, shift) for s in systems]), reference)
        for b in ("autoencoder", "classifier")
    ]


def looked(pool):
    return ((pool.clips["split"] == "test") & (pool.clips["label"] != "unknown")).to_numpy()


# Normalise and combine ------------------------------------------------------------------------------------------------
@given(several)
def test_normalise_and_rank_are_scipys(values):
    values[:, 0] += 0.5  # not constant
    values[:, 1] -= 20
    assert normalise(values) == pytest.approx(stats.zscore(values, axis=1), abs=1e-12)
    assert rank(values) == pytest.approx((stats.rankdata(values, axis=1) - 0.5) / values.shape[1], abs=1e-12)


@given(several, st.randoms(use_true_random=False))
def test_combinations_follow_their_definitions(values, random):
    ranks = stats.rankdata(values, axis=1) / values.shape[1]
    expected = {
        "average": values.mean(axis=0),
        "median": np.median(values, axis=0),
        "maximum": values.max(axis=0),
        "ranking": ranks.mean(axis=0) - 0.5 / values.shape[1],
    }
    shuffled = values[random.sample(range(4), 4)]
    for by in COMBINATIONS:
        assert combine(values, by) == pytest.approx(expected[by], abs=1e-12)
        assert combine(shuffled, by) == pytest.approx(expected[by], abs=1e-12)  # members have no order
        each = combine_best(values, by, [1, 3, 4])
        assert [row.tolist() for row in each] == [combine(values[:n], by).tolist() for n in (1, 3, 4)]
    assert combine(np.exp(values), "ranking").tolist() == combine(values, "ranking").tolist()


def test_a_constant_system_does_not_contribute():
    assert normalise(np.full((1, 3), 7.0)).tolist() == [[0.0, 0.0, 0.0]]
    for large in (1e200, 1e308):  # an infinite deviation would take the system out of every ensemble
        with pytest.raises(ScoreError, match="divide all scores of the system"):
            normalise(large * np.array([[1.0, -1.5, 0.5, 1.2]]))
    with pytest.raises(ScoreError, match="'mean' found"):
        combine(np.zeros((2, 3)), "mean")


@pytest.mark.parametrize("by", COMBINATIONS)
def test_by_training_scores_one_clip_can_be_scored_alone(by):
    generator = np.random.default_rng(0)
    train, test = generator.normal(3, 2, (5, 40)), generator.normal(4, 2, (5, 8))
    reference = normalise(train)
    together = combine(normalise(test, train), by, reference)
    alone = [combine(normalise(test[:, [i]], train), by, reference)[0] for i in range(8)]
    assert alone == pytest.approx(together, abs=1e-12)


@pytest.mark.parametrize("reference", ["test", "train"])
def test_each_section_is_normalised_by_its_own_reference(reference):
    pool = made(reference)[0]
    clips, values = pool.clips, pool.normalised
    for (section, domain), group in pool.groups.items():
        inside = (clips["section"] == section) & (clips["split"] == reference)
        inside &= clips["domain"] == domain
        assert set(group.reference) == set(np.flatnonzero(inside))
        assert values[:, group.reference].mean(axis=1) == pytest.approx(0, abs=1e-12)
        assert values[:, group.reference].std(axis=1) == pytest.approx(1, abs=1e-12)


# Choose ---------------------------------------------------------------------------------------------------------------
def cell(clips, values, domain, sections=("00", "01")):
    """Compute a cell of Table 1 with scikit-learn."""
    figures = []
    for section in sections:
        use = ((clips["section"] == section) & (clips["domain"] == domain) & (clips["split"] == "test")).to_numpy()
        labels = clips["label"][use] == "anomaly"
        figures += [roc_auc_score(labels, values[use]), roc_auc_score(labels, values[use], max_fpr=0.1)]
    return stats.hmean(figures)


def best_of(systems, values):
    """Return the best variant of each candidate, best first."""
    best = {}
    for k in np.argsort(-np.asarray(values), kind="stable"):
        best.setdefault(systems[k].split("/")[1], systems[k])
    return list(best.values())


def test_the_choice_is_the_best_possible(tmp_path):
    """N best means N best candidates, each by its best variant; compare with a search by scikit-learn and scipy."""
    run_settings = synthetic_scores.settings(tmp_path, candidates=3, ensemble={"sizes": [1, 2, 3, 4]})
    autoencoder, classifier = made(seed=1, test=12)
    choices = {
        (c.row, c.domain, c.section): c for c in choose(autoencoder, classifier, run_settings, looked(autoencoder))
    }
    for domain in ("source", "target"):
        values = [cell(autoencoder.clips, row, domain) for row in autoencoder.scores]
        assert choices[AE, domain, ""].value == pytest.approx(max(values), rel=1e-12)
        order, best = best_of(autoencoder.systems, values), 0.0
        assert choices[AE, domain, ""].members == tuple(order[:1]) and len(order) == 3
        indices = [autoencoder.systems.index(name) for name in order]
        for size in (1, 2, 3):
            for by in COMBINATIONS:
                together = np.zeros(len(autoencoder.clips))
                for group in autoencoder.groups.values():
                    test = group.reference
                    together[test] = combine(stats.zscore(autoencoder.scores[indices[:size]][:, test], axis=1), by)
                best = max(best, cell(autoencoder.clips, together, domain))
        chosen = choices[AE_ENSEMBLE, domain, ""]
        assert chosen.value == pytest.approx(best, rel=1e-12) and chosen.members == tuple(order[: len(chosen.members)])
        members = []
        for section in ("00", "01"):
            values = np.array([cell(classifier.clips, row, domain, [section]) for row in classifier.scores])
            members += best_of(classifier.systems, values)[:2]
            assert choices[BC, domain, section].value == pytest.approx(values.max(), rel=1e-12)
        assert sorted(choices[BC_ENSEMBLE, domain, ""].members) == sorted(members)  # N x S
        pair = [choices[row, domain, ""] for row in (AE_ENSEMBLE, BC_ENSEMBLE)]
        assert choices[MAX, domain, ""].members == (max(pair, key=lambda choice: choice.value).row,)
    rows = apply(list(choices.values()), autoencoder, classifier)
    for (row, domain, section), choice in choices.items():  # what is written has the value that was chosen for
        if row != MIX:
            assert cell(autoencoder.clips, rows[row], domain, [section] if section else ("00", "01")) == pytest.approx(
                choice.value, rel=1e-12
            )
    assert rows[MIX] == pytest.approx(mixed(autoencoder, rows), abs=1e-12)


def test_twins_never_count_twice(tmp_path):
    """Two candidates with the same scores are one network, so the second best is another one; fixed uses it once."""
    run_settings = synthetic_scores.settings(tmp_path, candidates=3, ensemble={"sizes": [2]})
    rows, generator = synthetic_scores.clips("fan", ["00"]), np.random.default_rng(0)
    best = synthetic_scores.table(rows, "", generator, 3.0)["score"]
    twins = {"c0/x": best, "c1/x": best, "c2/x": generator.normal(size=len(rows))}
    pools = [
        Pool.of(pd.concat([scores.table(rows, f"{b}/{name}", values) for name, values in twins.items()]), reference)
        for b in ("autoencoder", "classifier")
        for reference in ("test", "train")
    ]
    choices = choose(pools[0], pools[2], run_settings, looked(pools[0]))
    ensembles = [choice for choice in choices if choice.row in (AE_ENSEMBLE, BC_ENSEMBLE)]
    assert len(ensembles) == 4
    fixed = [c for c in defaults(pools[1], pools[3], run_settings) if c.row in (AE_ENSEMBLE, BC_ENSEMBLE)]
    for choice in ensembles + fixed:
        assert [member.split("/")[1] for member in choice.members] == ["c0", "c2"], choice


# Which systems a row may choose from ----------------------------------------------------------------------------------
VARIANTS = {"autoencoder": ["clip_signed", "median", "max"], "classifier": ["mahalanobis", "w50_mean"]}
BEST = {"clip_signed": 4.0, "mahalanobis": 4.0}
CANDIDATES = {
    "autoencoder_candidates": {"shifted": {"origin": "extension"}, "base": {}},
    "classifier_candidates": {"wide": {"model": {"backbone": "resnet18"}}, "base": {}, "ours": {"origin": "extension"}},
}


def run_of_both_blocks(folder, **changes):
    """Return a finished ensemble of a run in which the extensions are far better than the paper's systems."""
    scorers = {branch: {"scorer": {"variants": names}} for branch, names in VARIANTS.items()}
    run_settings = synthetic_scores.settings(
        folder, ["fan"], train=30, candidates=0, **(CANDIDATES | scorers | changes)
    )
    generator, run = np.random.default_rng(0), Run.of(run_settings)
    rows = synthetic_scores.clips("fan", train=30, target=30)
    for branch, names in VARIANTS.items():
        for candidate in getattr(run_settings, f"{branch}_candidates"):
            shift = 3.0 if candidate in ("shifted", "wide", "ours") else 1.0
            tables = [
                synthetic_scores.table(rows, f"{branch}/{candidate}/{variant}", generator, BEST.get(variant, shift))
                for variant in names
            ]
            scores.write(pd.concat(tables, ignore_index=True), run.scores(branch, "fan", candidate))
    ensemble.run(run_settings, "fan")
    choices = pd.read_csv(run.system("ensemble", "fan") / "choices.csv", dtype={"section": str}, keep_default_na=False)
    return run_settings, choices


def members(choices, row, selection):
    part = choices[(choices["row"] == row) & (choices["selection"] == selection)]
    assert len(part), (row, selection)
    return {member for text in part["members"] for member in text.split("; ")}


def test_rows_of_the_paper_hold_the_papers_systems_only(tmp_path):
    _, choices = run_of_both_blocks(tmp_path)
    paper = {"autoencoder/base/median", "autoencoder/base/max"}
    for selection in ensemble.SELECTIONS:
        assert members(choices, AE, selection) | members(choices, AE_ENSEMBLE, selection) <= paper
        assert members(choices, BC, selection) == {"classifier/base/w50_mean"}  # of the first backbone only
        assert members(choices, BC_ENSEMBLE, selection) == {"classifier/base/w50_mean", "classifier/wide/w50_mean"}
        assert members(choices, MIX, selection) == {AE_ENSEMBLE, BC_ENSEMBLE}
    for selection in ("development", "cross-fitted"):
        assert members(choices, "AE+", selection) <= {"autoencoder/base/clip_signed", "autoencoder/shifted/clip_signed"}
        assert all(member.endswith("/mahalanobis") for member in members(choices, "BC+ ensemble", selection))
        assert members(choices, "mix+", selection) == {"AE+ ensemble", "BC+ ensemble"}


def test_without_labels_extensions_enter_by_their_first_extension(tmp_path):
    _, choices = run_of_both_blocks(tmp_path)
    assert members(choices, AE, "fixed") == members(choices, AE_ENSEMBLE, "fixed") == {"autoencoder/base/median"}
    assert members(choices, "AE+", "fixed") == {"autoencoder/shifted/clip_signed"}
    assert members(choices, "AE+ ensemble", "fixed") == {"autoencoder/shifted/clip_signed"}
    assert members(choices, "BC+", "fixed") == {"classifier/ours/mahalanobis"}
    names = CANDIDATES | {"autoencoder_candidates": {"base": {}}}
    run_settings = synthetic_scores.settings(tmp_path, candidates=0, **names)
    systems = ["classifier/wide/w50_mean", "classifier/base/w50_mean", "classifier/ours/w50_mean"]
    assert EXTENSIONS.defaults(run_settings, "classifier", systems) == [2]  # the candidate that is an extension
    systems = [f"autoencoder/base/{variant}" for variant in ("median", "l1", "clip_signed")]
    assert EXTENSIONS.defaults(run_settings, "autoencoder", systems) == [2]  # the one that origin lists first
    systems = ["classifier/wide/w50_mean", "classifier/base/w50_mean", "classifier/ours/w50_mean"]
    assert PAPER.defaults(run_settings, "classifier", systems, single=True) == [1]


def test_candidates_that_a_profile_lacks_have_no_row(tmp_path):
    only = {"scorer": {"variants": ["w50_mean"]}}
    run_settings = synthetic_scores.settings(tmp_path, ["fan"], classifier=only)
    synthetic_scores.write_run(run_settings)
    found = set(ensemble.run(run_settings, "fan")["system"].str.split("/").str[2])
    assert found == set(ROWS)  # no extension at all
    every = {"autoencoder_candidates": {"c0": {"origin": "extension"}}}
    run_settings = synthetic_scores.settings(tmp_path, ["valve"], candidates=1, **every)
    synthetic_scores.write_run(run_settings)
    found = set(ensemble.run(run_settings, "valve")["system"].str.split("/").str[2])
    assert found == {BC, BC_ENSEMBLE, "AE+", "AE+ ensemble"}  # no autoencoder of the paper, no classifier of ours


def test_a_fixed_score_does_not_depend_on_other_test_clips(tmp_path):
    """Neither labels nor number nor scores of other test clips matter, so a clip can be scored alone."""
    run_settings, _ = run_of_both_blocks(tmp_path)
    every = ensemble.run(run_settings, "fan")
    for path in ensemble.inputs(run_settings, "fan"):
        table = scores.read(path)
        test = table["split"] == "test"
        kept = table[~test | table["clip"].str.contains("0003")]
        changed = kept.assign(label=kept["label"].where(kept["split"] == "train", "anomaly"))
        scores.write(changed, path)
    alone = ensemble.run(run_settings, "fan")
    keys = ["system", "section", "domain", "split", "clip"]
    fixed = [part[part["selection"] == "fixed"].set_index(keys)["score"] for part in (every, alone)]
    assert len(fixed[1]) > 100 and set(fixed[1].index.get_level_values("split")) == {"train", "test"}
    assert fixed[0].reindex(fixed[1].index).equals(fixed[1])


def mixed(pool, rows):
    result = np.zeros(len(pool.clips))
    for group in pool.groups.values():
        for row in (AE_ENSEMBLE, BC_ENSEMBLE):
            test = rows[row][group.reference]
            result[group.columns] += (rows[row][group.columns] - test.mean()) / test.std() / 2
    return result


def test_halves_are_equal_within_each_label_and_seeded():
    clips = synthetic_scores.clips("fan", test=7)
    clips.loc[clips.index[-1], "label"] = "unknown"
    half = split_halves(clips, 0)
    sizes = pd.crosstab([clips["section"], clips["domain"], clips["split"], clips["label"]], half)
    assert (sizes.loc[(slice(None), slice(None), "test", "normal"), "first"] == 4).all()
    assert (sizes.loc[(slice(None), slice(None), "test", "normal"), "second"] == 3).all()
    assert set(half[(clips["split"] == "train") | (clips["label"] == "unknown")]) == {""}
    assert (split_halves(clips, 0) == half).all() and (split_halves(clips, 1) != half).any()
    assert set(split_halves(synthetic_scores.clips("fan", test=1), 0)) == {""}  # too few to halve


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_a_choice_does_not_depend_on_hidden_labels(seed):
    run_settings = synthetic_scores.settings(".", candidates=3)
    pools = made(seed=3, test=8)
    half = split_halves(pools[0].clips, 0)
    hidden = half != "first"
    generator = np.random.default_rng(seed)
    before = choose(*pools, run_settings, half == "first"), defaults(*pools, run_settings)
    for pool in pools:
        labels = pool.clips["label"].to_numpy()
        pool.clips.loc[hidden, "label"] = generator.permutation(labels[hidden])
    after = choose(*pools, run_settings, half == "first")
    assert repr(after) == repr(before[0])
    for pool in pools:
        pool.clips["label"] = "unknown"
    assert repr(defaults(*pools, run_settings)) == repr(before[1])
    assert choose(*pools, run_settings, np.ones(len(half), dtype=bool)) == []


@pytest.mark.slow
@given(st.integers(0, 10**6))
@settings(max_examples=5, deadline=None)
def test_on_noise_only_development_finds_a_gain(tmp_path_factory, seed):
    """The best of 24 random systems looks good only on the clips that it was chosen on."""
    changes = {"candidates": 12, "test": 40, "train": 3, "seed": seed}
    run_settings = synthetic_scores.settings(tmp_path_factory.mktemp("noise"), ["fan"], ["00", "01", "02"], **changes)
    synthetic_scores.write_run(run_settings, seed=seed, shift=0.0, variants=("first", "second"))
    table = metrics.sections(ensemble.run(run_settings, "fan"))
    found = metrics.cells(table, ["system"])
    found[["selection", "row"]] = found["system"].str.extract("ensemble/(.+)/(.+)")
    means = found.groupby("selection")["value"].mean()
    # Over 150 seeds, mean and standard deviation: development 0.568 and 0.009, cross-fitted 0.500 and 0.012, fixed
    # 0.499 and 0.011, the lead of development over the better of both 0.063 and 0.009. Bounds are four deviations away.
    assert means["development"] > 0.53
    assert means["cross-fitted"] < 0.55 and means["fixed"] < 0.55
    assert means["development"] - max(means["cross-fitted"], means["fixed"]) > 0.025
    best = found[found["selection"] == "development"].set_index("row")["value"]
    assert best[AE] > 0.505 and best[BC] > 0.54 and best[MAX] >= max(best[AE_ENSEMBLE], best[BC_ENSEMBLE]) - 1e-12


# The stage ------------------------------------------------------------------------------------------------------------
def test_run_writes_a_score_table_choices_and_its_record(tmp_path):
    run_settings = synthetic_scores.settings(tmp_path, ["fan"])
    synthetic_scores.write_run(run_settings, shift=1.0)
    table = ensemble.run(run_settings, "fan")
    folder = Run.of(run_settings).system("ensemble", "fan")
    pd.testing.assert_frame_equal(scores.read(folder / "scores.csv"), table, check_dtype=False)
    rows = table.groupby("selection")["system"].unique().map(lambda names: [name.split("/", 2)[2] for name in names])
    assert rows["development"] == rows["cross-fitted"] == list(ROWS)
    assert rows["fixed"] == [row for row in ROWS if row != MAX]  # needs labels: undefined
    folds = table[(table["selection"] == "cross-fitted") & (table["system"] == f"ensemble/cross-fitted/{AE}")]
    assert folds["clip"].is_unique  # each clip is reported by the choice of the other half only
    assert len(folds) == 4 * 60 and set(folds["fold"]) == {"first", "second"}
    first = scores.read(ensemble.inputs(run_settings, "fan")[0])
    expected = first[first["system"] == "autoencoder/c0/first"].set_index(["section", "domain", "split", "clip"])[
        "score"
    ]
    got = table[table["system"] == f"ensemble/fixed/{AE}"].set_index(expected.index.names)["score"]
    assert got.sort_index().equals(expected.sort_index())
    choices = pd.read_csv(folder / "choices.csv", dtype={"section": str}, keep_default_na=False)
    assert len(choices) == 3 * 2 * 7 + 2 * 5
    assert {"settings", "seed", "commit", "data_fingerprint"} <= set(json.loads((folder / "record.json").read_text()))
    agreement = pd.read_csv(folder / "agreement.csv", dtype={"section": str})
    assert len(agreement) == 2 * 2 * 2 * 6
    row = agreement.iloc[0]
    pair = scores.read(ensemble.inputs(run_settings, "fan")).pivot(
        index=["section", "domain", "split", "label", "clip"], columns="system", values="score"
    )
    part = pair.loc[(row["section"], row["domain"], "test", row["label"])]
    assert row["correlation"] == pytest.approx(stats.spearmanr(part[row["first"]], part[row["second"]]).statistic)
    before = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    ensemble.run(run_settings, "fan")
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == before


def test_source_only_and_unlabelled_sections_are_scored_too(tmp_path):
    """A section without labels gets the choice of the labelled ones; a domain without test clips gets nothing."""
    run_settings = synthetic_scores.settings(tmp_path)
    generator = np.random.default_rng(0)
    rows = synthetic_scores.clips("fan", ["00", "01", "03"], domains=["source"])
    rows.loc[(rows["section"] == "03") & (rows["split"] == "test"), "label"] = "unknown"
    pools = [
        Pool.of(pd.concat([synthetic_scores.table(rows, f"{b}/c{k}/x", generator) for k in (0, 1)]), "test")
        for b in ("autoencoder", "classifier")
    ]
    choices = choose(*pools, run_settings, looked(pools[0]))
    assert {choice.domain for choice in choices} == {"source"}
    assert {choice.section for choice in choices if choice.row == BC} == {"00", "01", ""}
    assert all(np.isfinite(values).all() for values in apply(choices, *pools).values())


def test_scores_that_cannot_be_combined_are_an_error(tmp_path):
    run_settings = synthetic_scores.settings(tmp_path, ["fan"])
    with pytest.raises(ScoreError, match="make reproduce"):
        ensemble.run(run_settings, "fan")
    synthetic_scores.write_run(run_settings)
    path = ensemble.inputs(run_settings, "fan")[3]
    whole = scores.read(path)
    scores.write(whole.iloc[1:], path)
    with pytest.raises(ScoreError, match=r"classifier/c1/first has no score for 00, source, train, .*0000\.wav"):
        ensemble.run(run_settings, "fan")
    scores.write(whole, path)
    for path in ensemble.inputs(run_settings, "fan")[2:]:
        table = scores.read(path)
        scores.write(table[table["section"] == "00"], path)
    with pytest.raises(ScoreError, match="did not score the same clips"):
        ensemble.run(run_settings, "fan")
    rows = synthetic_scores.clips("fan", train=0, domains=["source"])
    with pytest.raises(ScoreError, match="no scored training clips"):
        Pool.of(synthetic_scores.table(rows, "one", np.random.default_rng(0)), "train")
