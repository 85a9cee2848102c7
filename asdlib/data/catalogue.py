"""List the clips of a folder in a table.

Only names are read and no file is opened, because the Snakefile lists the clips whenever it is parsed.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from asdlib import paths, records
from asdlib.data import file_names, ground_truth
from asdlib.errors import DataError
from asdlib.messages import list_problems, printable, suggest

COLUMNS = ["machine", "section", "domain", "split", "label", "clip", "path", "attributes"]
"""Columns of the catalogue; all are strings, ``path`` is relative to the data root."""

DCASE2021 = {
    ("source", "train", "normal"): 1000,
    ("target", "train", "normal"): 3,
    **{(domain, "test", label): 100 for domain in ("source", "target") for label in ("normal", "anomaly")},
}
"""About how many clips a section of DCASE2021 has, by domain, split and label."""


def state(settings) -> str:
    """Return a digest of names, sizes and times of the recordings, to notice new ones; empty for synthetic data."""
    if settings.data.synthetic:
        return ""
    root = paths.project_root() / settings.data.root
    return records.fingerprint(file_states(root, scan(root)["path"]))


def file_states(root: Path, files: Iterable[str]) -> list[list]:
    """Return name, size and time of change of each file."""
    try:
        stats = [(str(file), os.stat(root / file)) for file in files]
    except OSError as error:
        raise DataError(
            f"{error.filename}: {error.strerror.lower()}; it was there a moment ago; rerun the command"
        ) from None
    return [[file, stat.st_size, stat.st_mtime_ns] for file, stat in stats]


def scan(root: Path) -> pd.DataFrame:
    """Return the catalogue of a folder: one row per clip, columns :data:`COLUMNS`, sorted.

    Raises:
        DataError: The folder is missing or contains no clip, a name does not fit :mod:`asdlib.data.file_names`, or a
            path cannot be opened.
    """
    clips, problems, _ = walk(root)
    if problems:
        raise DataError(list_problems(f"{root}: files that cannot be used", problems))
    return clips


def walk(root: Path) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Catalogue a folder like :func:`scan`, but return problems instead of raising an error.

    Returns:
        The catalogue; problems, one sentence each; and other paths that are not used: folders of other names, files
        that are not WAV files.
    """
    root = Path(root)
    if not root.is_dir():
        return _table([]), [f"{printable(root)}: no such folder; data.root must contain {file_names.EXPECTED}"], []
    rows, unused, seen = [], [], {}
    machines, _, problems = _entries(root)
    if problems and not machines:
        return _table([]), problems, []
    labels, odd = ground_truth.read(root)
    problems += odd
    for machine in machines:
        inside, _, odd = _entries(root / machine)
        problems += odd
        folders = [name for name in inside if name in file_names.FOLDERS]
        unused += [f"{machine}/{name}" for name in inside if folders and name not in file_names.FOLDERS]
        try:
            file_names.check_machine(machine)
        except DataError as error:
            problems += [f"{printable(root / machine)}: {error}"] if folders else []
            continue
        for folder in folders:
            deeper, files, odd = _entries(root / machine / folder)
            problems += odd
            unused += [f"{machine}/{folder}/{name}" for name in deeper]
            for file in files:
                path = f"{machine}/{folder}/{file}"
                if not file.lower().endswith(".wav"):
                    unused.append(path)
                    continue
                try:
                    name = ground_truth.complete(machine, file_names.parse(folder, file), labels)
                except DataError as error:
                    problems.append(f"{printable(root / path)}: {error}")
                    continue
                other = seen.setdefault((machine, name.split, file), path)
                if other != path:
                    problems.append(f"{root / path}: the same clip name as {other}; expected each once; rename one")
                    continue
                rows.append(_row(machine, name, path))
    if not rows and not problems:
        problems = [f"{printable(root)}: {_nothing(root, machines, unused)}; expected {file_names.EXPECTED}"]
    return _table(rows), problems, unused


def expected(synthetic, fault: Callable[[str, int], str] | None = None) -> pd.DataFrame:
    """Return the catalogue of synthetic data with these settings.

    Args:
        synthetic: Settings (:class:`asdlib.params.data.Synthetic`).
        fault: Function from a machine type and the number of an anomalous clip to the attribute in its name; None for
            no attributes, which is enough for a plan.
    """
    for machine in synthetic.machines:
        if machine not in file_names.MACHINES:
            raise DataError(
                f"data.synthetic.machines: there is no synthetic {machine!r}{suggest(machine, file_names.MACHINES)}"
            )
    counts = [
        ("source", "train", "normal", synthetic.train_source),
        ("target", "train", "normal", synthetic.train_target),
        *((domain, "test", "normal", synthetic.test_normal) for domain in ("source", "target")),
        *((domain, "test", "anomaly", synthetic.test_anomaly) for domain in ("source", "target")),
    ]
    rows = []
    for machine in synthetic.machines:
        for section in synthetic.sections:
            for domain, split, label, count in counts:
                for index in range(count):
                    kind = fault(machine, index) if fault and label == "anomaly" else ""
                    name = file_names.ClipName(section, domain, split, label, f"{index:04d}", kind)
                    rows.append(_row(machine, name, f"{machine}/{name.folder}/{name.file}"))
    return _table(rows)


def select(clips: pd.DataFrame, data) -> pd.DataFrame:
    """Select the clips of ``data.sections``; raise :class:`DataError` if a machine type or section does not exist."""
    for key, column in (("machines", "machine"), ("sections", "section")):
        there = sorted(set(clips[column]))
        for name in getattr(data, key) or []:
            if name not in there:
                raise DataError(f"data.{key}: {data.root} has no {column} {name!r}{suggest(name, there)}")
    return clips if data.sections is None else clips[clips["section"].isin(data.sections)].reset_index(drop=True)


def _nothing(root: Path, machines: list[str], unused: list[str]) -> str:
    if unused:
        return f"no wav file found, but for example {printable(unused[0])}"
    if inner := [folder for folder in machines if folder in file_names.FOLDERS]:
        return f"contains {inner[0]}/ itself, so it looks like the folder of one machine type; give the folder above"
    inside = sorted(entry.name for entry in os.scandir(root))
    return f"no clips found, but for example {printable(inside[0])}" if inside else "the folder is empty"


def _entries(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Return the sorted names of the folders and files in a folder, and a sentence about each entry that is neither."""
    folders, files, problems = [], [], []
    remedy = "expected a readable folder or file; fix or remove it"
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        return [], [], [f"{printable(folder)}: {error.strerror.lower()}; {remedy}"]
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            if entry.is_dir():
                folders.append(entry.name)
            elif entry.is_file():
                files.append(entry.name)
            else:
                kind = "a broken link" if entry.is_symlink() else "not a regular file"
                problems.append(f"{printable(entry.path)}: {kind}; {remedy}")
        except OSError as error:  # a link to itself, for one
            problems.append(f"{printable(entry.path)}: {error.strerror.lower()}; {remedy}")
    return folders, files, problems


def _row(machine: str, name: file_names.ClipName, path: str) -> tuple[str, ...]:
    file = path.rpartition("/")[2]  # an empty attribute's underscore is in no part of the name
    return machine, name.section, name.domain, name.split, name.label, file, path, name.attributes


def _table(rows: list[tuple[str, ...]]) -> pd.DataFrame:
    return pd.DataFrame(sorted(rows), columns=COLUMNS, dtype=str)
