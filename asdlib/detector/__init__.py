"""Beyond the paper's bench: a detector for a machine of one's own, from normal recordings alone."""

from asdlib.detector.detector import Detector, Verdict
from asdlib.detector.store import DetectorError

__all__ = ["Detector", "DetectorError", "Verdict"]
