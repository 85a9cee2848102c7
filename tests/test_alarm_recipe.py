"""The recipe for a service in the chapter "As a service": its alarm hook, and the rates of its rules."""

import contextlib
import fcntl
import itertools
import json
import os
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest

BOOK = Path(__file__).resolve().parent.parent / "book"
sys.path[:0] = [str(BOOK)]

import your_machine_alarms  # noqa: E402


@pytest.mark.parametrize(("least", "last", "rate"), [(1, 1, 0.1), (3, 5, 0.1), (6, 10, 0.2)])
def test_the_rate_of_beginning_alarms_is_that_of_all_sequences(least, last, rate):
    """Add up the probabilities of all sequences of verdicts whose last one brings the count to the rule's."""
    total = 0.0
    for sequence in itertools.product([0, 1], repeat=last + 1):
        if sum(sequence[:-1]) < least <= sum(sequence[1:]):
            total += np.prod([rate if anomaly else 1 - rate for anomaly in sequence])
    assert your_machine_alarms.beginnings(least, last, rate) == pytest.approx(total)


def test_the_book_says_how_often_each_rule_raises_a_false_alarm():
    rows = your_machine_alarms.rules().splitlines()
    single, three = (next(row for row in rows if row.startswith(f"| {rule} |")) for rule in ("1 of 1", "3 of 5"))
    # 4,320 a month times .09 and .16
    assert single == "| 1 of 1 | 388.8 | 691.2 | 10 % | 20 % | 30 % | 40 % | 60 % | 80 % | 0.2 h |"
    assert three.startswith("| 3 of 5 | 18.9 |") and three.endswith("| 0.5 h |")  # times .1 * .9 * 6 * .01 * .81


def test_the_rate_to_ask_for_bounds_the_recordings_that_have_an_anomaly():
    (row,) = (row for row in your_machine_alarms.pieces().splitlines() if row.startswith("| 6 |"))
    assert row == "| 6 | 864 | 86 | 47 % | 1.67 % | 59 | 10 % |"  # 1 - .9^6 is .469, and 1 / 60 is the rate
    assert your_machine_alarms.any_of(6, 0.1 / 6) <= 0.1 < your_machine_alarms.any_of(6, 0.1)


CHAPTER = (BOOK / "service.md").read_text(encoding="utf-8")
FILES = {path.name: path.read_text(encoding="utf-8") for path in (BOOK / "service").iterdir()}
SCRIPT = FILES["alarm.sh"]
CUT = re.search(r"```sh\n(pieces=.*?\n)```", CHAPTER, re.DOTALL)[1]


def test_every_file_of_the_service_is_shown_and_offered():
    for name in FILES:
        assert f"{{literalinclude}} downloads/{name}\n" in CHAPTER, name
        assert f"{{download}}`{name} <downloads/{name}>`" in CHAPTER, name


@contextlib.contextmanager
def running(folder, script=SCRIPT):
    """Start the hook of the book with a program in place of mail that writes its subjects to a file."""
    rule = re.search(r"least=(\d+) last=(\d+) journal=(\S+) ", script)
    assert tuple(map(int, rule.groups()[:2])) == your_machine_alarms.RULE
    assert f"--journal {rule[3]}" in FILES["pump.service"], "the unit writes the journal that the hook reads"
    (folder / "alarm.sh").write_text(script.replace(rule[3], str(folder / "journal")))
    (folder / "mail").write_text(f'#!/bin/sh\ncat > /dev/null\necho "$2 to $3" >> {folder}/mails\n')
    (folder / "mail").chmod(0o755)
    (folder / "journal").touch()
    (folder / "mails").touch()
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    with subprocess.Popen(["/bin/sh", folder / "alarm.sh"], stdin=subprocess.PIPE, env=environment) as process:
        yield process, folder


@pytest.fixture
def hook(tmp_path):
    with running(tmp_path) as started:
        yield started


def tell(process, folder, verdicts, clip="a.wav", detector="d" * 32):
    """Add verdicts to journal and pipe, one after the other as ``score --watch`` does; return all mails so far."""
    for verdict in verdicts:
        error = verdict == "error"
        entry = {"clip": clip, "error": "broken"} if error else {"clip": clip, "verdict": verdict, "spans": []}
        entry["detector"] = detector
        entry |= {} if error else {"branches": {"statistics": {"anomaly": verdict == "anomaly"}}}
        with open(folder / "journal", "a", encoding="utf-8") as journal:
            journal.write(json.dumps(entry) + "\n")
        line = "error: broken" if error else json.dumps(entry)
        for text in (line, "{}"):  # once the second line has been read, the first has been dealt with
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            while struct.unpack("i", fcntl.ioctl(process.stdin, termios.FIONREAD, b"    "))[0]:
                time.sleep(0.001)
    return (folder / "mails").read_text().splitlines()


def test_the_alarm_hook_mails_once_when_enough_of_the_latest_recordings_are_anomalies(hook):
    least, last = your_machine_alarms.RULE
    odd = "The pump sounds odd to maintenance"
    assert tell(*hook, ["normal"] * last + ["anomaly"] * (least - 1)) == []
    assert tell(*hook, ["normal"]) == []
    assert tell(*hook, ["anomaly", "normal", "anomaly"]) == [odd], "enough, though not in a row"
    assert tell(*hook, ["anomaly"] * last) == [odd], "one mail, however long it lasts"
    half = least // 2
    assert tell(*hook, ["normal"] * (last - half) + ["anomaly"] * (least + half)) == [odd], "it had not ended"
    assert tell(*hook, ["normal"] * (last - half + 1) + ["anomaly"] * (least - 1)) == [odd]
    assert tell(*hook, ["anomaly", "normal"]) == [odd, odd], "it had ended when fewer than half as many were"
    changed = [f"{name} changed by +20 dB" for name in ("level", "response")] * (least // 2)
    assert tell(*hook, ["normal"] * last + changed)[2:] == ["Check the microphone of the pump to maintenance"]
    assert tell(*hook, ["error"])[3:] == ["A recording of the pump cannot be judged to maintenance"]
    again = ["anomaly"] * last + ["error", "anomaly"] * 3
    assert tell(*hook, again)[4:] == [odd], "one mail of each kind, however they alternate"


def test_a_restart_of_the_hook_resets_no_count_and_mails_a_lasting_alarm_once_more(tmp_path):
    least, last = your_machine_alarms.RULE
    odd = "The pump sounds odd to maintenance"
    with running(tmp_path) as started:
        assert tell(*started, ["normal"] * last + ["anomaly"] * (least - 1)) == []
    with running(tmp_path) as started:
        assert tell(*started, ["anomaly"]) == [odd], "earlier verdicts count"
    with running(tmp_path) as started:
        assert tell(*started, ["anomaly"] * 2) == [odd, odd], "it has forgotten its mail"


def test_verdicts_of_an_earlier_detector_do_not_count(tmp_path):
    least = your_machine_alarms.RULE[0]
    with running(tmp_path) as (process, folder):
        assert tell(process, folder, ["anomaly"] * (least - 1), detector="a" * 32) == []
        assert tell(process, folder, ["anomaly"] * (least - 1), detector="b" * 32) == []
        assert len(tell(process, folder, ["anomaly"], detector="b" * 32)) == 1


def stubs(folder, **scripts):
    """Write programs that stand in for those of the same names, and return the environment that finds them."""
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


def script_of(name, folder):
    """A script of the book that works in ``folder`` in place of /srv/pump."""
    return FILES[name].replace("cd /srv/pump", f"cd {folder}")


def test_silence_is_mailed_once_until_the_machine_is_heard_again(tmp_path):
    environment = stubs(tmp_path, mail='cat > /dev/null; echo "$2" >> mails')
    (tmp_path / "mails").touch()

    def mails():
        subprocess.run(["/bin/sh", "-c", script_of("silence.sh", tmp_path)], env=environment, check=True)
        return (tmp_path / "mails").read_text().splitlines()

    silent = "The pump is not heard"
    assert mails() == [silent], "there is no journal"
    assert mails() == [silent], "one mail, however long it lasts"
    os.utime(tmp_path / "silent", (time.time() - 5,) * 2)
    (tmp_path / "pump.jsonl").write_text("{}\n")
    assert mails() == [silent] and not (tmp_path / "silent").exists()
    os.utime(tmp_path / "pump.jsonl", (time.time() - 3700,) * 2)
    assert mails() == [silent, silent]
    (tmp_path / "pump.jsonl").touch()
    os.utime(tmp_path / "silent", (time.time() - 5,) * 2)
    assert mails() == [silent, silent] and not (tmp_path / "silent").exists()
    os.utime(tmp_path / "pump.jsonl", (time.time() - 5,) * 2)
    (tmp_path / "silent").touch()  # a planned stop, soon after the last recording
    assert mails() == [silent, silent] and (tmp_path / "silent").exists()
    os.utime(tmp_path / "pump.jsonl", (time.time() - 3700,) * 2)
    assert mails() == [silent, silent]


def test_the_recorder_gives_a_recording_its_name_when_it_is_complete(tmp_path):
    (inbox := tmp_path / "inbox").mkdir()
    record = f'for last; do :; done; touch {tmp_path}/before; echo "$@" > "$last"; ls -A {inbox} > {tmp_path}/during'
    environment = stubs(tmp_path, sleep=f"[ ! -e {tmp_path}/before ]", arecord=record)
    subprocess.run(["/bin/sh", "-c", script_of("record.sh", tmp_path)], env=environment, check=False)
    (recording,) = inbox.iterdir()
    assert re.fullmatch(r"\d{8}-\d{6}\.wav", recording.name) and "-r 16000 -c 1 -d 10" in recording.read_text()
    assert (tmp_path / "during").read_text() == f".{recording.name}\n", "score --watch ignores hidden files"


def test_the_hook_for_pieces_counts_recordings_with_an_anomaly_among_them(tmp_path):
    least, last = your_machine_alarms.RULE
    count = int(re.match(r"pieces=(\d+)", CUT)[1])
    cutting = (BOOK / "your_machine.md").read_text(encoding="utf-8")
    assert count in your_machine_alarms.PIECES and f"-segment_time {10}" in cutting
    assert f"--false-alarm-rate {your_machine_alarms.RATE / count:.4f}" in CHAPTER
    whole = re.search(r"(?m)^count\(\) .*\n", SCRIPT)[0]
    odd = [["anomaly"] + ["normal"] * (count - 1), ["anomaly"] * count] * least
    recordings = [["normal"] * count] * (last - least) + odd[: least - 1]
    with running(tmp_path, SCRIPT.replace(whole, CUT)) as started:
        for number, pieces in enumerate(recordings):
            for piece, verdict in enumerate(pieces):
                mails = tell(*started, [verdict], f"/srv/pump/inbox/long-{number}-{piece:04d}.wav")
        assert mails == [], "many pieces, too few recordings"
        assert len(tell(*started, ["anomaly"], "/srv/pump/inbox/long-last-0003.wav")) == 1
