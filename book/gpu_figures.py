"""What was measured on a GPU, in MyST Markdown: is it right and fast, and what networks of the paper's size reach."""

import re
from pathlib import Path

import pandas as pd
import stored_results
from tables import BLANK, column, effect, percent, table

from asdlib import params
from asdlib.metrics import harmonic_mean
from asdlib.tables import read_table

PAPER_SIZE = "paper_size.csv"
"""what ``benchmarks/gpu.py --paper-size`` measured, next to the figures of ``make gpu``"""
FIXED, BEST = "fixed", "development"
"""selections of the variant of a score: the first of the settings, or the best by the labels of the test clips"""
EXTRAPOLATED = "extrapolated"
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
HOURS = {
    "whole profile without baselines": "GPU hours",
    "all trainings of the profile paper": "GPU hours of training",
}
"""rows of ``make gpu`` with the cost of the profile ``paper``, the more complete first, and what they count"""
CHECKS = {
    "tensors with other bits": "Trained again, resumed, and without CUDA graphs: the same bits",
    "operations in a step that wait": "No step waits for the GPU",
    ", float32": "Output, loss and gradient in float32, next to the CPU in float64",
    ", bfloat16": "Output, loss and gradient in bfloat16, next to float32",
    ", compiled": "Output, loss and gradient of compiled networks, next to float32",
    "": "Masks, windows, Mixup and log-mel, next to the CPU",
}
"""groups of the part *right*, by what the names of their rows contain; the first that fits counts"""
COLUMNS = {
    "plain recipe": "Plain recipe",
    "ours without CUDA graphs": "Ours, kernel by kernel",
    "ours": "Ours",
    "ours over plain": "Ours over plain",
    "share of a large matrix product's rate": "Share of the matrix rate, %",
    "kernels": "Kernels, ms",
    "launches": "Kernels started",
    "peak memory": "GiB",
}
"""columns of the table of speeds, by what the names of their rows end with"""


def read(path: Path) -> pd.DataFrame:
    """The figures of ``make gpu``: numbers in the column ``value``, and texts."""
    frame = read_table(path, as_text=True)
    return frame.assign(value=pd.to_numeric(frame["value"]))


def not_run(path: Path) -> list[str]:
    """The names of what ``make gpu`` did not come to."""
    found = read(path)
    return list(found["what"][found["verdict"].str.startswith("not run")])


def figures(path: Path) -> str:
    """What ``make gpu`` measured: checks, speeds, and every figure to unfold."""
    if not path.is_file():
        return "Nothing was measured on a GPU: none was available. `make gpu` measures it.\n"
    found = read(path)
    device, torch, commit = found[["device", "torch", "commit"]].iloc[0]
    where = f"{device}, PyTorch {torch}, commit `{commit}`; one run."
    rows = [
        (
            row.part,
            row.what,
            BLANK if pd.isna(row.value) else f"{_number(row.value)} {row.unit}",
            _numbers(row.reference.removeprefix(EXTRAPOLATED).strip()),
            f"{row.verdict} ({_numbers(row.tolerance)})" if row.tolerance else row.verdict,
        )
        for row in found.assign(verdict=_verdicts(found)).itertuples()
    ]
    columns = ["Part", "Figure", "Value", "Compared with", "Verdict"]
    every = table(pd.DataFrame(rows, columns=columns), f"Every figure. {where}", "gpu-table", "lllll", "1 5 2 3 3")
    return f"{_checks(found, where)}\n{_speeds(found, where)}\n::::{{dropdown}} Every figure\n{every}::::\n"


def _verdicts(found: pd.DataFrame) -> pd.Series:
    """The verdicts, where what earlier runs called measured is extrapolated if their reference says so."""
    return found["verdict"].mask(found["reference"].str.startswith(EXTRAPOLATED), EXTRAPOLATED)


def _checks(found: pd.DataFrame, where: str) -> str:
    right = found[found["part"] == "right"]
    group = right["what"].map(lambda what: next(part for part in CHECKS if part in what))
    rows = []
    for part, words in CHECKS.items():
        verdicts = right["verdict"][group == part]
        run = verdicts[~verdicts.str.startswith("not ")]
        if len(verdicts):
            met = f"{(run == 'met').sum()} of {len(run)}" if len(run) else "not run"
            vague = verdicts.str.startswith("not compared").sum()
            rows.append((words, f"{met}; {vague} not compared" if vague else met))
    caption = (
        "Is a GPU right? Comparisons within their tolerance: in float32 ten times, in bfloat16 three times the CPU's "
        "own rounding of the same batch, relative. What rounding alone may change by more than half is not compared. "
        f"{where}"
    )
    return table(pd.DataFrame(rows, columns=["Comparison", "Within tolerance"]), caption, "gpu-checks-table", "lr")


def _speeds(found: pd.DataFrame, where: str) -> str:
    fast = found[(found["part"] == "fast") & found["what"].str.contains(": ")]
    names = fast["what"].str.split(": ", n=1, expand=True)
    percent_of = fast["value"].where(fast["unit"] != "of 1", 100 * fast["value"])
    wide = fast.assign(network=names[0], column=names[1], value=percent_of).pivot_table(
        index="network", columns="column", values="value", sort=False
    )
    shown = pd.DataFrame({"Network": wide.index.str.removeprefix("classifier ").str.partition(".").get_level_values(0)})
    for name, words in COLUMNS.items():
        shown[words] = column(wide.get(name, pd.Series(float("nan"), wide.index)))
    caption = (
        "Is it fast? Training steps per second of a plain recipe (eager, float32 with TF32 convolutions, data "
        "loader), of ours without and with CUDA graphs, and their ratio; operations next to the rate of a large matrix "
        "product in bfloat16; milliseconds of kernels per step, and kernels started per step without graphs; peak of "
        f"memory. {where}"
    )
    return table(shown, caption, "gpu-speed-table", "l" + "r" * 8)


def _number(value: float | None) -> str:
    """A number with three digits, or all of a large one, and a small one with a power of ten."""
    if pd.isna(value):
        return BLANK
    if value and abs(value) < 1e-3:
        digits, power = f"{value:.1e}".split("e")
        return f"{digits} · 10{str(int(power)).translate(RAISED)}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:#.3g}".rstrip(".")


def _numbers(text: str) -> str:
    """A text whose numbers have three digits at most."""
    return re.sub(r"\d+\.\d{3,}(?:e-?\d+)?|\d+e-\d+", lambda found: _number(float(found[0])), text)


def paper_size(path: Path) -> str:
    """Scores of the paper's networks next to those of ``quick``, trained by ``benchmarks/gpu.py --paper-size``."""
    if not path.is_file():
        return "No network was trained at the paper's size: `python benchmarks/gpu.py --paper-size DATA` does it.\n"
    found = stored_results.read(path)
    found["variant"] = found["variant"].replace("without labels", FIXED)
    compared = found[found["profile"] == "difference"].set_index(["branch", "machine", "domain", "variant"])
    found = found[found["profile"] != "difference"]
    found["variant"] = found["variant"].where(found["variant"] == FIXED, BEST)
    keys = ["branch", "machine", "domain", "variant"]
    best = found.groupby([*keys, "profile", "seed"], sort=False)["value"].max()
    wide = best.groupby([*keys, "profile"], sort=False).mean().unstack("profile").reset_index()
    both = wide.groupby(["branch", "machine", "variant"], sort=False)[["quick", "paper_size"]].agg(harmonic_mean)
    wide = pd.concat([wide, both.reset_index().assign(domain="both")]).sort_values("branch", kind="stable")
    wide = wide.set_index(keys)
    rows = []
    for key, row in zip(wide.index, wide.to_dict("records"), strict=True):
        interval = compared.loc[key, ["low", "high"]] if key in compared.index else (float("nan"),) * 2
        change = effect(row["paper_size"] - row["quick"], *interval)
        rows.append((*key, percent(row["quick"]), percent(row["paper_size"]), change))
    where = "; ".join(dict.fromkeys(found["device"] + ", commit `" + found["commit"] + "`"))
    if found["device"].nunique() == 1:
        where += "; `quick` was trained again on it, so its figures are not those of its stored run"
    steps = found.groupby(["profile", "branch"], sort=False)["steps"].first()
    words = {"quick": "`quick`", "paper_size": "the paper's size"}
    counts = ", ".join(f"{count:,.0f} for the {key[1]} of {words[key[0]]}" for key, count in steps.items())
    seeds = found["seed"].nunique()
    columns = ["Branch", "Machine type", "Domain", "Selection", "quick", "Paper's size", "Difference"]
    caption = (
        "The base candidates of `quick` and networks of the paper's size, trained longer on the same clips: harmonic "
        "mean of AUC and pAUC, per cent, and the difference in points. By *fixed* it has a paired 95 % interval over "
        "clips. *Selection* is of the variant of the score; *both* is the harmonic mean of the two domains. "
        f"Steps: {counts}. {where}; {'one seed' if seeds == 1 else f'{seeds} seeds'}."
    )
    return table(pd.DataFrame(rows, columns=columns), caption, "paper-size-table", "llllrrr")


def paper_steps() -> dict[str, str]:
    """Steps of a training of each branch in the profile ``paper``, for prose."""
    settings = params.load("paper")
    options = settings.classifier.training
    steps = {"autoencoder": settings.autoencoder.training.steps, "classifier": options.steps + options.finetune_steps}
    return {branch: f"{count:,}" for branch, count in steps.items()}


def hours(measured: Path) -> str | None:
    """Cost of the profile ``paper``, in a few words, as extrapolated from a measurement; None without one."""
    if measured.is_file():
        found = read(measured).dropna(subset=["value"]).set_index("what")
        for row, unit in HOURS.items():
            if row in found.index:
                value, device = found.loc[row, ["value", "device"]]
                return f"{value:,.0f} {unit}, extrapolated from steps timed on {device}"
    return None
