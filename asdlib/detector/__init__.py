"""Beyond the paper's bench: a detector for a machine of one's own, from normal recordings alone."""

from typing import TYPE_CHECKING

from asdlib.errors import DetectorError

if TYPE_CHECKING:
    from asdlib.detector.detector import Detector
    from asdlib.detector.judge import Verdict

__all__ = ["Detector", "DetectorError", "Verdict"]


def __getattr__(name: str):
    """Import what is asked for: judging needs no scikit-learn, which takes a second to import."""
    if name == "Detector":
        from asdlib.detector.detector import Detector

        return Detector
    if name == "Verdict":
        from asdlib.detector.judge import Verdict

        return Verdict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
