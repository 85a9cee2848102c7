"""Results that other runs made, kept in ``book/results``: where each lies, and how to read it."""

from pathlib import Path

import pandas as pd

from asdlib.errors import AsdError
from asdlib.evaluation.rows import SYSTEMS as ROWS
from asdlib.tables import read_table

RESULTS = Path(__file__).parent / "results"
RERUN = RESULTS / "official_ae_rerun.csv"
"""the official autoencoder on DCASE2021, trained by somebody else, by our metric"""
GPU = RESULTS / "gpu" / "figures.csv"
"""what `make gpu` measured, if it was run"""
ABLATIONS = RESULTS / "ablations"
"""runs of several seeds with one thing changed"""
REAL = RESULTS / "toycar"
"""a run on real recordings that are not part of the project"""
SYSTEMS = RESULTS / "real_systems"
"""ensembles of other people's systems"""
SHIFTS = RESULTS / "shifts"
"""scorers without a network under five kinds of shift"""
DETECTOR = RESULTS / "detector"
"""the detector next to two plain ones"""
PRINTED = {system: row for row, system in ROWS.items()} | {
    "integrated/frame_error": "its errors of frames alone",
    "integrated/clip_error": "its clip's mean error alone",
    "integrated/embedding": "its embedding alone",
    "integrated/posterior": "its posterior alone",
    "without the reconstruction head": "weight 0 for reconstruction",
    "without the embedding head": "weight 0 for outlier, section and DDCSAD",
    "without DDCSAD": "weight 0 for DDCSAD",
    "without ArcFace": "weight 0 for section (ArcFace)",
}
"""stored names of systems, and what the book calls them; ``without`` removes no part of the network"""
RENAMED = {"lender of kernels": "process that forks kernels"}
"""old names of processes in stored counts, and their present ones (``benchmarks/chaos.py``)"""


def read(path: Path) -> pd.DataFrame:
    """Read a stored table (:func:`asdlib.tables.read_table`), with the names of systems and processes as printed."""
    return read_table(path).replace({"system": PRINTED}).replace({"what": RENAMED}, regex=True)


def check() -> None:
    """Raise :class:`AsdError` if a stored result was made from a tree with uncommitted changes."""
    for path in sorted((RESULTS).rglob("*.*")):
        if path.suffix not in (".csv", ".json"):
            continue
        if "+changes" in path.read_text(encoding="utf-8"):
            raise AsdError(
                f"{path.relative_to(RESULTS.parent)}: made from a working tree with uncommitted changes, so nobody can "
                "tell which code made it; commit, then make it again"
            )
