"""Measure memory and CPU time of a detector that judges one recording after another, as a service does.

The time of its training at full length is estimated by timing a few steps, as ``fit`` does before it starts.

Writes ``book/results/service.csv``. ``python benchmarks/service.py`` makes a detector with networks of the sizes of the
profile ``detector``, trained for two steps only, which changes neither; ``service.py DETECTOR`` takes one that exists.
The rows of ONNX Runtime need the packages of ``asdlib[onnx]`` and are left out otherwise.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from detector import TWO_STEPS

from asdlib import Detector, atomic, records
from asdlib.detector import estimate, onnx, runtime, train

CLIPS, SECONDS, RATE, MANY = 16, 10, 16_000, 20
_COMMAND = """
import json, re, resource, sys
from pathlib import Path
from asdlib.__main__ import main
main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
most = 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
print(json.dumps([used.ru_utime + used.ru_stime, most]), file=sys.stderr)
"""


def measure_process(detector: Path, clip: Path, count: int) -> tuple[float, float]:
    """Measure CPU seconds and peak bytes of a process that judges a recording ``count`` times.

    The kernel's ``ru_maxrss`` would include the memory of this process, of which the other one is a fork.
    """
    command = [sys.executable, "-c", _COMMAND, "score", str(detector), *[str(clip)] * count]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return tuple(json.loads(done.stderr.splitlines()[-1]))


def main() -> None:
    """Measure all runtimes and write the table."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder, rng = Path(place), np.random.default_rng(0)
        for name in ("normal", "other"):
            (folder / name).mkdir()
            for index in range(CLIPS):
                wave = rng.normal(0, 0.03, SECONDS * RATE)
                soundfile.write(folder / name / f"{index:02d}.wav", wave, RATE, "PCM_16")
        if len(sys.argv) > 1:
            detector = Detector.load(sys.argv[1])
        else:
            detector = Detector("detector", overrides=TWO_STEPS).fit(folder / "normal", outliers=[folder / "other"])
        detector.save(folder / "pytorch")
        kinds = {"PyTorch": folder / "pytorch"}
        if runtime.is_installed():
            kinds["ONNX Runtime"] = Path(shutil.copytree(folder / "pytorch", folder / "onnx"))
            onnx.export(folder / "onnx")
        for kind, where in kinds.items():
            clip = folder / "normal" / "00.wav"
            (first, _), (all_of_them, most) = measure_process(where, clip, 1), measure_process(where, clip, 1 + MANY)
            rows.append((kind, first, (all_of_them - first) / MANY, most))
    table = pd.DataFrame(rows, columns=["runtime", "start_cpu_seconds", "cpu_seconds", "bytes"])
    description = detector._fitted().stored.description
    settings = train.build_settings("detector", {}, Path("unused"))
    chosen = {"autoencoder": description.autoencoder, "classifier": description.classifier}
    table = table.assign(
        seconds=SECONDS,
        fit_seconds=estimate.seconds(settings, chosen, description.codes, jobs=1),
        commit=records.commit(),
        processor=description.record["device"],
    )
    out = Path(__file__).parent.parent / "book" / "results" / "service.csv"
    with atomic.writing(out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g", lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
