"""Write the folder of a baseline's model and scores."""

from pathlib import Path

import pandas as pd
from safetensors.torch import save_file
from torch import Tensor

from asdlib import atomic, scores


def write(
    folder: Path, table: pd.DataFrame, model: dict[str, Tensor], record: dict, history: pd.DataFrame | None = None
) -> None:
    """Write a baseline's folder atomically.

    Args:
        folder: The system's folder, :meth:`asdlib.paths.Run.system`.
        table: Score table, for ``scores.csv``.
        model: Named tensors, for ``model.safetensors``.
        record: Record returned by :func:`asdlib.records.record`, for ``record.json``.
        history: Training history, one row per step, for ``history.csv``.
    """
    with atomic.writing(folder, folder=True) as temporary:
        save_file({name: tensor.contiguous().cpu() for name, tensor in model.items()}, temporary / "model.safetensors")
        if history is not None:
            history.to_csv(temporary / "history.csv", index=False, lineterminator="\n")
        scores.write(table, temporary / "scores.csv")
        atomic.write_json(record, temporary / "record.json")
