"""Test what notebook 01 shows of the clips."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import soundfile
from librosa import feature, power_to_db

from asdlib import params, paths
from asdlib.data import inspection
from asdlib.plots import data as figures
from asdlib.plots import sound
from asdlib.synthetic import inspection as fault_inspection

pytestmark = pytest.mark.slow


def test_average_spectra_against_librosa(few_clips):
    table = inspection.spectra(few_clips)
    assert len(table) == 2 * 2 * 6 * 128
    one = table[(table["machine"] == "valve") & (table["section"] == "02") & (table["domain"] == "target")]
    one = one[one["label"] == "anomaly"]
    folder = paths.project_root() / few_clips.data.root / "valve" / "target_test"
    levels = []
    for path in sorted(folder.glob("section_02_*anomaly*.wav")):
        waveform, rate = soundfile.read(path, dtype="float32")
        mel = feature.melspectrogram(y=waveform, sr=rate, n_fft=1024, hop_length=512, pad_mode="constant")
        levels.append(power_to_db(mel, top_db=None).mean(axis=1))
    assert len(levels) == 4
    assert np.allclose(one["level"], np.mean(levels, axis=0), atol=1e-3)
    assert one["frequency"].is_monotonic_increasing and one["frequency"].between(10, 8000).all()


def test_differences_by_hand(few_clips):
    table = inspection.spectra(few_clips)
    curves = table[(table["machine"] == "fan") & (table["section"] == "00") & (table["split"] == "test")]
    level = {key: group["level"].to_numpy() for key, group in curves.groupby(["domain", "label"])}
    row = inspection.differences(table).loc[("fan", "00")]
    assert row["shift"] == pytest.approx(np.abs(level["target", "normal"] - level["source", "normal"]).mean())
    assert row["fault, target"] == pytest.approx(np.abs(level["target", "anomaly"] - level["target", "normal"]).mean())


def test_kinds_of_faults(few_clips):
    """Synthetic data show the same clip with each kind of fault; recordings have none."""
    without, *examples = fault_inspection.kinds(few_clips)
    kinds = fault_inspection.fault_kinds(few_clips)
    assert [example.title.split(" (")[0] for example in examples] == list(kinds.loc["fan"].index)
    assert list(kinds.index.unique("machine")) == ["fan", "valve"]
    assert all(not np.array_equal(example.waveform, without.waveform) for example in examples)
    figure = figures.kinds([without, *examples])
    assert figure.axes[0].get_title() == "fan, section 00: no fault"
    assert sum(bool(axis.get_images()) for axis in figure.axes) == 1 + len(examples)
    plt.close(figure)
    recordings = few_clips.model_copy(update={"data": params.Data()})
    assert len(fault_inspection.fault_kinds(recordings)) == 0 and fault_inspection.kinds(recordings) == []
    assert figures.kinds([]) is None


def test_pairs_and_figures(few_clips):
    pairs = inspection.pairs(few_clips)
    assert list(pairs) == ["fan, section 00", "valve, section 00"]
    for normal, anomaly in pairs.values():
        assert normal.title == "normal" and anomaly.title.startswith("anomaly (")
        assert normal.waveform.shape == (16_000,) and normal.decibel.shape == (32, 128)
    page = sound.players(pairs["fan, section 00"], seconds=0.5).data
    assert page.count("<audio") == page.count('aria-label="') == page.count("data:image/png") == 2
    encoded = page.partition("data:audio/flac;base64,")[2].partition('"')[0]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(encoded)))
    assert rate == 16_000 and len(samples) == 8_000 and 0 < np.abs(samples).max() <= 0.9 + 1e-4, "the beginning only"
    for figure in (figures.pairs(pairs), figures.spectra(inspection.spectra(few_clips))):
        assert all(axis.get_images() or axis.get_lines() or axis.collections for axis in figure.axes)
        plt.close(figure)
