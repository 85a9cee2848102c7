"""Count the alarms of simpler detectors: ``plain_alarms.py --detector FOLDER [--machine slider] --out FOLDER``.

``FOLDER`` of ``--detector`` is that of ``run.py``, with its detector; the sounds are made again.
"""

import argparse
import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from fit import fitted, recordings
from plain import Plain
from run import conditions, rate_of, read

from asdlib import Detector, atomic, records
from asdlib.detector import calibration
from asdlib.detector.recordings import fitting, open_recording, windows
from asdlib.detector.reference import cut_piece
from asdlib.tables import write_table

PLAIN = {"plain/Mahalanobis": "Mahalanobis", "plain/nearest neighbour": "nearest neighbour"}
ALONE = "statistics only"
"""a detector that ``fit --statistics-only`` makes of the same recordings"""
KEYS = ["group", "condition", "level"]
SPLITS = ("train", "test")


class Thresholds:
    """Decide for plain detectors as the detector does: by recordings that they did not learn from.

    They learn from the recordings that trained the networks. Their thresholds are set on those that were held out, for
    the same rate of false alarms and the same lengths of windows. The highest window of a recording counts.

    Args:
        detector: The detector.
        learnt: Normal recordings from which the plain detectors learn.
        held_out: Normal recordings that set their thresholds.
    """

    def __init__(self, detector: Detector, learnt: list[Path], held_out: list[Path]):
        judge, self.rate = detector._fitted(), rate_of(detector)
        self.judge, self.description = judge, judge.stored.description
        self.plain = Plain([read(path, detector) for path in learnt], self.rate)
        waves, self.limits = [read(path, detector) for path in held_out], {}
        for size in self.description.samples(self.rate):
            pieces = [cut_piece(wave, size, number, self.rate, None) for number, wave in enumerate(waves)]
            found = pd.DataFrame([self.plain.score(piece) for piece in pieces])
            self.limits[size] = {name: calibration.Calibration(found[name].to_numpy(), judge.rate) for name in found}

    @classmethod
    def of(cls, detector: Detector, files: list[Path]) -> "Thresholds":
        """Divide the normal recordings of a detector with networks as it did itself."""
        clips, by_name = detector._fitted().stored.clips, {path.name: path for path in files}
        clips = clips[clips["machine"] == "machine"]
        parts = ([by_name[name] for name in clips.loc[clips["split"] == part, "recording"]] for part in SPLITS)
        return cls(detector, *parts)

    def score(self, wave: np.ndarray) -> dict[str, float]:
        """Return the scores of the plain detectors: the highest of a recording's windows."""
        recording = open_recording((wave, self.rate), self.judge.stored.settings.data)
        seconds = fitting(recording.seconds, self.description.lengths)
        found = [self.plain.score(part) for _, part in windows(recording, self.rate, seconds)]
        return pd.DataFrame(found).max().to_dict()

    def alarms(self, scores: dict[str, float], samples: int) -> dict[str, bool]:
        """Compare the scores of a recording of so many samples with the thresholds for its length."""
        seconds = fitting(samples / self.rate, self.description.lengths)
        size = round(seconds * self.rate)
        count = max(samples / self.rate / seconds, 1.0)
        return {name: bool(value > self.limits[size][name].threshold(count)) for name, value in scores.items()}


def count(thresholds: Thresholds, alone: Detector, test: list[Path], seed: int) -> pd.DataFrame:
    """Count the alarms under each condition, one column per detector.

    Args:
        thresholds: The plain detectors.
        alone: The detector of statistics alone.
        test: Recordings to which faults and changes are added.
        seed: Seed of these.
    """
    waves, rows = [read(path, alone) for path in test], []
    for clip in range(len(test)):
        for item in conditions(waves, clip, thresholds.rate, seed):
            found = thresholds.alarms(thresholds.score(item["wave"]), len(item["wave"]))
            row = {PLAIN[name]: int(alarm) for name, alarm in found.items()}
            row[ALONE] = int(alone.judge((item["wave"], thresholds.rate)).anomaly)
            rows.append({key: item[key] for key in KEYS} | row)
        print(f"clip {clip + 1} of {len(test)}", flush=True)
    table = pd.DataFrame(rows).assign(recordings=1)
    columns = ["recordings", ALONE, *PLAIN.values()]
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
        "false_alarm_rate": stored.description.false_alarm_rate,
        "detector_commit": stored.description.record["commit"],
        "device": stored.description.record["device"],
        "versions": stored.description.record["versions"],
        "steps": [stored.settings.candidate(name, "base").training.steps for name in ("autoencoder", "classifier")],
    }
    atomic.write_json(made, path)


def main() -> None:
    """Count and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", type=Path, required=True, help="folder with the detector and scores of run.py")
    parser.add_argument("--machine", default="slider", choices=["slider", "ToyCar"])
    parser.add_argument("--cars", type=Path, help="data folder with the toy cars")
    parser.add_argument("--seed", type=int, default=1, help="seed of the faults")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table and its record")
    options = parser.parse_args()
    detector = fitted(options.detector, options.machine, options.cars)
    normal, test = recordings(options.machine, options.cars)
    alone = Detector(statistics_only=True).fit(normal)
    table = count(Thresholds.of(detector, normal), alone, test, options.seed)
    print(table.to_string())
    write_table(table, options.out / "plain_alarms.csv")
    write_record(detector, options.machine, options.out / "plain_alarms.record.json")


if __name__ == "__main__":
    main()
