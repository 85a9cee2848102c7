"""What a run, the paper's settings and a detector cost, in MyST Markdown: time, memory, devices, and estimates."""

import re
from collections.abc import Mapping
from pathlib import Path

import gpu_figures
import nbformat
import numpy as np
import pandas as pd
from executed import Executed, seconds, title
from stored_results import read
from tables import BLANK, table

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


def cost(frame: pd.DataFrame) -> str:
    """Wall time, memory and device of each stage, from :func:`costs`."""
    every = {"title": "All stages", "runs": frame["runs"].sum(), "seconds": frame["seconds"].sum(), "device": BLANK}
    every |= {"longest": frame["longest"].max(), "peak_bytes": frame["peak_bytes"].max()}
    shown = [
        (item.title, item.runs, f"{item.seconds:,.0f}", f"{item.longest:,.0f}", gibibytes(item.peak_bytes), item.device)
        for item in pd.concat([frame, pd.DataFrame([every])]).itertuples()
    ]
    columns = ["Stage", "Notebooks", "Seconds in all", "Longest", "GiB", "Device"]
    caption = (
        "Wall time of each stage in seconds, the start of the kernels included, the most memory that one of its "
        "notebooks held, and where it ran."
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


GPU_RATE = 312e12
"""operations a second of an NVIDIA A100 in bfloat16, dense, as its data sheet says"""
SHARES = (0.1, 0.4)
"""of that rate, which a training might reach: assumed, not measured"""


def paper_run(path: Path, measured: Path) -> str:
    """The paper's whole run on paper: operations counted, hours at an assumed share of a rate, and as measured."""
    counted = read(path)
    rows = []
    for branch, part in [*counted.groupby("branch", sort=False), ("both", counted)]:
        hours = [part["operations"].sum() / (share * GPU_RATE) / 3600 for share in SHARES]
        longest = [(part["steps"] * part["operations_a_step"]).max() / (share * GPU_RATE) / 60 for share in SHARES]
        numbers = (f"{part['models'].sum():,}", f"{part['operations'].sum() / 1e18:.2g} · 10¹⁸")
        rows.append((branch, *numbers, *(f"{a:,.0f} to {b:,.0f}" for b, a in (hours, longest))))
    columns = ["Branch", "Trainings", "Operations", "GPU hours", "Longest training, min"]
    caption = (
        f"An estimate, not a measurement: operations of all candidates of `params/paper.yaml`, counted at commit "
        f"`{counted['commit'].iat[0]}`; hours if a training reaches {100 * SHARES[1]:.0f} % "
        f"to {100 * SHARES[0]:.0f} % of "
        f"{GPU_RATE / 1e12:.0f} · 10¹² operations a second (NVIDIA A100, bfloat16, data sheet). Starting kernels, "
        "decoding, scoring and the baselines come on top."
    )
    words = f"Extrapolated from measured steps: {known}.\n" if (known := gpu_figures.hours(measured)) else ""
    return f"{words}\n{table(pd.DataFrame(rows, columns=columns), caption, 'paper-run-table', 'lrrrr')}"


def gpu_hours(measured: Path, counted: Path) -> str:
    """GPU hours of the profile ``paper``, in a few words: extrapolated if a GPU was timed, else estimated."""
    if known := gpu_figures.hours(measured):
        return known
    operations = read(counted)["operations"].sum()
    most, least = (operations / (share * GPU_RATE) / 3600 for share in SHARES)
    return f"{least:,.0f} to {most:,.0f} GPU hours, an estimate for an NVIDIA A100, not measured"


def service(path: Path) -> str:
    """Memory and CPU time of a detector that runs as a service (``benchmarks/service.py``)."""
    if not path.is_file():
        return "The service has not been measured; `python benchmarks/service.py` measures its memory and CPU time.\n"
    found = read(path)
    rows = [
        (row.runtime, f"{row.bytes / 2**20:.0f}", f"{row.start_cpu_seconds:.1f}", f"{row.cpu_seconds:.2f}")
        for row in found.itertuples()
    ]
    processor = found["processor"].iat[0].partition(",")[0]
    caption = (
        f"What a detector of the profile `detector` needs to judge recordings of {found['seconds'].iat[0]} s, one "
        f"after the other, on one thread of {processor} at commit `{found['commit'].iat[0]}`."
    )
    columns = ["Runtime", "Memory, MiB", "CPU seconds to start", "CPU seconds per recording"]
    shown = table(pd.DataFrame(rows, columns=columns), caption, "service-table", "lrrr")
    minutes = f"{found['fit_seconds'].iat[0] / 60:.0f}"
    return (
        f"{shown}\nTraining takes {minutes} minutes on the same thread, however many recordings there are, since the "
        "number of steps is fixed; the figure is estimated from a few steps, as `fit` does before it starts.\n"
    )
