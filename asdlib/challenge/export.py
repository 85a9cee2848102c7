"""The command ``export``: a run's scores and decisions as the official files of the year that its data are of.

A folder that this writes is what the official evaluator reads, unchanged, as the folder of a team.
"""

import json
import re
from pathlib import Path

import pandas as pd

from asdlib import params, paths, scores
from asdlib.atomic import writing
from asdlib.challenge import results, years
from asdlib.challenge.file_names import KINDS, file_name
from asdlib.errors import ScoreError
from asdlib.evaluation.decision import decide, thresholds
from asdlib.metrics import UNIT


def export(
    run: Path | str, out: Path | str, method: str = "gamma", by: str = "machine", year: int | None = None
) -> list[Path]:
    """Write a run's systems as official files, a folder a system: scores, decisions, ``result.csv``.

    The systems are the baselines and every row of the ensembles by the selections ``development`` and ``fixed``
    (cross-fitting is a way to evaluate, not a system). ``thresholds.csv`` next to the official files says where the
    decisions come from. Nothing is written before all of it is computed.

    Args:
        run: The run folder.
        out: Folder that gets a folder for each system.
        method: ``gamma`` (official) or ``empirical``, see :func:`asdlib.evaluation.decision.thresholds`.
        by: One threshold a ``machine`` (official), or one a ``section`` and domain.
        year: Of the challenge whose files are written; None for the one that the run's data are of.

    Returns:
        The folders written.

    Raises:
        ScoreError: The folder holds no scores.
        ScoreError: A machine or section has no training scores with which to set a threshold.
    """
    run, out = Path(run), Path(out)
    tables = sorted(file for system in (*paths.SINGLES, "ensemble") for file in run.glob(f"{system}/*/scores.csv"))
    if not tables:
        raise ScoreError(f"{run}: no scores found; expected a run folder such as runs/demo (make reproduce makes one)")
    settings = paths.Run(run).settings
    stored = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    evaluation = params.Evaluation.model_validate(stored.get("evaluation", {}))
    frame = scores.read(tables)
    frame = frame[~frame["system"].str.startswith("ensemble/cross-fitted/")]
    year = year or year_of(run, frame)
    made = {}
    for system, part in frame.groupby("system", sort=True):
        limits = thresholds(part, evaluation.decision_quantile, method, by)
        decided = decide(part, limits)
        name = re.sub(r"\+(?= |$)", "_plus", system.removeprefix("ensemble/"))  # "AE+" is another row than "AE"
        name = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
        made[out / name] = limits, decided, results.figures(decided, year, evaluation.p)
    for folder, (limits, decided, figures) in made.items():
        write_clips(decided, "score", folder, year)
        write_clips(decided, "decision", folder, year)
        with writing(folder / "thresholds.csv") as temporary:
            limits.to_csv(temporary, index=False, lineterminator="\n")
        if len(figures):
            results.write(figures, folder / "result.csv", year)
    return list(made)


def write_clips(frame: pd.DataFrame, column: str, folder: Path, year: int = 2021) -> None:
    """Write the official files of one system's test clips as a year has them.

    Args:
        frame: Its score table, for decisions with the column of :func:`asdlib.evaluation.decision.decide`.
        column: ``score`` for ``anomaly_score_*.csv``, ``decision`` for ``decision_result_*.csv``.
        folder: Where to.
        year: Of the challenge. Only in 2021 each domain has a file of its own.
    """
    test = frame[frame["split"] == "test"]
    for (machine, section, *domain), group in test.groupby(UNIT if year == 2021 else UNIT[:2], sort=True):
        with writing(folder / file_name(KINDS[column], year, machine, section, *domain)) as temporary:
            pairs = group.sort_values("clip")[["clip", column]]
            pairs.to_csv(temporary, header=False, index=False, lineterminator="\n")


def year_of(run: Path, frame: pd.DataFrame) -> int:
    """The challenge that a run's data are of, by the folders and names of its clips; 2021 where they do not tell.

    Args:
        run: The run folder. Its catalogues say in which folders the clips lie, which tells 2021 from later years.
        frame: Scores of the run.
    """
    possible, sections = set(years.YEARS), set()
    for (machine, section), part in frame[frame["split"] == "test"].groupby(UNIT[:2]):
        grammar = years.grammar_of_clips(part["clip"])
        possible = possible & years.candidates(grammar, machine, section) or possible if grammar else possible
        sections.add(section)
    for path in sorted(run.glob("data/*/clips.csv")):
        clips = pd.read_csv(path, dtype=str, keep_default_na=False)
        folders = clips.loc[clips["split"] == "test", "path"].str.split("/").str[-2]
        possible = possible & {2021} or possible if folders.str.endswith("_test").any() else possible
        possible = possible - {2021} or possible if folders.eq("test").any() else possible
    return 2021 if 2021 in possible else years.single(possible, sections)[0]
