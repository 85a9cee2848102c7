"""Derive the plan of a run from its recordings, and keep it in ``plan.json``, so that stages need not list clips."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from asdlib import paths
from asdlib.atomic import read_json, write_json
from asdlib.data import catalogue
from asdlib.errors import DataError
from asdlib.messages import list_problems
from asdlib.paths import Run

FEWEST = 3
"""source training clips that a section needs: the autoencoder, its scorer and the Gaussians share them"""


@dataclass(frozen=True)
class Plan:
    """Machine types and sections in a run."""

    machines: dict[str, list[str]]
    """machine types to build systems for, and their sections (those with labelled test clips)"""
    outliers: list[str]
    """further machine types, whose training clips serve only as outliers"""


def derive(settings) -> Plan:
    """Decide which machine types and sections get systems.

    A section gets systems if it has labelled test clips, since only these can stand in Table 1; unlabelled ones
    (evaluation data) are scored along with them. Sections without labelled test clips stay in the catalogue, as
    negatives; a machine type that has no other sections serves as outliers. Before synthetic data exist, the plan
    follows from their settings.

    Raises:
        DataError: The data are missing or lack what the run needs; the message names each machine and section.
    """
    data = settings.data
    clips = catalogue.expected(data.synthetic) if data.synthetic else catalogue.scan(paths.project_root() / data.root)
    return derive_from(catalogue.select(clips, data), data)


def derive_from(clips: pd.DataFrame, data) -> Plan:
    """Make the plan for a catalogue (see :func:`derive`); raise :class:`DataError` with everything that it lacks."""
    result, problems = assess(clips, data)
    if problems:
        raise DataError(list_problems(f"{data.root}: clips that cannot be used", problems))
    return result


def assess(clips: pd.DataFrame, data) -> tuple[Plan, list[str]]:
    """Return the plan for a catalogue, and what the catalogue lacks for it, one sentence each."""
    counts = clips.groupby(["machine", "section", "domain", "split", "label"]).size().to_dict()
    tested = sorted({key[:2] for key in counts if key[3] == "test" and key[4] != "unknown"})
    machines: dict[str, list[str]] = {}
    for machine, section in tested:
        if data.machines is None or machine in data.machines:
            machines.setdefault(machine, []).append(section)
    problems = [
        f"machine {machine} of data.machines has no labelled test clips; add some, or leave it out of data.machines "
        "(its training clips then serve as outliers)"
        for machine in data.machines or []
        if machine not in machines
    ]
    for machine, sections in machines.items():
        for section in sections:
            problems += _lacking(machine, section, counts, ("normal", "anomaly") if data.anomalies else ("normal",))
    if not machines and not problems:
        problems = [f"{data.root}: no machine type has labelled test clips, so nothing can be evaluated; add some"]
    trained = {key[0] for key in counts if key[3] == "train"}
    return Plan(machines, sorted(trained - set(machines))), problems


def _lacking(machine: str, section: str, counts: dict, labels: Iterable[str]) -> list[str]:
    """Return what a section with labelled test clips lacks for training and evaluation."""
    remedy = "add some or leave the section out with data.sections"
    problems = []
    for domain in ("source", "target"):
        where = f"section {section} of {machine} has"
        test = {label: counts.get((machine, section, domain, "test", label), 0) for label in ("normal", "anomaly")}
        train = counts.get((machine, section, domain, "train", "normal"), 0)
        if not train and (domain == "source" or any(test.values())):
            kind = f"{domain} test clips" if any(test.values()) else "test clips"
            problems.append(f"{where} {kind} but no {domain} training clips; {remedy}")
        elif domain == "source" and train < FEWEST:
            problems.append(f"{where} {train} source training clip(s); expected at least {FEWEST}; {remedy}")
        for label in labels:
            adjective = {"normal": "normal", "anomaly": "anomalous"}[label]
            if any(test.values()) and not test[label]:
                problems.append(f"{where} {domain} test clips, none of them {adjective} (an AUC needs both); {remedy}")
    return problems


def write(plan: Plan, settings) -> None:
    """Write the plan to the run folder, with the settings of the data from which it follows."""
    stored = {"data": settings.resolved()["data"], "machines": plan.machines, "outliers": plan.outliers}
    write_json(stored, Run.of(settings).plan)


def read(settings) -> Plan:
    """Return the plan that the run's first stage wrote.

    Without one for these settings, as in a run folder without that stage, it is made from the recordings.

    Raises:
        DataError: The plan has to be made, and the recordings cannot be used.
    """
    path = Run.of(settings).plan
    if path.is_file():
        stored = read_json(path)
        if stored["data"] == settings.resolved()["data"]:
            return Plan(stored["machines"], stored["outliers"])
    return derive(settings)
