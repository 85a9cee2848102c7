"""Read and write the CSV tables of a run."""

from pathlib import Path

import pandas as pd

from asdlib.atomic import writing

NAMES = (
    "attributes", "candidate", "change", "clip", "commit", "domain", "fold", "inside", "kind", "label", "machine",
    "model", "name", "path", "recording", "role", "row", "section", "selection", "split", "stage", "system", "than",
    "than_selection", "variant",
)  # fmt: skip
"""columns of text, some of it chosen by users: a machine type may be called NA, 001 or null, and a commit 12e4567"""


def read_table(path: Path | str, *, as_text: bool = False) -> pd.DataFrame:
    """Read a table as it was written: names and words stay text, and empty cells of numbers become NaN.

    Args:
        path: The CSV file.
        as_text: Keep every cell as its text in the file, to copy, compare or print it.

    Returns:
        The table; empty cells in the columns :data:`NAMES`, and in columns that contain words, are empty strings.
    """
    if as_text:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    columns = pd.read_csv(path, nrows=0).columns
    table = pd.read_csv(
        path,
        dtype=dict.fromkeys((name for name in columns if name in NAMES), str),
        keep_default_na=False,
        na_values={name: ["", "nan", "NaN"] for name in columns if name not in NAMES},
    )
    return table.fillna(dict.fromkeys(table.select_dtypes(exclude="number").columns, ""))


def write_table(table: pd.DataFrame, path: Path | str) -> None:
    """Write a table as CSV, whole or not at all."""
    with writing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
