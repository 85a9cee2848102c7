"""What made a run and the stored results, in MyST Markdown: code, versions, devices, settings, and what was not run."""

import json
from pathlib import Path

import pandas as pd
from gpu_figures import PAPER_SIZE, not_run
from tables import BLANK, day, table

from asdlib.atomic import read_json
from asdlib.errors import AsdError
from asdlib.evaluation import paper
from asdlib.evaluation.rows import EXTENSIONS, ROWS
from asdlib.params.validation import flatten
from asdlib.paths import RECORD, Run
from asdlib.records import read_records
from asdlib.tables import read_table

MADE = ("date", "commit", "device", "torch")
"""columns by which a stored table says what made it"""
LOCK = "requirements.lock"
"""the packages that computed a stored result, next to it"""
FEW = 12
"""largest number of candidates that are named in a table"""
BARE = "CPU"
"""what records say of a CPU whose model they do not name"""


def records(run: Run) -> list[dict]:
    """All records of a run, what the artefacts say made them, oldest first."""
    found = [record for path in run.folder.rglob(RECORD) for record in read_records(path)]
    return sorted(found, key=lambda record: record["date"])


def lock(made: list[dict]) -> str:
    """The packages that computed a result, as requirements that pip installs exactly.

    A package that some records do not name, since the code of their commit did not need it, is as the others say.

    Args:
        made: Records of its artefacts.

    Raises:
        AsdError: Artefacts were made with different versions, so no environment made all of them.
    """
    names = dict.fromkeys(name for record in made for name in record["versions"])
    stated = {name: {record["versions"][name] for record in made if name in record["versions"]} for name in names}
    versions = {name: sorted(found) for name, found in stated.items()}
    for name, found in versions.items():
        if len(found) > 1 and name != "asdlib":
            raise AsdError(
                f"artefacts were made with {name} {' and '.join(found)}, so no single environment made this run; "
                "delete the run and make it again in one environment"
            )
    commits = ", ".join(dict.fromkeys(record["commit"] for record in made))
    lines = [f"# Python {versions.pop('python')[0]}; code of commit {commits}"]
    versions.pop("asdlib", None)
    lines += [f"{name}=={found[0]}" for name, found in versions.items() if found[0] != "not installed"]
    return "\n".join(lines) + "\n"


def facts(made: list[dict], spent: float, most: int) -> str:
    """What made the run, in a line: date, time, commits.

    Args:
        made: Its records, oldest first.
        spent: Seconds in which at least one notebook ran.
        most: How many ran at a time, at most.
    """
    commits = ", ".join(dict.fromkeys(f"`{record['commit']}`" for record in made))
    return f"{day(made[-1]['date'])}; {spent / 60:.0f} min for all notebooks, {most} at a time; commit {commits}."


def computed(settings, run: Run, tools: dict[str, str]) -> str:
    """Where and with what the run was computed.

    Args:
        settings: Of the run.
        run: The run.
        tools: Versions of the packages that the records do not name.
    """
    made = records(run)
    facts = {
        "Profile": f"`{settings.profile}`",
        "Data": settings.title,
        "Seed": settings.seed,
        "First and last artefact": f"{made[0]['date']} to {made[-1]['date']}",
    }
    folders: dict[str, list[dict]] = {}
    for path in sorted(run.folder.rglob(RECORD)):
        folder = path.relative_to(run.folder).parts[0]
        name = "Table 1 and claims" if folder == RECORD else f"`{folder}`"
        folders.setdefault(name, []).extend(read_records(path))
    columns = {"commit": "`{}`", "data_fingerprint": "`{}`", "device": "{}"}
    rows = [
        (name, len(found), *(_distinct(found, key, form) for key, form in columns.items()))
        for name, found in folders.items()
    ]
    names = dict.fromkeys(name for record in made for name in record["versions"])
    packages = {name: ", ".join(sorted({record["versions"].get(name, "?") for record in made})) for name in names}
    return "\n".join(
        [
            table(pd.DataFrame(facts.items(), columns=["What", "This run"]), "The run.", "computed-table"),
            table(
                pd.DataFrame(
                    rows, columns=["Folder of the run", "Artefacts", "Commit", "Fingerprint of its data", "Device"]
                ),
                "Which code made which artefacts, of what, and on what. A fingerprint is that of the clips or scores "
                "of which an artefact was made; a folder with several machine types has several.",
                "artefacts-table",
                "lrlll",
                "3 2 3 4 6",
            ),
            table(
                pd.DataFrame((packages | tools).items(), columns=["Package", "Version"]), "Packages.", "packages-table"
            ),
        ]
    )


def _distinct(found: list[dict], key: str, form: str = "{}") -> str:
    """The different values of a key of records, oldest first, but a bare "CPU" where a record names the model."""
    values = dict.fromkeys(record[key] for record in sorted(found, key=lambda record: record["date"]))
    named = [value for value in values if value != BARE]
    return ", ".join(form.format(value) for value in named) or ", ".join(
        form.format(_device(value)) for value in values
    )


def _device(recorded: str) -> str:
    """A device as it was recorded; what names no model says so."""
    return "CPU, model not recorded" if recorded == BARE else recorded


def stored(folder: Path) -> str:
    """What made the stored results that chapters show next to the run: date, commit, device, lock file, data.

    Args:
        folder: With a folder per result, each with ``record.json``; other records of it are ``<table>.record.json``. A
            table without a record has columns that say what made it.
    """
    rows = []
    for path in sorted(folder.glob("*/*record.json")):
        record = read_json(path)
        what = path.parent.name if path.name == RECORD else f"{path.parent.name}/{path.name.partition('.')[0]}"
        name = _lock_name(path, record)
        link = f"{{download}}`lock file <downloads/{name}>`" if name else BLANK
        commits = ", ".join(f"`{commit.strip()}`" for commit in record["commit"].split(","))
        data = f"{{download}}`record <downloads/{path.parent.name}_{path.name}>`"
        rows.append((f"`{what}`", day(record["date"]), commits, _device(record.get("device", BLANK)), link, data))
    rows += _without_records(folder)
    caption = (
        "The stored results in `book/results`. A result without a lock file is from before its packages were recorded "
        "in one; its record names the versions that it knows. A table of measurements has no record: its own columns "
        "name commit and device, and a dash stands for what they lack. The tables of `demo` are copies, made when that "
        "run was stored, so they are of its commit and not of that of this run."
    )
    columns = ["Result", "Made on", "Commit", "Device", "Packages", "Data"]
    return table(pd.DataFrame(rows, columns=columns), caption, "stored-table", "llllll", "4 3 4 6 3 2")


def _without_records(folder: Path) -> list[tuple[str, ...]]:
    """The rows of stored tables that say themselves what made them: those of a GPU, the benchmarks, the counts."""
    rows = []
    for path in sorted([*folder.glob("*.csv"), *folder.glob("*/*.csv")]):
        frame = read_table(path, as_text=True).rename(columns={"processor": "device"})
        if "commit" not in frame or any(path.parent.glob("*record.json")):
            continue
        found = {name: list(dict.fromkeys(frame[name])) if name in frame else [] for name in MADE}
        name = path.relative_to(folder).with_suffix("")
        texts = {
            "date": ", ".join(map(day, found["date"])),
            "commit": ", ".join(f"`{commit}`" for commit in found["commit"]),
            "device": "; ".join(map(_device, found["device"])),
            "torch": ", ".join(f"torch {version}" for version in found["torch"]),
        }
        link = f"{{download}}`table <downloads/{'_'.join(name.parts)}.csv>`"
        rows.append((f"`{name.as_posix()}`", *(text or BLANK for text in texts.values()), link))
    return rows


def _lock_name(path: Path, record: dict) -> str:
    """The name of the lock file of a stored result among the downloads; empty if its packages are not known."""
    if path.with_name(LOCK).is_file():
        return f"{path.parent.name}_{LOCK}"
    return f"{path.parent.name}_{path.name.removesuffix(RECORD)}{LOCK}" if "versions" in record else ""


def locks(folder: Path) -> dict[str, str]:
    """The lock files of stored results whose packages are only in their records, by name among the downloads."""
    found = {path: read_json(path) for path in sorted(folder.glob("*/*record.json"))}
    return {
        _lock_name(path, record): lock([record])
        for path, record in found.items()
        if "versions" in record and not path.with_name(LOCK).is_file()
    }


def departures(settings, published, name: str = "departures-table", of: str = "this run") -> str:
    """The settings in which the profile of a run departs from ``params/paper.yaml``."""
    mine, theirs = flatten(settings.resolved()), flatten(published.resolved())
    both, left_out = (theirs, mine), ("profile", "title", "runs")
    keys = [key for key in {**theirs, **mine} if mine.get(key) != theirs.get(key) and key not in left_out]
    show = {key: _count if key.endswith("_candidates") else _code for key in keys}
    rows = [(f"`{key}`", *(show[key](values.get(key)) for values in both)) for key in keys]
    if not rows:
        return "None.\n"
    caption = f"Settings of {of} that are not those of `params/paper.yaml`, which names all candidates."
    columns = ["Setting", "paper.yaml", f"{of[0].upper()}{of[1:]}"]
    return table(pd.DataFrame(rows, columns=columns), caption, name, "lll", "6 4 4")


def _count(candidates: dict) -> str:
    """How many candidates there are, and the names of a few."""
    names = f": {', '.join(f'`{name}`' for name in candidates)}" if len(candidates) <= FEW else ""
    return f"{len(candidates)} candidates{names}"


def _code(value: object) -> str:
    return BLANK if value is None else f"`{json.dumps(value)}`"


def absent(frame: pd.DataFrame, settings, measured: Path) -> str:
    """Machine types and rows, of the paper and of our extensions, that this run lacks; and a GPU, if none was timed.

    Args:
        frame: Table 1 of the run.
        settings: Settings of the run.
        measured: What ``make gpu`` writes, if it was run.
    """
    values = frame.dropna(subset=["value"])
    lines = []
    for machine in paper.MACHINES:
        if machine not in set(values["machine"]):
            lines.append(f"* Machine type {machine}: not run.")
    for row in ROWS:
        if row not in set(values["row"]):
            lines.append(f"* Row {row}{' (our extension)' * (row in EXTENSIONS)}: not run.")
    if settings.data.synthetic is not None:
        lines.append("* The recordings of DCASE2021: not used. All data of this run are synthetic.")
    if not measured.is_file():
        lines.append("* Training on a GPU: not measured. {doc}`cost` says what is estimated instead.")
    elif missing := not_run(measured):
        lines.append(f"* Planned on a GPU and not run: {'; '.join(missing)}. {{doc}}`cost` shows what was run there.")
    if not measured.with_name(PAPER_SIZE).is_file():
        lines.append("* Networks of the paper's size: not trained, on no device.")
    return "\n".join(lines) or "Every machine type and row of the paper's table was run."
