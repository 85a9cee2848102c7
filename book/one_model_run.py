"""*Integrated* in the book's run: what it reaches, and the size of the ensemble that it stands in for."""

import itertools
from pathlib import Path

import pandas as pd
from paired import paired, verdict
from tables import BLANK, data, effect, percent, table

from asdlib.classifier import FILES as STAGES
from asdlib.ensemble.blocks import AE, AE_ENSEMBLE, BC, BC_ENSEMBLE, MIX, candidate_of
from asdlib.origin import BRANCHES
from asdlib.paths import CHOICES, INTEGRATED, MODEL, RECORD, Run
from asdlib.records import read_records
from asdlib.tables import read_table

ROW = ("Integrated", "")
OTHERS = {
    (MIX, "fixed"): "*mix*, fixed",
    (MIX, "cross-fitted"): "*mix*, cross-fitted",
    (AE, "fixed"): "*AE*, fixed",
    (BC, "fixed"): "*BC*, fixed",
    ("Mahalanobis", ""): "*Mahalanobis*",
}
"""rows and selections of Table 1 to compare with, and what to call them"""
FILES = {"autoencoder": [MODEL], "classifier": list(STAGES.values())}
"""the networks in a folder of a trained candidate"""
SIZES = "one_model_size.csv"
"""the data of the table of sizes, next to its page"""
ABSENT = "*Integrated* was not run in this profile."


def pages(run: Run, settings, machines: list[str]) -> dict[str, str]:
    """The generated parts of the chapter by file name.

    Args:
        run: The run.
        settings: Its settings.
        machines: Its machine types.
    """
    counted = sizes(run, settings, machines)
    return {
        "generated/one_model.md": reached(read_table(run.table1), read_table(run.differences)),
        "generated/one_model_size.md": replaced(counted),
        f"generated/{SIZES}": counted.to_csv(index=False, lineterminator="\n"),
    }


def reached(table1: pd.DataFrame, differences: pd.DataFrame) -> str:
    """What *Integrated* reaches over all machine types, sections and domains, and by how much that differs from others.

    Args:
        table1: The run's ``table1.csv``.
        differences: Its ``table1_differences.csv``.
    """
    whole = table1[(table1["machine"] == "all") & (table1["domain"] == "all")].set_index(["row", "selection"])
    whole = whole.loc[whole["value"].notna(), ["value", "low", "high"]]
    if ROW not in whole.index:
        return ABSENT
    rows, found = [("*Integrated*", percent(*whole.loc[ROW]), BLANK)], {}
    for other, words in OTHERS.items():
        if other in whole.index:
            more = paired(differences, ROW, other, "all", "all")
            rows.append((words, percent(*whole.loc[other]), effect(*more)))
            place = verdict(*more[1:], ("better than", "worse than", "neither shown to be better nor worse than"))
            found.setdefault(place, []).append(words)
    columns = ["Row", "All", "*Integrated* minus it (points)"]
    caption = (
        "This run: harmonic mean of AUC and pAUC over all machine types, sections and domains, per cent, and paired "
        "differences, with bootstrap intervals over clips. A cross-fitted row is a mean over two halves of the clips; "
        "its difference is taken from *Integrated* on the same halves, so it need not be that of the two figures shown."
        + data("downloads/table1_differences.csv")
    )
    shown = table(pd.DataFrame(rows, columns=columns), caption, "one-model-reached", "lrr")
    lines = "\n".join(f"* {place} {'; '.join(words)}" for place, words in found.items())
    return f"In this run, with one training per machine type, *Integrated* is\n\n{lines}\n\n{shown}"


def sizes(run: Run, settings, machines: list[str]) -> pd.DataFrame:
    """Count the networks whose scores *mix* averages by *fixed*, their parameters, and those of the one network.

    Returns:
        Columns ``machine, autoencoders, autoencoder_parameters, classifiers, classifier_parameters, integrated``; a row
        per machine type whose networks the run has.
    """
    rows = []
    for machine in machines:
        own = run.system(INTEGRATED, machine) / RECORD
        folders = {branch: networks(run, settings, machine, branch) for branch in BRANCHES}
        if not own.is_file() or not all(folders.values()):
            continue
        counts = [sum(found.values()) for found in folders.values()]
        totals = [
            sum(number * parameters(folder / RECORD) for folder, number in found.items()) for found in folders.values()
        ]
        rows.append((machine, *itertools.chain(*zip(counts, totals, strict=True)), parameters(own)))
    columns = ["autoencoders", "autoencoder_parameters", "classifiers", "classifier_parameters", "integrated"]
    return pd.DataFrame(rows, columns=["machine", *columns])


def replaced(counted: pd.DataFrame) -> str:
    """The networks and parameters that :func:`sizes` counted, as a table, and the classifiers' share."""
    if counted.empty:
        return ABSENT
    rows, shares = [], []
    for item in counted.itertuples():
        together = item.autoencoder_parameters + item.classifier_parameters
        shares.append(item.classifier_parameters / together)
        cells = [f"{number:,}" for number in (*item[2:6], together, item.integrated)]
        rows.append((item.machine, *cells, f"{together / item.integrated:.1f}"))
    columns = ["Machine", "Autoencoders", "Parameters", "Classifiers", "Parameters", "All", "*Integrated*", "Times"]
    caption = (
        "How many networks *mix*, *fixed*, is made of, by machine type, and their parameters; each classifier counts "
        "twice, before and after fine-tuning. *Times* is how many times as many parameters they have as the one "
        "network." + data(f"generated/{SIZES}")
    )
    shown = table(pd.DataFrame(rows, columns=columns), caption, "one-model-size", "lrrrrrrr")
    low, high = (f"{100 * edge(shares):.0f}" for edge in (min, max))
    share = low if low == high else f"{low} to {high}"
    return f"{shown}\nThe classifiers hold {share} % of the ensemble's parameters.\n"


def networks(run: Run, settings, machine: str, branch: str) -> dict[Path, int]:
    """The folders of the trained networks of a branch's ensemble by *fixed*, and how many each holds."""
    choices = read_table(run.system("ensemble", machine) / CHOICES)
    row = {"autoencoder": AE_ENSEMBLE, "classifier": BC_ENSEMBLE}[branch]
    chosen = choices.loc[(choices["selection"] == "fixed") & (choices["row"] == row), "members"]
    systems = {system for members in chosen for system in members.split("; ")}
    candidates = sorted({settings.trained_as(branch, candidate_of(system)) for system in systems})
    folder = run.system(branch, machine)
    sections = [path.name for path in sorted(folder.glob("[0-9][0-9]*"))] if branch == "classifier" else [None]
    return {
        path: sum((path / file).is_file() for file in FILES[branch])
        for path in (run.system(branch, machine, name, section) for name in candidates for section in sections)
    }


def parameters(record: Path) -> int:
    """The number of parameters of a trained network, as its record says."""
    return int(read_records(record)[0]["parameters"])
