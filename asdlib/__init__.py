"""Anomalous sound detection with an ensemble of autoencoder and binary classification approaches.

An open, reproducible companion of the DCASE2021 Challenge Task 2 report of Kuroyanagi et al. The packages follow the
paper's table of contents: ``data`` (Sec. 3.1), ``autoencoder`` (2.1), ``classifier`` (2.2), ``baselines`` (3.1),
``ensemble`` (2.3), ``evaluation`` (3). Beyond the paper, ``detector`` builds a detector for your own machine.

The public API is what ``__all__`` lists; everything else serves the experiment and may change between minor versions.
"""

from importlib import metadata
from typing import TYPE_CHECKING

from asdlib.errors import AsdError

if TYPE_CHECKING:
    from asdlib.detector.detector import Detector
    from asdlib.detector.judge import Verdict

__version__ = metadata.version("asdlib")
__all__ = ["AsdError", "Detector", "Verdict"]


def __getattr__(name: str):
    """Import a class on first use: scikit-learn takes a second to import, and most commands do not need it."""
    if name == "Detector":
        try:
            from asdlib.detector.detector import Detector
        except ModuleNotFoundError as error:
            words = (
                f"asdlib.Detector needs the package {error.name}; pip install 'asdlib[all]'; the command score does not"
            )
            raise ModuleNotFoundError(words, name=error.name) from None

        return Detector
    if name == "Verdict":
        from asdlib.detector.judge import Verdict

        return Verdict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
