"""What the ensembles of the stored run chose by labels, and what combining gains."""

from collections import Counter
from pathlib import Path

import pandas as pd
import table_one
import tables
from real_compared import DOMAINS, REFERENCE
from stored_results import read
from tables import percent, table

from asdlib.ensemble.blocks import BLOCKS, MIX
from asdlib.evaluation.rows import SYSTEMS

GAINS = (
    ("AE ensemble", "AE"),
    ("BC ensemble", "BC"),
    ("AE+BC ensemble (mix)", "AE ensemble"),
    ("AE+BC ensemble (mix)", "BC ensemble"),
    ("AE+BC ensemble (mix)", "Baseline (AE)"),
    ("AE+BC ensemble (mix)", "Mahalanobis"),
    ("AE+BC ensemble (mix)", REFERENCE),
    ("mix+", "AE+BC ensemble (mix)"),
    ("mix+", "Mahalanobis"),
    ("mix+", REFERENCE),
    ("mix+", "Mahalanobis (target)"),
)
"""what is compared with what"""


def gains(differences: pd.DataFrame) -> str:
    """What combining and the extensions gain, paired, by selection and domain.

    Args:
        differences: The run's own, in whose intervals the selection is repeated.
    """
    differences = differences[differences["machine"] == "all"]
    keys = differences[["row", "selection", "than", "than_selection", "domain"]].itertuples(index=False, name=None)
    known = dict(zip(keys, differences[["difference", "low", "high"]].to_numpy(dtype=float), strict=True))
    shown = []
    for row, than in GAINS:
        for selection in table_one.SELECTIONS:
            other = (than, "" if than in SYSTEMS else selection)
            effects = [known.get((row, selection, *other, domain)) for domain in DOMAINS]
            if any(effect is not None and not pd.isna(effect[0]) for effect in effects):
                texts = [tables.BLANK if effect is None else tables.effect(*effect) for effect in effects]
                words = f"{row} minus {than}".replace(f"{MIX}", "mix")
                shown.append((words, selection, *texts))
    columns = ["Difference", "Selection", "Source", "Target", "All"]
    caption = (
        "What combining and our extensions gain on the stand-in: paired differences in percentage points, with "
        "intervals; *mix* is that of the paper's rows."
    )
    return table(pd.DataFrame(shown, columns=columns), caption, "real-gains", "llrrr", "5 3 5 5 5")


LOOKED = {
    "development": "Development",
    "first": "Cross-fitted, by the second half",
    "second": "Cross-fitted, by the first half",
}
"""what each choice looked at; the cross-fitted ones are reported on the half that they are named after"""


def choices(folder: Path) -> str:
    """What each selection by labels chose, side by side."""
    frame = read(folder / "choices.csv")
    frame = frame[(frame["selection"] != "fixed") & ~frame["row"].isin([block.mix for block in BLOCKS])]
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for item in frame.itertuples():
        counts = Counter(name.partition("/")[2] or name for name in item.members.split("; "))
        words = ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counts.items())
        row = f"{item.row}, section {item.section}" if item.section else item.row
        text = f"{words}{f'; {item.combination}' * bool(item.combination)} ({percent(float(item.value))})"
        cells.setdefault((row, item.domain), {})[LOOKED[item.fold or item.selection]] = text
    shown = pd.DataFrame([{"Row": row, "Domain": domain} | texts for (row, domain), texts in cells.items()])
    caption = (
        "What was selected on the stand-in by the labels of all test clips and of either half, as candidate/variant; "
        "in brackets its figure on the clips that were looked at, per cent."
    )
    return table(shown.fillna(tables.BLANK), caption, "real-choices", "lllll", "3 2 5 5 5")
