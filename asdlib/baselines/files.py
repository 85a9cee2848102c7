"""Write the files of a baseline's model and scores."""

from pathlib import Path

import pandas as pd
from safetensors.torch import save_file
from torch import Tensor

from asdlib import scores
from asdlib.paths import HISTORY, MODEL, SCORES
from asdlib.tables import write_table


def write(folder: Path, table: pd.DataFrame, model: dict[str, Tensor], history: pd.DataFrame | None = None) -> None:
    """Write a baseline's files.

    Args:
        folder: Folder to write to, as given by :meth:`asdlib.stage.Stage.writing`.
        table: Score table.
        model: Named tensors.
        history: Training history, one row per step.
    """
    save_file({name: tensor.contiguous().cpu() for name, tensor in model.items()}, folder / MODEL)
    if history is not None:
        write_table(history, folder / HISTORY)
    scores.write(table, folder / SCORES)
