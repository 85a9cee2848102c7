"""The recipe for a service in the chapter "Your own machine": its alarm hook, and the rates of its rules."""

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


@pytest.fixture
def hook(tmp_path):
    """Start the hook of the book with a program in place of mail that writes its subjects to a file."""
    text = (BOOK / "your_machine.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```sh\n(#!/bin/sh\n# /srv/pump/alarm\.sh.*?)```", text, re.DOTALL)
    rule = re.search(r"least=(\d+) last=(\d+) journal=(\S+) ", script)
    assert tuple(map(int, rule.groups()[:2])) == your_machine_alarms.RULE
    assert f"--journal {rule[3]}" in text, "the unit writes the journal that the hook reads"
    (tmp_path / "alarm.sh").write_text(script.replace(rule[3], str(tmp_path / "journal")))
    (tmp_path / "mail").write_text(f'#!/bin/sh\ncat > /dev/null\necho "$2 to $3" >> {tmp_path}/mails\n')
    (tmp_path / "mail").chmod(0o755)
    (tmp_path / "journal").touch()
    (tmp_path / "mails").touch()
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen(["/bin/sh", tmp_path / "alarm.sh"], stdin=subprocess.PIPE, env=environment) as process:
        yield process, tmp_path


def tell(process, folder, verdicts):
    """Add verdicts to journal and pipe, one after the other as ``score --watch`` does; return all mails so far."""
    for verdict in verdicts:
        error = verdict == "error"
        entry = {"clip": "a.wav", "error": "broken"} if error else {"clip": "a.wav", "verdict": verdict, "spans": []}
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
