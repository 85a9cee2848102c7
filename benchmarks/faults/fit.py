"""Fit the detector of the benchmark: 60 real normal recordings, with outliers, and 20 recordings kept for tests.

The recordings are those of ``../shared/realdata`` (or of ``ASD_REALDATA``); the toy cars are a data set that
``build_toycar.py`` there builds.
"""

import os
import sys
from pathlib import Path

import numpy as np

from asdlib import Detector

FITTED, TESTED = 60, 20
OUTLIERS = ("fan", "pump", "valve")


def real_data() -> Path:
    """Return the folder of real recordings, or end the program with a message if there is none."""
    place = Path(os.environ.get("ASD_REALDATA", Path(__file__).parents[3] / "shared" / "realdata"))
    if not place.is_dir():
        sys.exit(f"{place}: no real recordings; set ASD_REALDATA to a folder that has them")
    return place


def recordings(machine: str, cars: Path | None = None) -> tuple[list[Path], list[Path]]:
    """Return the recordings to fit and those to test, drawn at random.

    Args:
        machine: ``slider`` or ``ToyCar``.
        cars: Data folder of the toy cars, for these.
    """
    if machine == "ToyCar":
        files = sorted((cars / "ToyCar" / "train").glob("section_00_source_train_normal_*"))
    else:
        files = sorted((real_data() / "outliers" / machine).glob("section_00_*"))
    order = np.random.default_rng(0).permutation(len(files))
    chosen = [files[index] for index in order[: FITTED + TESTED]]
    return chosen[:FITTED], chosen[FITTED:]


def fitted(folder: Path, machine: str, cars: Path | None = None) -> Detector:
    """Load the detector in a folder, or fit it; networks that an earlier call trained are kept in ``folder/work``."""
    place = folder / f"{machine}.detector"
    if not place.exists():
        outliers = [real_data() / "outliers" / name for name in OUTLIERS]
        normal = recordings(machine, cars)[0]
        Detector().fit(normal, outliers=outliers, work=folder / "work" / machine).save(place)
    return Detector.load(place)


if __name__ == "__main__":
    fitted(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]) if len(sys.argv) > 3 else None)
