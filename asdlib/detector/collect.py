"""Collect the parts of a run's trained networks that scoring needs in a detector's folder."""

from pathlib import Path

from safetensors.numpy import save_file

from asdlib import paths
from asdlib.classifier import FILES, clip_outputs
from asdlib.classifier.reference_statistics import ReferenceStatistics
from asdlib.detector.networks import CENTROIDS, NORMAL, SCORERS
from asdlib.detector.recordings import MACHINE


def copy_autoencoder(settings, candidate: str, folder: Path) -> None:
    """Copy network and Gaussians of a candidate from its run to ``folder``."""
    _copy(paths.Run.of(settings).system("autoencoder", MACHINE, candidate), folder, ["model.safetensors", SCORERS])


def write_classifier(settings, candidate: str, sections: list[str], folder: Path) -> None:
    """Write networks, centroids and reference statistics of a candidate of a run to ``folder``."""
    run = paths.Run.of(settings)
    for section in sections:
        source = run.system("classifier", MACHINE, candidate, section)
        _copy(source, folder / section, [name for name in FILES.values() if (source / name).is_file()])
    table, embedding = clip_outputs.read(settings, MACHINE, candidate)
    centroids = clip_outputs.select_centroids(table, embedding)
    save_file({"/".join(key): rows for key, rows in centroids.items()}, folder / CENTROIDS)
    options = settings.candidate("classifier", candidate).scorer
    ReferenceStatistics.fit(table, embedding, options).save(folder / NORMAL)


def _copy(source: Path, folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes((source / name).read_bytes())
