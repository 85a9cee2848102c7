"""The page on the data lets one hear the shift next to a fault, and says how large both are, as librosa has it."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from librosa import feature, power_to_db

BOOK = Path(__file__).resolve().parent.parent / "book"
sys.path[:0] = [str(BOOK)]

import shift_heard  # noqa: E402

from asdlib import paths  # noqa: E402
from asdlib.paths import Run  # noqa: E402

pytestmark = pytest.mark.slow


def sizes(settings, machine: str, section: str) -> tuple[float, float]:
    """The shift and the fault in the source, from the files."""
    folder = paths.project_root() / settings.data.root / machine
    spectra = {}
    for domain, label in (("source", "normal"), ("source", "anomaly"), ("target", "normal")):
        levels = []
        for path in folder.glob(f"{domain}_test/section_{section}_*_{label}_*.wav"):
            waveform, rate = soundfile.read(path, dtype="float32")
            mel = feature.melspectrogram(y=waveform, sr=rate, n_fft=1024, hop_length=512, pad_mode="constant")
            levels.append(power_to_db(mel, top_db=None).mean(axis=1))
        spectra[domain, label] = np.mean(levels, axis=0)
    usual = spectra["source", "normal"]
    return tuple(np.abs(spectra[key] - usual).mean() for key in (("target", "normal"), ("source", "anomaly")))


def test_the_shift_is_heard_next_to_a_fault_and_its_size_is_said(few_clips):
    text = shift_heard.heard(Run.of(few_clips), few_clips, "fan")
    titles = re.findall(r'aria-label="([^"]*)"', text)
    assert titles[:2] == ["source: normal", "target: normal"] and titles[2].startswith("source: anomaly (")
    assert text.count("data:image/png") == text.count("<audio") == len(titles) == 3
    said = re.findall(r"section (\d+): the shift is ([\d.]+) dB, the fault ([\d.]+) dB", text)
    assert [section for section, *_ in said] == ["00", "02"]
    for section, *values in said:
        assert list(map(float, values)) == pytest.approx(sizes(few_clips, "fan", section), abs=0.006)


def test_sections_whose_shift_is_larger_than_the_fault_are_counted(few_clips):
    answer = shift_heard.exercise(Run.of(few_clips), few_clips, "fan")[1]
    every = [(name, section, *sizes(few_clips, name, section)) for name in ("fan", "valve") for section in ("00", "02")]
    larger = [item for item in every if item[2] > item[3]]
    count = "every one of the 4" if len(larger) == 4 else f"{len(larger)} of 4" if larger else "none of the 4"
    name, section, shift, fault = max(every, key=lambda item: item[2] / item[3])
    assert f"**So the shift is larger than the fault in {count} sections" in answer
    assert f"in section {section} of {name}: {shift / fault:.1f} times.**" in answer
