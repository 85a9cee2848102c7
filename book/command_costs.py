"""What each command of "How to run it" costs: time, cores, memory and downloads, as far as they were measured."""

from collections.abc import Mapping

import costs
import nbformat
import pandas as pd
import paper_costs
import real
import stored_results
from executed import Executed
from stored_results import read
from tables import BLANK, table

from asdlib import params
from asdlib.atomic import read_json
from asdlib.paths import Run

COLUMNS = ["Command", "Time", "Cores", "Memory, GiB", "Downloads", "Where it is measured"]
NOTHING = "nothing"


def commands(profile: str, notebooks: Mapping[Executed, nbformat.NotebookNode], run: Run) -> str:
    """Return the table of commands.

    Args:
        profile: Of the book's run.
        notebooks: Its executed notebooks.
        run: The run.
    """
    seconds, most = costs.wall(notebooks.values())
    peak = costs.gibibytes(costs.costs(notebooks, run)["peak_bytes"].max())
    here = f"{seconds / 60:.0f} min for the notebooks; then the book, a few minutes"
    synthetic = f"{NOTHING}; the recordings are synthesised"
    packages = f"packages, {costs.packages()} when installed"
    rows = [
        ("`make environment`", "depends on the network", "1", BLANK, packages, BLANK),
        (
            f"`make reproduce PROFILE={profile}`",
            here,
            str(most),
            f"{peak} per core",
            synthetic,
            "this run, {doc}`cost`",
        ),
        *_stored(),
        _paper(),
        *_detector(read(stored_results.RESULTS / "service.csv")),
    ]
    caption = (
        "What commands cost, as far as it was measured. `make` creates the environment first, once; after that only "
        "`PROFILE=paper` needs a network. Times of stored runs are sums over their notebooks, as on one core; `make` "
        "runs as many notebooks at a time as there are cores (`JOBS=` limits them)."
    )
    return table(pd.DataFrame(rows, columns=COLUMNS), caption, "commands-table", "", "5 5 2 2 4 4")


def _stored() -> list[tuple[str, ...]]:
    """Return the commands that made stored runs."""
    rows = []
    for folder, command, page in (
        (stored_results.REAL, "`make reproduce PROFILE=quick`, two toy cars, 1 seed", "real"),
        (stored_results.ABLATIONS, f"`make ablations`, {real.seeds(stored_results.ABLATIONS)}", "ablations"),
    ):
        minutes = f"{60 * read_json(folder / 'record.json')['hours']:,.0f} min"
        rows.append((command, minutes, "1", BLANK, NOTHING, f"stored run, {{doc}}`{page}`"))
    return rows


def _paper() -> tuple[str, ...]:
    """Return the profile ``paper``, whose hours are extrapolated, with what it downloads."""
    counted = read(stored_results.RESULTS / "paper_run.csv")
    settings = params.load("paper")
    classifiers = counted[counted["branch"] == "classifier"]
    backbones = [settings.candidate("classifier", name).model.backbone for name in classifiers["candidate"]]
    weights = classifiers.groupby(backbones)["bytes"].first() / 2  # the stored file is of two stages
    recordings = paper_costs.disk(counted)["clips"] / 2  # without their decoded copies
    downloads = (
        f"about {recordings:.0f} GB of recordings (estimated); weights of {len(weights)} networks, about "
        f"{weights.sum() / 1e6:.0f} MB, from the Hugging Face hub"
    )
    hours = paper_costs.gpu_hours(stored_results.GPU)
    return "`make reproduce PROFILE=paper`", hours, "1 GPU", BLANK, downloads, "not run; {numref}`paper-run-table`"


def _detector(service: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the commands of a detector of one's own."""
    alone, networks = (service[service["detector"] == name].iloc[0] for name in ("statistics only", "networks"))
    known = "{numref}`service-table`"
    memory = f"{alone['fit_bytes'] / 2**30:.1f}"
    fit = costs.duration(alone["fit_60_seconds"])
    estimated = f"{costs.duration(networks['fit_seconds'])}, estimated"
    alone_networks = f"{costs.duration(networks['fit_alone_seconds'])}, estimated"
    score = f"{alone['cpu_seconds']:.2f} to {networks['cpu_seconds']:.2f} s per recording, after a start"
    return [
        ("`fit --statistics-only`, 60 recordings", fit, "1", memory, NOTHING, known),
        ("`fit` with outliers", estimated, "1", BLANK, NOTHING, "extrapolated from steps; {numref}`service-table`"),
        ("`fit` with networks, no outliers", alone_networks, "1", BLANK, NOTHING, "extrapolated from steps"),
        ("`score`", score, "1", f"{networks['bytes'] / 2**30:.1f} at most", NOTHING, known),
    ]
