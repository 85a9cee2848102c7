"""Compare the detector with two plain ones: ``run.py --detector FOLDER [--machine slider] [--seed 1] [--out FOLDER]``.

``FOLDER`` keeps the fitted detector and the scores of each recording (``<machine>.<seed>.csv``), so an interrupted run
resumes. ``--out`` is for the book's tables (``book/results/detector``).
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import sounds
import summary
from fit import fitted, recordings
from plain import Plain

from asdlib import Detector, atomic
from asdlib.detector.recordings import open_recording, windows


def read(path: Path, detector: Detector) -> np.ndarray:
    """Read the first window of a recording."""
    stored = detector._fitted().stored
    return next(windows(open_recording(path, stored.settings.data), rate_of(detector), stored.description.seconds))[1]


def rate_of(detector: Detector) -> int:
    """Return the sampling rate of a detector."""
    return detector._fitted().stored.settings.data.sample_rate


def conditions(waves: list[np.ndarray], clip: int, rate: int, seed: int) -> Iterator[dict]:
    """Yield what to score of one recording: ``clip, group, condition, level, wave, fault`` (None if there is none)."""
    wave, plain = waves[clip], {"clip": clip, "level": np.nan, "fault": None}
    yield plain | {"group": "normal", "condition": "normal", "wave": wave}
    for number, kind in enumerate(sounds.KINDS):
        for level in sounds.LEVELS:
            mixed = sounds.mix(wave, rate, kind, level, np.random.default_rng([seed, clip, number]))
            words = {"group": "fault", "condition": kind, "level": level, "wave": mixed.wave, "fault": mixed}
            yield plain | words
    for number, (name, change) in enumerate(sounds.HARMLESS.items()):
        changed = change(wave, rate, np.random.default_rng([seed, clip, 100 + number]))
        yield plain | {"group": "harmless", "condition": name, "wave": changed}
    rng = np.random.default_rng([seed, clip, 1000])
    whole = np.concatenate([waves[index] for index in rng.permutation(len(waves))[: sounds.LONG]])
    plain |= {"level": sounds.LONG_LEVEL, "group": "long"}
    yield plain | {"condition": "long normal", "wave": whole}
    for kind in ("impacts", "whine", "hiss"):
        start = rng.integers(0, len(whole) - round(sounds.SHORT * rate))
        part = slice(start, start + round(sounds.SHORT * rate))
        mixed = sounds.mix(whole[part], rate, kind, sounds.LONG_LEVEL, rng)
        wave = whole.copy()
        wave[part] = mixed.wave
        fault = sounds.Mixed(wave, [(start / rate, start / rate + sounds.SHORT)], mixed.band)
        yield plain | {"condition": f"long {kind} of 2 s", "wave": wave, "fault": fault}


def hits(fault: sounds.Mixed, spans: list[dict]) -> dict[str, int]:
    """Count faults and spans, and which of them hit.

    A fault is hit by a span that overlaps it in time and frequency; a span hits if half of it lies within the fault,
    give or take a quarter of a second, and its frequencies overlap.
    """

    def same(span: dict) -> bool:
        return any(low < fault.band[1] and high > fault.band[0] for low, high in span["frequencies"])

    def share(span: dict, start: float, end: float) -> float:
        return (min(span["end"], end) - max(span["start"], start)) / max(span["end"] - span["start"], 1e-9)

    hit = [any(same(span) and share(span, *place) > 0 for span in spans) for place in fault.places]
    right = [
        same(span) and sum(max(share(span, start - 0.25, end + 0.25), 0) for start, end in fault.places) >= 0.5
        for span in spans
    ]
    return {"faults": len(hit), "faults_hit": sum(hit), "spans": len(right), "spans_right": sum(right)}


def score(detector: Detector, normal: list[Path], test: list[Path], seed: int, place: Path) -> pd.DataFrame:
    """Score all conditions, one row per recording; ``place`` holds the rows of the clips that are done."""
    rate, began = rate_of(detector), time.monotonic()
    done = pd.read_csv(place) if place.exists() else pd.DataFrame({"clip": []})
    waves = [read(path, detector) for path in test]
    plain = Plain([read(path, detector) for path in normal], rate)
    for clip in sorted(set(range(len(test))) - set(done["clip"])):
        rows = []
        for item in conditions(waves, clip, rate, seed):
            wave, fault = item.pop("wave"), item.pop("fault")
            verdict = detector.judge((wave, rate))
            branches = {name: branch["score"] for name, branch in verdict.branches.items()}
            found = {"score": verdict.score, "anomaly": verdict.anomaly, "verdict": verdict.verdict}
            found["without outliers"] = (branches["autoencoder"] + branches["statistics"]) / 2
            if fault is not None and verdict.anomaly:
                found |= hits(fault, verdict.spans)
            rows.append(item | found | branches | plain.score(wave))
        done = pd.concat([done, pd.DataFrame(rows)], ignore_index=True)
        with atomic.writing(place) as temporary:
            done.to_csv(temporary, index=False)
        print(f"clip {clip + 1} of {len(test)}, {time.monotonic() - began:.0f} s", flush=True)
    return done


def main() -> None:
    """Score, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", type=Path, required=True, help="folder to keep the detector and scores in")
    parser.add_argument("--machine", default="slider", choices=["slider", "ToyCar"])
    parser.add_argument("--cars", type=Path, help="data folder with the toy cars")
    parser.add_argument("--seed", type=int, default=1, help="seed of the faults")
    parser.add_argument("--out", type=Path, help="folder for the tables")
    options = parser.parse_args()
    place = options.detector / f"{options.machine}.{options.seed}.csv"
    detector = fitted(options.detector, options.machine, options.cars)
    table = score(detector, *recordings(options.machine, options.cars), options.seed, place)
    if options.out:
        summary.write(table, detector, options)


if __name__ == "__main__":
    main()
