"""Judge a toy car whose conditions have changed since the fit: ``changed_conditions.py --sets FOLDER --out FOLDER``.

``FOLDER`` of ``--sets`` holds the data sets that ``build_shifts.py`` of the real recordings builds, one a change.
The detector is that of ``fit --statistics-only``, which the book recommends to begin with. After the change it
judges in five ways, on the same recordings: as it is; fitted with the three recordings from after the change, too
(``--changed``); each of both with thresholds set again on further normal recordings from after it (``calibrate``); and
fitted again on these further recordings alone.
"""

import argparse
import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from fit import FITTED

from asdlib import Detector, atomic, records
from asdlib.metrics import auc
from asdlib.tables import write_table

SETS = {
    "known": "faster, duller, noisier",
    "load": "other speed, level and tilt",
    "room": "another room",
    "unit_a": "another car, A to B",
    "unit_b": "another car, B to A",
}
CALIBRATED = 20
"""normal recordings from after the change that set thresholds or are learnt from, and are not judged"""
BEFORE = "before the change"
AS_IS, CHANGED, REFITTED = "as it is", "three changed", "fitted again"
AGAIN = {AS_IS: "thresholds set again", CHANGED: "three changed, thresholds set again"}


def judged(detector: Detector, files: list[Path], changed: bool) -> dict:
    """Count alarms, and verdicts that name a change of level or response, which are no alarms; with the AUC."""
    verdicts = [detector.judge(path, changed=changed) for path in files]
    fault = np.array(["_anomaly_" in path.name for path in files])
    alarm = np.array([verdict.anomaly for verdict in verdicts])
    named = np.array([verdict.verdict not in ("normal", "anomaly") for verdict in verdicts])
    row = {"auc": auc(fault, np.array([verdict.score for verdict in verdicts]))}
    row |= {"found": alarm[fault].sum(), "false_alarms": alarm[~fault].sum()}
    row |= {"named_faults": named[fault].sum(), "named_normals": named[~fault].sum()}
    return row | {"faults": fault.sum(), "normals": (~fault).sum()}


def ways(car: Path, section: str) -> Iterator[tuple[str, dict]]:
    """Yield each way to judge a car's recordings, with its counts."""
    rng = np.random.default_rng(0)
    files = sorted((car / "train").glob(f"section_{section}_source_train_normal_*"))
    normal = [files[index] for index in rng.permutation(len(files))[:FITTED]]
    after = sorted((car / "train").glob(f"section_{section}_target_train_normal_*"))
    new = sorted((car / "target_test").glob(f"section_{section}_target_test_normal_*"))
    kept = {new[index] for index in rng.permutation(len(new))[:CALIBRATED]}
    test = [path for path in sorted((car / "target_test").glob(f"section_{section}_*")) if path not in kept]
    with tempfile.TemporaryDirectory() as folder:
        for path in after:
            (Path(folder) / path.name).symlink_to(path.resolve())
        plain = Detector(statistics_only=True).fit(normal)
        with_changed = Detector(statistics_only=True).fit(normal, changed=folder)
    yield BEFORE, judged(plain, sorted((car / "source_test").glob(f"section_{section}_*")), False)
    for name, detector, changed in ((AS_IS, plain, False), (CHANGED, with_changed, True)):
        yield name, judged(detector, test, changed)
        yield AGAIN[name], judged(detector.calibrate(sorted(kept), changed=changed), test, changed)
    yield REFITTED, judged(Detector(statistics_only=True).fit(sorted(kept)), test, False)


def main() -> None:
    """Judge each car under each change, and write the table and its record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=Path, required=True, help="folder of the data sets, one for each change")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table and its record")
    options = parser.parse_args()
    rows, rate = [], Detector().false_alarm_rate
    for name, change in SETS.items():
        car = options.sets / name / "ToyCar"
        for section in sorted({path.name.split("_")[1] for path in (car / "train").glob("section_*")}):
            for way, row in ways(car, section):
                rows.append({"change": change, "section": section, "way": way} | row)
                print(rows[-1], flush=True)
    write_table(pd.DataFrame(rows), options.out / "changed.csv")
    record = {"commit": records.commit(), "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
    record |= {"learnt": FITTED, "calibrated": CALIBRATED, "false_alarm_rate": rate}
    atomic.write_json(record, options.out / "changed.record.json")


if __name__ == "__main__":
    main()
