"""Define the rows of Table 1 in both blocks: those of the paper, as printed, then our extensions."""

from asdlib.ensemble.blocks import EXTENSION_ROWS
from asdlib.evaluation import paper

MAHALANOBIS, MAHALANOBIS_SHIFT, MAHALANOBIS_TARGET = "Mahalanobis", "Mahalanobis (shift)", "Mahalanobis (target)"
INTEGRATED = "Integrated"
SYSTEMS = {
    paper.BASELINE_AE: "frame_autoencoder",
    paper.BASELINE_MOBILENET: "mobilenet",
    MAHALANOBIS: "mahalanobis",
    MAHALANOBIS_SHIFT: "mahalanobis_shift",
    MAHALANOBIS_TARGET: "mahalanobis_target",
    INTEGRATED: "integrated",
}
"""rows that select nothing, and their systems"""
ROW_OF = {system: row for row, system in SYSTEMS.items()}
"""the same the other way around"""
EXTENSIONS = (*EXTENSION_ROWS, INTEGRATED, MAHALANOBIS, MAHALANOBIS_SHIFT, MAHALANOBIS_TARGET)
"""rows of the second block, which the paper lacks"""
ROWS = (*paper.ROWS, *EXTENSIONS)
"""rows as printed, then ours"""
BLOCKS = {"The paper's rows": paper.ROWS, "Our extensions (not in the paper)": EXTENSIONS}
"""titles and rows of the blocks"""


def block_of(row: str) -> str:
    """Return the title of the block that a row belongs to.

    >>> block_of("mix+")
    'Our extensions (not in the paper)'
    """
    return next(title for title, rows in BLOCKS.items() if row in rows)


def key(row: str, selection: str) -> tuple[str, str]:
    """Return row and selection as the key of :class:`.Resampled`; rows that select nothing have an empty selection.

    >>> key("Baseline (AE)", "cross-fitted"), key("mix+", "cross-fitted")
    (('Baseline (AE)', ''), ('mix+', 'cross-fitted'))
    """
    return row, "" if row in SYSTEMS else selection
