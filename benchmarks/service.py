"""Measure what a detector needs to be fitted and to judge one recording after another, as a service does.

Learns from real recordings of a slider, and of other machines where the slider has too few; what is measured does not
depend on what they contain. Times are CPU seconds of one thread, so other processes of the machine do not count. The
training of networks at full length is estimated by timing a few steps, as ``fit`` does before it starts.

``python benchmarks/service.py`` writes ``book/results/service.csv``, one row per detector and runtime. Networks have
the sizes of the profile ``detector`` and are trained for two steps only, which changes neither memory nor time of
scoring. The row of ONNX Runtime needs the packages of ``asdlib[onnx]`` and is left out otherwise.
"""

import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from detector import TWO_STEPS

from asdlib import Detector, atomic, records
from asdlib.detector import estimate, onnx, runtime, train

ROOT = Path(__file__).parents[1]
SIZES = (60, 100)
"""numbers of recordings to fit, of which there are slider recordings for most"""
MACHINE, OTHERS, SECONDS, MANY, REPEATS = "slider", ("fan", "pump", "valve"), 10, 20, 3
_COMMAND = """
import json, re, resource, sys
from pathlib import Path
from asdlib.__main__ import main
main(sys.argv[1:])
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
most = 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
print(json.dumps([sum(each.ru_utime + each.ru_stime for each in used), most]), file=sys.stderr)
"""


def measure_process(*arguments: str | Path) -> tuple[float, float]:
    """Measure CPU seconds and peak bytes of ``python -m asdlib`` with these arguments.

    The kernel's ``ru_maxrss`` would include the memory of this process, of which the other one is a fork.
    """
    command = [sys.executable, "-c", _COMMAND, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return tuple(json.loads(done.stderr.splitlines()[-1]))


def measure_scoring(detector: Path, clips: list[Path]) -> dict[str, float]:
    """Measure a process that judges one recording, and one that judges all; medians of several repeats."""
    first = np.median([measure_process("score", detector, clips[0])[0] for _ in range(REPEATS)])
    found = np.median([measure_process("score", detector, *clips) for _ in range(REPEATS)], axis=0)
    return {
        "start_cpu_seconds": first,
        "cpu_seconds": (found[0] - first) / (len(clips) - 1),
        "bytes": found[1],
    }


def copy_recordings(place: Path, folder: Path) -> dict[int, Path]:
    """Copy as many recordings as each of :data:`SIZES` says to a folder each; sliders come first."""
    found = [path for machine in (MACHINE, *OTHERS) for path in sorted((place / "outliers" / machine).glob("*.flac"))]
    for size in SIZES:
        (folder / str(size)).mkdir()
        for number, path in enumerate(found[:size]):
            shutil.copyfile(path, folder / str(size) / f"{number:03d}.flac")
    return {size: folder / str(size) for size in SIZES}


def estimate_training(detector: Detector) -> dict[str, float]:
    """Estimate the CPU seconds of training all networks, and the autoencoders alone, which need no outliers."""
    description = detector._fitted().stored.description
    settings = train.build_settings("detector", {}, Path("unused"))
    chosen = {"autoencoder": description.autoencoder, "classifier": description.classifier}
    with mock.patch.object(estimate, "time", types.SimpleNamespace(monotonic=time.process_time)):
        return {
            name: estimate.seconds(settings, kinds, description.codes, jobs=1)
            for name, kinds in (("fit_seconds", chosen), ("fit_alone_seconds", chosen | {"classifier": []}))
        }


def main() -> None:
    """Measure all detectors and runtimes, and write the table."""
    place = Path(os.environ.get("ASD_REALDATA", ROOT.parent / "shared" / "realdata"))
    if not place.is_dir():
        sys.exit(f"{place}: no real recordings; set ASD_REALDATA to a folder that has them")
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        recordings = copy_recordings(place, folder)
        clips = sorted(recordings[SIZES[0]].iterdir())[: 1 + MANY]
        row = {"detector": "statistics only", "runtime": "none"}
        for size, where in recordings.items():
            out = folder / f"statistics.{size}"
            command = ("fit", where, "--out", out, "--statistics-only", "--replace")
            fit = [measure_process(*command) for _ in range(REPEATS)]
            row[f"fit_{size}_seconds"], row["fit_bytes"] = np.median(fit, axis=0)
        rows.append(row | measure_scoring(out, clips))
        outliers = [place / "outliers" / name for name in OTHERS]
        detector = Detector("detector", overrides=TWO_STEPS).fit(recordings[SIZES[0]], outliers=outliers)
        detector.save(folder / "pytorch")
        trained = estimate_training(detector)
        kinds = {"PyTorch": folder / "pytorch"}
        if runtime.is_installed():
            kinds["ONNX Runtime"] = Path(shutil.copytree(folder / "pytorch", folder / "onnx"))
            onnx.export(folder / "onnx")
        for kind, where in kinds.items():
            rows.append({"detector": "networks", "runtime": kind} | trained | measure_scoring(where, clips))
    table = pd.DataFrame(rows).assign(
        seconds=SECONDS,
        sliders=min(len(list((place / "outliers" / MACHINE).glob("*.flac"))), max(SIZES)),
        commit=records.commit(),
        processor=detector._fitted().stored.description.record["device"],
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
    out = ROOT / "book" / "results" / "service.csv"
    with atomic.writing(out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g", lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
