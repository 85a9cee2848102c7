"""Test recordings as left by recorders, pipes, crashes and interrupted copies: read whole, or refused with a remedy."""

import io
import os
import struct

import numpy as np
import pytest
import soundfile

from asdlib import params
from asdlib.data import wav
from asdlib.data.quality import QualityCheck, Summary
from asdlib.data.recording import Recording
from asdlib.errors import DataError

pytestmark = pytest.mark.slow

RATE, FRAMES = 16_000, 20_000
PCM = (3000 * np.sin(np.arange(FRAMES) / 7) + np.random.default_rng(0).normal(0, 500, FRAMES)).astype("<i2")
RAW = PCM.tobytes()
FORMAT = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)


def chunk(name, body, size=None, order="<"):
    return name + struct.pack(order + "I", len(body) if size is None else size) + body + bytes(len(body) % 2)


def riff(*chunks, size=None, head=b"RIFF", order="<"):
    body = b"WAVE" + b"".join(chunks)
    return head + struct.pack(order + "I", len(body) if size is None else size) + body


FMT = chunk(b"fmt ", FORMAT)
ID3 = chunk(b"id3 ", bytes(101))
INFO = chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"recorder"))
TAGS = b"ID3\4\0\x10\0\0\0\x0a" + bytes(20) + b"ID3\3\0\0\0\0\0\x0a" + bytes(10)
"""two tags of music players, the first with a footer"""
APE = b"APETAGEX" + struct.pack("<4I", 2000, 132, 1, 0xA0000000) + bytes(108)
APE += b"APETAGEX" + struct.pack("<4I", 2000, 132, 1, 0x80000000) + bytes(8)


def rf64(data, promised, head=b"RF64", after=b""):
    sizes = chunk(b"ds64", struct.pack("<QQQI", promised + 72, promised, promised // 2, 0))
    return riff(sizes, FMT, chunk(b"data", data, 2**32 - 1), after, size=2**32 - 1, head=head)


def encoded(samples=PCM, **options):
    stream = io.BytesIO()
    soundfile.write(stream, samples, RATE, **options)
    return stream.getvalue()


W64 = encoded(format="W64", subtype="PCM_16")
W64_DATA = W64.index(b"data") + 16
AIFF = encoded(format="AIFF", subtype="PCM_16")
SSND, COMM = AIFF.index(b"SSND"), AIFF.index(b"COMM")
FLAC = encoded(format="FLAC", subtype="PCM_16")
OGG = encoded(format="OGG", subtype="VORBIS")


def changed(content, place, new):
    return content[:place] + new + content[place + len(new) :]


def flac(total):
    return changed(FLAC, 21, bytes([FLAC[21] & 0xF0]) + struct.pack(">I", total))


WHOLE = {  # read to the last sample; True if the header is wrong, which a note then says
    "plain": (riff(FMT, chunk(b"data", RAW)), False),
    "fmt after the samples": (riff(chunk(b"data", RAW), FMT), False),
    "a chunk after, then junk": (riff(FMT, chunk(b"data", RAW), ID3) + b"junk after it all", False),
    "odd chunk, not padded": (riff(b"LIST\x0f\0\0\0INFOINAM\3\0\0\0abc", FMT, chunk(b"data", RAW)), False),
    "data in a list": (riff(FMT, chunk(b"LIST", b"adtldata\x0a\0\0\x000123456789"), chunk(b"data", RAW)), False),
    "id3 before": (b"ID3\3\0\0\0\0\0\x0a" + bytes(10) + riff(FMT, chunk(b"data", RAW)), False),
    "two tags before": (TAGS + riff(FMT, chunk(b"data", RAW)), False),
    "wrong size of a frame": (
        riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 4, 16)), chunk(b"data", RAW)),
        False,
    ),
    "block padded with zeros": (riff(FMT, chunk(b"data", RAW)) + bytes(2000), False),
    "unfinished, 0": (riff(FMT, chunk(b"data", RAW, 0), size=0), True),
    "unfinished, 36": (riff(FMT, chunk(b"data", RAW, 0), size=36), True),
    "unfinished, 0, then a chunk": (riff(FMT, chunk(b"data", RAW, 0), INFO, size=0), True),
    "pipe, then two chunks": (riff(FMT, chunk(b"data", RAW, 2**32 - 1), INFO, ID3, size=2**32 - 1), True),
    "outer size right, then a chunk": (riff(FMT, chunk(b"data", RAW, 60_000), INFO), True),
    "unfinished after a filler": (riff(chunk(b"FLLR", bytes(4000)), FMT, chunk(b"data", RAW, 0), size=4080), True),
    "stale": (riff(FMT, chunk(b"data", RAW, 10_000), size=10_036), True),
    "stale, outer size right": (riff(FMT, chunk(b"data", RAW, 10_000)), True),
    **{
        f"pipe, {size:#x}": (riff(FMT, chunk(b"data", RAW, size), size=min(size + 36, 2**32 - 1)), True)
        for size in (2**32 - 1, 2**31, 2**31 - 1 - 36, 0x7FFFF000, 0xFFFFF000, 0xFFFFFFFF - 36, 0x7F000000)
    },
    "promise counts the header": (riff(FMT, chunk(b"data", RAW, len(RAW) + 44)), True),
    "RIFX": (
        riff(
            chunk(b"fmt ", struct.pack(">HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16), order=">"),
            chunk(b"data", PCM.astype(">i2").tobytes(), order=">"),
            head=b"RIFX",
            order=">",
        ),
        False,
    ),
    "RF64": (rf64(RAW, len(RAW)), False),
    "BW64": (rf64(RAW, len(RAW), b"BW64", chunk(b"axml", b"<adm/>")), False),
    "RF64, unfinished": (rf64(RAW, 0), True),
    "RF64, stale": (rf64(RAW, 10_000), True),
    "W64": (W64, False),
    "W64, unfinished": (changed(W64, W64_DATA, bytes(8)), True),
    "W64, stale": (changed(W64, W64_DATA, struct.pack("<Q", 10_024)), True),
    "AIFF": (AIFF, False),
    "AIFF, unfinished": (changed(changed(AIFF, SSND + 4, bytes(4)), COMM + 10, bytes(4)), True),
    "AIFF, stale": (
        changed(changed(AIFF, SSND + 4, struct.pack(">I", 10_008)), COMM + 10, struct.pack(">I", 5000)),
        True,
    ),
    "AIFF, little-endian": (encoded(format="AIFF", subtype="PCM_16", endian="LITTLE"), False),
    "FLAC": (FLAC, False),
    "FLAC from a pipe": (flac(0), True),
    "FLAC, stale": (flac(5000), True),
    "FLAC with a tag after": (FLAC + b"TAG" + bytes(125), False),
    "FLAC with tags around": (TAGS + FLAC + APE + b"TAG" + bytes(125), False),
    "FLAC padded with zeros": (FLAC + bytes(200_000), False),
}
HALF = {  # refused; words of the sentence
    "RIFF": (riff(FMT, chunk(b"data", RAW))[:20_000], ["truncated", "40000", "19956", "ffmpeg -i"]),
    "RIFF without its last byte": (riff(FMT, chunk(b"data", RAW))[:-1], ["truncated"]),
    "RIFX": (WHOLE["RIFX"][0][:20_000], ["truncated", "ffmpeg -i"]),
    "RF64": (rf64(RAW[:20_000], len(RAW)), ["truncated", "40000", "20000"]),
    "RF64 at an odd place": (rf64(RAW[:20_000], len(RAW))[:-1], ["truncated", "40000", "19999"]),
    "BW64": (rf64(RAW[:20_000], len(RAW), b"BW64"), ["truncated"]),
    "W64": (W64[:20_000], ["truncated", "40000"]),
    "AIFF": (AIFF[:20_000], ["truncated", "40000"]),
    "AIFF, more frames promised": (
        changed(AIFF, COMM + 10, struct.pack(">I", 30_000)),
        ["truncated", "30000", "20000"],
    ),
    "FLAC": (FLAC[: len(FLAC) // 2], ["truncated", "20000", "ffmpeg -i"]),
    "FLAC without its last byte": (FLAC[:-1], ["truncated"]),
    "FLAC from a pipe": (flac(0)[:-100], ["truncated"]),
    "FLAC at the end of a frame": (flac(30_000), ["truncated", "30000", "20000"]),
    "Ogg": (OGG[: len(OGG) // 2], ["truncated", "ffmpeg -i"]),
    "Ogg at the end of a page": (OGG[: OGG.rindex(b"OggS")], ["truncated"]),
    "two chunks of samples": (riff(FMT, chunk(b"data", RAW[:8000]), chunk(b"data", RAW[8000:])), ["two", "export"]),
    "wave list": (riff(FMT, chunk(b"LIST", b"wavl" + chunk(b"data", RAW))), ["wave list", "export"]),
    "24 bits in 4 bytes": (
        riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 4 * RATE, 4, 24)), chunk(b"data", RAW)),
        ["24-bit", "4 bytes"],
    ),
    **{
        f"{bits} bits in {size} bytes": (
            riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, size * RATE, size, bits)), chunk(b"data", RAW)),
            [f"{bits}-bit", f"{size} bytes"],
        )
        for bits, size in ((8, 2), (16, 4), (20, 4))
    },
    **{
        f"one {name} after the other": (whole + whole, ["after the other|several", "export it again|ffmpeg"])
        for name, whole in {"RIFF": riff(FMT, chunk(b"data", RAW)), "FLAC": FLAC, "Ogg": OGG, "AIFF": AIFF}.items()
    },
}


@pytest.mark.parametrize("name", WHOLE)
def test_all_existing_samples_are_read(tmp_path, name):
    content, wrong = WHOLE[name]
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert wav.probe(path, params.Data()) == FRAMES
    assert np.array_equal(wav.read(path, params.Data()), PCM)
    with Recording(path) as recording:
        assert np.array_equal(recording.read(FRAMES - 10, 10), PCM[-10:])
        assert bool(recording.note) == wrong, recording.note


@pytest.mark.parametrize("name", HALF)
def test_half_a_recording_is_refused_with_a_repair(tmp_path, name):
    content, words = HALF[name]
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    for attempt in (wav.probe, wav.read):
        with pytest.raises(DataError) as info:
            attempt(path, params.Data())
        assert str(info.value).startswith(f"{path}: ")
        assert all(any(part in str(info.value) for part in word.split("|")) for word in words), info.value


def mp3(samples=PCM):
    """Encode at a variable bit rate; return the file, and its frames without the header that states their number."""
    content = encoded(samples, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="VARIABLE")
    second = content.index(content[:2], 4)
    assert b"Xing" in content[:second]
    return content, content[second:]


def test_an_mp3_file_without_a_number_of_frames_is_read_whole(tmp_path):
    """libsndfile would estimate its length from the bit rate of the first frame: here less than half of it."""
    rng = np.random.default_rng(0)
    sound = np.r_[rng.normal(0, 1e-4, 5 * RATE), rng.normal(0, 0.1, 5 * RATE)]
    whole, frames = mp3(sound)
    path = tmp_path / "a.mp3"
    for content in (frames, TAGS + frames, frames + APE + b"TAG" + bytes(125), frames + bytes(9000)):
        path.write_bytes(content)
        with Recording(path) as recording:
            found = recording.waveform()
        assert abs(len(found) - len(sound)) < 3000
        energy = np.square(found).cumsum()
        assert abs(np.searchsorted(energy, energy[-1] / 2) - 7.5 * RATE) < 3000  # the middle of the loud half
    for content in (whole[:-1000], frames[:-5], frames[: len(frames) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.mp3: truncated: .*copy it again"):
            Recording(path)
    path.write_bytes(frames + rng.bytes(9000))
    with pytest.raises(DataError, match=r"a\.mp3: damaged: after frame \d+, 9000 bytes .*convert it"):
        Recording(path)


@pytest.mark.parametrize("after", [b"TAG" + bytes(125), APE, bytes(2), bytes(200_000)])
def test_what_follows_an_ogg_stream_is_no_truncation(tmp_path, after):
    path, expected = tmp_path / "a.ogg", soundfile.read(io.BytesIO(OGG), dtype="float32")[0]
    path.write_bytes(TAGS + OGG + after)
    with Recording(path) as recording:
        assert np.array_equal(recording.waveform(), expected)
    path.write_bytes(OGG[: OGG.rindex(b"OggS")] + after)
    with pytest.raises(DataError, match="truncated"):
        Recording(path)


def big(path, header, size):
    """Write a sparse file: header, silence, and ten samples at the end."""
    path.write_bytes(header)
    os.truncate(path, size - 20)
    with open(path, "ab") as stream:
        stream.write(np.arange(1, 11, dtype="<i2").tobytes())


@pytest.mark.parametrize("promised", ["wrapped", "0xFFFFFFFF", "0", "RF64"])
def test_more_than_4_gib(tmp_path, promised):
    """A file whose length exceeds 32 bits is read completely."""
    path, samples = tmp_path / "long.wav", 2**31 + 5000  # 4 GiB and 10,000 bytes
    if promised == "RF64":
        header = rf64(b"", 2 * samples)
    else:
        length = {"wrapped": 2 * samples % 2**32, "0xFFFFFFFF": 2**32 - 1, "0": 0}[promised]
        header = riff(FMT, chunk(b"data", b"", length), size=(length + 36) % 2**32)
    big(path, header, len(header) + 2 * samples)
    with Recording(path) as recording:
        assert recording.frames == samples and bool(recording.note) == (promised != "RF64")
        assert recording.read(samples - 10).tolist() == list(range(1, 11))
    os.truncate(path, len(header) + samples)
    if promised == "RF64":
        with pytest.raises(DataError, match="truncated"):
            Recording(path)


def test_other_encodings_match_libsndfile(tmp_path):
    """If the header is correct, length and samples are those of libsndfile, to the resolution of float32."""
    real = np.random.default_rng(3).uniform(-1, 1, (3000, 2))
    kinds = [(name, subtype) for name in ("WAV", "WAVEX", "RF64", "W64") for subtype in ("PCM_24", "FLOAT", "DOUBLE")]
    kinds += [("AIFF", subtype) for subtype in ("PCM_S8", "PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")]
    kinds += [("WAV", "PCM_U8"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
    for number, (name, subtype) in enumerate(kinds):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, real, RATE, format=name, subtype=subtype)
        expected, rate = soundfile.read(path, dtype="float32")
        with Recording(path, "first") as recording:
            assert (recording.frames, recording.sample_rate, recording.channels) == (len(expected), rate, 2)
            assert np.array_equal(recording.read() / np.float32(32768), expected[:, 0]), (name, subtype)
        with Recording(path, "mean") as recording:
            part = recording.read(1000, 500) / 32768
        np.testing.assert_allclose(part, expected[1000:1500].mean(axis=1, dtype=np.float64), atol=2e-5)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32"])
def test_little_endian_aiff_is_read(tmp_path, subtype):
    path = tmp_path / "a.aifc"
    soundfile.write(path, np.random.default_rng(4).uniform(-1, 1, 500), RATE, subtype, "LITTLE", "AIFF")
    with Recording(path) as recording:
        assert np.array_equal(recording.waveform(), soundfile.read(path)[0].astype(np.float32))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    """A pipe without a writer would block for ever, and one with a writer has no length."""
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(DataError, match=r"a\.wav: a pipe or device, not a file; .*write it to a file first"):
        Recording(tmp_path / "a.wav")


def test_notes_about_headers_become_warnings():
    quality = QualityCheck(RATE)
    for number in range(3):
        clip = Summary.of(PCM + number)
        quality.add(f"{number}.wav", "train", "normal", clip, f"its header promises {number} bytes")
    assert quality.sentences() == ["0.wav: its header promises 0 bytes (and 2 more clips of this kind)"]


def test_any_bytes_are_read_or_refused_in_a_sentence(tmp_path, note):
    """Files with random headers or lengths have as many samples as promised, or are refused in one sentence."""
    kinds = [("AIFF", "PCM_16"), ("AIFF", "FLOAT"), ("W64", "PCM_24"), ("RF64", "FLOAT"), ("FLAC", "PCM_24")]
    kinds += [("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
    path, wholes, read = tmp_path / "a.wav", [encoded(PCM[:3000], format=f, subtype=s) for f, s in kinds], 0
    for seed in range(600):
        rng = np.random.default_rng(seed)
        content = bytearray(wholes[seed % len(wholes)])
        for place in rng.integers(0, min(120, len(content)), rng.integers(1, 4)):
            content[place] = rng.integers(256)
        cut, grown = rng.random(2)
        if cut < 0.2:
            content = content[: int(rng.integers(1, len(content)))]
        if grown < 0.1:
            content += rng.bytes(int(rng.integers(1, 9000)))
        path.write_bytes(content)
        try:
            with Recording(path, "first") as recording:
                assert len(recording.read()) == recording.frames > 0
            read += 1
        except DataError as error:
            assert str(error).startswith(f"{path}: ") and str(error).isprintable() and len(str(error)) < 400
    assert 100 < read < 500
    note("audio files of other containers changed at random, each read or refused", 600)
