"""Test the baselines against librosa, numpy in float64, scikit-learn and scipy, from the files that they write."""

import functools
import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.torch import load_file
from scipy.spatial.distance import mahalanobis as scipy_mahalanobis
from scipy.special import log_softmax
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import roc_auc_score

from asdlib import params, paths, scores, training
from asdlib.baselines import frame_autoencoder, mahalanobis, mahalanobis_target, mobilenet
from asdlib.baselines.windows import Windows
from asdlib.data.audio import Waveforms
from asdlib.data.held_out_split import HELD_OUT, LEARN
from asdlib.data.machine_clips import open_machine
from asdlib.errors import DataError, ModelError
from asdlib.evaluation.rows import ROW_OF
from asdlib.features import LogMel, log_mels
from asdlib.plots import baselines as figures
from asdlib.prepare import prepare_clips
from asdlib.seeds import derive
from asdlib.shift import shifted_clips

pytestmark = pytest.mark.slow

RATE = 16_000
PROFILE = """
profile: tiny
title: Noise (not DCASE2021)
device: cpu
precision: float32
data: {root: data, sections: ["00", "01"]}
frame_autoencoder: {epochs: 12, features: {n_mels: 24}, hidden: 16, bottleneck: 4, batch_size: 64}
mobilenet:
  features: {n_mels: 24}
  frames: 16
  train_hop: 1
  test_hop: 3
  width: 0.25
  epochs: 20
  batch_size: 16
  learning_rate: 1.0e-3
mahalanobis: {features: {n_mels: 24}}
"""
RUNS = {
    "frame_autoencoder": frame_autoencoder.run,
    "mobilenet": mobilenet.run,
    "mahalanobis": mahalanobis.run,
    "mahalanobis_shift": functools.partial(mahalanobis.run, system=mahalanobis.SHIFTED),
    "mahalanobis_target": mahalanobis_target.run,
}
CLIPS = [  # folder, domain, split, label, clips
    ("train", "source", "train", "normal", 12),
    ("train", "target", "train", "normal", 3),
    *(
        (f"{domain}_test", domain, "test", label, 5)
        for domain in ("source", "target")
        for label in ("normal", "anomaly")
    ),
]


def write_machine(root: Path, machine: str, sections: list[str], clips=CLIPS) -> None:
    """Write coloured noise, of a different colour per section; anomalies contain a tone, and clips differ in length."""
    for section in sections:
        for folder, domain, split, label, count in clips:
            (root / machine / folder).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                name = f"section_{section}_{domain}_{split}_{label}_{index:04d}.wav"
                rng = np.random.default_rng([len(machine), int(section), domain == "target", split == "test", index])
                noise = rng.standard_normal(9600 + 400 * (index % 3))
                colour = 0.8 * int(section) * np.roll(noise, 1) + 0.2 * (domain == "target") * np.roll(noise, 2)
                tone = np.sin(np.arange(len(noise)) * 0.7) * (label == "anomaly")
                soundfile.write(root / machine / folder / name, 0.05 * (noise + colour + tone), RATE, subtype="PCM_16")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Create a project with decoded clips of fan (three sections, two of them planned) and valve (one section)."""
    home = tmp_path_factory.mktemp("project")
    write_machine(home / "data", "fan", ["00", "01", "02"])
    write_machine(home / "data", "valve", ["00"], [("train", "source", "train", "normal", 6)])
    (home / "params").mkdir()
    (home / "params" / "tiny.yaml").write_text(PROFILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(paths.HOME, str(home))
        prepare_clips(params.load("tiny"))
        yield home


@pytest.fixture
def settings(home):
    return params.load("tiny")


@pytest.fixture(scope="module")
def tables(home):
    """Run all baselines once."""
    settings = params.load("tiny")
    return {system: run(settings, "fan") for system, run in RUNS.items()}


def folder(settings, system: str) -> Path:
    return paths.Run.of(settings).system(system, "fan")


def spectrogram(home: Path, row: pd.Series) -> np.ndarray:
    """Compute the clip's log-mel with librosa, ``(frames, mels)``, float64."""
    domain = "train" if row.split == "train" else f"{row.domain}_test"
    waveform, _ = soundfile.read(home / "data" / row.machine / domain / row.clip)
    mel = librosa.feature.melspectrogram(y=waveform, sr=RATE, n_fft=1024, hop_length=512, n_mels=24)
    return librosa.power_to_db(mel, top_db=None).T


@pytest.mark.parametrize("system", RUNS)
def test_every_planned_clip_is_scored_and_the_folder_is_whole(settings, tables, system):
    table = tables[system]
    assert len(table) == 2 * (20 + 2 + 2)  # 2 of 12 are held out, and scored as source and as target clips
    assert set(table["section"]) == {"00", "01"} and set(table["split"]) == {"train", "test"}
    held_out = table[table["split"] == "train"].groupby(["section", "domain"])["clip"].apply(set)
    clips = open_machine(settings, "fan")
    for section in ("00", "01"):
        expected = clips.table["clip"][(clips.role == HELD_OUT) & (clips.table["section"] == section)]
        assert held_out[section, "source"] == held_out[section, "target"] == set(expected)
    assert (table["system"] == system).all()
    pd.testing.assert_frame_equal(
        scores.read(paths.Run.of(settings).scores(system, "fan")), table, check_exact=True, check_dtype=False
    )
    files = {"model.safetensors", "scores.csv", "record.json"}
    assert {file.name for file in folder(settings, system).iterdir()} == files | (
        set() if system.startswith("mahalanobis") else {"history.csv"}
    )
    record = json.loads((folder(settings, system) / "record.json").read_text())
    assert record["settings"]["machine"] == "fan" and record["settings"]["features"]["n_mels"] == 24
    assert not list(paths.Run.of(settings).folder.glob("checkpoints/*"))


@pytest.mark.parametrize("system", ["frame_autoencoder", "mahalanobis"])
def test_a_plain_anomaly_is_found(tables, system):
    table = tables[system]
    for _, group in table[table["split"] == "test"].groupby(["section", "domain"]):
        assert roc_auc_score(group["label"] == "anomaly", group["score"]) > 0.9


def test_the_scores_of_the_frame_autoencoder_are_those_of_its_files(home, settings, tables):
    file = folder(settings, "frame_autoencoder") / "model.safetensors"
    model = {name: tensor.double().numpy() for name, tensor in load_file(file).items()}

    def reconstruct(x):
        for layer in range(9):
            dense, norm = f"{3 * layer}", f"{3 * layer + 1}"
            x = x @ model[f"{dense}.weight"].T + model[f"{dense}.bias"]
            x = (x - model[f"{norm}.running_mean"]) / np.sqrt(model[f"{norm}.running_var"] + 1e-5)
            x = np.maximum(x * model[f"{norm}.weight"] + model[f"{norm}.bias"], 0)
        return x @ model["27.weight"].T + model["27.bias"]

    assert [model[f"{3 * layer}.weight"].shape[0] for layer in range(10)] == [16] * 4 + [4] + [16] * 4 + [120]
    table = tables["frame_autoencoder"]
    for row in table.itertuples():
        frames = spectrogram(home, row) - model["level"]
        vectors = sliding_window_view(frames, 5, axis=0).transpose(0, 2, 1).reshape(-1, 120)
        assert row.score == pytest.approx(np.square(reconstruct(vectors) - vectors).mean(), rel=1e-4)


def learnt(home, settings) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Return the training clips of all systems, and their log-mel."""
    clips = open_machine(settings, "fan")
    table = clips.table[clips.role == LEARN]
    return table, [spectrogram(home, row) for row in table.itertuples()]


def test_the_frame_autoencoder_learns_from_both_domains_but_not_from_held_out_clips(home, settings, tables):
    """The official code's validation split loses the last section's target clips; ours must not."""
    table, spectra = learnt(home, settings)
    assert table.groupby(["section", "domain"]).size().to_dict() == {
        (section, domain): count for section in ("00", "01") for domain, count in (("source", 10), ("target", 3))
    }
    vectors = sum(len(spectrum) - 4 for spectrum in spectra)
    history = pd.read_csv(folder(settings, "frame_autoencoder") / "history.csv")
    assert len(history) == 12 * -(-vectors // 64)
    assert history["loss"].tail(20).mean() < 0.8 * history["loss"].head(5).mean()
    level = load_file(folder(settings, "frame_autoencoder") / "model.safetensors")["level"]
    np.testing.assert_allclose(level, np.concatenate(spectra).mean(0), atol=1e-3)


def test_the_frame_autoencoder_reports_its_explained_share(home, settings, tables):
    record = json.loads((folder(settings, "frame_autoencoder") / "record.json").read_text())
    model = frame_autoencoder.network(120, 16, 4)
    tensors = load_file(folder(settings, "frame_autoencoder") / "model.safetensors")
    level = tensors.pop("level").numpy()
    model.load_state_dict(tensors)
    model.eval()
    _, spectra = learnt(home, settings)
    errors = []
    for spectrum in spectra:
        vectors = sliding_window_view(spectrum - level, 5, axis=0).transpose(0, 2, 1).reshape(-1, 120)
        with torch.no_grad():
            output = model(torch.from_numpy(vectors).float()).numpy()
        errors.append(np.square(output - vectors).mean())
    trivial = np.square(np.concatenate(spectra) - level).mean()
    assert record["explained_share"] == pytest.approx(1 - np.mean(errors) / trivial, rel=1e-3)
    assert 0 < record["explained_share"] < 1 and record["health"] == []


def test_a_frame_autoencoder_that_learnt_nothing_is_reported(home):
    """After one huge step, the output is nothing like the input."""
    more = {"profile": "dead", "frame_autoencoder.epochs": 1, "frame_autoencoder.batch_size": 100_000}
    settings = params.load("tiny", more | {"frame_autoencoder.learning_rate": 1.0})
    prepare_clips(settings)
    frame_autoencoder.run(settings, "fan")
    record = json.loads((folder(settings, "frame_autoencoder") / "record.json").read_text())
    assert record["explained_share"] < 0
    assert record["health"] == ["the network reconstructs its training clips no better than their mean"]


def test_the_official_size():
    model = frame_autoencoder.network(640)
    widths = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    expected = sum(a * b + b for a, b in pairwise(widths)) + sum(2 * width for width in widths[1:-1])
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def test_the_scores_of_mobilenet_are_those_of_its_files(home, settings, tables):
    model = mobilenet.network(2, 0.25)
    model.load_state_dict(load_file(folder(settings, "mobilenet") / "model.safetensors"))
    model.eval().double()
    for row in tables["mobilenet"].itertuples():
        frames = spectrogram(home, row)
        windows = np.stack([frames[start : start + 16] for start in range(0, len(frames) - 15, 3)])
        with torch.no_grad():
            logits = model(torch.from_numpy(windows)[:, None].repeat(1, 3, 1, 1)).numpy()
        posterior = np.exp(log_softmax(logits, axis=1))[:, int(row.section)]
        assert row.score == pytest.approx(np.log((1 - posterior) / posterior).mean(), rel=1e-3, abs=1e-3)


def test_mobilenet_distinguishes_sections(tables, settings):
    """A clip, held out or not, scores below zero if the posterior of its own section is above one half."""
    table = tables["mobilenet"]
    held_out = table[(table["split"] == "train") & (table["domain"] == "source")]
    assert (held_out["score"] < 0).all()
    assert held_out.groupby("section")["score"].mean().max() < -1
    record = json.loads((folder(settings, "mobilenet") / "record.json").read_text())
    assert record["accuracy"] > 0.9 and record["health"] == []


def test_mobilenet_reports_its_accuracy_on_training_clips(home, settings, tables):
    model = mobilenet.network(2, 0.25)
    model.load_state_dict(load_file(folder(settings, "mobilenet") / "model.safetensors"))
    model.eval()
    right = []
    table, spectra = learnt(home, settings)
    for row, frames in zip(table.itertuples(), spectra, strict=True):
        windows = np.stack([frames[start : start + 16] for start in range(0, len(frames) - 15, 3)]).astype(np.float32)
        with torch.no_grad():
            log_p = torch.log_softmax(model(torch.from_numpy(windows)[:, None].repeat(1, 3, 1, 1)).double(), 1)
        own, other = log_p[:, int(row.section)], log_p[:, 1 - int(row.section)]
        right.append((own - other).mean().item() > 0)
    record = json.loads((folder(settings, "mobilenet") / "record.json").read_text())
    assert record["accuracy"] == pytest.approx(pd.Series(right).groupby(table["section"].to_numpy()).mean().mean())


def test_the_batch_norm_of_mobilenet_is_that_of_its_weights(home, settings, tables):
    """Compare the first layer with the average mean and variance of 30 batches of training windows, by numpy."""
    tensors = load_file(folder(settings, "mobilenet") / "model.safetensors")
    _, spectra = learnt(home, settings)
    windows = np.concatenate([sliding_window_view(part, 16, axis=0).transpose(0, 2, 1) for part in spectra])
    seed = derive(settings.seed, "mobilenet", "fan")
    means, variances = [], []
    for index in range(30):
        chosen = torch.randint(len(windows), (64,), generator=training.generator(seed, "batch norm", index))
        image = torch.from_numpy(windows[chosen].astype(np.float32))[:, None].repeat(1, 3, 1, 1)
        output = torch.nn.functional.conv2d(image, tensors["features.0.0.weight"], stride=2, padding=1).double()
        means.append(output.mean((0, 2, 3)))
        variances.append(output.var((0, 2, 3), correction=1))
    mean, variance = tensors["features.0.1.running_mean"], tensors["features.0.1.running_var"]
    torch.testing.assert_close(mean.double(), torch.stack(means).mean(0), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(variance.double(), torch.stack(variances).mean(0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("logits", "accuracy", "published_formula"),
    [([9.0, -9.0], 0.5, False), ([-9.0, 9.0], 0.5, True), (None, 0.0, False)],
)
def test_a_mobilenet_that_rejects_its_training_clips_is_reported(
    home, monkeypatch, logits, accuracy, published_formula
):
    """Replace the trained network by one that always gives one answer, and by one that is always wrong."""
    settings = params.load("tiny", {"profile": "dead", "mobilenet.epochs": 1, "mobilenet.train_hop": 100,
                                    "mobilenet.published_formula": published_formula})  # fmt: skip
    prepare_clips(settings)
    plain = mobilenet.window_scores

    def broken(found, section, published=False):
        answer = torch.tensor(logits).expand_as(found) if logits else 9 - 18 * torch.nn.functional.one_hot(section, 2)
        return plain(answer.double(), section, published)

    monkeypatch.setattr(mobilenet, "window_scores", broken)
    mobilenet.run(settings, "fan")
    record = json.loads((folder(settings, "mobilenet") / "record.json").read_text())
    assert record["accuracy"] == accuracy
    assert record["health"] == [
        f"at inference, the network assigns only {accuracy:.0%} of its training clips to their own section"
    ]


@given(
    st.lists(st.lists(st.floats(-8, 8), min_size=3, max_size=3), min_size=1, max_size=5),
    st.integers(0, 2),
)
def test_window_scores_equal_the_plain_formula(logits, section):
    """Compare in the range where the plain formula, which subtracts p from 1, is accurate to 1e-6."""
    own = torch.full((len(logits),), section)
    log_p = log_softmax(np.array(logits), axis=1)[:, section]
    p = np.exp(log_p)
    tensor = torch.tensor(logits, dtype=torch.float64)
    np.testing.assert_allclose(mobilenet.window_scores(tensor, own), np.log1p(-p) - log_p, rtol=1e-6, atol=1e-8)
    published = mobilenet.window_scores(tensor, own, published_formula=True)
    np.testing.assert_allclose(published, np.log((1 - p) - log_p), rtol=1e-6, atol=1e-8)


def test_window_scores_of_a_very_sure_classifier_are_finite():
    logits = torch.tensor([[300.0, -300.0], [-300.0, 300.0]])
    own = torch.tensor([0, 0])
    assert mobilenet.window_scores(logits, own).tolist() == [-600.0, 600.0]
    assert torch.isfinite(mobilenet.window_scores(logits, own, published_formula=True)).all()


def test_the_scores_of_mahalanobis_are_scipys(home, settings, tables):
    """Score all clips, including held-out ones, with the Gaussian of the training clips of both domains."""
    table, clips = tables["mahalanobis"], learnt(home, settings)
    model = load_file(folder(settings, "mahalanobis") / "model.safetensors")

    def vector(spectrum):
        return np.concatenate([spectrum.mean(0), spectrum.std(0)])

    for section, group in table.groupby("section"):
        known = np.stack([vector(clips[1][row]) for row in np.flatnonzero(clips[0]["section"] == section)])
        assert len(known) == 13
        precision = np.linalg.inv(ledoit_wolf(known)[0])
        expected = [scipy_mahalanobis(vector(spectrogram(home, row)), known.mean(0), precision)
                    for row in group.itertuples()]  # fmt: skip
        np.testing.assert_allclose(group["score"], expected, rtol=1e-3)
        np.testing.assert_allclose(model[f"{section}.mean"], known.mean(0), atol=1e-3)
        cholesky = model[f"{section}.cholesky"].numpy()
        np.testing.assert_allclose(np.linalg.inv(cholesky @ cholesky.T), precision, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("system", RUNS)
def test_the_same_settings_give_the_same_bytes(settings, tables, system):
    names = ["model.safetensors", "scores.csv", *(["history.csv"] if not system.startswith("mahalanobis") else [])]
    before = {name: (folder(settings, system) / name).read_bytes() for name in names}
    RUNS[system](settings, "fan")
    assert before == {name: (folder(settings, system) / name).read_bytes() for name in names}


@pytest.mark.parametrize("system", ["frame_autoencoder", "mobilenet"])
def test_an_interrupted_training_resumes_to_the_same_bytes(home, settings, tables, system, monkeypatch):
    names = ["model.safetensors", "scores.csv", "history.csv"]
    before = {name: (folder(settings, system) / name).read_bytes() for name in names}
    cut, calls = Windows.cut, []

    def dying(self, index):
        calls.append(index)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return cut(self, index)

    monkeypatch.setattr(Windows, "cut", dying)
    with pytest.raises(KeyboardInterrupt):
        RUNS[system](settings.model_copy(update={"checkpoint_seconds": 0.0}), "fan")
    assert len(list(paths.Run.of(settings).folder.glob("checkpoints/*.pt"))) == 1
    assert before == {name: (folder(settings, system) / name).read_bytes() for name in names}  # the older one stands
    monkeypatch.undo()
    monkeypatch.setenv(paths.HOME, str(home))
    RUNS[system](settings, "fan")
    assert before == {name: (folder(settings, system) / name).read_bytes() for name in names}
    assert not list(paths.Run.of(settings).folder.glob("checkpoints/*.pt"))


def test_a_single_section_is_distinguished_from_other_machines(home):
    settings = params.load("tiny", {"profile": "single", "data.sections": ["00"], "mobilenet.epochs": 1})
    prepare_clips(settings)
    table = mobilenet.run(settings, "fan")
    assert set(table["machine"]) == {"fan"} and set(table["section"]) == {"00"} and table["score"].std() > 0
    record = json.loads((paths.Run.of(settings).system("mobilenet", "fan") / "record.json").read_text())
    assert record["settings"]["classes"] == ["fan 00", "valve 00"]


def test_a_single_section_alone_cannot_be_classified(home, tmp_path, monkeypatch):
    write_machine(tmp_path / "data", "fan", ["00"])
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    settings = params.load(home / "params" / "tiny.yaml", {"data.sections": None})
    prepare_clips(settings)
    with pytest.raises(ModelError, match=r"fan has only one section and the run no other machine type.*data"):
        mobilenet.run(settings, "fan")
    assert not paths.Run.of(settings).system("mobilenet", "fan").exists()


@pytest.mark.parametrize("run", RUNS.values())
def test_an_unknown_machine_is_refused(settings, run):
    with pytest.raises(DataError, match="machine 'fann' has no systems in the profile tiny; did you mean 'fan'"):
        run(settings, "fann")


def test_a_clip_shorter_than_a_window_is_named(home):
    settings = params.load("tiny", {"mobilenet.frames": 20})
    with pytest.raises(
        ModelError,
        match=r"fan/source_test/section_00_source_test_anomaly_0000\.wav: 9600 samples give 19 frames.*least 20",
    ):
        mobilenet.run(settings, "fan")


def test_too_few_clips_for_a_gaussian(home, tmp_path, monkeypatch):
    few = [(*kind[:4], 1) if kind[0] == "train" else kind for kind in CLIPS]
    write_machine(tmp_path / "data", "fan", ["00"], few)
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    settings = params.load(home / "params" / "tiny.yaml", {"data.sections": None})
    with pytest.raises(DataError, match=r"section 00 of fan has 1 source training clip\(s\); expected at least 3"):
        prepare_clips(settings)


@given(
    lengths=st.lists(st.integers(4, 30), min_size=1, max_size=6),
    width=st.integers(1, 4),
    hop=st.integers(1, 5),
    chosen=st.data(),
)
def test_windows_equal_numpys(lengths, width, hop, chosen):
    frames = torch.arange(sum(lengths) * 2.0).reshape(-1, 2)
    spectrograms = SimpleNamespace(frames=frames, lengths=np.array(lengths))
    clips = np.array(chosen.draw(st.lists(st.sampled_from(range(len(lengths))), min_size=1, unique=True)))
    windows = Windows(spectrograms, width, hop, clips)
    parts = np.split(frames.numpy(), np.cumsum(lengths)[:-1])
    each = [sliding_window_view(parts[clip], width, axis=0)[::hop].transpose(0, 2, 1) for clip in clips]
    assert len(windows) == sum(map(len, each))
    np.testing.assert_array_equal(windows.cut(torch.arange(len(windows))), np.concatenate(each))
    assert windows.clip.tolist() == np.repeat(clips, [len(part) for part in each]).tolist()
    values = torch.rand(len(windows), generator=training.generator(0))
    means = [part.double().mean() for part in values.split([len(part) for part in each])]
    np.testing.assert_allclose(windows.clip_means(values), means)


def test_figures_show_the_values_of_their_tables(settings, tables):
    table = pd.concat(tables.values(), ignore_index=True)
    trained = ["frame_autoencoder", "mobilenet"]
    histories = {system: pd.read_csv(folder(settings, system) / "history.csv") for system in trained}
    losses = figures.losses(histories, {"frame_autoencoder": "dB²", "mobilenet": "cross-entropy"})
    for axis, system in zip(losses.axes, trained, strict=True):
        assert axis.get_title() == ROW_OF[system]
        np.testing.assert_array_equal(axis.lines[0].get_ydata(), histories[system]["loss"])
    assert [axis.get_title() for axis in figures.scores(table).axes] == [ROW_OF[name] for name in tables]
    for axis, system in zip(figures.roc(table, 0.1).axes, RUNS, strict=True):
        assert len(axis.lines) == 1 + 4  # chance, and two sections in two domains
        line = axis.lines[1]
        group = table[(table["system"] == system) & (table["section"] == "00") & (table["domain"] == "source")]
        group = group[group["split"] == "test"]
        area = np.trapezoid(line.get_ydata(), line.get_xdata())
        assert area == pytest.approx(roc_auc_score(group["label"] == "anomaly", group["score"]))


def test_the_shifted_reference_differs_in_the_target_domain_only(home, settings, tables):
    plain, shifted = tables["mahalanobis"], tables["mahalanobis_shift"]
    source = (plain["domain"] == "source").to_numpy()
    np.testing.assert_array_equal(plain["score"][source], shifted["score"][source])
    clips = open_machine(settings, "fan")
    held_out = clips.table["clip"][clips.role == HELD_OUT]
    made, rows = shifted_clips.open_rows(settings, "fan", ["00"], without=held_out)
    assert len(rows) == 10
    log_mel = LogMel(settings.mahalanobis.features, RATE)
    vectors = np.stack([mahalanobis.summary(spectrum) for spectrum in log_mels(made, rows, log_mel)])
    covariance, mean = ledoit_wolf(vectors)[0], vectors.mean(0)
    waveforms = Waveforms.open(paths.Run.of(settings).data("fan"))
    clips = waveforms.clips
    few = (clips["section"] == "00") & (clips["domain"] == "target") & (clips["split"] == "train")
    few = np.stack([mahalanobis.summary(spectrum) for spectrum in log_mels(waveforms, np.flatnonzero(few), log_mel)])
    scatter = (few - mean).T @ (few - mean) / len(few)
    covariance += 0.1 * (scatter + np.diag(np.diag(scatter)))
    here = shifted[~source & (shifted["section"] == "00").to_numpy()]
    for _, row in here.iterrows():
        index = np.flatnonzero((waveforms.clips["clip"] == row["clip"]) & (waveforms.clips["section"] == "00"))
        vector = mahalanobis.summary(next(log_mels(waveforms, index, log_mel)))
        assert row["score"] == pytest.approx(scipy_mahalanobis(vector, mean, np.linalg.inv(covariance)), rel=1e-6)
