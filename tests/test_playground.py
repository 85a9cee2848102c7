"""Test that the playground agrees with the run's scores of a clip, and that other recordings can be judged."""

import datetime
import shutil

import nbformat
import numpy as np
import pandas as pd
import pytest
import soundfile

from asdlib import Verdict, explorer, origin, params, playground, scores
from asdlib.autoencoder import inspection
from asdlib.classifier import clip_outputs, window_outputs
from asdlib.classifier import inspection as classifier_inspection
from asdlib.detector.calibration import ENSEMBLE, combine_together
from asdlib.ensemble.normalisation import normalise
from asdlib.errors import AsdError
from asdlib.execution import notebooks
from asdlib.paths import HOME, Run

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(smoke, monkeypatch):
    monkeypatch.setenv(HOME, str(smoke))
    return params.load("smoke")


def one(settings, domain):
    known = scores.read(Run.of(settings).scores("autoencoder", "fan", "base"))
    known = known[known["system"] == known["system"].iat[0]]
    return inspection.typical(known, "00", domain, "anomaly")


def run_scores(settings, branch, domain, candidate="base"):
    """Return the scores of fan's section 00 by clip, in the paper's variant that is used without labels."""
    variant = origin.first(branch, settings.candidate(branch, candidate).scorer.variants, origin.PAPER)
    known = scores.read(Run.of(settings).scores(branch, "fan", candidate))
    known = known[(known["system"] == f"{branch}/{candidate}/{variant}") & (known["section"] == "00")]
    return known[known["domain"] == domain].set_index("clip").sort_index()


@pytest.mark.parametrize("domain", ["source", "target"])
def test_a_clip_of_the_run_scores_as_in_the_run(settings, domain):
    name = one(settings, domain)["clip"]
    clip, waveform = playground.pick(settings, "fan", name, "01", "source")  # its name says what it is
    assert tuple(clip[["section", "domain", "label"]]) == ("00", domain, "anomaly")
    judge = playground.load_judge(settings, clip, waveform, "base", "base")
    verdict, together = playground.judge(judge, clip, waveform), []
    assert isinstance(verdict, Verdict) and verdict.spans is not None
    for branch in ("autoencoder", "classifier"):
        known = run_scores(settings, branch, domain)
        held_out = known.loc[known["split"] == "train", "score"]
        expected = (known.loc[name, "score"] - held_out.mean()) / held_out.std(ddof=0)
        assert verdict.branches[branch]["score"] == pytest.approx(expected, rel=1e-3, abs=1e-3)
        together.append(normalise(np.append(held_out, known.loc[name, "score"])))
    both = np.mean(together, axis=0)
    assert verdict.score == pytest.approx((both[-1] - both[:-1].mean()) / both[:-1].std(), rel=1e-3, abs=1e-3)
    table, embedding = classifier_inspection.place_clip(settings, "base", clip, waveform)
    known, vectors = clip_outputs.read(settings, "fan", "base")
    row = known.index[(known["clip"] == name) & (known["stage"] == table["stage"].iat[-1])][0]
    assert np.allclose(embedding[-1], vectors[row], rtol=1e-3, atol=1e-4)
    assert np.allclose(
        table.iloc[-1][window_outputs.MEASURES].astype(float), known.loc[row, window_outputs.MEASURES], rtol=1e-3
    )
    assert (table["clip"] == name).sum() == 1 and table["kind"].iat[-1] == "picked"


def test_the_decision_follows_from_the_training_clips_and_the_rate(settings):
    clip, waveform = playground.pick(settings, "fan", one(settings, "source")["clip"], "00", "source")
    for rate in (0.95, 0.1):
        judge = playground.load_judge(settings, clip, waveform, "base", "base", rate)
        verdict = playground.judge(judge, clip, waveform)
        known = pd.DataFrame(verdict.held_out)
        assert list(known) == ["autoencoder", "classifier", "ensemble"]
        assert np.allclose(known.mean(), 0) and np.allclose(known.std(ddof=0), 1)
        (samples,) = judge.stored.description.samples(settings.data.sample_rate)
        reference = judge.stored.reference[judge.key("00", "source", samples)]
        assert len(known) == len(next(iter(reference.values())))
        alone = combine_together(reference, judge.by)[ENSEMBLE]  # without the clip, which changes little
        assert np.corrcoef(known["ensemble"], alone)[0, 1] > 0.9
        table = playground.tabulate(verdict).set_index("system")
        assert list(table.index) == list(known)
        assert (table.loc["ensemble", "verdict"] == "anomaly") == verdict.anomaly == (verdict.score > verdict.threshold)
        for system, row in table.iterrows():
            side = "above" if row["score"] > row["threshold"] else "below"
            assert system == ENSEMBLE or row["verdict"] == f"{side} its threshold"
            assert (known[system] <= row["threshold"]).mean() >= 1 - rate
            below = (known[system] < row["score"]).mean()
            assert row["percentile"] / 100 == pytest.approx(below, abs=1 / (1 + len(known)))


def test_a_score_that_is_rounded_to_zero_has_no_minus_sign():
    table = pd.DataFrame({"system": ["a"], "score": [-0.001], "threshold": [-1.237], "percentile": [50.0]})
    text = playground.show(table).to_html()
    assert ">0.00<" in text and ">-1.24<" in text


@pytest.mark.parametrize(
    ("label", "score", "words"),
    [
        ("anomaly", 0.9, ": the fault is missed."),
        ("anomaly", 1.1, ": the fault is found."),
        ("normal", 0.9, ": no false alarm."),
        ("normal", 1.1, ": a false alarm."),
        ("unknown", 1.1, "no label to compare"),
    ],
)
def test_the_outcome_compares_the_ensembles_verdict_with_the_label(label, score, words):
    table = pd.DataFrame({
        "system": ["autoencoder", "ensemble"], "score": [5.0, score], "threshold": [1.0, 1.0],
        "verdict": ["above its threshold", "anomaly" if score > 1 else "normal"],
    })  # fmt: skip
    text = playground.outcome(pd.Series({"label": label}), table)
    assert words in text and f"says {table['verdict'].iat[1]}" in text


def test_a_candidate_without_a_score_over_frames_is_judged(settings, tmp_path):
    variants = {"scorer": {"variants": ["clip_signed", "l1"]}}
    candidates = {"autoencoder_candidates": settings.autoencoder_candidates | {"base": variants}}
    settings = params.Settings.model_validate(params.merge(settings.resolved(), candidates))
    name = one(settings, "source")["clip"]
    clip, waveform = playground.pick(settings, "fan", name, "00", "source")
    verdict = playground.judge(playground.load_judge(settings, clip, waveform, "base", "base"), clip, waveform)
    known = run_scores(settings, "autoencoder", "source")
    held_out = known.loc[known["split"] == "train", "score"]
    expected = (known.loc[name, "score"] - held_out.mean()) / held_out.std(ddof=0)
    assert verdict.branches["autoencoder"]["score"] == pytest.approx(expected, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("share", [0.6, 2.5])
def test_a_recording_of_another_length_is_judged(settings, smoke, tmp_path, share):
    samples, rate = soundfile.read(next((smoke / "data" / "smoke" / "fan").rglob("*_anomaly_*.wav")), dtype="int16")
    soundfile.write(tmp_path / "own.wav", np.resize(samples, round(share * len(samples))), rate, subtype="PCM_16")
    clip, waveform = playground.pick(settings, "fan", str(tmp_path / "own.wav"), "00", "source")
    verdict = playground.judge(playground.load_judge(settings, clip, waveform, "base", "base"), clip, waveform)
    assert np.isfinite(verdict.score) and verdict.anomaly == (verdict.score > verdict.threshold)


def test_the_notebook_takes_a_recording_from_elsewhere(settings, smoke, root, tmp_path):
    own = tmp_path / "mine.wav"
    shutil.copyfile(next((smoke / "data" / "smoke" / "fan").rglob("*_anomaly_*.wav")), own)
    output = tmp_path / "executed.ipynb"
    notebooks.execute(root / "notebooks" / "09_playground.ipynb", output, {"params": "smoke", "clip": str(own)})
    text = output.read_text()
    assert "mine.wav: section 00, source domain, label: unknown" in text
    cells = nbformat.reads(text, as_version=4).cells
    assert sum("image/png" in part.get("data", {}) for cell in cells for part in cell.get("outputs", [])) == 4


def test_clips_that_cannot_be_picked_are_an_error(settings, tmp_path):
    with pytest.raises(AsdError, match=r"'nothing.wav' is neither a file nor the name of a clip of fan; .*clips.csv"):
        playground.pick(settings, "fan", "nothing.wav", "00", "source")
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AsdError, match=r"empty.wav: the file is empty"):
        playground.pick(settings, "fan", str(tmp_path / "empty.wav"), "00", "source")
    (tmp_path / "some.wav").write_bytes(b"RIFF")
    with pytest.raises(AsdError, match=r"no section '07'.* choose one of the sections 00, 01"):
        playground.pick(settings, "fan", str(tmp_path / "some.wav"), "07", "source")


def test_the_explorer_follows_its_choices(settings, tmp_path, monkeypatch):
    """Drop-downs list the clips of the run; players, verdict and figure are those of the chosen or uploaded clip."""
    displayed, printed = [], []
    monkeypatch.setattr(explorer.widgets.Output, "append_display_data", lambda _, thing: displayed.append(thing))
    monkeypatch.setattr(explorer.widgets.Output, "append_stdout", lambda _, text: printed.append(text))
    shown = explorer.Explorer(settings, "fan", "base", "base", 0.9)
    players, verdict, _ = displayed
    assert players.data.count("<audio") == 2 and shown.clip.value in players.data
    assert list(verdict.data["system"]) == ["autoencoder", "classifier", "ensemble"]
    shown.domain.value, shown.label.value = "target", "normal"
    assert shown.clip.options and all("target" in name and "normal" in name for name in shown.clip.options)
    assert shown.clip.value in displayed[-3].data
    thresholds = displayed[-2].data["threshold"]
    shown.quantile.value = 0.6
    assert (displayed[-2].data["threshold"] < thresholds).all()
    soundfile.write(tmp_path / "mine.wav", np.random.default_rng(0).normal(0, 0.1, 32_000), 16_000)

    def upload(name, content):
        file = {"name": name, "type": "audio/wav", "size": len(content), "content": content}
        shown.upload.value = (file | {"last_modified": datetime.datetime.now(datetime.UTC)},)

    upload("mine.wav", (tmp_path / "mine.wav").read_bytes())
    assert "mine.wav" in displayed[-3].data
    upload("odd.wav", b"odd")
    assert "odd.wav" in printed[-1]
