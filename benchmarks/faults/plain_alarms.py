"""Count the alarms of simpler detectors: ``plain_alarms.py --detector FOLDER [--machine slider] --out FOLDER``.

``FOLDER`` of ``--detector`` is that of ``run.py``, with its detector; the sounds are the same.
"""

import argparse
import dataclasses
import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from fit import fitted, recordings
from plain import Plain
from run import conditions, rate_of, read

from asdlib import atomic, records
from asdlib.detector import Detector
from asdlib.detector.calibration import STATISTICS, Calibration
from asdlib.detector.judge import Judge
from asdlib.detector.recordings import fitting, open_recording, windows
from asdlib.detector.reference import cut_piece
from asdlib.tables import write_table

SIMPLER = {
    "statistics": "statistics alone",
    "plain/Mahalanobis": "Mahalanobis",
    "plain/nearest neighbour": "nearest neighbour",
}
KEYS = ["group", "condition", "level"]


class Thresholds:
    """Decide for simpler detectors as the detector does: by recordings that they did not learn from.

    The plain ones learn from the recordings that trained the networks. Their thresholds are set on those that were held
    out, for the same rate of false alarms and the same lengths of windows. The highest window of a recording counts.
    The statistics alone are the detector without its networks.

    Args:
        detector: The detector.
        files: Its normal recordings.
    """

    def __init__(self, detector: Detector, files: list[Path]):
        judge, self.rate = detector._fitted(), rate_of(detector)
        self.settings, self.facts = judge.stored.settings, judge.stored.facts
        clips, by_name = judge.stored.clips, {path.name: path for path in files}
        clips = clips[clips["machine"] == "machine"]
        waves = {
            split: [read(by_name[name], detector) for name in own["recording"]] for split, own in clips.groupby("split")
        }
        self.plain = Plain(waves["train"], self.rate)
        self.limits = {}
        for size in self.facts.samples(self.rate):
            pieces = [cut_piece(wave, size, number, self.rate, None) for number, wave in enumerate(waves["test"])]
            found = pd.DataFrame([self.plain.score(piece) for piece in pieces])
            self.limits[size] = {name: Calibration(found[name].to_numpy(), judge.rate) for name in found}
        reference = {
            key: {name: values for name, values in scores.items() if name.startswith(f"{STATISTICS}/")}
            for key, scores in judge.stored.reference.items()
        }
        alone = dataclasses.replace(judge.stored, autoencoders={}, classifiers={}, reference=reference)
        self.statistics = Judge(alone, rate=judge.rate)

    def judge(self, wave: np.ndarray) -> tuple[dict[str, float], dict[str, bool]]:
        """Return the scores of the simpler detectors, and whether each raises an alarm."""
        recording = open_recording((wave, self.rate), self.settings.data)
        seconds = fitting(recording.seconds, self.facts.lengths)
        windows_of = max(recording.seconds / seconds, 1.0)
        parts = [self.plain.score(part) for _, part in windows(recording, self.rate, seconds)]
        scores = pd.DataFrame(parts).max().to_dict()
        limits = self.limits[round(seconds * self.rate)]
        alarms = {name: bool(value > limits[name].threshold(windows_of)) for name, value in scores.items()}
        alone = self.statistics.judge((wave, self.rate))
        return scores | {STATISTICS: alone.score}, alarms | {STATISTICS: alone.anomaly}


def count(detector: Detector, normal: list[Path], test: list[Path], seed: int) -> pd.DataFrame:
    """Count the alarms under each condition, one column per detector.

    Args:
        detector: The detector.
        normal: Its normal recordings.
        test: Recordings to which faults and changes are added.
        seed: Seed of these.
    """
    thresholds, rows = Thresholds(detector, normal), []
    waves = [read(path, detector) for path in test]
    for clip in range(len(test)):
        for item in conditions(waves, clip, thresholds.rate, seed):
            _, alarms = thresholds.judge(item["wave"])
            rows.append(
                {key: item[key] for key in KEYS} | {words: int(alarms[name]) for name, words in SIMPLER.items()}
            )
        print(f"clip {clip + 1} of {len(test)}", flush=True)
    table = pd.DataFrame(rows).assign(recordings=1)
    columns = ["recordings", *SIMPLER.values()]
    return table.groupby(KEYS, sort=False, dropna=False)[columns].sum().reset_index()


def write_record(detector: Detector, machine: str, path: Path) -> None:
    """Write what made a table: the commit, the date, and the detector with its own record."""
    stored = detector._fitted().stored
    made = {
        "machine": machine,
        "commit": records.commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "learnt": int((stored.clips["split"].eq("train") & stored.clips["machine"].eq("machine")).sum()),
        "held_out": int((stored.clips["split"].eq("test") & stored.clips["machine"].eq("machine")).sum()),
        "false_alarm_rate": stored.facts.false_alarm_rate,
        "detector_commit": stored.facts.record["commit"],
        "device": stored.facts.record["device"],
        "versions": stored.facts.record["versions"],
        "steps": [stored.settings.candidate(name, "base").training.steps for name in ("autoencoder", "classifier")],
    }
    atomic.write_json(made, path)


def main() -> None:
    """Count and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", type=Path, required=True, help="folder with the detector of run.py")
    parser.add_argument("--machine", default="slider", choices=["slider", "ToyCar"])
    parser.add_argument("--cars", type=Path, help="data folder with the toy cars")
    parser.add_argument("--seed", type=int, default=1, help="seed of the faults")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table and its record")
    options = parser.parse_args()
    detector = fitted(options.detector, options.machine, options.cars)
    table = count(detector, *recordings(options.machine, options.cars), options.seed)
    print(table.to_string())
    write_table(table, options.out / "plain_alarms.csv")
    write_record(detector, options.machine, options.out / "plain_alarms.record.json")


if __name__ == "__main__":
    main()
