"""Read and write the CSV tables of a run."""

from pathlib import Path

import pandas as pd

from asdlib.atomic import writing

NAMES = (
    "attributes", "candidate", "clip", "domain", "label", "machine", "path", "row", "section", "selection", "split",
    "system", "variant",
)  # fmt: skip
"""columns of text chosen by users: a machine type may be called NA, 001 or null"""


def read_table(path: Path | str) -> pd.DataFrame:
    """Read a table as it was written: names stay text, and empty cells of all other columns become NaN.

    Args:
        path: The CSV file.

    Returns:
        The table; empty cells in the columns :data:`NAMES` are empty strings.
    """
    columns = pd.read_csv(path, nrows=0).columns
    return pd.read_csv(
        path,
        dtype=dict.fromkeys((name for name in columns if name in NAMES), str),
        keep_default_na=False,
        na_values={name: ["", "nan", "NaN"] for name in columns if name not in NAMES},
    )


def write_table(table: pd.DataFrame, path: Path | str) -> None:
    """Write a table as CSV, whole or not at all."""
    with writing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
