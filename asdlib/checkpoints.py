"""Save and restore the state of a training, during it and at its end.

Snakemake removes the outputs of a job that was killed before Snakemake noted its end, even complete ones. Finished
trainings are therefore also kept outside of these outputs, for the same code to reuse, until the workflow has ended
(``keep_finished`` of the settings, :meth:`asdlib.stage.Stage.writing`).
"""

import functools
import hashlib
import json
from importlib import metadata
from pathlib import Path

import torch

from asdlib.atomic import writing
from asdlib.errors import ModelError
from asdlib.paths import FINISHED

_CODE = (
    "batch_norm.py",
    "checkpoints.py",
    "compute.py",
    "cuda_graphs.py",
    "features.py",
    "seeds.py",
    "training.py",
    "units.py",
    "data/machine_clips.py",
    "data/held_out_split.py",
    "autoencoder",
    "baselines",
    "classifier",
    "integrated",
    "shift",
)
"""source files that compute a model, given its settings and decoded clips, which a checkpoint names itself"""


def finished_path(checkpoint: Path) -> Path:
    """Return the path at which a finished training keeps its module and losses, without the optimiser's state."""
    return checkpoint.with_suffix(FINISHED)


def is_finished(checkpoint: Path) -> bool:
    """Return whether this training has finished with the current code; models of other code are trained again.

    Raises:
        ModelError: The file cannot be read.
    """
    done = finished_path(checkpoint)
    return done.is_file() and _read(done).get("code") == code()


def save(checkpoint: Path, step: int, module, optimizer, scheduler, settings, names, rows, seconds) -> None:
    """Write the state of a training after ``step`` steps.

    Args:
        checkpoint: The file, written atomically.
        step: Number of completed steps.
        module: Module with everything that learns or keeps state.
        optimizer: The optimiser; None for a finished training.
        scheduler: The learning rate scheduler; None for a finished training.
        settings: Settings that the checkpoint belongs to, as plain JSON values.
        names: Names of the columns of ``rows``.
        rows: Training history, one list of numbers per step.
        seconds: Training time so far.
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
        The number of completed steps, the column names of the history, its rows, and the training time in seconds.

    Raises:
        ModelError: The checkpoint cannot be read, or belongs to other settings.
    """
    state = _read(checkpoint)
    if json.loads(state["settings"]) != json.loads(json.dumps(settings)):
        raise ModelError(
            f"{checkpoint}: the checkpoint belongs to other settings; delete it to start over, or restore its settings"
        )
    module.load_state_dict(state["module"])
    if state["optimizer"] is not None:
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
    return state["step"], state["names"], state["rows"].tolist(), state["seconds"]


def _read(checkpoint: Path) -> dict:
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        json.loads(state["settings"])
    except Exception as error:
        raise ModelError(
            f"{checkpoint}: cannot be read as a checkpoint ({type(error).__name__}); delete it to start over"
        ) from None
    return state


@functools.cache
def code() -> str:
    """Return a fingerprint of the code that computes a model: our own modules and the versions of the libraries."""
    versions = [metadata.version(name) for name in ("torch", "torchvision", "timm", "numpy")]
    package, digest = Path(__file__).parent, hashlib.sha256(" ".join(versions).encode())
    for part in _CODE:
        for path in sorted((package / part).rglob("*.py")) if (package / part).is_dir() else [package / part]:
            digest.update(path.read_bytes())
    return digest.hexdigest()
