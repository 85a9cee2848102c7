"""Keep what the book shows of a run whose recordings are not part of the project: ``book/store.py toycar --tuned``.

``python book/store.py ablations FOLDER ...`` does so for the runs of the profile ``ablations``: ``ablations.csv`` and
``record.json``.

``book/results/<name>/`` gets tables and ``record.json``; figures are drawn of them when a book is built (:mod:`real`).

* ``table1.csv``, ``table1_differences.csv``, ``claims.csv``, ``claims_extensions.csv``, ``false_alarms.csv``,
  ``health.csv``, and those with ``_seeds`` if there are runs with other seeds;
* ``scores.csv``: every score of every system, one row per clip and one column per system; ``fold`` is the clip's half;
* ``choices.csv``, ``agreement.csv``: of the ensembles;
* ``losses_<branch>.csv``, ``bands.csv``, ``maps.csv``: training, mean errors by mel band and map of the embeddings of
  the first candidate of the first machine type (the classifier's losses: of its first section);
* ``record.json``: settings, commits and devices of the run's trainings, date and hours of all stages;
* ``requirements.lock``: the packages that computed it, which pip installs exactly.

Of the run that the README shows (:data:`README`) only the tables of the first line are kept, ``costs.csv`` and a
picture of Table 1, and the README's map of the notebooks is updated.
"""

import argparse
import re
import shutil
import sys
from pathlib import Path

import costs
import pandas as pd
import provenance
import real
import real_compared
import real_ensembles
from assemble import ordered
from generated import there
from stored_results import RESULTS

from asdlib import params, paths, scores
from asdlib.atomic import read_json, write_json, write_text, writing
from asdlib.classifier import clip_outputs, pca_and_tsne
from asdlib.errors import AsdError
from asdlib.evaluation import ablations
from asdlib.paths import Run
from asdlib.plots import evaluation, style
from asdlib.scores import CLIP
from asdlib.tables import read_table, write_table

README = "demo"
"""the run whose Table 1 and costs the README shows"""
DIGITS = "%.5g"
"""of stored scores and errors: enough that no figure of merit changes in the digits that are shown"""


def store(profile: str, name: str, tuned: bool) -> Path:
    """Copy what the book shows of a finished run to ``book/results/<name>`` and return that folder.

    Args:
        profile: Of the run.
        name: Of the folder.
        tuned: Whether its settings were tuned while looking at figures of these test clips.

    Raises:
        AsdError: The run is not there, or not finished.
    """
    run = Run(paths.project_root() / params.load(profile).runs / profile)
    settings = read_json(there(run.settings))
    table = read_table(there(run.table1))
    machines = [name for name in dict.fromkeys(table.dropna(subset=["value"])["machine"]) if name != "all"]
    with writing(RESULTS / name, folder=True) as folder:  # what is stored stays until the new is complete
        tables = [run.table1, run.claims, run.claims_extensions, run.false_alarms, run.health]
        seeded = [run.over_seeds(path) for path in (run.table1, run.claims, run.claims_extensions)]
        for path in [*tables, *(path for path in seeded if path.is_file())]:
            shutil.copyfile(there(path), folder / path.name)
        if name == README:
            style.use()
            total = table[(table["machine"] == "all") & (table["domain"] == "all")]
            evaluation.intervals(total).savefig(folder / "table1.png")
            notebooks = {item: item.read() for item in ordered(run, params.Settings(**settings), machines)}
            write_table(costs.costs(notebooks, run), folder / "costs.csv")
        else:
            several = run.over_seeds(run.differences)
            for path in [there(run.differences), *[several] * several.is_file()]:
                differences = read_table(path, as_text=True)
                pairs = zip(differences["row"], differences["than"], strict=True)
                shown = differences[[pair in real_ensembles.GAINS for pair in pairs]]  # of thousands, the shown ones
                write_table(shown[shown["machine"] == "all"], folder / path.name)
            keep(run, settings, machines, folder)
        write_text(provenance.lock(made_by([run.folder])), folder / provenance.LOCK)
        record = facts(settings, [run.folder]) | {"machines": machines, "settings_tuned_on_these_clips": tuned}
        write_json(record | {"settings": without_places(settings)}, folder / "record.json")
    if name == README:
        readme = paths.project_root() / "README.md"
        write_text(with_map(readme.read_text(encoding="utf-8"), RESULTS / name / "costs.csv"), readme)
    return RESULTS / name


def keep_ablations(runs: list[Path], tuned: bool) -> Path:
    """Compare the candidates of ``runs``, which differ in the seed only, and write ``book/results/ablations``."""
    table = ablations.over_seeds(runs)
    settings = read_json(Run(runs[0]).settings)
    with writing(RESULTS / "ablations", folder=True) as folder:
        write_table(table, folder / Run(runs[0]).ablations.name)
        write_text(provenance.lock(made_by(runs)), folder / provenance.LOCK)
        record = facts(settings, runs) | {"settings_tuned_on_these_clips": tuned, "settings": without_places(settings)}
        write_json(record, folder / "record.json")
    return RESULTS / "ablations"


def without_places(settings: dict) -> dict:
    """Settings without the places of recordings and runs, which say nothing to others."""
    return settings | {"runs": "runs", "data": settings["data"] | {"root": Path(settings["data"]["root"]).name}}


def made_by(runs: list[Path]) -> list[dict]:
    """The records of all artefacts of the runs."""
    return [record for run in runs for record in provenance.records(Run(run))]


def facts(settings: dict, runs: list[Path]) -> dict:
    """What made the runs: title, profile, commits, devices, date and hours of all their stages together."""
    records = made_by(runs)
    return {
        "title": settings["title"],
        "profile": settings["profile"],
        "commit": ", ".join(sorted({record["commit"] for record in records})),
        "device": "; ".join(sorted({record["device"] for record in records} - {provenance.BARE})),
        "date": max(record["date"] for record in records),
        "hours": sum(record["wall_seconds"] for record in records) / 3600,
    }


def keep(run: Run, settings: dict, machines: list[str], folder: Path) -> None:
    """Write the tables that figures are drawn of."""
    systems = [(system, None) for system in paths.SINGLES] + [("ensemble", None)]
    for branch in ("autoencoder", "classifier"):
        systems += [(branch, candidate) for candidate in settings[f"{branch}_candidates"]]
    every = [there(run.scores(system, machine, candidate)) for machine in machines for system, candidate in systems]
    wide(scores.read(every)).to_csv(folder / "scores.csv", float_format=DIGITS, index=False, lineterminator="\n")
    compared = real_compared.compare(real.read(folder), settings)
    compared.to_csv(folder / real_compared.SYSTEMS_FILE, float_format="%.7g", index=False, lineterminator="\n")
    for name in ("choices", "agreement"):
        found = [run.system("ensemble", machine) / f"{name}.csv" for machine in machines]
        parts = [read_table(there(path), as_text=True) for path in found]
        write_table(pd.concat(parts), folder / f"{name}.csv")
    machine = machines[0]
    autoencoder, classifier = (next(iter(settings[f"{branch}_candidates"])) for branch in ("autoencoder", "classifier"))
    section = min(path.name for path in run.system("classifier", machine).glob("[0-9][0-9]"))
    tables = {
        "losses_autoencoder": there(run.system("autoencoder", machine, autoencoder) / "history.csv"),
        "losses_classifier": there(run.system("classifier", machine, classifier, section) / "history.csv"),
        "bands": there(run.system("autoencoder", machine, autoencoder) / "bands.csv"),
    }
    for name, path in tables.items():
        read_table(path).to_csv(folder / f"{name}.csv", index=False, float_format="%.4g", lineterminator="\n")
    table, embedding = clip_outputs.load(run.system("classifier", machine, classifier))
    points = pca_and_tsne.project(table, embedding, seed=settings["seed"])
    points = points.loc[points["method"] == "PCA", ["model", "stage", "kind", "domain", "split", "label", "x", "y"]]
    points.to_csv(folder / "maps.csv", index=False, float_format="%.3g", lineterminator="\n")


def with_map(text: str, stored: Path) -> str:
    """The README with the map of the notebooks, their minutes and memory, as the stored costs give it."""
    frame = costs.notebook_map(read_table(stored))
    lines = [list(frame.columns), ["---"] * 4 + ["--:"] * 3, *frame.to_numpy().tolist()]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return re.sub(r"(?ms)^\| notebook \|.*?\n(?!\|)", lambda _: table + "\n", text, count=1)


def wide(frame: pd.DataFrame) -> pd.DataFrame:
    """Score rows as a table with one row per clip and one column per system; :func:`real.read` undoes it.

    The column ``fold`` is the half that cross-fitting puts a clip in.
    """
    half = frame[frame["fold"].isin(["first", "second"])].drop_duplicates(CLIP).set_index(CLIP)["fold"]
    result = frame.pivot(index=CLIP, columns="system", values="score")[list(dict.fromkeys(frame["system"]))]
    result.insert(0, "fold", half.reindex(result.index).fillna(""))
    return result.reset_index()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="quick", help="name of a file in params/ (default: quick)")
    parser.add_argument("name", help="folder below book/results")
    parser.add_argument(
        "--tuned",
        action=argparse.BooleanOptionalAction,
        help="whether the run's settings were tuned while looking at figures of its test clips",
    )
    parser.add_argument("runs", type=Path, nargs="*", help="run folders of the profile ablations, a seed each")
    given = parser.parse_args()
    try:
        if given.tuned is None:
            parser.error("say whether the settings were tuned on these clips: --tuned or --no-tuned")
        if given.runs:
            print(keep_ablations(given.runs, given.tuned))
        else:
            print(store(given.profile, given.name, given.tuned))
    except AsdError as error:
        sys.exit(f"error: {error}")
