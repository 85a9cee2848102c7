"""What a run and a detector cost, in MyST Markdown: time, memory, disk and devices."""

import re
import sysconfig
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
from executed import Executed, seconds, title
from stored_results import read
from tables import BLANK, day, table

from asdlib.paths import Run
from asdlib.tables import read_table

NOTEBOOKS = Path(__file__).parent / "notebooks.csv"
"""what each notebook asks, reads and writes"""
Notebooks = Mapping[Executed, nbformat.NotebookNode]


def costs(notebooks: Notebooks, run: Run) -> pd.DataFrame:
    """What each stage cost, from papermill's metadata and the records of its artefacts.

    Returns:
        Columns ``notebook, title, runs, seconds`` (of all of them), ``longest``, ``peak_bytes`` (the most that one of
        them held in memory when it wrote a record; NaN if none says), ``device``.
    """
    rows = []
    for item, notebook in notebooks.items():
        made = item.records(run)
        peak = max((record.get("peak_bytes", float("nan")) for record in made), default=float("nan"))
        device = made[0]["device"] if made else ""
        rows.append((item.stage, title(notebook), seconds(notebook), peak, device))
    frame = pd.DataFrame(rows, columns=["notebook", "title", "seconds", "peak_bytes", "device"])
    return frame.groupby("notebook", as_index=False, sort=False).agg(
        title=("title", "first"),
        runs=("title", "size"),
        seconds=("seconds", "sum"),
        longest=("seconds", "max"),
        peak_bytes=("peak_bytes", "max"),
        device=("device", lambda names: "; ".join(dict.fromkeys(filter(None, names))) or BLANK),
    )


def wall(notebooks: Iterable[nbformat.NotebookNode]) -> tuple[float, int]:
    """Seconds in which at least one notebook ran, and how many ran at a time, at most."""
    found = [notebook.metadata["papermill"] for notebook in notebooks]
    events = sorted(
        (datetime.fromisoformat(each[key]).timestamp(), step)
        for each in found
        for key, step in (("start_time", 1), ("end_time", -1))
    )
    running = np.cumsum([step for _, step in events])
    gaps = np.diff([when for when, _ in events])
    return float(gaps[running[:-1] > 0].sum()), int(running.max())


def disk(folder: Path) -> int:
    """Bytes of the files in a folder, 0 if there is none."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def packages() -> str:
    """Size of the installed packages, which the environment of this book consists of."""
    return f"{gibibytes(disk(Path(sysconfig.get_path('purelib'))))} GiB"


def answer(notebooks: Notebooks, run: Run, recordings: Path) -> str:
    """What this book's run cost in all, in a paragraph; ``recordings`` is their folder."""
    seconds, most = wall(notebooks.values())
    peak = costs(notebooks, run)["peak_bytes"].max()
    return (
        f"**{seconds / 60:.0f} minutes** for {len(notebooks)} notebooks, up to {most} at a time on one core each, "
        "without a GPU. They need:\n\n"
        f"* at most {gibibytes(peak)} GiB of memory per notebook;\n"
        f"* {gibibytes(disk(run.folder) + disk(recordings))} GiB of disk for the run and its recordings;\n"
        f"* {packages()} of disk for the packages.\n\n"
        "What the paper's own experiment would take is in {numref}`paper-run-table`.\n\n"
    )


def cost(frame: pd.DataFrame) -> str:
    """Wall time, memory and device of each notebook, from :func:`costs`."""
    every = {"title": "All notebooks", "runs": frame["runs"].sum(), "seconds": frame["seconds"].sum(), "device": BLANK}
    every |= {"longest": frame["longest"].max(), "peak_bytes": frame["peak_bytes"].max()}
    shown = [
        (item.title, item.runs, f"{item.seconds:,.0f}", f"{item.longest:,.0f}", gibibytes(item.peak_bytes), item.device)
        for item in pd.concat([frame, pd.DataFrame([every])]).itertuples()
    ]
    columns = ["Notebook", "Runs", "Seconds in all", "Longest", "GiB", "Device"]
    caption = (
        "Wall time of each notebook in seconds, the start of the kernels included, the most memory that one run of it "
        "held, and where it ran."
    )
    return table(pd.DataFrame(shown, columns=columns), caption, "cost-table", "lrrrrl", "4 2 2 2 2 6")


def gibibytes(count: float) -> str:
    """Bytes in GiB, with one digit."""
    return BLANK if pd.isna(count) else f"{count / 2**30:.1f}"


def notebook_map(frame: pd.DataFrame) -> pd.DataFrame:
    """All notebooks: question, what they read and write, and what :func:`costs` says of those that are stages."""
    about = read_table(NOTEBOOKS)
    by = frame.set_index("notebook").reindex(about["notebook"])
    about["notebook"] = [f"`{name}`" for name in about["notebook"]]
    about["runs"] = [BLANK if pd.isna(runs) else f"{runs:.0f}" for runs in by["runs"]]
    about["minutes"] = [BLANK if pd.isna(each) else f"{each:.1f}" for each in by["seconds"] / by["runs"] / 60]
    about["GiB"] = [gibibytes(value) for value in by["peak_bytes"]]
    return about


def with_commas(text: str) -> str:
    """A text whose counts have commas between thousands, as all numbers of the book.

    >>> with_commas("1000 wav files of 10 s, 3,000 systems of 2022")
    '1,000 wav files of 10 s, 3,000 systems of 2022'
    """
    return re.sub(r"(?<![\w,.])\d{4,}(?= [a-z])", lambda found: f"{int(found[0]):,}", text)


def benchmarks(path: Path) -> str:
    """What ``make bench`` measured: ours against a reference in the same run, and the share of the machine's limit."""
    measured = read(path)
    rows = [
        (
            with_commas(row.work),
            row.reference,
            f"{1000 * row.ours_seconds:,.0f}",
            f"{1000 * row.reference_seconds:,.0f}",
            f"{row.ratio:.1f} ({row.low:.1f} to {row.high:.1f})" + ", missed" * (row.ratio < row.goal),
            f"{row.goal:.1f}",
            BLANK if pd.isna(row.share_of_limit) else f"{100 * row.share_of_limit:.0f}",
        )
        for row in measured.itertuples()
    ]
    columns = ["Work", "Compared with", "Ours, ms", "The other, ms", "Ratio", "Aimed at", "Of the machine's limit, %"]
    where = ", ".join(dict.fromkeys(measured["device"] + ", commit `" + measured["commit"] + "`"))
    caption = f"Ours against a reference, median of alternating repeats; the ratio with its extremes. {where}."
    missed = (measured["ratio"] < measured["goal"]).sum()
    return f"{missed} of {len(measured)} rows miss the ratio that we aimed at.\n\n" + table(
        pd.DataFrame(rows, columns=columns), caption, "benchmarks-table", "llrrrrr", "5 4 2 2 3 1 2"
    )


def growth(path: Path) -> str:
    """What ``benchmarks/growth.py`` measured: seconds and memory by size, and how fast the seconds grow."""
    measured = read(path)
    rows = []
    for work, part in measured.groupby("work", sort=False):
        seconds, peak = (part.groupby("size")[column].median() for column in ("seconds", "peak_bytes"))
        slope = np.polyfit(np.log(seconds.index), np.log(seconds), 1)[0]
        sizes, times = (" / ".join(f"{value:,.0f}" for value in values) for values in (seconds.index, 1000 * seconds))
        memory = " / ".join(f"{value / 2**30:.2f}" for value in peak)
        rows.append((work, sizes, times, f"{slope:.2f}", memory))
    where = ", ".join(dict.fromkeys(measured["device"] + ", commit `" + measured["commit"] + "`"))
    caption = (
        f"Medians of {measured['repeat'].nunique()} repeats. Growth is the slope of seconds over size, both as "
        "logarithms: 1 is proportional. GiB is the peak of a process, libraries and mapped recordings included. "
        f"{where}."
    )
    columns = ["Work", "Sizes", "Milliseconds", "Growth", "GiB"]
    return table(pd.DataFrame(rows, columns=columns), caption, "growth-table", "lrrrr", "5 4 4 2 4")


def service(path: Path) -> str:
    """What a detector needs to be fitted and to run as a service (``benchmarks/service.py``)."""
    if not path.is_file():
        return "The service has not been measured; `python benchmarks/service.py` measures its memory and CPU time.\n"
    found = read(path)
    titles = found["detector"].str.capitalize() + found["runtime"].map(
        lambda name: "" if name == "none" else f", {name}"
    )
    shown = pd.DataFrame({"Detector": titles})
    for count in (60, 100):
        shown[f"Fit, {count} recordings"] = [
            duration(own) if pd.notna(own) else f"{duration(any_count)}, estimated"
            for own, any_count in zip(found[f"fit_{count}_seconds"], found["fit_seconds"], strict=True)
        ]
    shown["Memory, MiB"] = found["bytes"].map(lambda value: f"{value / 2**20:.0f}")
    shown["CPU seconds to start"] = found["start_cpu_seconds"].map("{:.1f}".format)
    shown["CPU seconds per recording"] = found["cpu_seconds"].map("{:.2f}".format)
    first = found.iloc[0]
    caption = (
        f"What a detector needs to be fitted, and to judge recordings of {first['seconds']:.0f} s one after the other: "
        f"CPU time of one thread of {first['processor'].partition(',')[0]}, {day(first['date'])}, commit "
        f"`{first['commit']}`. The machine was busy. The start includes the first verdict. Recordings are of a real "
        f"slider; of the hundred only {first['sliders']:.0f} are, the others of other machines. Fitting statistics "
        f"only takes {first['fit_bytes'] / 2**20:.0f} MiB of memory. The networks have outliers. Their training time "
        "does not depend on the number of recordings; it is estimated from a few steps, as `fit` does before it starts."
    )
    return table(shown, caption, "service-table", "lllrrr")


def duration(seconds: float) -> str:
    """A duration in seconds or minutes.

    >>> duration(9.27), duration(1300)
    ('9 s', '22 min')
    """
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def service_texts(service: pd.DataFrame) -> dict[str, str]:
    """Return what it takes to fit a detector (``benchmarks/service.py``)."""
    alone, networks = (service[service["detector"] == name].iloc[0] for name in ("statistics only", "networks"))
    return {
        "fit_60": f"{alone['fit_60_seconds']:.0f}",
        "fit_100": f"{alone['fit_100_seconds']:.0f}",
        "fit_memory": f"{alone['fit_bytes'] / 2**30:.1f} GiB",
        "fit_minutes": f"{networks['fit_seconds'] / 60:.0f}",
        "fit_alone_minutes": f"{networks['fit_alone_seconds'] / 60:.0f}",
    }
