"""Which training clips the autoencoder learns from, and which its scorers see.

The scorers model errors on clips "not used for the training of the auto-encoder" (Sec. 2.1), so a share of each
section's source clips is held out. The target domain has three clips a section; whether they train the autoencoder, the
scorers or both is a setting (``target_clips``), since holding one out would leave two.
"""

import numpy as np
import pandas as pd

from asdlib import AsdError, training

TRAIN, SCORER, BOTH = "train", "scorer", "both"


class ClipsError(AsdError):
    """A section with too few clips."""


def roles(clips: pd.DataFrame, held_out: float, target_clips: str, seed: int) -> np.ndarray:
    """What each clip is for: ``train``, ``scorer``, ``both``, or nothing (``""``, the test clips).

    Args:
        clips: Rows of the catalogue.
        held_out: Share of each section's source training clips that only the scorers see; one clip at least.
        target_clips: ``both``, ``train`` or ``scorer``: what the target training clips are for.
        seed: Of the run, so that all candidates hold out the same clips.

    Raises:
        ClipsError: A section has fewer than two source training clips.
    """
    result = np.full(len(clips), "", dtype=object)
    train = clips["split"].eq("train").to_numpy()
    source = clips["domain"].eq("source").to_numpy()
    result[train & ~source] = target_clips
    for section in sorted(set(clips["section"])):
        rows = np.flatnonzero(train & source & clips["section"].eq(section).to_numpy())
        if len(rows) < 2:
            machine = clips["machine"].iloc[0]
            raise ClipsError(
                f"section {section} of {machine} has {len(rows)} source training clip(s); expected at least 2, one "
                "for the autoencoder and one for its scorer; add clips or leave the section out with data.sections"
            )
        count = min(max(round(held_out * len(rows)), 1), len(rows) - 1)
        order = np.random.default_rng(training.derive(seed, "held out", section)).permutation(len(rows))
        result[rows] = TRAIN
        result[rows[order[:count]]] = SCORER
    return result
