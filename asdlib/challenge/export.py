"""Write a run's scores and decisions as official files of the year of its data, for the command ``export``.

The official evaluator reads such a folder, unchanged, as the folder of a team.
"""

import re
from pathlib import Path

import pandas as pd

from asdlib import params, paths, scores
from asdlib.atomic import read_json, writing
from asdlib.challenge import results, years
from asdlib.challenge.file_names import KINDS, file_name
from asdlib.errors import ScoreError
from asdlib.evaluation.decision import decide, thresholds
from asdlib.metrics import UNIT
from asdlib.params.validation import validate
from asdlib.tables import read_table, write_table


def export(
    run: Path | str, out: Path | str, method: str = "gamma", by: str = "machine", year: int | None = None
) -> list[Path]:
    """Write a run's systems as official files, one folder per system: scores, decisions, ``result.csv``.

    The systems are the baselines and every row of the ensembles by the selections ``development`` and ``fixed``
    (cross-fitting evaluates a procedure, not a system). ``thresholds.csv`` next to the official files describes the
    thresholds of the decisions. Nothing is written before everything is computed.

    Args:
        run: Run folder.
        out: Folder in which to create one folder per system.
        method: ``gamma`` (official) or ``empirical``, see :func:`asdlib.evaluation.decision.thresholds`.
        by: ``machine`` for one threshold per machine (official), ``section`` for one per section and domain.
        year: Year of the challenge whose files to write; None for the year of the run's data.

    Returns:
        The folders written.

    Raises:
        ScoreError: The folder contains no scores, or a machine or section has no training scores to set a threshold.
    """
    run, out = Path(run), Path(out)
    tables = sorted(file for system in (*paths.SINGLES, "ensemble") for file in run.glob(f"{system}/*/scores.csv"))
    if not tables:
        raise ScoreError(f"{run}: no scores found; expected a run folder such as runs/demo (see make reproduce)")
    settings = paths.Run(run).settings
    stored = read_json(settings) if settings.is_file() else {}
    evaluation = validate(params.Evaluation, stored.get("evaluation", {}), settings)
    frame = scores.read(tables)
    frame = frame[~frame["system"].str.startswith("ensemble/cross-fitted/")]
    year = year or recognise_year(run, frame)
    outputs = {}
    for system, part in frame.groupby("system", sort=True):
        limits = thresholds(part, evaluation.decision_quantile, method, by)
        decided = decide(part, limits)
        name = re.sub(r"\+(?= |$)", "_plus", system.removeprefix("ensemble/"))  # "AE+" is a different row from "AE"
        name = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
        outputs[out / name] = limits, decided, results.figures(decided, year, evaluation.p)
    for folder, (limits, decided, figures) in outputs.items():
        write_clips(decided, "score", folder, year)
        write_clips(decided, "decision", folder, year)
        write_table(limits, folder / "thresholds.csv")
        if len(figures):
            results.write(figures, folder / "result.csv", year)
    return list(outputs)


def write_clips(frame: pd.DataFrame, column: str, folder: Path, year: int = 2021) -> None:
    """Write the official files of one system's test clips in the format of a year.

    Args:
        frame: Score table of the system, for decisions with the columns of
            :func:`asdlib.evaluation.decision.decide`.
        column: ``score`` for ``anomaly_score_*.csv``, ``decision`` for ``decision_result_*.csv``.
        folder: Folder for the files.
        year: Year of the challenge. Only in 2021 each domain has a separate file.
    """
    test = frame[frame["split"] == "test"]
    for (machine, section, *domain), group in test.groupby(UNIT if year == 2021 else UNIT[:2], sort=True):
        with writing(folder / file_name(KINDS[column], year, machine, section, *domain)) as temporary:
            pairs = group.sort_values("clip")[["clip", column]]
            pairs.to_csv(temporary, header=False, index=False, lineterminator="\n")


def recognise_year(run: Path, frame: pd.DataFrame) -> int:
    """Recognise the challenge of a run's data by the folders and names of its clips; 2021 where these are ambiguous.

    Args:
        run: Run folder. Its catalogues list the folders of the clips, which distinguish 2021 from later years.
        frame: Scores of the run.
    """
    possible, sections = set(years.YEARS), set()
    for (machine, section), part in frame[frame["split"] == "test"].groupby(UNIT[:2]):
        grammar = years.grammar_of_clips(part["clip"])
        possible = possible & years.candidates(grammar, machine, section) or possible if grammar else possible
        sections.add(section)
    for path in sorted(run.glob("data/*/clips.csv")):
        clips = read_table(path, as_text=True)
        folders = clips.loc[clips["split"] == "test", "path"].str.split("/").str[-2]
        possible = possible & {2021} or possible if folders.str.endswith("_test").any() else possible
        possible = possible - {2021} or possible if folders.eq("test").any() else possible
    return 2021 if 2021 in possible else years.single(possible, sections)[0]
