"""Train *Integrated* and the first candidates of both branches on the data sets of shifts: ``integrated.py DATA OUT``.

The profile is ``quick``. ``OUT/<set>_<seed>.csv`` gets the scores of each system, and of *Integrated* each part's.
"""

import argparse
import time
from pathlib import Path

import pandas as pd

from asdlib import params, paths, prepare
from asdlib.integrated.run import PARTS, run
from asdlib.shift import shifted_clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--branches", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    shifted_clips.make = lambda *_: False  # nothing here uses them, and they take longer than all else
    for seed in arguments.seeds:
        for name in arguments.sets:
            path = arguments.out / f"{name}_{seed}.csv"
            changes = {"runs": str(arguments.out / "runs"), "profile": f"{name}_{seed}", "seed": seed}
            settings = params.load("quick", changes | {"data.root": str((arguments.data / name).resolve())})
            if not path.is_file():
                began = time.monotonic()
                prepare.prepare_clips(settings)
                table = run(settings, "ToyCar")
                parts = pd.read_csv(paths.Run.of(settings).system("integrated", "ToyCar") / PARTS, dtype=str)
                frames = [
                    table,
                    *(
                        table.assign(system=f"integrated/{k}", score=parts[k].astype(float))
                        for k in parts
                        if k not in table
                    ),
                ]
                pd.concat(frames).to_csv(path, index=False)
                print(f"{name} {seed}: integrated, {time.monotonic() - began:.0f} s", flush=True)
            other = arguments.out / f"{name}_{seed}_branches.csv"
            if arguments.branches and not other.is_file():
                from asdlib.autoencoder import scorer as autoencoder_scorer
                from asdlib.autoencoder import train as autoencoder_train
                from asdlib.classifier import scorer as classifier_scorer
                from asdlib.classifier import train as classifier_train
                from asdlib.data.machine_clips import open_machine

                began = time.monotonic()
                autoencoder_train.fit(settings, "ToyCar", "base")
                tables = [autoencoder_scorer.score(settings, "ToyCar", "base")]
                for section in open_machine(settings, "ToyCar").planned:
                    classifier_train.fit(settings, "ToyCar", section, "base")
                tables.append(classifier_scorer.score(settings, "ToyCar", "base"))
                pd.concat(tables).to_csv(other, index=False)
                print(f"{name} {seed}: branches, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
