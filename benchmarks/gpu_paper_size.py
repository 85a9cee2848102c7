"""Does the paper's own size help? Train its networks on a folder of recordings, longer than ``quick`` does.

The base autoencoder is trained for 10,000 steps (``--steps``), ResNet34 for 2,000 and 200 steps of fine-tuning, and
next to them the base candidates of the profile ``quick``, on the same clips with the same clips held out. Unlike the
paper's, these networks start from random weights, so that no download is needed. A training that was interrupted
resumes, and a finished one is not repeated: rerun the same command until the table appears. One training leaves a GPU
idle most of the time, so there they run side by side.
"""

import contextlib
import functools
import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from gpu_table import operations_counted
from gpu_whole import decode
from measure import matrix_rate, precision

from asdlib import atomic, metrics, origin, params, paths, records
from asdlib.autoencoder import scorer, train
from asdlib.classifier import scorer as classifier_scorer
from asdlib.classifier import train as classifier_train
from asdlib.compute import Compute, resolve_compute
from asdlib.data import plan
from asdlib.evaluation import bootstrap
from asdlib.origin import BRANCHES

SHARES = (0.4, 0.1)
"""of the rate of a large matrix product, which a training might reach: assumed, to state a time before it starts"""
STEPS = {
    "classifier.training.steps": 2_000,
    "classifier.training.finetune_steps": 200,
}
LONGER = "paper_size"
"""profile of the longer trainings"""
RESAMPLES = 1000
"""resamples of the clips, for intervals"""
FIRST = "without labels"
"""the variant that is used where no label chooses"""


def profiles(data: Path, runs: Path, device: str, changes: dict, seed: int, steps: int) -> list[params.Settings]:
    """Return the settings of ``quick`` and of the paper's size, with the base candidates only.

    Args:
        data: Folder of recordings, arranged as DCASE2021.
        runs: Folder of the runs, to be kept between sessions.
        device: Device to train on.
        changes: Settings that make networks and trainings tiny, to try the command; none otherwise.
        seed: Seed of networks, batches and masks. The clips held out depend on it too.
        steps: Steps of the autoencoder of the paper's size.
    """
    folder = runs.resolve() / f"seed-{seed}"
    common = {"runs": str(folder), "seed": seed, "device": device, "title": data.name, "data.root": str(data.resolve())}
    common |= {"data.held_out": 0.2, "classifier.model.pretrained": False}
    result = []
    longer = {"profile": LONGER, "autoencoder.training.steps": steps, **STEPS}
    for profile, own in (("quick", {}), ("paper", longer)):
        resolved = params.load(profile).resolved()
        resolved |= {f"{branch}_candidates": {"base": {}} for branch in BRANCHES}
        result.append(params.Settings.model_validate(params.merge(resolved, common | own | changes)))
    return result


def announce(settings: params.Settings, compute: Compute, seeds: int) -> None:
    """Print how long the longer trainings take if they reach an assumed share of a matrix product's rate."""
    counted = operations_counted()["operations_a_step"]
    machines = plan.read(settings).machines
    options = settings.classifier.training
    amount = counted["autoencoder", "base"] * settings.autoencoder.training.steps * len(machines)
    steps = (options.steps + options.finetune_steps) * sum(map(len, machines.values()))
    amount += counted["classifier", "base"] * steps
    rate = matrix_rate(precision(compute), 4096, compute.device)
    few, many = (seeds * amount / (share * rate) / 60 for share in SHARES)
    print(
        f"Expected: {few:.0f} to {many:.0f} minutes of training at the paper's size, if it reaches {SHARES[0]:.0%} to "
        f"{SHARES[1]:.0%} of the {rate / 1e12:.3g} TFLOP/s of a large matrix product here; quick and scores on top. "
        "Interrupt it whenever you like: the same command resumes.",
        flush=True,
    )


def fit(settings: params.Settings, branch: str, machine: str, section: str | None) -> None:
    """Train a base candidate, unless it is trained already."""
    if (paths.Run.of(settings).system(branch, machine, "base", section) / paths.RECORD).is_file():
        return
    if branch == "autoencoder":
        train.fit(settings, machine, "base")
    else:
        classifier_train.fit(settings, machine, section, "base")


@contextlib.contextmanager
def trainings(work: list[tuple], device: str) -> Iterator[list[Callable[[], None]]]:
    """Start all trainings and return a function for each that waits for its end.

    On a GPU they run at the same time, in processes of their own; otherwise each runs when it is waited for.
    """
    if device == "cpu":
        yield [functools.partial(fit, *each) for each in work]
        return
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(min(len(work), cores), multiprocessing.get_context("spawn")) as pool:
        yield [pool.submit(fit, *each).result for each in work]


def scores(settings: params.Settings, branch: str) -> pd.DataFrame:
    """Return the scores of a branch's variants that the paper has."""
    score = {"autoencoder": scorer.score, "classifier": classifier_scorer.score}[branch]
    frame = pd.concat([score(settings, machine, "base") for machine in plan.read(settings).machines])
    return frame[[origin.of_system(settings, system) == origin.PAPER for system in frame["system"]]]


def first_variant(settings: params.Settings, branch: str) -> str:
    """Return the score of the base candidate that is used where no label chooses."""
    return origin.first(branch, settings.candidate(branch, "base").scorer.variants, origin.PAPER)


def write(table: pd.DataFrame, out: Path | None) -> None:
    """Write the table, if a file is given."""
    if out:
        table = table.astype({"steps": "Int64", "seed": "Int64"})
        with atomic.writing(out) as temporary:
            table.to_csv(temporary, index=False, float_format="%.4f", lineterminator="\n")


def summarise(settings: params.Settings, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the harmonic mean of AUC and pAUC per branch, machine type and domain.

    Columns ``profile, branch, machine, domain, variant, value``; ``variant`` is each of the paper's, and
    :data:`FIRST`.
    """
    table = metrics.cells(metrics.sections(metrics.evaluable(frame), settings.evaluation.p))
    names = table["system"].str.split("/", expand=True)
    table = table.assign(profile=settings.profile, branch=names[0], variant=names[2])
    chosen = {branch: first_variant(settings, branch) for branch in BRANCHES}
    first = table[table["variant"] == table["branch"].map(chosen)].assign(variant=FIRST)
    return pd.concat([first, table])[["profile", "branch", "machine", "domain", "variant", "value"]]


def differences(frames: dict[tuple[str, int, str], pd.DataFrame], systems: dict[str, str], p: float) -> pd.DataFrame:
    """Return by how much the longer trainings are better, with paired intervals over clips.

    Args:
        frames: Scores by profile, seed and branch; the intervals are over clips only, and seeds are averaged.
        systems: The system that is compared, by branch.
        p: False positive rate of pAUC.

    Returns:
        Rows of the table, with ``profile`` "difference" and an interval from ``low`` to ``high``.
    """
    rows = []
    for branch, system in systems.items():
        drawn: dict[tuple[str, str], list[np.ndarray]] = {}
        for seed in sorted({key[1] for key in frames if key[2] == branch}):
            both = []
            for profile in ("quick", LONGER):
                frame = metrics.evaluable(frames[profile, seed, branch])
                both.append(frame[frame["system"] == system].set_index(["machine", "domain", "section", "clip"]))
            pairs = both[0].join(both[1]["score"].rename("longer"), validate="one_to_one")
            for key, part in pairs.groupby(["machine", "domain"]):
                areas = [_areas(unit, p) for _, unit in part.groupby("section")]  # (2, 1 + resamples, 2) each
                short, long = metrics.harmonic_mean(np.stack(areas, -1), axis=(2, 3))
                drawn.setdefault(key, []).append(long - short)
        for (machine, domain), samples in drawn.items():
            value, low, high = bootstrap.interval(np.mean(samples, 0), 0.95)
            rows.append(("difference", branch, machine, domain, FIRST, value, low, high))
    return pd.DataFrame(rows, columns=["profile", "branch", "machine", "domain", "variant", "value", "low", "high"])


def _areas(unit: pd.DataFrame, p: float) -> np.ndarray:
    label = (unit["label"] == "anomaly").to_numpy()
    weights = bootstrap.resamples(label.astype(str), RESAMPLES, [0])
    return np.stack([metrics.resampled_areas(label, unit[name], weights, (1.0, p)) for name in ("score", "longer")])


def run(data: Path, runs: Path, device: str, changes: dict, seeds: int, steps: int, out: Path | None) -> pd.DataFrame:
    """Train, score, and write the table, again with each branch that is done."""
    quick, longer = zip(*(profiles(data, runs, device, changes, seed, steps) for seed in range(seeds)), strict=True)
    compute, parts, frames = resolve_compute(longer[0]), [], {}
    for settings in longer + quick:
        decode(settings)
    announce(longer[0], compute, seeds)
    work = [
        (settings, branch, machine, section)
        for settings in longer + quick
        for machine, sections in plan.read(settings).machines.items()
        for branch in BRANCHES
        for section in (sections if branch == "classifier" else [None])
    ]
    with trainings(work, device) as ends:
        for settings, branch in itertools.product(quick + longer, reversed(BRANCHES)):
            for each, end in zip(work, ends, strict=True):
                if each[:2] == (settings, branch):
                    end()
            frames[settings.profile, settings.seed, branch] = scores(settings, branch)
            found = summarise(settings, frames[settings.profile, settings.seed, branch])
            about = {"device": compute.describe(), "commit": records.commit()}
            more = {"steps": getattr(settings, branch).training.steps, "seed": settings.seed}
            parts.append(found.assign(**more, **about))
            write(pd.concat(parts), out)
    chosen = {branch: f"{branch}/base/{first_variant(longer[0], branch)}" for branch in BRANCHES}
    parts.append(differences(frames, chosen, longer[0].evaluation.p).assign(**about))
    table = pd.concat(parts, ignore_index=True)
    write(table, out)
    wide = table[table["variant"] == FIRST].pivot_table(
        index=["branch", "machine", "domain"], columns="profile", values="value"
    )
    print(wide.round(3).to_string(), flush=True)
    return table
