"""Test Gaussians, pooling and scores of the autoencoder against scipy, numpy and their definitions."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from autoencoder_run import make, settings
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import multivariate_normal, trim_mean
from sklearn.covariance import LedoitWolf

from asdlib import metrics, paths, records, scores
from asdlib.autoencoder import frame_to_clip_scores, inspection, scorer, section_domain_gaussians, train
from asdlib.autoencoder.masked_copies import pool_copies
from asdlib.autoencoder.reconstruction_errors import TrainedAutoencoder
from asdlib.data.held_out_split import HELD_OUT, LEARN
from asdlib.errors import ArtefactError, ModelError
from asdlib.gaussian import Gaussian
from asdlib.params import AutoencoderScorer
from asdlib.prepare import prepare_clips
from asdlib.shift import shifted_clips
from asdlib.time_pooling import pool

pytestmark = pytest.mark.slow


def errors(samples: int = 60, dims: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((samples, dims)) @ rng.standard_normal((dims, dims)) + rng.standard_normal(dims)


# Gaussians ------------------------------------------------------------------------------------------------------------
def test_negative_log_likelihood_is_scipys_negative_log_density():
    gaussian, x = Gaussian.fit(errors()), errors(seed=1)
    expected = -multivariate_normal(gaussian.mean, gaussian.covariance).logpdf(x)
    np.testing.assert_allclose(gaussian.negative_log_likelihood(x), expected, rtol=1e-10)


def test_negative_log_likelihood_stays_accurate_at_128_dims_of_very_different_scale():
    rng, scales = np.random.default_rng(0), np.logspace(-2, 2, 128)
    x = rng.standard_normal((2000, 128)) * scales
    gaussian = Gaussian.of(x.mean(0), np.cov(x.T))
    expected = -multivariate_normal(gaussian.mean, np.cov(x.T)).logpdf(x)
    np.testing.assert_allclose(gaussian.negative_log_likelihood(x), expected, rtol=1e-8)
    assert gaussian.negative_log_likelihood(x.astype(np.float32)).dtype == np.float64


def test_fit_is_ledoit_and_wolfs_shrinkage():
    """Compute Ledoit and Wolf's formula: shrink towards a multiple of the identity by min(b2, d2) / d2."""
    x = errors(40, 6)
    samples, dims = x.shape
    centred = x - x.mean(0)
    sample = centred.T @ centred / samples
    level = np.trace(sample) / dims
    distance = np.square(sample - level * np.eye(dims)).sum() / dims
    noise = np.mean([np.square(np.outer(row, row) - sample).sum() for row in centred]) / dims / samples
    weight = min(noise, distance) / distance
    expected = weight * level * np.eye(dims) + (1 - weight) * sample
    np.testing.assert_allclose(Gaussian.fit(x).covariance, expected, rtol=1e-10)
    np.testing.assert_allclose(Gaussian.fit(x).covariance, LedoitWolf().fit(x).covariance_, rtol=1e-10)


def test_a_singular_covariance_can_still_be_scored():
    flat = np.outer(np.arange(5.0), np.ones(3))  # rank 1
    gaussian = Gaussian.of(flat.mean(0), np.cov(flat.T))
    assert np.isfinite(gaussian.negative_log_likelihood(flat)).all()
    off_the_line = gaussian.negative_log_likelihood(flat + np.array([0.0, 0.0, 1.0]))
    assert off_the_line.min() > gaussian.negative_log_likelihood(flat).max()


@pytest.mark.parametrize("weight", [1e-9, 50.0, 1e12])
def test_the_target_is_drawn_towards_the_source(weight):
    source, few = Gaussian.fit(errors()), errors(12, seed=2)
    scatter = np.cov(few.T, bias=True)
    expected = (weight * source.covariance + len(few) * scatter) / (weight + len(few))
    target = source.towards(few, weight, "own")
    np.testing.assert_allclose(target.covariance, expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(target.mean, few.mean(0))
    np.testing.assert_allclose(source.towards(few, weight, "source").mean, source.mean)


def test_a_shift_that_was_seen_is_more_likely():
    source, shift = Gaussian.fit(errors()), np.array([30.0, 0, 0, 0, 0])
    few, later = errors(3, seed=3) + shift, errors(50, seed=4) + 1.1 * shift
    seen = source.widened(few, 1.0)
    assert seen.negative_log_likelihood(later).max() < source.negative_log_likelihood(later).min()
    unseen = seen.negative_log_likelihood(errors(50, seed=4) + shift[::-1])
    assert unseen.min() > seen.negative_log_likelihood(later).max()  # other shifts stay unlikely
    np.testing.assert_allclose(source.widened(few, 0.0).covariance, source.covariance, rtol=1e-12)


def test_without_weight_only_the_target_clips_count():
    few = errors(12, seed=2)
    np.testing.assert_allclose(Gaussian.fit(errors()).towards(few, 0, "own").covariance, Gaussian.fit(few).covariance)


# Poolings -------------------------------------------------------------------------------------------------------------
FRAMES = arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e3, 1e3))


@given(FRAMES, st.floats(0.01, 1.0), st.floats(0, 100))
def test_poolings_are_numpys(frames, share, percentile):
    def pooled(how):
        return pool(frames, how, top_share=share, percentile=percentile)

    assert pooled("mean") == pytest.approx(np.mean(frames))
    assert pooled("median") == pytest.approx(np.median(frames))
    assert pooled("max") == np.max(frames)
    assert pooled("percentile") == pytest.approx(np.percentile(frames, percentile))
    count = max(1, round(share * len(frames)))
    assert pooled("top_k") == pytest.approx(sum(sorted(frames.tolist(), reverse=True)[:count]) / count, abs=1e-9)
    above = [value for value in frames.tolist() if value > np.median(frames)]
    assert pooled("upper_mean") == pytest.approx(np.mean(above or frames))


@given(FRAMES, st.randoms(use_true_random=False))
def test_pooling_does_not_depend_on_the_order_of_frames(frames, random):
    shuffled = np.array(random.sample(frames.tolist(), len(frames)))
    for how in ("mean", "median", "max", "top_k", "percentile", "upper_mean"):
        assert pool(shuffled, how) == pytest.approx(pool(frames, how), abs=1e-9)


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="pooling 'middle'; expected mean"):
        pool(np.ones(3), "middle")


@pytest.mark.parametrize("kind", ["signed", "absolute", "squared"])
def test_copies_are_pooled_element_by_element(kind):
    copies = torch.randn(2, 5, 4, 3, generator=torch.Generator().manual_seed(0))
    values = {"signed": copies, "absolute": copies.abs(), "squared": copies**2}[kind].numpy()
    np.testing.assert_allclose(pool_copies(copies, kind), values.mean(1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pool_copies(copies, f"{kind}.median"), trim_mean(values, 0.4, axis=1), rtol=1e-6)
    largest = pool_copies(copies, f"{kind}.max").numpy()
    np.testing.assert_allclose(np.abs(largest), np.abs(values).max(1), rtol=1e-6)
    assert (largest[:, None] == values).any(1).all()  # the sign is kept


# Groups ---------------------------------------------------------------------------------------------------------------
def clips_and_errors() -> tuple[pd.DataFrame, list[np.ndarray]]:
    keys = [("00", "source")] * 4 + [("00", "target")] * 2 + [("01", "source")] * 3
    table = pd.DataFrame(keys, columns=["section", "domain"])
    return table, [errors(20, 4, seed) for seed in range(len(table))]


def test_groups():
    table, parts = clips_and_errors()
    fitted = {
        groups: section_domain_gaussians.fit_frames(table, parts, AutoencoderScorer(groups=groups, target_prior=30.0))
        for groups in ("section_domain", "section", "machine")
    }
    np.testing.assert_allclose(fitted["machine"]["machine"].mean, np.concatenate(parts).mean(0))
    np.testing.assert_allclose(fitted["section"]["00"].mean, np.concatenate(parts[:6]).mean(0))
    np.testing.assert_allclose(fitted["section"]["01"].mean, np.concatenate(parts[6:]).mean(0))
    both = fitted["section_domain"]
    np.testing.assert_allclose(both["00.source"].covariance, LedoitWolf().fit(np.concatenate(parts[:4])).covariance_)
    np.testing.assert_allclose(both["00.target"].mean, np.concatenate(parts[4:6]).mean(0))
    assert both["01.target"] is both["01.source"]  # no target clips to fit on
    for groups, found in fitted.items():
        for section in ("00", "01"):
            for domain in ("source", "target"):
                assert frame_to_clip_scores.frame_gaussian(section, domain, AutoencoderScorer(groups=groups)) in found


# A whole machine ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("scorer")
    train.fit(make(place), "fan", "base")
    return place


def test_scores_of_a_machine(folder):
    run = settings(folder)
    table = scorer.score(run, "fan", "base")
    place = paths.Run.of(run).system("autoencoder", "fan", "base")
    pd.testing.assert_frame_equal(scores.read(place / "scores.csv"), table)
    systems = [f"autoencoder/base/{variant}" for variant in run.autoencoder.scorer.variants]
    assert list(table["system"].unique()) == systems
    assert (table.groupby("system").size() == 2 * (12 + 2 + 2)).all()  # held-out clips, as source and as target clips
    train_rows = table[table["split"] == "train"]
    assert set(train_rows["domain"]) == {"source", "target"} and train_rows["clip"].str.contains("_source_train_").all()
    assert len(metrics.sections(table)) == len(systems) * 4

    first = {path.name: path.read_bytes() for path in place.iterdir() if path.name != "record.json"}
    trained = records.read_records(place / "record.json")[0]
    scorer.score(run, "fan", "base")
    assert {path.name: path.read_bytes() for path in place.iterdir() if path.name != "record.json"} == first
    again, scoring = records.read_records(place / "record.json")
    assert again == trained and scoring["settings"]["scorer"]["copies"] == 3


def clip_errors(clips, net: TrainedAutoencoder) -> list[dict[str, np.ndarray]]:
    """Compute the errors of all clips from the network's output for each masked copy, pooled by numpy."""
    found = []
    for row in clips.rows:
        spectrum = net.log_mel(torch.from_numpy(clips.waveforms.read(row)[None] / np.float32(32768)))[0][1:-1]
        features, clip = net.model.standardise(spectrum), clips.waveforms.clips.iloc[row]
        masks = net.gains(f"{clip['section']}/{clip['split']}/{clip['clip']}", *features.shape)
        section = torch.tensor([int(clip["section"])])
        with torch.no_grad():
            error = net.model(features * masks, section.expand(len(masks))) - net.model.target(features[None], section)
        error = error.double().numpy()
        poolings = {"": np.mean, ".max": np.max, ".median": lambda values, axis: np.sort(values, axis)[1]}  # of 3
        absolute = {f"absolute{name}": how(np.abs(error), axis=0) for name, how in poolings.items()}
        found.append(absolute | {"signed": error.mean(0)})
    return found


def expected_scores(clips, every, fitted: np.ndarray, learnt: np.ndarray, row: int, domain: str, prior: float) -> dict:
    """Score one clip as a clip of ``domain`` in all variants, with scipy, scikit-learn and numpy.

    Args:
        clips: The catalogue.
        every: Of :func:`clip_errors`.
        fitted: Rows whose frames fit the Gaussians: held-out source clips and the target training clips.
        learnt: Rows of source clips that the network learnt from.
        row: Of the clip.
        domain: Whose Gaussians score it.
        prior: ``target_prior``.
    """
    same = clips["section"] == clips["section"][row]
    source_rows, target_rows = (
        [i for i in fitted if same[i] and clips["domain"][i] == name] for name in ("source", "target")
    )
    found = {"l1": every[row]["absolute"].mean()}
    for copies in ("", ".max", ".median"):
        source, target = (np.concatenate([every[i][f"absolute{copies}"] for i in rows])
                          for rows in (source_rows, target_rows))  # fmt: skip
        covariance = LedoitWolf().fit(source).covariance_
        mixed = (prior * covariance + len(target) * np.cov(target.T, bias=True)) / (prior + len(target))
        normal = {"source": (source.mean(0), covariance), "target": (target.mean(0), mixed)}[domain]
        frames = -multivariate_normal(*normal).logpdf(every[row][f"absolute{copies}"])
        of = f"_of{copies.replace('.', '_')}" if copies else ""
        found |= {f"median{of}": np.median(frames), f"mean{of}": np.mean(frames), f"max{of}": np.max(frames)}
        found |= {f"percentile{of}": np.percentile(frames, 90), f"upper_mean{of}": trim_upper(frames)}
        found |= {f"top_k{of}": np.sort(frames)[-max(round(0.1 * len(frames)), 1) :].mean()}
    means = {i: every[i]["signed"].mean(0) for i in range(len(every))}
    known = np.stack([means[i] for i in [*source_rows, *learnt] if same[i]])
    centre, covariance = known.mean(0), LedoitWolf().fit(known).covariance_
    if domain == "target":
        shift = np.stack([means[i] for i in target_rows]) - centre
        scatter = shift.T @ shift / len(shift)
        covariance = covariance + scatter + np.diag(np.diag(scatter))
    return found | {"clip_signed": -multivariate_normal(centre, covariance).logpdf(means[row])}


def trim_upper(frames: np.ndarray) -> float:
    return frames[frames > np.median(frames)].mean()


def test_scores_follow_from_the_errors(folder):
    """Compute all variants with scipy, those of held-out clips by Gaussians fitted without the clip's fold."""
    run = settings(folder, autoencoder__scorer__target_prior=40.0)
    table, (opened, net) = scorer.score(run, "fan", "base"), scorer.open_trained(run, "fan", "base")
    clips, every = opened.waveforms.clips, clip_errors(opened, net)
    is_train, is_source = clips["split"] == "train", clips["domain"] == "source"
    held_out = np.flatnonzero(opened.role == HELD_OUT)
    learnt = np.flatnonzero((opened.role == LEARN) & is_source)
    fitted = np.flatnonzero((opened.role == HELD_OUT) | (is_train & ~is_source))
    assert len(held_out) == 4 and len(learnt) == 8 and len(fitted) == 8
    checked = 0
    for (section, domain, split, clip), part in table.groupby(["section", "domain", "split", "clip"]):
        row = int(np.flatnonzero((clips["clip"] == clip) & (clips["section"] == section))[0])
        # With two held-out clips per section, each is a fold: its Gaussians are fitted to the other one alone.
        known = [other for other in fitted if split == "test" or other != row]
        expected = expected_scores(clips, every, known, learnt, row, domain, 40.0)
        found = {system.rpartition("/")[2]: score for system, score in zip(part["system"], part["score"], strict=True)}
        assert set(found) == set(expected) == set(run.autoencoder.scorer.variants)
        for variant, value in expected.items():
            assert found[variant] == pytest.approx(value, rel=1e-4, abs=1e-3), (clip, domain, variant)
        checked += 1
    assert checked == 2 * (12 + 2 + 2)


def test_the_score_of_a_held_out_clip_does_not_depend_on_itself_through_the_gaussians():
    """If one held-out clip's errors are enormous, the Gaussians for its own score stay the same, the others change."""
    rng = np.random.default_rng(0)
    options = AutoencoderScorer(variants=["median", "mean_of_max", "clip_signed"], target_prior=10.0)
    keys = [("00", "source")] * 7 + [("00", "target")] * 2
    table = pd.DataFrame(keys, columns=["section", "domain"]).assign(clip=[f"{i}.wav" for i in range(9)])
    draws = [{kind: rng.standard_normal((30, 4)) for kind in frame_to_clip_scores.error_kinds(options)} for _ in keys]
    learnt = section_domain_gaussians.Errors(table.iloc[:0], [], np.zeros((0, 4)))
    plain = section_domain_gaussians.cross_fit(section_domain_gaussians.Errors.of(table, draws), learnt, options)
    assert sorted(plain) == [(clip, domain) for clip in range(7) for domain in ("source", "target")]
    loud = [*draws[:2], {kind: 1e3 * error for kind, error in draws[2].items()}, *draws[3:]]
    spoilt = section_domain_gaussians.cross_fit(section_domain_gaussians.Errors.of(table, loud), learnt, options)
    for domain in ("source", "target"):
        whole = section_domain_gaussians.fit(section_domain_gaussians.Errors.of(table, loud), learnt, options)
        seen = frame_to_clip_scores.score_clip(loud[2], whole, "00", domain, options)
        for variant, value in spoilt[2, domain].items():
            assert value > 50 * abs(plain[2, domain][variant])  # as a clip from elsewhere would
            assert value > 3 * seen[variant]  # in-sample its own errors widen the Gaussian and hide it
        # Folds are every fifth clip: 2 is alone in its own, so all others are scored by Gaussians that know it.
        assert all(spoilt[other, domain] != plain[other, domain] for other in (0, 1, 3, 4, 5, 6))


def test_folds_are_at_least_one_clip_and_at_most_all():
    options, rng = AutoencoderScorer(variants=["median"]), np.random.default_rng(1)
    for count in (2, 3, 5, 6, 13):
        table = pd.DataFrame([("00", "source")] * count, columns=["section", "domain"])
        draws = [
            {kind: rng.standard_normal((20, 3)) for kind in frame_to_clip_scores.error_kinds(options)}
            for _ in range(count)
        ]
        empty = section_domain_gaussians.Errors(table.iloc[:0], [], np.zeros((0, 3)))
        found = section_domain_gaussians.cross_fit(section_domain_gaussians.Errors.of(table, draws), empty, options)
        for clip in range(count):
            rest = [draws[other]["absolute"] for other in range(count) if (other - clip) % min(5, count)]
            frames = np.concatenate(rest)
            normal = multivariate_normal(frames.mean(0), LedoitWolf().fit(frames).covariance_)
            expected = np.median(-normal.logpdf(draws[clip]["absolute"]))
            assert found[clip, "source"]["median"] == pytest.approx(expected, rel=1e-9)


def test_scores_over_time_exist_for_any_pooling_of_the_variants():
    """A detector shows frame scores with one variant, although its Gaussians were fitted for several."""
    options, rng = AutoencoderScorer(variants=["clip_signed", "median_of_max"]), np.random.default_rng(2)
    table = pd.DataFrame([("00", "source")] * 4, columns=["section", "domain"]).assign(clip=list("abcd"))
    draws = [
        {kind: rng.standard_normal((20, 3)) for kind in frame_to_clip_scores.error_kinds(options)} for _ in range(4)
    ]
    empty = section_domain_gaussians.Errors(table[:0], [], np.zeros((0, 3)))
    fitted = section_domain_gaussians.fit(section_domain_gaussians.Errors.of(table, draws), empty, options)
    frames = np.concatenate([error["absolute"] for error in draws])
    normal = multivariate_normal(frames.mean(0), LedoitWolf().fit(frames).covariance_)
    one = options.model_copy(update={"variants": ["clip_signed"]})
    found = frame_to_clip_scores.score_frames(draws[0], fitted, "00", "source", one)
    np.testing.assert_allclose(found, -normal.logpdf(draws[0]["absolute"]), rtol=1e-9)


def errors_of(clips, net: TrainedAutoencoder, rows, kinds=("absolute",)):
    return scorer.clip_errors(net, clips.waveforms, rows, clips.sections, kinds)


def test_a_clip_alone_scores_as_among_others(folder):
    clips, net = scorer.open_trained(settings(folder), "fan", "base")
    together = list(errors_of(clips, net, clips.rows))  # batches of 4 mix clips of two lengths
    assert len({len(error["absolute"]) for error in together}) == 2
    for row in (0, 7, 19, 25, 39):
        (alone,) = errors_of(clips, net, [row])
        np.testing.assert_allclose(alone["absolute"], together[row]["absolute"], rtol=1e-4, atol=1e-5)


def test_one_clip_is_scored_from_the_stored_gaussians_as_in_the_table(folder):
    run = settings(folder)
    table, (clips, net) = scorer.score(run, "fan", "base"), scorer.open_trained(run, "fan", "base")
    stored = frame_to_clip_scores.load(paths.Run.of(run).system("autoencoder", "fan", "base") / "scorers.safetensors")
    table = table[table["split"] == "test"]  # held-out clips are scored by other Gaussians
    score, options = table.pivot(index="clip", columns="system", values="score"), run.autoencoder.scorer
    for row in np.flatnonzero(clips.waveforms.clips["split"] == "test")[[0, 9, 23]]:
        clip = clips.waveforms.clips.iloc[row]
        (error,) = errors_of(clips, net, [row], frame_to_clip_scores.error_kinds(options))
        found = frame_to_clip_scores.score_clip(error, stored, clip["section"], clip["domain"], options)
        assert list(found) == options.variants
        for variant, value in found.items():
            assert value == pytest.approx(score.loc[clip["clip"], f"autoencoder/base/{variant}"], rel=1e-4, abs=1e-3)


def test_without_masking_one_plain_copy_is_scored(folder):
    plain = settings(folder, autoencoder__scorer__masking=False, autoencoder__origin="extension")
    clips, net = scorer.open_trained(plain, "fan", "base")
    example = net.reconstruct(clips.waveforms.read(0), 0, "any")
    np.testing.assert_array_equal(example.masked, example.original)
    assert net.copies == 1


def test_inspection_agrees_with_the_scores(folder):
    run = settings(folder)
    table = scorer.score(run, "fan", "base")
    table = table[table["system"] == "autoencoder/base/median"]
    for label in ("normal", "anomaly"):
        row = inspection.typical(table, "01", "target", label)
        assert (row["label"], row["section"], row["domain"], row["split"]) == (label, "01", "target", "test")
        seen = inspection.inspect(run, "fan", "base", row)
        assert np.median(seen.frame_scores) == pytest.approx(row["score"], rel=1e-4)
        spectra = seen.spectra
        assert seen.clip == row["clip"]
        shapes = {getattr(spectra, name).shape for name in ("original", "masked", "reconstruction", "error")}
        assert shapes == {(len(seen.frame_scores), 12)}
        np.testing.assert_allclose(spectra.error, spectra.reconstruction - spectra.original, rtol=1e-3, atol=1e-3)
        assert len(seen.waveform) == 3500 and seen.sample_rate == 16_000
    with pytest.raises(ModelError, match=r"fan has no test clip 'other\.wav'"):
        inspection.inspect(run, "fan", "base", row.replace({row["clip"]: "other.wav"}))
    with pytest.raises(ModelError, match="section 07 has no normal test clip"):
        inspection.typical(table, "07", "target", "normal")


def test_band_errors_are_means_in_decibel(folder):
    run = settings(folder)
    scorer.score(run, "fan", "base")
    place = paths.Run.of(run).system("autoencoder", "fan", "base")
    table = pd.read_csv(place / "bands.csv", dtype={"section": str})
    opened, net = scorer.open_trained(run, "fan", "base")
    clips = opened.waveforms.clips
    where = {"section": "00", "domain": "target", "split": "test", "label": "anomaly"}
    rows = np.flatnonzero((clips[list(where)] == list(where.values())).all(axis=1))
    keys = scorer.mask_keys(clips)
    examples = [net.reconstruct(opened.waveforms.read(row), 0, keys[row]) for row in rows]
    expected = np.mean([example.error.mean(0) for example in examples], axis=0)
    found = table[(table[list(where)] == list(where.values())).all(axis=1)]
    np.testing.assert_allclose(found["signed"], expected, rtol=1e-4, atol=1e-4)
    assert found["band"].tolist() == list(range(12))


def test_section_regression_adds_an_error(folder):
    plain = {"origin": "extension", "model": {"section_regression": False}}
    run = settings(folder, autoencoder_candidates={"base": {}, "plain": plain})
    train.fit(run, "fan", "plain")
    for candidate, dims in (("base", 13), ("plain", 12)):
        clips, net = scorer.open_trained(run, "fan", candidate)
        assert next(errors_of(clips, net, [0], ["signed"]))["signed"].shape[1] == dims
        assert np.isfinite(scorer.score(run, "fan", candidate)["score"]).all()


def test_a_model_that_is_missing_or_another(folder):
    run = settings(folder, autoencoder_candidates={"base": {}, "other": {"seed": 1}})
    with pytest.raises(ModelError, match=r"other: no trained autoencoder; run notebook 03_train"):
        scorer.score(run, "fan", "other")
    with pytest.raises(ArtefactError, match=r"record.json: made with model: .*; delete that folder"):
        scorer.score(settings(folder, autoencoder__model__dropout=0.5), "fan", "base")
    train.fit(run, "fan", "other")
    with pytest.raises(ModelError, match="no scorers; run notebook 04"):
        inspection.inspect(
            run, "fan", "other", pd.Series({"section": "00", "domain": "source", "split": "test", "clip": "any"})
        )


def test_targets_gaussians_are_fitted_to_shifted_clips():
    table, parts = clips_and_errors()
    shifted = errors(400, 4, 99) + 3.0
    fitted = section_domain_gaussians.fit_frames(table, parts, AutoencoderScorer(), {"00": shifted})
    np.testing.assert_allclose(fitted["00.target"].covariance, LedoitWolf().fit(shifted).covariance_)
    np.testing.assert_allclose(fitted["00.target"].mean, shifted.mean(0))
    plain = section_domain_gaussians.fit_frames(table, parts, AutoencoderScorer())
    np.testing.assert_array_equal(fitted["00.source"].mean, plain["00.source"].mean)
    assert fitted["01.target"] is fitted["01.source"]  # a section without target clips has no pseudo-target clips

    signed = np.stack([part.mean(0) for part in parts])
    table = table.assign(split="train")
    whole = section_domain_gaussians.fit_clips(table, signed, 0.0, {"00": shifted})
    np.testing.assert_allclose(whole["clip.00.target"].mean, shifted.mean(0))
    np.testing.assert_allclose(whole["clip.00.target"].covariance, LedoitWolf().fit(shifted).covariance_)


def test_errors_of_pseudo_target_clips(folder):
    """Fit the target's Gaussians to shifted clips with scipy, those for held-out clips without their own folds."""
    run = settings(folder, autoencoder__scorer__target_from="shifted", autoencoder__origin="extension")
    with_them, without = (scorer.score(chosen, "fan", "base") for chosen in (run, settings(folder)))  # one training
    clips, net = scorer.open_trained(run, "fan", "base")
    waveforms, rows = shifted_clips.open_rows(run, "fan", ["00", "01"])
    every = list(scorer.clip_errors(net, waveforms, rows, clips.sections, ["absolute"]))
    held_out = clips.table["clip"][clips.role == HELD_OUT]
    own = list(errors_of(clips, net, clips.rows))
    median = with_them[with_them["system"] == "autoencoder/base/median"]
    for _, row in median[median["domain"] == "target"].iterrows():
        made = waveforms.clips["section"].eq(row["section"]) & waveforms.clips["clip"].isin(held_out)
        made &= waveforms.clips["clip"] != row["clip"]  # each held-out clip is a fold of its own
        assert made.sum() == (1 if row["split"] == "train" else 2)
        frames = np.concatenate([every[index]["absolute"] for index in np.flatnonzero(made)]).astype(np.float64)
        normal = multivariate_normal(frames.mean(0), LedoitWolf().fit(frames).covariance_)
        index = int(np.flatnonzero(clips.waveforms.clips["clip"] == row["clip"])[0])
        expected = np.median(-normal.logpdf(own[index]["absolute"]))
        assert row["score"] == pytest.approx(expected, rel=1e-4, abs=1e-3)
    source = with_them["domain"] == "source"
    np.testing.assert_array_equal(with_them["score"][source], without["score"][source])
    assert (with_them["score"] != without["score"])[~source & ~with_them["system"].str.endswith("/l1")].all()


def test_the_first_and_the_last_frame_score_like_others(tmp_path):
    """In 30 clips of stationary noise, frames whose window reaches beyond the clip would score highest."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 30)):
        place = tmp_path / "data" / "fan" / ("train" if split == "train" else "source_test")
        place.mkdir(parents=True)
        for index in range(count):
            label = "anomaly" if split == "test" and index < 2 else "normal"  # by name only: all clips sound alike
            name = f"section_00_source_{split}_{label}_{index:04d}.wav"
            soundfile.write(place / name, 0.1 * rng.standard_normal(8000), 16_000, subtype="PCM_16")
    run = settings(tmp_path, autoencoder__training__steps=60, autoencoder__training__warmup=20)
    prepare_clips(run)
    train.fit(run, "fan", "base")
    table = scorer.score(run, "fan", "base")
    table = table[(table["system"] == "autoencoder/base/mean") & (table["split"] == "test")]
    assert len(table) == 30
    ranks = []
    for _, row in table.iterrows():
        frames = inspection.inspect(run, "fan", "base", row).frame_scores
        ranks.append([(frames < frames[place]).mean() for place in (0, -1)])
    first, last = np.median(ranks, axis=0)  # uniform ranks: a median of 30 deviates by 0.09
    assert 0.25 < first < 0.75 and 0.25 < last < 0.75, (first, last)
