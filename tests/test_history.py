"""Verdicts over time: the table, the figure, and the rules for a drift."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from asdlib.__main__ import main
from asdlib.detector import history
from asdlib.errors import DetectorError

VERDICT = {"threshold": 1.0, "normals": 25, "level_spread": 2.0, "detector": "x", "anomaly": False, "verdict": "normal"}


def write(path, entries):
    path.write_text("\n".join(map(json.dumps, entries)), encoding="utf-8")
    return path


def verdicts(percentiles, **changes):
    """Return a table of one recording per hour."""
    count = len(percentiles)
    when = pd.date_range("2026-01-01", periods=count, freq="h", tz="UTC")
    table = pd.DataFrame({"when": when, "percentile": percentiles, "normals": 25, "level": 0.0, "level_spread": 2.0})
    table = table.assign(detector="x", changed=False, level_changed=False, response_changed=False, error=False)
    return table.assign(day=table["when"].dt.strftime("%Y-%m-%d"), **changes)


def test_a_history_has_a_row_per_day(tmp_path, capsys):
    lines = [
        VERDICT | {"time": f"2026-01-{day:02d}T{hour:02d}:00:00+00:00", "score": day / 10, "level": 0.5 * day,
         "percentile": 7.5 * day, "anomaly": day / 10 > 1, "verdict": "anomaly" if day / 10 > 1 else "normal"}
        for day in (1, 2, 12) for hour in (8, 20)
    ]  # fmt: skip
    noon = pd.Timestamp("2026-01-02T12:00", tz="UTC")
    silent = {"verdict": "level changed by -117 dB", "score": 9e6, "percentile": None, "level": -117.0}
    lines.append(lines[2] | silent | {"time": noon.isoformat()})  # a dead microphone is no high score
    lines.append(lines[-1] | {"verdict": "response changed by 9 dB", "level": 1.0})
    lines += [
        {"clip": "x", "error": "broken", "modified": (noon + pd.Timedelta(days=days)).value, "detector": "x"}
        for days in (0, 1)
    ]
    journal = write(tmp_path / "in.jsonl", lines)
    days, _ = history.history([journal], tmp_path / "history.html")
    assert days["day"].tolist() == ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-12"]
    assert days["recordings"].tolist() == [2, 5, 1, 2] and days["anomalies"].tolist() == [0, 0, 0, 2]
    assert days["level_changed"].tolist() == days["response_changed"].tolist() == [0, 1, 0, 0]
    assert days["errors"].tolist() == [0, 1, 1, 0]
    np.testing.assert_allclose(days["level"], [0.5, 1.0, np.nan, 6.0])
    np.testing.assert_allclose(days["percentile"], [7.5, 15, np.nan, 90])
    np.testing.assert_allclose(days["excess"], [-0.9, -0.8, np.nan, 0.2])
    text = (tmp_path / "history.html").read_text()
    assert "<td>2026-01-12</td>" in text and '<td class="number">−0.90</td>' in text and "nan" not in text
    assert main(["history", str(journal), "--out", str(tmp_path / "history.png")]) == 0
    assert "Changes: the level changed in 1 of 8 verdicts, the response in 1." in capsys.readouterr().out


def test_a_recorder_whose_clock_is_not_set_has_the_day_of_the_verdict(tmp_path):
    """Some file systems keep times of the year 2446, which nanoseconds in 64 bits cannot express."""
    made = [pd.Timestamp(day, tz="UTC").value for day in ("1970-01-01", "1980-01-01", "1960-05-05", "2107-12-31")]
    made += [15_000_000_000 * 10**9, pd.Timestamp("2025-12-31T23:00", tz="UTC").value]
    verdict = VERDICT | {"time": "2026-01-01T08:00:00+00:00", "score": 0.5, "percentile": 40.0, "level": 0.0}
    journal = write(tmp_path / "in.jsonl", [verdict | {"modified": value} for value in made])
    assert history.read([journal])["day"].tolist() == ["2025-12-31"] + ["2026-01-01"] * 5


def test_a_journal_may_be_unfinished_and_nothing_else(tmp_path):
    verdict = VERDICT | {"time": "2026-01-01T08:00:00+00:00", "score": 0.5, "percentile": 40.0, "level": 0.0}
    text = json.dumps(verdict | {"clip": "\x85\u2028.wav"}, ensure_ascii=False)  # line ends of Unicode, not of a file
    journal = tmp_path / "in.jsonl"
    journal.write_bytes(f"\ufeff{text}\r\n{text[:50]}".encode())  # the last line is still being written
    assert len(history.read([journal])) == 1 == len(history.read([journal, journal]))
    for content, line in (("[1]", 1), (f"{text}\n{text[:50]}\n{text}", 2)):
        journal.write_text(content)
        with pytest.raises(DetectorError, match=f"line {line} contains something other than a verdict"):
            history.read([journal])
    journal.write_text("")
    with pytest.raises(DetectorError, match="no verdicts"):
        history.read([journal])


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.3])
def test_the_limit_is_that_of_all_orders_of_exchangeable_clips(rate, monkeypatch):
    """Count the new recordings above the middle of three held-out clips in every order of the seven scores."""
    new, held_out = 4, 3
    counts = [
        sum(score > sorted(order[:held_out])[1] for score in order[held_out:])
        for order in itertools.permutations(range(held_out + new))
    ]
    assert len(counts) == math.factorial(7)
    expected = next(limit for limit in range(new + 1) if np.mean(np.array(counts) > limit) <= rate)
    monkeypatch.setattr(history, "RATE", rate)
    assert history.highest_count(new, held_out) == expected


@pytest.mark.parametrize(("recordings", "normals"), [(56, 15), (56, 100), (2000, 25)])
def test_a_drift_is_claimed_as_rarely_as_stated_if_nothing_changed(recordings, normals):
    rng, limit, claims = np.random.default_rng(0), history.highest_count(recordings, normals), 0
    for _ in range(4000):
        middle = np.sort(rng.random(normals))[(normals + 2) // 2 - 1]
        claims += rng.binomial(recordings, 1 - middle) > limit
    assert 0.004 < claims / 4000 <= 0.014  # 0.01 give or take three deviations, or a little less


def test_a_drift_of_the_sound_is_claimed_beyond_the_limit_and_not_before():
    limit = history.highest_count(100, 25)
    at, beyond = (np.repeat([60.0, 40.0], [above, 100 - above]) for above in (limit, limit + 1))
    sound, level, changes = history.describe_drift(verdicts(at))
    assert f"{limit} of 100 recordings of the latest 5 days" in sound and "no drift is shown" in sound
    assert "within 2.0 dB, so no drift is shown" in level and "0 of 100 verdicts" in changes
    sentences = history.describe_drift(verdicts(beyond))
    assert "so the sound has drifted" in sentences[0] and sentences[-1] == history.ADVICE
    changed = np.arange(100) == 99  # an odd one, although it has no percentile
    moved = verdicts(np.where(changed, np.nan, at), changed=changed, response_changed=changed)
    assert "the sound has drifted" in history.describe_drift(moved)[0]
    assert "the response in 1." in history.describe_drift(moved)[2]


def test_a_drift_of_the_level_is_claimed_beyond_the_learnt_range():
    for level, words in ((1.9, "no drift is shown"), (-2.1, "the level has drifted"), (2.1, "the level has drifted")):
        sentences = history.describe_drift(verdicts(np.full(100, 40.0), level=level))
        assert words in sentences[1] and (sentences[-1] == history.ADVICE) == (abs(level) > 2)


def test_a_dead_microphone_is_a_drift_although_nothing_has_a_percentile():
    dead = verdicts(np.full(30, np.nan), changed=True, level_changed=True, level=-60.0)
    sound, level, changes, advice = history.describe_drift(dead)
    assert "30 of 30 recordings" in sound and "the sound has drifted" in sound and "nan" not in sound
    assert "the level has drifted" in level and "changed in 30 of 30" in changes and advice == history.ADVICE


def test_only_the_latest_days_of_the_present_detector_count():
    odd, usual = np.full(24 * 14, 99.0), np.full(24 * 7, 40.0)
    assert "no drift" in history.describe_drift(verdicts(np.concatenate([odd, usual])))[0]
    before = verdicts(odd, detector=np.where(np.arange(len(odd)) < len(odd) - 3, "x", "calibrated"))
    assert "3 of 3 recordings" in (text := history.describe_drift(before)[0]) and "too few recordings" in text
    assert "nothing can be said" in history.describe_drift(verdicts([99.0], error=True))[0]
