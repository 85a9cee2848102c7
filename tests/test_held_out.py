"""Test that no system of a small run learns from a held-out clip, and that all score the same clips.

The run is made twice, the second time with another recording in the place of one held-out clip. Networks, mean spectra,
statistics of waveforms, centroids and Gaussians that know that clip would differ.
"""

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from classifier_clips import project
from safetensors.numpy import load_file

from asdlib import ensemble, paths, scores
from asdlib.autoencoder import scorer as autoencoder_scorer
from asdlib.autoencoder import train as autoencoder
from asdlib.baselines import frame_autoencoder, mahalanobis, mahalanobis_target, mobilenet
from asdlib.classifier import clip_outputs
from asdlib.classifier import scorer as classifier_scorer
from asdlib.classifier import train as classifier
from asdlib.data.audio import Waveforms
from asdlib.data.held_out_split import HELD_OUT, LEARN
from asdlib.data.machine_clips import open_machine
from asdlib.errors import ArtefactError
from asdlib.evaluation import table1
from asdlib.integrated import run as integrated
from asdlib.shift import shifted_clips

pytestmark = pytest.mark.slow

FRONT = {"n_fft": 256, "hop_length": 128, "n_mels": 12}
CHANGES = {
    "frame_autoencoder": {"features": FRONT, "epochs": 1, "hidden": 8, "bottleneck": 2, "batch_size": 64},
    "mobilenet": {"features": FRONT, "frames": 16, "train_hop": 8, "test_hop": 8, "width": 0.25, "epochs": 1},
    "mahalanobis": {"features": FRONT},
    "autoencoder": {
        "features": FRONT,
        "model": {"channels": 8, "heads": 2, "blocks": 1, "kernel": 3, "expansion": 2, "latent": 4},
        "specaugment": {"time_masks": 2, "clip_frames": 20, "frequency_masks": 1, "frequency_width": [0, 3]},
        "training": {"steps": 3, "warmup": 2, "batch_size": 4, "crop_frames": [8, 20]},
        "scorer": {"copies": 2},
    },
    "autoencoder_candidates": {
        "base": {},
        "shifted": {
            "origin": "extension",
            "training": {"pseudo_target": 0.5, "pseudo_target_by": "shift"},
            "scorer": {"target_from": "shifted"},
        },
    },
    "integrated": {
        "features": FRONT,
        "model": {"channels": 8, "heads": 2, "blocks": 1, "kernel": 3, "expansion": 2, "latent": 4, "embedding": 4},
        "specaugment": {"time_masks": 2, "clip_frames": 20, "frequency_masks": 1, "frequency_width": [0, 3]},
        "training": {"steps": 3, "warmup": 2, "batch_size": 8, "crop_frames": [8, 20], "balance_steps": 2},
        "scorer": {"copies": 2},
    },
    "data.held_out": 0.5,  # three clips: z-scores of two are always 1 and -1, so different scores can look equal
    "classifier.training": {"steps": 3, "finetune_steps": 2},
    "classifier_candidates": {
        "base": {},
        "shifted": {
            "origin": "extension",
            "batches": {"pseudo_target_by": "shift"},
            "scorer": {"target_from": "shifted"},
        },
    },
}
SINGLES = {
    "frame_autoencoder": frame_autoencoder.run,
    "mobilenet": mobilenet.run,
    "mahalanobis": mahalanobis.run,
    "mahalanobis_shift": functools.partial(mahalanobis.run, system=mahalanobis.SHIFTED),
    "mahalanobis_target": mahalanobis_target.run,
    "integrated": integrated.run,
}


NORMALISED = ("autoencoder", "classifier", "mahalanobis_target", "integrated")
"""systems whose scores are fitted to, or z-scored by, the held-out clips of a section"""


def everything(settings) -> Path:
    """Train and score all systems of fan, and return their folder."""
    for run in SINGLES.values():
        run(settings, "fan")
    for candidate in settings.autoencoder_candidates:
        autoencoder.fit(settings, "fan", candidate)
        autoencoder_scorer.score(settings, "fan", candidate)
    for candidate in settings.classifier_candidates:
        for section in ("00", "01"):
            classifier.fit(settings, "fan", section, candidate)
        classifier_scorer.score(settings, "fan", candidate)
    return paths.Run.of(settings).folder


def changed(settings, name: str, row: int):
    """Copy settings and decoded clips to another folder, with another sound in place of clip ``row``."""
    other = settings.model_copy(update={"runs": settings.runs + name})
    shutil.copytree(paths.Run.of(settings).folder / "data", paths.Run.of(other).folder / "data")
    place = paths.Run.of(other).data("fan")
    clip = Waveforms.open(place).clips.iloc[row]
    samples = np.load(place / "waveforms.npy", mmap_mode="r+")
    piece = slice(clip["start"], clip["start"] + clip["samples"])
    samples[piece] = np.random.default_rng(0).integers(-20_000, 20_000, clip["samples"])
    samples.flush()
    shifted_clips.make(other, "fan")
    return other


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return the settings, the run folders without and with the change, and the name of the changed clip."""
    settings = project(tmp_path_factory.mktemp("runs"), further=(("fan", "02"),), changes=CHANGES)
    clips = open_machine(settings, "fan")
    chosen = (clips.role == HELD_OUT) & (clips.table["section"] == "00")
    row = int(clips.rows[np.flatnonzero(chosen)[0]])
    name = clips.waveforms.clips["clip"].iat[row]
    return settings, everything(settings), everything(changed(settings, "changed", row)), name


def test_no_network_learns_from_a_held_out_clip(runs):
    _, before, after, _ = runs
    networks = [path for path in sorted(before.rglob("*.safetensors")) if path.name != "scorers.safetensors"]
    assert (
        len(networks) == 6 + 2 + 2 * 3
    )  # systems without candidates, autoencoders, classifiers: one of three is not fine-tuned
    for path in networks:
        assert path.read_bytes() == (after / path.relative_to(before)).read_bytes(), path


def test_neither_do_shifts_and_centroids(runs):
    _, before, after, name = runs
    for part in ("fan/shifts.csv", "fan/clips.csv"):
        assert (before / "shifted" / part).read_bytes() == (after / "shifted" / part).read_bytes()
    for candidate in ("base", "shifted"):
        place = Path("classifier") / "fan" / candidate
        (table, known), (_, other) = clip_outputs.load(before / place), clip_outputs.load(after / place)
        same = ~((table["clip"] == name) & (table["machine"] == "fan"))  # valve has a clip of this name too
        assert (~same).sum() == {"base": 2, "shifted": 4}[candidate]  # both stages; as a pseudo-target clip too
        assert set(table.loc[same, "kind"]) >= {"centroid", "outlier", "section"}
        np.testing.assert_array_equal(known[same], other[same])
        assert (known[~same] != other[~same]).any(1).all()


def test_scores_depend_on_a_held_out_clip_only_where_they_should(runs):
    """The other section does not know it at all; the reference rows and its own section may, but for systems whose
    normal clips are those that were learnt from."""
    _, before, after, name = runs
    for path in sorted(before.rglob("scores.csv")):
        tables = [scores.read(run / path.relative_to(before)) for run in (before, after)]
        own = tables[0]["clip"] == name
        assert own.sum() == 2 * tables[0]["system"].nunique()  # as a source and as a target clip
        assert (tables[0]["score"] != tables[1]["score"])[own].all(), path
        same = tables[0]["section"] == "01" if path.relative_to(before).parts[0] in NORMALISED else ~own
        pd.testing.assert_frame_equal(tables[0][same], tables[1][same])


def test_gaussians_of_the_embedding_are_of_clips_that_were_learnt_from(runs):
    _, before, after, name = runs
    tables = [scores.read(run / "classifier" / "fan" / "base" / "scores.csv") for run in (before, after)]
    same = tables[0]["system"].str.endswith("mahalanobis") & (tables[0]["clip"] != name)
    pd.testing.assert_frame_equal(tables[0][same], tables[1][same])


def test_all_systems_score_the_same_clips(runs):
    settings, before, _, _ = runs
    keys = ["section", "domain", "split", "clip", "label"]
    clips = open_machine(settings, "fan")
    expected = sorted(clips.scored[keys].itertuples(index=False, name=None))
    assert {row[0] for row in expected} == {"00", "01"}  # section 02 has no test clips
    assert sum(row[2] == "train" for row in expected) == 2 * 3 + 3  # section 00 has a target domain
    found = 0
    for path in sorted(before.rglob("scores.csv")):
        for system, table in scores.read(path).groupby("system"):
            assert sorted(table[keys].itertuples(index=False, name=None)) == expected, system
            found += 1
    assert found == 6 + 2 * len(settings.autoencoder.scorer.variants) + 2 * len(settings.classifier.scorer.variants)


def test_reference_clips_are_scored_as_target_clips_are(runs):
    """Their scores by the target's model and Gaussians differ from their scores as source clips."""
    settings, before, _, _ = runs
    for branch, variant in (("autoencoder", "median"), ("classifier", "w50_mean"), ("classifier", "mahalanobis")):
        table = scores.read(before / branch / "fan" / "base" / "scores.csv")
        table = table[table["system"].str.endswith(f"/{variant}") & (table["split"] == "train")]
        pair = table[table["section"] == "00"].pivot(index="clip", columns="domain", values="score")
        assert len(pair) == 3 and (pair["source"] != pair["target"]).all()
    outputs, _ = clip_outputs.read(settings, "fan", "base")
    table = scores.read(before / "classifier" / "fan" / "base" / "scores.csv")
    table = table[table["system"] == "classifier/base/posterior"]
    tuned = outputs[(outputs["model"] == "00") & (outputs["stage"] == "fine-tuning") & (outputs["kind"] == "section")]
    held_out = tuned[tuned["role"] == "held out"]["minus_logit_mean"]
    for _, row in table[(table["domain"] == "target") & (table["section"] == "00")].iterrows():
        logit = tuned.loc[tuned["clip"] == row["clip"], "minus_logit_mean"].item()
        assert row["score"] == pytest.approx((logit - held_out.mean()) / held_out.std(ddof=0), rel=1e-6)


def test_models_and_scores_of_another_share_of_held_out_clips_are_refused(runs):
    """With 0.5 three clips of each section were held out, with 0.67 four are: the old networks learnt from one of them.

    The same clips are decoded, so that the fingerprint of the data does not tell.
    """
    settings = runs[0]
    other = settings.model_copy(update={"data": settings.data.model_copy(update={"held_out": 0.67})})
    learnt = [set(np.flatnonzero(open_machine(each, "fan").role == LEARN)) for each in (settings, other)]
    assert learnt[1] < learnt[0]
    assert len(ensemble.pools(settings, "fan")) == 2
    with pytest.raises(ArtefactError, match=r"made with held_out: 0.5, while this run has 0.67"):
        autoencoder_scorer.open_trained(other, "fan", "base")
    with pytest.raises(ArtefactError, match=r"made with held_out: 0.5, while this run has 0.67"):
        classifier_scorer.score(other, "fan", "base")
    with pytest.raises(ArtefactError, match=r"base.record.json: made with held_out: 0.5, while this run has 0.67"):
        ensemble.pools(other, "fan")
    for system in SINGLES:
        record = json.loads((runs[1] / system / "fan" / "record.json").read_text())
        assert (record["settings"]["held_out"], record["settings"]["run_seed"]) == (0.5, 0)
    with pytest.raises(ArtefactError, match=r"frame_autoencoder.fan.record.json: made with held_out: 0.5"):
        table1.read(other)
    reseeded = settings.model_copy(update={"seed": 1})
    with pytest.raises(ArtefactError, match=r"base.record.json: made with run_seed: 0, while this run has 1"):
        ensemble.pools(reseeded, "fan")


def test_an_autoencoder_of_other_pseudo_target_clips_is_refused(runs):
    """The estimated shift's jitter makes other clips; only networks that learn from such clips depend on it."""
    settings = runs[0]
    made = settings.data.shifted.model_copy(update={"jitter": 0.5})
    other = settings.model_copy(update={"data": settings.data.model_copy(update={"shifted": made})})
    with pytest.raises(ArtefactError, match=r'shifted_clips: \{"clips": 200, "jitter": 2.0\}'):
        autoencoder_scorer.open_trained(other, "fan", "shifted")
    assert autoencoder_scorer.open_trained(other, "fan", "base")[0].sections == ["00", "01", "02"]


def test_a_section_without_labelled_test_clips_is_used_for_training(runs):
    """The autoencoders and MobileNetV2 also learn from section 02, but no table has scores of it."""
    settings, before, _, _ = runs
    learnt = pd.read_csv(before / "autoencoder" / "fan" / "base" / "clips.csv", dtype=str)
    assert learnt.groupby("section")["role"].value_counts()["02"].to_dict() == {"learn": 5, "held out": 3}
    record = json.loads((before / "autoencoder" / "fan" / "base" / "record.json").read_text())
    assert record["settings"]["sections"] == ["00", "01", "02"]
    record = json.loads((before / "mobilenet" / "fan" / "record.json").read_text())
    assert record["settings"]["classes"] == ["fan 00", "fan 01", "fan 02"]
    clips = open_machine(settings, "fan")
    row = int(clips.rows[np.flatnonzero((clips.role == LEARN) & (clips.table["section"] == "02"))[0]])
    other = changed(settings, "learnt", row)
    frame_autoencoder.run(other, "fan")
    mobilenet.run(other, "fan")
    autoencoder.fit(other, "fan", "base")
    after = paths.Run.of(other).folder
    for part in ("frame_autoencoder/fan", "mobilenet/fan", "autoencoder/fan/base"):
        tensors = [load_file(run / part / "model.safetensors") for run in (before, after)]
        assert any((tensors[0][name] != tensors[1][name]).any() for name in tensors[0]), part
