"""Describe a detector: ``detector.json`` and ``settings.json``, which are read before anything else of its folder."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from asdlib import params
from asdlib.detector.level import Learnt
from asdlib.errors import DetectorError

FORMAT = 5


class Description(params.Strict):
    """Content of ``detector.json``."""

    format: int
    """version of the format; any other than :data:`FORMAT` is refused"""
    sections: Annotated[list[str], Field(min_length=1, max_length=100)]
    """names of the sections, in the order of their numbers"""
    seconds: Annotated[float, Field(gt=0)]
    """length of a window in seconds"""
    lengths: Annotated[list[float], Field(min_length=1)]
    """lengths of windows, in seconds, for which there are thresholds, longest first"""
    level_limit: Annotated[float, Field(ge=0)]
    """dB outside the range that was learnt beyond which the level has changed; 0 makes levels a part of the sound"""
    level: float | None
    """level to which every window is brought, in dB re full scale, if any"""
    levels: dict[str, Learnt]
    """levels of the normal recordings by section and domain (``00/source``)"""
    false_alarm_rate: Annotated[float, Field(gt=0, lt=1)]
    """intended rate of false alarms, for one window"""
    autoencoder: list[str]
    """candidates of the autoencoder branch; empty if the detector consists of statistics alone"""
    classifier: list[str]
    """candidates of the classifier branch; empty if there were no outliers, or no autoencoder either"""
    missing: list[str]
    """candidates of the profile that could not be trained, each with the reason"""
    outliers: list[str]
    """names of the outliers' folders"""
    record: dict
    """record of how it was made (:mod:`asdlib.records`)"""

    @property
    def has_networks(self) -> bool:
        """Whether there are networks, and not statistics alone."""
        return bool(self.autoencoder)

    @property
    def codes(self) -> list[str]:
        """The sections as two digits."""
        return [f"{number:02d}" for number in range(len(self.sections))]

    def samples(self, sample_rate: int) -> list[int]:
        """Return ``lengths`` in samples."""
        return [round(seconds * sample_rate) for seconds in self.lengths]


def read_description(folder: Path) -> tuple[Description, params.Settings]:
    """Read how a detector describes itself, and its settings.

    Raises:
        DetectorError: The folder holds no detector, or one that cannot be read.
    """
    if not (folder / "detector.json").is_file():
        found = "contains no detector" if folder.is_dir() else "is no folder" if folder.exists() else "does not exist"
        raise DetectorError(f"{folder}: {found}; expected a folder that python -m asdlib fit wrote")
    with readable(folder):
        values = json.loads((folder / "detector.json").read_text(encoding="utf-8"))
        if isinstance(values, dict) and values.get("format") != FORMAT:
            raise DetectorError(
                f"{folder}: a detector of format {values.get('format')!r}; expected {FORMAT}; make it again, or "
                "install the version of asdlib that made it"
            )
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        return Description.model_validate(values), params.Settings.model_validate(settings)


@contextlib.contextmanager
def readable(
    folder: Path, problem: str = "cannot be read as a detector", advice: str = "make or copy it again"
) -> Iterator[None]:
    """Turn whatever a damaged file makes the libraries raise into a :class:`DetectorError` that says what to do."""
    try:
        yield
    except DetectorError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DetectorError(f"{folder}: {problem} ({reason}); {advice}") from None
