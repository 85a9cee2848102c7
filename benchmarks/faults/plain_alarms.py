"""Count the alarms of simpler detectors: ``plain_alarms.py --detector FOLDER [--machine slider] --out FOLDER``.

``FOLDER`` of ``--detector`` is that of ``run.py``, with its detector and scores; the sounds are made again.
"""

import argparse
import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from fit import fitted, recordings
from plain import Plain
from run import conditions, rate_of, read

from asdlib import atomic, records
from asdlib.detector import Detector, calibration
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

    Args:
        detector: The detector.
        files: Its normal recordings.
    """

    def __init__(self, detector: Detector, files: list[Path]):
        judge, self.rate = detector._fitted(), rate_of(detector)
        self.judge, self.facts = judge, judge.stored.facts
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
            self.limits[size] = {name: calibration.Calibration(found[name].to_numpy(), judge.rate) for name in found}
            self.limits[size] |= judge.limits[self.facts.codes[0], "source", size]

    def score(self, wave: np.ndarray) -> dict[str, float]:
        """Return the scores of the plain detectors: the highest of a recording's windows."""
        recording = open_recording((wave, self.rate), self.judge.stored.settings.data)
        seconds = fitting(recording.seconds, self.facts.lengths)
        found = [self.plain.score(part) for _, part in windows(recording, self.rate, seconds)]
        return pd.DataFrame(found).max().to_dict()

    def alarms(self, scores: dict[str, float], samples: int) -> dict[str, bool]:
        """Compare the scores of a recording of so many samples with the thresholds for its length."""
        seconds = fitting(samples / self.rate, self.facts.lengths)
        size = round(seconds * self.rate)
        count = max(samples / self.rate / seconds, 1.0)
        return {name: bool(value > self.limits[size][name].threshold(count)) for name, value in scores.items()}


def count(detector: Detector, normal: list[Path], test: list[Path], seed: int, stored: pd.DataFrame) -> pd.DataFrame:
    """Count the alarms under each condition, one column per detector.

    Args:
        detector: The detector.
        normal: Its normal recordings.
        test: Recordings to which faults and changes are added.
        seed: Seed of these.
        stored: The table of ``run.py`` of the same recordings and seed, with the scores of the statistics.
    """
    thresholds, rows = Thresholds(detector, normal), []
    waves = [read(path, detector) for path in test]
    known = stored.set_index(["clip", "condition", "level"])["statistics"]
    known.index = known.index.map(repr)  # a missing level equals itself
    for clip in range(len(test)):
        for item in conditions(waves, clip, thresholds.rate, seed):
            own = {"statistics": known[repr((float(clip), item["condition"], float(item["level"])))]}
            found = thresholds.alarms(own | thresholds.score(item["wave"]), len(item["wave"]))
            rows.append({key: item[key] for key in KEYS} | {SIMPLER[name]: int(alarm) for name, alarm in found.items()})
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
    parser.add_argument("--detector", type=Path, required=True, help="folder with the detector and scores of run.py")
    parser.add_argument("--machine", default="slider", choices=["slider", "ToyCar"])
    parser.add_argument("--cars", type=Path, help="data folder with the toy cars")
    parser.add_argument("--seed", type=int, default=1, help="seed of the faults")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table and its record")
    options = parser.parse_args()
    detector = fitted(options.detector, options.machine, options.cars)
    stored = pd.read_csv(options.detector / f"{options.machine}.{options.seed}.csv")
    table = count(detector, *recordings(options.machine, options.cars), options.seed, stored)
    print(table.to_string())
    write_table(table, options.out / "plain_alarms.csv")
    write_record(detector, options.machine, options.out / "plain_alarms.record.json")


if __name__ == "__main__":
    main()
