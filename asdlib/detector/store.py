"""What a detector is on disk: a folder of safetensors, JSON and CSV, so that loading executes nothing.

The ONNX files that it may hold too are graphs of arithmetic for ONNX Runtime.

::

    card.md             the model card
    detector.json       sections, window, false-alarm rate, candidates, what made it
    settings.json       the settings of all networks
    recordings.csv      which recordings it heard, and which of them were held out
    calibration.csv     scores of the held-out clips, a score table (asdlib.scores)
    usual.safetensors   frame scores and band errors of the held-out clips
    autoencoder/<candidate>/                    network and Gaussians
    classifier/<candidate>/[<section>/]         centroids and Gaussians of normal clips; networks
    onnx/               the networks as ONNX files, if python -m asdlib onnx wrote some (asdlib.detector.runtime)
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field
from safetensors.numpy import load_file, save_file

from asdlib import artefacts, params, scores
from asdlib.detector import DetectorError, networks, runtime
from asdlib.detector.spans import Usual

FORMAT = 3


class Facts(params.Strict):
    """``detector.json``."""

    format: int
    """3; any other is refused"""
    sections: Annotated[list[str], Field(min_length=1, max_length=100)]
    """names, in the order of the numbers that stand for them"""
    seconds: Annotated[float, Field(gt=0)]
    """length of a window"""
    false_alarm_rate: Annotated[float, Field(gt=0, lt=1)]
    """aimed at, for one window"""
    autoencoder: Annotated[list[str], Field(min_length=1)]
    """candidates"""
    classifier: list[str]
    """candidates; empty if there were no outliers"""
    missing: list[str]
    """candidates of the profile that could not be trained, and why"""
    outliers: list[str]
    """names of the outliers' folders"""
    record: dict
    """what made it"""

    @property
    def codes(self) -> list[str]:
        """The sections as two digits."""
        return [f"{number:02d}" for number in range(len(self.sections))]


@dataclasses.dataclass(frozen=True)
class Stored:
    """A detector in memory."""

    facts: Facts
    settings: params.Settings
    autoencoders: dict[str, networks.TrainedAutoencoder]
    classifiers: dict[str, networks.TrainedClassifier]
    reference: dict[tuple[str, str], dict[str, np.ndarray]]
    """scores of the held-out clips by section and domain, then system"""
    usual: dict[tuple[str, str], Usual]


def vacant(path: Path) -> None:
    """Raise :class:`DetectorError` if a detector that is written to ``path`` would replace anything but a detector."""
    if path.exists() and not (path / "detector.json").is_file():
        raise DetectorError(f"{path}: exists and is no detector; give another place")


def networks_of(settings, facts: Facts, folder: Path) -> tuple[dict, dict]:
    """The networks of both branches by candidate, run by ONNX Runtime if it and the files are there, else by PyTorch.

    In float32 whatever the training's precision: thresholds that one machine has set hold on any other.
    """
    settings = settings.model_copy(update={"precision": "float32"})
    for branch in ("autoencoder", "classifier"):
        for name in getattr(facts, branch):
            settings.candidate(branch, name)  # names that the profile does not know lead nowhere
    if runtime.there(folder):
        kind = runtime.OnnxRuntime
    else:
        from asdlib.detector.pytorch import PyTorch as kind
    run = kind(settings, facts, folder)
    autoencoders = {
        name: networks.TrainedAutoencoder.load(settings, name, run.errors(name), folder / "autoencoder" / name)
        for name in facts.autoencoder
    }
    classifiers = {
        name: networks.TrainedClassifier.load(settings, name, run.embedders(name), folder / "classifier" / name)
        for name in facts.classifier
    }
    return autoencoders, classifiers


def load(folder: Path) -> Stored:
    """Read a detector.

    Raises:
        DetectorError: There is none, or a part of it cannot be read.
    """
    facts, settings = about(folder)
    with readable(folder):
        reference = references(scores.read(folder / "calibration.csv"))
        return Stored(facts, settings, *networks_of(settings, facts, folder), reference, _usual(folder))


def about(folder: Path) -> tuple[Facts, params.Settings]:
    """What a detector says of itself; errors as in :func:`load`."""
    if not (folder / "detector.json").is_file():
        raise DetectorError(f"{folder}: no detector; python -m asdlib fit makes one")
    with readable(folder):
        values = json.loads((folder / "detector.json").read_text(encoding="utf-8"))
        if isinstance(values, dict) and values.get("format") != FORMAT:
            raise DetectorError(
                f"{folder}: a detector of format {values.get('format')!r}; expected {FORMAT}; make it again, or "
                "install the version of asdlib that made it"
            )
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        return Facts.model_validate(values), params.Settings.model_validate(settings)


@contextlib.contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Whatever a damaged file makes the libraries say, with what to do."""
    try:
        yield
    except DetectorError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DetectorError(f"{folder}: cannot be read as a detector ({reason}); make or copy it again") from None


def references(table: pd.DataFrame) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """The held-out clips' scores by section and domain, then system."""
    result: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for (section, domain, system), part in table.groupby(["section", "domain", "system"], sort=False):
        result.setdefault((section, domain), {})[system] = part["score"].to_numpy()
    return result


def save_usual(usual: dict[tuple[str, str], Usual], path: Path) -> None:
    """Write what frames of normal clips look like."""
    arrays = {
        f"{section}.{domain}.{field.name}": np.ascontiguousarray(getattr(value, field.name), np.float64)
        for (section, domain), value in usual.items()
        for field in dataclasses.fields(value)
    }
    with artefacts.writing(path) as temporary:
        save_file(arrays, temporary)


def _usual(folder: Path) -> dict[tuple[str, str], Usual]:
    values: dict[tuple[str, str], dict] = {}
    for key, array in load_file(folder / "usual.safetensors").items():
        section, domain, name = key.split(".")
        values.setdefault((section, domain), {})[name] = array if array.ndim else float(array)
    return {key: Usual(**parts) for key, parts in values.items()}
