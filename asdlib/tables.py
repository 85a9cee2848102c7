"""Read the CSV tables of a run."""

from pathlib import Path

import pandas as pd

NAMES = (
    "attributes", "candidate", "clip", "domain", "label", "machine", "path", "row", "section", "selection", "split",
    "system", "variant",
)  # fmt: skip
"""columns of text that a user may have chosen: a machine type may be called NA, 001 or null"""


def read_table(path: Path | str) -> pd.DataFrame:
    """Read a table as it was written: names stay the text that they are, an empty cell of any other column is NaN.

    Args:
        path: The CSV file.

    Returns:
        The table; empty cells in the columns :data:`NAMES` are empty text.
    """
    columns = pd.read_csv(path, nrows=0).columns
    return pd.read_csv(
        path,
        dtype=dict.fromkeys((name for name in columns if name in NAMES), str),
        keep_default_na=False,
        na_values={name: ["", "nan", "NaN"] for name in columns if name not in NAMES},
    )
