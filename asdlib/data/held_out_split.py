"""Decide which training clips the networks learn from, and which are held out from all of them.

The scorers model errors on clips "not used for the training of the auto-encoder" (Sec. 2.1), and normalisation and
thresholds need scores of normal clips that a system did not learn from. A share of each section's source training clips
is therefore held out, the same clips for every system of the run. The target domain has three clips per section, all of
which are used for training, since holding one out would leave two.
"""

import numpy as np
import pandas as pd

from asdlib.seeds import derive

LEARN, HELD_OUT = "learn", "held out"
FEWEST_HELD_OUT = 2
"""minimum number of held-out clips per section: their scores are cross-fitted, which needs two"""


def roles(clips: pd.DataFrame, share: float, seed: int) -> np.ndarray:
    """Return the role of each clip: :data:`LEARN`, :data:`HELD_OUT`, or none (``""``, for test clips).

    Args:
        clips: Rows of the catalogue, of one machine type.
        share: Share of each section's source training clips that is held out.
        seed: Seed of the run, so that all systems hold out the same clips.

    A section that has fewer than three source training clips, which only a section without labelled test clips may
    have (:data:`asdlib.data.plan.FEWEST`), holds out none.
    """
    result = np.full(len(clips), "", dtype=object)
    train = clips["split"].eq("train").to_numpy()
    source = clips["domain"].eq("source").to_numpy()
    result[train] = LEARN
    for section in sorted(set(clips["section"])):
        rows = np.flatnonzero(train & source & clips["section"].eq(section).to_numpy())
        if len(rows) <= FEWEST_HELD_OUT:
            continue
        count = min(max(round(share * len(rows)), FEWEST_HELD_OUT), len(rows) - 1)
        order = np.random.default_rng(derive(seed, "held out", section)).permutation(len(rows))
        result[rows[order[:count]]] = HELD_OUT
    return result


def with_reference_clips(table: pd.DataFrame, held_out: np.ndarray) -> pd.DataFrame:
    """Return the rows of a score table: test clips, held-out clips, and reference clips of the target domain.

    A section with target clips has its held-out clips a second time, with the domain ``target``. These are reference
    clips that are scored like target clips, since three target training clips are too few to estimate a variance. Every
    score in the table is thus out-of-sample.

    Args:
        table: Clips with the columns ``section``, ``domain`` and ``split``; the index is kept.
        held_out: Whether each of them was held out, ``(clips,)``.
    """
    reference = table[held_out]
    target = reference["section"].isin(table.loc[table["domain"] == "target", "section"])
    return pd.concat([table[table["split"] == "test"], reference, reference[target].assign(domain="target")])
