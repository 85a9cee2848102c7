"""What the three baselines share: a folder of model and scores."""

from pathlib import Path

import pandas as pd
from safetensors.torch import save_file
from torch import Tensor

from asdlib import AsdError, artefacts, scores


class BaselineError(AsdError):
    """A machine type or a clip that a baseline cannot work with."""


def write(
    folder: Path, table: pd.DataFrame, model: dict[str, Tensor], record: dict, history: pd.DataFrame | None = None
) -> None:
    """Write a baseline's folder, whole or not at all.

    Args:
        folder: Where, :meth:`asdlib.paths.Run.system`.
        table: Score table, for ``scores.csv``.
        model: Named tensors, for ``model.safetensors``.
        record: What made it, as :func:`asdlib.artefacts.record` gives it, for ``record.json``.
        history: One row a training step, for ``history.csv``.
    """
    with artefacts.writing(folder, folder=True) as temporary:
        save_file({name: tensor.contiguous().cpu() for name, tensor in model.items()}, temporary / "model.safetensors")
        if history is not None:
            history.to_csv(temporary / "history.csv", index=False, lineterminator="\n")
        scores.write(table, temporary / "scores.csv")
        artefacts.write_json(record, temporary / "record.json")
