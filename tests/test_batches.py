"""Test that mini-batches have the stated contents, are drawn uniformly, and are pure functions of (seed, step)."""

import collections

import numpy as np
import pytest
import torch
from classifier_clips import project, waveforms
from hypothesis import given, settings
from hypothesis import strategies as st

from asdlib import params
from asdlib.classifier.batches import Batches
from asdlib.classifier.positives_and_negatives import group_clips, held_out_clips
from asdlib.classifier.waveform_normalisation import measure_normalisation
from asdlib.classifier.windows import cut_windows, read_window
from asdlib.errors import ModelError
from asdlib.paths import project_root
from asdlib.training import generator

COUNTS = {
    "fan": {
        ("fan", "00", "source"): 5,
        ("fan", "00", "target"): 2,
        ("fan", "01", "source"): 3,
        ("fan", "01", "target"): 2,
    },
    "valve": {("valve", "00", "source"): 40, ("valve", "02", "source"): 2, ("valve", "02", "target"): 1},
    "ToyCar": {("ToyCar", "00", "source"): 4},
}
VALUES = {key: 1000 * (number + 1) for number, key in enumerate(key for part in COUNTS.values() for key in part)}


def make(machine="fan", section="00", samples=1000, value=None, frames=3, counts=COUNTS, **options) -> Batches:
    branch = params.Classifier(
        origin="extension",  # some batches leave Mixup out
        features={"hop_length": 100},
        images={"frames": frames},
        batches={"batch_size": 8, "target_share": 0.5, "source_mixup": True} | options,
    )
    clips = [group for part in counts.values() for group in group_clips(waveforms(part, samples, value))]
    return Batches(branch, clips, machine, section)


def constants() -> Batches:
    """Create batches of clips that hold one constant for each machine, section and domain."""
    return make(value=lambda *key: VALUES[key], target_share=0.25)


def test_a_batch_is_a_function_of_seed_and_step_only():
    one, other = make(noise=0.5, volume=0.5), make(noise=0.5, volume=0.5)
    for _ in range(3):
        one.source(generator(7, 0))  # what was drawn before does not matter
    torch.rand(5)
    for draw in ("source", "finetuning"):
        first, again, next_step, next_seed = (
            getattr(batches, draw)(generator(*key))
            for batches, key in ((one, (0, 3)), (other, (0, 3)), (one, (0, 4)), (one, (1, 3)))
        )
        assert torch.equal(first.waveform, again.waveform) and torch.equal(first.label, again.label)
        assert not torch.equal(first.waveform, next_step.waveform)
        assert not torch.equal(first.waveform, next_seed.waveform)


@given(
    half=st.integers(2, 12),
    targets=st.integers(0, 12),
    alpha=st.sampled_from([0.0, 0.2, 1.0]),
    seed=st.integers(0, 999),
)
@settings(max_examples=30, deadline=None)
def test_composition(half, targets, alpha, seed):
    targets = min(targets, half)
    batches = make(value=lambda *key: VALUES[key], batch_size=2 * half, target_share=targets / (2 * half), mixup=alpha)
    for draw, wanted in ((batches.source, 0), (batches.finetuning, targets)):
        batch = draw(generator(seed))
        kinds = collections.Counter(batch.kind)
        assert batch.waveform.shape == (2 * half, 200) and batch.waveform.dtype == torch.float32
        assert kinds["outlier"] == half and kinds["normal"] == half - wanted
        assert kinds["target"] == (wanted // 2 if alpha else wanted)
        assert kinds["target"] + kinds["pseudo-target"] == wanted
        assert (batch.label >= 0).all() and (batch.label <= 1).all()
        pure = batch.kind == "target"
        assert (batch.share[pure] == 1).all() and (batch.label.numpy()[pure] == 1).all()
        if not alpha:
            assert (batch.share == 1).all() and batch.label.sum() == half


@pytest.mark.parametrize("profile", sorted(path.stem for path in (project_root() / "params").glob("*.yaml")))
def test_every_profile_fine_tunes_with_as_many_target_clips_as_source_clips(profile):
    """Sec. 2.2: 64 clips a step, 1:1 normal and outlier, 16 of them target or pseudo-target clips."""
    chosen = params.load(profile).classifier.batches
    assert chosen.target_clips * 4 == chosen.batch_size
    kinds = collections.Counter(make(**chosen.model_dump()).finetuning(generator(0)).kind)
    assert kinds["normal"] == kinds["target"] + kinds["pseudo-target"] == chosen.target_clips
    assert kinds["outlier"] == chosen.batch_size // 2


def test_mixtures_have_the_right_partners():
    """Clips hold constants, so mixture, share and label determine the partner of each row."""
    batches, groups = constants(), {value / 32768: key for key, value in VALUES.items()}
    seen = collections.defaultdict(set)
    for step in range(60):
        for draw in (batches.source, batches.finetuning):
            batch = draw(generator(0, step))
            assert (batch.waveform == batch.waveform[:, :1]).all()
            for value, label, kind, share in zip(
                batch.waveform[:, 0], batch.label, batch.kind, batch.share, strict=True
            ):
                if kind == "target":
                    assert groups[round(value.item() * 32768) / 32768] == ("fan", "00", "target")
                if kind == "outlier" or not 0.05 < share < 0.95:
                    continue
                first = ("fan", "00", "source" if kind == "normal" else "target")
                second = groups[round((value.item() * 32768 - share * VALUES[first]) / (1 - share)) / 32768]
                own = second[:2] == ("fan", "00")
                assert label.item() == pytest.approx(share + (1 - share) * own, abs=1e-6)
                seen[draw.__name__, kind].add(("own" if own else "other", second[2]))
    assert seen["source", "normal"] == {("own", "source"), ("other", "source")}
    assert seen["finetuning", "pseudo-target"] == {("own", "source"), ("other", "source")}
    assert ("other", "target") in seen["finetuning", "normal"]  # the outliers that normal clips are mixed with


def test_without_source_mixup_only_pseudo_target_clips_are_mixed():
    options = {"value": lambda *key: VALUES[key], "target_share": 0.25, "batch_size": 16}
    plain, usual = make(source_mixup=False, **options), make(**options)
    for step in range(20):
        source, tuned = plain.source(generator(0, step)), plain.finetuning(generator(0, step))
        assert (source.share == 1).all() and set(source.label.tolist()) == {0.0, 1.0}
        mixed = tuned.kind == "pseudo-target"
        assert mixed.sum() == 2 and (tuned.share[mixed] < 1).all() and (tuned.share[~mixed] == 1).all()
        assert {float(label) for label in tuned.label[~mixed]} == {0.0, 1.0}
        assert (usual.finetuning(generator(0, step)).kind == tuned.kind).all()
    assert (usual.source(generator(0)).share < 1).all()


def outliers(batches: Batches, draw: str, steps: int = 150) -> collections.Counter:
    groups = {round(value): key for key, value in VALUES.items()}
    drawn = collections.Counter()
    for step in range(steps):
        batch = getattr(batches, draw)(generator(0, step))
        drawn.update(
            groups[round(value)] for value in 32768 * batch.waveform[batch.kind == "outlier", 0].double().numpy()
        )
    return drawn


@pytest.mark.parametrize(
    ("negatives", "machines"),
    [("all", {"fan", "valve", "ToyCar"}), ("machine", {"fan"}), ("dataset", {"fan", "valve"})],
)
def test_negatives(negatives, machines):
    batches = make(value=lambda *key: VALUES[key], negatives=negatives, mixup=0)
    source, tuned = outliers(batches, "source"), outliers(batches, "finetuning")
    assert {machine for machine, _, _ in source} == {machine for machine, _, _ in tuned} == machines
    assert {domain for _, _, domain in source} == {"source"} and ("fan", "01", "target") in tuned
    assert not any(key[:2] == ("fan", "00") for key in source + tuned)
    assert {
        key[2] for key in outliers(make(value=lambda *key: VALUES[key], mixup=0, target_negatives=False), "finetuning")
    } == {"source"}


def test_no_large_machine_drowns_a_small_one():
    drawn = outliers(make(value=lambda *key: VALUES[key], mixup=0), "source")
    total = sum(drawn.values())
    expected = {("fan", "01"): 1 / 3, ("ToyCar", "00"): 1 / 3, ("valve", "00"): 1 / 6, ("valve", "02"): 1 / 6}
    for key, share in expected.items():
        deviation = (share * (1 - share) / total) ** 0.5
        assert drawn[(*key, "source")] / total == pytest.approx(share, abs=4 * deviation)


def test_windows_are_pieces_of_their_clips():
    batches = make(samples=lambda number: 400 + 37 * number, mixup=0)
    clips, places = batches.normal.waveforms, set()
    everything = {
        tuple(clips.read(row)[start : start + 200]): start
        for row in range(len(clips))
        for start in range(len(clips.read(row)) - 199)
    }
    for step in range(20):
        batch = batches.source(generator(0, step))
        for samples in 32768 * batch.waveform[batch.kind == "normal"]:
            places.add(everything[tuple(samples.to(torch.int16).tolist())])
    assert len(places) > 40  # at random


def test_a_clip_shorter_than_a_window_continues_mirrored():
    batches = make(samples=130, mixup=0)
    clip = batches.normal.waveforms.read(int(batches.normal.rows[0]))
    longer = read_window(batches.normal.waveforms, int(batches.normal.rows[0]), 0, 200)
    np.testing.assert_array_equal(longer, np.concatenate([clip, clip[::-1][:70]]))
    assert batches.source(generator(0)).waveform.shape == (8, 200)
    assert len(read_window(batches.normal.waveforms, 0, 0, 700)) == 700
    np.testing.assert_array_equal(cut_windows(clip, 200, 3), [longer])


def test_augmentation_is_drawn_with_its_probability():
    plain = make(mixup=0).source(generator(0)).waveform
    never = make(mixup=0, noise=0, volume=0).source(generator(0)).waveform
    always = make(mixup=0, noise=1, volume=1, batch_size=256).source(generator(0)).waveform
    some = make(mixup=0, volume=0.25, batch_size=256).source(generator(0)).waveform
    assert torch.equal(plain, never)
    before = make(mixup=0, batch_size=256).source(generator(0)).waveform
    assert (always != before).any(1).all()
    assert (some != before).any(1).double().mean().item() == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 256) ** 0.5)


def test_normalisation_is_over_all_training_clips_of_the_machine():
    clips = waveforms(COUNTS["fan"], lambda number: 300 + number)
    test = clips.clips["section"] == "01"
    clips.clips.loc[test, "split"] = "test"
    parts = np.concatenate([clips.read(row) for row in np.flatnonzero(~test)]) / 32768
    assert measure_normalisation(clips) == pytest.approx((parts.mean(), parts.std()), rel=1e-9)
    held_out = list(clips.clips["clip"][~test])[1::2]
    parts = np.concatenate([clips.read(row) for row in np.flatnonzero(~test)[::2]]) / 32768
    assert measure_normalisation(clips, held_out) == pytest.approx((parts.mean(), parts.std()), rel=1e-9)


def test_clear_errors():
    with pytest.raises(ModelError, match="section 07 of fan has no normal source training clips"):
        make(section="07")
    with pytest.raises(ModelError, match=r"negatives is 'machine', but apart from section 00 of ToyCar"):
        make("ToyCar", negatives="machine", counts={"ToyCar": COUNTS["ToyCar"]})
    with pytest.raises(ModelError, match=r"'dataset', but crane is in none of their machine types \(fan, gearbox"):
        make("crane", counts=COUNTS | {"crane": {("crane", "00", "source"): 1}}, negatives="dataset")
    with pytest.raises(ModelError, match="section 00 of ToyCar has no target training clips"):
        make("ToyCar").finetuning(generator(0))
    with pytest.raises(ValueError, match=r"target_share\s+Input should be less than or equal to 0\.5"):
        make(target_share=0.6)


def test_a_machine_of_one_section_takes_all_outliers():
    batches = make("ToyCar", value=lambda *key: VALUES[key], negatives="machine", mixup=0)
    assert {key[0] for key in outliers(batches, "source")} == {"fan", "valve"}


@pytest.mark.slow
def test_open_reads_the_machines_that_may_take_part(tmp_path):
    run = project(tmp_path)
    batches = Batches.open(run, "base", "fan", "00")
    assert set(batches.fingerprint) == {"fan", "valve"} and len(batches.normal.rows) == 4 and batches.epoch_steps == 1
    held_out = held_out_clips(run, "fan")
    assert len(held_out) == 4  # two per section
    for part in [batches.normal, batches.target, *batches.source_negatives.clips]:
        assert part.machine == "valve" or held_out.isdisjoint(part.waveforms.clips["clip"].iloc[part.rows])
    assert Batches.open(run, "base", "fan", "01").target is None
    own = project(tmp_path, batches={"negatives": "machine"})
    assert set(Batches.open(own, "base", "fan", "00").fingerprint) == {"fan"}
    sample = batches.outliers(50, generator(0))
    assert {(part.machine, part.section) for part in sample} == {("fan", "01"), ("valve", "00")}
    assert all(len(set(part.rows)) == len(part.rows) for part in sample)


def test_shifted_clips_take_the_place_of_pseudo_target_clips():
    """Shifted clips hold 30000 (own section) and 31000 (other section), the others the constants in VALUES."""
    branch = params.Classifier(
        features={"hop_length": 100},
        images={"frames": 3},
        batches={
            "batch_size": 16,
            "target_share": 0.5,
            "mixup": 0,
            "negatives": "machine",
            "pseudo_target_by": "shift",
        },
        origin="extension",
    )
    clips = group_clips(waveforms(COUNTS["fan"], value=lambda *key: VALUES[key]))
    shifted = {("fan", section, "target"): 4 for section in ("00", "01")}
    made = group_clips(waveforms(shifted, value=lambda machine, section, domain: 30_000 + 1000 * int(section)))
    batches = Batches(branch, clips, "fan", "00", shifted=made)
    seen = collections.defaultdict(set)
    for step in range(40):
        batch = batches.finetuning(generator(0, step))
        assert collections.Counter(batch.kind) == {"target": 4, "shifted": 4, "outlier": 8}
        assert batch.label.tolist() == [1.0] * 8 + [0.0] * 8
        for kind, value in zip(batch.kind, batch.waveform[:, 0], strict=True):
            seen[kind].add(round(value.item() * 32768))
    assert seen["target"] == {VALUES["fan", "00", "target"]} and seen["shifted"] == {30_000}
    assert seen["outlier"] == {VALUES["fan", "01", "source"], VALUES["fan", "01", "target"], 31_000}
    assert "shifted" in batches.fingerprint
    assert set(batches.source(generator(0)).kind) == {"normal", "outlier"}
