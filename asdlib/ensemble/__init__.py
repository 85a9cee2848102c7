"""Normalise, combine and select the systems of both branches (Sec. 2.3).

* ``normalisation``: "normalize them to be mean zero and variance one"
* ``combine``: "average, median, maximum, and ranking"
* ``selection``: "for each machine and each domain", "the best method for each machine and each section"
* ``n_best``: "select the N-best model", "The number of N is optimized", "N x S models"
* ``choices``: what each selection selected, by name, and the resulting scores
* ``systems``: the scores of all systems that may be chosen
* ``blocks``, ``agreement``: the rows of Table 1 that choose, and how alike systems rank clips
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import scores
from asdlib.ensemble.agreement import agreement
from asdlib.ensemble.choices import Choice, apply, choose, defaults, split_halves
from asdlib.ensemble.systems import Pool
from asdlib.errors import ScoreError
from asdlib.origin import BRANCHES
from asdlib.paths import AGREEMENT, CHOICES, RECORD, SCORES, Run
from asdlib.records import SCORING, check_settings
from asdlib.stage import Stage
from asdlib.tables import write_table

SELECTIONS = ("development", "cross-fitted", "fixed")
"""selection by all test labels (the paper), by the labels of the other half, and by the settings

``fixed`` uses nothing of the test set, neither labels nor the statistics of its scores.
"""
COLUMNS = [*scores.COLUMNS, "selection", "fold"]


def run(settings, machine: str) -> pd.DataFrame:
    """Compute the ensembles of one machine and write ``runs/<profile>/ensemble/<machine>/``.

    ``scores.csv`` is a score table with two more columns: ``selection`` (:data:`SELECTIONS`), and ``fold``, the half
    to which a clip of the cross-fitted selection belongs (the choice used only the other half). Its systems are named
    ``ensemble/<selection>/<row>``. ``choices.csv`` lists the choices, ``agreement.csv`` how alike the candidates of the
    paper's block rank the clips.

    ``development`` and ``cross-fitted`` normalise by the clips that ``settings.ensemble.normalise`` names, ``fixed``
    always by the rows of the split ``train``, which no system was trained on, so that a clip's score does not depend on
    the other test clips.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        machine: Machine type whose candidates have been scored.

    Returns:
        The score table.
    """
    stage = Stage(settings, "ensemble", machine)
    selecting = pools(settings, machine)
    by_training = selecting if settings.ensemble.normalise == "train" else pools(settings, machine, "train")
    clips = selecting[0].clips
    labelled = ((clips["split"] == "test") & (clips["label"] != "unknown")).to_numpy()
    half = split_halves(clips, settings.seed)
    chosen = {
        ("development", ""): choose(*selecting, settings, labelled),
        ("cross-fitted", "first"): choose(*selecting, settings, half == "second"),
        ("cross-fitted", "second"): choose(*selecting, settings, half == "first"),
        ("fixed", ""): defaults(*by_training, settings),
    }
    tables = []
    for (selection, fold), choices in chosen.items():
        shown = half == fold if fold else np.ones(len(clips), dtype=bool)
        for row, values in apply(choices, *(by_training if selection == "fixed" else selecting)).items():
            use = shown & np.isfinite(values)
            table = scores.table(clips[use], f"ensemble/{selection}/{row}", values[use])
            tables.append(table.assign(selection=selection, fold=fold))
    result = pd.concat(tables, ignore_index=True)[COLUMNS]
    scores.check(result, stage.folder / SCORES)
    relevant = settings.common() | {
        name: getattr(settings, name).model_dump(mode="json") for name in ("ensemble", "evaluation")
    }
    relevant["candidates"] = [system for pool in selecting for system in pool.systems]
    data = fingerprint(inputs(settings, machine))
    with stage.writing(relevant, seed=settings.seed, data=data) as folder:
        write_table(result, folder / SCORES)
        write_table(_choices(chosen), folder / CHOICES)
        write_table(agreement(*selecting, settings), folder / AGREEMENT)
    return result


def inputs(settings, machine: str) -> list[Path]:
    """Return the score tables of all candidates of both branches, in the order of the settings."""
    paths = Run.of(settings)
    return [
        paths.scores(branch, machine, candidate)
        for branch in BRANCHES
        for candidate in getattr(settings, f"{branch}_candidates")
    ]


def pools(settings, machine: str, reference: str | None = None) -> tuple[Pool, Pool]:
    """Load the pools of the autoencoder and the classifier branch, on the same clips.

    Args:
        settings: :class:`asdlib.params.settings.Settings`.
        machine: Machine type whose candidates have been scored.
        reference: Clips by which to normalise scores, ``test`` or ``train``; None to follow the settings.

    Raises:
        ScoreError: A candidate has not been scored, the candidates did not score the same clips, or the machine has no
            test clips.
        ArtefactError: A candidate was scored with other settings.
    """
    for branch, part in (("autoencoder", SCORING), ("classifier", None)):
        for candidate in getattr(settings, f"{branch}_candidates"):
            path = Run.of(settings).system(branch, machine, candidate) / RECORD
            wanted = settings.common() | settings.candidate(branch, candidate).model_dump(mode="json")
            check_settings(path, wanted, part)
    frame = scores.read(inputs(settings, machine))
    if not (frame["split"] == "test").any():
        raise ScoreError(f"{machine} has no scored test clips; an ensemble needs at least one")
    branch = frame["system"].str.partition("/")[0]
    both = [Pool.of(frame[branch == name], reference or settings.ensemble.normalise) for name in BRANCHES]
    if not both[0].clips.equals(both[1].clips):
        raise ScoreError(
            f"{machine}: the autoencoders ({len(both[0].clips)} clips) and the classifiers ({len(both[1].clips)}) did "
            "not score the same clips; score both branches again on the same data"
        )
    return both[0], both[1]


def fingerprint(paths: Iterable[Path]) -> str:
    """Return the first 12 hex digits of the SHA-256 of all files, in order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _choices(chosen: dict[tuple[str, str], list[Choice]]) -> pd.DataFrame:
    rows = [
        {
            "selection": selection,
            "fold": fold,
            "row": choice.row,
            "domain": choice.domain,
            "section": choice.section,
            "members": "; ".join(choice.members),
            "combination": choice.combination,
            "N": len(choice.members),
            "value": choice.value,
        }
        for (selection, fold), choices in chosen.items()
        for choice in choices
    ]
    return pd.DataFrame(rows)
