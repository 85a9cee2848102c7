"""What the paper's settings would cost: counted, and extrapolated from what a GPU was timed with, in MyST Markdown."""

from pathlib import Path

import gpu_figures
import pandas as pd
from stored_results import read
from tables import BLANK, table

from asdlib import params
from asdlib.classifier import STAGES
from asdlib.classifier.clip_outputs import OUTLIERS
from asdlib.data.catalogue import DCASE2021
from asdlib.evaluation import paper

SECTIONS = 6
"""number of sections of a machine type in the development and evaluation sets together (Sec. 3.1)"""
CLIP_SECONDS, SAMPLE_BYTES = 10, 2
BRANCHES = ("autoencoder", "classifier")
SCORED = {"autoencoder": "reconstruction errors", "classifier": "classifier's embeddings"}
"""rows of ``make gpu`` with the clips that the base candidate of a branch scores per second"""


def hours(counted: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Extrapolate from timed steps to all candidates, as ``benchmarks/gpu_table.py`` does.

    Args:
        counted: The table of ``benchmarks/paper_run.py``.
        measured: The figures of ``make gpu`` (:func:`gpu_figures.read`).

    Returns:
        The rows of ``counted`` with the columns ``slower``, how many times as long as the base candidate's a step takes
        (as its operations if its network was not timed); ``longest``, hours of one training; and ``hours`` of all.
    """
    settings = params.load("paper")
    timed = measured.dropna(subset=["value"]).set_index("what")["value"]

    def rate(branch: str, candidate: str) -> float | None:
        if branch == "autoencoder":
            return timed.get("autoencoder base: ours") if candidate == "base" else None
        return timed.get(f"classifier {settings.candidate(branch, candidate).model.backbone}: ours")

    base = counted[counted["candidate"] == "base"].set_index("branch")["operations_a_step"]
    rates = [rate(*key) for key in zip(counted["branch"], counted["candidate"], strict=True)]
    firsts = counted["branch"].map({branch: rate(branch, "base") for branch in BRANCHES})
    ratio = counted["operations_a_step"] / counted["branch"].map(base)
    slower = pd.Series([first / own if own else None for first, own in zip(firsts, rates, strict=True)], counted.index)
    slower = slower.astype(float).fillna(ratio)
    longest = counted["steps"] * slower / firsts / 3600
    return counted.assign(slower=slower, longest=longest, hours=counted["models"] * longest)


def scoring(extrapolated: pd.DataFrame, measured: pd.DataFrame) -> pd.Series:
    """Extrapolate the hours of scoring from timed clips per second, by branch.

    An autoencoder scores all clips of a machine type, the two models of a classifier those of a section and some
    outliers.
    """
    timed = measured.dropna(subset=["value"]).set_index("what")["value"]
    section = sum(DCASE2021.values())
    clips = {"autoencoder": SECTIONS * section, "classifier": len(STAGES) * (section + OUTLIERS)}
    rates = extrapolated["branch"].map({branch: timed[name] for branch, name in SCORED.items()})
    each = extrapolated["models"] * extrapolated["branch"].map(clips) * extrapolated["slower"] / rates / 3600
    return each.groupby(extrapolated["branch"]).sum()


def disk(counted: pd.DataFrame) -> dict[str, float]:
    """Return the GB of recordings and their decoded copies, and of models and embeddings by branch."""
    section = sum(DCASE2021.values())
    rate = params.load("paper").data.sample_rate
    clips = len(paper.MACHINES) * SECTIONS * section
    embeddings = len(STAGES) * (section + OUTLIERS) * counted["embedding"] * 4  # float32
    stored = counted["models"] * (counted["bytes"] + embeddings)
    found = {"clips": clips * CLIP_SECONDS * rate * SAMPLE_BYTES * 2}
    return {name: size / 1e9 for name, size in (found | stored.groupby(counted["branch"]).sum().to_dict()).items()}


def disk_texts(path: Path) -> dict[str, str]:
    """Return texts for prose: GB on disk of the recordings, of their decoded copies, and of a run; MB of one clip."""
    found = disk(read(path))
    clip = CLIP_SECONDS * params.load("paper").data.sample_rate * SAMPLE_BYTES / 1e6
    return {
        "recordings": f"{found['clips'] / 2:.0f}",
        "models": f"{sum(found[branch] for branch in BRANCHES):.0f}",
        "all": f"{sum(found.values()):.0f}",
        "clip": f"{clip:.2f}",
        "clip_seconds": f"{CLIP_SECONDS:g}",
    }


def paper_run(path: Path, measured: Path, growth: Path) -> str:
    """Return the table of what the profile ``paper`` costs; each line says how it is known.

    Args:
        path: The table of ``benchmarks/paper_run.py``.
        measured: What ``make gpu`` measured, if it was run.
        growth: What ``benchmarks/growth.py`` measured.
    """
    counted = read(path)
    models, operations = (counted.groupby("branch")[column].sum() for column in ("models", "operations"))
    stored = disk(counted)
    rows = [("Trainings", *_numbers(models, "{:,.0f}"), "counted")]
    rows.append(("Operations of training, 10¹⁸", *_numbers(operations / 1e18, "{:.0f}"), "counted"))
    device = ""
    if measured.is_file():
        found = gpu_figures.read(measured)
        device = f" on {found['device'].iat[0]}"
        every = hours(counted, found)
        timed, scored = "extrapolated from timed steps", "extrapolated from timed clips"
        rows.append(("GPU hours of training", *_numbers(every.groupby("branch")["hours"].sum(), "{:.0f}"), timed))
        longest = 60 * every.groupby("branch")["longest"].max()
        rows.append(("Longest training, minutes", *_numbers(longest, "{:.0f}", total=False), timed))
        rows.append(("GPU hours of scoring", *_numbers(scoring(every, found), "{:.1f}"), scored))
        peak = found[found["what"].str.endswith(": peak memory")].dropna(subset=["value"])
        peak = peak["value"].groupby(peak["what"].str.partition(" ")[0]).max()
        rows.append(("GPU memory of a training, GiB, at most", *_numbers(peak, "{:.1f}", total=False), "measured"))
    memory = read(growth).groupby("work")["peak_bytes"].max().filter(like="of a classifier").max() / 2**30
    known = "measured on a CPU, {numref}`growth-table`"
    rows.append(("Main memory of a process, GiB", BLANK, f"{memory:.1f}", BLANK, known))
    clips = len(paper.MACHINES) * SECTIONS * sum(DCASE2021.values())
    known = f"estimated: about {clips:,} clips of {CLIP_SECONDS} s"
    rows.append(("Disk, GB: recordings, and decoded", BLANK, BLANK, f"{stored['clips']:.0f}", known))
    rows.append(("Disk, GB: models and embeddings", *_numbers(pd.Series(stored)[list(BRANCHES)], "{:.0f}"), "counted"))
    columns = ["What", "Autoencoders", "Classifiers", "Together", "How it is known"]
    caption = (
        "The cost of all candidates of `params/paper.yaml` on the development and evaluation sets together, counted at "
        f"commit `{counted['commit'].iat[0]}`; timed and measured{device}. A network that was not timed is assumed to "
        "take as much longer as it has more operations. Decoding, the baselines, the ensembles and the one network "
        "come on top; ResNeXt's memory was not measured."
    )
    return table(pd.DataFrame(rows, columns=columns), caption, "paper-run-table", "lllll", "4 2 2 2 4")


def gpu_hours(measured: Path) -> str:
    """Return the GPU hours of the profile ``paper`` in a few words."""
    return gpu_figures.hours(measured) or "GPU hours not measured; `make gpu` extrapolates them"


def _numbers(values: pd.Series, form: str, total: bool = True) -> tuple[str, str, str]:
    """Format the numbers of both branches, and their sum if they add up."""
    return *(form.format(values[branch]) for branch in BRANCHES), form.format(values.sum()) if total else BLANK
