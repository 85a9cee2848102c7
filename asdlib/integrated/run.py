"""Train and score the one network of a machine type, as one stage."""

import pandas as pd
from safetensors.torch import save_model

from asdlib import scores, training
from asdlib.compute import resolve_compute
from asdlib.integrated import scorer, train
from asdlib.paths import HISTORY, INTEGRATED, MODEL, SCORES
from asdlib.stage import Stage
from asdlib.tables import write_table

PARTS, EMBEDDINGS = "parts.csv", "embeddings.csv"


def run(settings, machine: str) -> pd.DataFrame:
    """Train the network of a machine type, score its clips, and write the system's folder.

    The folder holds the model, the history, ``scores.csv``, ``parts.csv`` (z-score of each part of the score),
    ``embeddings.csv`` and the record, with the weights that the losses had. An interrupted training is resumed.

    Returns:
        The score table.

    Raises:
        asdlib.errors.AsdError: The machine type has no systems in this run, the training diverged, or a score is not
            finite.
    """
    stage = Stage(settings, INTEGRATED, machine, compute=resolve_compute(settings))
    learner, history, depends, earlier = train.fit(stage)
    scored = scorer.score(learner, stage)
    more = {
        "parameters": training.count_parameters(learner.network),
        "weights": dict(zip(learner.balance.names, learner.balance.weights.tolist(), strict=True)),
        "earlier": earlier,
    }
    depends |= {"scorer": settings.integrated.scorer.model_dump(mode="json")}
    data = stage.clips.waveforms.fingerprint
    with stage.writing(depends, seed=train.seed_of(settings, machine), data=data, **more) as folder:
        save_model(learner, str(folder / MODEL))
        write_table(history, folder / HISTORY)
        scores.write(scored.table, folder / SCORES)
        keys = scored.table.drop(columns=["system", "score"])
        write_table(pd.concat([keys, scored.parts], axis=1), folder / PARTS)
        write_table(scored.embeddings, folder / EMBEDDINGS)
    return scored.table
