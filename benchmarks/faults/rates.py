"""Count what a detector of statistics only finds at several rates: ``rates.py --cars DATA --out FOLDER``.

Sixty normal recordings are learnt. Judged are the recordings of a real slider without and with mixed faults
(:mod:`run`), and the test recordings of both toy cars in ``DATA`` before their change, whose faults are real. Where
faults were mixed in, the table also counts the places of the faults that spans hit, and the spans that hit one.
"""

import argparse
import datetime
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from fit import FITTED, recordings
from run import conditions, hits, rate_of, read

from asdlib import Detector, atomic, records
from asdlib.tables import write_table

RATES = (0.1, 0.05, 0.02)
"""rates of false alarms that are asked for; the first is the detector's own"""
MIXED, REAL = "slider, mixed faults", "toy car {}, real faults"
PLACES = ["faults", "faults_hit", "spans", "spans_right"]


def mixed(test: list[Path], detector: Detector, seed: int) -> Iterator[dict]:
    """Yield recordings with and without mixed faults: ``sound, fault`` (a place in time and frequency, or None)."""
    rate = rate_of(detector)
    waves = [read(path, detector) for path in test]
    for clip in range(len(test)):
        for item in conditions(waves, clip, rate, seed):
            if item["group"] in ("normal", "fault"):
                yield {"sound": (item["wave"], rate), "is_fault": item["group"] == "fault", "fault": item["fault"]}


def real(files: list[Path]) -> Iterator[dict]:
    """Yield recordings whose names say whether they have a fault."""
    for path in files:
        yield {"sound": path, "is_fault": "_anomaly_" in path.name, "fault": None}


def count(detector: Detector, items: list[dict]) -> list[dict]:
    """Return the counts at each rate: anomalies among recordings with and without a fault, and hits of spans."""
    rows = []
    for rate in RATES:
        detector.false_alarm_rate = rate
        found = []
        for item in items:
            verdict = detector.judge(item["sound"])
            places = hits(item["fault"], verdict.spans) if item["fault"] is not None and verdict.anomaly else {}
            found.append({"anomaly": verdict.anomaly, "is_fault": item["is_fault"]} | places)
        table = pd.DataFrame(found).reindex(columns=["anomaly", "is_fault", *PLACES])
        anomaly, fault = table["anomaly"].astype(bool), table["is_fault"]
        row = {"rate": rate, "found": int((anomaly & fault).sum()), "with_fault": int(fault.sum())}
        row |= {"false_alarms": int((anomaly & ~fault).sum()), "normals": int((~fault).sum())}
        rows.append(row | {name: int(table[name].sum()) for name in PLACES})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Judge each machine, and write the table and its record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=Path, required=True, help="data set of the toy cars")
    parser.add_argument("--seed", type=int, default=1, help="seed of the faults")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table and its record")
    options = parser.parse_args()
    normal, test = recordings("slider")
    detector = Detector(statistics_only=True).fit(normal)
    rows = [{"machine": MIXED} | row for row in count(detector, list(mixed(test, detector, options.seed)))]
    car = options.cars / "ToyCar"
    for letter, section in zip("AB", ("00", "01"), strict=True):
        files = sorted((car / "train").glob(f"section_{section}_source_train_normal_*"))
        chosen = np.random.default_rng(0).permutation(len(files))[:FITTED]
        detector = Detector(statistics_only=True).fit([files[index] for index in chosen])
        items = list(real(sorted((car / "source_test").glob(f"section_{section}_*"))))
        rows += [{"machine": REAL.format(letter)} | row for row in count(detector, items)]
    write_table(pd.DataFrame(rows), options.out / "rates.csv")
    record = {"commit": records.commit(), "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
    atomic.write_json(record | {"learnt": FITTED, "seed": options.seed}, options.out / "rates.record.json")


if __name__ == "__main__":
    main()
