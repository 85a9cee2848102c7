"""What a training goes on from: its state now and then, and what it reached at its end.

Snakemake removes the outputs of a job that was killed before it noted the job's end, also those that were whole. What
the training reached lies outside of them, for the same code to take up, until the graph has ended
(:data:`asdlib.paths.KEEP_FINISHED`).
"""

import functools
import hashlib
import json
import os
from importlib import metadata
from pathlib import Path

import torch

from asdlib import AsdError
from asdlib.artefacts import writing
from asdlib.paths import FINISHED, KEEP_FINISHED

# What a model depends on.
_CODE = ("checkpoints.py", "features.py", "seeds.py", "training.py", "data", "autoencoder", "classifier", "baselines")


class TrainingError(AsdError):
    """A training that cannot go on; the message names the step or file and what to do."""


def finished(checkpoint: Path) -> Path:
    """Where a training that has ended keeps its module and losses; without the optimiser's state, which none needs."""
    return checkpoint.with_suffix(FINISHED)


def is_finished(checkpoint: Path) -> bool:
    """Whether a training has ended that this code did; what other code did is trained anew.

    Raises:
        TrainingError: The file cannot be read.
    """
    done = finished(checkpoint)
    return done.is_file() and _read(done).get("code") == code()


def finish(*checkpoints: Path) -> None:
    """Remove what trainings reached whose model is written, unless :data:`asdlib.paths.KEEP_FINISHED` is set.

    Their folder stays: another job may be about to write to it.
    """
    if not os.environ.get(KEEP_FINISHED):
        for checkpoint in checkpoints:
            finished(checkpoint).unlink(missing_ok=True)


def save(checkpoint: Path, step: int, module, optimizer, scheduler, settings, names, rows, seconds) -> None:
    """Write the state of a training after ``step`` steps; of one that has ended, without optimiser and scheduler.

    Args:
        checkpoint: The file, written whole or not at all.
        step: Steps done.
        module: Everything that learns or keeps state.
        optimizer: None for a training that has ended.
        scheduler: The same.
        settings: What the checkpoint belongs to, plain JSON values.
        names: Of the columns of ``rows``.
        rows: The history, a list of numbers a step.
        seconds: Spent so far.
    """
    state = {
        "step": step,
        "settings": json.dumps(settings, sort_keys=True),
        "code": code(),
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict() if optimizer else None,
        "scheduler": scheduler.state_dict() if scheduler else None,
        "names": list(names),
        "rows": torch.tensor(rows, dtype=torch.float64),
        "seconds": seconds,
    }
    with writing(checkpoint) as temporary:
        torch.save(state, temporary)


def restore(checkpoint: Path, module, optimizer, scheduler, settings: dict) -> tuple[int, list[str], list, float]:
    """Load a checkpoint into module, optimiser and scheduler.

    Returns:
        Steps done, the names of the columns of the history, its rows, and the seconds spent so far.

    Raises:
        TrainingError: It cannot be read, or belongs to other settings.
    """
    state = _read(checkpoint)
    if json.loads(state["settings"]) != json.loads(json.dumps(settings)):
        raise TrainingError(
            f"{checkpoint}: belongs to other settings; delete it to start anew, or restore its settings"
        )
    module.load_state_dict(state["module"])
    if state["optimizer"] is not None:
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
    return state["step"], state["names"], state["rows"].tolist(), state.get("seconds", 0.0)


def _read(checkpoint: Path) -> dict:
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        json.loads(state["settings"])
    except Exception as error:
        raise TrainingError(
            f"{checkpoint}: cannot be read as a checkpoint ({type(error).__name__}); delete it to start anew"
        ) from None
    return state


@functools.cache
def code() -> str:
    """What computes a model: a fingerprint of our modules for it, and of the libraries' versions."""
    versions = [metadata.version(name) for name in ("torch", "torchvision", "timm", "librosa", "numpy")]
    package, digest = Path(__file__).parent, hashlib.sha256(" ".join(versions).encode())
    for part in _CODE:
        for path in sorted((package / part).rglob("*.py")) if (package / part).is_dir() else [package / part]:
            digest.update(path.read_bytes())
    return digest.hexdigest()
