"""Detect anomalous sounds of your own machine, after learning from normal recordings only; the paper lacks this.

* ``detector``, ``train``: a detector, and its training
* ``make``, ``recalibrate``, ``reference``, ``store``, ``facts``, ``card``: its folder and model card
* ``recordings``, ``sources``, ``inputs``, ``layout``, ``survey``, ``overlap``, ``cutting``: recordings
* ``level``, ``response``: a changed level or microphone, which is not a fault
* ``networks``, ``pytorch``, ``onnx``, ``runtime``: the trained networks of both branches
* ``judge``, ``calibration``, ``localize``, ``statistics``, ``watch``: scores, decisions, and where a sound is wrong
* ``output``, ``page``, ``report``, ``history``, ``estimate``: what the commands print (:mod:`asdlib.commands.detector`)
"""

from typing import TYPE_CHECKING

from asdlib.errors import DetectorError

if TYPE_CHECKING:
    from asdlib.detector.detector import Detector
    from asdlib.detector.judge import Verdict

__all__ = ["Detector", "DetectorError", "Verdict"]


def __getattr__(name: str):
    """Import a class when it is first used: scikit-learn takes a second to import, and judging does not need it."""
    if name == "Detector":
        from asdlib.detector.detector import Detector

        return Detector
    if name == "Verdict":
        from asdlib.detector.judge import Verdict

        return Verdict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
