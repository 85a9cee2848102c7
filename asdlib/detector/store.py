"""What a detector is on disk: a folder of safetensors, JSON and CSV, so that loading executes nothing.

The ONNX files that it may hold too are graphs of arithmetic for ONNX Runtime.

::

    card.md             the model card
    detector.json       sections, window, false-alarm rate, candidates, what made it
    settings.json       the settings of all networks
    recordings.csv      which recordings it heard, and which of them were held out
    calibration/<samples>.csv   scores of the held-out clips cut to so many samples, a score table (asdlib.scores)
    usual.safetensors   frame scores and band errors of the held-out clips
    statistics.safetensors      spectra of normal clips (asdlib.detector.statistics)
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

from asdlib import atomic, params, scores
from asdlib.detector import networks, runtime, statistics
from asdlib.detector.level import Learnt
from asdlib.detector.spans import Usual
from asdlib.errors import DetectorError

FORMAT = 4
CALIBRATION, CLIPS, USUAL, CARD = "calibration", "recordings.csv", "usual.safetensors", "card.md"
TEXT = ["machine", "name", "section", "domain", "split", "recording"]


class Facts(params.Strict):
    """``detector.json``."""

    format: int
    """4; any other is refused"""
    sections: Annotated[list[str], Field(min_length=1, max_length=100)]
    """names, in the order of the numbers that stand for them"""
    seconds: Annotated[float, Field(gt=0)]
    """length of a window"""
    lengths: Annotated[list[float], Field(min_length=1)]
    """lengths of windows, in seconds, that there are thresholds for, longest first"""
    level_limit: Annotated[float, Field(ge=0)]
    """dB outside of what was learnt from which on a level has changed; 0: levels are part of the sound"""
    level: float | None
    """dB re full scale that every window is brought to, if any"""
    levels: dict[str, Learnt]
    """what was learnt of levels, by section and domain (``00/source``)"""
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

    def samples(self, sample_rate: int) -> list[int]:
        """``lengths`` in samples."""
        return [round(seconds * sample_rate) for seconds in self.lengths]


@dataclasses.dataclass(frozen=True)
class Stored:
    """A detector in memory."""

    facts: Facts
    settings: params.Settings
    autoencoders: dict[str, networks.TrainedAutoencoder]
    classifiers: dict[str, networks.TrainedClassifier]
    reference: dict[tuple[str, str, int], dict[str, np.ndarray]]
    """scores of the held-out clips by section, domain and length in samples, then system"""
    usual: dict[tuple[str, str, int], Usual]
    statistics: dict[tuple[str, str, int], statistics.Statistics]
    clips: pd.DataFrame
    """``recordings.csv``"""


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
        reference = {}
        for samples in facts.samples(settings.data.sample_rate):
            reference |= references(scores.read(folder / CALIBRATION / f"{samples}.csv"), samples)
        return Stored(
            facts,
            settings,
            *networks_of(settings, facts, folder),
            reference,
            usual(folder),
            statistics.load(folder / statistics.FILE),
            pd.read_csv(folder / CLIPS, dtype=dict.fromkeys(TEXT, str), keep_default_na=False),
        )


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


def references(table: pd.DataFrame, samples: int) -> dict[tuple[str, str, int], dict[str, np.ndarray]]:
    """Return the held-out clips' scores by section, domain and length, then system."""
    result: dict[tuple[str, str, int], dict[str, np.ndarray]] = {}
    for (section, domain, system), part in table.groupby(["section", "domain", "system"], sort=False):
        result.setdefault((section, domain, samples), {})[system] = part["score"].to_numpy()
    return result


def revise(folder: Path, facts: Facts) -> None:
    """Replace what a detector says of itself; its ONNX files stay its own."""
    atomic.write_json(facts.model_dump(mode="json"), folder / "detector.json")
    runtime.adopt(folder)


def save_usual(values: dict[tuple[str, str, int], Usual], path: Path) -> None:
    """Write what frames of normal clips look like."""
    arrays = {
        f"{section}.{domain}.{samples}.{field.name}": np.ascontiguousarray(getattr(value, field.name), np.float64)
        for (section, domain, samples), value in values.items()
        for field in dataclasses.fields(value)
    }
    with atomic.writing(path) as temporary:
        save_file(arrays, temporary)


def usual(folder: Path) -> dict[tuple[str, str, int], Usual]:
    """Read what :func:`save_usual` has written."""
    values: dict[tuple[str, str, int], dict] = {}
    for key, array in load_file(folder / USUAL).items():
        section, domain, samples, name = key.split(".")
        values.setdefault((section, domain, int(samples)), {})[name] = array if array.ndim else float(array)
    return {key: Usual(**parts) for key, parts in values.items()}
