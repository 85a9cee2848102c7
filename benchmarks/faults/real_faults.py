"""Judge real faults, those of a toy car: ``real_faults.py --detector FOLDER --cars DATA --out FOLDER``.

``FOLDER`` of ``--detector`` keeps the fitted detector; ``DATA`` is the data set of toy cars (:mod:`fit`). The simpler
detectors have learnt from the same recordings, and their thresholds are set in the same way (:mod:`plain_alarms`).

Without ``--detector`` no network is trained, and the detector of statistics only is compared with the plain ones
(``real_simpler.csv``), which learn from what would have trained the networks.
"""

import argparse
import datetime
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from fit import fitted, recordings
from plain_alarms import ALONE, PLAIN, SPLITS, Thresholds, write_record
from run import read

from asdlib import Detector, atomic, records
from asdlib.detector import sources
from asdlib.detector.layout import lay_out
from asdlib.detector.train import build_settings
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


def judge_simpler(alone: Detector, normal: list[Path], test: list[Path]) -> pd.DataFrame:
    """Return the scores of the detectors without networks, one row per recording."""
    with tempfile.TemporaryDirectory() as place:
        clips = lay_out(sources.find(normal), build_settings("detector", {}, Path(place)), alone.false_alarm_rate).clips
    learnt, held_out = ([Path(name) for name in clips.loc[clips["split"] == part, "recording"]] for part in SPLITS)
    thresholds, rows = Thresholds(alone, learnt, held_out), []
    for path in test:
        row = {"clip": path.name, "fault": "_anomaly_" in path.name, ALONE: alone.judge(path).score}
        rows.append(row | thresholds.score(read(path, alone)))
    return pd.DataFrame(rows)


def summarise(table: pd.DataFrame, reference: str = "ensemble") -> pd.DataFrame:
    """Return AUC and alarms of each system, and the AUC of one minus its own, with 95 % intervals over clips.

    ``networks`` is the mean of the two branches with networks, which alone have no threshold.

    Args:
        table: Scores, as judged above.
        reference: The column with which the others are compared.
    """
    rng, faults = np.random.default_rng(0), table["fault"].to_numpy()
    draws = [
        np.concatenate([rng.choice(np.flatnonzero(faults == kind), (faults == kind).sum()) for kind in (False, True)])
        for _ in range(DRAWS)
    ]

    def areas(name: str) -> np.ndarray:
        values = table[name].to_numpy()
        return np.array([auc(faults, values), *(auc(faults[draw], values[draw]) for draw in draws)])

    rows, whole = [], areas(reference)
    for name, words in SYSTEMS.items():
        if name not in table:
            continue
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
    parser.add_argument("--detector", type=Path, help="folder to keep the detector in; without it, no network")
    parser.add_argument("--cars", type=Path, required=True, help="data folder with the toy cars")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table and its record")
    options = parser.parse_args()
    test = sorted((options.cars / MACHINE / "source_test").glob("section_00_*"))
    normal, _ = recordings(MACHINE, options.cars)
    alone = Detector(statistics_only=True).fit(normal)
    if options.detector is None:
        table = summarise(judge_simpler(alone, normal, test), ALONE)
        print(table.to_string())
        write_table(table, options.out / "real_simpler.csv")
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        atomic.write_json({"commit": records.commit(), "date": date}, options.out / "real_simpler.record.json")
        return
    detector = fitted(options.detector, MACHINE, options.cars)
    table = summarise(judge(detector, alone, Thresholds.of(detector, normal), test))
    print(table.to_string())
    write_table(table, options.out / "real.csv")
    write_record(detector, MACHINE, options.out / "real.record.json")


if __name__ == "__main__":
    main()
