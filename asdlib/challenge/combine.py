"""Combine the scores of several systems into official score files (Sec. 2.3), for the command ``combine``."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib import scores
from asdlib.challenge import files
from asdlib.challenge.export import write_clips
from asdlib.challenge.file_names import looks_official
from asdlib.ensemble.combine import combine as combine_scores
from asdlib.ensemble.combine import rank
from asdlib.ensemble.systems import Pool
from asdlib.errors import ScoreError


def combine(
    paths: Iterable[Path | str], normalise: str, by: str, out: Path | str, year: int | None = None
) -> pd.DataFrame:
    """Combine the scores of several systems and write them as the official score files of their year.

    From 2022 on, the clips of both domains of a section are normalised and ranked together, since a system must not
    know the domain of a clip, and the names of evaluation clips do not contain it.

    Args:
        paths: Folders and archives of official files and score tables, with two systems or more on the same clips.
        normalise: ``test`` or ``train`` for mean 0 and variance 1 over each section's test or training clips (score
            tables contain training clips, official files do not); ``rank`` to replace scores by ranks among the test
            clips.
        by: ``average``, ``median``, ``maximum`` or ``ranking``.
        out: Folder for the files.
        year: Year of the challenge; None to recognise it.

    Returns:
        The score table of the ensemble. From 2022 on, its domain is ``source`` where the domain is unknown.

    Raises:
        ScoreError: ``out`` is among the scores, there is only one system, a system lacks a machine type, the systems
            did not score the same clips, or there are no training clips to normalise by.
    """
    paths, out = list(paths), Path(out)
    place = out.resolve()
    for path in map(Path, paths):
        if place.is_relative_to(path.resolve()) or (looks_official(path.name) and place == path.resolve().parent):
            raise ScoreError(
                f"{out}: in {path}, whose scores are to be combined, so that they would be replaced now or combined "
                "with their own ensemble the next time; expected a folder elsewhere"
            )
    official = files.read(paths, year=year)
    frame = official.frame
    systems = list(dict.fromkeys(frame["system"]))
    if len(systems) < 2:
        raise ScoreError(f"{systems[0]} is the only system in these files; combining needs two or more")
    if normalise != "train":  # systems may differ in their training clips
        frame = frame[frame["split"] == "test"]
    domains = frame["domain"].replace("", "source")
    frame = frame.assign(known_domain=domains, domain="source" if official.year >= 2022 else domains)
    parts = []
    for machine, part in frame.groupby("machine", sort=True):
        missing = [system for system in systems if system not in set(part["system"])]
        if missing:
            raise ScoreError(f"{missing[0]} has no scores of {machine}, which other systems have; "
                                "expected the same machine types in all systems")  # fmt: skip
        pool = Pool.of(part, "train" if normalise == "train" else "test")
        members = np.arange(len(pool.systems))
        for group in pool.groups.values():
            if normalise == "rank":
                reference = pool.scores[:, group.reference]
                values = combine_scores(rank(pool.scores[:, group.columns], reference), by, rank(reference))
            else:
                values = pool.ensemble(members, by, group.columns)
            parts.append(scores.table(pool.clips.iloc[group.columns], f"{by} of {len(members)}", values))
    if not parts:
        raise ScoreError("these files contain training clips only; expected scores of test clips")
    keys = ["machine", "section", "split", "clip"]
    result = pd.concat(parts, ignore_index=True)
    if official.year >= 2022:
        known = frame.drop_duplicates([*keys, "known_domain"])[[*keys, "known_domain"]]
        result["domain"] = result.merge(known, on=keys, how="left")["known_domain"].to_numpy()
    write_clips(result, "score", out, official.year)
    return result
