"""Judge real faults, those of a toy car: ``real_faults.py --detector FOLDER --cars DATA --out FOLDER``.

``FOLDER`` of ``--detector`` keeps the fitted detector; ``DATA`` is the data set of toy cars (:mod:`fit`). The simpler
detectors have learnt from the same recordings, and their thresholds are set in the same way (:mod:`plain_alarms`).
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from fit import fitted, recordings
from plain_alarms import ALONE, PLAIN, Thresholds, write_record
from run import read

from asdlib import Detector
from asdlib.metrics import auc
from asdlib.tables import write_table

MACHINE, DRAWS = "ToyCar", 1000
SYSTEMS = {"ensemble": "detector", "networks": "networks alone", "autoencoder": "autoencoders alone"}
SYSTEMS |= {"classifier": "classifiers alone", ALONE: ALONE} | PLAIN


def judge(detector: Detector, alone: Detector, thresholds: Thresholds, test: list[Path]) -> pd.DataFrame:
    """Return scores and alarms of real recordings, one row per recording, whose name says whether it has a fault.

    Args:
        detector: The detector.
        alone: That of statistics alone.
        thresholds: The plain detectors.
        test: The recordings.
    """
    rows = []
    for path in test:
        verdict, simpler = detector.judge(path), alone.judge(path)
        scores = {name: verdict.branches[name]["score"] for name in ("autoencoder", "classifier")}
        alarms = {name: scores[name] > verdict.branches[name]["threshold"] for name in scores}
        plain = thresholds.score(wave := read(path, detector))
        alarms |= thresholds.alarms(plain, len(wave)) | {"ensemble": verdict.anomaly, ALONE: simpler.anomaly}
        scores |= plain | {"ensemble": verdict.score, ALONE: simpler.score}
        scores["networks"] = (scores["autoencoder"] + scores["classifier"]) / 2
        row = {"clip": path.name, "fault": "_anomaly_" in path.name, "verdict": verdict.verdict}
        rows.append(row | scores | {f"{name} alarm": alarm for name, alarm in alarms.items()})
    return pd.DataFrame(rows)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return AUC and alarms of each system, and the AUC of the detector minus its own, with 95 % intervals over clips.

    ``networks`` is the mean of the two branches with networks, which alone have no threshold.
    """
    rng, faults = np.random.default_rng(0), table["fault"].to_numpy()
    draws = [
        np.concatenate([rng.choice(np.flatnonzero(faults == kind), (faults == kind).sum()) for kind in (False, True)])
        for _ in range(DRAWS)
    ]

    def areas(name: str) -> np.ndarray:
        values = table[name].to_numpy()
        return np.array([auc(faults, values), *(auc(faults[draw], values[draw]) for draw in draws)])

    rows, whole = [], areas("ensemble")
    for name, words in SYSTEMS.items():
        own = areas(name)
        row = {"system": words, "auc": own[0], "lead": (whole - own)[0]}
        row |= dict(zip(("low", "high"), np.quantile((whole - own)[1:], [0.025, 0.975]), strict=True))
        if f"{name} alarm" in table:
            alarms = table[f"{name} alarm"]
            row |= {"found": alarms[faults].sum(), "false_alarms": alarms[~faults].sum()}
        rows.append(row | {"faults": faults.sum(), "normals": (~faults).sum()})
    return pd.DataFrame(rows)


def main() -> None:
    """Judge and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", type=Path, required=True, help="folder to keep the detector in")
    parser.add_argument("--cars", type=Path, required=True, help="data folder with the toy cars")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table and its record")
    options = parser.parse_args()
    detector = fitted(options.detector, MACHINE, options.cars)
    test = sorted((options.cars / MACHINE / "source_test").glob("section_00_*"))
    normal, _ = recordings(MACHINE, options.cars)
    alone = Detector(statistics_only=True).fit(normal)
    table = summarise(judge(detector, alone, Thresholds.of(detector, normal), test))
    print(table.to_string())
    write_table(table, options.out / "real.csv")
    write_record(detector, MACHINE, options.out / "real.record.json")


if __name__ == "__main__":
    main()
