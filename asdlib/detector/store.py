"""Store a detector as a folder of safetensors, JSON and CSV files, so that loading one executes nothing.

It may also hold ONNX files, which are graphs of arithmetic for ONNX Runtime.

::

    card.md             the model card
    detector.json       sections, window, false-alarm rate, candidates, record (asdlib.detector.description)
    settings.json       the settings of all networks
    recordings.csv      the recordings that it was made from, and which of them were held out
    calibration/<samples>.csv   scores of the held-out clips cut to so many samples, a score table (asdlib.scores)
    usual.safetensors   frame scores and band errors of the held-out clips, if there are networks
    statistics.safetensors      spectra of normal clips (asdlib.detector.statistics)
    autoencoder/<candidate>/                    network and Gaussians
    classifier/<candidate>/[<section>/]         centroids and Gaussians of normal clips; networks
    onnx/               the networks as ONNX files, if python -m asdlib onnx wrote them (asdlib.detector.runtime)
"""

import contextlib
import dataclasses
import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from asdlib import atomic, params, scores
from asdlib.detector import runtime, statistics
from asdlib.detector.calibration import STATISTICS, WHOLE
from asdlib.detector.description import Description, read_description, readable
from asdlib.detector.localize import FrameStatistics
from asdlib.detector.networks import AutoencoderCandidate, Backend, ClassifierCandidate
from asdlib.errors import DetectorError
from asdlib.tables import read_table

CALIBRATION, CLIPS, FRAMES, CARD = "calibration", "recordings.csv", "usual.safetensors", "card.md"


@dataclasses.dataclass(frozen=True)
class Stored:
    """A detector in memory, as a :class:`asdlib.detector.judge.Judge` uses it."""

    description: Description
    settings: params.Settings
    autoencoders: dict[str, AutoencoderCandidate]
    classifiers: dict[str, ClassifierCandidate]
    reference: dict[tuple[str, str, int], dict[str, np.ndarray]]
    """scores of the held-out clips by section, domain and length in samples, then system"""
    frames: dict[tuple[str, str, int], FrameStatistics]
    statistics: dict[tuple[str, str, int], statistics.Statistics]
    clips: pd.DataFrame
    """``recordings.csv``"""


def check_vacant(path: Path) -> None:
    """Raise a :class:`DetectorError` if a detector written to ``path`` would replace anything but a detector."""
    if path.exists() and not (path / "detector.json").is_file():
        raise DetectorError(f"{path}: exists and is not a detector; choose another path")


@contextlib.contextmanager
def _expect(folder: Path, identity: str) -> Iterator[None]:
    """Raise a :class:`DetectorError` unless the folder still holds the detector with this identity."""
    advice = "load the detector from where it is, then save or copy it"
    try:
        if runtime.identity(folder) != identity:
            raise DetectorError(f"{folder}: now holds another detector; {advice}")
        yield
    except FileNotFoundError:
        raise DetectorError(f"{folder}: was moved or deleted since this detector was loaded; {advice}") from None


def copy(folder: Path, identity: str, target: Path) -> None:
    """Copy the folder of a detector.

    Args:
        folder: Folder that the detector was loaded from.
        identity: Its identity at that time (:func:`asdlib.detector.runtime.identity`).
        target: Folder to copy to.

    Raises:
        DetectorError: The folder was deleted, moved or replaced.
    """
    with _expect(folder, identity):
        shutil.copytree(folder, target, dirs_exist_ok=True)


def read_files(folder: Path, identity: str) -> dict[str, bytes]:
    """Read all files of a detector's folder, by relative path; arguments and errors as in :func:`copy`."""
    with _expect(folder, identity):
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_files(files: dict[str, bytes], folder: Path) -> None:
    """Write what :func:`read_files` returned to a new folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def open_networks(
    settings, description: Description, folder: Path
) -> tuple[dict[str, AutoencoderCandidate], dict[str, ClassifierCandidate]]:
    """Open the networks of both branches, by candidate, with ONNX Runtime if it and the files exist, else with PyTorch.

    They compute in float32 whatever the training's precision: thresholds set on one machine hold on any other. A
    detector without networks needs neither.
    """
    if not description.has_networks:
        return {}, {}
    settings = settings.model_copy(update={"precision": "float32"})
    for branch in ("autoencoder", "classifier"):
        for name in getattr(description, branch):
            settings.candidate(branch, name)  # a name that the profile does not know could lead out of the folder
    backend = _open_backend(settings, description, folder)
    autoencoders = {
        name: AutoencoderCandidate.load(settings, name, backend, folder / "autoencoder" / name)
        for name in description.autoencoder
    }
    classifiers = {
        name: ClassifierCandidate.load(settings, name, backend, folder / "classifier" / name)
        for name in description.classifier
    }
    return autoencoders, classifiers


def _open_backend(settings, description: Description, folder: Path) -> Backend:
    if runtime.is_usable(folder):
        return runtime.OnnxRuntime(settings, description, folder)
    if importlib.util.find_spec("torch") is None:
        raise DetectorError(
            f"{folder}: its networks need PyTorch, or ONNX files and ONNX Runtime, which are not all here; run python "
            "-m asdlib onnx on this detector where it was fitted and copy it again, or pip install 'asdlib[all]'"
        )
    from asdlib.detector.pytorch import PyTorch  # takes two seconds, which ONNX Runtime saves

    return PyTorch.load(settings, description, folder)


def load(folder: Path) -> Stored:
    """Read a detector.

    Raises:
        DetectorError: There is none, or a part of it cannot be read.
    """
    description, settings = read_description(folder)
    with readable(folder):
        networks = open_networks(settings, description, folder)
        reference, systems = {}, {f"{STATISTICS}/{WHOLE}"}
        systems |= {
            f"{branch}/{name}" for branch in ("autoencoder", "classifier") for name in getattr(description, branch)
        }
        for samples in description.samples(settings.data.sample_rate):
            reference |= group_scores(scores.read(folder / CALIBRATION / f"{samples}.csv"), samples, systems)
        fitted = statistics.load(folder / statistics.FILE)
        clips = read_table(folder / CLIPS)
        last = max(int(own.sources.max()) for own in fitted.values())
        if last >= len(clips):
            raise DetectorError(
                f"{folder / CLIPS}: has {len(clips)} recordings; the detector has learnt from at least {last + 1}; "
                "make or copy it again"
            )
        frames = load_frames(folder) if description.has_networks else {}
        return Stored(description, settings, *networks, reference, frames, fitted, clips)


def group_scores(
    table: pd.DataFrame, samples: int, systems: set[str]
) -> dict[tuple[str, str, int], dict[str, np.ndarray]]:
    """Return the held-out clips' scores by section, domain and length, then system.

    Raises:
        DetectorError: One of ``systems`` has no scores, or not as many as another.
    """
    result: dict[tuple[str, str, int], dict[str, np.ndarray]] = {}
    for (section, domain, system), part in table.groupby(["section", "domain", "system"], sort=False):
        result.setdefault((section, domain, samples), {})[system] = part["score"].to_numpy()
    for (section, domain, _), own in result.items():
        counts = {system: len(values) for system, values in own.items()}
        if len(set(counts.values())) > 1 or not systems <= set(own):
            raise DetectorError(
                f"the held-out clips of section {section}, {domain} domain, have different numbers of scores at "
                f"{samples} samples ({counts}); the file of scores was cut or changed; make or copy the detector again"
            )
    return result


def revise(folder: Path, description: Description) -> None:
    """Replace how a detector describes itself; its ONNX files remain valid."""
    atomic.write_json(description.model_dump(mode="json"), folder / "detector.json")
    runtime.adopt_files(folder)


def save_frames(values: dict[tuple[str, str, int], FrameStatistics], path: Path) -> None:
    """Write the statistics of normal clips' frames."""
    arrays = {
        f"{section}.{domain}.{samples}.{field.name}": np.ascontiguousarray(getattr(value, field.name), np.float64)
        for (section, domain, samples), value in values.items()
        for field in dataclasses.fields(value)
    }
    with atomic.writing(path) as temporary:
        save_file(arrays, temporary)


def load_frames(folder: Path) -> dict[tuple[str, str, int], FrameStatistics]:
    """Read what :func:`save_frames` wrote."""
    values: dict[tuple[str, str, int], dict] = {}
    for key, array in load_file(folder / FRAMES).items():
        section, domain, samples, name = key.split(".")
        values.setdefault((section, domain, int(samples)), {})[name] = array if array.ndim else float(array)
    return {key: FrameStatistics(**parts) for key, parts in values.items()}
