"""Results that other runs made, kept in ``book/results``: where each lies, and none from an uncommitted tree."""

from pathlib import Path

from asdlib.errors import AsdError

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
