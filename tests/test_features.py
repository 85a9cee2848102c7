"""Test the log-mel front-end against librosa in float64 and the published log-mel of recordings."""

import warnings

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from asdlib.data.audio import Waveforms
from asdlib.features import LogMel, edge_frames, interior, mel_filters, mel_frequencies, spectrograms
from asdlib.params import Features

pytestmark = pytest.mark.slow

RATE = 16_000
LIBROSA = 1e-3  # dB, float32 against float64: above -80 dB and within 60 dB of the frame's loudest band
QUANTISED = 0.26  # dB: the published log-mel has steps of 0.5 dB


def reference(waveform: np.ndarray, features: Features) -> np.ndarray:
    mel = librosa.feature.melspectrogram(
        y=waveform.astype(np.float64),
        sr=RATE,
        n_fft=features.n_fft,
        hop_length=features.hop_length,
        n_mels=features.n_mels,
    )
    return librosa.power_to_db(mel, top_db=None).T


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    """Return a tone with overtones over noise, fading in."""
    time = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 180 * k * time) / k for k in range(1, 20))
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return ((0.1 * tone + 0.01 * noise) * np.minimum(50 * time, 1)).astype(np.float32)


@pytest.mark.parametrize(
    "features",
    [
        Features(),
        Features(hop_length=256, n_mels=256),
        Features(n_fft=2048, hop_length=300, n_mels=64),
        Features(n_fft=400, hop_length=160, n_mels=3),
    ],
    ids=str,
)
@pytest.mark.parametrize("samples", [160_000, 12_345, 700])
@pytest.mark.filterwarnings("ignore:n_fft=.* is too large:UserWarning")  # librosa's, of a clip of 700 samples
def test_equals_librosa(features, samples):
    waveform = sound(samples / RATE)
    ours = LogMel(features, RATE)(torch.from_numpy(waveform)[None])[0].numpy()
    theirs = reference(waveform, features)
    assert ours.shape == theirs.shape == (LogMel(features, RATE).frames(samples), features.n_mels)
    loud = (theirs > -80) & (theirs > theirs.max(axis=1, keepdims=True) - 60)
    assert loud.mean() > 0.9
    np.testing.assert_allclose(ours[loud], theirs[loud], rtol=0, atol=LIBROSA)


def test_equals_the_real_front_end(realdata):
    published = np.load(realdata / "toycar_logmel_u8.npz")
    log_mel = LogMel(Features(), RATE)
    files = sorted((realdata / "frontend").glob("*.wav"))
    assert len(files) == 8
    for file in files:
        label, _, machine, number = file.stem.split("_")
        waveform, rate = soundfile.read(file, dtype="float32")
        assert rate == RATE
        ours = log_mel(torch.from_numpy(waveform)[None])[0, 50:250].numpy()
        theirs = published[f"id{machine}_{label}"][int(number)] / 2 - 100
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=QUANTISED)


def test_ten_seconds_are_313_frames():
    assert LogMel(Features(), RATE)(torch.zeros(1, 160_000)).shape == (1, 313, 128)


def test_silence_is_the_floor():
    assert (LogMel(Features(), RATE)(torch.zeros(1, 4096)) == -100).all()


@given(doublings=st.integers(-4, 12))
def test_a_gain_shifts_the_level(doublings):
    log_mel, waveform = LogMel(Features(), RATE), torch.from_numpy(sound(0.3))[None]
    shifted = log_mel(2.0**doublings * waveform) - log_mel(waveform)
    np.testing.assert_allclose(shifted, 20 * np.log10(2) * doublings, rtol=0, atol=1e-4)


def test_a_clip_does_not_depend_on_its_batch_nor_on_autocast():
    log_mel = LogMel(Features(), RATE)
    batch = torch.from_numpy(np.stack([sound(0.5, seed) for seed in range(3)]))
    together = log_mel(batch)
    assert torch.equal(together, torch.cat([log_mel(clip[None]) for clip in batch]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(log_mel(batch), together)


def test_the_batched_path_of_other_devices_agrees():
    log_mel = LogMel(Features(), RATE)
    batch = torch.from_numpy(np.stack([sound(0.5, seed) for seed in range(3)]))
    np.testing.assert_allclose(log_mel._decibel(batch), log_mel(batch), rtol=0, atol=1e-4)


@given(
    lengths=st.lists(st.sampled_from([1600, 1601, 4000]), min_size=1, max_size=7),
    order=st.randoms(use_true_random=False),
    batch=st.integers(1, 4),
)
def test_spectrograms_keep_the_order_of_clips_of_any_length(lengths, order, batch):
    pcm = [
        np.random.default_rng(row).integers(-9000, 9000, length, dtype=np.int16) for row, length in enumerate(lengths)
    ]
    starts = np.cumsum([0, *lengths[:-1]])
    waveforms = Waveforms(pd.DataFrame({"start": starts, "samples": lengths}), np.concatenate(pcm), "noise")
    rows = order.sample(range(len(lengths)), len(lengths))
    log_mel = LogMel(Features(n_mels=16), RATE)
    spectra = list(spectrograms(waveforms.read_each(rows), log_mel, batch))
    assert len(spectra) == len(rows)
    for row, spectrum in zip(rows, spectra, strict=True):
        assert torch.equal(spectrum, log_mel(torch.from_numpy(pcm[row] / np.float32(32768))[None])[0])


SIZES = [(1024, 512, 1), (1024, 256, 2), (2048, 1024, 1), (400, 160, 2)]


@pytest.mark.parametrize(("n_fft", "hop_length", "edge"), SIZES)
def test_the_interior_has_the_frames_inside_the_clip(n_fft, hop_length, edge):
    """Changing the samples beyond the clip's ends changes all frames except those of the interior."""
    log_mel = LogMel(Features(n_fft=n_fft, hop_length=hop_length, n_mels=20), RATE)
    assert edge_frames(log_mel) == edge
    longer = torch.from_numpy(sound(3.0))
    first = 10 * hop_length  # frame k of the piece is frame k + 10 of the whole
    piece = longer[first : first + 20 * hop_length]
    whole, cut = log_mel(longer[None])[0], log_mel(piece[None])[0]
    inside = interior(cut, log_mel)
    assert len(inside) == len(cut) - 2 * edge
    torch.testing.assert_close(inside, whole[10 + edge : 10 + edge + len(inside)], rtol=0, atol=1e-3)
    for place in [*range(edge), *range(-edge, 0)]:
        offset = 10 + place if place >= 0 else 10 + len(cut) + place
        assert (cut[place] - whole[offset]).abs().max() > 0.01  # dB; the window's taper hides how far it reaches


def test_a_clip_of_edges_only_is_taken_as_it_is():
    log_mel = LogMel(Features(n_mels=8), RATE)
    short = log_mel(torch.zeros(1, 600))[0]
    assert len(short) == 2 and interior(short, log_mel) is short


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("n_fft", [256, 1024, 2048])
def test_mel_filters_are_librosas_bit_for_bit(rate, n_fft):
    for bands in (12, 64, 128):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # librosa warns of bands without a bin
            assert np.array_equal(
                mel_filters(rate, n_fft, bands), librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands)
            )
        assert np.array_equal(mel_frequencies(bands, rate / 2), librosa.mel_frequencies(bands, fmin=0, fmax=rate / 2))
    assert np.array_equal(mel_frequencies(5, 500.0), librosa.mel_frequencies(5, fmin=0, fmax=500.0))
